// The NVDLA driver.
// Not the device: nothing here reaches round the bus.
export { DEFAULT_TIMEOUT_NS, type NvdlaDevice } from './device.js';
export { nvdla } from './driver.js';
export { manifest } from './manifest.js';
export { match, probe } from './probe.js';
