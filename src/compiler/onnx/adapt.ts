// Brings operators of older opsets into the newest form: attributes that became inputs, changed defaults, resolved auto_pad.
// Not inference: it looks at shapes only where an old form's meaning depends on them.
import {
  CompileError,
  Constant,
  type DataType,
  elementCount,
  int64Array,
  isOperator,
  type OperatorName,
  type Shape,
  type Value,
} from '../ir/index.js';

/** A node as read from the file, with decoded attributes of any kind. */
export interface RawNode {
  op: string;
  name: string;
  inputs: (Value | undefined)[];
  outputs: string[];
  attributes: Map<string, unknown>;
}

/** What an adapter needs of the importer. */
export interface Scope {
  readonly opset: number;
  /** A new constant value. */
  constant(type: DataType, shape: Shape, data: Constant, name: string): Value;
}

type Adapter = (node: RawNode, scope: Scope) => RawNode | readonly RawNode[];

function refuse(node: RawNode, rule: string): CompileError {
  return new CompileError('EOPNOTSUPP', {
    operator: node.op,
    node: node.name !== '' ? node.name : node.outputs[0],
    shapes: node.inputs.filter((value) => value !== undefined).map((value) => value.shape),
    rule,
  });
}

function intsValue(scope: Scope, values: readonly number[], name: string): Value {
  return scope.constant('int64', [values.length], Constant.of('int64', int64Array(values)), name);
}

/** Moves an `ints` attribute to input `index`, when the opset still has it as an attribute. */
function intsToInput(node: RawNode, scope: Scope, attribute: string, index: number): void {
  const values = node.attributes.get(attribute);
  if (values === undefined || node.inputs[index] !== undefined) return;
  while (node.inputs.length < index) node.inputs.push(undefined);
  const list = Array.isArray(values) ? (values as number[]) : [values as number];
  node.inputs[index] = intsValue(scope, list, `${node.outputs[0]}_${attribute}`);
  node.attributes.delete(attribute);
}

/** Moves a `float` attribute to input `index` as a scalar of the first input's type. */
function floatToInput(node: RawNode, scope: Scope, attribute: string, index: number): void {
  const value = node.attributes.get(attribute) as number | undefined;
  if (value === undefined || node.inputs[index] !== undefined) return;
  while (node.inputs.length < index) node.inputs.push(undefined);
  const type = node.inputs[0]?.type ?? 'float32';
  if (type !== 'float32' && type !== 'float64')
    throw refuse(node, `attribute ${attribute} for type ${type} is not supported`);
  const array = type === 'float32' ? Float32Array.of(value) : Float64Array.of(value);
  node.inputs[index] = scope.constant(type, [], Constant.of(type, array), `${node.outputs[0]}_${attribute}`);
  node.attributes.delete(attribute);
}

const axesBefore =
  (version: number): Adapter =>
  (node, scope) => {
    if (scope.opset < version) intsToInput(node, scope, 'axes', 1);
    return node;
  };

/** auto_pad to pads: SAME keeps ceil(in / stride), the odd pixel at the end (UPPER) or the beginning (LOWER). */
const resolveAutoPad =
  (weights?: number): Adapter =>
  (node) => {
    const mode = (node.attributes.get('auto_pad') as string | undefined) ?? 'NOTSET';
    node.attributes.delete('auto_pad');
    if (mode === 'NOTSET') return node;
    if (!['VALID', 'SAME_UPPER', 'SAME_LOWER'].includes(mode))
      throw refuse(node, `auto_pad ${mode} is not an ONNX mode`);
    const shape = node.inputs[0]?.shape;
    const kernel =
      (node.attributes.get('kernel_shape') as number[] | undefined) ??
      (weights === undefined ? undefined : node.inputs[weights]?.shape?.slice(2));
    if (shape === undefined || kernel === undefined)
      throw refuse(node, `auto_pad ${mode} needs known shapes`);
    const rank = kernel.length;
    if (shape.length !== rank + 2)
      throw refuse(node, `kernel_shape has ${rank} entries for rank ${shape.length}`);
    const strides = (node.attributes.get('strides') as number[] | undefined) ?? kernel.map(() => 1);
    const dilations = (node.attributes.get('dilations') as number[] | undefined) ?? kernel.map(() => 1);
    const pads = new Array<number>(2 * rank).fill(0);
    if (mode !== 'VALID') {
      for (let i = 0; i < rank; i++) {
        const input = shape[i + 2]!;
        const reach = (kernel[i]! - 1) * dilations[i]! + 1;
        const total = Math.max(0, (Math.ceil(input / strides[i]!) - 1) * strides[i]! + reach - input);
        const small = total >> 1;
        pads[i] = mode === 'SAME_UPPER' ? small : total - small;
        pads[i + rank] = total - pads[i]!;
      }
      // The size is exact: rounding up would only add windows that SAME does not have.
      node.attributes.delete('ceil_mode');
    }
    node.attributes.set('pads', pads);
    return node;
  };

