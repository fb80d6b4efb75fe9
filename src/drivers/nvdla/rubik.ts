// RUBIK: reshapes cubes in memory. Contract (deconvolution), split to planes, merge from planes.
// Not in every configuration.
import { DataCube, interruptBit, MemType, PairSurfaceDesc, RubikOpDesc } from '../../hw/nvdla/index.js';
import type { Hardware } from './hardware.js';
import { high32, low32, ramType, type Layer } from './layer.js';
import { GroupedProcessor, type Processor } from './processor.js';
import type { RegisterProgram } from './program.js';

const Mode = { CONTRACT: 0, SPLIT: 1, MERGE: 2 } as const;

/** Bytes per element by precision. */
const elementBytes = [1, 2, 2] as const;

export function rubik(hardware: Hardware): Processor {
  const { config, memory } = hardware;
  const unit = hardware.unit('RBK');
  const { r } = unit;
  const op = RubikOpDesc.view(memory.view);
  const src = DataCube.view(memory.view);
  const dst = DataCube.view(memory.view);

  function encode(layer: Layer, out: RegisterProgram): void {
    op.at = layer.op;
    src.at = layer.surface + PairSurfaceDesc.offsets.src_data;
    dst.at = layer.surface + PairSurfaceDesc.offsets.dst_data;
    check(layer);

    const { mode } = op;
    const source = layer.inputAddress('src_data', src, 1);
    const destination = layer.address('dst_data', dst);

    out.put(
      unit,
      r.D_MISC_CFG,
      r.D_MISC_CFG.f.RUBIK_MODE.of(mode) | r.D_MISC_CFG.f.IN_PRECISION.of(op.precision),
    );
    out.put(unit, r.D_DAIN_RAM_TYPE, ramType(src.type));
    out.put(
      unit,
      r.D_DATAIN_SIZE_0,
      r.D_DATAIN_SIZE_0.f.DATAIN_WIDTH.of(src.width - 1) |
        r.D_DATAIN_SIZE_0.f.DATAIN_HEIGHT.of(src.height - 1),
    );
    out.put(unit, r.D_DATAIN_SIZE_1, src.channel - 1);
    out.put(unit, r.D_DAIN_ADDR_LOW, low32(source));
    out.put(unit, r.D_DAIN_ADDR_HIGH, high32(source));
    if (mode === Mode.MERGE)
      out.put(
        unit,
        r.D_DAIN_PLANAR_STRIDE,
        layer.fits('src_data.plane_stride', src.plane_stride, r.D_DAIN_PLANAR_STRIDE),
      );
    else
      out.put(
        unit,
        r.D_DAIN_SURF_STRIDE,
        layer.fits('src_data.surf_stride', src.surf_stride, r.D_DAIN_SURF_STRIDE),
      );
    out.put(
      unit,
      r.D_DAIN_LINE_STRIDE,
      layer.fits('src_data.line_stride', src.line_stride, r.D_DAIN_LINE_STRIDE),
    );
    out.put(unit, r.D_DAOUT_RAM_TYPE, ramType(dst.type));
    out.put(unit, r.D_DATAOUT_SIZE_1, dst.channel - 1);
    out.put(unit, r.D_DAOUT_ADDR_LOW, low32(destination));
    out.put(unit, r.D_DAOUT_ADDR_HIGH, high32(destination));
    out.put(
      unit,
      r.D_DAOUT_LINE_STRIDE,
      layer.fits('dst_data.line_stride', dst.line_stride, r.D_DAOUT_LINE_STRIDE),
    );
    if (mode === Mode.SPLIT) {
      out.put(
        unit,
        r.D_DAOUT_PLANAR_STRIDE,
        layer.fits('dst_data.plane_stride', dst.plane_stride, r.D_DAOUT_PLANAR_STRIDE),
      );
      return;
    }
    out.put(
      unit,
      r.D_DAOUT_SURF_STRIDE,
      layer.fits('dst_data.surf_stride', dst.surf_stride, r.D_DAOUT_SURF_STRIDE),
    );
    if (mode !== Mode.CONTRACT) return;
    // Input bytes from one kernel column to the next, output bytes from one input line to the next.
    const surfaces = Math.ceil((dst.channel * elementBytes[op.precision]!) / config.atom);
    out.put(unit, r.D_CONTRACT_STRIDE_0, surfaces * src.surf_stride);
    out.put(unit, r.D_CONTRACT_STRIDE_1, op.stride_y * dst.line_stride);
    out.put(
      unit,
      r.D_DECONV_STRIDE,
      r.D_DECONV_STRIDE.f.DECONV_X_STRIDE.of(op.stride_x - 1) |
        r.D_DECONV_STRIDE.f.DECONV_Y_STRIDE.of(op.stride_y - 1),
    );
  }

  function check(layer: Layer): void {
    if (!config.rubik) layer.reject('op_type', `${config.name} has no RUBIK`);
    layer.between('mode', op.mode, 0, Mode.MERGE);
    layer.precision('precision', op.precision);
    layer.memory('src_data', src, MemType.CV);
    layer.memory('dst_data', dst, MemType.CV);
    layer.extent('src_data', src);
    layer.between('dst_data.channel', dst.channel, 1, 8192);
    if (op.mode === Mode.MERGE && src.plane_stride === 0) layer.reject('src_data.plane_stride', '0');
    if (op.mode === Mode.CONTRACT) {
      layer.between('stride_x', op.stride_x, 1, 32);
      layer.between('stride_y', op.stride_y, 1, 32);
    }
    layer.rdma = false;
  }

  return new GroupedProcessor(hardware, {
    engine: 'rubik',
    doneBit: interruptBit.RUBIK,
    units: [unit],
    encode,
    statistics: {
      enable: { unit, register: r.D_PERF_ENABLE },
      counters: [
        { unit, register: r.D_PERF_READ_STALL, at: 0 },
        { unit, register: r.D_PERF_WRITE_STALL, at: 4 },
      ],
      runtime: 8,
    },
  });
}
