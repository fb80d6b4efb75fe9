// Values as the hardware sees them: cubes of channels, lines and columns, windows into cubes, and how tensors map to them.
// Not memory: a cube gets its place when the whole segment is known (memory.ts).
import { type Node, nodeError, type Quantization, type Value } from '../../ir/index.js';
import type { ConstantBlob } from './layers.js';
import type { Quantized } from './scale.js';

/** A cube in device memory: packed surfaces of its own, or a part of another cube. Compared by identity. */
export interface Cube {
  readonly name: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Of an element: int8 or fp16. */
  readonly elementBytes: 1 | 2;
  /** Set when it lies in another cube. `channel` is a multiple of the atom. */
  inside?: { readonly cube: Cube; readonly channel: number; readonly y: number; readonly x: number };
  /** Set when its elements are known: it lies among the constants. */
  readonly constant?: ConstantBlob;
}

/** The cube with memory of its own that this one lies in. */
export function rootOf(cube: Cube): Cube {
  let root = cube;
  while (root.inside !== undefined) root = root.inside.cube;
  return root;
}

/** The same elements as a window of the root. */
export function inRoot(window: Window): Window {
  let { cube, channel, y, x } = window;
  for (; cube.inside !== undefined; { cube } = cube.inside) {
    channel += cube.inside.channel;
    y += cube.inside.y;
    x += cube.inside.x;
  }
  return { ...window, cube, channel, y, x };
}

/** A part of a cube. The first channel is a multiple of the atom. */
export interface Window {
  readonly cube: Cube;
  readonly channel: number;
  readonly y: number;
  readonly x: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** From one of its lines to the next, in lines of the cube. Default 1. */
  readonly lineStep?: number;
  /**
   * From one of its columns to the next, in columns of the cube. Columns of a line lie one after the other for the hardware, but lines and
   * surfaces anywhere: a window with a step is addressed with columns as its lines and lines as its surfaces. It has the channels of one
   * atom, and so have all other windows of its layer.
   */
  readonly columnStep?: number;
}

/** Element (c, y, x) of a cube is element c * strides.c + y * strides.y + x * strides.x of a row-major tensor. */
export interface Strides {
  readonly c: number;
  readonly y: number;
  readonly x: number;
}

/** A value that a layer of the device makes, or that has been put into a cube. */
export interface PlacedValue {
  readonly kind: 'placed';
  readonly cube: Cube;
  readonly strides: Strides;
  readonly quantization: Quantized;
}

/**
 * A value that comes from outside and is not in a cube yet: which cube is best depends on who uses it. Its element at index i is
 * the element of `source` at the sum of i[n] * dims[n].stride. Layout operators before the first layer cost nothing this way.
 */
export interface PendingValue {
  readonly kind: 'pending';
  readonly source: Value;
  /** Where in the source it begins, if not at the first element: an image of a batch. */
  readonly part?: { readonly from: number; readonly count: number };
  readonly dims: readonly Dim[];
  readonly quantization: Quantized;
}

export interface Dim {
  readonly size: number;
  /** In elements of the source. */
  readonly stride: number;
}

export type DeviceValue = PlacedValue | PendingValue;

export function wholeWindow(cube: Cube): Window {
  const { channels, height, width } = cube;
  return { cube, channel: 0, y: 0, x: 0, channels, height, width };
}

/** Sizes of a cube for a tensor of this shape: [1,C,H,W], [1,C,L], [M,K] (rows become columns of the cube), [K]. */
export function cubeShape(
  shape: readonly number[],
): { channels: number; height: number; width: number; axes: [number, number, number] } | undefined {
  switch (shape.length) {
    case 4:
      return shape[0] === 1
        ? { channels: shape[1]!, height: shape[2]!, width: shape[3]!, axes: [1, 2, 3] }
        : undefined;
    case 3:
      return shape[0] === 1
        ? { channels: shape[1]!, height: 1, width: shape[2]!, axes: [1, -1, 2] }
        : undefined;
    case 2:
      return { channels: shape[1]!, height: 1, width: shape[0]!, axes: [1, -1, 0] };
    case 1:
      return { channels: shape[0]!, height: 1, width: 1, axes: [0, -1, -1] };
    default:
      return undefined;
  }
}

