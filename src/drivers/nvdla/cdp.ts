// The cross-channel processor CDP and its read DMA: local response normalisation by table.
// Not reachable on the fly: source and destination are memory.
import {
  CdpOpDesc,
  CvtParam,
  DataCube,
  interruptBit,
  MemType,
  PairSurfaceDesc,
} from '../../hw/nvdla/index.js';
import type { Hardware } from './hardware.js';
import { high32, low32, ramType, type Layer } from './layer.js';
import { encodeLut, type LutRegisters } from './lut.js';
import { GroupedProcessor, type Processor } from './processor.js';
import type { RegisterProgram } from './program.js';

export function cdp(hardware: Hardware): Processor {
  const { memory } = hardware;
  const unit = hardware.unit('CDP');
  const rdma = hardware.unit('CDP_RDMA');
  const [r, d] = [unit.r, rdma.r];
  const op = CdpOpDesc.view(memory.view);
  const inCvt = CvtParam.view(memory.view);
  const outCvt = CvtParam.view(memory.view);
  const src = DataCube.view(memory.view);
  const dst = DataCube.view(memory.view);
  const lutRegisters: LutRegisters = {
    unit,
    r,
    bounds: {
      leStart: [r.S_LUT_LE_START_LOW, r.S_LUT_LE_START_HIGH],
      leEnd: [r.S_LUT_LE_END_LOW, r.S_LUT_LE_END_HIGH],
      loStart: [r.S_LUT_LO_START_LOW, r.S_LUT_LO_START_HIGH],
      loEnd: [r.S_LUT_LO_END_LOW, r.S_LUT_LO_END_HIGH],
    },
  };

  function encode(layer: Layer, out: RegisterProgram): void {
    op.at = layer.op;
    inCvt.at = layer.op + CdpOpDesc.offsets.in_cvt;
    outCvt.at = layer.op + CdpOpDesc.offsets.out_cvt;
    src.at = layer.surface + PairSurfaceDesc.offsets.src_data;
    dst.at = layer.surface + PairSurfaceDesc.offsets.dst_data;
    check(layer);

    const source = layer.inputAddress('src_data', src, 1);
    const destination = layer.address('dst_data', dst);

    out.put(rdma, d.D_DATA_CUBE_WIDTH, src.width - 1);
    out.put(rdma, d.D_DATA_CUBE_HEIGHT, src.height - 1);
    out.put(rdma, d.D_DATA_CUBE_CHANNEL, src.channel - 1);
    out.put(rdma, d.D_SRC_BASE_ADDR_LOW, low32(source));
    out.put(rdma, d.D_SRC_BASE_ADDR_HIGH, high32(source));
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
    out.put(rdma, d.D_SRC_DMA_CFG, ramType(src.type));
    out.put(rdma, d.D_DATA_FORMAT, op.in_precision);

    if (op.lut_index >= 0) encodeLut(layer, op.lut_index, op.in_precision, lutRegisters, out);

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
    out.put(unit, r.D_DST_DMA_CFG, ramType(dst.type));
    out.put(unit, r.D_DATA_FORMAT, op.in_precision);
    // LEN3, LEN5, LEN7, LEN9.
    out.put(unit, r.D_LRN_CFG, (op.local_size - 3) >> 1);
    out.put(unit, r.D_DATIN_OFFSET, r.D_DATIN_OFFSET.f.DATIN_OFFSET.of(inCvt.offset));
    out.put(unit, r.D_DATIN_SCALE, r.D_DATIN_SCALE.f.DATIN_SCALE.of(inCvt.scale));
    out.put(unit, r.D_DATIN_SHIFTER, inCvt.truncate);
    out.put(unit, r.D_DATOUT_OFFSET, outCvt.offset);
    out.put(unit, r.D_DATOUT_SCALE, r.D_DATOUT_SCALE.f.DATOUT_SCALE.of(outCvt.scale));
    out.put(unit, r.D_DATOUT_SHIFTER, outCvt.truncate);
    out.put(
      unit,
      r.D_FUNC_BYPASS,
      r.D_FUNC_BYPASS.f.SQSUM_BYPASS.of(op.bypass_sqsum !== 0 ? 1 : 0) |
        r.D_FUNC_BYPASS.f.MUL_BYPASS.of(op.bypass_out_mul !== 0 ? 1 : 0),
    );
  }

  function check(layer: Layer): void {
    layer.memory('src_data', src, MemType.CV);
    layer.memory('dst_data', dst, MemType.CV);
    layer.extent('src_data', src);
    layer.precision('in_precision', op.in_precision);
    if (op.out_precision !== op.in_precision) {
      layer.reject('out_precision', `${op.out_precision}, CDP does not convert from ${op.in_precision}`);
    }
    layer.between('lut_index', op.lut_index, -1, layer.lutCount - 1);
    layer.between('local_size', op.local_size, 3, 9);
    if (op.local_size % 2 === 0) layer.reject('local_size', `${op.local_size}, must be odd`);
    layer.between('in_cvt.truncate', inCvt.truncate, 0, 31);
    layer.between('out_cvt.truncate', outCvt.truncate, 0, 63);
    layer.rdma = true;
    layer.lut = op.lut_index;
  }

  return new GroupedProcessor(hardware, {
    engine: 'cdp',
    doneBit: interruptBit.CDP,
    units: [unit],
    rdma,
    encode,
    statistics: {
      enable: { unit, register: r.D_PERF_ENABLE },
      counters: [
        { unit, register: r.D_NAN_INPUT_NUM, at: 0 },
        { unit, register: r.D_INF_INPUT_NUM, at: 4 },
        { unit, register: r.D_NAN_OUTPUT_NUM, at: 8 },
        { unit, register: r.D_PERF_WRITE_STALL, at: 12 },
        { unit, register: r.D_PERF_LUT_UFLOW, at: 16 },
        { unit, register: r.D_PERF_LUT_OFLOW, at: 20 },
        { unit, register: r.D_PERF_LUT_HYBRID, at: 24 },
        { unit, register: r.D_PERF_LUT_LE_HIT, at: 28 },
        { unit, register: r.D_PERF_LUT_LO_HIT, at: 32 },
        { unit, register: r.D_OUT_SATURATION, at: 36 },
      ],
      runtime: 40,
    },
  });
}
