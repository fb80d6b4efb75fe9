// Files as inputs of models. One place to import it from outside.
// Not the runtime: it makes arrays.
export * from './load.js';
export * from './picture.js';
export * from './prepare.js';
export * from './sidecar.js';
