// The reference evaluator. One place to import it from outside.
// Not a runtime.
export { evaluate, evaluateNode, type EvaluateOptions } from './evaluate.js';
export { hasKernel } from './kernels.js';
export { isQuantized, movesIntegers } from './quantized.js';
export { roundHalfEven, type Tensor } from './tensor.js';
