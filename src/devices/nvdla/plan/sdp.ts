// Reads SDP's and SDP_RDMA's registers into the blocks of a command. Fact sheet sections 1.5, 2.5.
// Not the numerics: engine/sdp.ts.
import {
  cubeLayout,
  lutLayout,
  noLut,
  noStage,
  sdpLayout,
  stageLayout,
  type Cube,
  type Stage,
} from '../engine/command.js';
import { sdpLut } from './lut.js';
import { address, Refused, type Plan, type Units } from './plan.js';

const EW_EQUAL = 3;

/** True when a stage of the armed SDP operation takes an operand from memory. */
export function needsRdma(units: Units): boolean {
  const { SDP } = units;
  const bs =
    SDP.get('D_DP_BS_CFG', 'BS_BYPASS') === 0 &&
    ((SDP.get('D_DP_BS_CFG', 'BS_ALU_BYPASS') === 0 && SDP.get('D_DP_BS_ALU_CFG', 'BS_ALU_SRC') !== 0) ||
      (SDP.get('D_DP_BS_CFG', 'BS_MUL_BYPASS') === 0 && SDP.get('D_DP_BS_MUL_CFG', 'BS_MUL_SRC') !== 0));
  const bn =
    SDP.get('D_DP_BN_CFG', 'BN_BYPASS') === 0 &&
    ((SDP.get('D_DP_BN_CFG', 'BN_ALU_BYPASS') === 0 && SDP.get('D_DP_BN_ALU_CFG', 'BN_ALU_SRC') !== 0) ||
      (SDP.get('D_DP_BN_CFG', 'BN_MUL_BYPASS') === 0 && SDP.get('D_DP_BN_MUL_CFG', 'BN_MUL_SRC') !== 0));
  const ew =
    SDP.get('D_DP_EW_CFG', 'EW_BYPASS') === 0 &&
    ((SDP.get('D_DP_EW_CFG', 'EW_ALU_BYPASS') === 0 && SDP.get('D_DP_EW_ALU_CFG', 'EW_ALU_SRC') !== 0) ||
      (SDP.get('D_DP_EW_CFG', 'EW_MUL_BYPASS') === 0 && SDP.get('D_DP_EW_MUL_CFG', 'EW_MUL_SRC') !== 0));
  return bs || bn || ew;
}

/** True when the armed SDP operation hands its result to PDP. */
export function feedsPdp(units: Units): boolean {
  return units.SDP.get('D_FEATURE_MODE_CFG', 'OUTPUT_DST') === 1;
}

export interface SdpShape {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** 0 int8, 1 int16, 2 fp16: of the arithmetic, and what comes out. */
  readonly precision: number;
  readonly output: number;
  /** Cubes of this shape, one after the other from CACC. */
  readonly batches: number;
  readonly winograd: boolean;
}

