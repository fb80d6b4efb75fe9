// The engine: takes the layers of one task through six processors with two register groups each.
// Source: fact sheet section 6. Not the task queue: it holds one task at a time and reports its end.
import { AccelError } from '../../base/errors.js';
import { BusyTime, type EngineUsage } from '../../core/index.js';
import { interruptBit, OpEvent, OpType, STAT_BYTES } from '../../hw/nvdla/index.js';
import { EDGES, FUSED_PARENT, type Graph } from './graph.js';
import type { Hardware } from './hardware.js';
import type { Processor } from './processor.js';
import type { Encoding, Task } from './task.js';

/** One of a processor's two register groups. */
class Group {
  readonly id: number;
  /** The layer in it, -1 when it is free. */
  node = -1;
  /** Taken, but its registers are not written yet. */
  pending = false;
  /** Its layer's events must not arm it yet: programming is under way. */
  programming = false;
  /** Armed in hardware. */
  active = false;
  /** Bit set of OpEvent that hardware reported. */
  events = 0;
  rdma = false;
  rdmaGroup = 0;
  lut = -1;
  startedAt = 0;

  constructor(id: number) {
    this.id = id;
  }

  free(): void {
    this.node = -1;
    this.pending = false;
    this.programming = false;
    this.active = false;
    this.events = 0;
    this.rdma = false;
    this.lut = -1;
  }
}

/** A processor with what the engine knows of it. */
class Slot {
  readonly type: number;
  readonly processor: Processor;
  readonly groups: readonly [Group, Group] = [new Group(0), new Group(1)];
  /** From when a layer is armed to its completion interrupt. */
  readonly busy = new BusyTime();
  /** The layer taken up last. */
  tail = -1;
  lastGroup = 1;

  constructor(type: number, processor: Processor) {
    this.type = type;
    this.processor = processor;
  }

  clear(): void {
    this.tail = -1;
    this.groups[0].free();
    this.groups[1].free();
  }
}

const COMPLETED = 1 << OpEvent.COMPLETED;
const WEIGHTS_FETCHED = 1 << OpEvent.CDMA_WT_DONE;
const DATA_FETCHED = 1 << OpEvent.CDMA_DT_DONE;

/** Told how a task ended. `dirty`: hardware still works on it and must be reset before anything else runs. */
export type TaskEnded = (task: Task, error: AccelError | undefined, dirty: boolean) => void;

export class Engine {
  readonly #hardware: Hardware;
  readonly #slots: readonly Slot[];
  readonly #ended: TaskEnded;
  #task: Task | undefined;
  #encoding!: Encoding;
  #graph!: Graph;
  /** Layers to go. */
  #left = 0;
  /** The client's busy times by op_type. */
  #client: readonly BusyTime[] = [];
  #error: AccelError | undefined;

  /** `processors` by op_type. */
  constructor(hardware: Hardware, processors: readonly Processor[], ended: TaskEnded) {
    this.#hardware = hardware;
    this.#slots = processors.map((processor, type) => new Slot(type, processor));
    this.#ended = ended;
  }

  get task(): Task | undefined {
    return this.#task;
  }

  /** Names of the processors by op_type, as usage reports them. */
  get names(): string[] {
    return this.#slots.map((slot) => slot.processor.engine);
  }

  usage(): EngineUsage[] {
    const now = this.#hardware.clock.now();
    return this.#slots.map((slot) => slot.busy.usage(slot.processor.engine, now));
  }

  /** Which layers are armed or wait, for people. */
  describe(): string {
    const parts: string[] = [];
    for (const { processor, groups } of this.#slots) {
      for (const group of groups) {
        if (group.node === -1) continue;
        parts.push(`${processor.engine} layer ${group.node} ${group.active ? 'runs' : 'waits'}`);
      }
    }
    return `${this.#left} layers to go, ${parts.join(', ')}`;
  }

  /**
   * Starts a task on idle hardware. A task without layers ends at once, and one that cannot make a first step fails.
   * `client` is its client's busy time, by op_type.
   */
  start(task: Task, client: readonly BusyTime[]): void {
    this.#task = task;
    this.#client = client;
    this.#error = undefined;
    const { encoding } = task;
    this.#left = encoding === undefined ? 0 : encoding.graph.types.length;
    if (encoding !== undefined) {
      this.#encoding = encoding;
      this.#graph = encoding.graph;
      this.#graph.rewind();
      try {
        for (const slot of this.#slots) {
          const head = task.heads[slot.type]!;
          if (head === -1) continue;
          this.#take(slot, head);
          this.#takeNext(slot);
        }
      } catch (error) {
        this.#fail(error);
      }
    }
    this.#settle();
  }

