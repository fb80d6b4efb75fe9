// The planar processor PDP and its read DMA: pooling.
// Not the SDP that may feed it: with src_data of type HW it waits for one.
import {
  DataCube,
  interruptBit,
  MemType,
  PairSurfaceDesc,
  PdpOpDesc,
  PoolMode,
  Precision,
} from '../../hw/nvdla/index.js';
import type { Hardware } from './hardware.js';
import { high32, low32, ramType, type Layer } from './layer.js';
import { GroupedProcessor, type Processor } from './processor.js';
import type { RegisterProgram } from './program.js';

const MAX_SPLIT = 64;
const PAD_VALUES = 7;

/** 1/1 to 1/8 for averages: 16 fraction bits, and as halves scaled by 2^16 for fp16. */
const reciprocals = [0x10000, 0x8000, 0x5555, 0x4000, 0x3333, 0x2aaa, 0x2492, 0x2000] as const;
const halfReciprocals = [0x7c00, 0x7800, 0x7555, 0x7400, 0x7266, 0x7155, 0x7092, 0x7000] as const;

/** A partial width in its register: 0 (unused) stays 0. */
const lessOne = (width: number): number => (width === 0 ? 0 : width - 1);

export function pdp(hardware: Hardware): Processor {
  const { memory } = hardware;
  const unit = hardware.unit('PDP');
  const rdma = hardware.unit('PDP_RDMA');
  const [r, d] = [unit.r, rdma.r];
  const op = PdpOpDesc.view(memory.view);
  const src = DataCube.view(memory.view);
  const dst = DataCube.view(memory.view);
  const padValueRegisters = [
    r.D_POOLING_PADDING_VALUE_1_CFG,
    r.D_POOLING_PADDING_VALUE_2_CFG,
    r.D_POOLING_PADDING_VALUE_3_CFG,
    r.D_POOLING_PADDING_VALUE_4_CFG,
    r.D_POOLING_PADDING_VALUE_5_CFG,
    r.D_POOLING_PADDING_VALUE_6_CFG,
    r.D_POOLING_PADDING_VALUE_7_CFG,
  ];
  const padValue = (layer: Layer, i: number): number =>
    layer.view.getInt32(layer.op + PdpOpDesc.offsets.padding_value + 4 * i, true);

  function encode(layer: Layer, out: RegisterProgram): void {
    op.at = layer.op;
    src.at = layer.surface + PairSurfaceDesc.offsets.src_data;
    dst.at = layer.surface + PairSurfaceDesc.offsets.dst_data;
    check(layer);

    const flying = src.type === MemType.HW;
    const source = flying ? 0 : layer.inputAddress('src_data', src, 1);
    const destination = layer.address('dst_data', dst);
    const partialIn = d.D_PARTIAL_WIDTH_IN.f;
    const partialInWord =
      partialIn.PARTIAL_WIDTH_IN_FIRST.of(lessOne(op.partial_in_width_first)) |
      partialIn.PARTIAL_WIDTH_IN_MID.of(lessOne(op.partial_in_width_mid)) |
      partialIn.PARTIAL_WIDTH_IN_LAST.of(lessOne(op.partial_in_width_last));

    if (!flying) {
      out.put(rdma, d.D_DATA_CUBE_IN_WIDTH, src.width - 1);
      out.put(rdma, d.D_DATA_CUBE_IN_HEIGHT, src.height - 1);
      out.put(rdma, d.D_DATA_CUBE_IN_CHANNEL, src.channel - 1);
      out.put(rdma, d.D_SRC_BASE_ADDR_HIGH, high32(source));
      out.put(rdma, d.D_SRC_BASE_ADDR_LOW, low32(source));
      out.put(
        rdma,
        d.D_SRC_LINE_STRIDE,
        layer.fits('src_data.line_stride', src.line_stride, d.D_SRC_LINE_STRIDE),
      );
      out.put(
        rdma,
        d.D_SRC_SURFACE_STRIDE,
        layer.fits('src_data.surf_stride', src.surf_stride, d.D_SRC_SURFACE_STRIDE),
      );
      out.put(rdma, d.D_DATA_FORMAT, op.precision);
      out.put(rdma, d.D_SRC_RAM_CFG, ramType(src.type));
      out.put(rdma, d.D_OPERATION_MODE_CFG, d.D_OPERATION_MODE_CFG.f.SPLIT_NUM.of(op.split_num - 1));
      out.put(
        rdma,
        d.D_POOLING_KERNEL_CFG,
        d.D_POOLING_KERNEL_CFG.f.KERNEL_WIDTH.of(op.pool_width) |
          d.D_POOLING_KERNEL_CFG.f.KERNEL_STRIDE_WIDTH.of(op.stride_x - 1),
      );
      out.put(rdma, d.D_POOLING_PADDING_CFG, op.pad_left);
      out.put(rdma, d.D_PARTIAL_WIDTH_IN, partialInWord);
    }

    out.put(unit, r.D_DATA_CUBE_IN_WIDTH, src.width - 1);
    out.put(unit, r.D_DATA_CUBE_IN_HEIGHT, src.height - 1);
    out.put(unit, r.D_DATA_CUBE_IN_CHANNEL, src.channel - 1);
    out.put(unit, r.D_DATA_CUBE_OUT_WIDTH, dst.width - 1);
    out.put(unit, r.D_DATA_CUBE_OUT_HEIGHT, dst.height - 1);
    out.put(unit, r.D_DATA_CUBE_OUT_CHANNEL, dst.channel - 1);
    const mode = r.D_OPERATION_MODE_CFG.f;
    // FLYING_MODE 0 is on the fly, unlike SDP's.
    out.put(
      unit,
      r.D_OPERATION_MODE_CFG,
      mode.POOLING_METHOD.of(op.pool_mode) |
        mode.FLYING_MODE.of(flying ? 0 : 1) |
        mode.SPLIT_NUM.of(op.split_num - 1),
    );
    out.put(unit, r.D_PARTIAL_WIDTH_IN, partialInWord);
    const partialOut = r.D_PARTIAL_WIDTH_OUT.f;
    out.put(
      unit,
      r.D_PARTIAL_WIDTH_OUT,
      partialOut.PARTIAL_WIDTH_OUT_FIRST.of(lessOne(op.partial_width_first)) |
        partialOut.PARTIAL_WIDTH_OUT_MID.of(lessOne(op.partial_width_mid)) |
        partialOut.PARTIAL_WIDTH_OUT_LAST.of(lessOne(op.partial_width_last)),
    );
    const kernel = r.D_POOLING_KERNEL_CFG.f;
    out.put(
      unit,
      r.D_POOLING_KERNEL_CFG,
      kernel.KERNEL_WIDTH.of(op.pool_width) |
        kernel.KERNEL_HEIGHT.of(op.pool_height) |
        kernel.KERNEL_STRIDE_WIDTH.of(op.stride_x - 1) |
        kernel.KERNEL_STRIDE_HEIGHT.of(op.stride_y - 1),
    );
    const reciprocal = op.precision === Precision.FP16 ? halfReciprocals : reciprocals;
    out.put(unit, r.D_RECIP_KERNEL_WIDTH, reciprocal[op.pool_width]!);
    out.put(unit, r.D_RECIP_KERNEL_HEIGHT, reciprocal[op.pool_height]!);
    const pad = r.D_POOLING_PADDING_CFG.f;
    out.put(
      unit,
      r.D_POOLING_PADDING_CFG,
      pad.PAD_LEFT.of(op.pad_left) |
        pad.PAD_RIGHT.of(op.pad_right) |
        pad.PAD_TOP.of(op.pad_top) |
        pad.PAD_BOTTOM.of(op.pad_bottom),
    );
    for (let i = 0; i < PAD_VALUES; i++) {
      const register = padValueRegisters[i]!;
      out.put(unit, register, padValue(layer, i) & register.writeMask);
    }
    if (!flying) {
      out.put(unit, r.D_SRC_LINE_STRIDE, src.line_stride);
      out.put(unit, r.D_SRC_SURFACE_STRIDE, src.surf_stride);
    }
    out.put(unit, r.D_DST_BASE_ADDR_LOW, low32(destination));
    out.put(unit, r.D_DST_BASE_ADDR_HIGH, high32(destination));
    out.put(
      unit,
      r.D_DST_LINE_STRIDE,
      layer.fits('dst_data.line_stride', dst.line_stride, r.D_DST_LINE_STRIDE),
    );
    out.put(
      unit,
      r.D_DST_SURFACE_STRIDE,
      layer.fits('dst_data.surf_stride', dst.surf_stride, r.D_DST_SURFACE_STRIDE),
    );
    out.put(unit, r.D_DST_RAM_CFG, ramType(dst.type));
    out.put(unit, r.D_DATA_FORMAT, op.precision);
  }

  function check(layer: Layer): void {
    layer.memory('src_data', src, MemType.HW);
    layer.memory('dst_data', dst, MemType.CV);
    layer.extent('src_data', src);
    layer.extent('dst_data', dst);
    layer.precision('precision', op.precision);
    layer.between('stride_x', op.stride_x, 1, 8);
    layer.between('stride_y', op.stride_y, 1, 8);
    layer.between('split_num', op.split_num, 1, src.type === MemType.HW ? 1 : MAX_SPLIT);
    layer.between('pool_width', op.pool_width, 0, 7);
    layer.between('pool_height', op.pool_height, 0, 7);
    layer.between('pool_mode', op.pool_mode, 0, PoolMode.MIN);
    layer.between('pad_left', op.pad_left, 0, 7);
    layer.between('pad_right', op.pad_right, 0, 7);
    layer.between('pad_top', op.pad_top, 0, 7);
    layer.between('pad_bottom', op.pad_bottom, 0, 7);
    for (const name of [
      'partial_in_width_first',
      'partial_in_width_mid',
      'partial_in_width_last',
      'partial_width_first',
      'partial_width_mid',
      'partial_width_last',
    ] as const)
      layer.between(name, op[name], 0, 1024);
    if (op.precision === Precision.FP16) {
      for (let i = 0; i < PAD_VALUES; i++)
        if (padValue(layer, i) !== 0) layer.reject(`padding_value[${i}]`, 'fp16 is padded with zeros only');
    }
    layer.rdma = src.type !== MemType.HW;
  }

  return new GroupedProcessor(hardware, {
    engine: 'pdp',
    doneBit: interruptBit.PDP,
    units: [unit],
    rdma,
    encode,
    statistics: {
      enable: { unit, register: r.D_PERF_ENABLE },
      counters: [
        { unit, register: r.D_INF_INPUT_NUM, at: 0 },
        { unit, register: r.D_NAN_INPUT_NUM, at: 4 },
        { unit, register: r.D_NAN_OUTPUT_NUM, at: 8 },
        { unit, register: r.D_PERF_WRITE_STALL, at: 12 },
      ],
      runtime: 16,
    },
  });
}
