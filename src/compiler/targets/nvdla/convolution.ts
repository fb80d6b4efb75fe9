// Convolutions, matrix products with constant weights, and averages: everything that runs on the convolution pipe.
// Not the descriptors of it. Groups become block-diagonal kernels, since the hardware has none.
import { inputOf, nameOf, type Node, nodeError, type NodeOf, shapeOf, type Value } from '../../ir/index.js';
import { type ConvFootprint, maxLines, planBanks } from './cbuf.js';
import {
  cubeShape,
  type PlacedValue,
  rowMajor,
  storedQuantization,
  type Strides,
  stridesOn,
} from './cube.js';
import type { ConstantBlob, ConvLayer, SdpPart } from './layers.js';
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
import { planResult } from './result.js';
import { requantize, type Stages } from './scale.js';
import { type Axis, cutAxis, spanOf } from './tiles.js';
import { packedWeightBytes, packOperands, packWeights } from './weights.js';

/** A convolution with constant int8 kernels [kernels][channels of a group][height][width]. */
interface Convolution {
  readonly node: Node;
  readonly input: PlacedValue;
  readonly output: { readonly value: Value; readonly size: CubeSize; readonly strides: Strides };
  readonly weights: Int8Array;
  readonly group: number;
  readonly axes: { readonly y: Axis; readonly x: Axis };
  /** Real output steps per accumulator step, for each kernel. */
  readonly factor: Float64Array;
  /** In accumulator steps, without the correction for the input's zero point. */
  readonly bias: Float64Array;
  /** Rectangles of the output whose factors differ by a divisor; one by default. */
  readonly rectangles?: readonly Rectangle[];
  /** Multiply-accumulates that the model asks for. */
  readonly macs: number;
}

interface Rectangle {
  readonly y: { readonly from: number; readonly to: number };
  readonly x: { readonly from: number; readonly to: number };
  readonly divisor: number;
}

export function lowerConv(lowering: Lowering, node: NodeOf<'Conv'>): void {
  const x = inputOf(node, 0);
  const w = inputOf(node, 1);
  const out = node.outputs[0]!;
  const { strides, dilations, pads, group } = node.attributes;
  const input = lowering.inCube(node, x);
  const { data: weights, scales } = int8Weights(node, w, 0);
  const shape = shapeOf(w);
  const one = shape.length === 3;
  const [kernels, , height, width] = one ? [shape[0]!, 0, 1, shape[2]!] : shape;
  const size = cubeShape(shapeOf(out));
  if (size === undefined) throw nodeError(node, 'EOPNOTSUPP', 'batch is not 1, or it is not 1-D or 2-D');
  const { cube } = input;
  const at = (list: readonly number[], axis: 0 | 1): number => list[one ? 0 : axis]!;
  const axes = {
    y: {
      input: cube.height,
      output: size.height,
      kernel: height!,
      stride: one ? 1 : at(strides, 0),
      dilation: one ? 1 : at(dilations, 0),
      pad: one ? 0 : pads[0]!,
    },
    x: {
      input: cube.width,
      output: size.width,
      kernel: width!,
      stride: at(strides, 1),
      dilation: at(dilations, 1),
      pad: one ? pads[0]! : pads[1]!,
    },
  };
  convolve(lowering, {
    node,
    input,
    output: { value: out, size, strides: stridesOn(rowMajor(shapeOf(out)), size.axes) },
    weights,
    group,
    axes,
    factor: factors(node, input, out, scales, kernels!),
    bias: biasOf(node, 2, kernels!, input, scales),
    macs: macsOf(node),
  });
}

