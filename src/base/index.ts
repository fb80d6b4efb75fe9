// What every layer stands on: errors, layouts, registers, ids, ranges, time. One place to import it from outside.
// Nothing here knows a device, a driver or a platform.
export * from './clock.js';
export * from './disposable.js';
export * from './errors.js';
export * from './id-table.js';
export * from './int-map.js';
export * from './memory.js';
export * from './range-allocator.js';
export * from './register-file.js';
export * from './registers.js';
export * from './struct.js';
export * from './wasm.js';
