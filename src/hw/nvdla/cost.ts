// What a layer takes on silicon: cycles of its units and bytes through the memory ports, as the public performance sheet counts them.
// Not measured, and nobody's layer: the device model asks with what its registers say, the compiler with what it will write to them.
//
// A layer takes as long as its busiest part (units work side by side, fetches run ahead): the products, one kernel group by
// one channel block by one kernel position per output and cycle; the elements through SDP, PDP and CDP at their rates; the
// bytes through each memory port at its bandwidth. Not in it: software, filling and draining of the pipe, arbitration,
// DRAM pages. Winograd makes four outputs with 16 products instead of 36.
import type { NvdlaConfig } from './config.js';
import { memorySystem, rates } from './performance.js';

/** Cycles of the busiest unit when memory never holds it up, and bytes by memory port. */
export interface LayerCost {
  readonly compute: number;
  readonly traffic: readonly [
    { readonly read: number; readonly write: number },
    { readonly read: number; readonly write: number },
  ];
}

/** Sizes of a cube, in elements. */
export interface CubeExtent {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

export interface ConvolutionExtent {
  /** Results per kernel, of all batches. */
  readonly outputs: number;
  readonly kernels: number;
  /** As the cells see them: of pixels, extended by the columns of the kernel. */
  readonly channels: number;
  readonly rows: number;
  readonly columns: number;
  readonly elementBytes: 1 | 2;
  /** Kernel rows that are multiplied at once (POST_Y_EXTENSION): 1, 2 or 4. */
  readonly joinedRows?: number;
  readonly winograd?: boolean;
}

const blocks = (count: number, size: number): number => Math.ceil(count / size);

/** Bytes of a cube in memory: whole atoms. */
export function cubeBytes(
  { atom }: NvdlaConfig,
  { width, height, channels }: CubeExtent,
  elementBytes: number,
): number {
  return width * height * blocks(channels * elementBytes, atom) * atom;
}

/** Cycles of the multipliers. */
export function convolutionCycles(config: NvdlaConfig, conv: ConvolutionExtent): number {
  const { outputs, kernels, channels, rows, columns, elementBytes, joinedRows = 1, winograd = false } = conv;
  // Cells take a whole channel block of any precision; 16 bits halve the kernels.
  const groups = blocks(kernels, config.atomicK / elementBytes);
  const perOutput = groups * blocks(channels, config.atomicC);
  // A 4x4 tile of four channels fills the cells, and gives four outputs.
  if (winograd) return (outputs / 4) * perOutput;
  return outputs * perOutput * blocks(rows, joinedRows) * columns;
}

/** Most multiply-accumulates of a cycle. */
export function peakMacs({ atomicC, atomicK }: NvdlaConfig, elementBytes: 1 | 2): number {
  return (atomicC * atomicK) / elementBytes;
}

/** Cycles of SDP for so many elements; `elementWise` when they pass its Y stage. */
export function sdpCycles(config: NvdlaConfig, elements: number, elementWise: boolean): number {
  const { sdpX, sdpY } = rates[config.name];
  return Math.ceil(elements / (elementWise && sdpY > 0 ? sdpY : sdpX));
}

/** Cycles of PDP for so many elements of input. */
export function pdpCycles(config: NvdlaConfig, elements: number): number {
  return Math.ceil(elements / rates[config.name].pdp);
}

/** Cycles of CDP for so many elements. */
export function cdpCycles(config: NvdlaConfig, elements: number): number {
  return Math.ceil(elements / rates[config.name].cdp);
}

/** Bytes that a memory port moves in a cycle at `clockMhz`. */
export function bandwidth(port: 0 | 1, access: 'read' | 'write', clockMhz: number): number {
  const { dram, sramRead, sramWrite } = memorySystem;
  return ((port === 0 ? dram : access === 'read' ? sramRead : sramWrite) * 1000) / clockMhz;
}

/**
 * Cycles of a layer at `clockMhz` with the memory system of the performance sheet, and what takes them.
 * DRAM moves reads and writes through one bandwidth, SRAM each through its own.
 */
export function silicon(
  { compute, traffic }: LayerCost,
  clockMhz: number,
): { cycles: number; bound: 'compute' | 'DRAM' | 'CV-SRAM' } {
  const [dram, sram] = traffic;
  const memory = Math.ceil((dram.read + dram.write) / bandwidth(0, 'read', clockMhz));
  const second = Math.ceil(
    Math.max(sram.read / bandwidth(1, 'read', clockMhz), sram.write / bandwidth(1, 'write', clockMhz)),
  );
  const cycles = Math.max(compute, memory, second);
  return { cycles, bound: cycles === compute ? 'compute' : cycles === memory ? 'DRAM' : 'CV-SRAM' };
}
