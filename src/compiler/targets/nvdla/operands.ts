// The two inputs of an operator on tensors as SDP takes them: a cube, and an operand for every point of it or for every channel.
// Not what is done with them: product.ts, extremes.ts, residual.ts and half.ts.
import { type Node, nodeError, shapeOf, type Value } from '../../ir/index.js';
import { cubeShape, type PlacedValue, rootOf, wholeWindow, type Window } from './cube.js';
import type { Lowering } from './lowering.js';

export interface Operands {
  /** What SDP runs over: as large as the result. */
  readonly source: PlacedValue;
  readonly operand: PlacedValue;
  readonly mode: 'point' | 'kernel';
  /** Whether the source is the second input. */
  readonly swapped: boolean;
}

/** Where an operand lies. */
export function operandWindow({ operand }: Pick<Operands, 'operand'>): Window {
  return wholeWindow(operand.cube);
}

/** Both inputs in cubes of one shape and order, or one of them as a vector of a value per channel. Throws EOPNOTSUPP for other shapes. */
export function operandsOf(lowering: Lowering, node: Node, a: Value, b: Value): Operands {
  const [shapeA, shapeB] = [shapeOf(a), shapeOf(b)];
  if (sameShape(shapeA, shapeB)) {
    const [source, operand] = sameCube(lowering, node, a, b);
    return { source, operand, mode: 'point', swapped: false };
  }
  if (isPerChannel(shapeB, shapeA)) return perChannel(lowering, node, a, b, false);
  if (isPerChannel(shapeA, shapeB)) return perChannel(lowering, node, b, a, true);
  throw nodeError(
    node,
    'EOPNOTSUPP',
    'SDP takes an operand of the same shape, or one value per channel: not what the shapes broadcast to',
  );
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/** Whether a tensor of shape `own`, broadcast to `shape`, has one value per channel of its cube. */
export function isPerChannel(own: readonly number[], shape: readonly number[]): boolean {
  const axis = cubeShape(shape)?.axes[0];
  if (axis === undefined || own.length > shape.length) return false;
  const lead = shape.length - own.length;
  return own.every((dim, i) => dim === (i + lead === axis ? shape[axis] : 1));
}

function perChannel(
  lowering: Lowering,
  node: Node,
  tensor: Value,
  vector: Value,
  swapped: boolean,
): Operands {
  const source = lowering.inCube(node, tensor);
  const size = { channels: source.cube.channels, height: 1, width: 1 };
  const operand = lowering.inCubeOf(node, vector, size, { c: 1, y: 0, x: 0 });
  const root = rootOf(operand.cube);
  if (root.height !== 1 || root.width !== 1)
    throw nodeError(node, 'EOPNOTSUPP', 'the values per channel do not lie one after the other');
  return { source, operand, mode: 'kernel', swapped };
}

/** Both values in cubes of one shape and order. Whichever is in a cube already decides. */
function sameCube(lowering: Lowering, node: Node, a: Value, b: Value): [PlacedValue, PlacedValue] {
  const knownA = lowering.valueOf(node, a);
  const knownB = lowering.valueOf(node, b);
  const placed = knownA.kind === 'placed' ? knownA : knownB.kind === 'placed' ? knownB : undefined;
  if (placed === undefined) return [lowering.inAnyCube(node, a), lowering.inAnyCube(node, b)];
  const { cube, strides } = placed;
  return [lowering.inCubeOf(node, a, cube, strides), lowering.inCubeOf(node, b, cube, strides)];
}