  /** Takes note of interrupts, as bits of S_INTR_STATUS, and does what follows. False when none was for a layer. */
  interrupt(status: number): boolean {
    if (this.#task === undefined || status === 0) return false;
    let noted = false;
    for (const slot of this.#slots)
      noted = this.#note(slot, status, slot.processor.doneBit, COMPLETED) || noted;
    const conv = this.#slots[OpType.CONV]!;
    noted = this.#note(conv, status, interruptBit.CDMA_WT, WEIGHTS_FETCHED) || noted;
    noted = this.#note(conv, status, interruptBit.CDMA_DAT, DATA_FETCHED) || noted;
    if (noted) this.#settle();
    return noted;
  }

  /** Forgets the task. Hardware is reset by the caller. */
  abort(): void {
    const now = this.#hardware.clock.now();
    for (const slot of this.#slots) {
      while (slot.busy.depth > 0) this.#idle(slot, now);
      slot.clear();
    }
    this.#task = undefined;
  }

  #note(slot: Slot, status: number, bit: number, event: number): boolean {
    if (((status >>> bit) & 3) === 0) return false;
    let noted = false;
    for (const group of slot.groups) {
      // A bit of a group that is not armed is left from before a reset, or spurious.
      if (!group.active || ((status >>> (bit + group.id)) & 1) === 0) continue;
      group.events |= event;
      noted = true;
    }
    return noted;
  }

  /** Handles events until there are none, then looks where the task stands. */
  #settle(): void {
    if (this.#error === undefined) {
      try {
        while (this.#handleEvents());
      } catch (error) {
        this.#fail(error);
      }
    }
    const task = this.#task!;
    const active = this.#slots.some((slot) => slot.groups[0].active || slot.groups[1].active);
    if (this.#error === undefined && this.#left > 0) {
      if (active) return;
      this.#error = new AccelError('EINVAL', {
        field: 'dependency_graph',
        reason: `no layer can start, ${this.#left} to go: they wait for each other`,
      });
    }
    this.abort();
    this.#ended(task, this.#error, active);
  }

  #fail(error: unknown): void {
    if (!(error instanceof AccelError)) throw error;
    this.#error = error;
  }

  #handleEvents(): boolean {
    let any = false;
    for (const slot of this.#slots) {
      let group = slot.groups[slot.lastGroup === 0 ? 1 : 0];
      for (let i = 0; i < 2; i++) {
        const { events } = group;
        if (events !== 0) {
          any = true;
          group.events = 0;
          if ((events & WEIGHTS_FETCHED) !== 0) this.#tell(group.node, OpEvent.CDMA_WT_DONE);
          if ((events & DATA_FETCHED) !== 0) this.#tell(group.node, OpEvent.CDMA_DT_DONE);
          if ((events & COMPLETED) !== 0) this.#complete(slot, group);
        }
        group = slot.groups[group.id === 0 ? 1 : 0];
      }
    }
    return any;
  }

  #complete(slot: Slot, group: Group): void {
    const { node } = group;
    const now = this.#hardware.clock.now();
    if (this.#task!.statistics !== -1) this.#writeStatistics(slot, group, now);
    this.#idle(slot, now);
    this.#left--;
    group.free();
    slot.lastGroup = group.id;
    this.#tell(node, OpEvent.COMPLETED);
    if (this.#left === 0) return;
    const next = slot.groups[group.id === 0 ? 1 : 0];
    if (next.node !== -1 && next.pending && this.#ready(slot, next)) this.#program(slot, next);
    this.#takeNext(slot);
  }

  /** Takes up the layer that follows the last one of this type, or its next region. */
  #takeNext(slot: Slot): void {
    if (slot.groups[0].node !== -1 && slot.groups[1].node !== -1) return;
    const { layers, rois, targets } = this.#graph;
    const region = Math.floor(slot.tail / layers);
    if (region < rois - 1) {
      this.#take(slot, slot.tail + layers);
      return;
    }
    const index = targets[slot.tail * EDGES + slot.type]!;
    if (index !== -1) this.#take(slot, index);
  }

  /** Puts a layer into a free group; programs it unless it must wait for the other one. */
  #take(slot: Slot, node: number): void {
    const { processor, groups } = slot;
    const [a, b] = groups;
    const bothFree = a.node === -1 && b.node === -1;
    const group = bothFree ? groups[processor.consumer() as 0 | 1] : a.node === -1 ? a : b;
    const other = group === a ? b : a;
    group.node = node;
    group.pending = true;
    group.rdma = this.#encoding.rdma[node] === 1;
    // The read DMA counts its groups by itself: layers that do not use it take none.
    group.rdmaGroup = other.node !== -1 && other.rdma ? 1 - other.rdmaGroup : processor.rdmaConsumer();
    slot.tail = node;
    if (this.#ready(slot, group)) this.#program(slot, group);
  }

  /**
   * Whether a group can be programmed beside the other one. The lookup tables exist once per processor and are locked
   * while it runs; BDMA's two groups share their registers and its command slots.
   */
  #ready(slot: Slot, group: Group): boolean {
    const other = slot.groups[group.id === 0 ? 1 : 0];
    if (slot.type === OpType.BDMA) {
      if (other.node !== -1 && !other.active) return false;
      return slot.processor.freeSlots() >= this.#encoding.slots[group.node]!;
    }
    const lut = this.#encoding.luts[group.node]!;
    if (lut === -1 || other.lut === lut) return true;
    return other.lut === -1 && !other.active;
  }

  #program(slot: Slot, group: Group): void {
    const { processor } = slot;
    const { node } = group;
    processor.select(group.id, group.rdmaGroup);
    if (!processor.idle(group.id)) {
      throw new AccelError('EIO', {
        field: processor.engine,
        reason: `group ${group.id} is still busy with a layer that completed`,
      });
    }
    group.programming = true;
    group.lut = this.#encoding.luts[node]!;
    const { program, starts } = this.#encoding;
    program.play(this.#hardware.io, starts[node]!, starts[node + 1]!);
    group.pending = false;
    this.#tell(node, OpEvent.PROGRAMMED);
    group.programming = false;
    if (this.#graph.counts[node]! <= 0) this.#enable(slot, group);
  }

  #enable(slot: Slot, group: Group): void {
    const task = this.#task!;
    const { processor } = slot;
    const { node } = group;
    const now = this.#hardware.clock.now();
    group.active = true;
    slot.busy.start(now);
    this.#client[slot.type]!.start(now);
    group.startedAt = now;
    if (slot.type === OpType.BDMA && this.#encoding.slots[node] === 0) {
      // Nothing to launch, so no interrupt would come.
      group.events |= COMPLETED;
    } else {
      processor.select(group.id, group.rdmaGroup);
      if (task.statistics !== -1) {
        const { enable } = processor.statistics(group.id);
        this.#hardware.write(enable.unit, enable.register, enable.register.writeMask);
      }
      if (!processor.enable(group.id, group.rdma)) {
        throw new AccelError('EIO', {
          field: processor.engine,
          reason: 'the convolution buffer is not flushed',
        });
      }
    }
    this.#tell(node, OpEvent.ENABLED);
  }

  /** Tells the layers that wait for `event` of `node`. */
  #tell(node: number, event: number): void {
    const { layers, targets, events, counts, types } = this.#graph;
    const region = node - (node % layers);
    for (let edge = 0; edge < EDGES; edge++) {
      const slot = node * EDGES + edge;
      if (events[slot] !== event || targets[slot] === -1) continue;
      const target = region + targets[slot]!;
      const count = --counts[target]!;
      if (count === 0) this.#release(edge === FUSED_PARENT ? types[target]! : edge, target);
    }
  }

  /** Arms a layer whose last dependency is met, if it is in a group already. */
  #release(type: number, node: number): void {
    const slot = this.#slots[type]!;
    for (const group of slot.groups) {
      if (group.node !== node) continue;
      if (!group.pending && !group.programming && !group.active) this.#enable(slot, group);
      return;
    }
  }

  /** A layer of this processor is over. */
  #idle(slot: Slot, now: number): void {
    slot.busy.stop(now);
    this.#client[slot.type]!.stop(now);
  }

  #writeStatistics(slot: Slot, group: Group, now: number): void {
    const { processor } = slot;
    const { view } = this.#hardware.memory;
    const record = this.#task!.statistics + group.node * STAT_BYTES;
    const { counters, runtime } = processor.statistics(group.id);
    processor.select(group.id, group.rdmaGroup);
    for (const counter of counters) {
      view.setUint32(record + counter.at, this.#hardware.read(counter.unit, counter.register), true);
    }
    view.setUint32(record + runtime, Math.floor((now - group.startedAt) / 1000), true);
  }
}
