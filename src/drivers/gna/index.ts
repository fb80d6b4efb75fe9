// The driver of Intel's Gaussian & Neural Accelerator: binding it, and its object.
// Not the device model.
export { gna } from './driver.js';
export { GnaHw, RECOVERY_TIMEOUT_S, type GnaOptions } from './device.js';
export { match, probe } from './probe.js';
export { manifest } from './manifest.js';
