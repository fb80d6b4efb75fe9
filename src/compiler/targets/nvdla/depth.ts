// DepthToSpace and SpaceToDepth: blocks of channels to places of a plane and back, by copies of SDP with steps.
// Not movements of one axis by itself: movement.ts.
import { inputOf, type Node, nodeError, type NodeOf, shapeOf } from '../../ir/index.js';
import { type Cube, cubeShape, type PlacedValue, rowMajor, stridesOn } from './cube.js';
import { align } from './limits.js';
import type { Lowering } from './lowering.js';
import { copyColumns, type Scales } from './plane.js';
import { planResult, type ResultPlan } from './result.js';
import { gatherChannels } from './select.js';

type Depth = NodeOf<'DepthToSpace'> | NodeOf<'SpaceToDepth'>;

function begin(lowering: Lowering, node: Depth): { input: PlacedValue; result: ResultPlan } {
  const out = node.outputs[0]!;
  const size = cubeShape(shapeOf(out));
  if (size === undefined) throw nodeError(node, 'EOPNOTSUPP', 'the result is no cube');
  const input = lowering.inCube(node, inputOf(node, 0));
  return {
    input,
    result: planResult(lowering, node, out, size, stridesOn(rowMajor(shapeOf(out)), size.axes)),
  };
}

/** The places of a block, (j, i) for the block that comes first, second and so on. */
function* placesOf(block: number): Generator<[index: number, j: number, i: number]> {
  for (let j = 0; j < block; j++) for (let i = 0; i < block; i++) yield [j * block + i, j, i];
}

/** Each block of channels is brought to atoms of its own, then its points to their places, `blocksize` apart. */
export function lowerDepthToSpace(lowering: Lowering, node: NodeOf<'DepthToSpace'>): void {
  const { input, result } = begin(lowering, node);
  const { blocksize: block, mode } = node.attributes;
  const { channels } = result.cube;
  const spread = align(channels, lowering.atomOf(input.cube));
  const channelOf = (place: number, c: number): number =>
    mode === 'CRD' ? c * block * block + place : place * channels + c;
  const indices: (number | undefined)[] = [];
  for (const [place] of placesOf(block))
    for (let c = 0; c < spread; c++) indices.push(c < channels ? channelOf(place, c) : undefined);
  const from = rearranged(lowering, node, input.cube, indices, input.quantization);
  const scales = scalesOf(input, result);
  const { height, width } = from;
  for (const [place, j, i] of placesOf(block))
    copyColumns(
      lowering,
      node,
      { cube: from, channel: place * spread, y: 0, lineStep: 1 },
      { cube: result.cube, channel: 0, y: j, lineStep: block },
      { channels, height },
      [{ from: 0, fromStep: 1, to: i, toStep: block, count: width }],
      scales,
    );
  result.finish();
}

/** The other way round: points `blocksize` apart become a block of atoms, and blocks are moved together where they do not fill atoms. */
export function lowerSpaceToDepth(lowering: Lowering, node: NodeOf<'SpaceToDepth'>): void {
  const { input, result } = begin(lowering, node);
  const { blocksize: block } = node.attributes;
  const { channels } = input.cube;
  const { height, width } = result.cube;
  const spread = align(channels, lowering.atomOf(input.cube));
  const size = { channels: block * block * spread, height, width };
  const together = spread === channels;
  const to = together ? result.cube : lowering.newCube(node, size, result.quantization);
  for (const [place, j, i] of placesOf(block))
    copyColumns(
      lowering,
      node,
      { cube: input.cube, channel: 0, y: j, lineStep: block },
      { cube: to, channel: place * spread, y: 0, lineStep: 1 },
      { channels, height },
      [{ from: i, fromStep: block, to: 0, toStep: 1, count: width }],
      scalesOf(input, result),
    );
  if (!together) {
    const indices: number[] = [];
    for (const [place] of placesOf(block))
      for (let c = 0; c < channels; c++) indices.push(place * spread + c);
    gatherChannels(lowering, node, to, result.cube, indices);
  }
  result.finish();
}

function scalesOf(input: PlacedValue, { quantization, relu }: ResultPlan): Scales {
  return { input: input.quantization, output: quantization, relu };
}

/** The cube with its channels in this order; itself where they are. */
function rearranged(
  lowering: Lowering,
  node: Node,
  cube: Cube,
  indices: readonly (number | undefined)[],
  quantization: PlacedValue['quantization'],
): Cube {
  if (indices.length === cube.channels && indices.every((index, at) => index === at)) return cube;
  const size = { channels: indices.length, height: cube.height, width: cube.width };
  const to = lowering.newCube(node, size, quantization);
  gatherChannels(lowering, node, cube, to, indices);
  return to;
}
