// Operators that move elements and compute none: transpose, slice, concat, gather, pad, resize by nearest and the like.
// Not typed: they work on any element type, also on quantised integers.
import { constantInput, type Node, nodeError, type NodeOf, shapeOf } from '../graph.js';
import { axisOf, padsOf, resizeGeometry, sliceRanges } from '../geometry.js';
import { elementCount, type Shape, stridesOf, type TypedArray } from '../types.js';
import { allocate, broadcastIndex, fillIndex, gatherElements, roundHalfEven, type Tensor } from './tensor.js';

type Writable = Float32Array;

export function transpose(x: Tensor, perm: readonly number[]): TypedArray {
  const strides = stridesOf(x.shape);
  const index = new Int32Array(x.data.length);
  fillIndex(
    index,
    perm.map((axis) => x.shape[axis]!),
    perm.map((axis) => strides[axis]!),
    0,
  );
  return gatherElements(x.data, index);
}

export function slice(node: NodeOf<'Slice'>, x: Tensor): TypedArray {
  const { start, step, size } = sliceRanges(node);
  const strides = stridesOf(x.shape);
  const index = new Int32Array(elementCount(size));
  const base = start.reduce((sum, from, axis) => sum + from * strides[axis]!, 0);
  if (index.length > 0)
    fillIndex(
      index,
      size,
      strides.map((stride, axis) => stride * step[axis]!),
      base,
    );
  return gatherElements(x.data, index);
}

export function expand(x: Tensor, shape: Shape): TypedArray {
  const index = broadcastIndex(x.shape, shape);
  return index === undefined ? x.data : gatherElements(x.data, index);
}

export function concat(node: NodeOf<'Concat'>, inputs: readonly Tensor[]): TypedArray {
  const output = node.outputs[0]!;
  const shape = shapeOf(output);
  const axis = axisOf(node, node.attributes.axis, shape.length);
  const out = allocate(inputs[0]!.type, elementCount(shape)) as Writable;
  const outer = elementCount(shape.slice(0, axis));
  const row = elementCount(shape.slice(axis));
  let at = 0;
  for (const input of inputs) {
    const part = elementCount(input.shape.slice(axis));
    const data = input.data as Writable;
    for (let o = 0; o < outer; o++) out.set(data.subarray(o * part, (o + 1) * part), o * row + at);
    at += part;
  }
  return out;
}

export function split(node: NodeOf<'Split'>, x: Tensor): TypedArray[] {
  const axis = axisOf(node, node.attributes.axis, x.shape.length);
  const outer = elementCount(x.shape.slice(0, axis));
  const row = elementCount(x.shape.slice(axis));
  let at = 0;
  return node.outputs.map((value) => {
    const part = elementCount(shapeOf(value).slice(axis));
    const out = allocate(x.type, outer * part) as Writable;
    for (let o = 0; o < outer; o++)
      out.set((x.data as Writable).subarray(o * row + at, o * row + at + part), o * part);
    at += part;
    return out;
  });
}

export function gather(node: NodeOf<'Gather'>, x: Tensor, indices: Tensor): TypedArray {
  const axis = axisOf(node, node.attributes.axis, x.shape.length);
  const dim = x.shape[axis]!;
  const outer = elementCount(x.shape.slice(0, axis));
  const inner = elementCount(x.shape.slice(axis + 1));
  const count = indices.data.length;
  const out = allocate(x.type, outer * count * inner) as Writable;
  for (let i = 0; i < count; i++) {
    const given = Number(indices.data[i]);
    const at = given < 0 ? given + dim : given;
    if (!(at >= 0 && at < dim)) throw nodeError(node, 'EINVAL', `index ${given} is outside size ${dim}`);
    for (let o = 0; o < outer; o++) {
      const from = (o * dim + at) * inner;
      out.set((x.data as Writable).subarray(from, from + inner), (o * count + i) * inner);
    }
  }
  return out;
}

export function gatherAlong(node: NodeOf<'GatherElements'>, x: Tensor, indices: Tensor): TypedArray {
  const axis = axisOf(node, node.attributes.axis, x.shape.length);
  const strides = stridesOf(x.shape);
  const index = new Int32Array(indices.data.length);
  fillIndex(
    index,
    indices.shape,
    strides.map((stride, i) => (i === axis ? 0 : stride)),
    0,
  );
  const dim = x.shape[axis]!;
  for (let i = 0; i < index.length; i++) {
    const given = Number(indices.data[i]);
    const at = given < 0 ? given + dim : given;
    if (!(at >= 0 && at < dim)) throw nodeError(node, 'EINVAL', `index ${given} is outside size ${dim}`);
    index[i]! += at * strides[axis]!;
  }
  return gatherElements(x.data, index);
}

