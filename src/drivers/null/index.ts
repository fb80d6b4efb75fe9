// The null driver: binding it to its device.
// Not the device model.
import { DisposableStack } from '../../base/disposable.js';
import { AccelError } from '../../base/errors.js';
import type { BusDevice } from '../../bus/device.js';
import type { AccelDevice, Core } from '../../core/index.js';
import { NULL_ID, regs } from '../../hw/null/index.js';
import { NullHw } from './device.js';
import { nullDriver } from './driver.js';

export { nullDriver } from './driver.js';
export { manifest } from './manifest.js';
export { probeVgem, vgemManifest, vgemMatch } from './vgem.js';
export type { NullHw } from './device.js';

export const match: { readonly compatible: readonly string[] } = { compatible: ['accel,null'] };

/** @throws AccelError ENODEV when the device does not answer with its ID */
export function probe(device: BusDevice, core: Core): AccelDevice<NullHw> {
  const mmio = device.mmio(0);
  const id = mmio.read32(regs.ID.at);
  if (id !== NULL_ID)
    throw new AccelError('ENODEV', { call: 'probe', field: 'ID', reason: `0x${id.toString(16)}` });
  const setup = new DisposableStack();
  try {
    const hw = new NullHw(device, mmio);
    setup.use(device.irq(0, () => hw.interrupt()));
    const accel = core.register({ driver: nullDriver, hw, busName: device.name });
    hw.attach(accel);
    const owned = setup.move();
    device.onRemove(() => {
      accel.unplug();
      owned.dispose();
    });
    return accel;
  } finally {
    setup.dispose();
  }
}
