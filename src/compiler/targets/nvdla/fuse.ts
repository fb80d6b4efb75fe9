// Layers joined to pipes: an SDP pass into the stages of the layer before it, a maximum behind SDP on the fly. Fewer layers, and nothing
// between them in memory.
// Not lowering: operators make their layers one by one, this looks at what they have made. Int8 results are rounded and saturated between
// operators, which SDP's stages cannot do, so that only fp16 passes are joined; maxima change nothing and are joined in both.
import { type Cube, rootOf, wholeWindow, type Window } from './cube.js';
import { withRelu } from './half-stages.js';
import {
  type ConstantBlob,
  type ConvLayer,
  type Layer,
  operandsOf,
  type PoolLayer,
  readsOf,
  resultOf,
  type SdpLayer,
  type SdpPart,
  type SdpStage,
} from './layers.js';

type PipeLayer = ConvLayer | SdpLayer;

/** The layers, in an order in which they can run. Cubes of `kept` are read from outside, or written there. */
export function fuseLayers(layers: readonly Layer[], kept: ReadonlySet<Cube>): Layer[] {
  let result = [...layers];
  for (let at = 0; at < result.length; at++) {
    const layer = result[at]!;
    const joined =
      layer.kind === 'sdp'
        ? joinPass(result, layer, kept)
        : layer.kind === 'pool'
          ? joinPool(result, layer, kept)
          : undefined;
    if (joined === undefined) continue;
    const { before, after } = joined;
    // What is joined runs where the later of the two was: what it reads is there by then.
    const place = at + 1;
    result = [
      ...result.slice(0, place).filter((one) => one !== layer && !before.includes(one as PipeLayer)),
      ...after,
      ...result.slice(place),
    ];
    at -= before.length + 1 - after.length;
  }
  return result;
}

interface Joined {
  /** The layers before the one that is joined to them, and what they become. */
  readonly before: readonly PipeLayer[];
  readonly after: readonly Layer[];
}

/** The layers that write all of a cube that only `reader` reads, from its begin to its end; undefined when there are others. */
function writersOf(
  layers: readonly Layer[],
  reader: Layer,
  kept: ReadonlySet<Cube>,
): PipeLayer[] | undefined {
  const { cube } = reader.input;
  if (cube.inside !== undefined || kept.has(cube) || !isWhole(reader.input)) return undefined;
  const writers: PipeLayer[] = [];
  let elements = 0;
  for (const layer of layers) {
    if (layer !== reader && readsOf(layer).some((window) => rootOf(window.cube) === cube)) return undefined;
    if (rootOf(resultOf(layer).cube) !== cube) continue;
    const { output } = layer;
    const plain = (layer.kind === 'conv' || layer.kind === 'sdp') && layer.pool === undefined;
    if (!plain || output.cube !== cube || isStepped(output)) return undefined;
    writers.push(layer);
    elements += output.channels * output.height * output.width;
  }
  if (operandsOf(reader).some((window) => rootOf(window.cube) === cube)) return undefined;
  return elements === cube.channels * cube.height * cube.width ? writers : undefined;
}

function isWhole({ cube, channel, y, x, channels, height, width }: Window): boolean {
  const same = channels === cube.channels && height === cube.height && width === cube.width;
  return same && channel === 0 && y === 0 && x === 0;
}

/** Lines or columns that do not follow one another: what is joined to them would have to be taken apart alike. */
function isStepped({ lineStep = 1, columnStep }: Window): boolean {
  return lineStep !== 1 || columnStep !== undefined;
}

