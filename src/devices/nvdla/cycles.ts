// What an operation takes on silicon, from its registers: cycles of its units, bytes through the memory ports, stalls.
// Not time in the model, and not the rules: those are in hw/nvdla/cost.ts, which the compiler asks too.
import type { OperationCost, PortTraffic } from '../../bus/port.js';
import type { NvdlaConfig, UnitName } from '../../hw/nvdla/config.js';
import {
  bandwidth,
  cdpCycles,
  convolutionCycles,
  cubeBytes,
  pdpCycles,
  sdpCycles,
} from '../../hw/nvdla/cost.js';
import { memorySystem, rates } from '../../hw/nvdla/performance.js';
import type { Units } from './plan/plan.js';
import type { Unit } from './unit.js';

/** One reader or writer of an operation, and the registers that count for it. */
export interface Stream {
  readonly unit: UnitName;
  readonly port: 0 | 1;
  readonly access: 'read' | 'write';
  readonly bytes: number;
  readonly stall: string;
  /** Where there is one: cycles with reads outstanding. */
  readonly latency?: string;
}

const elementBytes = (precision: number): 1 | 2 => (precision === 0 ? 1 : 2);
const blocks = (count: number, size: number): number => Math.ceil(count / size);

/**
 * Reads and writes of the units of one operation, at their consumer groups.
 * @param skipped what of the operands of a convolution was in the buffer already
 */
