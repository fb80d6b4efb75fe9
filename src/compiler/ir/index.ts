// The intermediate representation: graphs of ONNX operators over typed values. One place to import it from outside.
// Not a file format: front ends make it, targets consume it.
export * from './builder.js';
export * from './constant.js';
export * from './error.js';
export * from './evaluate/index.js';
export * from './fold.js';
export * from './geometry.js';
export * from './graph.js';
export * from './infer.js';
export * from './node.js';
export * from './operators.js';
export * from './qlinear.js';
export * from './schema.js';
export * from './types.js';
