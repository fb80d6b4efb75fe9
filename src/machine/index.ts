// Puts systems together: DRAM, buses, models, engines, faults. One place to import it from outside.
// Not a platform: threads and files are node/'s and web/'s.
export * from './boards.js';
export * from './dram.js';
export * from './drivers.js';
export * from './engines.js';
export * from './faults.js';
export * from './machine.js';
export * from './models.js';
