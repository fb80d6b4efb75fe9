// Operators that put channels, lines and columns elsewhere, each axis by itself: Slice with steps, Resize by nearest, Tile, Expand, Pad, Gather.
// Not Concat, nor slices that are views (join.ts); where blocks of channels become lines and columns: depth.ts.
import { runKernel } from '../../ir/evaluate/kernels.js';
import { doubles, type Tensor } from '../../ir/evaluate/tensor.js';
import { Constant, elementCount, inputOf, type Node, nodeError, shapeOf } from '../../ir/index.js';
import { constantFill } from './constant-cube.js';
import { type Cube, cubeShape, type PlacedValue, rowMajor, stridesOn, wholeWindow } from './cube.js';
import { copyLayer, reals } from './elementwise.js';
import type { Lowering } from './lowering.js';
import { copyColumns, copyLines, type Run, runsOf } from './plane.js';
import { planResult, type ResultPlan } from './result.js';
import { gatherChannels } from './select.js';

/** Copies that an operator may take. */
const MAX_COPIES = 600;

type Map = (number | undefined)[];

/** Where each channel, line and column of the result comes from. */
interface Maps {
  readonly channels: Map;
  readonly y: Map;
  readonly x: Map;
}

export function lowerMovement(lowering: Lowering, node: Node): void {
  const value = inputOf(node, 0);
  const out = node.outputs[0]!;
  if (node.op === 'Resize' && node.attributes.mode !== 'nearest')
    throw nodeError(
      node,
      'EOPNOTSUPP',
      `interpolates (${node.attributes.mode}): only nearest points are copied`,
    );
  const size = cubeShape(shapeOf(out));
  if (size === undefined)
    throw nodeError(node, 'EOPNOTSUPP', `a result of shape [${shapeOf(out).join()}] is no cube`);
  const input = lowering.inCube(node, value);
  const maps = mapsOf(node, input.cube, size);
  const result = planResult(lowering, node, out, size, stridesOn(rowMajor(shapeOf(out)), size.axes));
  const fill = fillOf(node);
  const steps = planSteps(lowering, node, input.cube, maps);
  move(lowering, node, input, result, steps);
  if (fill !== undefined) fillBorders(lowering, node, result, maps, fill);
  result.finish();
}

interface Steps {
  readonly channels: Map | undefined;
  readonly y: Run[] | undefined;
  readonly x: Run[] | undefined;
}

/** Channels first, then columns, then lines: those axes of which something moves. Throws EOPNOTSUPP when there are too many copies. */
function planSteps(lowering: Lowering, node: Node, cube: Cube, maps: Maps): Steps {
  const moved = (map: Map, extent: number): Map | undefined =>
    map.length === extent && map.every((source, at) => source === at) ? undefined : map;
  const [c, y, x] = [
    moved(maps.channels, cube.channels),
    moved(maps.y, cube.height),
    moved(maps.x, cube.width),
  ];
  const steps = {
    channels: c,
    y: y === undefined ? undefined : runsOf(y),
    x: x === undefined ? undefined : runsOf(x),
  };
  const surfaces = Math.ceil(maps.channels.length / lowering.atomOf(cube));
  const copies = (steps.y?.length ?? 0) + (steps.x?.length ?? 0) * surfaces;
  if (copies > MAX_COPIES)
    throw nodeError(node, 'EOPNOTSUPP', `its lines and columns would take ${copies} copies of SDP`);
  return steps;
}

function move(
  lowering: Lowering,
  node: Node,
  input: PlacedValue,
  result: ResultPlan,
  { channels, y, x }: Steps,
): void {
  const last = y !== undefined ? 'y' : x !== undefined ? 'x' : 'channels';
  const to = result.cube;
  const { quantization } = input;
  const scales = (step: 'y' | 'x'): Parameters<typeof copyLines>[5] => ({
    input: quantization,
    output: step === last ? result.quantization : quantization,
    relu: step === last && result.relu,
  });
  let { cube } = input;
  if (channels !== undefined) {
    const { scale, zeroPoint } = result.quantization;
    const same = scale === quantization.scale && zeroPoint === quantization.zeroPoint && !result.relu;
    const direct = last === 'channels' && same;
    const size = { channels: to.channels, height: cube.height, width: cube.width };
    const next = direct ? to : lowering.newCube(node, size, quantization);
    gatherChannels(lowering, node, cube, next, channels);
    cube = next;
    if (direct) return;
  }
  if (x !== undefined) {
    const size = { channels: to.channels, height: cube.height, width: to.width };
    const next = last === 'x' ? to : lowering.newCube(node, size, quantization);
    const block = (of: Cube): Parameters<typeof copyColumns>[2] => ({
      cube: of,
      channel: 0,
      y: 0,
      lineStep: 1,
    });
    copyColumns(lowering, node, block(cube), block(next), size, x, scales('x'));
    cube = next;
  }
  if (y !== undefined) copyLines(lowering, node, cube, to, y, scales('y'));
  else if (x === undefined)
    copyLayer(lowering, node, wholeWindow(cube), wholeWindow(to), {
      input: quantization,
      output: result.quantization,
      relu: result.relu,
    });
}

