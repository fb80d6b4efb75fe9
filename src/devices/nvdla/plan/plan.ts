// Turns an armed set of registers into one engine command: what every unit's planner shares.
// Not arithmetic and not order: engines compute, the front decides when.
import type { DevicePort, DmaSpan } from '../../../bus/port.js';
import type { NvdlaConfig } from '../../../hw/nvdla/config.js';
import type { smallUnits } from '../../../hw/nvdla/registers.gen.js';
import { CommandWriter, type Cube } from '../engine/command.js';
import type { LutTables } from '../lut.js';
import type { Unit } from '../unit.js';
import type { ConvBuffer } from './conv-buffer.js';

type Tables = typeof smallUnits;
/** The units a plan reads, at their consumer groups. */
export type Units = { readonly [K in keyof Tables]: Unit<Tables[K]> };

/** An operation that hardware would not complete: programmed wrongly, or not modelled. */
export class Refused extends Error {}
/** A DMA fault was reported to the driver's side; the operation does not complete. */
export class Faulted extends Error {}

export interface Luts {
  readonly sdp: LutTables;
  readonly cdp: LutTables;
}

const precisions = ['int8', 'int16', 'fp16'] as const;

/** A range an operation asked for, and where in DRAM it was. */
export interface MapRequest {
  readonly iova: number;
  readonly bytes: number;
  readonly access: 'read' | 'write';
  readonly ramType: number;
  readonly address: number;
}

/** What planners work with, and what an operation holds while it runs. */
export class Plan {
  readonly config: NvdlaConfig;
  readonly units: Units;
  readonly luts: Luts;
  readonly writer: CommandWriter;
  readonly convBuffer: ConvBuffer;
  readonly #port: DevicePort;
  readonly #spans: DmaSpan[] = [];
  readonly #buffers: number[] = [];
  /** In the order they were made. */
  readonly requests: MapRequest[] = [];

  constructor(
    port: DevicePort,
    config: NvdlaConfig,
    units: Units,
    luts: Luts,
    writer: CommandWriter,
    convBuffer: ConvBuffer,
  ) {
    this.#port = port;
    this.config = config;
    this.units = units;
    this.luts = luts;
    this.writer = writer;
    this.convBuffer = convBuffer;
  }

  /**
   * DRAM address of a range the operation uses. `ramType` is the access's RAM_TYPE: 1 the first memory port (MC), 0 the
   * second (CV). A configuration without the second has no such wire: all its accesses go through the first.
   */
  map(iova: number, bytes: number, access: 'read' | 'write', ramType: number): number {
    const dma = ramType === 0 && this.config.cvsram ? this.#port.dmaPorts[1] : this.#port.dma;
    const span = dma.map(iova, bytes, access);
    if (span === undefined) throw new Faulted();
    this.#spans.push(span);
    const { address } = span;
    this.requests.push({ iova, bytes, access, ramType, address });
    return address;
  }

  /** The DRAM side of a feature cube; `pixel` is the bytes of one atom of it. */
  cube(
    iova: number,
    shape: { width: number; height: number; surfaces: number; pixel: number },
    line: number,
    surface: number,
    access: 'read' | 'write',
    ramType: number,
  ): Cube {
    const { width, height, surfaces, pixel } = shape;
    const bytes = (surfaces - 1) * surface + (height - 1) * line + width * pixel;
    return { address: this.map(iova, bytes, access, ramType), line, surface };
  }

  /** Memory of the device's own, for a cube that passes from one unit to the next. */
  buffer(bytes: number): number {
    const address = this.#port.memory.allocate(bytes);
    this.#buffers.push(address);
    return address;
  }

  /** Memory of the device's own that this operation is the last to use. */
  adopt(address: number): void {
    this.#buffers.push(address);
  }

  /** Memory of the device's own is in use: where it is says nothing about the next time. */
  get ownsMemory(): boolean {
    return this.#buffers.length > 0;
  }

  /** Gives everything back; writes through copies reach memory here. */
  release(): void {
    for (const span of this.#spans.splice(0)) span.release();
    for (const address of this.#buffers.splice(0)) this.#port.memory.free(address);
    this.requests.length = 0;
  }

  /** A precision field's value: 0 int8, 1 int16, 2 fp16. Refuses what the configuration has not. */
  precision(unit: string, value: number): number {
    const name = precisions[value];
    if (name !== undefined && this.config.precisions.includes(name)) return value;
    throw new Refused(`${unit}: ${this.config.name} has no ${name ?? `precision ${value}`}`);
  }

  /** Elements of a precision in one memory atom. */
  elements(precision: number): number {
    return precision === 0 ? this.config.atom : this.config.atom / 2;
  }
}

/** A 64-bit address from its register pair, as a number. */
export function address(high: number, low: number): number {
  return high * 2 ** 32 + low;
}
