// Descriptors that the driver's engine scheduler reads from memory: dla_interface.h. Data only.
// Source: fact sheet section 5. Addresses in them are indices into the task's address list, -1 for none.
import { array, s16, s32, s64, s8, struct, u16, u32, u64, u8 } from '../../base/struct.js';

/** op_type of a layer; also the index of its processor. */
export const OpType = { BDMA: 0, CONV: 1, SDP: 2, PDP: 3, CDP: 4, RUBIK: 5 } as const;
export const OP_TYPES = 6;

/** Events that a layer waits for. */
export const OpEvent = { COMPLETED: 1, PROGRAMMED: 2, ENABLED: 3, CDMA_WT_DONE: 4, CDMA_DT_DONE: 5 } as const;

/** type of a data cube. */
export const MemType = { MC: 0, CV: 1, HW: 2 } as const;

export const Precision = { INT8: 0, INT16: 1, FP16: 2 } as const;

/** dla_sdp_op_desc sub-operation. */
export const SdpAlu = { MAX: 0, MIN: 1, SUM: 2, EQL: 3 } as const;
export const SdpType = { NONE: 0, MUL: 1, ADD: 2, BOTH: 3 } as const;
export const SdpMode = { PER_LAYER: 0, PER_KERNEL: 1, PER_POINT: 2 } as const;
export const SdpActivation = { NONE: 0, RELU: 1, LUT: 2, PRELU: 3 } as const;
export const PoolMode = { AVG: 0, MAX: 1, MIN: 2 } as const;

/** DATAIN_FORMAT of a feature cube, in software only; 0..35 are pixel formats (fact sheet section 3.5). */
export const FORMAT_FEATURE = 36;

/** Containers in memory: records are this far apart whatever the layer's own struct needs. */
export const OPERATION_BYTES = 116;
export const SURFACE_BYTES = 644;
export const LUT_BYTES = 700;
export const STAT_BYTES = 44;

const pack = 4;

export const NetworkDesc = struct(
  'dla_network_desc',
  {
    operation_desc_index: s16,
    surface_desc_index: s16,
    dependency_graph_index: s16,
    lut_data_index: s16,
    roi_array_index: s16,
    surface_index: s16,
    stat_list_index: s16,
    reserved1: s16,
    op_head: array(s16, OP_TYPES),
    num_rois: u16,
    num_operations: u16,
    num_luts: u16,
    num_addresses: u16,
    input_layer: s16,
    dynamic_roi: u8,
    reserved0: u8,
  },
  { bytes: 40, pack },
);

export const Consumer = struct('dla_consumer', { index: s16, event: u8, res: u8 }, { bytes: 4, pack });

export const CommonOpDesc = struct(
  'dla_common_op_desc',
  {
    index: s16,
    roi_index: s8,
    op_type: u8,
    dependency_count: u8,
    reserved0: array(u8, 3),
    consumers: array(Consumer, OP_TYPES),
    fused_parent: Consumer,
  },
  { bytes: 36, pack },
);

export const DataCube = struct(
  'dla_data_cube',
  {
    type: u16,
    address: s16,
    offset: u32,
    size: u32,
    width: u16,
    height: u16,
    channel: u16,
    reserved0: u16,
    line_stride: u32,
    surf_stride: u32,
    plane_stride: u32,
  },
  { bytes: 32, pack },
);

/** Data cube of blobs up to version 0.11: no offset. */
export const DataCubeV0 = struct(
  'dla_data_cube (0.11)',
  {
    type: u16,
    address: s16,
    size: u32,
    width: u16,
    height: u16,
    channel: u16,
    reserved0: u16,
    line_stride: u32,
    surf_stride: u32,
    plane_stride: u32,
  },
  { bytes: 28, pack },
);

export const CvtParam = struct(
  'dla_cvt_param',
  { scale: s16, truncate: u8, enable: u8, offset: s32 },
  { bytes: 8, pack },
);

export const ConvOpDesc = struct(
  'dla_conv_op_desc',
  {
    conv_mode: u8,
    data_reuse: u8,
    weight_reuse: u8,
    skip_data_rls: u8,
    skip_weight_rls: u8,
    reserved0: u8,
    entry_per_slice: u16,
    data_format: u8,
    pixel_mapping: u8,
    fetch_grain: u16,
    reserved_b: array(u8, 8),
    batch: u8,
    weight_format: u8,
    data_bank: u8,
    weight_bank: u8,
    batch_stride: u32,
    post_extension: u8,
    pixel_override: u8,
    release: u16,
    input_width_csc: u16,
    input_height_csc: u16,
    input_channel_csc: u16,
    kernel_width_csc: u16,
    kernel_height_csc: u16,
    kernel_channel_csc: u16,
    input_width_cmac: u16,
    input_height_cmac: u16,
    bytes_per_kernel: u32,
    mean_ry: s16,
    mean_gu: s16,
    mean_bv: s16,
    mean_ax: s16,
    mean_format: u8,
    conv_stride_x: u8,
    conv_stride_y: u8,
    pad_x_left: u8,
    pad_x_right: u8,
    pad_y_top: u8,
    pad_y_bottom: u8,
    dilation_x: u8,
    dilation_y: u8,
    reserved2: array(u8, 2),
    pra_truncate: u8,
    in_precision: u8,
    out_precision: u8,
    pad_val: s16,
    in_cvt: CvtParam,
    out_cvt: CvtParam,
  },
  { bytes: 92, pack },
);

