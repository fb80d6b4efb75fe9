// Operation and surface descriptors of one layer. Fact sheet section 5.
// Not where they lie: emit.ts puts them into the lists.
import {
  CdpOpDesc,
  ConvOpDesc,
  ConvSurfaceDesc,
  type DataCube,
  FORMAT_FEATURE,
  MemType,
  OpType,
  PairSurfaceDesc,
  PdpOpDesc,
  PoolMode,
  Precision,
  SdpActivation,
  SdpAlu,
  SdpMode,
  type SdpOp,
  SdpOpDesc,
  SdpSurfaceDesc,
  SdpType,
} from '../../../hw/nvdla/index.js';
import type { Window } from './cube.js';
import type { Lut } from './lut.js';
import type {
  ConstantBlob,
  ConvLayer,
  Layer,
  NormLayer,
  PoolPart,
  SdpLayer,
  SdpPart,
  SdpStage,
} from './layers.js';

export type CubeDesc = ReturnType<(typeof DataCube)['from']>;
type SdpOpValue = ReturnType<(typeof SdpOp)['from']>;

/** Where windows and constants lie. */
export interface Addresses {
  window(window: Window): CubeDesc;
  /** Two windows of one surface each as the surfaces of one cube, and whether the second lies first in memory. */
  pair(first: Window, second: Window): { cube: CubeDesc; swapped: boolean };
  /** Index of a table in the task's list. */
  lut(lut: Lut): number;
  /** A vector of per-kernel operands or packed weights. */
  constant(blob: ConstantBlob, shape: { width: number; height: number; channel: number }): CubeDesc;
}

/** An operation of a layer: its type, its descriptor and its surfaces. */
export interface Operation {
  readonly type: number;
  readonly operation: Uint8Array;
  readonly surfaces: Uint8Array;
}

/** Operations of a layer in the order of its pipe. */
export function operationsOf(layer: Layer, atom: number, addresses: Addresses): Operation[] {
  switch (layer.kind) {
    case 'conv': {
      const flying = onTheFly(layer.output, atom / layer.output.cube.elementBytes, atom);
      return [convolution(layer, flying, addresses), ...fromSdp(layer, flying, atom, addresses)];
    }
    case 'sdp':
      return fromSdp(layer, addresses.window(layer.input), atom, addresses);
    case 'pool':
      return [pooling(layer, precisionOf(layer), addresses.window(layer.input), layer.output, addresses)];
    case 'norm':
      return [normalization(layer, addresses)];
  }
}

const nothing: CubeDesc = {
  type: MemType.MC,
  address: -1,
  offset: 0,
  size: 0,
  width: 0,
  height: 0,
  channel: 0,
  reserved0: 0,
  line_stride: 0,
  surf_stride: 0,
  plane_stride: 0,
};

/** SDP, and PDP where it takes the result. */
function fromSdp(
  layer: ConvLayer | SdpLayer,
  source: CubeDesc,
  atom: number,
  addresses: Addresses,
): Operation[] {
  const { output, pool } = layer;
  if (pool === undefined) return [sdp(layer, source, addresses.window(output), addresses)];
  const flying = onTheFly(output, atom / output.cube.elementBytes, atom);
  return [
    sdp(layer, source, flying, addresses),
    pooling(pool, precisionOf(layer), flying, pool.output, addresses),
  ];
}

/** The cube between two units. It has packed strides: the driver checks those of 1 x 1 cubes. */
function onTheFly({ channels, height, width }: Window, perAtom: number, atom: number): CubeDesc {
  const line = width * atom;
  return {
    ...nothing,
    type: MemType.HW,
    size: Math.ceil(channels / perAtom) * line * height,
    width,
    height,
    channel: channels,
    line_stride: line,
    surf_stride: line * height,
  };
}

function precisionOf({ input }: Pick<Layer, 'input'>): number {
  return input.cube.elementBytes === 2 ? Precision.FP16 : Precision.INT8;
}

const identity = { scale: 1, truncate: 0, enable: 0, offset: 0 };

function convolution(layer: ConvLayer, output: CubeDesc, addresses: Addresses): Operation {
  const { kernel, stride, dilation, pads, banks, pair } = layer;
  const { elementBytes } = layer.input.cube;
  const paired = pair === undefined ? undefined : addresses.pair(layer.input, pair.input);
  const input = paired?.cube ?? addresses.window(layer.input);
  const weights = paired?.swapped ? pair!.weights : layer.weights;
  const operation = ConvOpDesc.bytes({
    entry_per_slice: banks.entriesPerSlice,
    data_format: FORMAT_FEATURE,
    fetch_grain: 1,
    batch: 1,
    data_bank: banks.dataBank,
    weight_bank: banks.weightBank,
    release: input.height,
    input_width_csc: input.width,
    input_height_csc: input.height,
    input_channel_csc: input.channel,
    kernel_width_csc: kernel.width,
    kernel_height_csc: kernel.height,
    kernel_channel_csc: input.channel,
    input_width_cmac: output.width,
    input_height_cmac: output.height,
    bytes_per_kernel: input.channel * kernel.height * kernel.width * elementBytes,
    conv_stride_x: stride.x,
    conv_stride_y: stride.y,
    pad_x_left: pads.left,
    pad_x_right: pads.right,
    pad_y_top: pads.top,
    pad_y_bottom: pads.bottom,
    dilation_x: dilation.x,
    dilation_y: dilation.y,
    in_precision: precisionOf(layer),
    out_precision: precisionOf(layer),
    pad_val: layer.padValue,
    in_cvt: identity,
    out_cvt: { ...identity, enable: 1 },
  });
  const surfaces = ConvSurfaceDesc.bytes({
    weight_data: addresses.constant(weights, {
      width: kernel.width,
      height: kernel.height,
      channel: input.channel,
    }),
    wmb_data: nothing,
    wgs_data: nothing,
    src_data: input,
    dst_data: output,
  });
  return { type: OpType.CONV, operation, surfaces };
}

