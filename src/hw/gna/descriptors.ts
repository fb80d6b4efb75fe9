// What GNA reads from memory: configuration descriptor, layer descriptors, PWL segments. Data only.
// Source: fact sheet sections 3, 4, 5.8 and 5.10.
import { array, s16, s32, struct, u16, u32, u8 } from '../../base/struct.js';
import { PAGE_DIRECTORY_ENTRIES } from './config.js';

/** Offset of LABASE in the configuration descriptor, or of the GMM descriptor in GMM mode. */
export const CONFIG_LAYERS = 0x100;
export const LAYER_DESCRIPTOR_BYTES = 128;

export const ConfigDescriptor = struct(
  'gna_hw_descriptor',
  {
    reserved0: array(u8, 0x100),
    labase: u32,
    lacnt: u16,
    reserved1: array(u8, 0xfa),
    vamaxaddr: u32,
    reserved2: array(u8, 12),
    page_directory: array(u32, PAGE_DIRECTORY_ENTRIES),
  },
  { bytes: 784 },
);

/** Operation byte of a layer descriptor. */
export const LayerOp = {
  AFFINE: 0x00,
  AFFINE_ACTIVE_LIST: 0x01,
  DIAGONAL: 0x02,
  RECURRENT: 0x04,
  CONV_1D: 0x08,
  AFFINE_MULTIBIAS: 0x09,
  DEINTERLEAVE: 0x10,
  INTERLEAVE: 0x11,
  COPY: 0x12,
  GMM: 0x20,
  GMM_ACTIVE_LIST: 0x21,
  CONV_2D: 0x30,
} as const;

/** The first 64 bytes as the affine family, recurrent, copy and transposes use them. */
export const LayerDescriptor = struct(
  'gna_layer_descriptor',
  {
    op: u8,
    flags: u8,
    inputs: u16,
    outputs: u16,
    /** Groups, rows of a copy, filters in the last iteration. */
    groups: u8,
    iterations: u8,
    elements_last: u16,
    fb_iterations: u8,
    /** 3.0: bias precision, bias mode, pooling. */
    bias_flags: u8,
    fb_elements_first: u16,
    fb_elements_last: u16,
    pwl_segments: u16,
    /** Active list length, bias vectors of multibias, columns of a copy. */
    list_length: u16,
    /** Bias vector of multibias. */
    vector_index: u16,
    reserved16: array(u8, 10),
    input: u32,
    output: u32,
    sum: u32,
    feedback: u32,
    weights: u32,
    bias: u32,
    active_list: u32,
    pwl: u32,
    reserved40: array(u8, 64),
  },
  { bytes: 128 },
);

/** Convolution 1D: both generations. */
export const Conv1dDescriptor = struct(
  'gna_conv1d_descriptor',
  {
    op: u8,
    flags: u8,
    inputs: u16,
    /** Per filter, after pooling. */
    outputs: u16,
    filters_last: u8,
    pool_stride: u8,
    conv_stride: u16,
    pool_window: u8,
    bias_flags: u8,
    filters: u16,
    filter_iterations: u16,
    pwl_segments: u16,
    filter_size: u16,
    filters_per_iteration: u16,
    /** Per filter, before pooling. */
    conv_outputs: u16,
    buffer_full: u16,
    buffer_last: u16,
    reserved1c: array(u8, 4),
    input: u32,
    output: u32,
    sum: u32,
    /** 3.0 only, scheduling of the engines: no effect on results. */
    micro: u32,
    weights: u32,
    bias: u32,
    reserved38: u32,
    pwl: u32,
    reserved40: array(u8, 64),
  },
  { bytes: 128 },
);

/** Convolution 2D, 3.0. */
export const Conv2dDescriptor = struct(
  'gna_conv2d_descriptor',
  {
    op: u8,
    flags: u8,
    input_width: u16,
    input_depth: u16,
    input_height: u16,
    pool_stride_width: u8,
    pool_stride_height: u8,
    reserved0a: u8,
    bias_flags: u8,
    filters: u16,
    kernel_iterations: u16,
    pwl_segments: u16,
    pad_height_rest: u8,
    pad_height_strides: u8,
    kernel_work_group: u16,
    conv_width: u16,
    conv_height: u16,
    output_width: u16,
    output_height: u16,
    pool_window_width: u8,
    pool_window_height: u8,
    input: u32,
    output: u32,
    kernel_width: u8,
    kernel_height: u8,
    reserved2a: u8,
    micro_threads: u8,
    memory_bases: array(u8, 4),
    weights: u32,
    bias: u32,
    pad_width: u8,
    pad_height: u8,
    conv_stride_width: u8,
    conv_stride_height: u8,
    pwl: u32,
    reserved40: array(u8, 64),
  },
  { bytes: 128 },
);

export const GmmDescriptor = struct(
  'gna_gmm_descriptor',
  {
    features: u32,
    feature_pitch: u32,
    feature_width: u32,
    mode: u32,
    vectors: u32,
    length: u32,
    means: u32,
    reserved1c: u32,
    mean_width: u32,
    reserved24: u32,
    mean_stride: u32,
    reserved2c: u32,
    variances: u32,
    reserved34: u32,
    variance_width: u32,
    reserved3c: u32,
    variance_stride: u32,
    constants: u32,
    reserved48: u32,
    constant_width: u32,
    constant_stride: u32,
    max_score: u32,
    score_width: u32,
    mixtures: u32,
    mixture_length: u32,
    states: u32,
    active_list: u32,
    reserved6c: u32,
    active_list_length: u32,
    score_width2: u32,
    scores: u32,
    score_bytes: u32,
  },
  { bytes: 128 },
);

/** Low two bits of x_base are the shift code s: the product is shifted right by 8 * (s + 1). */
export const PwlSegment = struct('gna_pwl_segment', { x_base: s32, y_base: s16, slope: s16 }, { bytes: 8 });

/** Bias entry with a weight multiplier: 8-bit weights with 16-bit inputs. Bytes 5 to 7 mean nothing. */
export const CompoundBias = struct(
  'gna_compound_bias',
  { bias: s32, multiplier: u8, reserved: array(u8, 3) },
  { bytes: 8 },
);
