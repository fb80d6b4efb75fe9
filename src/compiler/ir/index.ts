// The intermediate representation: graphs of ONNX operators over typed values. One place to import it from outside.
// Not a file format: front ends make it, targets consume it.
export * from './constant.js';
export * from './error.js';
export * from './graph.js';
export * from './operators.js';
export * from './types.js';
