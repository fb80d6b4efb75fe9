// Operators that only say how a tensor is read: they move nothing, the next layer or the host reads other places.
// Not those that have to copy: join.ts.
import {
  constantInput,
  inputOf,
  type Node,
  nodeError,
  type NodeOf,
  shapeOf,
  sliceRanges,
  type Value,
} from '../../ir/index.js';
import type { DeviceValue, Lowering } from './lowering.js';
import { sameScale } from './scale.js';
import { type Dim, sliceDims, transposeDims } from './view.js';

function dimsOf(value: DeviceValue): readonly Dim[] {
  return value.kind === 'placed' ? value.view.dims : value.value.dims;
}

/** The same elements, other dims, from `offset` elements on. */
function again(value: DeviceValue, dims: readonly Dim[], offset: number): DeviceValue {
  if (value.kind === 'placed')
    return { kind: 'placed', view: { ...value.view, dims, offset: value.view.offset + offset } };
  return { kind: 'pending', value: { ...value.value, dims, offset: value.value.offset + offset } };
}

function known(lowering: Lowering, node: Node): DeviceValue {
  const x = inputOf(node, 0);
  for (const out of node.outputs) checkScale(node, x, out);
  return lowering.valueOf(node, x);
}

function checkScale(node: Node, x: Value, out: Value): void {
  if (out.quantization === undefined && x.quantization === undefined) return;
  if (!sameScale(node, x, out)) throw nodeError(node, 'EOPNOTSUPP', 'moves elements and changes their scale');
}

/** Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout: the same elements in the same order under another shape. */
export function lowerReshape(lowering: Lowering, node: Node): void {
  lowering.define(node.outputs[0]!, known(lowering, node));
}

export function lowerTranspose(lowering: Lowering, node: NodeOf<'Transpose'>): void {
  const value = known(lowering, node);
  const dims = transposeDims(dimsOf(value), shapeOf(inputOf(node, 0)), node.attributes.perm);
  if (dims === undefined)
    throw nodeError(node, 'EOPNOTSUPP', 'an axis of its memory is no axis of the tensor');
  lowering.define(node.outputs[0]!, again(value, dims, 0));
}

/** Part of one axis; the rest of the axes whole. */
function part(lowering: Lowering, node: Node, out: Value, axis: number, start: number, size: number): void {
  const value = known(lowering, node);
  const cut = sliceDims(dimsOf(value), shapeOf(inputOf(node, 0)), axis, start, size);
  if (cut === undefined)
    throw nodeError(node, 'EOPNOTSUPP', 'an axis of its memory is no axis of the tensor');
  lowering.define(out, again(value, cut.dims, cut.offset));
}

export function lowerSlice(lowering: Lowering, node: NodeOf<'Slice'>): void {
  const shape = shapeOf(inputOf(node, 0));
  const { start, step, size } = sliceRanges(node);
  const cut = shape.flatMap((length, axis) => (size[axis] === length && start[axis] === 0 ? [] : [axis]));
  if (step.some((each) => each !== 1) || cut.length > 1)
    throw nodeError(node, 'EOPNOTSUPP', 'takes steps, or parts of more than one axis');
  const axis = cut[0] ?? 0;
  part(lowering, node, node.outputs[0]!, axis, start[axis]!, size[axis]!);
}

export function lowerSplit(lowering: Lowering, node: NodeOf<'Split'>): void {
  const rank = shapeOf(inputOf(node, 0)).length;
  const axis = node.attributes.axis < 0 ? node.attributes.axis + rank : node.attributes.axis;
  let start = 0;
  for (const out of node.outputs) {
    const size = shapeOf(out)[axis]!;
    part(lowering, node, out, axis, start, size);
    start += size;
  }
}

/** Gather of one known index: a slice whose axis is then left out. */
export function lowerGather(lowering: Lowering, node: NodeOf<'Gather'>): void {
  const shape = shapeOf(inputOf(node, 0));
  const indexes = constantInput(node, 1)!;
  if (indexes.length !== 1) throw nodeError(node, 'EOPNOTSUPP', 'gathers more than one element');
  const axis = node.attributes.axis < 0 ? node.attributes.axis + shape.length : node.attributes.axis;
  const index = indexes[0]! < 0 ? indexes[0]! + shape[axis]! : indexes[0]!;
  part(lowering, node, node.outputs[0]!, axis, index, 1);
}