/** Writes the SDP blocks: values, three stages, table, destination. Returns shape and destination. */
export function planSdp(plan: Plan): SdpShape & { readonly destination: Cube } {
  const { SDP } = plan.units;
  const { source, precision, output } = precisionsOf(plan);
  const atom = plan.elements(precision);
  // The order of Winograd's outputs: SDP must know it, nobody behind SDP does.
  const winograd = SDP.get('D_FEATURE_MODE_CFG', 'WINOGRAD') !== 0;
  if (winograd && SDP.get('D_FEATURE_MODE_CFG', 'FLYING_MODE') !== 1)
    throw new Refused('SDP: Winograd is an order of what comes from CACC, not from memory');
  if (winograd && precision === 0 && output !== 0)
    throw new Refused("SDP: results wider than the arithmetic have no order in Winograd's");
  if (winograd && feedsPdp(plan.units)) throw new Refused("SDP does not hand Winograd's tiles to PDP");
  if (winograd && needsRdma(plan.units) && plan.units.SDP_RDMA.get('D_FEATURE_MODE_CFG', 'WINOGRAD') === 0)
    throw new Refused("SDP_RDMA does not fetch operands in Winograd's order");
  const batches = SDP.get('D_FEATURE_MODE_CFG', 'BATCH_NUMBER') + 1;
  const batchStride = batches === 1 ? 0 : SDP.word(SDP.table.D_DST_BATCH_STRIDE);
  const width = SDP.get('D_DATA_CUBE_WIDTH', 'WIDTH') + 1;
  const height = SDP.get('D_DATA_CUBE_HEIGHT', 'HEIGHT') + 1;
  const channels = SDP.get('D_DATA_CUBE_CHANNEL', 'CHANNEL') + 1;
  const groups = Math.ceil(channels / atom);
  const shape = { width, height, surfaces: groups, pixel: atom };
  const stages = [stageX(plan, 'BS', shape), stageX(plan, 'BN', shape), stageY(plan, shape)];

  // Results of int8 arithmetic that have two bytes fill two surfaces per group, whether channels reach the second or not.
  const surfaces = groups * (atom / plan.elements(output));
  const line = width * plan.config.atom;
  let destination: Cube;
  // Compare mode writes nothing: the result is D_STATUS.
  const compares = stages[2].algo === EW_EQUAL && stages[2].enabled !== 0;
  if (compares && winograd) throw new Refused("SDP compares no tiles of Winograd's");
  if (feedsPdp(plan.units) && batches > 1) throw new Refused('SDP hands no batches to PDP');
  if (feedsPdp(plan.units) || compares) {
    destination = { address: plan.buffer(surfaces * height * line), line, surface: height * line };
  } else {
    const base = address(SDP.word(SDP.table.D_DST_BASE_ADDR_HIGH), SDP.word(SDP.table.D_DST_BASE_ADDR_LOW));
    const strides = {
      line: SDP.word(SDP.table.D_DST_LINE_STRIDE),
      surface: SDP.word(SDP.table.D_DST_SURFACE_STRIDE),
    };
    const last = (surfaces - 1) * strides.surface + (height - 1) * strides.line + line;
    const ram = SDP.get('D_DST_DMA_CFG', 'DST_RAM_TYPE');
    destination = {
      address: plan.map(base, (batches - 1) * batchStride + last, 'write', ram),
      ...strides,
    };
  }
  plan.writer.block(sdpLayout, {
    atom,
    source,
    precision,
    output,
    nanToZero: SDP.get('D_FEATURE_MODE_CFG', 'NAN_TO_ZERO'),
    width,
    height,
    channels,
    batchStride,
    cvtOffset: SDP.signed('D_CVT_OFFSET', 'CVT_OFFSET'),
    cvtScale: SDP.signed('D_CVT_SCALE', 'CVT_SCALE'),
    cvtShift: SDP.get('D_CVT_SHIFT', 'CVT_SHIFT'),
  });
  for (const stage of stages) plan.writer.optional(stageLayout, stage, noStage);
  plan.writer.optional(lutLayout, stages[2].lut === 0 ? noLut : sdpLut(plan), noLut);
  plan.writer.block(cubeLayout, destination);
  return { width, height, channels, precision, output, batches, winograd, destination };
}

/** What is read, computed and written. Refuses combinations that lead to no packing of atoms. */
function precisionsOf(plan: Plan): { source: number; precision: number; output: number } {
  const { SDP, SDP_RDMA } = plan.units;
  const precision = plan.precision('SDP', SDP.get('D_DATA_FORMAT', 'PROC_PRECISION'));
  const output = plan.precision('SDP output', SDP.get('D_DATA_FORMAT', 'OUT_PRECISION'));
  const flying = SDP.get('D_FEATURE_MODE_CFG', 'FLYING_MODE') === 1;
  const source = flying
    ? precision
    : plan.precision('SDP_RDMA', SDP_RDMA.get('D_FEATURE_MODE_CFG', 'IN_PRECISION'));
  const names = ['int8', 'int16', 'fp16'];
  // Two int16 surfaces make a group of int8 arithmetic; the other way round nothing puts them together.
  if (source !== precision && !(source === 1 && precision === 0))
    throw new Refused(`SDP: ${names[source]} data, ${names[precision]} arithmetic`);
  if (precision !== 0 && output === 0)
    throw new Refused(`SDP: ${names[precision]} arithmetic with int8 results, whose atoms nothing fills`);
  return { source, precision, output };
}

/** The cube that SDP_RDMA reads. */
export function planSdpSource(plan: Plan, sdp: SdpShape): Cube {
  const { SDP_RDMA } = plan.units;
  const mode = 'D_FEATURE_MODE_CFG';
  if (sdp.batches > 1) throw new Refused('SDP: batches come from CACC, not from memory');
  if (SDP_RDMA.get(mode, 'FLYING_MODE') !== 0) throw new Refused('SDP_RDMA is on the fly, SDP is not');
  const precision = plan.precision('SDP_RDMA', SDP_RDMA.get(mode, 'IN_PRECISION'));
  checkShape(plan, sdp);
  const { table } = SDP_RDMA;
  return plan.cube(
    address(SDP_RDMA.word(table.D_SRC_BASE_ADDR_HIGH), SDP_RDMA.word(table.D_SRC_BASE_ADDR_LOW)),
    { ...sdp, surfaces: sourceSurfaces(plan, sdp.channels, precision), pixel: plan.config.atom },
    SDP_RDMA.word(table.D_SRC_LINE_STRIDE),
    SDP_RDMA.word(table.D_SRC_SURFACE_STRIDE),
    'read',
    SDP_RDMA.get('D_SRC_DMA_CFG', 'SRC_RAM_TYPE'),
  );
}

