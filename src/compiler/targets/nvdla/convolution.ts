// Convolutions and matrix products with constant weights, for the convolution pipe.
// Not how they are cut into layers: pipe.ts.
import {
  type Constant,
  inputOf,
  type Node,
  nodeError,
  type NodeOf,
  shapeOf,
  type Value,
} from '../../ir/index.js';
import type { NvdlaConfig } from '../../../hw/nvdla/index.js';
import { planBanks, precisionConfig } from './cbuf.js';
import { type Cube, cubeShape, type PlacedValue, rowMajor, storedQuantization, stridesOn } from './cube.js';
import { MAX_KERNEL } from './limits.js';
import type { CubeSize, Lowering } from './lowering.js';
import { convolve } from './pipe.js';
import { planResult } from './result.js';
import type { Axis } from './tiles.js';

export function lowerConv(lowering: Lowering, node: NodeOf<'Conv'>): void {
  const x = inputOf(node, 0);
  const w = inputOf(node, 1);
  const out = node.outputs[0]!;
  const { strides, dilations, pads, group } = node.attributes;
  const input = lowering.inCube(node, x);
  const { read, scales } = constantWeights(node, input, w, 0);
  const shape = shapeOf(w);
  const one = shape.length === 3;
  const [kernels, , height, width] = one ? [shape[0]!, 0, 1, shape[2]!] : shape;
  const size = cubeShape(shapeOf(out));
  if (size === undefined) throw nodeError(node, 'EOPNOTSUPP', 'batch is not 1, or it is not 1-D or 2-D');
  const { cube } = input;
  if (shape[1]! * group !== cube.channels)
    throw nodeError(node, 'EOPNOTSUPP', 'channels of input and weights differ');
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
  const order = stridesOn(rowMajor(shapeOf(out)), size.axes);
  const result = planResult(lowering, node, out, size, order, { slopeByStage: true });
  const conv = {
    node,
    input,
    size,
    kernel: (k: number, into: Int8Array | Float32Array) => read(k * into.length, 1, into),
    group,
    axes,
    factor: factors(node, input, out, scales, kernels!),
    bias: biasOf(node, 2, kernels!, input, scales),
    countsMacs: true,
  };
  convolve(lowering, conv, result);
  result.finish();
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
  const xShape = shapeOf(x);
  const rows = xShape.slice(0, -1).reduce((a, b) => a * b, 1);
  const input = productInput(lowering, node, x, inner, rows);
  const { cube } = input;
  const { read, scales } = constantWeights(node, input, w, gemm.transB ? 0 : 1);
  // One row: the kernel covers the cube. Many: every position of the cube is a row.
  const whole = cube.channels !== inner;
  const [height, width] = whole ? [cube.height, cube.width] : [1, 1];
  // Row k of the matrix in the order of the cube.
  const row = input.quantization.half ? new Float32Array(inner) : new Int8Array(inner);
  const kernel = (k: number, into: Int8Array | Float32Array): void => {
    if (gemm.transB) read(k * inner, 1, row);
    else read(k, kernels, row);
    if (!whole) return into.set(row);
    let to = 0;
    for (let c = 0; c < cube.channels; c++)
      for (let y = 0; y < height; y++)
        for (let xx = 0; xx < width; xx++)
          into[to++] = row[c * input.strides.c + y * input.strides.y + xx * input.strides.x]!;
  };
  const split = splitKernels(
    precisionConfig(lowering.config, cube.elementBytes),
    kernels,
    cube,
    height * width,
  );
  const size = split ?? {
    channels: kernels,
    height: cube.height - height + 1,
    width: cube.width - width + 1,
  };
  const axis = (extent: number, kernel: number): Axis => ({
    input: extent,
    output: extent - kernel + 1,
    kernel,
    stride: 1,
    dilation: 1,
    pad: 0,
  });
  const strides =
    split === undefined
      ? { c: 1, y: cube.width * kernels, x: kernels }
      : { c: 1, y: split.width * split.channels, x: split.channels };
  const result = planResult(lowering, node, out, size, strides, { slopeByStage: true });
  const conv = {
    node,
    input,
    size,
    kernel,
    group: 1,
    axes: { y: axis(cube.height, height), x: axis(cube.width, width) },
    ...(split === undefined ? {} : { kernelsPerPosition: split.channels }),
    factor: factors(node, input, out, scales, kernels),
    bias: biasOf(node, 2, kernels, input, scales),
    countsMacs: true,
  };
  convolve(lowering, conv, result);
  result.finish();
}

