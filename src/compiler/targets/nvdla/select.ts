// Moves channels of a cube to other places: Concat, Slice and Split where they begin inside an atom, which no unit can address.
// Not copies of whole atoms: SDP does those (elementwise.ts).
//
// A 1 x 1 convolution with a single one per kernel moves any channel to any place. Whole atoms are written, with zeros where there is no
// kernel; so the part that shares an atom with what was written before is added to it (X1, per point).
import { nameOf, type Node } from '../../ir/index.js';
import type { Cube, Window } from './cube.js';
import type { ConstantBlob, ConvLayer, SdpPart } from './layers.js';
import type { Lowering } from './lowering.js';
import { LAYER_COST, tilesOf } from './pipe.js';
import type { Axis } from './tiles.js';
import { packedWeightBytes, packWeights } from './weights.js';

export interface Move {
  readonly from: Cube;
  readonly to: Cube;
  /** First channel in either cube. */
  readonly fromChannel: number;
  readonly toChannel: number;
  readonly channels: number;
  /** Where the lines and columns of `to` begin in `from`. Default 0. */
  readonly y?: number;
  readonly x?: number;
}

const straight = { offset: 0, scale: 1, truncate: 0 };

/**
 * Adds the layers that move channels, values unchanged. `to` has zeros in the atom in which `toChannel` lies, beside what is there
 * already; later channels of the last atom become zeros.
 */
export function moveChannels(lowering: Lowering, node: Node, move: Move): void {
  const atom = lowering.atomOf(move.to);
  const end = move.toChannel + move.channels;
  const inside = move.toChannel % atom !== 0;
  const aligned = Math.ceil(move.toChannel / atom) * atom;
  const add = (begin: number, stop: number, onTop: boolean): void => {
    part(lowering, node, move, { begin, stop, onTop });
  };
  if (inside) add(aligned - atom, Math.min(aligned, end), true);
  // Larger parts multiply more zeros, smaller ones are more layers.
  const plane = move.to.height * move.to.width;
  const atoms = Math.max(1, Math.floor(Math.sqrt(LAYER_COST / (plane * atom * atom))));
  for (let begin = aligned; begin < end; begin += atoms * atom)
    add(begin, Math.min(begin + atoms * atom, end), false);
}

/** Adds the layers that make channel c of `to` from channel `indices[c]` of `from`, values unchanged; zeros where there is none. */
export function gatherChannels(
  lowering: Lowering,
  node: Node,
  from: Cube,
  to: Cube,
  indices: readonly (number | undefined)[],
): void {
  const atom = lowering.atomOf(to);
  // All of the input is read for each part, since the channels may come from anywhere.
  const dense = to.height * to.width * from.channels * atom;
  const step = atom * Math.max(1, Math.ceil(Math.sqrt(LAYER_COST / dense)));
  for (let begin = 0; begin < to.channels; begin += step) {
    const own = indices.slice(begin, begin + step);
    const known = own.filter((index) => index !== undefined);
    const base = Math.floor(Math.min(...known, from.channels - 1) / atom) * atom;
    select(lowering, node, {
      from: { cube: from, channel: base, channels: Math.max(...known, base) + 1 - base, y: 0, x: 0 },
      to: { cube: to, channel: begin },
      sources: own.map((index) => (index === undefined ? undefined : index - base)),
      onTop: false,
    });
  }
}

interface Part {
  /** Channels of `to`. */
  readonly begin: number;
  readonly stop: number;
  readonly onTop: boolean;
}

function part(lowering: Lowering, node: Node, move: Move, { begin, stop, onTop }: Part): void {
  const { from, to, fromChannel, toChannel } = move;
  const atom = lowering.atomOf(from);
  const shift = fromChannel - toChannel;
  const firstIn = Math.max(begin, toChannel) + shift;
  const base = Math.floor(firstIn / atom) * atom;
  select(lowering, node, {
    from: { cube: from, channel: base, channels: stop + shift - base, y: move.y ?? 0, x: move.x ?? 0 },
    to: { cube: to, channel: begin },
    sources: Array.from({ length: stop - begin }, (_, k) =>
      k + begin < toChannel ? undefined : k + begin + shift - base,
    ),
    onTop,
  });
}

interface Selection {
  /** Where the input begins. */
  readonly from: {
    readonly cube: Cube;
    readonly channel: number;
    readonly channels: number;
    readonly y: number;
    readonly x: number;
  };
  readonly to: { readonly cube: Cube; readonly channel: number };
  /** For each kernel the channel of the input that it passes on; a kernel without one gives zeros. */
  readonly sources: readonly (number | undefined)[];
  readonly onTop: boolean;
}

function select(lowering: Lowering, node: Node, { from, to, sources, onTop }: Selection): void {
  const shape = { kernels: sources.length, channels: from.channels, height: 1, width: 1 };
  const { elementBytes } = from.cube;
  const weights: ConstantBlob = {
    bytes: packedWeightBytes(shape, elementBytes),
    make: () => {
      const count = shape.kernels * shape.channels;
      const data = elementBytes === 2 ? new Float32Array(count) : new Int8Array(count);
      sources.forEach((source, k) => {
        if (source !== undefined) data[k * shape.channels + source] = 1;
      });
      return packWeights(lowering.config, { ...shape, data });
    },
  };
  const axis = (extent: number): Axis => ({
    input: extent,
    output: extent,
    kernel: 1,
    stride: 1,
    dilation: 1,
    pad: 0,
  });
  const axes = { y: axis(to.cube.height), x: axis(to.cube.width) };
  for (const { y, x, banks } of tilesOf(lowering, node, axes, { ...shape, elementBytes })) {
    const spot = { y: y.from, height: y.count, x: x.from, width: x.count };
    const output: Window = { ...to, channels: shape.kernels, ...spot };
    const sdp: SdpPart = onTop
      ? {
          x1: {
            mode: 'point',
            type: 'add',
            alu: 'sum',
            shift: 0,
            truncate: 0,
            relu: false,
            operand: output,
          },
          out: straight,
        }
      : { out: straight };
    lowering.layers.push({
      kind: 'conv',
      nodes: [nameOf(node)],
      input: {
        ...spot,
        ...from,
        y: y.from + from.y,
        x: x.from + from.x,
      },
      output,
      kernel: { height: 1, width: 1 },
      stride: { y: 1, x: 1 },
      dilation: { y: 1, x: 1 },
      pads: { top: 0, bottom: 0, left: 0, right: 0 },
      padValue: 0,
      weights,
      banks,
      sdp,
      macs: 0,
      hardwareMacs: y.count * x.count * shape.kernels * shape.channels,
    } satisfies ConvLayer);
  }
}
