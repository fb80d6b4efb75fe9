// The convolution pipe: a convolution with constant weights as layers, with its groups, its tiles and its requantisation.
// Not operators: convolution.ts and average.ts say what is convolved. Groups become block-diagonal kernels, since the hardware has none.
import { bandwidth, memorySystem, peakMacs } from '../../../hw/nvdla/index.js';
import { nameOf, type Node, nodeError } from '../../ir/index.js';
import { type BankPlan, type ConvFootprint, maxLines, planBanks, precisionConfig } from './cbuf.js';
import type { PlacedValue } from './cube.js';
import type { ConstantBlob, ConvLayer, ElementStage, SdpPart } from './layers.js';
import {
  align,
  MAX_CUBE,
  MAX_DILATION,
  MAX_KERNEL,
  MAX_KERNEL_BYTES,
  MAX_PAD,
  MAX_STRIDE,
} from './limits.js';
import type { CubeSize, Lowering } from './lowering.js';
import type { ResultPlan } from './result.js';
import { requantize, type Stages } from './scale.js';
import { type Axis, cutAxis, type Span, spanOf } from './tiles.js';
import { halfConvolutionPart } from './half-stages.js';
import { packedWeightBytes, packOperands, packWeights } from './weights.js';

/** A convolution with constant int8 kernels [kernels][channels of a group][height][width]. */
export interface Convolution {
  readonly node: Node;
  readonly input: PlacedValue;
  readonly size: CubeSize;
  /** Writes kernel `k` as [channels of a group][height][width]. Called when the segment is emitted. */
  kernel(k: number, into: Int8Array | Float32Array): void;
  readonly group: number;
  readonly axes: { readonly y: Axis; readonly x: Axis };
  /** Real output steps per accumulator step, for each kernel. */
  readonly factor: Float64Array;
  /** In accumulator steps, without the correction for the input's zero point. */
  readonly bias: Float64Array;
  /** Rectangles of the output whose factors differ by a divisor; one by default. */
  readonly rectangles?: readonly Rectangle[];
  /**
   * Set when a group of kernels is larger than the buffer: so many kernels make a layer of their own, which writes the next position of
   * `size` (line by line) instead of the next channels. The output is then 1 x 1.
   */
  readonly kernelsPerPosition?: number;
  /** Lines of the result's cube that the output's lines are written to. Default every line from 0 on. */
  readonly lines?: { readonly first: number; readonly step: number };
  /** Whether the model's operator counts multiply-accumulates (a mean does not). */
  readonly countsMacs: boolean;
}

/** Part of an output. */
export interface Rectangle {
  readonly y: { readonly from: number; readonly to: number };
  readonly x: { readonly from: number; readonly to: number };
  readonly divisor: number;
}

function checkAxis(node: Node, name: string, axis: Axis): void {
  const { kernel, stride, dilation, pad } = axis;
  const refuse = (rule: string): never => {
    throw nodeError(node, 'EOPNOTSUPP', `${name}: ${rule}`);
  };
  if (kernel > MAX_KERNEL) refuse(`kernel ${kernel}, at most ${MAX_KERNEL}`);
  if (stride > MAX_STRIDE) refuse(`stride ${stride}, at most ${MAX_STRIDE}`);
  if (dilation > MAX_DILATION) refuse(`dilation ${dilation}, at most ${MAX_DILATION}`);
  if (pad > MAX_PAD || pad < 0) refuse(`pad ${pad}, 0 to ${MAX_PAD}`);
  if (pad >= (kernel - 1) * dilation + 1 && pad > 0) refuse(`pad ${pad} is not less than the kernel`);
  const end = spanOf(axis, axis.output - 1, 1);
  if (end.padEnd > MAX_PAD || end.inputCount < 1) refuse(`pad ${end.padEnd} at the end`);
}

/** A single output makes no step: global means come with strides as large as their input. */
export function withoutIdleStride(axis: Axis): Axis {
  return axis.output === 1 ? { ...axis, stride: 1 } : axis;
}

/** What a layer costs besides its products (programming, interrupt, filling of the pipe), in multiply-accumulates. */
export const LAYER_COST = 1 << 19;