/** Strides of `axes` (channel, line, column; -1 for none) in a row-major tensor of `dims`. */
export function stridesOn(dims: readonly Dim[], axes: readonly [number, number, number]): Strides {
  const stride = (axis: number): number => (axis < 0 ? 0 : dims[axis]!.stride);
  return { c: stride(axes[0]), y: stride(axes[1]), x: stride(axes[2]) };
}

/** Row-major dims of a shape. */
export function rowMajor(shape: readonly number[]): Dim[] {
  const dims: Dim[] = [];
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    dims.unshift({ size: shape[axis]!, stride });
    stride *= shape[axis]!;
  }
  return dims;
}

/** Whether the strides agree along every axis that has more than one element. */
export function sameStrides(
  cube: { channels: number; height: number; width: number },
  a: Strides,
  b: Strides,
): boolean {
  return (
    (cube.channels === 1 || a.c === b.c) &&
    (cube.height === 1 || a.y === b.y) &&
    (cube.width === 1 || a.x === b.x)
  );
}

/** Strides of a placed value of `shape` after a transposition; undefined when an axis of the cube is no axis of the tensor. */
export function transposeStrides(
  { cube, strides }: PlacedValue,
  shape: readonly number[],
  perm: readonly number[],
): Strides | undefined {
  const before = rowMajor(shape);
  const after = rowMajor(perm.map((axis) => shape[axis]!));
  const moved = (extent: number, stride: number): number | undefined => {
    if (extent === 1) return 0;
    const axis = before.findIndex((dim) => dim.size === extent && dim.stride === stride);
    return axis < 0 ? undefined : after[perm.indexOf(axis)]!.stride;
  };
  const c = moved(cube.channels, strides.c);
  const y = moved(cube.height, strides.y);
  const x = moved(cube.width, strides.x);
  return c === undefined || y === undefined || x === undefined ? undefined : { c, y, x };
}

/** Dims of a pending value under another shape; undefined when that would need a copy. */
export function reshapeDims(dims: readonly Dim[], shape: readonly number[]): Dim[] | undefined {
  const old = dims.filter((dim) => dim.size !== 1);
  const result: Dim[] = shape.map((size) => ({ size, stride: 0 }));
  let from = 0;
  let to = 0;
  while (to < shape.length) {
    if (shape[to] === 1) {
      to++;
      continue;
    }
    // The least run of old axes and of new axes with the same number of elements.
    let oldEnd = from + 1;
    let newEnd = to + 1;
    if (from >= old.length) return undefined;
    let oldCount = old[from]!.size;
    let newCount = shape[to]!;
    while (oldCount !== newCount) {
      if (oldCount < newCount) {
        if (oldEnd >= old.length) return undefined;
        const previous = old[oldEnd - 1]!;
        const next = old[oldEnd]!;
        if (previous.stride !== next.stride * next.size) return undefined;
        oldCount *= next.size;
        oldEnd++;
      } else {
        if (newEnd >= shape.length) return undefined;
        newCount *= shape[newEnd]!;
        newEnd++;
      }
    }
    let stride = old[oldEnd - 1]!.stride;
    for (let axis = newEnd - 1; axis >= to; axis--) {
      result[axis] = { size: shape[axis]!, stride };
      stride *= shape[axis]!;
    }
    from = oldEnd;
    to = newEnd;
  }
  return from === old.length ? result : undefined;
}

/** What float tensors are stored as, where the device computes in fp16. */
export const HALF: Quantized = { scale: 1, zeroPoint: 0, half: true };

/** Scale and zero point of an int8 or uint8 tensor as it is stored: always int8, so uint8 is 128 less. Throws EOPNOTSUPP. */
export function storedQuantization(node: Node, value: Value): Quantized {
  const { type, quantization } = value;
  if ((type !== 'int8' && type !== 'uint8') || quantization === undefined)
    throw nodeError(node, 'EOPNOTSUPP', `"${value.name}" is ${type}, not a quantised 8-bit tensor`);
  return perTensor(node, value, quantization, type === 'uint8' ? 128 : 0);
}

function perTensor(node: Node, value: Value, q: Quantization, shift: number): Quantized {
  if (q.scale.length !== 1)
    throw nodeError(node, 'EOPNOTSUPP', `"${value.name}" has a scale per channel; activations need one`);
  return { scale: q.scale[0]!, zeroPoint: q.zeroPoint[0]! - shift };
}
