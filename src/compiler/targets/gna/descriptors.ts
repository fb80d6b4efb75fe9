// Layers as the 128 bytes that the hardware reads. Fact sheet section 4.
// Not addresses: whoever emits a segment says where planes and constants lie.
import {
  Conv1dDescriptor,
  Conv2dDescriptor,
  type GnaConfig,
  inputBufferElements,
  LAYER_DESCRIPTOR_BYTES,
  LayerDescriptor,
  LayerOp,
} from '../../../hw/gna/index.js';
import {
  type Blob,
  type Constants,
  type Conv1dLayer,
  type Conv2dLayer,
  isPlace,
  type Layer,
  type Operand,
} from './layers.js';
import type { At } from './view.js';

export interface Addresses {
  at(place: At): number;
  blob(blob: Blob): number;
  /** Room for the 32-bit sums of an activated layer of the affine family. */
  readonly sums: number;
}

function operandAt(addresses: Addresses, operand: Operand): number {
  return isPlace(operand) ? addresses.at(operand) : addresses.blob(operand);
}

function segmentsAt(addresses: Addresses, { segments }: Constants): number {
  return segments === undefined ? 0 : addresses.blob(segments);
}

/** Codes of flags and bias byte: section 4. Weight codes mean the opposite before 3.0. */
const CODE_8 = 1;
const CODE_16 = 2;
const BIAS_32 = 3;
const BIAS_COMPOUND = 7;
const BIAS_PER_FILTER = 8;
const POOL = { max: 1, sum: 2 } as const;

export function descriptorOf(layer: Layer, config: GnaConfig, addresses: Addresses): Uint8Array {
  switch (layer.kind) {
    case 'conv1d':
      return conv1d(layer, config, addresses);
    case 'conv2d':
      return conv2d(layer, addresses);
    case 'interleave':
      return LayerDescriptor.bytes({
        op: LayerOp.INTERLEAVE,
        flags: config.format3 ? CODE_16 << 2 : 0,
        inputs: layer.inputs,
        groups: layer.groups,
        input: addresses.at(layer.input),
        output: addresses.at(layer.output),
      });
    case 'copy':
      return LayerDescriptor.bytes({
        op: LayerOp.COPY,
        flags: config.format3 ? CODE_16 << 2 : 0,
        inputs: layer.inputPitch,
        outputs: layer.outputPitch,
        groups: layer.rows,
        list_length: layer.columns,
        input: addresses.at(layer.input),
        output: addresses.at(layer.output),
      });
    default: {
      const ops = { affine: LayerOp.AFFINE, diagonal: LayerOp.DIAGONAL, recurrent: LayerOp.RECURRENT };
      const inputs = layer.kind === 'diagonal' ? layer.outputs : layer.inputs;
      const output = addresses.at(layer.output);
      const recurrent = layer.kind === 'recurrent';
      return LayerDescriptor.bytes({
        op: ops[layer.kind],
        flags: flagsOf(layer, config),
        inputs,
        outputs: layer.outputs,
        groups: recurrent ? layer.vectors : 1,
        ...blocks(inputs, layer.outputs, recurrent, config),
        bias_flags: config.format3 ? (layer.weightBytes === 1 ? BIAS_COMPOUND : BIAS_32) : 0,
        pwl_segments: layer.segmentCount,
        input: addresses.at(layer.input),
        output,
        sum: layer.segments === undefined ? output : addresses.sums,
        // The outputs of the step before, and before the first step what lies before the output.
        feedback: recurrent ? output - 2 * layer.outputs : 0,
        weights: operandAt(addresses, layer.weights),
        bias: operandAt(addresses, layer.bias),
        pwl: segmentsAt(addresses, layer),
      });
    }
  }
}

function flagsOf({ weightBytes, segments }: Constants, { format3 }: GnaConfig): number {
  const activated = segments !== undefined;
  if (!format3) return (weightBytes === 1 ? 1 : 0) | (activated ? 4 : 0);
  return (weightBytes === 1 ? CODE_8 : CODE_16) | (CODE_16 << 2) | (activated ? CODE_16 << 4 : 0);
}

/** How inputs (and feedback) are cut into what the input buffer holds. The sheet's formulas with one vector. */
function blocks(
  inputs: number,
  outputs: number,
  recurrent: boolean,
  config: GnaConfig,
): Record<
  'iterations' | 'elements_last' | 'fb_iterations' | 'fb_elements_first' | 'fb_elements_last',
  number
