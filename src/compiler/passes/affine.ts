// Folds per-channel factors and offsets (BatchNormalization, Mul, Add, Sub, Div by constants) into the weights and bias
// of the convolution, Gemm or batch normalisation before them.
// Not quantised graphs: weights must be float32 constants.
import { Constant, elementCount, type Graph, type Node, type Shape, type Value } from '../ir/index.js';
import type { Pass } from './pass.js';
import { Rewriter } from './rewriter.js';

/** One number per channel; a plain number where all are the same, so that repeated weights stay repeated. */
type Channels = number | Float64Array;

function at(channels: Channels, c: number): number {
  return typeof channels === 'number' ? channels : channels[c]!;
}

function combine(a: Channels, b: Channels, fn: (a: number, b: number) => number): Channels {
  if (typeof a === 'number' && typeof b === 'number') return fn(a, b);
  const length = typeof a === 'number' ? (b as Float64Array).length : a.length;
  return Float64Array.from({ length }, (_, c) => fn(at(a, c), at(b, c)));
}

/** A constant as one number per index of axis 1 of `out`, or undefined when it varies along another axis. */
function perChannel(value: Value | undefined, out: Shape): Channels | undefined {
  if (value?.data === undefined || value.type !== 'float32' || value.shape === undefined) return undefined;
  const { shape } = value;
  if (shape.length > out.length) return undefined;
  const axis = shape.length - out.length + 1;
  if (shape.some((dim, i) => dim !== 1 && (i !== axis || dim !== out[1]))) return undefined;
  if (value.data.fill !== undefined) return Number(value.data.fill);
  const data = value.data.array();
  return data.length === 1 ? Number(data[0]) : Float64Array.from(data as Float32Array);
}

/** A constant vector of one number per channel. */
function vector(value: Value | undefined): Channels | undefined {
  if (value?.data === undefined || value.type !== 'float32') return undefined;
  if (value.data.fill !== undefined) return Number(value.data.fill);
  return Float64Array.from(value.data.array() as Float32Array);
}

/** y = x * scale + offset per channel; `input` is x. */
interface Affine {
  readonly input: Value;
  readonly scale: Channels;
  readonly offset: Channels;
}

function affineOf(node: Node): Affine | undefined {
  const out = node.outputs[0]?.shape;
  if (out === undefined || out.length < 2 || node.outputs[0]!.type !== 'float32') return undefined;
  if (node.op === 'BatchNormalization') {
    const [scale, bias, mean, variance] = [1, 2, 3, 4].map((i) => vector(node.inputs[i]));
    if (scale === undefined || bias === undefined || mean === undefined || variance === undefined)
      return undefined;
    const { epsilon } = node.attributes;
    const factor = combine(scale, variance, (s, v) => s / Math.sqrt(v + epsilon));
    return {
      input: node.inputs[0]!,
      scale: factor,
      offset: combine(
        bias,
        combine(mean, factor, (m, f) => m * f),
        (b, mf) => b - mf,
      ),
    };
  }
  if (node.op !== 'Mul' && node.op !== 'Add' && node.op !== 'Sub' && node.op !== 'Div') return undefined;
  const right = perChannel(node.inputs[1], out);
  if (right !== undefined) {
    const input = node.inputs[0]!;
    if (node.op === 'Mul') return { input, scale: right, offset: 0 };
    if (node.op === 'Div') return { input, scale: combine(1, right, (a, b) => a / b), offset: 0 };
    return { input, scale: 1, offset: node.op === 'Add' ? right : combine(0, right, (a, b) => a - b) };
  }
  const left = perChannel(node.inputs[0], out);
  if (left === undefined || node.op === 'Div') return undefined;
  const input = node.inputs[1]!;
  if (node.op === 'Mul') return { input, scale: left, offset: 0 };
  return { input, scale: node.op === 'Sub' ? -1 : 1, offset: left };
}

