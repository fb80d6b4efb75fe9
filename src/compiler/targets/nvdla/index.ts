// The NVDLA target's public part: compiling, asking what is supported, and copying tensors in and out of cubes.
// Not its lowering.
export { compileNvdla, type NvdlaOptions, supports } from './compile.js';
export { layoutBytes, packFeatures, unpackFeatures } from './features.js';
