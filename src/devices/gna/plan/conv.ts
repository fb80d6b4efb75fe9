// Plans of convolutions: 1D in both layouts, 2D. Sections 4, 5.6 and 5.7.
// Not blocking: the fields that steer silicon's scheduling are not looked at.
import { Conv1dDescriptor, Conv2dDescriptor, PwlSegment } from '../../../hw/gna/descriptors.js';
import { parameterFault } from '../fault.js';
import type { Operand } from '../mmu.js';
import type { LayerPlan, LayerSource } from './plan.js';
import { precisionOf, segmentsOf, viewOf, type Precision } from './precision.js';

const POOL_NONE = 0;
const POOL_SUM = 2;

/** Bias byte, 3.0: one bias per filter (or none), and where pooling is. */
const BIAS_PER_FILTER = 8;

/** Filters come four at a time. */
const FILTER_STEP = 4;
/** 3.0 pads each filter to this many bytes. */
const FILTER_ALIGN = 16;

/** What the kernels' scratch holds: input rows, four filters, results of one row of four filters. kernels/gna/conv.ts. */
const ROWS_BYTES = 4 << 20;
const FILTERS_BYTES = 2 << 20;
const SUMS_BYTES = 4 << 20;

interface Shape {
  readonly legacy: boolean;
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly filters: number;
  readonly kernelWidth: number;
  readonly kernelHeight: number;
  readonly strideWidth: number;
  readonly strideHeight: number;
  readonly padWidth: number;
  readonly padHeight: number;
  readonly pool: number;
  readonly poolWidth: number;
  readonly poolHeight: number;
  readonly poolStrideWidth: number;
  readonly poolStrideHeight: number;
}

interface Addresses {
  readonly input: number;
  readonly output: number;
  readonly weights: number;
  readonly bias: number;
  readonly pwl: number;
}

function convolved(input: number, pad: number, kernel: number, stride: number): number {
  return 1 + Math.floor((input + 2 * pad - kernel) / stride);
}

/** Before 3.0 a window starts at every multiple of the stride; 3.0 has no window that another covers. */
function pooled(legacy: boolean, input: number, window: number, stride: number): number {
  return legacy ? Math.floor((input - 1) / stride) + 1 : 1 + Math.ceil((input - window) / stride);
}

function finish(
  source: LayerSource,
  shape: Shape,
  precision: Precision,
  at: Addresses,
  segments: number,
): LayerPlan {
  const { legacy, width, height, depth, filters, kernelWidth, kernelHeight, pool } = shape;
  const { inputBytes: elementBytes, outputBytes, biasBytes } = precision;
  if (filters === 0 || filters % FILTER_STEP !== 0) throw parameterFault(`${filters} filters`);
  const sizes = [width, height, depth, kernelWidth, kernelHeight, shape.strideWidth, shape.strideHeight];
  if (sizes.includes(0)) throw parameterFault('a size of 0 in a convolution');
  if (shape.padWidth >= kernelWidth || shape.padHeight >= kernelHeight)
    throw parameterFault('padding as wide as the kernel');
  if (kernelWidth > width + 2 * shape.padWidth || kernelHeight > height + 2 * shape.padHeight)
    throw parameterFault('kernel larger than the input');
  const convWidth = convolved(width, shape.padWidth, kernelWidth, shape.strideWidth);
  const convHeight = convolved(height, shape.padHeight, kernelHeight, shape.strideHeight);
  let outWidth = convWidth;
  let outHeight = convHeight;
  if (pool > POOL_SUM) throw parameterFault(`pooling ${pool}`);
  if (pool !== POOL_NONE) {
    const { poolWidth, poolHeight, poolStrideWidth, poolStrideHeight } = shape;
    if ([poolWidth, poolHeight, poolStrideWidth, poolStrideHeight].includes(0))
      throw parameterFault('a size of 0 in pooling');
    outWidth = pooled(legacy, convWidth, poolWidth, poolStrideWidth);
    outHeight = pooled(legacy, convHeight, poolHeight, poolStrideHeight);
    if (outWidth < 1 || outHeight < 1) throw parameterFault('pooling window larger than its input');
    if ((outWidth - 1) * poolStrideWidth >= convWidth || (outHeight - 1) * poolStrideHeight >= convHeight)
      throw parameterFault('a pooling window with nothing in it');
  }
  const row = (width + 2 * shape.padWidth) * depth + 16;
  const run = Math.ceil((kernelWidth * depth) / 8) * 8;
  const element = legacy && pool !== POOL_NONE ? 8 : 4;
  const lines = !legacy && pool !== POOL_NONE ? shape.poolHeight : 1;
  if (
    (kernelHeight + 1) * row * 2 > ROWS_BYTES ||
    FILTER_STEP * run * kernelHeight * 2 > FILTERS_BYTES ||
    FILTER_STEP * convWidth * element * lines > SUMS_BYTES
  ) {
    throw parameterFault('a convolution larger than any part takes');
  }

  const taps = kernelWidth * kernelHeight * depth;
  const filterBytes = taps * elementBytes;
  const filterPitch = legacy ? filterBytes : Math.ceil(filterBytes / FILTER_ALIGN) * FILTER_ALIGN;
  const operands: Operand[] = [
    { field: 'input', va: at.input, bytes: width * height * depth * elementBytes, access: 'read' },
    { field: 'weights', va: at.weights, bytes: (filters - 1) * filterPitch + filterBytes, access: 'read' },
    {
      field: 'output',
      va: at.output,
      bytes: outWidth * outHeight * filters * (outputBytes || 4),
      access: 'write',
    },
  ];
  if (biasBytes > 0)
    operands.push({ field: 'bias', va: at.bias, bytes: filters * biasBytes, access: 'read' });
  let segmentCount = 0;
  if (outputBytes > 0) {
    segmentCount = segmentsOf(source.config, segments);
    operands.push({ field: 'segments', va: at.pwl, bytes: segmentCount * PwlSegment.size, access: 'read' });
  }
  const values: Record<string, number> = {
    ...shape,
    legacy: legacy ? 1 : 0,
    elementBytes,
    filterPitch,
    convWidth,
    convHeight,
    outWidth,
    outHeight,
    bias: 0,
    biasBytes,
    outputBytes,
    segments: 0,
    segmentCount,
  };
  const macs = convWidth * convHeight * filters * taps;
  return { operation: 'conv', values, operands, macs, inputBytes: elementBytes };
}

