// Kernels of the GNA model: one call per layer, over DRAM addresses. Called by src/devices/gna/engine.ts.
// Not a model: descriptors, device addresses and order are the front's business.
export { affine, diagonal, recurrent } from './affine';
export { conv } from './conv';
export { gmm } from './gmm';
export { copyRows, transpose } from './move';