/** Weights [.., channel axis, ..] times one factor per channel. */
function scaled(rewriter: Rewriter, weights: Value, axis: number, factor: Channels): Value {
  if (factor === 1) return weights;
  const shape = weights.shape!;
  const data = weights.data!;
  if (typeof factor === 'number' && data.fill !== undefined)
    return rewriter.floats(shape, Number(data.fill) * factor, `${weights.name}_scaled`);
  const from = data.array() as Float32Array;
  const out = new Float32Array(from.length);
  const inner = elementCount(shape.slice(axis + 1));
  const channels = shape[axis]!;
  for (let i = 0; i < out.length; i++) out[i] = from[i]! * at(factor, Math.floor(i / inner) % channels);
  return { ...rewriter.constant('float32', shape, Constant.of('float32', out), `${weights.name}_scaled`) };
}

/** old * scale + offset as a new vector of `channels` numbers; undefined when it is zero and there was none. */
function shifted(
  rewriter: Rewriter,
  old: Value | undefined,
  affine: Affine,
  channels: number,
  name: string,
): Value | undefined {
  if (old === undefined && affine.offset === 0) return undefined;
  const before = old === undefined ? 0 : vector(old)!;
  const next = combine(
    combine(before, affine.scale, (b, s) => b * s),
    affine.offset,
    (b, o) => b + o,
  );
  return rewriter.floats([channels], next, `${name}_bias`);
}

/** Where an operator has its weights, their channel axis, and its bias. */
function parameters(node: Node): { weights: number; axis: number; bias: number } | undefined {
  switch (node.op) {
    case 'Conv':
      return { weights: 1, axis: 0, bias: 2 };
    case 'ConvTranspose':
      return node.attributes.group === 1 ? { weights: 1, axis: 1, bias: 2 } : undefined;
    case 'Gemm':
      return node.attributes.beta === 1 || node.inputs[2] === undefined
        ? { weights: 1, axis: node.attributes.transB === 0 ? 1 : 0, bias: 2 }
        : undefined;
    case 'BatchNormalization':
      return { weights: 1, axis: 0, bias: 2 };
    default:
      return undefined;
  }
}

function fold(node: Node, rewriter: Rewriter): void {
  const affine = affineOf(node);
  if (affine === undefined) return;
  const target = rewriter.producer(affine.input);
  if (target === undefined || target.activation !== undefined) return;
  const place = parameters(target);
  if (place === undefined || rewriter.onlyConsumer(affine.input) !== node) return;
  if (affine.input.shape === undefined) return;
  // The result must have the target's shape: a constant may not broadcast it up.
  if (elementCount(affine.input.shape) !== elementCount(node.outputs[0]!.shape!)) return;
  const weights = target.inputs[place.weights]!;
  const bias = target.inputs[place.bias];
  if (weights.data === undefined || weights.type !== 'float32') return;
  if (bias !== undefined && (vector(bias) === undefined || bias.shape!.length !== 1)) return;
  const channels = affine.input.shape[1]!;
  if (bias !== undefined && bias.shape![0] !== channels) return;
  // Gemm's alpha is applied after the product, the batch normalisation's mean inside it: both commute with a factor.
  const name = target.outputs[0]!.name;
  const nextWeights = scaled(rewriter, weights, place.axis, affine.scale);
  const nextBias =
    target.op === 'BatchNormalization'
      ? shifted(rewriter, bias, affine, channels, name)!
      : shifted(rewriter, bias, affine, channels, name);
  rewriter.setInput(target, place.weights, nextWeights);
  rewriter.setInput(target, place.bias, nextBias);
  rewriter.absorb(target, node);
}

/** See the head of the file. */
export const affineFolding: Pass = {
  name: 'affine-folding',
  run(graph: Graph): boolean {
    const rewriter = new Rewriter(graph);
    for (const node of graph.nodes) fold(node, rewriter);
    rewriter.finish();
    return rewriter.changed;
  },
};
