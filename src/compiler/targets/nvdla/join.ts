// Concat, Slice, Split and Gather: parts that fill whole atoms are views of one cube; others are copied, by SDP where they begin on an atom,
// else by the convolution pipe.
import {
  inputOf,
  type Node,
  nodeError,
  type NodeOf,
  shapeOf,
  sliceRanges,
  type Value,
} from '../../ir/index.js';
import { cubeShape, type PlacedValue, rowMajor, stridesOn, wholeWindow, type Window } from './cube.js';
import { copyLayer } from './elementwise.js';
import type { CubeSize, Lowering } from './lowering.js';
import { lowerMovement } from './movement.js';
import { planResult, type ResultPlan } from './result.js';
import { gatherChannels, moveChannels } from './select.js';

type Side = 'channel' | 'y' | 'x';
const sides = ['channel', 'y', 'x'] as const;

export function lowerConcat(lowering: Lowering, node: NodeOf<'Concat'>): void {
  const out = node.outputs[0]!;
  const shape = shapeOf(out);
  const size = cubeShape(shape);
  if (size === undefined) throw nodeError(node, 'EOPNOTSUPP', 'the result is no cube: batch is 1');
  const side = sides[size.axes.indexOf(axisOf(node.attributes.axis, shape))];
  if (side === undefined) throw nodeError(node, 'EOPNOTSUPP', 'not along channels, lines or columns');
  const inputs = node.inputs.map((value, index) => {
    if (value === undefined || value.data !== undefined)
      throw nodeError(node, 'EOPNOTSUPP', `input ${index} is a constant`);
    return lowering.inCube(node, value);
  });
  const result = planResult(lowering, node, out, size, stridesOn(rowMajor(shape), size.axes));
  const extents = inputs.map(({ cube }) => extent(cube, side));
  const begins = extents.map((_, i) => extents.slice(0, i).reduce((a, b) => a + b, 0));
  const atom = lowering.atomOf(result.cube);
  const aligned = (channel: number): boolean => side !== 'channel' || channel % atom === 0;
  inputs.forEach((input, i) => {
    const end = begins[i]! + extents[i]!;
    // Layers write whole atoms, whatever is in their rest: a part that shares one with the next goes through the pipe.
    if (aligned(begins[i]!) && (aligned(end) || i === inputs.length - 1)) {
      if (side === 'channel' && placeInside(lowering, input, result, begins[i]!)) return;
      const from = wholeWindow(input.cube);
      copyLayer(
        lowering,
        node,
        from,
        { ...from, cube: result.cube, [side]: begins[i]! },
        scales(input, result),
      );
      return;
    }
    moveChannels(lowering, node, {
      from: sameScale(lowering, node, input, result).cube,
      to: result.cube,
      fromChannel: 0,
      toChannel: begins[i]!,
      channels: extents[i]!,
    });
  });
  result.finish();
}

/**
 * Lets whoever writes the input write a part of the result. Not for cubes that lie elsewhere already (another Concat, the host's
 * inputs), nor for other scales.
 */
function placeInside(
  lowering: Lowering,
  { cube, quantization }: PlacedValue,
  to: ResultPlan,
  channel: number,
): boolean {
  if (cube.inside !== undefined || lowering.isInput(cube) || !sameReals(quantization, to)) return false;
  cube.inside = { cube: to.cube, channel, y: 0, x: 0 };
  return true;
}

function sameReals(
  { scale, zeroPoint }: PlacedValue['quantization'],
  { quantization, relu }: ResultPlan,
): boolean {
  return scale === quantization.scale && zeroPoint === quantization.zeroPoint && !relu;
}

export function lowerSlice(lowering: Lowering, node: NodeOf<'Slice'>): void {
  const { start, step } = sliceRanges(node);
  if (step.some((by) => by !== 1)) return lowerMovement(lowering, node);
  cut(lowering, node, node.outputs[0]!, start);
}

