// Targets: from graphs to programs for devices. One place to import them from outside.
// Not the runtime: nothing here opens a device.
export * from './compile.js';
export * from './program.js';
export * from './gna/index.js';
export * from './nvdla/index.js';