/** Whole groups are read. */
function sourceSurfaces(plan: Plan, channels: number, source: number): number {
  const atom = plan.elements(plan.units.SDP.get('D_DATA_FORMAT', 'PROC_PRECISION'));
  return Math.ceil(channels / atom) * (atom / plan.elements(source));
}

function checkShape(plan: Plan, sdp: SdpShape): void {
  const { SDP_RDMA } = plan.units;
  const width = SDP_RDMA.get('D_DATA_CUBE_WIDTH', 'WIDTH') + 1;
  const height = SDP_RDMA.get('D_DATA_CUBE_HEIGHT', 'HEIGHT') + 1;
  const channels = SDP_RDMA.get('D_DATA_CUBE_CHANNEL', 'CHANNEL') + 1;
  if (width === sdp.width && height === sdp.height && channels === sdp.channels) return;
  const theirs = `${width}x${height}x${channels}`;
  throw new Refused(`SDP_RDMA reads ${theirs}, SDP expects ${sdp.width}x${sdp.height}x${sdp.channels}`);
}

interface Shape {
  readonly width: number;
  readonly height: number;
  readonly surfaces: number;
  readonly pixel: number;
}

function stageX(plan: Plan, name: 'BS' | 'BN', shape: Shape): Stage {
  const { SDP, SDP_RDMA } = plan.units;
  const R = SDP.table;
  // The two stages have the same fields under two names.
  const bs = name === 'BS';
  const cfg = SDP.word(bs ? R.D_DP_BS_CFG : R.D_DP_BN_CFG);
  const f = R.D_DP_BS_CFG.f;
  if (f.BS_BYPASS.get(cfg) !== 0) return noStage;
  const aluCfg = SDP.word(bs ? R.D_DP_BS_ALU_CFG : R.D_DP_BN_ALU_CFG);
  const mulCfg = SDP.word(bs ? R.D_DP_BS_MUL_CFG : R.D_DP_BN_MUL_CFG);
  const alu = f.BS_ALU_BYPASS.get(cfg) === 0;
  const algo = f.BS_ALU_ALGO.get(cfg);
  if (alu && algo > 2) throw new Refused(`SDP ${name}: ALU algorithm ${algo}`);
  const stage: Stage = {
    ...noStage,
    enabled: 1,
    algo: alu ? algo : -1,
    aluMemory: R.D_DP_BS_ALU_CFG.f.BS_ALU_SRC.get(aluCfg),
    aluShift: R.D_DP_BS_ALU_CFG.f.BS_ALU_SHIFT_VALUE.get(aluCfg),
    aluValue: bs
      ? SDP.signed('D_DP_BS_ALU_SRC_VALUE', 'BS_ALU_OPERAND')
      : SDP.signed('D_DP_BN_ALU_SRC_VALUE', 'BN_ALU_OPERAND'),
    multiply: f.BS_MUL_BYPASS.get(cfg) === 0 ? 1 : 0,
    mulMemory: R.D_DP_BS_MUL_CFG.f.BS_MUL_SRC.get(mulCfg),
    mulShift: R.D_DP_BS_MUL_CFG.f.BS_MUL_SHIFT_VALUE.get(mulCfg),
    mulValue: bs
      ? SDP.signed('D_DP_BS_MUL_SRC_VALUE', 'BS_MUL_OPERAND')
      : SDP.signed('D_DP_BN_MUL_SRC_VALUE', 'BN_MUL_OPERAND'),
    prelu: f.BS_MUL_PRELU.get(cfg),
    relu: f.BS_RELU_BYPASS.get(cfg) === 0 ? 1 : 0,
  };
  const T = SDP_RDMA.table;
  return withOperands(plan, `SDP ${name}`, stage, shape, {
    cfg: SDP_RDMA.word(bs ? T.D_BRDMA_CFG : T.D_NRDMA_CFG),
    high: SDP_RDMA.word(bs ? T.D_BS_BASE_ADDR_HIGH : T.D_BN_BASE_ADDR_HIGH),
    low: SDP_RDMA.word(bs ? T.D_BS_BASE_ADDR_LOW : T.D_BN_BASE_ADDR_LOW),
    line: SDP_RDMA.word(bs ? T.D_BS_LINE_STRIDE : T.D_BN_LINE_STRIDE),
    surface: SDP_RDMA.word(bs ? T.D_BS_SURFACE_STRIDE : T.D_BN_SURFACE_STRIDE),
  });
}