function checkBias(precision: Precision, biasFlags: number): void {
  if (precision.compound) throw parameterFault('compound bias of a convolution');
  if (precision.biasBytes > 0 && (biasFlags & BIAS_PER_FILTER) === 0)
    throw parameterFault('one bias per output: not on this part');
}

export function planConv1d(source: LayerSource): LayerPlan {
  const { config, bytes } = source;
  const layer = Conv1dDescriptor.view(viewOf(bytes));
  const precision = precisionOf(config, layer.flags, layer.bias_flags);
  if (precision.weightBytes !== 2 || precision.inputBytes !== 2)
    throw parameterFault('1D convolutions are of 16-bit inputs and filters');
  if (config.format3) checkBias(precision, layer.bias_flags);
  const pool = config.format3 ? layer.bias_flags >> 6 : (layer.flags >> 3) & 3;
  if (pool !== POOL_NONE && precision.outputBytes === 0)
    throw parameterFault('1D pooling needs an activation');
  const shape: Shape = {
    legacy: !config.format3,
    width: layer.inputs,
    height: 1,
    depth: 1,
    filters: layer.filters,
    kernelWidth: layer.filter_size,
    kernelHeight: 1,
    strideWidth: layer.conv_stride,
    strideHeight: 1,
    padWidth: 0,
    padHeight: 0,
    pool,
    poolWidth: layer.pool_window,
    poolHeight: 1,
    poolStrideWidth: layer.pool_stride,
    poolStrideHeight: 1,
  };
  return finish(source, shape, precision, layer, layer.pwl_segments);
}

export function planConv2d(source: LayerSource): LayerPlan {
  const layer = Conv2dDescriptor.view(viewOf(source.bytes));
  const precision = precisionOf(source.config, layer.flags, layer.bias_flags);
  if (precision.weightBytes !== precision.inputBytes)
    throw parameterFault('filters of another precision than the input');
  checkBias(precision, layer.bias_flags);
  const shape: Shape = {
    legacy: false,
    width: layer.input_width,
    height: layer.input_height,
    depth: layer.input_depth,
    filters: layer.filters,
    kernelWidth: layer.kernel_width,
    kernelHeight: layer.kernel_height,
    strideWidth: layer.conv_stride_width,
    strideHeight: layer.conv_stride_height,
    padWidth: layer.pad_width,
    padHeight: layer.pad_height,
    pool: layer.bias_flags >> 6,
    poolWidth: layer.pool_window_width,
    poolHeight: layer.pool_window_height,
    poolStrideWidth: layer.pool_stride_width,
    poolStrideHeight: layer.pool_stride_height,
  };
  return finish(source, shape, precision, layer, layer.pwl_segments);
}