/**
 * Groups per layer. A block begins and ends on an atom of input and of output channels and fills a kernel group; beyond that, larger blocks
 * multiply and fetch more zeros and smaller ones are more layers: the cheaper.
 */
function groupsPerBlock(
  lowering: Lowering,
  { group, size, input }: Convolution,
  perGroup: { channels: number; kernels: number },
  taps: number,
): number {
  if (group === 1) return 1;
  const { elementBytes } = input.cube;
  const atom = lowering.atomOf(input.cube);
  const atomicK = lowering.config.atomicK / elementBytes;
  let unit = 1;
  while (
    (unit * perGroup.channels) % atom !== 0 ||
    (unit * perGroup.kernels) % atom !== 0 ||
    unit * perGroup.kernels < atomicK
  )
    unit++;
  const outputs = size.height * size.width;
  // What the multipliers could do while DRAM brings a byte of weights.
  const perByte = peakMacs(lowering.config, elementBytes) / bandwidth(0, 'read', memorySystem.clockMhz);
  const cost = (groups: number): number => {
    const weights = taps * groups * perGroup.channels * groups * perGroup.kernels;
    const work = Math.max(outputs * weights, weights * elementBytes * perByte);
    return Math.ceil(group / groups) * (LAYER_COST + work);
  };
  let best = unit;
  for (let groups = 2 * unit; groups < group + unit; groups += unit)
    if (cost(groups) < cost(best)) best = groups;
  return Math.min(group, best);
}

/** Adds the layers of a convolution that writes `result`: blocks of groups, tiles of each. */
export function convolve(lowering: Lowering, conv: Convolution, result: Omit<ResultPlan, 'finish'>): void {
  const { node, input, group } = conv;
  const axes = { y: withoutIdleStride(conv.axes.y), x: withoutIdleStride(conv.axes.x) };
  checkAxis(node, 'rows', axes.y);
  checkAxis(node, 'columns', axes.x);
  const kernels = conv.factor.length;
  const channels = input.cube.channels / group;
  const taps = axes.y.kernel * axes.x.kernel;
  const perGroup = { channels, kernels: kernels / group };
  const blockGroups = groupsPerBlock(lowering, conv, perGroup, taps);
  const everything = {
    y: { from: 0, to: axes.y.output },
    x: { from: 0, to: axes.x.output },
    divisor: 1,
  };
  const rectangles = conv.rectangles ?? [everything];
  const blocks: { slice: Slice; tiles: ConvTile[][] }[] = [];
  const slices =
    conv.kernelsPerPosition === undefined ? groupSlices(group, blockGroups, perGroup) : positionSlices(conv);
  for (const slice of slices) {
    const same = blocks.at(-1);
    const tiles =
      same?.slice.groups === slice.groups && same.slice.kernels === slice.kernels
        ? same.tiles
        : rectangles.map((rectangle) =>
            tilesOf(lowering, node, axes, { ...slice, elementBytes: input.cube.elementBytes }, rectangle),
          );
    blocks.push({ slice, tiles });
  }

  // Weights are read, and factors searched, only when the segment is emitted.
  const zero = input.quantization.zeroPoint;
  const perKernel = channels * taps;
  const sums = lazy(() => corrected(conv, perKernel));
  const stages = rectangles.map((rectangle) =>
    lazy(() =>
      requantize({
        factor: conv.factor.map((factor) => factor / rectangle.divisor),
        ...sums(),
        zeroPoint: result.quantization.zeroPoint,
        relu: result.relu,
      }),
    ),
  );
  const { lines = { first: 0, step: 1 } } = conv;
  for (const { slice, tiles } of blocks) {
    const blob = weightBlob(lowering, conv, slice, perGroup, axes);
    for (const [rectangle, own] of tiles.entries()) {
      const { divisor } = rectangles[rectangle]!;
      const sdp = lazy(() =>
        input.quantization.half
          ? halfConvolutionPart(conv.bias, divisor, result.relu, slice.kernel, slice.kernels)
          : withSlope(sdpPart(stages[rectangle]!(), slice.kernel, slice.kernels), result.slope),
      );
      for (const { y, x, banks } of own) {
        const outputs = y.count * x.count;
        const dense = outputs * slice.kernels * slice.channels * taps;
        lowering.layers.push({
          kind: 'conv',
          nodes: [nameOf(node)],
          input: {
            cube: input.cube,
            channel: slice.channel,
            channels: slice.channels,
            y: y.inputFrom,
            height: y.inputCount,
            x: x.inputFrom,
            width: x.inputCount,
          },
          output: {
            cube: result.cube,
            channel: slice.to.channel,
            channels: slice.kernels,
            y: lines.first + lines.step * (slice.to.y + y.from),
            height: y.count,
            x: slice.to.x + x.from,
            width: x.count,
            lineStep: lines.step,
          },
          kernel: { height: axes.y.kernel, width: axes.x.kernel },
          stride: { y: axes.y.stride, x: axes.x.stride },
          dilation: { y: axes.y.dilation, x: axes.x.dilation },
          pads: { top: y.padBegin, bottom: y.padEnd, left: x.padBegin, right: x.padEnd },
          padValue: zero,
          weights: blob,
          banks,
          get sdp() {
            return sdp();
          },
          macs: conv.countsMacs ? outputs * slice.kernels * perKernel : 0,
          hardwareMacs: dense,
        } satisfies ConvLayer);
      }
    }
  }
}

