// Facts about Intel GNA shared by its driver, its model and the compiler: generations, registers, descriptors.
// No behaviour.
export * from './config.js';
export * from './cost.js';
export * from './descriptors.js';
export * from './registers.js';