/** Gemm and MatMul: rows are columns of the cube, or the one row is a whole cube and the kernel is as large as the input. */
export function lowerProduct(lowering: Lowering, node: NodeOf<'Gemm'> | NodeOf<'MatMul'>): void {
  const x = inputOf(node, 0);
  const w = inputOf(node, 1);
  const out = node.outputs[0]!;
  const gemm = node.op === 'Gemm' ? node.attributes : { alpha: 1, beta: 1, transA: 0, transB: 0 };
  if (gemm.alpha !== 1 || gemm.beta !== 1 || gemm.transA !== 0)
    throw nodeError(node, 'EOPNOTSUPP', 'alpha and beta are 1 and transA is 0 on the device');
  const shape = shapeOf(w);
  if (shape.length !== 2) throw nodeError(node, 'EOPNOTSUPP', 'the second factor is no matrix');
  const [inner, kernels] = gemm.transB ? [shape[1]!, shape[0]!] : [shape[0]!, shape[1]!];
  const { data, scales } = int8Weights(node, w, gemm.transB ? 0 : 1);
  const xShape = shapeOf(x);
  const rows = xShape.slice(0, -1).reduce((a, b) => a * b, 1);
  const input = productInput(lowering, node, x, inner, rows);
  const { cube } = input;
  // One row: the kernel covers the cube. Many: every position of the cube is a row.
  const whole = cube.channels !== inner;
  const [height, width] = whole ? [cube.height, cube.width] : [1, 1];
  const weights = new Int8Array(kernels * inner);
  for (let k = 0; k < kernels; k++)
    for (let c = 0; c < cube.channels; c++)
      for (let y = 0; y < height; y++)
        for (let xx = 0; xx < width; xx++) {
          const i = whole ? c * input.strides.c + y * input.strides.y + xx * input.strides.x : c;
          const to = ((k * cube.channels + c) * height + y) * width + xx;
          weights[to] = data[gemm.transB ? k * inner + i : i * kernels + k]!;
        }
  const size = { channels: kernels, height: cube.height - height + 1, width: cube.width - width + 1 };
  const axis = (extent: number, kernel: number): Axis => ({
    input: extent,
    output: extent - kernel + 1,
    kernel,
    stride: 1,
    dilation: 1,
    pad: 0,
  });
  convolve(lowering, {
    node,
    input,
    output: {
      value: out,
      size,
      strides: { c: 1, y: cube.width * kernels, x: kernels },
    },
    weights,
    group: 1,
    axes: { y: axis(cube.height, height), x: axis(cube.width, width) },
    factor: factors(node, input, out, scales, kernels),
    bias: biasOf(node, 2, kernels, input, scales),
    macs: macsOf(node),
  });
}

/** The first factor as a cube: [rows, inner] with inner as channels, or, for one row, whatever cube it is in. */
function productInput(lowering: Lowering, node: Node, x: Value, inner: number, rows: number): PlacedValue {
  const known = lowering.valueOf(node, x);
  if (known.kind === 'placed') {
    const { cube, strides } = known;
    const rowCube =
      cube.channels === inner &&
      (inner === 1 || strides.c === 1) &&
      cube.height * cube.width === rows &&
      (cube.width === 1 || strides.x === inner) &&
      (cube.height === 1 || strides.y === inner * cube.width);
    if (rowCube) return known;
    if (rows === 1 && cube.channels * cube.height * cube.width === inner) return known;
    throw nodeError(node, 'EOPNOTSUPP', 'rows of the first factor do not lie along the channels of its cube');
  }
  return lowering.inCubeOf(node, x, { channels: inner, height: 1, width: rows }, { c: 1, y: 0, x: inner });
}

