// Post-training quantisation. One place to import it from outside.
// Not needed for models that are quantised already: optimize() reads those.
export type { Calibration, Range, RangeMethod } from './observe.js';
export { quantize, type QuantizeOptions } from './quantize.js';
export { observeRanges, type ValueRanges } from './ranges.js';
