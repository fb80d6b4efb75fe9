// From ONNX to programs for accelerators.
// Not a runtime: it touches no device.
export * from './ir/index.js';
export * from './targets/index.js';
export { importOnnx, type ImportOptions } from './onnx/import.js';
export * from './passes/index.js';
export * from './quantize/index.js';
export * from './loadable/index.js';
export * from './report/index.js';
