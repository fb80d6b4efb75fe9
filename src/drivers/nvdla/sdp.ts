// The single-point processor SDP and its read DMA: scaling, bias, activation, element-wise operations, tables.
// Not the convolution that may feed it: with src_data of type HW it waits for one.
import type { Register } from '../../base/registers.js';
import {
  CvtParam,
  DataCube,
  interruptBit,
  MemType,
  SdpActivation,
  SdpMode,
  SdpOp,
  SdpOpDesc,
  SdpSurfaceDesc,
  SdpType,
} from '../../hw/nvdla/index.js';
import type { Hardware } from './hardware.js';
import { high32, low32, ramType, type CubeView, type Layer } from './layer.js';
import { encodeLut, type LutRegisters } from './lut.js';
import { GroupedProcessor, type Processor } from './processor.js';
import type { RegisterProgram } from './program.js';

const WINOGRAD = 1;

/** Precision of the data path by [destination][source] (fact sheet section 5; kernel: map_proc_precision). */
const processing: readonly (readonly number[])[] = [
  [0, 0, 2],
  [0, 1, 2],
  [0, 1, 2],
];

/** DATA_USE by operation type: none and mul fetch multiplicands, add ALU operands, both both. */
const dataUse = [0, 0, 1, 2] as const;

type SdpOpView = ReturnType<typeof SdpOp.view>;

/** Whether the operation's operands come from memory. */
function fetches(op: SdpOpView): boolean {
  return op.enable !== 0 && op.type !== SdpType.NONE && op.mode !== SdpMode.PER_LAYER;
}

const usesAlu = (type: number): boolean => type === SdpType.ADD || type === SdpType.BOTH;
const usesMul = (type: number): boolean => type === SdpType.MUL || type === SdpType.BOTH;

/** Registers of one operand's read DMA: X1, X2 and Y have them alike. */
interface OperandRegisters {
  readonly cfg: Register;
  readonly low: Register;
  readonly high: Register;
  readonly line: Register;
  readonly surface: Register;
}

/** Registers of the stages X1 and X2. */
interface StageRegisters {
  readonly cfg: Register;
  readonly alu: Register;
  readonly aluOperand: Register;
  readonly mul: Register;
  readonly mulOperand: Register;
}

