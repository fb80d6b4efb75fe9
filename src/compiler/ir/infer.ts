// Types and shapes of a node's outputs from its inputs: the table of rules, one per operator.
// Not constant folding: a rule reads constant inputs (axes, shapes) but computes no elements.
import { constantInput, inputOf, type Node, nodeError, type NodeOf, shapeOf } from './graph.js';
import { axesOf, axisOf, broadcast, padsOf, resizeGeometry, sliceRanges } from './geometry.js';
import type { OperatorName, PoolAttributes, Window } from './operators.js';
import { type DataType, elementCount, type Shape } from './types.js';

/** What a rule says of one output. */
export interface Inferred {
  readonly type: DataType;
  readonly shape: Shape;
}

type Rule<Op extends OperatorName> = (node: NodeOf<Op>) => Inferred | readonly Inferred[];

const first = (node: Node): Inferred => {
  const x = inputOf(node, 0);
  return { type: x.type, shape: shapeOf(x) };
};

function broadcasting(type?: DataType): (node: Node) => Inferred {
  return (node) => {
    const inputs = node.inputs.map((_, index) => inputOf(node, index));
    const shape = broadcast(...inputs.map(shapeOf));
    if (shape === undefined) throw nodeError(node, 'EINVAL', 'the shapes do not broadcast');
    const types = new Set(inputs.map((value) => value.type));
    if (types.size > 1 && node.op !== 'Pow')
      throw nodeError(node, 'EINVAL', `inputs of types ${[...types].join(' and ')}`);
    return { type: type ?? inputs[0]!.type, shape };
  };
}

function prelu(node: Node): Inferred {
  const x = first(node);
  const shape = broadcast(x.shape, shapeOf(inputOf(node, 1)));
  if (shape === undefined || shape.length !== x.shape.length || shape.some((dim, i) => dim !== x.shape[i]))
    throw nodeError(node, 'EINVAL', 'the slope does not broadcast to the input');
  return x;
}