/** ConvTranspose: output_shape (and SAME) give the pads; ONNX splits an odd total towards the end, SAME_LOWER to the begin. */
function convTranspose(node: RawNode): RawNode {
  const mode = (node.attributes.get('auto_pad') as string | undefined) ?? 'NOTSET';
  node.attributes.delete('auto_pad');
  const x = node.inputs[0]?.shape;
  const w = node.inputs[1]?.shape;
  const given = node.attributes.get('output_shape') as number[] | undefined;
  if (given === undefined && (mode === 'NOTSET' || mode === 'VALID')) return node;
  if (x === undefined || w === undefined) throw refuse(node, 'output_shape and auto_pad need known shapes');
  const kernel = w.slice(2);
  const rank = kernel.length;
  const list = (name: string, value: number) =>
    (node.attributes.get(name) as number[] | undefined) ?? new Array<number>(rank).fill(value);
  const [strides, dilations, extra] = [list('strides', 1), list('dilations', 1), list('output_padding', 0)];
  const shape = given?.slice(-rank) ?? kernel.map((_, i) => x[i + 2]! * strides[i]!);
  const pads = new Array<number>(2 * rank).fill(0);
  kernel.forEach((k, i) => {
    let total = strides[i]! * (x[i + 2]! - 1) + extra[i]! + (k - 1) * dilations[i]! + 1 - shape[i]!;
    // An output larger than the windows reach is padded at the end, with nothing but bias.
    if (total < 0) {
      extra[i]! -= total;
      total = 0;
    }
    const half = Math.floor(total / 2);
    pads[i] = mode === 'SAME_UPPER' ? half : total - half;
    pads[i + rank] = total - pads[i]!;
  });
  node.attributes.set('pads', pads);
  node.attributes.set('output_padding', extra);
  node.attributes.delete('output_shape');
  return node;
}

/** Before opset 13 softmax took everything from `axis` on as one row; the default axis was 1. */
const softmax: Adapter = (node, scope) => {
  if (scope.opset >= 13) return node;
  const shape = node.inputs[0]?.shape;
  const given = (node.attributes.get('axis') as number | undefined) ?? 1;
  node.attributes.set('axis', given);
  if (shape === undefined) return node;
  const axis = given < 0 ? given + shape.length : given;
  if (axis < 0 || axis > shape.length) throw refuse(node, `axis ${given} is outside rank ${shape.length}`);
  if (axis < shape.length && elementCount(shape.slice(axis + 1)) === 1) return node;
  const output = node.outputs[0]!;
  const rows = elementCount(shape.slice(0, axis));
  const flat = intsValue(scope, [rows, elementCount(shape.slice(axis))], `${output}_rows`);
  const whole = intsValue(scope, shape, `${output}_shape`);
  const reshape = (input: (Value | undefined)[], to: string): RawNode => ({
    op: 'Reshape',
    name: '',
    inputs: input,
    outputs: [to],
    attributes: new Map(),
  });
  return [
    reshape([node.inputs[0], flat], `${output}_flat`),
    { ...node, inputs: [undefined], outputs: [`${output}_row`], attributes: new Map([['axis', 1]]) },
    reshape([undefined, whole], output),
  ];
};

/** Upsample (opset 7 to 9) is Resize with floor of asymmetric coordinates. */
const upsample: Adapter = (node, scope) => {
  const scales = node.attributes.get('scales') as number[] | undefined;
  const input =
    scales === undefined
      ? node.inputs[1]
      : scope.constant(
          'float32',
          [scales.length],
          Constant.of('float32', Float32Array.from(scales)),
          `${node.outputs[0]}_scales`,
        );
  const mode = (node.attributes.get('mode') as string | undefined) ?? 'nearest';
  const attributes = new Map<string, unknown>([
    ['mode', mode === 'bilinear' ? 'linear' : mode],
    ['coordinate_transformation_mode', 'asymmetric'],
    ['nearest_mode', 'floor'],
  ]);
  return { ...node, op: 'Resize', inputs: [node.inputs[0], undefined, input], attributes };
};

const resize: Adapter = (node, scope) => {
  if (scope.opset < 11) return upsample(node, scope);
  return node;
};

