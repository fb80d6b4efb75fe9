// Loadables of NVDLA: files of compiled networks, read and written. One place to import them from.
// Not the runtime: nothing here runs one.
export * from './export.js';
export * from './loadable.js';
export * from './read.js';
export * from './write.js';
export * from './contents.js';
export * from './emu.js';
export * from './target.js';
export * from './tasks.js';
export * from './today.js';
