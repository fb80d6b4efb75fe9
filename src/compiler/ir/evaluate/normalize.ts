// Operators along axes: reductions, arg and top-k, softmax, and the normalisations.
// Not elementwise: each result depends on many elements. All sums are in doubles.
import { constantInput, type NodeOf, shapeOf } from '../graph.js';
import { axesOf, axisOf } from '../geometry.js';
import type { OperatorName } from '../operators.js';
import { elementCount, stridesOf, type TypedArray } from '../types.js';
import { allocate, doubles, fillIndex, type Tensor } from './tensor.js';

type ReduceName = Extract<OperatorName, `Reduce${string}`>;

interface Fold {
  readonly start: number;
  readonly step: (total: number, x: number) => number;
  readonly end?: (total: number, count: number) => number;
}

const folds: Record<ReduceName, Fold> = {
  ReduceL1: { start: 0, step: (t, x) => t + Math.abs(x) },
  ReduceL2: { start: 0, step: (t, x) => t + x * x, end: Math.sqrt },
  ReduceLogSum: { start: 0, step: (t, x) => t + x, end: Math.log },
  ReduceLogSumExp: { start: 0, step: (t, x) => t + Math.exp(x), end: Math.log },
  ReduceMax: { start: -Infinity, step: (t, x) => (x > t || Number.isNaN(x) ? x : t) },
  ReduceMean: { start: 0, step: (t, x) => t + x, end: (t, count) => t / count },
  ReduceMin: { start: Infinity, step: (t, x) => (x < t || Number.isNaN(x) ? x : t) },
  ReduceProd: { start: 1, step: (t, x) => t * x },
  ReduceSum: { start: 0, step: (t, x) => t + x },
  ReduceSumSquare: { start: 0, step: (t, x) => t + x * x },
};

/** Stores doubles in the output's type; integers are truncated, out of range values clamped to it. */
function store(type: Tensor['type'], values: Float64Array): TypedArray {
  const out = allocate(type, values.length);
  if (out instanceof BigInt64Array || out instanceof BigUint64Array) {
    for (let i = 0; i < out.length; i++)
      out[i] = Number.isFinite(values[i]) ? BigInt(Math.trunc(values[i]!)) : 0n;
  } else out.set(values);
  return out;
}

export function reduce(node: NodeOf<ReduceName>, x: Tensor): TypedArray {
  const given = constantInput(node, 1);
  const empty = given === undefined || given.length === 0;
  const { start, step, end } = folds[node.op];
  const data = doubles(x.data);
  if (empty && node.attributes.noop_with_empty_axes) {
    return store(
      x.type,
      data.map((value) => (end ?? ((t: number) => t))(step(start, value), 1)),
    );
  }
  const axes = new Set(empty ? x.shape.keys() : axesOf(node, given, x.shape.length));
  const kept = x.shape.map((dim, i) => (axes.has(i) ? 1 : dim));
  const strides = stridesOf(kept).map((stride, i) => (axes.has(i) ? 0 : stride));
  const index = new Int32Array(data.length);
  if (index.length > 0) fillIndex(index, x.shape, strides, 0);
  const out = new Float64Array(elementCount(kept)).fill(start);
  if (node.op === 'ReduceLogSumExp') return store(x.type, logSumExp(data, index, out.length));
  for (let i = 0; i < data.length; i++) out[index[i]!] = step(out[index[i]!]!, data[i]!);
  const count = data.length / Math.max(1, out.length);
  if (end !== undefined) for (let i = 0; i < out.length; i++) out[i] = end(out[i]!, count);
  return store(x.type, out);
}

/** Shifted by the maximum, so that it does not overflow. */
function logSumExp(data: Float64Array, index: Int32Array, length: number): Float64Array {
  const top = new Float64Array(length).fill(-Infinity);
  for (let i = 0; i < data.length; i++) top[index[i]!] = Math.max(top[index[i]!]!, data[i]!);
  const out = new Float64Array(length);
  for (let i = 0; i < data.length; i++) out[index[i]!]! += Math.exp(data[i]! - top[index[i]!]!);
  return out.map((total, i) => (Number.isFinite(top[i]) ? top[i]! : 0) + Math.log(total));
}

/** Calls `row` for each line along the axis with the position of its first element and the step to the next. */
function lines(
  shape: readonly number[],
  axis: number,
  row: (first: number, step: number, line: number) => void,
): void {
  const inner = elementCount(shape.slice(axis + 1));
  const outer = elementCount(shape.slice(0, axis));
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < inner; i++) row(o * shape[axis]! * inner + i, inner, o * inner + i);
}

