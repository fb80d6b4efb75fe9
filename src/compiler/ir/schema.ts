// What each operator takes: how many inputs and outputs, its attributes with their kinds and defaults.
// Not semantics: shapes are in infer/, results in evaluate/. Source: ONNX operator reference, opset 24.
import type { OperatorName } from './operators.js';

/** How an attribute is written in a file. `type` is an int that names a DataType; `tensor` is a TensorProto. */
export type AttributeKind = 'int' | 'float' | 'string' | 'ints' | 'floats' | 'strings' | 'type' | 'tensor';

export interface AttributeSchema {
  readonly kind: AttributeKind;
  /** Undefined: required, unless complete.ts derives it from the inputs (`derived`). */
  readonly default?: unknown;
  readonly derived?: boolean;
}

export interface OperatorSchema {
  /** Least and greatest number of inputs. */
  readonly inputs: readonly [number, number];
  /** Least and greatest number of outputs. */
  readonly outputs: readonly [number, number];
  readonly attributes: Readonly<Record<string, AttributeSchema>>;
}

type AttributeTable = Record<string, AttributeSchema>;

const int = (value?: number): AttributeSchema => ({ kind: 'int', default: value });
const float = (value?: number): AttributeSchema => ({ kind: 'float', default: value });
const text = (value?: string): AttributeSchema => ({ kind: 'string', default: value });
const ints = (value?: number[]): AttributeSchema => ({ kind: 'ints', default: value });
const derived = (kind: AttributeKind): AttributeSchema => ({ kind, derived: true });

const MANY = 1 << 20;

function operator(
  inputs: number | readonly [number, number],
  attributes: AttributeTable = {},
  outputs: number | readonly [number, number] = 1,
): OperatorSchema {
  return {
    inputs: typeof inputs === 'number' ? [inputs, inputs] : inputs,
    outputs: typeof outputs === 'number' ? [outputs, outputs] : outputs,
    attributes,
  };
}

const unary = operator(1);
const binary = operator(2);
const many = operator([1, MANY]);
const reduce = operator([1, 2], { keepdims: int(1), noop_with_empty_axes: int(0) });
const arg = operator(1, { axis: int(0), keepdims: int(1), select_last_index: int(0) });
const softmax = operator(1, { axis: int(-1) });
const window: AttributeTable = {
  kernel_shape: derived('ints'),
  strides: derived('ints'),
  dilations: derived('ints'),
  pads: derived('ints'),
};
const conv: AttributeTable = { ...window, group: int(1) };
const pool: AttributeTable = { ...window, ceil_mode: int(0) };
const recurrent: AttributeTable = {
  hidden_size: int(),
  direction: text('forward'),
  activations: { kind: 'strings', default: [] },
  activation_alpha: { kind: 'floats', default: [] },
  activation_beta: { kind: 'floats', default: [] },
  clip: float(0),
  layout: int(0),
};

