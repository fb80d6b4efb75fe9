// The GNA device model: register front and engine.
// Not a driver: it knows registers and memory only.
import type { DeviceModel } from '../../bus/port.js';
import { AccelError } from '../../base/errors.js';
import { gnaConfigs, type GnaGeneration } from '../../hw/gna/config.js';
import { createGnaEngine, SCRATCH_BYTES } from './engine.js';
import { GnaDevice } from './front.js';
import { parallel } from './parts.js';

export { GnaDevice } from './front.js';

/** Board option: `generation`, default 3.0. One window of 4 KiB, one interrupt. */
export const gna: DeviceModel = {
  name: 'gna',
  create: (port, { generation = '3.0' }) => {
    if (!Object.hasOwn(gnaConfigs, generation as string)) {
      const known = Object.keys(gnaConfigs).join(', ');
      throw new AccelError('EINVAL', {
        field: 'generation',
        reason: `${String(generation)} is none of ${known}`,
      });
    }
    return new GnaDevice(port, gnaConfigs[generation as GnaGeneration]);
  },
  engine: createGnaEngine,
  scratchBytes: () => SCRATCH_BYTES,
  parallel,
};