/**
 * The bias with the input's zero point taken off (padding has that value too), and the greatest |sum| of each kernel.
 */
function corrected(
  { bias, input, kernel }: Convolution,
  perKernel: number,
): { bias: Float64Array; bound: Float64Array } {
  const { zeroPoint } = input.quantization;
  const bound = new Float64Array(bias.length);
  const weights = new Int8Array(perKernel);
  const corrections = bias.map((value, k) => {
    kernel(k, weights);
    let sum = 0;
    let size = 0;
    for (let i = 0; i < perKernel; i++) {
      sum += weights[i]!;
      size += Math.abs(weights[i]!);
    }
    bound[k] = size * 128;
    return value - zeroPoint * sum;
  });
  return { bias: corrections, bound };
}

/** Computed when first asked for. */
function lazy<T extends object>(make: () => T): () => T {
  let value: T | undefined;
  return () => (value ??= make());
}

/** Some groups of a convolution, computed by one layer or by tiles of one. */
interface Slice {
  readonly groups: number;
  readonly channel: number;
  readonly channels: number;
  readonly kernel: number;
  readonly kernels: number;
  /** Where its results go. */
  readonly to: { readonly channel: number; readonly y: number; readonly x: number };
}

function groupSlices(
  group: number,
  blockGroups: number,
  perGroup: { channels: number; kernels: number },
): Slice[] {
  const slices: Slice[] = [];
  for (let from = 0; from < group; from += blockGroups) {
    const groups = Math.min(blockGroups, group - from);
    const kernel = from * perGroup.kernels;
    slices.push({
      groups,
      channel: from * perGroup.channels,
      channels: groups * perGroup.channels,
      kernel,
      kernels: groups * perGroup.kernels,
      to: { channel: kernel, y: 0, x: 0 },
    });
  }
  return slices;
}

function positionSlices({ kernelsPerPosition = 1, factor, input, size }: Convolution): Slice[] {
  return Array.from({ length: factor.length / kernelsPerPosition }, (_, i) => ({
    groups: 1,
    channel: 0,
    channels: input.cube.channels,
    kernel: i * kernelsPerPosition,
    kernels: kernelsPerPosition,
    to: { channel: 0, y: Math.floor(i / size.width), x: i % size.width },
  }));
}

/** Packed weights of a block of groups: kernel and channel of different groups meet in a zero. */
function weightBlob(
  { config }: Lowering,
  conv: Convolution,
  slice: Slice,
  perGroup: { channels: number; kernels: number },
  axes: Convolution['axes'],
): ConstantBlob {
  const height = axes.y.kernel;
  const width = axes.x.kernel;
  const shape = { kernels: slice.kernels, channels: slice.channels, height, width };
  return {
    bytes: packedWeightBytes(shape, conv.input.cube.elementBytes),
    make: () => {
      const own = perGroup.channels * height * width;
      const row = slice.channels * height * width;
      const count = slice.kernels * row;
      const data = conv.input.quantization.half ? new Float32Array(count) : new Int8Array(count);
      for (let k = 0; k < slice.kernels; k++) {
        const at = k * row + Math.floor(k / perGroup.kernels) * own;
        conv.kernel(slice.kernel + k, data.subarray(at, at + own));
      }
      return packWeights(config, { ...shape, data });
    },
  };
}