> {
  const buffer = inputBufferElements(config.format3, 1, 2);
  const iterations = Math.ceil(inputs / buffer);
  const last = inputs - (iterations - 1) * buffer;
  const none = { fb_iterations: 0, fb_elements_first: 0, fb_elements_last: 0 };
  if (!recurrent) return { iterations, elements_last: last, ...none };
  const first = Math.min(buffer - last, outputs);
  const more = Math.ceil((outputs - first) / buffer);
  const fbIterations = (first > 0 ? 1 : 0) + more;
  return {
    iterations,
    elements_last: last,
    fb_iterations: fbIterations,
    fb_elements_first: first,
    fb_elements_last: fbIterations <= 1 ? outputs : outputs - first - (fbIterations - 2) * buffer,
  };
}

/** Filters that are worked on at once, by how many fit the input buffer. */
function filtersAtOnce(filters: number, size: number, buffer: number): number {
  const most = size <= buffer / 18 ? 16 : size <= buffer / 12 ? 12 : 4;
  return Math.min(filters, most);
}

function conv1d(layer: Conv1dLayer, config: GnaConfig, addresses: Addresses): Uint8Array {
  const { inputs, filters, size, stride, positions, outputs, pool, segmentCount } = layer;
  const common = {
    op: LayerOp.CONV_1D,
    inputs,
    outputs,
    filters,
    filter_size: size,
    conv_stride: stride,
    pool_window: pool?.window ?? 0,
    pool_stride: pool?.stride ?? 0,
    pwl_segments: segmentCount,
    conv_outputs: positions,
    input: addresses.at(layer.input),
    output: addresses.at(layer.output),
    weights: operandAt(addresses, layer.weights),
    bias: operandAt(addresses, layer.bias),
    pwl: segmentsAt(addresses, layer),
  };
  const method = pool === undefined ? 0 : POOL[pool.method];
  if (config.format3)
    return Conv1dDescriptor.bytes({
      ...common,
      flags: flagsOf(layer, config),
      bias_flags: BIAS_32 | BIAS_PER_FILTER | (method << 6),
      filter_iterations: 1,
      filters_per_iteration: filters,
      // Micro-threads, the highest byte.
      sum: 1 << 24,
    });
  const atOnce = filtersAtOnce(filters, size, inputBufferElements(false, 1, 2));
  const iterations = Math.ceil(filters / atOnce);
  const last = filters - (iterations - 1) * atOnce;
  return Conv1dDescriptor.bytes({
    ...common,
    flags: flagsOf(layer, config) | (method << 3),
    filters_last: last,
    filter_iterations: iterations,
    filters_per_iteration: atOnce,
    buffer_full: atOnce * size,
    buffer_last: last * size,
  });
}

function conv2d(layer: Conv2dLayer, addresses: Addresses): Uint8Array {
  const { kernel, stride, pad, convolved, pooled, pool } = layer;
  return Conv2dDescriptor.bytes({
    op: LayerOp.CONV_2D,
    flags: CODE_16 | (CODE_16 << 2) | (CODE_16 << 4),
    input_width: layer.width,
    input_height: layer.height,
    input_depth: layer.depth,
    pool_stride_width: pool?.stride ?? 0,
    pool_stride_height: pool?.stride ?? 0,
    bias_flags: BIAS_32 | BIAS_PER_FILTER | ((pool === undefined ? 0 : POOL.max) << 6),
    filters: layer.filters,
    kernel_iterations: 1,
    pwl_segments: layer.segmentCount,
    pad_height_rest: pad.height % stride.height,
    pad_height_strides: Math.floor(pad.height / stride.height),
    kernel_work_group: layer.filters,
    conv_width: convolved.width,
    conv_height: convolved.height,
    output_width: pooled.width,
    output_height: pooled.height,
    pool_window_width: pool?.window ?? 0,
    pool_window_height: pool?.window ?? 0,
    input: addresses.at(layer.input),
    output: addresses.at(layer.output),
    kernel_width: kernel.width,
    kernel_height: kernel.height,
    micro_threads: 1,
    weights: operandAt(addresses, layer.weights),
    bias: operandAt(addresses, layer.bias),
    pad_width: pad.width,
    pad_height: pad.height,
    conv_stride_width: stride.width,
    conv_stride_height: stride.height,
    pwl: segmentsAt(addresses, layer),
  });
}

/** Descriptors one after the other. */
export function descriptorList(
  layers: readonly Layer[],
  config: GnaConfig,
  addresses: Addresses,
): Uint8Array {
  const bytes = new Uint8Array(layers.length * LAYER_DESCRIPTOR_BYTES);
  layers.forEach((layer, i) => {
    bytes.set(descriptorOf(layer, config, addresses), i * LAYER_DESCRIPTOR_BYTES);
  });
  return bytes;
}
