// Values in memory: planes, and how the elements of a tensor lie in one.
// Not addresses: planes get theirs when the whole segment is known (emit.ts).
import type { Shape } from '../../ir/index.js';
import { stridesOf } from '../../ir/index.js';

/** A run of device memory that holds one value and the zeros around it. Starts on 64 bytes. Compared by identity. */
export interface Plane {
  readonly name: string;
  /** Of 16 bits, slack at the end included. */
  readonly elements: number;
}

/** An element of a plane: where a layer reads or writes. */
export interface At {
  readonly plane: Plane;
  readonly offset: number;
}

/**
 * One loop over a tensor's elements. The row-major index grows by `tensor`, the place by `memory` from one to the next.
 * Row-major indexes do not change when a tensor is given another shape: Reshape costs nothing.
 */
export interface Dim {
  readonly size: number;
  readonly tensor: number;
  readonly memory: number;
  /** Steps before the first and after the last element at which memory holds zeros. */
  readonly before: number;
  readonly after: number;
}

/** What the integers in memory stand for: real = scale * stored. Zero points are taken off when tensors are copied in. */
export interface Stored {
  readonly scale: number;
  /** No element is larger in magnitude. */
  readonly limit: number;
  /** Of the tensor outside, when that is quantised. */
  readonly zeroPoint: number;
}

/** A tensor's elements in a plane. */
export interface View {
  readonly plane: Plane;
  readonly offset: number;
  readonly dims: readonly Dim[];
  readonly stored: Stored;
}

/** What is needed of dims to walk them. */
export type Loop = Pick<Dim, 'size' | 'tensor' | 'memory'>;

/** The dims of a tensor that lies row-major. */
export function wholeDims(count: number): Dim[] {
  return [{ size: count, tensor: 1, memory: 1, before: 0, after: 0 }];
}

/**
 * Dims cut so that each lies in one axis of `shape`; per axis, outermost first. Undefined when a dim lies across an axis: a copy
 * would be needed.
 */
export function axesOf(dims: readonly Dim[], shape: Shape): Dim[][] | undefined {
  const strides = stridesOf(shape);
  const pieces: Dim[] = [];
  for (const dim of dims) {
    let rest = dim;
    if (rest.size === 1) continue;
    // Inner cuts first: strides ascend from the last axis.
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const cut = strides[axis]!;
      if (shape[axis] === 1 || cut <= rest.tensor || cut >= rest.tensor * rest.size) continue;
      const inner = cut / rest.tensor;
      if (!Number.isInteger(inner) || rest.size % inner !== 0) return undefined;
      pieces.push({ ...rest, size: inner, before: 0, after: 0 });
      rest = {
        size: rest.size / inner,
        tensor: cut,
        memory: rest.memory * inner,
        before: 0,
        after: 0,
      };
    }
    pieces.push(rest);
  }
  const axes: Dim[][] = shape.map(() => []);
  for (const piece of pieces.sort((a, b) => b.tensor - a.tensor)) {
    const axis = shape.findIndex(
      (size, i) => size > 1 && piece.tensor >= strides[i]! && piece.tensor < strides[i]! * size,
    );
    if (axis < 0 || piece.tensor * piece.size > strides[axis]! * shape[axis]!) return undefined;
    axes[axis]!.push(piece);
  }
  return axes;
}

/** Dims of the transposed tensor: axis i of the result is axis `perm[i]`. */
export function transposeDims(
  dims: readonly Dim[],
  shape: Shape,
  perm: readonly number[],
): Dim[] | undefined {
  const axes = axesOf(dims, shape);
  if (axes === undefined) return undefined;
  const before = stridesOf(shape);
  const after = stridesOf(perm.map((axis) => shape[axis]!));
  return perm.flatMap((axis, i) =>
    axes[axis]!.map((dim) => ({ ...dim, tensor: (dim.tensor / before[axis]!) * after[i]! })),
  );
}

/** Dims of `size` elements of one axis from `start`, and how far the first of them is from the tensor's first in memory. */
export function sliceDims(
  dims: readonly Dim[],
  shape: Shape,
  axis: number,
  start: number,
  size: number,
): { dims: Dim[]; offset: number } | undefined {
  const axes = axesOf(dims, shape);
  if (axes === undefined || axes[axis]!.length > 1) return undefined;
  const strides = stridesOf(shape.map((length, i) => (i === axis ? size : length)));
  const before = stridesOf(shape);
  const own = axes[axis]![0];
  const result = axes.flatMap((list, i) =>
    list.map((dim) => ({
      ...dim,
      tensor: (dim.tensor / before[i]!) * strides[i]!,
      ...(i === axis ? { size, before: 0, after: 0 } : {}),
    })),
  );
  return { dims: result, offset: (own?.memory ?? 0) * start };
}

/** Places of the elements of these dims, in the order of their row-major indexes. */
export function placesOf(loops: readonly Loop[]): Int32Array {
  const ordered = [...loops].sort((a, b) => b.tensor - a.tensor);
  let places = Int32Array.of(0);
  for (const { size, memory } of ordered) {
    const next = new Int32Array(places.length * size);
    let at = 0;
    for (const place of places) for (let i = 0; i < size; i++) next[at++] = place + i * memory;
    places = next;
  }
  return places;
}

/** Elements from the first to the last of these dims, both included. */
export function spanOf(loops: readonly Loop[]): number {
  return loops.reduce((span, { size, memory }) => span + (size - 1) * memory, 1);
}