function stageY(plan: Plan, shape: Shape): Stage {
  const { SDP, SDP_RDMA } = plan.units;
  if (SDP.get('D_DP_EW_CFG', 'EW_BYPASS') !== 0) return noStage;
  const aluMemory = SDP.get('D_DP_EW_ALU_CFG', 'EW_ALU_SRC');
  const mulMemory = SDP.get('D_DP_EW_MUL_CFG', 'EW_MUL_SRC');
  const stage: Stage = {
    ...noStage,
    enabled: 1,
    algo: SDP.get('D_DP_EW_CFG', 'EW_ALU_BYPASS') === 0 ? SDP.get('D_DP_EW_CFG', 'EW_ALU_ALGO') : -1,
    aluMemory,
    aluValue: SDP.signed('D_DP_EW_ALU_SRC_VALUE', 'EW_ALU_OPERAND'),
    multiply: SDP.get('D_DP_EW_CFG', 'EW_MUL_BYPASS') === 0 ? 1 : 0,
    mulMemory,
    mulShift: SDP.get('D_DP_EW_TRUNCATE_VALUE', 'EW_TRUNCATE'),
    mulValue: SDP.signed('D_DP_EW_MUL_SRC_VALUE', 'EW_MUL_OPERAND'),
    prelu: SDP.get('D_DP_EW_CFG', 'EW_MUL_PRELU'),
    lut: SDP.get('D_DP_EW_CFG', 'EW_LUT_BYPASS') === 0 ? 1 : 0,
    aluConvert: SDP.get('D_DP_EW_ALU_CFG', 'EW_ALU_CVT_BYPASS') === 0 ? 1 : 0,
    aluCvtOffset: SDP.signed('D_DP_EW_ALU_CVT_OFFSET_VALUE', 'EW_ALU_CVT_OFFSET'),
    aluCvtScale: SDP.signed('D_DP_EW_ALU_CVT_SCALE_VALUE', 'EW_ALU_CVT_SCALE'),
    aluCvtShift: SDP.get('D_DP_EW_ALU_CVT_TRUNCATE_VALUE', 'EW_ALU_CVT_TRUNCATE'),
    mulConvert: SDP.get('D_DP_EW_MUL_CFG', 'EW_MUL_CVT_BYPASS') === 0 ? 1 : 0,
    mulCvtOffset: SDP.signed('D_DP_EW_MUL_CVT_OFFSET_VALUE', 'EW_MUL_CVT_OFFSET'),
    mulCvtScale: SDP.signed('D_DP_EW_MUL_CVT_SCALE_VALUE', 'EW_MUL_CVT_SCALE'),
    mulCvtShift: SDP.get('D_DP_EW_MUL_CVT_TRUNCATE_VALUE', 'EW_MUL_CVT_TRUNCATE'),
  };
  const T = SDP_RDMA.table;
  return withOperands(plan, 'SDP EW', stage, shape, {
    cfg: SDP_RDMA.word(T.D_ERDMA_CFG),
    high: SDP_RDMA.word(T.D_EW_BASE_ADDR_HIGH),
    low: SDP_RDMA.word(T.D_EW_BASE_ADDR_LOW),
    line: SDP_RDMA.word(T.D_EW_LINE_STRIDE),
    surface: SDP_RDMA.word(T.D_EW_SURFACE_STRIDE),
  });
}

interface OperandRegisters {
  readonly cfg: number;
  readonly high: number;
  readonly low: number;
  readonly line: number;
  readonly surface: number;
}

/** Adds where the operands lie, when the stage takes any from memory. */
function withOperands(plan: Plan, name: string, stage: Stage, shape: Shape, rdma: OperandRegisters): Stage {
  const alu = stage.algo >= 0 && stage.aluMemory !== 0;
  const mul = stage.multiply !== 0 && stage.mulMemory !== 0;
  if (!alu && !mul) return stage;
  const f = plan.units.SDP_RDMA.table.D_BRDMA_CFG.f;
  if (f.BRDMA_DISABLE.get(rdma.cfg) !== 0)
    throw new Refused(`${name}: operands from memory, its RDMA is off`);
  const operandUse = f.BRDMA_DATA_USE.get(rdma.cfg);
  if (operandUse === 3 || (alu && operandUse === 0) || (mul && operandUse === 1)) {
    throw new Refused(`${name}: its RDMA fetches ${['mul', 'alu', 'both', 'nothing'][operandUse]}`);
  }
  const operandBytes = f.BRDMA_DATA_SIZE.get(rdma.cfg) + 1;
  const perElement = f.BRDMA_DATA_MODE.get(rdma.cfg);
  const pixel = shape.pixel * operandBytes * (operandUse === 2 ? 2 : 1);
  const iova = address(rdma.high, rdma.low);
  const ram = f.BRDMA_RAM_TYPE.get(rdma.cfg);
  const operandAddress =
    perElement !== 0
      ? plan.cube(iova, { ...shape, pixel }, rdma.line, rdma.surface, 'read', ram).address
      : plan.map(iova, shape.surfaces * pixel, 'read', ram);
  return {
    ...stage,
    operandBytes,
    operandUse,
    perElement,
    operandAddress,
    operandLine: rdma.line,
    operandSurface: rdma.surface,
  };
}