/**
 * For a product of one row whose group of kernels does not fit the buffer: the cube that the result is spread over, so many kernels in
 * each position. Its sides are those that a kernel of the next product can have. Undefined when it fits, or nothing helps.
 */
function splitKernels(
  config: NvdlaConfig,
  kernels: number,
  { channels, height, width, elementBytes }: Cube,
  taps: number,
): CubeSize | undefined {
  if (taps !== height * width) return undefined;
  const fits = (count: number): boolean =>
    planBanks(config, {
      channels: channels * elementBytes,
      height,
      width,
      kernels: count,
      bytesPerKernel: channels * elementBytes * taps,
    }) !== undefined;
  if (fits(kernels)) return undefined;
  for (let count = config.atomicK - 1; count >= 1; count--) {
    if (kernels % count !== 0 || !fits(count)) continue;
    const positions = kernels / count;
    for (let lines = Math.floor(Math.sqrt(positions)); lines >= 1; lines--)
      if (positions % lines === 0 && positions / lines <= MAX_KERNEL)
        return { channels: count, height: lines, width: positions / lines };
  }
  return undefined;
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

/** Constant weights, int8 or for fp16 floats, read when the segment is emitted, and a scale per kernel, or one; `axis` is where kernels lie. */
interface ConstantWeights {
  /** Fills `into` with elements `from`, `from + step`, ... */
  read(from: number, step: number, into: Int8Array | Float32Array): void;
  readonly scales: Float32Array;
}

export function constantWeights(node: Node, input: PlacedValue, value: Value, axis: number): ConstantWeights {
  const { data, quantization, type } = value;
  if (data === undefined) throw nodeError(node, 'EOPNOTSUPP', 'weights must be constant');
  if (input.quantization.half) {
    if (type !== 'float32') throw nodeError(node, 'EOPNOTSUPP', `weights are ${type}, not float32`);
    return { read: reader(data, 0), scales: Float32Array.of(1) };
  }
  if ((type !== 'int8' && type !== 'uint8') || quantization === undefined)
    throw nodeError(node, 'EOPNOTSUPP', `weights are ${type}, not quantised 8-bit`);
  const shift = type === 'uint8' ? 128 : 0;
  if (quantization.zeroPoint.some((zero) => zero !== shift))
    throw nodeError(node, 'EOPNOTSUPP', 'weights have a zero point');
  if (quantization.scale.length > 1 && quantization.axis !== undefined && quantization.axis !== axis)
    throw nodeError(node, 'EOPNOTSUPP', `weights have scales along axis ${quantization.axis}`);
  return { read: reader(data, shift), scales: quantization.scale };
}

/** `shift` is taken off each element. */
function reader(data: Constant, shift: number): ConstantWeights['read'] {
  return (from, step, into) => {
    if (data.fill !== undefined) {
      into.fill(Number(data.fill) - shift);
      return;
    }
    const raw = data.array() as Int8Array | Uint8Array | Float32Array;
    for (let i = 0, at = from; i < into.length; i++, at += step) into[i] = raw[at]! - shift;
  };
}

/** scale(input) * scale(weights) / scale(output). */
export function factors(
  node: Node,
  input: PlacedValue,
  output: Value,
  scales: Float32Array,
  kernels: number,
): Float64Array {
  if (input.quantization.half) return new Float64Array(kernels).fill(1);
  const { scale } = storedQuantization(node, output);
  const per = (k: number): number => scales[scales.length === 1 ? 0 : k]!;
  return Float64Array.from({ length: kernels }, (_, k) => (input.quantization.scale * per(k)) / scale);
}

/** Input `index` in accumulator steps: int32 as it is, float divided by the accumulator's scale. */
export function biasOf(
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
