// Sums, means and extremes over any axes in fp16: the tensor as a cube of kept and reduced runs of axes.
// Not windows (pooling.ts) and not int8 means over the plane (average.ts).
import { inputOf, type Node, nodeError, type NodeOf, shapeOf, type Value } from '../../ir/index.js';
import { cubeShape, type PlacedValue, reshapeDims, rowMajor, type Strides, stridesOn } from './cube.js';
import type { CubeSize, Lowering } from './lowering.js';
import { convolve } from './pipe.js';
import { maxPool } from './pooling.js';
import { planResult } from './result.js';
import type { Axis } from './tiles.js';

type Reduction = NodeOf<'ReduceSum'> | NodeOf<'ReduceMean'> | NodeOf<'ReduceMax'> | NodeOf<'ReduceMin'>;

const sides = ['c', 'y', 'x'] as const;
type Side = (typeof sides)[number];

/** Sums take channels, lines and columns; extremes lines and columns alone. */
export function lowerReduction(lowering: Lowering, node: Reduction): void {
  const value = inputOf(node, 0);
  const reduced = reducedAxes(node, shapeOf(value));
  const extreme = node.op === 'ReduceMax' || node.op === 'ReduceMin';
  const input = inputCube(lowering, node, value, reduced, extreme);
  if (!input.quantization.half)
    throw nodeError(node, 'EOPNOTSUPP', 'sums over axes are computed in fp16 only');
  const { over, strides } = sidesOf(node, input, shapeOf(value), reduced);
  const { cube } = input;
  const extents: Record<Side, number> = { c: cube.channels, y: cube.height, x: cube.width };
  const size: CubeSize = {
    channels: over.has('c') ? 1 : extents.c,
    height: over.has('y') ? 1 : extents.y,
    width: over.has('x') ? 1 : extents.x,
  };
  const axis = (side: 'y' | 'x'): Axis => ({
    input: extents[side],
    output: over.has(side) ? 1 : extents[side],
    kernel: over.has(side) ? extents[side] : 1,
    stride: 1,
    dilation: 1,
    pad: 0,
  });
  const axes = { y: axis('y'), x: axis('x') };
  if (extreme) {
    if (over.has('c')) throw nodeError(node, 'EOPNOTSUPP', 'PDP compares lines and columns, not channels');
    return maxPool(lowering, node, input, size, strides, axes, node.op === 'ReduceMax' ? 'max' : 'min');
  }
  let divisor = 1;
  if (node.op === 'ReduceMean') for (const side of over) divisor *= extents[side];
  const result = planResult(lowering, node, node.outputs[0]!, size, strides);
  convolve(
    lowering,
    {
      node,
      input,
      size,
      kernel: (_, into) => into.fill(1),
      group: over.has('c') ? 1 : extents.c,
      axes,
      factor: new Float64Array(size.channels).fill(1),
      bias: new Float64Array(size.channels),
      rectangles: [{ y: { from: 0, to: size.height }, x: { from: 0, to: size.width }, divisor }],
      countsMacs: false,
    },
    result,
  );
  result.finish();
}

/** Axes of more than one element that are reduced. */
function reducedAxes(node: Reduction, shape: readonly number[]): Set<number> {
  const given = node.inputs[1];
  if (given !== undefined && given.data === undefined)
    throw nodeError(node, 'EOPNOTSUPP', 'the axes must be known at compile time');
  const axes = given?.data?.numbers() ?? [];
  const none = axes.length === 0;
  if (none && node.attributes.noop_with_empty_axes !== 0)
    throw nodeError(node, 'EOPNOTSUPP', 'it reduces nothing');
  const all = none ? [...shape.keys()] : axes.map((axis) => (axis < 0 ? axis + shape.length : axis));
  const reduced = new Set(all.filter((axis) => shape[axis] !== 1));
  if (reduced.size === 0) throw nodeError(node, 'EOPNOTSUPP', 'it reduces nothing');
  return reduced;
}

/** The tensor in a cube whose sides are runs of axes of one kind; in the one that it has. */
function inputCube(
  lowering: Lowering,
  node: Node,
  value: Value,
  reduced: ReadonlySet<number>,
  extreme: boolean,
): PlacedValue {
  const known = lowering.valueOf(node, value);
  if (known.kind === 'placed') return known;
  const runs: { size: number; reduced: boolean }[] = [];
  shapeOf(value).forEach((dim, axis) => {
    if (dim === 1) return;
    const last = runs.at(-1);
    if (last !== undefined && last.reduced === reduced.has(axis)) last.size *= dim;
    else runs.push({ size: dim, reduced: reduced.has(axis) });
  });
  if (runs.length > 3)
    throw nodeError(node, 'EOPNOTSUPP', 'kept and reduced axes change more often than a cube has sides');
  // The first reduced run along the channels for sums, a kept one for extremes; the others as lines and columns.
  const lead = runs.findIndex((run) => run.reduced !== extreme);
  const order = [lead, ...runs.keys()].filter((run, at, list) => run >= 0 && list.indexOf(run) === at);
  const places: number[] = lead < 0 ? [-1, ...order] : order;
  const shape = runs.map(({ size }) => size);
  const dims = reshapeDims(known.dims, shape);
  if (dims === undefined) throw nodeError(node, 'EOPNOTSUPP', 'its input is transposed');
  const view: Value = { ...value, name: `${value.name} by runs`, shape };
  lowering.define(view, { ...known, dims });
  const axes = [places[0] ?? -1, places[1] ?? -1, places[2] ?? -1] as const;
  const extent = (axis: number): number => (axis < 0 ? 1 : shape[axis]!);
  const size = { channels: extent(axes[0]), height: extent(axes[1]), width: extent(axes[2]) };
  return lowering.inCubeOf(node, view, size, stridesOn(rowMajor(shape), axes));
}

/** Which sides of the cube are reduced, and the strides of the others in the result. */
function sidesOf(
  node: Node,
  { cube, strides }: PlacedValue,
  shape: readonly number[],
  reduced: ReadonlySet<number>,
): { over: Set<Side>; strides: Strides } {
  const dims = rowMajor(shape);
  const kept = shape.map((dim, axis) => (reduced.has(axis) ? 1 : dim));
  const keptDims = rowMajor(kept);
  const over = new Set<Side>();
  const after: Record<Side, number> = { c: 0, y: 0, x: 0 };
  const extents: Record<Side, number> = { c: cube.channels, y: cube.height, x: cube.width };
  for (const side of sides) {
    if (extents[side] === 1) continue;
    const stride = strides[side];
    const own = [...dims.keys()].filter(
      (axis) =>
        dims[axis]!.size > 1 && dims[axis]!.stride >= stride && dims[axis]!.stride < stride * extents[side],
    );
    const flags = new Set(own.map((axis) => reduced.has(axis)));
    if (flags.size !== 1) throw nodeError(node, 'EOPNOTSUPP', 'a side of its cube is reduced in part');
    if (flags.has(true)) over.add(side);
    else after[side] = keptDims[own.at(-1)!]!.stride;
  }
  return { over, strides: after };
}

/** Whether the axes are lines and columns of an image: other means are no reduction. */
export function isPlaneMean(node: NodeOf<'ReduceMean'>): boolean {
  const shape = shapeOf(inputOf(node, 0));
  const axes = node.inputs[1]?.data?.numbers().map((axis) => (axis < 0 ? axis + shape.length : axis));
  return cubeShape(shape) !== undefined && shape.length === 4 && axes?.sort((a, b) => a - b).join() === '2,3';
}