function joinPass(layers: readonly Layer[], pass: SdpLayer, kept: ReadonlySet<Cube>): Joined | undefined {
  if (pass.input.cube.elementBytes !== 2 || pass.output.cube.elementBytes !== 2) return undefined;
  if ([pass.output, ...readsOf(pass)].some(isStepped)) return undefined;
  const before = writersOf(layers, pass, kept);
  if (before === undefined) return undefined;
  const after: Layer[] = [];
  for (const layer of before) {
    const sdp =
      layer.input.cube.elementBytes === 2 ? joinStages(layer.sdp, partFor(pass, layer.output)) : undefined;
    if (sdp === undefined) return undefined;
    after.push({
      ...layer,
      nodes: [...new Set([...layer.nodes, ...pass.nodes])],
      output: inside(pass.output, layer.output),
      sdp,
      ...(pass.pool === undefined ? {} : { pool: pass.pool }),
    });
  }
  return pass.pool !== undefined && before.length > 1 ? undefined : { before, after };
}

/** What `first` does, then what `then` does, when there are stages for both. */
function joinStages(first: SdpPart, then: SdpPart): SdpPart | undefined {
  const own = [first.x1, first.x2].filter((stage) => stage !== undefined);
  let more = [then.x1, then.x2].filter((stage) => stage !== undefined);
  // Y and the table are behind X1 and X2.
  const end = first.y ?? first.table;
  if (end !== undefined && (more.length > 0 || then.y !== undefined || then.table !== undefined))
    return undefined;
  let stages: SdpStage[] = own;
  const [next] = more;
  if (next?.type === 'none' && next.relu && own.length > 0) {
    stages = withRelu(own);
    more = more.slice(1);
  }
  stages = [...stages, ...more];
  if (stages.length > 2) return undefined;
  const [x1, x2] = stages;
  const y = first.y ?? then.y;
  const table = first.table ?? then.table;
  return {
    ...(x1 === undefined ? {} : { x1 }),
    ...(x2 === undefined ? {} : { x2 }),
    ...(y === undefined ? {} : { y }),
    ...(table === undefined ? {} : { table }),
    out: then.out,
  };
}

/** The stages of a pass for a part of its cube. */
function partFor({ sdp, input }: SdpLayer, part: Window): SdpPart {
  const stage = <S extends SdpStage>(given: S): S => ({
    ...given,
    ...(given.constant === undefined ? {} : { constant: sliceOf(given.constant, input, part) }),
    ...(given.operand === undefined
      ? {}
      : {
          operand:
            given.mode === 'point'
              ? inside(given.operand, part)
              : { ...given.operand, channel: given.operand.channel + part.channel, channels: part.channels },
        }),
  });
  return {
    ...sdp,
    ...(sdp.x1 === undefined ? {} : { x1: stage(sdp.x1) }),
    ...(sdp.x2 === undefined ? {} : { x2: stage(sdp.x2) }),
    ...(sdp.y === undefined ? {} : { y: stage(sdp.y) }),
  };
}

/** Operands of some of the channels. */
function sliceOf(blob: ConstantBlob, { channels }: Window, part: Window): ConstantBlob {
  if (part.channels === channels) return blob;
  const each = blob.bytes / channels;
  return {
    bytes: part.channels * each,
    make: () => blob.make().slice(part.channel * each, (part.channel + part.channels) * each),
  };
}

/** The part of `whole` that lies where `part` lies in a cube of the same size. */
function inside(whole: Window, part: Window): Window {
  const { channels, height, width } = part;
  return {
    cube: whole.cube,
    channel: whole.channel + part.channel,
    y: whole.y + part.y,
    x: whole.x + part.x,
    channels,
    height,
    width,
  };
}

/** PDP takes SDP's result as it comes, when one layer makes all of it. */
function joinPool(layers: readonly Layer[], pool: PoolLayer, kept: ReadonlySet<Cube>): Joined | undefined {
  const before = writersOf(layers, pool, kept);
  const [layer, ...others] = before ?? [];
  if (layer === undefined || others.length > 0) return undefined;
  const { method, kernel, stride, pads, output } = pool;
  const nodes = [...new Set([...layer.nodes, ...pool.nodes])];
  const after: PipeLayer = {
    ...layer,
    nodes,
    output: wholeWindow(layer.output.cube),
    pool: { method, kernel, stride, pads, output },
  };
  return { before: [layer], after: [after] };
}