/** Where a pad position reads from along one axis; -1 for the constant. */
function padSource(mode: string, at: number, dim: number): number {
  if (at >= 0 && at < dim) return at;
  if (mode === 'edge') return at < 0 ? 0 : dim - 1;
  if (mode === 'wrap') return ((at % dim) + dim) % dim;
  if (mode === 'reflect') {
    if (dim === 1) return 0;
    const period = 2 * (dim - 1);
    const m = ((at % period) + period) % period;
    return m < dim ? m : period - m;
  }
  return -1;
}

export function pad(node: NodeOf<'Pad'>, x: Tensor, value: Tensor | undefined): TypedArray {
  const { begin } = padsOf(node);
  const { mode } = node.attributes;
  if (!['constant', 'edge', 'reflect', 'wrap'].includes(mode))
    throw nodeError(node, 'EOPNOTSUPP', `mode ${mode}`);
  const shape = shapeOf(node.outputs[0]!);
  const strides = stridesOf(x.shape);
  const out = allocate(x.type, elementCount(shape)) as Writable;
  if (mode === 'constant' && value !== undefined && value.data.length > 0) out.fill(value.data[0] as number);
  const sources = shape.map((dim, axis) =>
    Int32Array.from({ length: dim }, (_, i) => padSource(mode, i - begin[axis]!, x.shape[axis]!)),
  );
  const coordinate = shape.map(() => 0);
  for (let i = 0; i < out.length; i++) {
    let from = 0;
    for (let axis = 0; axis < shape.length && from >= 0; axis++) {
      const source = sources[axis]![coordinate[axis]!]!;
      from = source < 0 ? -1 : from + source * strides[axis]!;
    }
    if (from >= 0) out[i] = (x.data as Writable)[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++coordinate[axis]! < shape[axis]!) break;
      coordinate[axis] = 0;
    }
  }
  return out;
}

export function tile(x: Tensor, shape: Shape): TypedArray {
  const strides = stridesOf(x.shape);
  const outer = stridesOf(shape);
  const index = new Int32Array(elementCount(shape));
  for (let i = 0; i < index.length; i++) {
    let from = 0;
    for (let axis = 0; axis < shape.length; axis++)
      from += (Math.floor(i / outer[axis]!) % x.shape[axis]!) * strides[axis]!;
    index[i] = from;
  }
  return gatherElements(x.data, index);
}

export function depthToSpace(node: NodeOf<'DepthToSpace'>, x: Tensor): TypedArray {
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const { blocksize: b, mode } = node.attributes;
  const rest = c / (b * b);
  const split6 = mode === 'CRD' ? [n, rest, b, b, h, w] : [n, b, b, rest, h, w];
  const perm = mode === 'CRD' ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
  return transpose({ ...x, shape: split6 }, perm);
}

export function spaceToDepth(node: NodeOf<'SpaceToDepth'>, x: Tensor): TypedArray {
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const b = node.attributes.blocksize;
  return transpose({ ...x, shape: [n, c, h / b, b, w / b, b] }, [0, 3, 5, 1, 2, 4]);
}

/** The input coordinate of an output coordinate along one axis (ONNX Resize, coordinate_transformation_mode). */
function sourceCoordinate(mode: string, at: number, scale: number, input: number, output: number): number {
  switch (mode) {
    case 'asymmetric':
      return at / scale;
    case 'align_corners':
      // The resized length before it was rounded down.
      return output === 1 ? 0 : (at * (input - 1)) / (scale * input - 1);
    case 'pytorch_half_pixel':
      return output > 1 ? (at + 0.5) / scale - 0.5 : 0;
    case 'half_pixel_symmetric': {
      const adjustment = output / (scale * input);
      const centre = input / 2;
      return centre * (1 - adjustment) + (at + 0.5) / scale - 0.5;
    }
    default:
      return (at + 0.5) / scale - 0.5;
  }
}

function nearest(mode: string, x: number): number {
  switch (mode) {
    case 'floor':
      return Math.floor(x);
    case 'ceil':
      return Math.ceil(x);
    case 'round_prefer_ceil':
      return Math.floor(x + 0.5);
    default:
      return Math.ceil(x - 0.5);
  }
}