/** One output extent of a window: ONNX's formula, with ceil_mode's rule that a window starts inside input or begin pad. */
function extent(node: Node, input: number, w: Window, i: number, rank: number, ceil: boolean): number {
  const kernel = (w.kernel_shape[i]! - 1) * w.dilations[i]! + 1;
  const begin = w.pads[i]!;
  const room = input + begin + w.pads[i + rank]! - kernel;
  if (room < 0)
    throw nodeError(
      node,
      'EINVAL',
      `the window of ${kernel} is larger than the padded input of ${room + kernel} on spatial axis ${i}`,
    );
  const stride = w.strides[i]!;
  let out = (ceil ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
  if (ceil && (out - 1) * stride >= input + begin) out--;
  return out;
}

function spatialRank(node: Node, shape: Shape): number {
  if (shape.length < 3)
    throw nodeError(node, 'EINVAL', `the input has rank ${shape.length}, at least 3 is needed`);
  return shape.length - 2;
}

function checkWindow(node: Node, w: Window, rank: number): void {
  const lists = [w.kernel_shape, w.strides, w.dilations];
  if (lists.some((list) => list.length !== rank) || w.pads.length !== 2 * rank)
    throw nodeError(
      node,
      'EINVAL',
      `kernel_shape, strides, dilations need ${rank} entries, pads ${2 * rank}`,
    );
  if (lists.some((list) => list.some((n) => !(n >= 1))))
    throw nodeError(node, 'EINVAL', 'kernel_shape, strides and dilations are at least 1');
  if (w.pads.some((pad) => !(pad >= 0)))
    throw nodeError(node, 'EOPNOTSUPP', 'negative pads are not supported');
}

function convShape(
  node: NodeOf<'Conv' | 'ConvInteger' | 'QLinearConv'>,
  x: Shape,
  w: Shape,
  bias?: Shape,
): Shape {
  const rank = spatialRank(node, x);
  if (w.length !== x.length)
    throw nodeError(node, 'EINVAL', `weights of rank ${w.length}, input of rank ${x.length}`);
  const { attributes } = node;
  checkWindow(node, attributes, rank);
  if (attributes.kernel_shape.some((k, i) => k !== w[i + 2]))
    throw nodeError(
      node,
      'EINVAL',
      `kernel_shape ${attributes.kernel_shape.join('x')} is not the weights' ${w.slice(2).join('x')}`,
    );
  const { group } = attributes;
  if (!(group >= 1) || w[1]! * group !== x[1])
    throw nodeError(node, 'EINVAL', `channels ${x[1]} is not group ${group} x ${w[1]}`);
  if (w[0]! % group !== 0)
    throw nodeError(node, 'EINVAL', `output channels ${w[0]} are not a multiple of group ${group}`);
  if (bias !== undefined && (bias.length !== 1 || bias[0] !== w[0]))
    throw nodeError(node, 'EINVAL', `a bias of [${bias.join(',')}] for ${w[0]} output channels`);
  return [
    x[0]!,
    w[0]!,
    ...attributes.kernel_shape.map((_, i) => extent(node, x[i + 2]!, attributes, i, rank, false)),
  ];
}

function conv(node: NodeOf<'Conv'>): Inferred {
  const x = inputOf(node, 0);
  const bias = node.inputs[2];
  return {
    type: x.type,
    shape: convShape(node, shapeOf(x), shapeOf(inputOf(node, 1)), bias && shapeOf(bias)),
  };
}

function convTranspose(node: NodeOf<'ConvTranspose'>): Inferred {
  const { type, shape: x } = first(node);
  const w = shapeOf(inputOf(node, 1));
  const rank = spatialRank(node, x);
  const a = node.attributes;
  checkWindow(node, a, rank);
  if (w.length !== x.length || w[0] !== x[1])
    throw nodeError(node, 'EINVAL', `channels ${x[1]} are not the weights' ${w[0]}`);
  if (x[1]! % a.group !== 0)
    throw nodeError(node, 'EINVAL', `channels ${x[1]} are not a multiple of group ${a.group}`);
  const spatial = a.kernel_shape.map(
    (k, i) =>
      a.strides[i]! * (x[i + 2]! - 1) +
      a.output_padding[i]! +
      (k - 1) * a.dilations[i]! +
      1 -
      a.pads[i]! -
      a.pads[i + rank]!,
  );
  if (spatial.some((dim) => dim < 1))
    throw nodeError(node, 'EINVAL', `the output would be ${spatial.join('x')}`);
  return { type, shape: [x[0]!, w[1]! * a.group, ...spatial] };
}

function pool(node: NodeOf<'MaxPool' | 'AveragePool' | 'LpPool'>): Inferred[] {
  const { type, shape: x } = first(node);
  const rank = spatialRank(node, x);
  const attributes: PoolAttributes = node.attributes;
  checkWindow(node, attributes, rank);
  const spatial = attributes.kernel_shape.map((_, i) =>
    extent(node, x[i + 2]!, attributes, i, rank, attributes.ceil_mode !== 0),
  );
  const shape = [x[0]!, x[1]!, ...spatial];
  return [
    { type, shape },
    { type: 'int64', shape },
  ];
}

function globalPool(node: Node): Inferred {
  const { type, shape } = first(node);
  spatialRank(node, shape);
  return { type, shape: shape.map((dim, i) => (i < 2 ? dim : 1)) };
}

function matmulShape(node: Node, a: Shape, b: Shape): Shape {
  if (a.length === 0 || b.length === 0) throw nodeError(node, 'EINVAL', 'a scalar has no matrix product');
  const left = a.length === 1 ? [1, a[0]!] : a;
  const right = b.length === 1 ? [b[0]!, 1] : b;
  if (left.at(-1) !== right.at(-2))
    throw nodeError(node, 'EINVAL', `inner sizes ${left.at(-1)} and ${right.at(-2)} differ`);
  const batch = broadcast(left.slice(0, -2), right.slice(0, -2));
  if (batch === undefined) throw nodeError(node, 'EINVAL', 'the batch shapes do not broadcast');
  if (a.length > 1) batch.push(left.at(-2)!);
  if (b.length > 1) batch.push(right.at(-1)!);
  return batch;
}

function gemm(node: NodeOf<'Gemm'>): Inferred {
  const { type, shape: a } = first(node);
  const b = shapeOf(inputOf(node, 1));
  if (a.length !== 2 || b.length !== 2) throw nodeError(node, 'EINVAL', 'both factors must be matrices');
  const { transA, transB } = node.attributes;
  const [m, k] = transA ? [a[1]!, a[0]!] : [a[0]!, a[1]!];
  const [kb, n] = transB ? [b[1]!, b[0]!] : [b[0]!, b[1]!];
  if (k !== kb) throw nodeError(node, 'EINVAL', `inner sizes ${k} and ${kb} differ`);
  const c = node.inputs[2];
  if (c !== undefined) {
    const fit = broadcast([m, n], shapeOf(c));
    if (fit === undefined || fit.length !== 2 || fit[0] !== m || fit[1] !== n)
      throw nodeError(node, 'EINVAL', `C does not broadcast to [${m},${n}]`);
  }
  return { type, shape: [m, n] };
}

function reduce(node: NodeOf<Extract<OperatorName, `Reduce${string}`>>): Inferred {
  const { type, shape } = first(node);
  const given = constantInput(node, 1);
  const { keepdims, noop_with_empty_axes } = node.attributes;
  if ((given === undefined || given.length === 0) && noop_with_empty_axes) return { type, shape };
  const axes = new Set(
    given === undefined || given.length === 0 ? shape.keys() : axesOf(node, given, shape.length),
  );
  const kept = shape.flatMap((dim, i) => (axes.has(i) ? (keepdims ? [1] : []) : [dim]));
  return { type, shape: kept };
}

function arg(node: NodeOf<'ArgMax' | 'ArgMin'>): Inferred {
  const { shape } = first(node);
  const axis = axisOf(node, node.attributes.axis, shape.length);
  return {
    type: 'int64',
    shape: shape.flatMap((dim, i) => (i !== axis ? [dim] : node.attributes.keepdims ? [1] : [])),
  };
}

function withAxis(node: NodeOf<'Softmax' | 'LogSoftmax' | 'Hardmax'>): Inferred {
  const { type, shape } = first(node);
  if (shape.length > 0) axisOf(node, node.attributes.axis, shape.length);
  return { type, shape };
}

function concat(node: NodeOf<'Concat'>): Inferred {
  const { type, shape } = first(node);
  const axis = axisOf(node, node.attributes.axis, shape.length);
  const out = [...shape];
  for (let i = 1; i < node.inputs.length; i++) {
    const other = shapeOf(inputOf(node, i));
    if (other.length !== shape.length || other.some((dim, d) => d !== axis && dim !== shape[d]))
      throw nodeError(node, 'EINVAL', `input ${i} differs outside axis ${axis}`);
    out[axis]! += other[axis]!;
  }
  return { type, shape: out };
}

function gather(node: NodeOf<'Gather'>): Inferred {
  const { type, shape } = first(node);
  const axis = axisOf(node, node.attributes.axis, shape.length);
  return { type, shape: [...shape.slice(0, axis), ...shapeOf(inputOf(node, 1)), ...shape.slice(axis + 1)] };
}

function flatten(node: NodeOf<'Flatten'>): Inferred {
  const { type, shape } = first(node);
  const axis = node.attributes.axis < 0 ? node.attributes.axis + shape.length : node.attributes.axis;
  if (axis < 0 || axis > shape.length)
    throw nodeError(node, 'EINVAL', `axis ${axis} is outside rank ${shape.length}`);
  return { type, shape: [elementCount(shape.slice(0, axis)), elementCount(shape.slice(axis))] };
}

function squeeze(node: Node): Inferred {
  const { type, shape } = first(node);
  const given = constantInput(node, 1);
  const axes = new Set(
    given === undefined ? [...shape.keys()].filter((i) => shape[i] === 1) : axesOf(node, given, shape.length),
  );
  for (const axis of axes)
    if (shape[axis] !== 1) throw nodeError(node, 'EINVAL', `axis ${axis} has size ${shape[axis]}, not 1`);
  return { type, shape: shape.filter((_, i) => !axes.has(i)) };
}

function unsqueeze(node: Node): Inferred {
  const { type, shape } = first(node);
  const given = constantInput(node, 1) ?? [];
  const axes = new Set(axesOf(node, given, shape.length + given.length));
  let from = 0;
  const out = Array.from({ length: shape.length + given.length }, (_, i) =>
    axes.has(i) ? 1 : shape[from++]!,
  );
  return { type, shape: out };
}

function reshape(node: NodeOf<'Reshape'>): Inferred {
  const { type, shape } = first(node);
  const target = constantInput(node, 1)!;
  const count = elementCount(shape);
  const out = target.map((dim, i) => {
    if (dim !== 0 || node.attributes.allowzero) return dim;
    if (i >= shape.length)
      throw nodeError(node, 'EINVAL', `dimension ${i} is 0 but the input has rank ${shape.length}`);
    return shape[i]!;
  });
  const free = out.indexOf(-1);
  if (free !== out.lastIndexOf(-1) || out.some((dim) => dim < -1))
    throw nodeError(node, 'EINVAL', `[${target.join(',')}] is not a shape`);
  if (free >= 0) {
    const rest = -elementCount(out);
    const dim = count / rest;
    if (!Number.isInteger(dim))
      throw nodeError(node, 'EINVAL', `${count} elements do not divide into [${target.join(',')}]`);
    out[free] = dim;
  }
  if (elementCount(out) !== count)
    throw nodeError(node, 'EINVAL', `${count} elements do not fit [${target.join(',')}]`);
  return { type, shape: out };
}

function transpose(node: NodeOf<'Transpose'>): Inferred {
  const { type, shape } = first(node);
  const { perm } = node.attributes;
  if (
    perm.length !== shape.length ||
    new Set(perm).size !== perm.length ||
    perm.some((axis) => !(axis >= 0 && axis < shape.length))
  )
    throw nodeError(node, 'EINVAL', `perm ${perm.join(',')} is not a permutation of ${shape.length} axes`);
  return { type, shape: perm.map((axis) => shape[axis]!) };
}

function split(node: NodeOf<'Split'>): Inferred[] {
  const { type, shape } = first(node);
  const axis = axisOf(node, node.attributes.axis, shape.length);
  const parts = node.outputs.length;
  const dim = shape[axis]!;
  const part = Math.ceil(dim / parts);
  const sizes =
    constantInput(node, 1) ?? Array.from({ length: parts }, (_, i) => Math.min(part, dim - i * part));
  if (sizes.length !== parts || sizes.some((size) => size < 0) || sizes.reduce((a, b) => a + b, 0) !== dim)
    throw nodeError(node, 'EINVAL', `sizes ${sizes.join(',')} for ${parts} outputs do not add up to ${dim}`);
  return sizes.map((size) => ({ type, shape: shape.map((d, i) => (i === axis ? size : d)) }));
}

function pad(node: NodeOf<'Pad'>): Inferred {
  const { type, shape } = first(node);
  const { begin, end } = padsOf(node);
  const out = shape.map((dim, i) => dim + begin[i]! + end[i]!);
  if (out.some((dim) => dim < 0)) throw nodeError(node, 'EINVAL', `the output would be [${out.join(',')}]`);
  return { type, shape: out };
}

function depthToSpace(node: NodeOf<'DepthToSpace'>): Inferred {
  const { type, shape } = first(node);
  const b = node.attributes.blocksize;
  if (shape.length !== 4 || !(b >= 1) || shape[1]! % (b * b) !== 0)
    throw nodeError(node, 'EINVAL', `channels do not divide into blocks of ${b}x${b}`);
  return { type, shape: [shape[0]!, shape[1]! / (b * b), shape[2]! * b, shape[3]! * b] };
}

function spaceToDepth(node: NodeOf<'SpaceToDepth'>): Inferred {
  const { type, shape } = first(node);
  const b = node.attributes.blocksize;
  if (shape.length !== 4 || !(b >= 1) || shape[2]! % b !== 0 || shape[3]! % b !== 0)
    throw nodeError(node, 'EINVAL', `height and width do not divide into blocks of ${b}`);
  return { type, shape: [shape[0]!, shape[1]! * b * b, shape[2]! / b, shape[3]! / b] };
}

function quantizeType(node: NodeOf<'QuantizeLinear'>): Inferred {
  if (node.attributes.block_size !== 0)
    throw nodeError(node, 'EOPNOTSUPP', 'blocked quantisation is not supported');
  return { type: node.inputs[2]?.type ?? 'uint8', shape: shapeOf(inputOf(node, 0)) };
}

function dequantizeType(node: NodeOf<'DequantizeLinear'>): Inferred {
  if (node.attributes.block_size !== 0)
    throw nodeError(node, 'EOPNOTSUPP', 'blocked quantisation is not supported');
  return { type: inputOf(node, 1).type, shape: shapeOf(inputOf(node, 0)) };
}

function channelParameters(node: Node, from: number, to: number): Inferred {
  const x = first(node);
  const channels = x.shape[1] ?? 1;
  for (let i = from; i <= to; i++) {
    const shape = shapeOf(inputOf(node, i));
    if (shape.length !== 1 || shape[0] !== channels)
      throw nodeError(node, 'EINVAL', `input ${i} is [${shape.join(',')}] for ${channels} channels`);
  }
  return x;
}

function layerNormalization(node: NodeOf<'LayerNormalization'>): Inferred[] {
  const x = first(node);
  const axis = axisOf(node, node.attributes.axis, x.shape.length);
  const stat: Inferred = { type: 'float32', shape: x.shape.map((dim, i) => (i < axis ? dim : 1)) };
  return [x, stat, stat];
}

function shapeRange(node: NodeOf<'Shape'>): Inferred {
  const rank = shapeOf(inputOf(node, 0)).length;
  const clamp = (n: number) => Math.min(Math.max(n < 0 ? n + rank : n, 0), rank);
  return { type: 'int64', shape: [Math.max(0, clamp(node.attributes.end) - clamp(node.attributes.start))] };
}

function topK(node: NodeOf<'TopK'>): Inferred[] {
  const { type, shape } = first(node);
  const axis = axisOf(node, node.attributes.axis, shape.length);
  const k = constantInput(node, 1)![0]!;
  if (!(k >= 0 && k <= shape[axis]!)) throw nodeError(node, 'EINVAL', `k ${k} of ${shape[axis]}`);
  const out = shape.map((dim, i) => (i === axis ? k : dim));
  return [
    { type, shape: out },
    { type: 'int64', shape: out },
  ];
}

function tile(node: Node): Inferred {
  const { type, shape } = first(node);
  const repeats = constantInput(node, 1)!;
  if (repeats.length !== shape.length || repeats.some((n) => n < 0))
    throw nodeError(node, 'EINVAL', `repeats ${repeats.join(',')}`);
  return { type, shape: shape.map((dim, i) => dim * repeats[i]!) };
}

function expand(node: Node): Inferred {
  const { type, shape } = first(node);
  const out = broadcast(shape, constantInput(node, 1)!);
  if (out === undefined) throw nodeError(node, 'EINVAL', 'the shapes do not broadcast');
  return { type, shape: out };
}

function range(node: Node): Inferred {
  const [start, limit, delta] = [0, 1, 2].map((i) => constantInput(node, i)![0]!) as [number, number, number];
  return { type: inputOf(node, 0).type, shape: [Math.max(0, Math.ceil((limit - start) / delta))] };
}

/** LSTM, GRU and RNN: Y, Y_h and (LSTM) Y_c. ONNX: X is [seq, batch, in], or [batch, seq, in] with layout 1. */
function recurrent(node: NodeOf<'LSTM' | 'GRU' | 'RNN'>): Inferred[] {
  const { type, shape: x } = first(node);
  if (x.length !== 3) throw nodeError(node, 'EINVAL', `the input has rank ${x.length}, not 3`);
  const { hidden_size: hidden, direction, layout } = node.attributes;
  const directions = direction === 'bidirectional' ? 2 : 1;
  const [seq, batch] = layout ? [x[1]!, x[0]!] : [x[0]!, x[1]!];
  const state: Inferred = { type, shape: layout ? [batch, directions, hidden] : [directions, batch, hidden] };
  const y = layout ? [batch, seq, directions, hidden] : [seq, directions, batch, hidden];
  return [{ type, shape: y }, state, state];
}

const numericBroadcast = broadcasting();
const booleanBroadcast = broadcasting('bool');

function where(node: Node): Inferred {
  const shape = broadcast(...[0, 1, 2].map((i) => shapeOf(inputOf(node, i))));
  if (shape === undefined) throw nodeError(node, 'EINVAL', 'the shapes do not broadcast');
  return { type: inputOf(node, 1).type, shape };
}

/** One rule per operator; what is not listed keeps type and shape of its first input. */
const rules: { [Op in OperatorName]?: Rule<Op> } = {
  Add: numericBroadcast,
  Sub: numericBroadcast,
  Mul: numericBroadcast,
  Div: numericBroadcast,
  Pow: numericBroadcast,
  Sum: numericBroadcast,
  Min: numericBroadcast,
  Max: numericBroadcast,
  Mean: numericBroadcast,
  And: booleanBroadcast,
  Or: booleanBroadcast,
  Xor: booleanBroadcast,
  Equal: booleanBroadcast,
  Greater: booleanBroadcast,
  GreaterOrEqual: booleanBroadcast,
  Less: booleanBroadcast,
  LessOrEqual: booleanBroadcast,
  PRelu: prelu,
  Where: where,
  IsNaN: (node) => ({ type: 'bool', shape: first(node).shape }),
  Conv: conv,
  ConvInteger: (node) => ({
    type: 'int32',
    shape: convShape(node, shapeOf(inputOf(node, 0)), shapeOf(inputOf(node, 1))),
  }),
  QLinearConv: (node) => {
    const bias = node.inputs[8];
    return {
      type: inputOf(node, 7).type,
      shape: convShape(node, shapeOf(inputOf(node, 0)), shapeOf(inputOf(node, 3)), bias && shapeOf(bias)),
    };
  },
  ConvTranspose: convTranspose,
  MaxPool: pool,
  AveragePool: (node) => pool(node)[0]!,
  LpPool: (node) => pool(node)[0]!,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  GlobalLpPool: globalPool,
  MatMul: (node) => ({
    type: inputOf(node, 0).type,
    shape: matmulShape(node, shapeOf(inputOf(node, 0)), shapeOf(inputOf(node, 1))),
  }),
  MatMulInteger: (node) => ({
    type: 'int32',
    shape: matmulShape(node, shapeOf(inputOf(node, 0)), shapeOf(inputOf(node, 1))),
  }),
  QLinearMatMul: (node) => ({
    type: inputOf(node, 7).type,
    shape: matmulShape(node, shapeOf(inputOf(node, 0)), shapeOf(inputOf(node, 3))),
  }),
  Gemm: gemm,
  BatchNormalization: (node) => channelParameters(node, 1, 4),
  InstanceNormalization: (node) => channelParameters(node, 1, 2),
  LayerNormalization: layerNormalization,
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
  ArgMax: arg,
  ArgMin: arg,
  Softmax: withAxis,
  LogSoftmax: withAxis,
  Hardmax: withAxis,
  Concat: concat,
  Split: split,
  Slice: (node) => ({ type: inputOf(node, 0).type, shape: sliceRanges(node).size }),
  Gather: gather,
  GatherElements: (node) => ({ type: inputOf(node, 0).type, shape: shapeOf(inputOf(node, 1)) }),
  Pad: pad,
  Transpose: transpose,
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Expand: expand,
  Tile: tile,
  Resize: (node) => ({ type: inputOf(node, 0).type, shape: resizeGeometry(node).size }),
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Cast: (node) => ({ type: node.attributes.to, shape: first(node).shape }),
  CastLike: (node) => ({ type: inputOf(node, 1).type, shape: first(node).shape }),
  QuantizeLinear: quantizeType,
  DequantizeLinear: dequantizeType,
  DynamicQuantizeLinear: (node) => [
    { type: 'uint8', shape: first(node).shape },
    { type: 'float32', shape: [] },
    { type: 'uint8', shape: [] },
  ],
  Dropout: (node) => [first(node), { type: 'bool', shape: first(node).shape }],
  Constant: (node) => ({ type: node.attributes.value.type, shape: node.attributes.value.shape }),
  ConstantOfShape: (node) => ({ type: node.attributes.value.type, shape: constantInput(node, 0)! }),
  Shape: shapeRange,
  Size: () => ({ type: 'int64', shape: [] }),
  NonZero: (node) => {
    throw nodeError(node, 'EOPNOTSUPP', 'its output size depends on the data');
  },
  Range: range,
  TopK: topK,
  LSTM: recurrent,
  GRU: recurrent,
  RNN: recurrent,
};

/** Types and shapes of all outputs a node of this operator has, in order. Throws CompileError when a rule is broken. */
export function infer(node: Node): readonly Inferred[] {
  if (node.op === 'Opaque') return [];
  const rule = rules[node.op] as ((node: Node) => Inferred | readonly Inferred[]) | undefined;
  const result = rule === undefined ? first(node) : rule(node);
  return Array.isArray(result) ? (result as readonly Inferred[]) : [result as Inferred];
}