const dropout: Adapter = (node) => {
  const training = node.inputs[2];
  if (training !== undefined && training.data?.numbers()[0] !== 0)
    throw refuse(node, 'training mode is not supported');
  node.inputs.length = 1;
  return node;
};

const batchNormalization: Adapter = (node) => {
  if (node.attributes.get('training_mode') === 1) throw refuse(node, 'training mode is not supported');
  if (node.attributes.get('spatial') === 0) throw refuse(node, 'spatial = 0 is not supported');
  if (node.outputs.slice(1).some((name) => name !== ''))
    throw refuse(node, 'outputs of training mode are not supported');
  node.outputs.length = 1;
  return node;
};

const constant: Adapter = (node) => {
  const { attributes } = node;
  const type = (kind: DataType, shape: Shape, data: Constant) =>
    attributes.set('value', { type: kind, shape, data });
  const one = (name: string) => attributes.get(name);
  if (one('value_float') !== undefined)
    type('float32', [], Constant.of('float32', Float32Array.of(one('value_float') as number)));
  if (one('value_int') !== undefined)
    type('int64', [], Constant.of('int64', int64Array([one('value_int') as number])));
  const floats = one('value_floats') as number[] | undefined;
  if (floats !== undefined)
    type('float32', [floats.length], Constant.of('float32', Float32Array.from(floats)));
  const ints = one('value_ints') as number[] | undefined;
  if (ints !== undefined) type('int64', [ints.length], Constant.of('int64', int64Array(ints)));
  if (!attributes.has('value')) throw refuse(node, 'a constant of strings or a sparse one is not supported');
  return node;
};

const constantOfShape: Adapter = (node) => {
  const value = node.attributes.get('value') as { type: DataType; data?: Constant } | undefined;
  if (value === undefined) return node;
  if (value.data?.length !== 1) throw refuse(node, 'value must have one element');
  node.attributes.set('value', { type: value.type, fill: value.data.fill ?? value.data.array()[0] });
  return node;
};

const adapters: Partial<Record<OperatorName | 'Upsample', Adapter>> = {
  Conv: resolveAutoPad(1),
  ConvInteger: resolveAutoPad(1),
  QLinearConv: resolveAutoPad(3),
  ConvTranspose: convTranspose,
  MaxPool: resolveAutoPad(),
  AveragePool: resolveAutoPad(),
  LpPool: resolveAutoPad(),
  Squeeze: axesBefore(13),
  Unsqueeze: axesBefore(13),
  ReduceSum: axesBefore(13),
  ReduceL1: axesBefore(18),
  ReduceL2: axesBefore(18),
  ReduceLogSum: axesBefore(18),
  ReduceLogSumExp: axesBefore(18),
  ReduceMax: axesBefore(18),
  ReduceMean: axesBefore(18),
  ReduceMin: axesBefore(18),
  ReduceProd: axesBefore(18),
  ReduceSumSquare: axesBefore(18),
  Split: (node, scope) => {
    if (scope.opset < 13) intsToInput(node, scope, 'split', 1);
    return node;
  },
  TopK: (node, scope) => {
    if (scope.opset < 10) intsToInput(node, scope, 'k', 1);
    return node;
  },
  Slice: (node, scope) => {
    if (scope.opset >= 10) return node;
    intsToInput(node, scope, 'starts', 1);
    intsToInput(node, scope, 'ends', 2);
    intsToInput(node, scope, 'axes', 3);
    return node;
  },
  Pad: (node, scope) => {
    if (scope.opset >= 11) return node;
    intsToInput(node, scope, 'pads', 1);
    floatToInput(node, scope, 'value', 2);
    return node;
  },
  Clip: (node, scope) => {
    if (scope.opset >= 11) return node;
    floatToInput(node, scope, 'min', 1);
    floatToInput(node, scope, 'max', 2);
    return node;
  },
  Softmax: softmax,
  LogSoftmax: softmax,
  Hardmax: softmax,
  Resize: resize,
  Upsample: upsample,
  Dropout: dropout,
  BatchNormalization: batchNormalization,
  Constant: constant,
  ConstantOfShape: constantOfShape,
};

/** Whether `adapt` makes the operator one we know. */
export function isKnown(op: string): boolean {
  return isOperator(op) || op === 'Upsample';
}

/**
 * The node in its newest form: usually one node; several where an old meaning needs them. In a list each node's
 * undefined first input stands for the output of the node before it.
 */
export function adapt(node: RawNode, scope: Scope): readonly RawNode[] {
  const adapter = adapters[node.op as OperatorName];
  const result = adapter === undefined ? node : adapter(node, scope);
  return Array.isArray(result) ? (result as readonly RawNode[]) : [result as RawNode];
}
