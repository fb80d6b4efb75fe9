// Copies of lines and columns to other places of a plane, by SDP: steps between them on either side, in whole atoms of channels.
// Not channels inside an atom (select.ts), and not which lines go where: movement.ts, depth.ts and deconvolution.ts.
import { nameOf, type Node } from '../../ir/index.js';
import type { Cube, Window } from './cube.js';
import { copyLayer } from './elementwise.js';
import { MAX_CUBE } from './limits.js';
import type { Lowering } from './lowering.js';
import { unconverted } from './half-stages.js';
import type { Quantized } from './scale.js';

/** Places with equal distances, in what is read and in what is written. Steps are at least 1. */
export interface Run {
  readonly from: number;
  readonly fromStep: number;
  readonly to: number;
  readonly toStep: number;
  readonly count: number;
}

/** Runs that cover all places of `map`, whose entries are the places that they come from; undefined entries stay as they are. */
export function runsOf(map: readonly (number | undefined)[]): Run[] {
  const open = new Set<number>();
  map.forEach((source, at) => {
    if (source !== undefined) open.add(at);
  });
  const runs: Run[] = [];
  for (const to of open) {
    const from = map[to]!;
    let best: Run = { from, fromStep: 1, to, toStep: 1, count: 1 };
    // The longest run that begins here, whatever its step.
    for (let toStep = 1; toStep <= map.length - to; toStep++) {
      const next = map[to + toStep];
      if (next === undefined || next <= from || !open.has(to + toStep)) continue;
      const fromStep = next - from;
      let count = 2;
      while (open.has(to + count * toStep) && map[to + count * toStep] === from + count * fromStep) count++;
      if (count > best.count) best = { from, fromStep, to, toStep, count };
    }
    for (let i = 0; i < best.count; i++) open.delete(to + i * best.toStep);
    runs.push(best);
  }
  return runs;
}

/** Scales of what is read and of what is written. */
export interface Scales {
  readonly input: Quantized;
  readonly output: Quantized;
  readonly relu: boolean;
}

/** Lines of `from` to lines of `to`; channels and columns are alike. */
export function copyLines(
  lowering: Lowering,
  node: Node,
  from: Cube,
  to: Cube,
  runs: readonly Run[],
  scales: Scales,
): void {
  for (const run of runs) {
    const window = (cube: Cube, y: number, lineStep: number): Window => ({
      cube,
      channel: 0,
      channels: to.channels,
      y,
      height: run.count,
      x: 0,
      width: to.width,
      lineStep,
    });
    copy(lowering, node, window(from, run.from, run.fromStep), window(to, run.to, run.toStep), scales);
  }
}

/** A block of channels of whole atoms, with its lines, where a copy of columns reads or writes. */
export interface Block {
  readonly cube: Cube;
  readonly channel: number;
  readonly y: number;
  readonly lineStep: number;
}

/** Columns of some lines and channels of one cube to those of another. */
export function copyColumns(
  lowering: Lowering,
  node: Node,
  from: Block,
  to: Block,
  { channels, height }: { readonly channels: number; readonly height: number },
  runs: readonly Run[],
  scales: Scales,
): void {
  const atom = lowering.atomOf(from.cube);
  // Lines are surfaces there, so that they count as channels.
  const lines = Math.floor(MAX_CUBE / atom);
  for (const run of runs)
    for (let channel = 0; channel < channels; channel += atom)
      for (let y = 0; y < height; y += lines) {
        const window = (block: Block, x: number, columnStep: number): Window => ({
          cube: block.cube,
          channel: block.channel + channel,
          channels: Math.min(atom, channels - channel),
          y: block.y + y * block.lineStep,
          height: Math.min(lines, height - y),
          x,
          width: run.count,
          lineStep: block.lineStep,
          columnStep,
        });
        copy(lowering, node, window(from, run.from, run.fromStep), window(to, run.to, run.toStep), scales);
      }
}

function copy(lowering: Lowering, node: Node, input: Window, output: Window, scales: Scales): void {
  const same =
    scales.input.scale === scales.output.scale && scales.input.zeroPoint === scales.output.zeroPoint;
  if (!same || scales.relu) {
    copyLayer(lowering, node, input, output, scales);
    return;
  }
  lowering.layers.push({
    kind: 'sdp',
    nodes: [nameOf(node)],
    input,
    output,
    macs: 0,
    hardwareMacs: 0,
    sdp: { out: unconverted },
  });
}
