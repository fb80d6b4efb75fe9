// Loadables of NVDLA on a device. One place to import them from.
// Not their file format: that is compiler/loadable.
export * from './dimg.js';
export * from './loaded.js';
export * from './picture.js';
export * from './surface.js';
