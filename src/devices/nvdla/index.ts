// The NVDLA device model: register front and engine.
// Not a driver: it knows registers and memory only.
import type { DeviceModel } from '../../bus/port.js';
import { engine, scratchBytes } from './engine/index.js';
import { parallel } from './engine/rows.js';
import { createNvdla } from './front.js';

export { NvdlaDevice } from './front.js';

/** Board option: `config`, the configuration's name. One window (CSB), one interrupt. */
export const nvdla: DeviceModel = {
  name: 'nvdla',
  create: createNvdla,
  engine,
  scratchBytes,
  parallel,
};
export { traceNames, type TraceNames } from './names.js';