/** AveragePool and GlobalAveragePool: kernels of ones, so that the sum is exact and one factor makes the mean. */
export function lowerAverage(
  lowering: Lowering,
  node: NodeOf<'AveragePool'> | NodeOf<'GlobalAveragePool'> | NodeOf<'ReduceMean'>,
  window: AverageWindow,
): void {
  const out = node.outputs[0]!;
  const input = lowering.inCube(node, inputOf(node, 0));
  const { cube } = input;
  const { kernel, stride, pad, output, countPads } = window;
  const axes = {
    y: {
      input: cube.height,
      output: output.height,
      kernel: kernel.y,
      stride: stride.y,
      dilation: 1,
      pad: pad.y,
    },
    x: {
      input: cube.width,
      output: output.width,
      kernel: kernel.x,
      stride: stride.x,
      dilation: 1,
      pad: pad.x,
    },
  };
  const taps = kernel.y * kernel.x;
  const { scale } = storedQuantization(node, out);
  const rectangles: Rectangle[] = [];
  for (const y of runs(axes.y, countPads))
    for (const x of runs(axes.x, countPads)) rectangles.push({ y, x, divisor: y.inputs * x.inputs });
  convolve(lowering, {
    node,
    input,
    output: { value: out, size: { channels: cube.channels, ...output }, strides: window.strides },
    weights: new Int8Array(cube.channels * taps).fill(1),
    group: cube.channels,
    axes,
    factor: new Float64Array(cube.channels).fill(input.quantization.scale / scale),
    bias: new Float64Array(cube.channels),
    rectangles,
    macs: 0,
  });
}

/** Extents of an average over a cube. */
export interface AverageWindow {
  readonly kernel: { readonly y: number; readonly x: number };
  readonly stride: { readonly y: number; readonly x: number };
  readonly pad: { readonly y: number; readonly x: number };
  readonly output: { readonly height: number; readonly width: number };
  /** Of the result, as a row-major tensor. */
  readonly strides: Strides;
  readonly countPads: boolean;
}

/** Runs of outputs whose windows hold the same number of inputs. */
function runs(axis: Axis, countPads: boolean): { from: number; to: number; inputs: number }[] {
  if (countPads) return [{ from: 0, to: axis.output, inputs: axis.kernel }];
  const found: { from: number; to: number; inputs: number }[] = [];
  for (let at = 0; at < axis.output; at++) {
    const inputs = spanOf(axis, at, 1).inputCount;
    const last = found.at(-1);
    if (last !== undefined && last.inputs === inputs) last.to = at + 1;
    else found.push({ from: at, to: at + 1, inputs });
  }
  return found;
}

/** Multiply-accumulates of a convolution or product, as the model states them; 0 for other nodes or unknown shapes. */
export function macsOf(node: Node): number {
  const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
  const out = node.outputs[0]?.shape;
  const w = node.inputs[1]?.shape;
  const x = node.inputs[0]?.shape;
  if (out === undefined || w === undefined || x === undefined) return 0;
  switch (node.op) {
    case 'Conv':
      return count(out) * count(w.slice(1));
    case 'ConvTranspose':
      return count(x) * count(w.slice(1));
    case 'Gemm':
      return count(out) * (node.attributes.transA ? x[0]! : x[1]!);
    case 'MatMul':
      return count(out) * x.at(-1)!;
    default:
      return 0;
  }
}

/** Constant int8 weights and a scale per kernel (or one); `axis` is where kernels lie. */
function int8Weights(node: Node, value: Value, axis: number): { data: Int8Array; scales: Float32Array } {
  const { data, quantization, type } = value;
  if (data === undefined) throw nodeError(node, 'EOPNOTSUPP', 'weights must be constant');
  if ((type !== 'int8' && type !== 'uint8') || quantization === undefined)
    throw nodeError(node, 'EOPNOTSUPP', `weights are ${type}, not quantised 8-bit`);
  const shift = type === 'uint8' ? 128 : 0;
  if (quantization.zeroPoint.some((zero) => zero !== shift))
    throw nodeError(node, 'EOPNOTSUPP', 'weights have a zero point');
  if (quantization.scale.length > 1 && quantization.axis !== undefined && quantization.axis !== axis)
    throw nodeError(node, 'EOPNOTSUPP', `weights have scales along axis ${quantization.axis}`);
  const raw = data.array() as Int8Array | Uint8Array;
  const int8 = shift === 0 ? (raw as Int8Array) : Int8Array.from(raw, (q) => q - shift);
  return { data: int8, scales: quantization.scale };
}

