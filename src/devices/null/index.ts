// The null device: the smallest complete model, and the pattern for a new one.
// Not silicon: its contract is in hw/null.
import type { DeviceModel } from '../../bus/port.js';
import { createNullEngine } from './engine.js';
import { NullDevice } from './front.js';

export const nullDevice: DeviceModel = {
  name: 'null',
  create: (port) => new NullDevice(port),
  engine: createNullEngine,
  kernels: false,
  faults: ['ecc'],
  scratchBytes: () => 0,
};