/** By computing the operator on the indices of its input. */
function mapsOf(node: Node, cube: Cube, size: { channels: number; height: number; width: number }): Maps {
  const shape = shapeOf(node.inputs[0]!);
  const count = elementCount(shape);
  const data = Int32Array.from({ length: count }, (_, i) => i);
  const others = node.inputs.slice(1).map((value, i): Tensor | undefined => {
    if (value === undefined) return undefined;
    if (value.data === undefined)
      throw nodeError(node, 'EOPNOTSUPP', `input ${i + 1} must be known at compile time`);
    // What Pad puts around the tensor has no place that it comes from.
    if (node.op === 'Pad' && i === 1) return { type: 'int32', shape: [], data: Int32Array.of(-1) };
    return { type: value.type, shape: value.shape!, data: value.data.array() };
  });
  const inputs = [...node.inputs];
  if (node.op === 'Pad' && node.attributes.mode === 'constant') {
    others[1] = { type: 'int32', shape: [], data: Int32Array.of(-1) };
    inputs[2] = { name: '', type: 'int32', shape: [], data: Constant.of('int32', Int32Array.of(-1)) };
  }
  const shadow = { ...node, inputs, outputs: [{ ...node.outputs[0]!, type: 'int32' }] } as Node;
  const places = doubles(runKernel(shadow, [{ type: 'int32', shape, data }, ...others])[0]!);
  const { channels, height, width } = size;
  const plane = cube.height * cube.width;
  const at = (c: number, y: number, x: number): number => places[(c * height + y) * width + x]!;
  // A row of the result that is not padding says where the columns come from, and so on.
  const found = places.findIndex((place) => place >= 0);
  if (found < 0) throw nodeError(node, 'EOPNOTSUPP', 'nothing of its input is left');
  const [c0, y0, x0] = [
    Math.floor(found / (height * width)),
    Math.floor(found / width) % height,
    found % width,
  ];
  const source = (place: number, of: (place: number) => number): number | undefined =>
    place < 0 ? undefined : of(place);
  const list = (length: number, of: (i: number) => number | undefined): Map =>
    Array.from({ length }, (_, i) => of(i));
  const maps = {
    channels: list(channels, (c) => source(at(c, y0, x0), (p) => Math.floor(p / plane))),
    y: list(height, (y) => source(at(c0, y, x0), (p) => Math.floor(p / cube.width) % cube.height)),
    x: list(width, (x) => source(at(c0, y0, x), (p) => p % cube.width)),
  };
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const [mc, my, mx] = [maps.channels[c], maps.y[y], maps.x[x]];
        const want =
          mc === undefined || my === undefined || mx === undefined ? -1 : mc * plane + my * cube.width + mx;
        if (at(c, y, x) !== want)
          throw nodeError(node, 'EOPNOTSUPP', 'it moves channels, lines and columns together');
      }
  return maps;
}

/** What Pad puts around the tensor. */
function fillOf(node: Node): number | undefined {
  if (node.op !== 'Pad' || node.attributes.mode !== 'constant') return undefined;
  const value = node.inputs[2];
  return value === undefined ? 0 : reals(node, value)[0]!;
}

/** Lines and columns without a source, from constant cubes as large as the largest run of them. */
function fillBorders(lowering: Lowering, node: Node, result: ResultPlan, maps: Maps, fill: number): void {
  if (maps.channels.includes(undefined))
    throw nodeError(node, 'EOPNOTSUPP', 'SDP writes whole atoms: channels are not padded');
  const { cube: to, quantization } = result;
  const border = (side: 'y' | 'x', map: Map): void => {
    const gaps = gapsOf(map);
    if (gaps.length === 0) return;
    const extent = Math.max(...gaps.map(({ count }) => count));
    const size = {
      channels: to.channels,
      height: side === 'y' ? extent : to.height,
      width: side === 'x' ? extent : to.width,
    };
    const cube: Cube = {
      ...lowering.newCube(node, size, quantization),
      constant: constantFill(lowering.config, size, quantization, fill),
    };
    for (const { at, count } of gaps) {
      const from = { ...wholeWindow(cube), [side === 'y' ? 'height' : 'width']: count };
      copyLayer(
        lowering,
        node,
        from,
        { ...from, cube: to, [side]: at },
        {
          input: quantization,
          output: quantization,
          relu: result.relu,
        },
      );
    }
  };
  border('y', maps.y);
  border('x', maps.x);
}

function gapsOf(map: Map): { at: number; count: number }[] {
  const gaps: { at: number; count: number }[] = [];
  map.forEach((source, at) => {
    if (source !== undefined) return;
    const last = gaps.at(-1);
    if (last !== undefined && last.at + last.count === at) last.count++;
    else gaps.push({ at, count: 1 });
  });
  return gaps;
}