/** Operands of X1 and X2 for some kernels, from memory. */
function sdpPart(stages: Stages, first: number, count: number): SdpPart {
  const stage = ({ shift, truncate, alu, mul, relu }: Stages['x1']): NonNullable<SdpPart['x1']> => ({
    mode: 'kernel',
    type: 'both',
    alu: 'sum',
    shift,
    truncate,
    relu,
    constant: {
      bytes: count * 4,
      make: () => packOperands(alu.subarray(first, first + count), mul.subarray(first, first + count)),
    },
  });
  return { x1: stage(stages.x1), x2: stage(stages.x2), out: stages.out };
}

/** The slope of negative values in Y, where what is multiplied still has its fraction bits: as good as exact. */
function withSlope(part: SdpPart, slope: number | undefined): SdpPart {
  if (slope === undefined) return part;
  const truncate = Math.min(30, 30 - Math.ceil(Math.log2(Math.max(1, Math.abs(slope)))));
  const y: ElementStage = {
    mode: 'layer',
    type: 'mul',
    alu: 'sum',
    shift: 0,
    truncate,
    relu: false,
    prelu: true,
    mulOperand: Math.round(slope * 2 ** truncate),
  };
  return { ...part, y };
}

/** A tile of a convolution's output: lines, columns, and the banks for it. */
export interface ConvTile {
  readonly y: Span;
  readonly x: Span;
  readonly banks: BankPlan;
}

/**
 * Tiles of a rectangle of the output for some channels and kernels: as few as the convolution buffer allows, lines cut before columns.
 * Throws EOPNOTSUPP when not even one output fits.
 */
export function tilesOf(
  { config: given }: Lowering,
  node: Node,
  axes: { readonly y: Axis; readonly x: Axis },
  block: { readonly channels: number; readonly kernels: number; readonly elementBytes: 1 | 2 },
  rectangle?: Pick<Rectangle, 'y' | 'x'>,
): ConvTile[] {
  const config = precisionConfig(given, block.elementBytes);
  const channels = block.channels * block.elementBytes;
  const bytesPerKernel = channels * axes.y.kernel * axes.x.kernel;
  if (bytesPerKernel > MAX_KERNEL_BYTES)
    throw nodeError(node, 'EOPNOTSUPP', `${bytesPerKernel} bytes per kernel, at most ${MAX_KERNEL_BYTES}`);
  const footprint = { channels, kernels: block.kernels, bytesPerKernel };
  const { from, to } = rectangle?.x ?? { from: 0, to: axes.x.output };
  for (let outputs = to - from; outputs >= 1; outputs = Math.floor(outputs / 2)) {
    const columns = cutAxis(axes.x, MAX_CUBE, { from, to, outputs });
    if (columns === undefined) break;
    const widest = Math.max(...columns.map((x) => x.inputCount));
    const lines = maxLines(config, { ...footprint, width: widest });
    const rows = lines < 1 ? undefined : cutAxis(axes.y, lines, rectangle?.y);
    if (rows === undefined) continue;
    return columns.flatMap((x) =>
      rows.map((y) => {
        const conv: ConvFootprint = { ...footprint, width: x.inputCount, height: y.inputCount };
        const banks = planBanks(config, conv);
        if (banks === undefined) throw new Error('maxLines and planBanks disagree');
        return { y, x, banks };
      }),
    );
  }
  const group = align(Math.min(block.kernels, config.atomicK) * bytesPerKernel, 128);
  throw nodeError(
    node,
    'EOPNOTSUPP',
    `a group of kernels (${group} bytes) and the lines of one output do not fit the convolution buffer`,
  );
}