const modes = { layer: SdpMode.PER_LAYER, kernel: SdpMode.PER_KERNEL, point: SdpMode.PER_POINT };
const types = { none: SdpType.NONE, mul: SdpType.MUL, add: SdpType.ADD, both: SdpType.BOTH };
const alus = { max: SdpAlu.MAX, min: SdpAlu.MIN, sum: SdpAlu.SUM };
const noConversion = { scale: 0, truncate: 0, enable: 0, offset: 0 };

function sdpStage(stage: SdpStage | undefined, precision: number): SdpOpValue {
  return {
    enable: stage === undefined ? 0 : 1,
    alu_type: alus[stage?.alu ?? 'sum'],
    type: types[stage?.type ?? 'none'],
    mode: modes[stage?.mode ?? 'layer'],
    act: stage?.prelu ? SdpActivation.PRELU : stage?.relu ? SdpActivation.RELU : SdpActivation.NONE,
    shift_value: stage?.shift ?? 0,
    truncate: stage?.truncate ?? 0,
    // Of operands in memory: vectors of int8 layers are int16.
    precision: stage?.constant !== undefined && precision === Precision.INT8 ? Precision.INT16 : precision,
    alu_operand: stage?.aluOperand ?? 0,
    mul_operand: stage?.mulOperand ?? 0,
    alu_cvt: noConversion,
    mul_cvt: noConversion,
  };
}

function elementStage({ y, table }: SdpPart, precision: number): SdpOpValue {
  const stage = sdpStage(y, precision);
  const conversion = y?.converter === undefined ? noConversion : { ...y.converter, enable: 1 };
  return {
    ...stage,
    alu_cvt: conversion,
    mul_cvt: conversion,
    ...(table === undefined ? {} : { enable: 1, act: SdpActivation.LUT }),
  };
}

function sdp(
  layer: ConvLayer | SdpLayer,
  source: CubeDesc,
  output: CubeDesc,
  addresses: Addresses,
): Operation {
  const part = layer.sdp;
  const precision = precisionOf(layer);
  const operand = (stage: SdpStage | undefined): CubeDesc => {
    if (stage?.operand !== undefined) return addresses.window(stage.operand);
    if (stage?.constant !== undefined)
      return addresses.constant(stage.constant, { width: 1, height: 1, channel: output.channel });
    return nothing;
  };
  const operation = SdpOpDesc.bytes({
    src_precision: precision,
    dst_precision: precision,
    lut_index: part.table === undefined ? -1 : addresses.lut(part.table),
    out_cvt: { ...part.out, enable: 1 },
    batch_num: 1,
    x1_op: sdpStage(part.x1, precision),
    x2_op: sdpStage(part.x2, precision),
    y_op: elementStage(part, precision),
  });
  const surfaces = SdpSurfaceDesc.bytes({
    src_data: source,
    x1_data: operand(part.x1),
    x2_data: operand(part.x2),
    y_data: operand(part.y),
    dst_data: output,
  });
  return { type: OpType.SDP, operation, surfaces };
}

function pooling(
  { method, kernel, stride, pads }: PoolPart,
  precision: number,
  source: CubeDesc,
  output: Window,
  addresses: Addresses,
): Operation {
  const operation = PdpOpDesc.bytes({
    split_num: 1,
    pool_mode: method === 'max' ? PoolMode.MAX : PoolMode.MIN,
    pool_width: kernel.width - 1,
    pool_height: kernel.height - 1,
    stride_x: stride.x,
    stride_y: stride.y,
    pad_left: pads.left,
    pad_right: pads.right,
    pad_top: pads.top,
    pad_bottom: pads.bottom,
    precision,
  });
  const surfaces = PairSurfaceDesc.bytes({
    src_data: source,
    dst_data: addresses.window(output),
  });
  return { type: OpType.PDP, operation, surfaces };
}

function normalization(layer: NormLayer, addresses: Addresses): Operation {
  const operation = CdpOpDesc.bytes({
    in_precision: precisionOf(layer),
    out_precision: precisionOf(layer),
    lut_index: addresses.lut(layer.lut),
    in_cvt: { ...layer.in, enable: 1 },
    out_cvt: { ...layer.out, enable: 1 },
    local_size: layer.size,
    bypass_sqsum: 0,
    bypass_out_mul: 0,
  });
  const surfaces = PairSurfaceDesc.bytes({
    src_data: addresses.window(layer.input),
    dst_data: addresses.window(layer.output),
  });
  return { type: OpType.CDP, operation, surfaces };
}