export function streamsOf(
  config: NvdlaConfig,
  units: Units,
  used: readonly Unit[],
  skipped: { readonly data: boolean; readonly weights: boolean },
): Stream[] {
  const names = new Set(used.map(({ name }) => name));
  const { CDMA, SDP, SDP_RDMA, PDP, PDP_RDMA, CDP, CDP_RDMA, RBK } = units;
  const port = (ramType: number): 0 | 1 => (ramType === 0 && config.cvsram ? 1 : 0);
  const cube = (width: number, height: number, channels: number, bytes: number): number =>
    cubeBytes(config, { width, height, channels }, bytes);
  const streams: Stream[] = [];
  if (names.has('CDMA')) {
    const width = CDMA.get('D_DATAIN_SIZE_0', 'DATAIN_WIDTH') + 1;
    const height = CDMA.get('D_DATAIN_SIZE_0', 'DATAIN_HEIGHT') + 1;
    const channels = CDMA.get('D_DATAIN_SIZE_1', 'DATAIN_CHANNEL') + 1;
    const element = elementBytes(CDMA.get('D_MISC_CFG', 'IN_PRECISION'));
    const image = CDMA.get('D_DATAIN_FORMAT', 'DATAIN_FORMAT') !== 0;
    const cubes = CDMA.get('D_BATCH_NUMBER', 'BATCHES') + 1;
    const data = image ? width * height * channels * element : cube(width, height, channels, element) * cubes;
    const compressed = CDMA.get('D_WEIGHT_FORMAT', 'WEIGHT_FORMAT') !== 0;
    const kernels = CDMA.get('D_WEIGHT_SIZE_1', 'WEIGHT_KERNEL') + 1;
    const group = config.atomicK / element;
    const masks = compressed ? CDMA.word(CDMA.table.D_WMB_BYTES) + 4 * blocks(kernels, group) : 0;
    streams.push(
      {
        unit: 'CDMA',
        port: port(CDMA.get('D_DAIN_RAM_TYPE', 'DATAIN_RAM_TYPE')),
        access: 'read',
        bytes: skipped.data ? 0 : data,
        stall: 'D_PERF_DAT_READ_STALL',
        latency: 'D_PERF_DAT_READ_LATENCY',
      },
      {
        unit: 'CDMA',
        port: port(CDMA.get('D_WEIGHT_RAM_TYPE', 'WEIGHT_RAM_TYPE')),
        access: 'read',
        bytes: skipped.weights ? 0 : CDMA.word(CDMA.table.D_WEIGHT_BYTES) + masks,
        stall: 'D_PERF_WT_READ_STALL',
        latency: 'D_PERF_WT_READ_LATENCY',
      },
    );
  }
  const sdp = [
    SDP.get('D_DATA_CUBE_WIDTH', 'WIDTH') + 1,
    SDP.get('D_DATA_CUBE_HEIGHT', 'HEIGHT') + 1,
    SDP.get('D_DATA_CUBE_CHANNEL', 'CHANNEL') + 1,
  ] as const;
  if (names.has('SDP_RDMA')) {
    if (SDP_RDMA.get('D_FEATURE_MODE_CFG', 'FLYING_MODE') === 0)
      streams.push({
        unit: 'SDP_RDMA',
        port: port(SDP_RDMA.get('D_SRC_DMA_CFG', 'SRC_RAM_TYPE')),
        access: 'read',
        bytes: cube(...sdp, elementBytes(SDP_RDMA.get('D_FEATURE_MODE_CFG', 'IN_PRECISION'))),
        stall: 'D_PERF_MRDMA_READ_STALL',
      });
    const f = SDP_RDMA.table.D_BRDMA_CFG.f;
    for (const letter of ['B', 'N', 'E'] as const) {
      // The three have the same fields.
      const word = SDP_RDMA.word(SDP_RDMA.table[`D_${letter}RDMA_CFG`]);
      if (f.BRDMA_DISABLE.get(word) !== 0) continue;
      const bytes = (f.BRDMA_DATA_SIZE.get(word) + 1) * (f.BRDMA_DATA_USE.get(word) === 2 ? 2 : 1);
      const perElement = f.BRDMA_DATA_MODE.get(word) !== 0;
      streams.push({
        unit: 'SDP_RDMA',
        port: port(f.BRDMA_RAM_TYPE.get(word)),
        access: 'read',
        bytes: perElement ? cube(...sdp, bytes) : cube(1, 1, sdp[2], bytes),
        stall: `D_PERF_${letter}RDMA_READ_STALL`,
      });
    }
  }
  if (names.has('SDP') && SDP.get('D_FEATURE_MODE_CFG', 'OUTPUT_DST') === 0) {
    const cubes = SDP.get('D_FEATURE_MODE_CFG', 'BATCH_NUMBER') + 1;
    streams.push({
      unit: 'SDP',
      port: port(SDP.get('D_DST_DMA_CFG', 'DST_RAM_TYPE')),
      access: 'write',
      bytes: cube(...sdp, elementBytes(SDP.get('D_DATA_FORMAT', 'OUT_PRECISION'))) * cubes,
      stall: 'D_PERF_WDMA_WRITE_STALL',
    });
  }
  if (names.has('PDP_RDMA'))
    streams.push({
      unit: 'PDP_RDMA',
      port: port(PDP_RDMA.get('D_SRC_RAM_CFG', 'SRC_RAM_TYPE')),
      access: 'read',
      bytes: cube(...pdpInput(PDP), elementBytes(PDP.get('D_DATA_FORMAT', 'INPUT_DATA'))),
      stall: 'D_PERF_READ_STALL',
    });
  if (names.has('PDP'))
    streams.push({
      unit: 'PDP',
      port: port(PDP.get('D_DST_RAM_CFG', 'DST_RAM_TYPE')),
      access: 'write',
      bytes: cube(
        PDP.get('D_DATA_CUBE_OUT_WIDTH', 'CUBE_OUT_WIDTH') + 1,
        PDP.get('D_DATA_CUBE_OUT_HEIGHT', 'CUBE_OUT_HEIGHT') + 1,
        PDP.get('D_DATA_CUBE_OUT_CHANNEL', 'CUBE_OUT_CHANNEL') + 1,
        elementBytes(PDP.get('D_DATA_FORMAT', 'INPUT_DATA')),
      ),
      stall: 'D_PERF_WRITE_STALL',
    });
  if (names.has('CDP')) {
    const bytes = cube(...cdpInput(CDP_RDMA), elementBytes(CDP.get('D_DATA_FORMAT', 'INPUT_DATA_TYPE')));
    streams.push(
      {
        unit: 'CDP_RDMA',
        port: port(CDP_RDMA.get('D_SRC_DMA_CFG', 'SRC_RAM_TYPE')),
        access: 'read',
        bytes,
        stall: 'D_PERF_READ_STALL',
      },
      {
        unit: 'CDP',
        port: port(CDP.get('D_DST_DMA_CFG', 'DST_RAM_TYPE')),
        access: 'write',
        bytes,
        stall: 'D_PERF_WRITE_STALL',
      },
    );
  }
  if (names.has('RBK')) {
    const bytes = cube(
      RBK.get('D_DATAIN_SIZE_0', 'DATAIN_WIDTH') + 1,
      RBK.get('D_DATAIN_SIZE_0', 'DATAIN_HEIGHT') + 1,
      RBK.get('D_DATAIN_SIZE_1', 'DATAIN_CHANNEL') + 1,
      elementBytes(RBK.get('D_MISC_CFG', 'IN_PRECISION')),
    );
    streams.push(
      {
        unit: 'RBK',
        port: port(RBK.get('D_DAIN_RAM_TYPE', 'DATAIN_RAM_TYPE')),
        access: 'read',
        bytes,
        stall: 'D_PERF_READ_STALL',
      },
      {
        unit: 'RBK',
        port: port(RBK.get('D_DAOUT_RAM_TYPE', 'DATAOUT_RAM_TYPE')),
        access: 'write',
        bytes,
        stall: 'D_PERF_WRITE_STALL',
      },
    );
  }
  return streams;
}