/** Every operator we know. */
export const schemas: Readonly<Record<OperatorName, OperatorSchema>> = {
  Abs: unary,
  Acos: unary,
  Acosh: unary,
  Asin: unary,
  Asinh: unary,
  Atan: unary,
  Atanh: unary,
  Ceil: unary,
  Cos: unary,
  Cosh: unary,
  Erf: unary,
  Exp: unary,
  Floor: unary,
  HardSwish: unary,
  Identity: unary,
  IsNaN: unary,
  Log: unary,
  Mish: unary,
  Neg: unary,
  Not: unary,
  Reciprocal: unary,
  Relu: unary,
  Round: unary,
  Sigmoid: unary,
  Sign: unary,
  Sin: unary,
  Sinh: unary,
  Softplus: unary,
  Softsign: unary,
  Sqrt: unary,
  Tan: unary,
  Tanh: unary,
  Add: binary,
  And: binary,
  Div: binary,
  Equal: binary,
  Greater: binary,
  GreaterOrEqual: binary,
  Less: binary,
  LessOrEqual: binary,
  Mul: binary,
  Or: binary,
  Pow: binary,
  PRelu: binary,
  Sub: binary,
  Xor: binary,
  Sum: many,
  Min: many,
  Max: many,
  Mean: many,
  ReduceL1: reduce,
  ReduceL2: reduce,
  ReduceLogSum: reduce,
  ReduceLogSumExp: reduce,
  ReduceMax: reduce,
  ReduceMean: reduce,
  ReduceMin: reduce,
  ReduceProd: reduce,
  ReduceSum: reduce,
  ReduceSumSquare: reduce,
  MatMul: binary,
  MatMulInteger: operator([2, 4]),
  Where: operator(3),
  Expand: binary,
  Tile: binary,
  Slice: operator([3, 5]),
  Range: operator(3),
  Clip: operator([1, 3]),
  NonZero: unary,
  Size: unary,
  GlobalAveragePool: unary,
  GlobalMaxPool: unary,
  DynamicQuantizeLinear: operator(1, {}, 3),
  Softmax: softmax,
  LogSoftmax: softmax,
  Hardmax: softmax,
  Concat: operator([1, MANY], { axis: int() }),
  Gather: operator(2, { axis: int(0) }),
  GatherElements: operator(2, { axis: int(0) }),
  Flatten: operator(1, { axis: int(1) }),
  Squeeze: operator([1, 2]),
  Unsqueeze: binary,
  LeakyRelu: operator(1, { alpha: float(0.01) }),
  Elu: operator(1, { alpha: float(1) }),
  Celu: operator(1, { alpha: float(1) }),
  ThresholdedRelu: operator(1, { alpha: float(1) }),
  ArgMax: arg,
  ArgMin: arg,
  Conv: operator([2, 3], conv),
  ConvTranspose: operator([2, 3], { ...conv, output_padding: derived('ints'), output_shape: ints([]) }),
  ConvInteger: operator([2, 4], conv),
  QLinearConv: operator([8, 9], conv),
  QLinearMatMul: operator(8),
  Gemm: operator([2, 3], { alpha: float(1), beta: float(1), transA: int(0), transB: int(0) }),
  MaxPool: operator(1, { ...pool, storage_order: int(0) }, [1, 2]),
  AveragePool: operator(1, { ...pool, count_include_pad: int(0) }),
  LpPool: operator(1, { ...pool, p: int(2) }),
  GlobalLpPool: operator(1, { p: int(2) }),
  BatchNormalization: operator(5, { epsilon: float(1e-5) }),
  InstanceNormalization: operator(3, { epsilon: float(1e-5) }),
  LayerNormalization: operator([2, 3], { axis: int(-1), epsilon: float(1e-5) }, [1, 3]),
  LRN: operator(1, { alpha: float(1e-4), beta: float(0.75), bias: float(1), size: int() }),
  LpNormalization: operator(1, { axis: int(-1), p: int(2) }),
  MeanVarianceNormalization: operator(1, { axes: ints([0, 2, 3]) }),
  HardSigmoid: operator(1, { alpha: float(0.2), beta: float(0.5) }),
  Selu: operator(1, { alpha: float(1.6732631921768188), gamma: float(1.0507010221481323) }),
  Gelu: operator(1, { approximate: text('none') }),
  Transpose: operator(1, { perm: derived('ints') }),
  Reshape: operator(2, { allowzero: int(0) }),
  Split: operator([1, 2], { axis: int(0), num_outputs: derived('int') }, [1, MANY]),
  Pad: operator([2, 4], { mode: text('constant') }),
  Resize: operator([1, 4], {
    mode: text('nearest'),
    coordinate_transformation_mode: text('half_pixel'),
    nearest_mode: text('round_prefer_floor'),
    cubic_coeff_a: float(-0.75),
    exclude_outside: int(0),
    extrapolation_value: float(0),
    antialias: int(0),
    axes: ints([]),
    keep_aspect_ratio_policy: text('stretch'),
  }),
  DepthToSpace: operator(1, { blocksize: int(), mode: text('DCR') }),
  SpaceToDepth: operator(1, { blocksize: int() }),
  Cast: operator(1, { to: { kind: 'type' }, saturate: int(1) }),
  CastLike: operator(2, { saturate: int(1) }),
  QuantizeLinear: operator([2, 3], { axis: int(1), block_size: int(0), saturate: int(1) }),
  DequantizeLinear: operator([2, 3], { axis: int(1), block_size: int(0) }),
  Dropout: operator([1, 3], {}, [1, 2]),
  Constant: operator(0, { value: { kind: 'tensor' } }),
  ConstantOfShape: operator(1, { value: { kind: 'tensor', default: { type: 'float32', fill: 0 } } }),
  Shape: operator(1, { start: int(0), end: int(MANY) }),
  TopK: operator(2, { axis: int(-1), largest: int(1), sorted: int(1) }, 2),
  CumSum: operator(2, { exclusive: int(0), reverse: int(0) }),
  Trilu: operator([1, 2], { upper: int(1) }),
  LSTM: operator([3, 8], { ...recurrent, input_forget: int(0) }, [0, 3]),
  GRU: operator([3, 6], { ...recurrent, linear_before_reset: int(0) }, [0, 2]),
  RNN: operator([3, 6], recurrent, [0, 2]),
};

/** Whether ONNX's operator `name` is one we know. */
export function isOperator(name: string): name is OperatorName {
  return Object.hasOwn(schemas, name);
}
