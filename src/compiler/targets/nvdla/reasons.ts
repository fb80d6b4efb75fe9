// Why an operator has no lowering at all: what the hardware lacks for it.
// Not the rules that single nodes break: whoever lowers an operator states those.
const indices = 'no unit makes indices: they compare values, and keep the greatest or least';
const reduction =
  'units sum, and take the greatest and the least: no roots, powers, logarithms or products over axes';
const normalisation =
  'its divisor is found at run time, and SDP multiplies by constants or tensors only: it neither divides nor takes roots';
const shapes = 'it is about shapes, not elements: the host knows the answer';
const conversion =
  "SDP and CDMA convert between int8, int16 and fp16 inside a layer: other types, and tensors as they are, are the host's";
const selection = 'no unit chooses by the elements of another tensor';
const wide = 'its results are 32-bit integers: units write int8, int16 and fp16';
const recurrence = 'each step needs the step before it: there is no loop on the device';

const reasons: Readonly<Record<string, string>> = {
  Softmax: normalisation,
  LogSoftmax: normalisation,
  LayerNormalization: normalisation,
  InstanceNormalization: normalisation,
  MeanVarianceNormalization: normalisation,
  LpNormalization: normalisation,
  Hardmax: indices,
  ArgMax: indices,
  ArgMin: indices,
  TopK: indices,
  NonZero: indices,
  ReduceL1: reduction,
  ReduceL2: reduction,
  ReduceLogSum: reduction,
  ReduceLogSumExp: reduction,
  ReduceProd: reduction,
  ReduceSumSquare: reduction,
  CumSum: reduction,
  LpPool: 'PDP has means, maxima and minima, no powers',
  GlobalLpPool: 'PDP has means, maxima and minima, no powers',
  Shape: shapes,
  Size: shapes,
  Range: shapes,
  Constant: shapes,
  ConstantOfShape: shapes,
  Cast: conversion,
  CastLike: conversion,
  DynamicQuantizeLinear: 'its scale is found at run time: scales are constants of the descriptors',
  Where: selection,
  GatherElements: selection,
  Trilu: selection,
  Equal: selection,
  Greater: selection,
  GreaterOrEqual: selection,
  Less: selection,
  LessOrEqual: selection,
  And: selection,
  Or: selection,
  Xor: selection,
  ConvInteger: wide,
  MatMulInteger: wide,
  QLinearConv: 'its scales or weights are not constant',
  QLinearMatMul: 'its scales or its second factor are not constant',
  Pow: 'SDP has no powers; its table holds a function of one tensor',
  LSTM: recurrence,
  GRU: recurrence,
  RNN: recurrence,
};

/** The reason for an operator that nothing lowers. */
export function reasonFor(op: string): string {
  return reasons[op] ?? `no unit computes ${op}`;
}