export function softmax(node: NodeOf<'Softmax' | 'LogSoftmax' | 'Hardmax'>, x: Tensor): TypedArray {
  const data = doubles(x.data);
  const out = new Float64Array(data.length);
  const shape = x.shape.length === 0 ? [1] : x.shape;
  const axis = axisOf(node, node.attributes.axis, shape.length);
  const dim = shape[axis]!;
  lines(shape, axis, (first, step) => {
    let best = first;
    for (let i = 0, at = first; i < dim; i++, at += step) if (data[at]! > data[best]!) best = at;
    if (node.op === 'Hardmax') {
      out[best] = 1;
      return;
    }
    const top = data[best]!;
    let total = 0;
    for (let i = 0, at = first; i < dim; i++, at += step) total += out[at] = Math.exp(data[at]! - top);
    for (let i = 0, at = first; i < dim; i++, at += step)
      out[at] = node.op === 'Softmax' ? out[at]! / total : data[at]! - top - Math.log(total);
  });
  return store(x.type, out);
}

export function argExtreme(node: NodeOf<'ArgMax' | 'ArgMin'>, x: Tensor): TypedArray {
  const data = doubles(x.data);
  const axis = axisOf(node, node.attributes.axis, x.shape.length);
  const sign = node.op === 'ArgMax' ? 1 : -1;
  const last = node.attributes.select_last_index !== 0;
  const out = new BigInt64Array(data.length / x.shape[axis]!);
  lines(x.shape, axis, (first, step, line) => {
    let best = 0;
    for (let i = 1; i < x.shape[axis]!; i++) {
      const difference = sign * (data[first + i * step]! - data[first + best * step]!);
      if (difference > 0 || (last && difference === 0)) best = i;
    }
    out[line] = BigInt(best);
  });
  return out;
}

export function topK(node: NodeOf<'TopK'>, x: Tensor): TypedArray[] {
  const axis = axisOf(node, node.attributes.axis, x.shape.length);
  const shape = shapeOf(node.outputs[0]!);
  const k = shape[axis]!;
  const data = doubles(x.data);
  const sign = node.attributes.largest !== 0 ? -1 : 1;
  const values = allocate(x.type, elementCount(shape)) as Float32Array;
  const indices = new BigInt64Array(values.length);
  const inner = elementCount(shape.slice(axis + 1));
  lines(x.shape, axis, (first, step, line) => {
    const order = Array.from({ length: x.shape[axis]! }, (_, i) => i);
    order.sort((a, b) => sign * (data[first + a * step]! - data[first + b * step]!) || a - b);
    const to = Math.floor(line / inner) * k * inner + (line % inner);
    for (let i = 0; i < k; i++) {
      values[to + i * inner] = (x.data as Float32Array)[first + order[i]! * step]!;
      indices[to + i * inner] = BigInt(order[i]!);
    }
  });
  return [values, indices];
}

export function cumSum(node: NodeOf<'CumSum'>, x: Tensor, axisTensor: Tensor): TypedArray {
  const axis = axisOf(node, Number(axisTensor.data[0]), x.shape.length);
  const data = doubles(x.data);
  const out = new Float64Array(data.length);
  const { exclusive, reverse } = node.attributes;
  const dim = x.shape[axis]!;
  lines(x.shape, axis, (first, step) => {
    let total = 0;
    for (let i = 0; i < dim; i++) {
      const at = first + (reverse ? dim - 1 - i : i) * step;
      if (exclusive) out[at] = total;
      total += data[at]!;
      if (!exclusive) out[at] = total;
    }
  });
  return store(x.type, out);
}

