// opSupportLimits: element types and ranks that the builder's operands take, in WebNN's shape.
// Not a promise of placement: what runs where is known once a graph is built, and placement() says it.
import type { DataType } from '../compiler/ir/index.js';

export interface MLRankRange {
  readonly min: number;
  readonly max: number;
}

export interface MLTensorLimits {
  readonly dataTypes: readonly DataType[];
  readonly rankRange: MLRankRange;
}

/** Limits of an operator by the name of its operand. */
export type MLOperatorLimits = Readonly<Record<string, MLTensorLimits>>;

export interface MLOpSupportLimits {
  readonly preferredInputLayout: 'nchw' | 'nhwc';
  /** Bytes of the largest tensor. */
  readonly maxTensorByteLength: number;
  readonly input: MLTensorLimits;
  readonly constant: MLTensorLimits;
  readonly output: MLTensorLimits;
  readonly operators: Readonly<Record<string, MLOperatorLimits>>;
}

const MAX_RANK = 8;
const floats: readonly DataType[] = ['float32', 'float16'];
const quantised: readonly DataType[] = ['int8', 'uint8'];
const all: readonly DataType[] = [...floats, 'int32', 'uint32', 'int64', 'uint64', ...quantised];

const any: MLTensorLimits = { dataTypes: all, rankRange: { min: 0, max: MAX_RANK } };
const real: MLTensorLimits = { dataTypes: floats, rankRange: { min: 0, max: MAX_RANK } };
const of = (dataTypes: readonly DataType[], min: number, max = min): MLTensorLimits => ({
  dataTypes,
  rankRange: { min, max },
});

const same = (names: readonly string[], limits: MLOperatorLimits): Record<string, MLOperatorLimits> =>
  Object.fromEntries(names.map((name) => [name, limits]));

const operators: Readonly<Record<string, MLOperatorLimits>> = {
  ...same(['add', 'sub', 'mul', 'div', 'max', 'min', 'pow', 'equal', 'greater', 'lesser'], {
    a: any,
    b: any,
  }),
  ...same(['relu', 'clamp', 'abs', 'neg', 'identity', 'reshape', 'transpose', 'slice', 'split', 'pad'], {
    input: any,
  }),
  ...same(['sigmoid', 'tanh', 'exp', 'log', 'sqrt', 'elu', 'leakyRelu', 'hardSwish', 'softmax'], {
    input: real,
  }),
  ...same(['averagePool2d', 'maxPool2d'], { input: of(floats, 4) }),
  conv2d: { input: of(floats, 4), filter: of(floats, 4), bias: of(floats, 1) },
  gemm: { a: of(floats, 2), b: of(floats, 2), c: of(floats, 0, 2) },
  matmul: { a: of(floats, 2, MAX_RANK), b: of(floats, 2, MAX_RANK) },
  concat: { inputs: any },
  quantizeLinear: { input: real, scale: of(floats, 0, MAX_RANK), zeroPoint: of(quantised, 0, MAX_RANK) },
  dequantizeLinear: { input: of([...quantised, 'int32'], 0, MAX_RANK), scale: real, zeroPoint: any },
};

const limits: MLOpSupportLimits = {
  preferredInputLayout: 'nchw',
  maxTensorByteLength: 0x7fffffff,
  input: any,
  constant: any,
  output: any,
  operators,
};

export function opSupportLimits(): MLOpSupportLimits {
  return limits;
}