export function lowerSplit(lowering: Lowering, node: NodeOf<'Split'>): void {
  const axis = axisOf(node.attributes.axis, shapeOf(inputOf(node, 0)));
  let begin = 0;
  for (const out of node.outputs) {
    const start = shapeOf(out).map((_, i) => (i === axis ? begin : 0));
    cut(lowering, node, out, start);
    begin += shapeOf(out)[axis]!;
  }
}

/** `out` is the part of input 0 that begins at `start`. */
function cut(lowering: Lowering, node: Node, out: Value, start: readonly number[]): void {
  const shape = shapeOf(out);
  const size = cubeShape(shape);
  if (size === undefined || (shape.length > 2 && start[0] !== 0))
    throw nodeError(node, 'EOPNOTSUPP', 'the result is no cube: batch is 1');
  const input = lowering.inCube(node, inputOf(node, 0));
  const result = planResult(lowering, node, out, size, stridesOn(rowMajor(shape), size.axes));
  const [channel, y, x] = size.axes.map((axis) => (axis < 0 ? 0 : start[axis]!)) as [number, number, number];
  const { channels, height, width } = size;
  if (channel % lowering.atomOf(input.cube) === 0 && sameReals(input.quantization, result)) {
    result.cube.inside = { cube: input.cube, channel, y, x };
  } else if (channel % lowering.atomOf(input.cube) === 0) {
    const from: Window = { cube: input.cube, channel, y, x, channels, height, width };
    copyLayer(lowering, node, from, wholeWindow(result.cube), scales(input, result));
  } else {
    moveChannels(lowering, node, {
      from: sameScale(lowering, node, input, result).cube,
      to: result.cube,
      fromChannel: channel,
      toChannel: 0,
      channels,
      y,
      x,
    });
  }
  result.finish();
}

/** Gather of channels by known indices: a permutation of them, as channel shuffles are. */
export function lowerGather(lowering: Lowering, node: NodeOf<'Gather'>): void {
  const out = node.outputs[0]!;
  const shape = shapeOf(out);
  const size = cubeShape(shape);
  const indices = node.inputs[1]?.data?.numbers();
  if (indices === undefined || shapeOf(node.inputs[1]!).length !== 1)
    throw nodeError(node, 'EOPNOTSUPP', 'the indices are no known list');
  if (size === undefined || size.axes[0] !== axisOf(node.attributes.axis, shape))
    throw nodeError(node, 'EOPNOTSUPP', 'not along channels, or batch is not 1');
  const input = lowering.inCube(node, inputOf(node, 0));
  const { channels } = input.cube;
  const result = planResult(lowering, node, out, size, stridesOn(rowMajor(shape), size.axes));
  const from = sameScale(lowering, node, input, result);
  gatherChannels(
    lowering,
    node,
    from.cube,
    result.cube,
    indices.map((index) => (index < 0 ? index + channels : index)),
  );
  result.finish();
}

/** Counted from the front. */
function axisOf(axis: number, shape: readonly number[]): number {
  return axis < 0 ? axis + shape.length : axis;
}

function extent(cube: CubeSize, side: Side): number {
  return side === 'channel' ? cube.channels : side === 'y' ? cube.height : cube.width;
}

function scales(input: PlacedValue, { quantization, relu }: ResultPlan): Parameters<typeof copyLayer>[4] {
  return { input: input.quantization, output: quantization, relu };
}

/** The input with the result's scale, by a pass of its own where it has another. */
function sameScale(lowering: Lowering, node: Node, input: PlacedValue, result: ResultPlan): PlacedValue {
  const { quantization } = result;
  if (sameReals(input.quantization, result)) return input;
  const cube = lowering.newCube(node, input.cube, quantization);
  copyLayer(lowering, node, wholeWindow(input.cube), wholeWindow(cube), scales(input, result));
  return { ...input, cube, quantization };
}
