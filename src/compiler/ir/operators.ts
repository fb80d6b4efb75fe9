// The attributes of every operator we know, by ONNX's names, in the form of the newest opset.
// Not their meaning: shapes are in infer/, results in evaluate/. Opset differences are settled in onnx/normalize.ts.
import type { Constant } from './constant.js';
import type { DataType, Shape } from './types.js';

interface None {}
interface Axis {
  axis: number;
}
interface Alpha {
  alpha: number;
}

/** Windows over the spatial axes. `pads` is begin of every axis, then end of every axis; auto_pad is already resolved. */
export interface Window {
  kernel_shape: number[];
  strides: number[];
  dilations: number[];
  pads: number[];
}

export interface ConvAttributes extends Window {
  group: number;
}

export interface PoolAttributes extends Window {
  ceil_mode: number;
}

export interface ReduceAttributes {
  keepdims: number;
  noop_with_empty_axes: number;
}

export interface ArgAttributes extends Axis {
  keepdims: number;
  select_last_index: number;
}

export interface ResizeAttributes {
  mode: string;
  coordinate_transformation_mode: string;
  nearest_mode: string;
  cubic_coeff_a: number;
  exclude_outside: number;
  extrapolation_value: number;
  antialias: number;
  axes: number[];
  keep_aspect_ratio_policy: string;
}

export interface RecurrentAttributes {
  hidden_size: number;
  direction: string;
  activations: string[];
  activation_alpha: number[];
  activation_beta: number[];
  clip: number;
  layout: number;
}

type Same<Names extends string, T> = Record<Names, T>;

type Unary =
  | 'Abs'
  | 'Acos'
  | 'Acosh'
  | 'Asin'
  | 'Asinh'
  | 'Atan'
  | 'Atanh'
  | 'Ceil'
  | 'Cos'
  | 'Cosh'
  | 'Erf'
  | 'Exp'
  | 'Floor'
  | 'HardSwish'
  | 'Identity'
  | 'IsNaN'
  | 'Log'
  | 'Mish'
  | 'Neg'
  | 'Not'
  | 'Reciprocal'
  | 'Relu'
  | 'Round'
  | 'Sigmoid'
  | 'Sign'
  | 'Sin'
  | 'Sinh'
  | 'Softplus'
  | 'Softsign'
  | 'Sqrt'
  | 'Tan'
  | 'Tanh';

type Binary =
  | 'Add'
  | 'And'
  | 'Div'
  | 'Equal'
  | 'Greater'
  | 'GreaterOrEqual'
  | 'Less'
  | 'LessOrEqual'
  | 'Mul'
  | 'Or'
  | 'Pow'
  | 'PRelu'
  | 'Sub'
  | 'Xor';

type Reduce =
  | 'ReduceL1'
  | 'ReduceL2'
  | 'ReduceLogSum'
  | 'ReduceLogSumExp'
  | 'ReduceMax'
  | 'ReduceMean'
  | 'ReduceMin'
  | 'ReduceProd'
  | 'ReduceSum'
  | 'ReduceSumSquare';

/** Operator name to attributes. Axes may be negative as in ONNX until shape inference makes them non-negative. */
export interface Attributes
  extends
    Same<Unary, None>,
    Same<Binary, None>,
    Same<Reduce, ReduceAttributes>,
    Same<'Sum' | 'Min' | 'Max' | 'Mean', None>,
    Same<
      'MatMul' | 'MatMulInteger' | 'Where' | 'Expand' | 'Tile' | 'Slice' | 'Range' | 'Clip' | 'NonZero',
      None
    >,
    Same<'GlobalAveragePool' | 'GlobalMaxPool' | 'DynamicQuantizeLinear' | 'Size', None>,
    Same<'Softmax' | 'LogSoftmax' | 'Hardmax' | 'Concat' | 'Gather' | 'GatherElements' | 'Flatten', Axis>,
    Same<'Squeeze' | 'Unsqueeze', None>,
    Same<'LeakyRelu' | 'Elu' | 'Celu' | 'ThresholdedRelu', Alpha>,
    Same<'ArgMax' | 'ArgMin', ArgAttributes> {
  Conv: ConvAttributes;
  ConvTranspose: ConvAttributes & { output_padding: number[]; output_shape: number[] };
  ConvInteger: ConvAttributes;
  QLinearConv: ConvAttributes;
  QLinearMatMul: None;
  Gemm: { alpha: number; beta: number; transA: number; transB: number };
  MaxPool: PoolAttributes & { storage_order: number };
  AveragePool: PoolAttributes & { count_include_pad: number };
  LpPool: PoolAttributes & { p: number };
  GlobalLpPool: { p: number };
  BatchNormalization: { epsilon: number };
  InstanceNormalization: { epsilon: number };
  LayerNormalization: { axis: number; epsilon: number };
  LRN: { alpha: number; beta: number; bias: number; size: number };
  LpNormalization: { axis: number; p: number };
  MeanVarianceNormalization: { axes: number[] };
  HardSigmoid: { alpha: number; beta: number };
  Selu: { alpha: number; gamma: number };
  Gelu: { approximate: string };
  Transpose: { perm: number[] };
  Reshape: { allowzero: number };
  Split: { axis: number; num_outputs: number };
  Pad: { mode: string };
  Resize: ResizeAttributes;
  DepthToSpace: { blocksize: number; mode: string };
  SpaceToDepth: { blocksize: number };
  Cast: { to: DataType; saturate?: number };
  CastLike: { saturate?: number };
  QuantizeLinear: { axis: number; block_size: number; saturate?: number };
  DequantizeLinear: { axis: number; block_size: number };
  Dropout: None;
  Constant: { value: { type: DataType; shape: Shape; data: Constant } };
  ConstantOfShape: { value: { type: DataType; fill: number | bigint } };
  Shape: { start: number; end: number };
  TopK: { axis: number; largest: number; sorted: number };
  CumSum: { exclusive: number; reverse: number };
  Trilu: { upper: number };
  LSTM: RecurrentAttributes & { input_forget: number };
  GRU: RecurrentAttributes & { linear_before_reset: number };
  RNN: RecurrentAttributes;
}

export type OperatorName = keyof Attributes;