/** Cycles of the busiest of the units of one operation, at their consumer groups, when memory never holds it up. */
export function computeCycles(config: NvdlaConfig, units: Units, used: readonly Unit[]): number {
  const names = new Set(used.map(({ name }) => name));
  const { CSC, SDP, PDP, CDP_RDMA } = units;
  const cycles = [0];
  if (names.has('CSC'))
    cycles.push(
      convolutionCycles(config, {
        outputs:
          (CSC.get('D_DATAOUT_SIZE_0', 'DATAOUT_WIDTH') + 1) *
          (CSC.get('D_DATAOUT_SIZE_0', 'DATAOUT_HEIGHT') + 1) *
          (CSC.get('D_BATCH_NUMBER', 'BATCHES') + 1),
        kernels: CSC.get('D_WEIGHT_SIZE_EXT_1', 'WEIGHT_KERNEL') + 1,
        channels: CSC.get('D_WEIGHT_SIZE_EXT_1', 'WEIGHT_CHANNEL_EXT') + 1,
        rows: CSC.get('D_WEIGHT_SIZE_EXT_0', 'WEIGHT_HEIGHT_EXT') + 1,
        columns: CSC.get('D_WEIGHT_SIZE_EXT_0', 'WEIGHT_WIDTH_EXT') + 1,
        elementBytes: elementBytes(CSC.get('D_MISC_CFG', 'PROC_PRECISION')),
        joinedRows: 1 << CSC.get('D_POST_Y_EXTENSION', 'Y_EXTENSION'),
        winograd: CSC.get('D_MISC_CFG', 'CONV_MODE') !== 0,
      }),
    );
  if (names.has('SDP')) {
    const elements =
      (SDP.get('D_DATA_CUBE_WIDTH', 'WIDTH') + 1) *
      (SDP.get('D_DATA_CUBE_HEIGHT', 'HEIGHT') + 1) *
      (SDP.get('D_DATA_CUBE_CHANNEL', 'CHANNEL') + 1) *
      (SDP.get('D_FEATURE_MODE_CFG', 'BATCH_NUMBER') + 1);
    cycles.push(sdpCycles(config, elements, SDP.get('D_DP_EW_CFG', 'EW_BYPASS') === 0));
  }
  if (names.has('PDP')) cycles.push(pdpCycles(config, product(pdpInput(PDP))));
  if (names.has('CDP')) cycles.push(cdpCycles(config, product(cdpInput(CDP_RDMA))));
  return Math.max(...cycles);
}

/** Cycles of copies when memory never holds them up: a beat each. */
export function copyCycles(config: NvdlaConfig, streams: readonly Stream[]): number {
  const { beat } = rates[config.name];
  return streams.reduce(
    (sum, { access, bytes, port }) => sum + (access === 'read' ? Math.ceil(bytes / beat[port]) : 0),
    0,
  );
}

function pdpInput(pdp: Units['PDP']): [number, number, number] {
  return [
    pdp.get('D_DATA_CUBE_IN_WIDTH', 'CUBE_IN_WIDTH') + 1,
    pdp.get('D_DATA_CUBE_IN_HEIGHT', 'CUBE_IN_HEIGHT') + 1,
    pdp.get('D_DATA_CUBE_IN_CHANNEL', 'CUBE_IN_CHANNEL') + 1,
  ];
}

function cdpInput(rdma: Units['CDP_RDMA']): [number, number, number] {
  return [
    rdma.get('D_DATA_CUBE_WIDTH', 'WIDTH') + 1,
    rdma.get('D_DATA_CUBE_HEIGHT', 'HEIGHT') + 1,
    rdma.get('D_DATA_CUBE_CHANNEL', 'CHANNEL') + 1,
  ];
}

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Cycles in which a stream has a request that memory does not take: what its bytes need beyond a beat each cycle. */
export function stallCycles(config: NvdlaConfig, { port, access, bytes }: Stream): number {
  const ideal = Math.ceil(bytes / rates[config.name].beat[port]);
  return Math.max(0, Math.ceil(bytes / bandwidth(port, access, memorySystem.clockMhz)) - ideal);
}

/** Cycles in which a stream has requests outstanding: the first answer's latency, then all its bytes. */
export function latencyCycles(config: NvdlaConfig, { port, access, bytes }: Stream): number {
  if (bytes === 0) return 0;
  return rates[config.name].latency[port] + Math.ceil(bytes / bandwidth(port, access, memorySystem.clockMhz));
}

/** The cost of streams and units together. */
export function costOf(unit: string, compute: number, streams: readonly Stream[]): OperationCost {
  const traffic: [PortTraffic, PortTraffic] = [
    { read: 0, write: 0 },
    { read: 0, write: 0 },
  ];
  for (const { port, access, bytes } of streams) traffic[port][access] += bytes;
  return { unit, compute, traffic };
}