export function batchNormalization(
  node: NodeOf<'BatchNormalization'>,
  x: Tensor,
  parameters: readonly Tensor[],
): TypedArray {
  const [scale, bias, mean, variance] = parameters.map((tensor) => doubles(tensor.data)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const data = doubles(x.data);
  const out = allocate(x.type, data.length) as Float32Array;
  const channels = x.shape[1] ?? 1;
  const inner = elementCount(x.shape.slice(2));
  for (let i = 0; i < out.length; i++) {
    const c = Math.floor(i / inner) % channels;
    out[i] =
      ((data[i]! - mean[c]!) / Math.sqrt(variance[c]! + node.attributes.epsilon)) * scale[c]! + bias[c]!;
  }
  return out;
}

/** Mean and variance of `count` elements from `at`. */
function moments(data: Float64Array, at: number, count: number): { mean: number; variance: number } {
  let mean = 0;
  for (let i = 0; i < count; i++) mean += data[at + i]!;
  mean /= count;
  let variance = 0;
  for (let i = 0; i < count; i++) variance += (data[at + i]! - mean) ** 2;
  return { mean, variance: variance / count };
}

export function instanceNormalization(
  node: NodeOf<'InstanceNormalization'>,
  x: Tensor,
  scale: Tensor,
  bias: Tensor,
): TypedArray {
  const data = doubles(x.data);
  const out = allocate(x.type, data.length) as Float32Array;
  const channels = x.shape[1]!;
  const inner = elementCount(x.shape.slice(2));
  for (let plane = 0; plane * inner < data.length; plane++) {
    const c = plane % channels;
    const { mean, variance } = moments(data, plane * inner, inner);
    const factor = Number(scale.data[c]) / Math.sqrt(variance + node.attributes.epsilon);
    for (let i = plane * inner; i < (plane + 1) * inner; i++)
      out[i] = (data[i]! - mean) * factor + Number(bias.data[c]);
  }
  return out;
}

export function layerNormalization(
  node: NodeOf<'LayerNormalization'>,
  x: Tensor,
  scale: Tensor,
  bias: Tensor | undefined,
): TypedArray[] {
  const data = doubles(x.data);
  const axis = axisOf(node, node.attributes.axis, x.shape.length);
  const inner = elementCount(x.shape.slice(axis));
  const rows = data.length / inner;
  const out = allocate(x.type, data.length) as Float32Array;
  const [means, deviations] = [new Float32Array(rows), new Float32Array(rows)];
  const [factors, offsets] = [doubles(scale.data), bias === undefined ? undefined : doubles(bias.data)];
  for (let row = 0; row < rows; row++) {
    const { mean, variance } = moments(data, row * inner, inner);
    const inverse = 1 / Math.sqrt(variance + node.attributes.epsilon);
    means[row] = mean;
    deviations[row] = inverse;
    for (let i = 0; i < inner; i++)
      out[row * inner + i] =
        (data[row * inner + i]! - mean) * inverse * factors[i % factors.length]! +
        (offsets === undefined ? 0 : offsets[i % offsets.length]!);
  }
  return [out, means, deviations];
}

export function localResponse(node: NodeOf<'LRN'>, x: Tensor): TypedArray {
  const { alpha, beta, bias, size } = node.attributes;
  const data = doubles(x.data);
  const out = allocate(x.type, data.length) as Float32Array;
  const [batch, channels] = [x.shape[0]!, x.shape[1]!];
  const inner = elementCount(x.shape.slice(2));
  const before = Math.floor((size - 1) / 2);
  const after = Math.ceil((size - 1) / 2);
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < channels; c++) {
      const [from, to] = [Math.max(0, c - before), Math.min(channels - 1, c + after)];
      for (let i = 0; i < inner; i++) {
        let total = 0;
        for (let other = from; other <= to; other++) total += data[(n * channels + other) * inner + i]! ** 2;
        const at = (n * channels + c) * inner + i;
        out[at] = data[at]! / (bias + (alpha / size) * total) ** beta;
      }
    }
  }
  return out;
}

export function lpNormalization(node: NodeOf<'LpNormalization'>, x: Tensor): TypedArray {
  const data = doubles(x.data);
  const axis = axisOf(node, node.attributes.axis, x.shape.length);
  const out = allocate(x.type, data.length) as Float32Array;
  lines(x.shape, axis, (first, step) => {
    let total = 0;
    for (let i = 0; i < x.shape[axis]!; i++)
      total += node.attributes.p === 1 ? Math.abs(data[first + i * step]!) : data[first + i * step]! ** 2;
    const length = node.attributes.p === 1 ? total : Math.sqrt(total);
    for (let i = 0; i < x.shape[axis]!; i++)
      out[first + i * step] = length === 0 ? 0 : data[first + i * step]! / length;
  });
  return out;
}

export function meanVariance(node: NodeOf<'MeanVarianceNormalization'>, x: Tensor): TypedArray {
  const axes = new Set(axesOf(node, node.attributes.axes, x.shape.length));
  const kept = x.shape.map((dim, i) => (axes.has(i) ? 1 : dim));
  const index = new Int32Array(x.data.length);
  fillIndex(
    index,
    x.shape,
    stridesOf(kept).map((stride, i) => (axes.has(i) ? 0 : stride)),
    0,
  );
  const data = doubles(x.data);
  const groups = elementCount(kept);
  const count = data.length / groups;
  const means = new Float64Array(groups);
  const squares = new Float64Array(groups);
  for (let i = 0; i < data.length; i++) means[index[i]!]! += data[i]! / count;
  for (let i = 0; i < data.length; i++) squares[index[i]!]! += (data[i]! - means[index[i]!]!) ** 2 / count;
  const out = allocate(x.type, data.length) as Float32Array;
  for (let i = 0; i < data.length; i++)
    out[i] = (data[i]! - means[index[i]!]!) / (Math.sqrt(squares[index[i]!]!) + 1e-9);
  return out;
}