export function sdp(hardware: Hardware): Processor {
  const { config, memory } = hardware;
  const unit = hardware.unit('SDP');
  const rdma = hardware.unit('SDP_RDMA');
  const [r, d] = [unit.r, rdma.r];

  const op = SdpOpDesc.view(memory.view);
  const outCvt = CvtParam.view(memory.view);
  const x1 = SdpOp.view(memory.view);
  const x2 = SdpOp.view(memory.view);
  const y = SdpOp.view(memory.view);
  const yCvt = CvtParam.view(memory.view);
  const src = DataCube.view(memory.view);
  const dst = DataCube.view(memory.view);
  const x1Data = DataCube.view(memory.view);
  const x2Data = DataCube.view(memory.view);
  const yData = DataCube.view(memory.view);

  const b = {
    cfg: d.D_BRDMA_CFG,
    low: d.D_BS_BASE_ADDR_LOW,
    high: d.D_BS_BASE_ADDR_HIGH,
    line: d.D_BS_LINE_STRIDE,
    surface: d.D_BS_SURFACE_STRIDE,
  };
  const n = {
    cfg: d.D_NRDMA_CFG,
    low: d.D_BN_BASE_ADDR_LOW,
    high: d.D_BN_BASE_ADDR_HIGH,
    line: d.D_BN_LINE_STRIDE,
    surface: d.D_BN_SURFACE_STRIDE,
  };
  const e = {
    cfg: d.D_ERDMA_CFG,
    low: d.D_EW_BASE_ADDR_LOW,
    high: d.D_EW_BASE_ADDR_HIGH,
    line: d.D_EW_LINE_STRIDE,
    surface: d.D_EW_SURFACE_STRIDE,
  };
  const bs: StageRegisters = {
    cfg: r.D_DP_BS_CFG,
    alu: r.D_DP_BS_ALU_CFG,
    aluOperand: r.D_DP_BS_ALU_SRC_VALUE,
    mul: r.D_DP_BS_MUL_CFG,
    mulOperand: r.D_DP_BS_MUL_SRC_VALUE,
  };
  const bn: StageRegisters = {
    cfg: r.D_DP_BN_CFG,
    alu: r.D_DP_BN_ALU_CFG,
    aluOperand: r.D_DP_BN_ALU_SRC_VALUE,
    mul: r.D_DP_BN_MUL_CFG,
    mulOperand: r.D_DP_BN_MUL_SRC_VALUE,
  };
  const lutRegisters: LutRegisters = {
    unit,
    r,
    bounds: {
      leStart: [r.S_LUT_LE_START],
      leEnd: [r.S_LUT_LE_END],
      loStart: [r.S_LUT_LO_START],
      loEnd: [r.S_LUT_LO_END],
    },
  };

  function encode(layer: Layer, out: RegisterProgram): void {
    const o = SdpOpDesc.offsets;
    const s = SdpSurfaceDesc.offsets;
    op.at = layer.op;
    outCvt.at = layer.op + o.out_cvt;
    x1.at = layer.op + o.x1_op;
    x2.at = layer.op + o.x2_op;
    y.at = layer.op + o.y_op;
    src.at = layer.surface + s.src_data;
    dst.at = layer.surface + s.dst_data;
    x1Data.at = layer.surface + s.x1_data;
    x2Data.at = layer.surface + s.x2_data;
    yData.at = layer.surface + s.y_data;
    check(layer);

    const flying = src.type === MemType.HW;
    const toMemory = dst.type !== MemType.HW;
    const source = flying ? 0 : layer.inputAddress('src_data', src, 1);
    const destination = toMemory ? layer.address('dst_data', dst) : 0;
    // The client may write to its descriptors at any time: what was checked may have changed, so nothing is assumed.
    const proc = processing[op.dst_precision]?.[op.src_precision] ?? 0;
    const winograd = op.conv_mode === WINOGRAD ? 1 : 0;

    // The read DMA's group is quietened first: its last use may have left operands enabled.
    out.put(rdma, d.D_FEATURE_MODE_CFG, 0);
    out.put(rdma, d.D_BRDMA_CFG, 0);
    out.put(rdma, d.D_NRDMA_CFG, 0);
    out.put(rdma, d.D_ERDMA_CFG, 0);
    const feature = d.D_FEATURE_MODE_CFG.f;
    out.put(
      rdma,
      d.D_FEATURE_MODE_CFG,
      feature.FLYING_MODE.of(flying ? 1 : 0) |
        feature.WINOGRAD.of(winograd) |
        feature.IN_PRECISION.of(op.src_precision) |
        feature.OUT_PRECISION.of(op.dst_precision) |
        feature.PROC_PRECISION.of(proc) |
        feature.BATCH_NUMBER.of(op.batch_num - 1),
    );
    if (layer.rdma) {
      out.put(rdma, d.D_DATA_CUBE_WIDTH, src.width - 1);
      out.put(rdma, d.D_DATA_CUBE_HEIGHT, src.height - 1);
      out.put(rdma, d.D_DATA_CUBE_CHANNEL, src.channel - 1);
      if (!flying) {
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
      }
      encodeOperand(layer, 'x1_data', x1, x1Data, b, out);
      encodeOperand(layer, 'x2_data', x2, x2Data, n, out);
      encodeOperand(layer, 'y_data', y, yData, e, out);
    }

    if (op.lut_index >= 0) encodeLut(layer, op.lut_index, op.src_precision, lutRegisters, out);

    out.put(unit, r.D_DATA_CUBE_WIDTH, src.width - 1);
    out.put(unit, r.D_DATA_CUBE_HEIGHT, src.height - 1);
    out.put(unit, r.D_DATA_CUBE_CHANNEL, src.channel - 1);
    if (toMemory) {
      out.put(unit, r.D_DST_BASE_ADDR_HIGH, high32(destination));
      out.put(unit, r.D_DST_BASE_ADDR_LOW, low32(destination));
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
    }
    encodeStage(x1, bs, out);
    encodeStage(x2, bn, out);
    encodeY(out);
    const mode = r.D_FEATURE_MODE_CFG.f;
    out.put(
      unit,
      r.D_FEATURE_MODE_CFG,
      mode.FLYING_MODE.of(flying ? 1 : 0) |
        mode.OUTPUT_DST.of(toMemory ? 0 : 1) |
        mode.WINOGRAD.of(winograd) |
        mode.BATCH_NUMBER.of(op.batch_num - 1),
    );
    out.put(unit, r.D_DST_DMA_CFG, ramType(dst.type));
    if (op.batch_num > 1) out.put(unit, r.D_DST_BATCH_STRIDE, op.batch_stride);
    out.put(
      unit,
      r.D_DATA_FORMAT,
      r.D_DATA_FORMAT.f.PROC_PRECISION.of(proc) | r.D_DATA_FORMAT.f.OUT_PRECISION.of(op.dst_precision),
    );
    out.put(unit, r.D_CVT_OFFSET, outCvt.offset);
    out.put(unit, r.D_CVT_SCALE, r.D_CVT_SCALE.f.CVT_SCALE.of(outCvt.scale));
    out.put(unit, r.D_CVT_SHIFT, outCvt.truncate);
  }

  function encodeOperand(
    layer: Layer,
    field: string,
    x: SdpOpView,
    cube: CubeView,
    to: OperandRegisters,
    out: RegisterProgram,
  ): void {
    const fetched = fetches(x);
    // The three configuration registers have the same fields in the same places.
    const cfg = d.D_BRDMA_CFG.f;
    out.put(
      rdma,
      to.cfg,
      cfg.BRDMA_DISABLE.of(fetched ? 0 : 1) |
        cfg.BRDMA_DATA_USE.of(dataUse[x.type & 3]!) |
        cfg.BRDMA_DATA_SIZE.of(x.precision === 0 ? 0 : 1) |
        cfg.BRDMA_DATA_MODE.of(x.mode === SdpMode.PER_KERNEL ? 0 : 1) |
        cfg.BRDMA_RAM_TYPE.of(ramType(cube.type)),
    );
    if (!fetched) return;
    layer.memory(field, cube, MemType.CV);
    const address = layer.address(field, cube);
    out.put(rdma, to.low, low32(address));
    out.put(rdma, to.high, high32(address));
    out.put(rdma, to.line, layer.fits(`${field}.line_stride`, cube.line_stride, to.line));
    out.put(rdma, to.surface, layer.fits(`${field}.surf_stride`, cube.surf_stride, to.surface));
  }

  /** X1 and X2 have the same fields in the same places; those of X1 are named here. */
  function encodeStage(x: SdpOpView, to: StageRegisters, out: RegisterProgram): void {
    const cfg = r.D_DP_BS_CFG.f;
    const { type, mode } = x;
    out.put(
      unit,
      to.cfg,
      cfg.BS_BYPASS.of(x.enable !== 0 ? 0 : 1) |
        cfg.BS_ALU_BYPASS.of(usesAlu(type) ? 0 : 1) |
        cfg.BS_ALU_ALGO.of(x.alu_type) |
        cfg.BS_MUL_BYPASS.of(usesMul(type) ? 0 : 1) |
        cfg.BS_MUL_PRELU.of(x.act === SdpActivation.PRELU ? 1 : 0) |
        cfg.BS_RELU_BYPASS.of(x.act === SdpActivation.RELU ? 0 : 1),
    );
    if (x.enable === 0) return;
    const memory = mode === SdpMode.PER_LAYER ? 0 : 1;
    if (usesAlu(type)) {
      const alu = r.D_DP_BS_ALU_CFG.f;
      out.put(unit, to.alu, alu.BS_ALU_SRC.of(memory) | alu.BS_ALU_SHIFT_VALUE.of(x.shift_value));
    }
    if (memory === 0) {
      out.put(unit, to.aluOperand, x.alu_operand);
      out.put(unit, to.mulOperand, x.mul_operand);
    }
    // The shift of the multiplier works also when it is bypassed.
    const mul = r.D_DP_BS_MUL_CFG.f;
    out.put(unit, to.mul, mul.BS_MUL_SRC.of(memory) | mul.BS_MUL_SHIFT_VALUE.of(x.truncate));
  }

  function encodeY(out: RegisterProgram): void {
    const cfg = r.D_DP_EW_CFG.f;
    const { type, mode } = y;
    out.put(
      unit,
      r.D_DP_EW_CFG,
      cfg.EW_BYPASS.of(y.enable !== 0 ? 0 : 1) |
        cfg.EW_ALU_BYPASS.of(usesAlu(type) ? 0 : 1) |
        cfg.EW_ALU_ALGO.of(y.alu_type) |
        cfg.EW_MUL_BYPASS.of(usesMul(type) ? 0 : 1) |
        cfg.EW_MUL_PRELU.of(y.act === SdpActivation.PRELU ? 1 : 0) |
        cfg.EW_LUT_BYPASS.of(y.act === SdpActivation.LUT ? 0 : 1),
    );
    if (y.enable === 0) return;
    const memory = mode === SdpMode.PER_LAYER ? 0 : 1;
    if (usesAlu(type)) {
      yCvt.at = y.at + SdpOp.offsets.alu_cvt;
      const alu = r.D_DP_EW_ALU_CFG.f;
      out.put(
        unit,
        r.D_DP_EW_ALU_CFG,
        alu.EW_ALU_SRC.of(memory) | alu.EW_ALU_CVT_BYPASS.of(yCvt.enable !== 0 ? 0 : 1),
      );
      if (memory === 0) out.put(unit, r.D_DP_EW_ALU_SRC_VALUE, y.alu_operand);
      else {
        out.put(unit, r.D_DP_EW_ALU_CVT_OFFSET_VALUE, yCvt.offset);
        out.put(
          unit,
          r.D_DP_EW_ALU_CVT_SCALE_VALUE,
          r.D_DP_EW_ALU_CVT_SCALE_VALUE.f.EW_ALU_CVT_SCALE.of(yCvt.scale),
        );
        out.put(unit, r.D_DP_EW_ALU_CVT_TRUNCATE_VALUE, yCvt.truncate);
      }
    }
    if (usesMul(type)) {
      yCvt.at = y.at + SdpOp.offsets.mul_cvt;
      const mul = r.D_DP_EW_MUL_CFG.f;
      out.put(
        unit,
        r.D_DP_EW_MUL_CFG,
        mul.EW_MUL_SRC.of(memory) | mul.EW_MUL_CVT_BYPASS.of(yCvt.enable !== 0 ? 0 : 1),
      );
      if (memory === 0) out.put(unit, r.D_DP_EW_MUL_SRC_VALUE, y.mul_operand);
      else {
        out.put(unit, r.D_DP_EW_MUL_CVT_OFFSET_VALUE, yCvt.offset);
        out.put(
          unit,
          r.D_DP_EW_MUL_CVT_SCALE_VALUE,
          r.D_DP_EW_MUL_CVT_SCALE_VALUE.f.EW_MUL_CVT_SCALE.of(yCvt.scale),
        );
        out.put(unit, r.D_DP_EW_MUL_CVT_TRUNCATE_VALUE, yCvt.truncate);
      }
    }
    out.put(unit, r.D_DP_EW_TRUNCATE_VALUE, y.truncate);
  }

  function check(layer: Layer): void {
    layer.precision('src_precision', op.src_precision);
    layer.precision('dst_precision', op.dst_precision);
    layer.between('conv_mode', op.conv_mode, 0, config.winograd ? WINOGRAD : 0);
    layer.between('batch_num', op.batch_num, 1, config.maxBatch);
    layer.between('out_cvt.truncate', outCvt.truncate, 0, 63);
    layer.between('lut_index', op.lut_index, -1, layer.lutCount - 1);
    checkOperation(layer, 'x1_op', x1, 2, SdpActivation.RELU);
    checkOperation(layer, 'x2_op', x2, 2, SdpActivation.RELU);
    checkOperation(layer, 'y_op', y, 3, SdpActivation.LUT);
    layer.memory('src_data', src, MemType.HW);
    layer.memory('dst_data', dst, MemType.HW);
    layer.extent('src_data', src);
    const flying = src.type === MemType.HW;
    // Not `fetches`: the kernel driver arms the read DMA also for an operation of type none.
    layer.rdma =
      !flying ||
      (x1.enable !== 0 && x1.mode !== SdpMode.PER_LAYER) ||
      (x2.enable !== 0 && x2.mode !== SdpMode.PER_LAYER) ||
      (y.enable !== 0 && y.mode !== SdpMode.PER_LAYER);
    layer.lut = op.lut_index;
  }

  function checkOperation(layer: Layer, name: string, x: SdpOpView, lastAlu: number, second: number): void {
    if (x.enable === 0) return;
    layer.between(`${name}.enable`, x.enable, 0, 1);
    layer.between(`${name}.type`, x.type, 0, SdpType.BOTH);
    layer.between(`${name}.mode`, x.mode, 0, SdpMode.PER_POINT);
    layer.between(`${name}.alu_type`, x.alu_type, 0, lastAlu);
    layer.between(`${name}.precision`, x.precision, 0, 2);
    layer.between(`${name}.act`, x.act, 0, SdpActivation.PRELU);
    if (x.act !== SdpActivation.NONE && x.act !== SdpActivation.PRELU && x.act !== second) {
      layer.reject(
        `${name}.act`,
        `${x.act}, this stage has ${second === SdpActivation.LUT ? 'a table' : 'ReLU'}`,
      );
    }
    if (x.act === SdpActivation.LUT && op.lut_index < 0)
      layer.reject('lut_index', 'a table is used, none given');
  }

  return new GroupedProcessor(hardware, {
    engine: 'sdp',
    doneBit: interruptBit.SDP,
    units: [unit],
    rdma,
    encode,
    statistics: {
      enable: { unit, register: r.D_PERF_ENABLE },
      counters: [
        { unit, register: r.D_STATUS_NAN_INPUT_NUM, at: 0 },
        { unit, register: r.D_STATUS_INF_INPUT_NUM, at: 4 },
        { unit, register: r.D_STATUS_NAN_OUTPUT_NUM, at: 8 },
        { unit, register: r.D_PERF_WDMA_WRITE_STALL, at: 12 },
        { unit, register: r.D_PERF_LUT_UFLOW, at: 16 },
        { unit, register: r.D_PERF_LUT_OFLOW, at: 20 },
        { unit, register: r.D_PERF_LUT_HYBRID, at: 24 },
        { unit, register: r.D_PERF_LUT_LE_HIT, at: 28 },
        { unit, register: r.D_PERF_LUT_LO_HIT, at: 32 },
        { unit, register: r.D_PERF_OUT_SATURATION, at: 36 },
      ],
      runtime: 40,
    },
  });
}