/** scale(input) * scale(weights) / scale(output). */
function factors(
  node: Node,
  input: PlacedValue,
  output: Value,
  scales: Float32Array,
  kernels: number,
): Float64Array {
  const { scale } = storedQuantization(node, output);
  const per = (k: number): number => scales[scales.length === 1 ? 0 : k]!;
  return Float64Array.from({ length: kernels }, (_, k) => (input.quantization.scale * per(k)) / scale);
}

/** Input `index` in accumulator steps: int32 as it is, float divided by the accumulator's scale. */
function biasOf(
  node: Node,
  index: number,
  kernels: number,
  input: PlacedValue,
  scales: Float32Array,
): Float64Array {
  const value = node.inputs[index];
  const bias = new Float64Array(kernels);
  if (value === undefined) return bias;
  if (value.data === undefined) throw nodeError(node, 'EOPNOTSUPP', 'the bias must be constant');
  const { length } = value.data;
  if (length !== kernels && length !== 1)
    throw nodeError(node, 'EOPNOTSUPP', `${length} biases for ${kernels} kernels`);
  const real = value.type === 'float32' || value.type === 'float64';
  if (!real && value.type !== 'int32')
    throw nodeError(node, 'EOPNOTSUPP', `the bias is ${value.type}, not int32`);
  const data = value.data.array() as Int32Array | Float32Array;
  for (let k = 0; k < kernels; k++) {
    const step = input.quantization.scale * scales[scales.length === 1 ? 0 : k]!;
    const raw = data[length === 1 ? 0 : k]!;
    bias[k] = real ? raw / step : raw;
  }
  return bias;
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

/** Least number of groups that begin and end on an atom of input and of output channels, and fill a kernel group. */
function groupsPerBlock(lowering: Lowering, perGroup: { channels: number; kernels: number }): number {
  const { atom, atomicK } = lowering.config;
  let groups = 1;
  while (
    (groups * perGroup.channels) % atom !== 0 ||
    (groups * perGroup.kernels) % atom !== 0 ||
    groups * perGroup.kernels < atomicK
  )
    groups++;
  return groups;
}

function convolve(lowering: Lowering, conv: Convolution): void {
  const { node, input, output, group, axes } = conv;
  checkAxis(node, 'rows', axes.y);
  checkAxis(node, 'columns', axes.x);
  const result = planResult(lowering, node, output.value, output.size, output.strides);
  const kernels = output.size.channels;
  const channels = input.cube.channels / group;
  const taps = axes.y.kernel * axes.x.kernel;
  if (conv.weights.length !== kernels * channels * taps)
    throw nodeError(node, 'EOPNOTSUPP', 'channels of input and weights differ');

  const zero = input.quantization.zeroPoint;
  const bias = conv.bias.slice();
  const bound = new Float64Array(kernels);
  const perKernel = channels * taps;
  for (let k = 0; k < kernels; k++) {
    let sum = 0;
    let size = 0;
    for (let i = k * perKernel; i < (k + 1) * perKernel; i++) {
      sum += conv.weights[i]!;
      size += Math.abs(conv.weights[i]!);
    }
    bias[k]! -= zero * sum;
    bound[k] = size * 128;
  }

  const everything = {
    y: { from: 0, to: axes.y.output },
    x: { from: 0, to: axes.x.output },
    divisor: 1,
  };
  const perGroup = { channels, kernels: kernels / group };
  const blockGroups = group === 1 ? 1 : Math.min(group, groupsPerBlock(lowering, perGroup));
  const blocks = Math.ceil(group / blockGroups);
  const plans = (conv.rectangles ?? [everything]).map((rectangle) => ({
    rectangle,
    stages: requantize({
      factor: conv.factor.map((factor) => factor / rectangle.divisor),
      bias,
      bound,
      zeroPoint: result.quantization.zeroPoint,
      relu: result.relu,
    }),
  }));
  let first = true;
  for (let block = 0; block < blocks; block++) {
    const firstGroup = block * blockGroups;
    const groups = Math.min(blockGroups, group - firstGroup);
    const slice = {
      groups,
      channel: firstGroup * channels,
      channels: groups * channels,
      kernel: firstGroup * perGroup.kernels,
      kernels: groups * perGroup.kernels,
    };
    const weights = weightBlob(lowering, conv, slice, perGroup);
    for (const { rectangle, stages } of plans) {
      const sdp = sdpPart(stages, slice.kernel, slice.kernels);
      for (const tile of tilesOf(lowering, conv, slice, rectangle)) {
        const { y, x, banks } = tile;
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
            channel: slice.kernel,
            channels: slice.kernels,
            y: y.from,
            height: y.count,
            x: x.from,
            width: x.count,
          },
          kernel: { height: axes.y.kernel, width: axes.x.kernel },
          stride: { y: axes.y.stride, x: axes.x.stride },
          dilation: { y: axes.y.dilation, x: axes.x.dilation },
          pads: { top: y.padBegin, bottom: y.padEnd, left: x.padBegin, right: x.padEnd },
          padValue: zero,
          weights,
          banks,
          sdp,
          independent: !first,
          macs: conv.macs === 0 ? 0 : outputs * slice.kernels * perKernel,
          hardwareMacs: dense,
        } satisfies ConvLayer);
        first = false;
      }
    }
  }
  result.finish();
}

