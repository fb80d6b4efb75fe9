// A processor: the units that execute one op_type together, with their two register groups.
// Not a queue: which layer goes into which group is decided by the engine.
import type { Register } from '../../base/registers.js';
import type { Hardware, Unit } from './hardware.js';
import type { Layer } from './layer.js';
import type { RegisterProgram } from './program.js';

/** A performance counter and its place in the layer's statistics record. */
export interface Counter {
  readonly unit: { readonly base: number };
  readonly register: Register;
  /** Byte offset in the record. */
  readonly at: number;
}

export interface Statistics {
  /** Written before a layer starts when the task wants statistics. */
  readonly enable: { readonly unit: { readonly base: number }; readonly register: Register };
  readonly counters: readonly Counter[];
  /** Byte offset of the run time in microseconds. */
  readonly runtime: number;
}

export interface Processor {
  /** Name of the engine in usage reports. */
  readonly engine: string;
  /** First of its two completion bits in S_INTR_STATUS. */
  readonly doneBit: number;
  /**
   * Checks a layer and appends the writes that program it; sets the layer's rdma, lut and slots.
   * @throws AccelError EINVAL
   */
  encode(layer: Layer, out: RegisterProgram): void;
  /** The group that the unit executes next. */
  consumer(): number;
  /** The same of its read DMA. */
  rdmaConsumer(): number;
  /** Directs register accesses to a group of the unit and one of its read DMA. */
  select(group: number, rdmaGroup: number): void;
  /** Whether a group may be programmed: its last layer has left the unit. */
  idle(group: number): boolean;
  /** Free command slots where the unit has those; groups suffice elsewhere. */
  freeSlots(): number;
  /** Arms a programmed group. False when the unit does not get ready for it. */
  enable(group: number, rdma: boolean): boolean;
  statistics(group: number): Statistics;
}

/** Units with the common protocol: S_STATUS, S_POINTER and a D_OP_ENABLE per group (fact sheet section 1.3). */
export interface GroupedUnit {
  readonly base: number;
  readonly r: Pick<Unit<'CACC'>['r'], 'S_STATUS' | 'S_POINTER'> & { readonly D_OP_ENABLE: Register };
}

export interface GroupedOptions {
  readonly engine: string;
  readonly doneBit: number;
  /** In the order in which pointers are set and groups are armed. */
  readonly units: readonly GroupedUnit[];
  readonly rdma?: GroupedUnit;
  /** Whether status is read before programming; the kernel driver does for convolution. */
  readonly checkIdle?: boolean;
  readonly statistics: Statistics;
  encode(layer: Layer, out: RegisterProgram): void;
  /** Asked before a group is armed. */
  flushed?(): boolean;
}

/** Every processor but BDMA. */
export class GroupedProcessor implements Processor {
  readonly engine: string;
  readonly doneBit: number;
  readonly #hardware: Hardware;
  readonly #options: GroupedOptions;
  readonly #first: GroupedUnit;

  constructor(hardware: Hardware, options: GroupedOptions) {
    this.engine = options.engine;
    this.doneBit = options.doneBit;
    this.#hardware = hardware;
    this.#options = options;
    this.#first = options.units[0]!;
  }

  encode(layer: Layer, out: RegisterProgram): void {
    this.#options.encode(layer, out);
  }

  consumer(): number {
    const { S_POINTER } = this.#first.r;
    return S_POINTER.f.CONSUMER.get(this.#hardware.read(this.#first, S_POINTER));
  }

  rdmaConsumer(): number {
    const rdma = this.#options.rdma;
    if (rdma === undefined) return 0;
    return rdma.r.S_POINTER.f.CONSUMER.get(this.#hardware.read(rdma, rdma.r.S_POINTER));
  }

  select(group: number, rdmaGroup: number): void {
    const { units, rdma } = this.#options;
    for (const unit of units)
      this.#hardware.write(unit, unit.r.S_POINTER, unit.r.S_POINTER.f.PRODUCER.of(group));
    if (rdma !== undefined)
      this.#hardware.write(rdma, rdma.r.S_POINTER, rdma.r.S_POINTER.f.PRODUCER.of(rdmaGroup));
  }

  idle(group: number): boolean {
    if (this.#options.checkIdle !== true) return true;
    let idle = true;
    for (const unit of this.#options.units) {
      const { S_STATUS } = unit.r;
      const status = this.#hardware.read(unit, S_STATUS);
      if ((group === 0 ? S_STATUS.f.STATUS_0 : S_STATUS.f.STATUS_1).get(status) !== 0) idle = false;
    }
    return idle;
  }

  freeSlots(): number {
    return Infinity;
  }

  enable(_group: number, rdma: boolean): boolean {
    const options = this.#options;
    if (options.flushed !== undefined && !options.flushed()) return false;
    if (rdma && options.rdma !== undefined) this.#hardware.write(options.rdma, options.rdma.r.D_OP_ENABLE, 1);
    for (const unit of options.units) this.#hardware.write(unit, unit.r.D_OP_ENABLE, 1);
    return true;
  }

  statistics(): Statistics {
    return this.#options.statistics;
  }
}
