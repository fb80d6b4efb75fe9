// Linux's uAPI: numbers and layouts.
// No behaviour.
export * as drm from './drm.js';
export * from './ioctl.js';
export * as nvdla from './nvdla.js';
export * as syncFile from './sync-file.js';