interface Slice {
  readonly groups: number;
  readonly channel: number;
  readonly channels: number;
  readonly kernel: number;
  readonly kernels: number;
}

/** Packed weights of a block of groups: kernel and channel of different groups meet in a zero. */
function weightBlob(
  { config }: Lowering,
  conv: Convolution,
  slice: Slice,
  perGroup: { channels: number; kernels: number },
): ConstantBlob {
  const height = conv.axes.y.kernel;
  const width = conv.axes.x.kernel;
  const shape = { kernels: slice.kernels, channels: slice.channels, height, width };
  return {
    bytes: packedWeightBytes(shape),
    make: () => {
      const own = perGroup.channels * height * width;
      if (slice.groups === 1)
        return packWeights(config, {
          ...shape,
          data: conv.weights.subarray(slice.kernel * own, (slice.kernel + slice.kernels) * own),
        });
      const row = slice.channels * height * width;
      const data = new Int8Array(slice.kernels * row);
      for (let k = 0; k < slice.kernels; k++) {
        const from = (slice.kernel + k) * own;
        const group = Math.floor(k / perGroup.kernels);
        data.set(conv.weights.subarray(from, from + own), k * row + group * own);
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

/** Tiles of a rectangle of the output for a block of channels: as few as the convolution buffer allows, lines cut before columns. */
function tilesOf(
  { config }: Lowering,
  { node, axes }: Convolution,
  slice: Slice,
  rectangle: Rectangle,
): { y: ReturnType<typeof spanOf>; x: ReturnType<typeof spanOf>; banks: ConvLayer['banks'] }[] {
  const bytesPerKernel = slice.channels * axes.y.kernel * axes.x.kernel;
  if (bytesPerKernel > MAX_KERNEL_BYTES)
    throw nodeError(node, 'EOPNOTSUPP', `${bytesPerKernel} bytes per kernel, at most ${MAX_KERNEL_BYTES}`);
  const footprint = { channels: slice.channels, kernels: slice.kernels, bytesPerKernel };
  const { from, to } = rectangle.x;
  for (let outputs = to - from; outputs >= 1; outputs = Math.floor(outputs / 2)) {
    const columns = cutAxis(axes.x, MAX_CUBE, { from, to, outputs });
    if (columns === undefined) break;
    const widest = Math.max(...columns.map((x) => x.inputCount));
    const lines = maxLines(config, { ...footprint, width: widest });
    const rows = lines < 1 ? undefined : cutAxis(axes.y, lines, rectangle.y);
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
  const group = align(Math.min(slice.kernels, config.atomicK) * bytesPerKernel, 128);
  throw nodeError(
    node,
    'EOPNOTSUPP',
    `a group of kernels (${group} bytes) and the lines of one output do not fit the convolution buffer`,
  );
}