export const SdpOp = struct(
  'dla_sdp_op',
  {
    enable: u8,
    alu_type: u8,
    type: u8,
    mode: u8,
    act: u8,
    shift_value: u8,
    truncate: u8,
    precision: u8,
    alu_operand: s32,
    mul_operand: s32,
    alu_cvt: CvtParam,
    mul_cvt: CvtParam,
  },
  { bytes: 32, pack },
);

export const SdpOpDesc = struct(
  'dla_sdp_op_desc',
  {
    src_precision: u8,
    dst_precision: u8,
    lut_index: s16,
    out_cvt: CvtParam,
    conv_mode: u8,
    batch_num: u8,
    reserved0: u16,
    batch_stride: u32,
    x1_op: SdpOp,
    x2_op: SdpOp,
    y_op: SdpOp,
  },
  { bytes: 116, pack },
);

export const PdpOpDesc = struct(
  'dla_pdp_op_desc',
  {
    partial_in_width_first: u16,
    partial_in_width_mid: u16,
    partial_in_width_last: u16,
    partial_width_first: u16,
    partial_width_mid: u16,
    partial_width_last: u16,
    split_num: u8,
    pool_mode: u8,
    pool_width: u8,
    pool_height: u8,
    stride_x: u8,
    stride_y: u8,
    pad_left: u8,
    pad_right: u8,
    pad_top: u8,
    pad_bottom: u8,
    precision: u8,
    reserved0: u8,
    padding_value: array(s32, 7),
  },
  { bytes: 52, pack },
);

export const CdpOpDesc = struct(
  'dla_cdp_op_desc',
  {
    in_precision: u8,
    out_precision: u8,
    lut_index: s16,
    in_cvt: CvtParam,
    out_cvt: CvtParam,
    local_size: u8,
    bypass_sqsum: u8,
    bypass_out_mul: u8,
    reserved0: u8,
  },
  { bytes: 24, pack },
);

export const RubikOpDesc = struct(
  'dla_rubik_op_desc',
  { mode: u8, precision: u8, stride_x: u8, stride_y: u8 },
  { bytes: 4, pack },
);

export const BdmaOpDesc = struct(
  'dla_bdma_op_desc',
  { num_transfers: u16, reserved0: u16 },
  { bytes: 4, pack },
);

export const ConvSurfaceDesc = struct(
  'dla_conv_surface_desc',
  {
    weight_data: DataCube,
    wmb_data: DataCube,
    wgs_data: DataCube,
    src_data: DataCube,
    dst_data: DataCube,
    offset_u: s64,
    in_line_uv_stride: u32,
  },
  { bytes: 172, pack },
);

export const SdpSurfaceDesc = struct(
  'dla_sdp_surface_desc',
  { src_data: DataCube, x1_data: DataCube, x2_data: DataCube, y_data: DataCube, dst_data: DataCube },
  { bytes: 160, pack },
);

/** Surfaces of PDP, CDP and RUBIK layers. */
export const PairSurfaceDesc = struct(
  'dla_pdp_surface_desc',
  { src_data: DataCube, dst_data: DataCube },
  { bytes: 64, pack },
);

export const BdmaTransferDesc = struct(
  'dla_bdma_transfer_desc',
  {
    source_address: s16,
    destination_address: s16,
    line_size: u32,
    line_repeat: u32,
    source_line: u32,
    destination_line: u32,
    surface_repeat: u32,
    source_surface: u32,
    destination_surface: u32,
  },
  { bytes: 32, pack },
);

export const BdmaSurfaceDesc = struct(
  'dla_bdma_surface_desc',
  { source_type: u8, destination_type: u8, num_transfers: u16, transfers: array(BdmaTransferDesc, 20) },
  { bytes: 644, pack },
);

/** Data cubes that a surface descriptor begins with, by op_type. */
export const surfaceCubes: readonly number[] = [0, 5, 5, 2, 2, 2];

/** Integer tables hold s16 entries; slopes are {scale, shift} (fp16: the bits of a half in `scale`). */
const LutSlope = struct('dla_slope', { scale: s16, shift: s8, reserved: u8 }, { bytes: 4, pack });

export const LutParam = struct(
  'dla_lut_param',
  {
    linear_exp_table: array(s16, 65),
    linear_only_table: array(s16, 257),
    linear_exp_offset: s8,
    linear_exp_reserved: u8,
    linear_only_offset: s8,
    linear_only_reserved: u8,
    linear_exp_start: u64,
    linear_exp_end: u64,
    linear_only_start: u64,
    linear_only_end: u64,
    linear_exp_underflow_slope: LutSlope,
    linear_exp_overflow_slope: LutSlope,
    linear_only_underflow_slope: LutSlope,
    linear_only_overflow_slope: LutSlope,
    hybrid_priority: u8,
    underflow_priority: u8,
    overflow_priority: u8,
    method: u8,
  },
  { bytes: 700, pack },
);
