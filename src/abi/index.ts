// Linux's uAPI: numbers and layouts.
// No behaviour.
export * from './ioctl.js';
export * as nvdla from './nvdla.js';