/** Resize: nearest moves elements of any type; linear and cubic interpolate axis by axis in doubles. */
export function resize(node: NodeOf<'Resize'>, x: Tensor): TypedArray {
  const a = node.attributes;
  const { size, scale } = resizeGeometry(node);
  if (a.coordinate_transformation_mode === 'tf_crop_and_resize')
    throw nodeError(node, 'EOPNOTSUPP', 'tf_crop_and_resize is not supported');
  if (a.antialias !== 0 && scale.some((s) => s < 1))
    throw nodeError(node, 'EOPNOTSUPP', 'antialias is not supported');
  const coordinate = (axis: number, at: number) =>
    sourceCoordinate(a.coordinate_transformation_mode, at, scale[axis]!, x.shape[axis]!, size[axis]!);
  let data: TypedArray = x.data;
  let shape = [...x.shape];
  for (let axis = 0; axis < shape.length; axis++) {
    const dim = shape[axis]!;
    if (size[axis] === dim && scale[axis] === 1) continue;
    const outer = elementCount(shape.slice(0, axis));
    const inner = elementCount(shape.slice(axis + 1));
    const taps = Array.from({ length: size[axis]! }, (_, at) => weights(a, coordinate(axis, at), dim));
    const moves = a.mode === 'nearest';
    const out = allocate(moves ? x.type : 'float64', outer * size[axis]! * inner) as Float64Array;
    const from = data as Float64Array;
    for (let o = 0; o < outer; o++) {
      for (let at = 0; at < taps.length; at++) {
        const to = (o * taps.length + at) * inner;
        for (const [index, weight] of taps[at]!) {
          const source = (o * dim + index) * inner;
          if (moves) for (let i = 0; i < inner; i++) out[to + i] = from[source + i]!;
          else for (let i = 0; i < inner; i++) out[to + i]! += weight * from[source + i]!;
        }
      }
    }
    data = out;
    shape = shape.map((d, i) => (i === axis ? size[axis]! : d));
  }
  if (data.constructor === x.data.constructor) return data;
  const out = allocate(x.type, data.length) as Float32Array;
  const whole = !(out instanceof Float32Array);
  for (let i = 0; i < out.length; i++)
    out[i] = whole ? roundHalfEven(data[i] as number) : (data[i] as number);
  return out;
}

/** The input elements an output coordinate takes, with their weights. */
function weights(a: NodeOf<'Resize'>['attributes'], x: number, dim: number): [number, number][] {
  const inside = (i: number) => Math.min(dim - 1, Math.max(0, i));
  if (a.mode === 'nearest') return [[inside(nearest(a.nearest_mode, x)), 1]];
  const base = Math.floor(x);
  const t = x - base;
  let taps: [number, number][];
  if (a.mode === 'cubic') {
    const k = a.cubic_coeff_a;
    const near = (d: number) => (k + 2) * d ** 3 - (k + 3) * d ** 2 + 1;
    const far = (d: number) => k * d ** 3 - 5 * k * d ** 2 + 8 * k * d - 4 * k;
    taps = [
      [base - 1, far(1 + t)],
      [base, near(t)],
      [base + 1, near(1 - t)],
      [base + 2, far(2 - t)],
    ];
  } else {
    taps = [
      [base, 1 - t],
      [base + 1, t],
    ];
  }
  if (a.exclude_outside !== 0) {
    taps = taps.filter(([i]) => i >= 0 && i < dim);
    const total = taps.reduce((sum, [, weight]) => sum + weight, 0);
    return taps.map(([i, weight]) => [i, weight / total]);
  }
  return taps.map(([i, weight]) => [inside(i), weight]);
}

/** Keeps the upper or lower triangle of the last two axes. */
export function trilu(node: NodeOf<'Trilu'>, x: Tensor): TypedArray {
  const k = node.inputs[1] === undefined ? 0 : constantInput(node, 1)![0]!;
  const [rows, columns] = [x.shape.at(-2)!, x.shape.at(-1)!];
  const out = x.data.slice() as Writable;
  const zero = (x.type === 'int64' || x.type === 'uint64' ? 0n : 0) as number;
  for (let i = 0; i < out.length; i++) {
    const column = i % columns;
    const row = Math.floor(i / columns) % rows;
    if (node.attributes.upper !== 0 ? column - row < k : column - row > k) out[i] = zero;
  }
  return out;
}

/** The elements of a node's constant description (Constant, ConstantOfShape, Shape, Size, Range). */
export function generate(node: Node, inputs: readonly (Tensor | undefined)[]): TypedArray | undefined {
  switch (node.op) {
    case 'Constant':
      return node.attributes.value.data.array();
    case 'ConstantOfShape': {
      const { type, fill } = node.attributes.value;
      return allocate(type, elementCount(shapeOf(node.outputs[0]!))).fill(fill as never);
    }
    case 'Shape': {
      const { shape } = inputs[0]!;
      const clamp = (n: number) => Math.min(Math.max(n < 0 ? n + shape.length : n, 0), shape.length);
      return BigInt64Array.from(
        shape.slice(clamp(node.attributes.start), clamp(node.attributes.end)),
        BigInt,
      );
    }
    case 'Size':
      return BigInt64Array.of(BigInt(elementCount(inputs[0]!.shape)));
    case 'Range': {
      const out = allocate(node.outputs[0]!.type, elementCount(shapeOf(node.outputs[0]!)));
      const [start, delta] = [Number(inputs[0]!.data[0]), Number(inputs[2]!.data[0])];
      const big = out instanceof BigInt64Array;
      for (let i = 0; i < out.length; i++)
        (out as Writable)[i] = (big ? BigInt(start + i * delta) : start + i * delta) as number;
      return out;
    }
    default:
      return undefined;
  }
}
