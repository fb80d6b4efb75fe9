// Facts about NVDLA shared by its driver, its model and the compiler: configurations, registers, descriptors.
// No behaviour.
export * from './config.js';
export * from './cost.js';
export * from './descriptors.js';
export * from './performance.js';
