// A loadable on a device: its memories as buffers of the nvdla driver, its tasks run in their order.
// Source: fact sheet section 7 (Runtime.cpp). Not the file (compiler/loadable), not images (surface.ts), not the driver.
import { AccelError } from '../../base/errors.js';
import { PAGE_SIZE, pageAlign } from '../../base/memory.js';
import {
  Contents,
  dlaTask,
  EventOp,
  inTodaysLayout,
  Interface,
  type Loadable,
  MemoryDomain,
  MemoryFlags,
  RelocType,
  SubInterface,
  type TaskListEntry,
  type TensorDescListEntry,
} from '../../compiler/loadable/index.js';
import type { AccelFile } from '../../core/accel-file.js';
import { AsyncStack } from '../async-stack.js';
import { allocate, type NvdlaMemory, NvdlaSubmission } from '../backends/nvdla-memory.js';
import { type DispatchTimes, noTicks, noTimes, type Ticks } from '../stats.js';
import { emulate, type EmuAddresses } from './emulator.js';
import { checkPixels } from './surface.js';

/** A tensor that the loadable takes or gives, in the memory that its tasks use. */
export interface LoadableTensor {
  /** Strides are those set last. */
  readonly desc: TensorDescListEntry;
  /** `desc.size` bytes. */
  readonly bytes: Uint8Array;
}

export type Direction = 'input' | 'output';

const flagOf = { input: MemoryFlags.INPUT, output: MemoryFlags.OUTPUT } as const;

/** Runs one task. */
type Runner = () => Promise<void> | void;

export class LoadedLoadable implements AsyncDisposable {
  readonly #loadable: Loadable;
  readonly #memories: readonly (NvdlaMemory | undefined)[];
  readonly #runners: readonly Runner[];
  readonly #ticks: Ticks;
  readonly #owned: AsyncStack;
  readonly #tensors: Record<Direction, LoadableTensor[]>;

  private constructor(
    loadable: Loadable,
    memories: readonly (NvdlaMemory | undefined)[],
    file: AccelFile,
    ticks: Ticks,
    owned: AsyncStack,
  ) {
    this.#loadable = loadable;
    this.#memories = memories;
    this.#ticks = ticks;
    this.#owned = owned;
    const contents = new Contents(loadable);
    this.#runners = loadable.task_list.map((task) => this.#runner(task, contents, file));
    this.#tensors = { input: this.#bound('input'), output: this.#bound('output') };
  }

  /**
   * Allocates every memory and puts the blobs into it. Older layouts are converted.
   * @throws AccelError EOPNOTSUPP for memory that is not DRAM, an interface that is not known; EINVAL for a task whose
   *   descriptors or memory are missing; as the driver's calls. Nothing is left behind.
   */
  static async load(file: AccelFile, loadable: Loadable, ticks: Ticks = noTicks): Promise<LoadedLoadable> {
    const owned = new AsyncStack();
    try {
      const today = inTodaysLayout(loadable);
      const memories: (NvdlaMemory | undefined)[] = [];
      const used = memoriesOfTasks(today);
      for (const { id, domain, flags, size, alignment } of today.memory_list) {
        if (alignment > PAGE_SIZE) {
          const reason = `${alignment}: buffers begin on pages of ${PAGE_SIZE} bytes`;
          throw new AccelError('EOPNOTSUPP', { field: `memory_list[${id}].alignment`, reason });
        }
        if (used.has(id) && domain !== MemoryDomain.SYSTEM) {
          const reason = `${domain}: only memory of the system, not the device's SRAM`;
          throw new AccelError('EOPNOTSUPP', { field: `memory_list[${id}].domain`, reason });
        }
        const wanted = MemoryFlags.ALLOC | MemoryFlags.INPUT | MemoryFlags.OUTPUT;
        const given = (flags & wanted) !== 0 && size > 0 && domain === MemoryDomain.SYSTEM;
        if (used.has(id) && !given) {
          const reason = 'a task uses it, and nothing allocates it';
          throw new AccelError('EINVAL', { field: `memory_list[${id}].flags`, reason });
        }
        memories.push(given ? await allocate(file, pageAlign(size), owned) : undefined);
      }
      fill(today, memories);
      return new LoadedLoadable(today, memories, file, ticks, owned);
    } catch (error) {
      await owned.dispose();
      throw error;
    }
  }

  /** In the order of their bind_id. */
  get inputs(): readonly LoadableTensor[] {
    return this.#tensors.input;
  }

  get outputs(): readonly LoadableTensor[] {
    return this.#tensors.output;
  }

  /**
   * Says that a bound tensor lies in its memory with other strides, in bytes: the descriptors that hold them are rewritten.
   * @throws AccelError EINVAL when there is no such tensor, it would not fit its memory, or no relocation leads to its descriptors
   */
  setStrides(
    direction: Direction,
    bind_id: number,
    strides: { readonly line: number; readonly surf: number },
  ): void {
    const { memory_list, address_list, reloc_list } = this.#loadable;
    const memory = memory_list.find(
      ({ flags, bind_id: own }) => (flags & flagOf[direction]) !== 0 && own === bind_id,
    );
    if (memory === undefined)
      throw new AccelError('EINVAL', { field: 'bind_id', reason: `no ${direction} ${bind_id}` });
    const relocs = reloc_list.filter(({ address_id }) => address_list[address_id]!.mem_id === memory.id);
    if (relocs.length === 0)
      throw new AccelError('EINVAL', {
        field: `memory_list[${memory.id}]`,
        reason: 'no relocation says where its strides are',
      });
    const { desc: old } = this.#tensors[direction][bind_id]!;
    // It may take all of its memory now.
    const desc = {
      ...old,
      size: memory.size - old.offset,
      strides: [old.strides[0]!, strides.line, strides.surf, ...old.strides.slice(3)],
    };
    checkPixels(desc);
    for (const { write_id, offset, interface: kind, sub_interface, reloc_type } of relocs) {
      const target = this.#memories[write_id];
      const known = kind === Interface.DLA1 || kind === Interface.EMU1;
      if (!known || target === undefined || (reloc_type !== RelocType.LINE && reloc_type !== RelocType.SURF))
        continue;
      if (sub_interface !== SubInterface.OPS && sub_interface !== SubInterface.SURFS) continue;
      const value = reloc_type === RelocType.LINE ? strides.line : strides.surf;
      new DataView(target.bytes.buffer, target.bytes.byteOffset).setUint32(offset, value, true);
    }
    this.#tensors[direction][bind_id] = this.#tensor(desc);
  }

  /**
   * One inference: submissions in their order, the tasks of one as their events allow.
   * @throws AccelError EINVAL when tasks wait for events that no task signals; as the driver's call
   */
  async run(): Promise<DispatchTimes> {
    const times = noTimes();
    const events = new Map<number, number>();
    for (const { id, task_id } of this.#loadable.submit_list) {
      let waiting = task_id.map((task) => this.#loadable.task_list[task]!);
      while (waiting.length > 0) {
        const ready = waiting.filter((task) => this.#mayRun(task, events));
        if (ready.length === 0) {
          const reason = `tasks ${waiting.map((task) => task.id).join(', ')} wait for events that nothing signals`;
          throw new AccelError('EINVAL', { field: `submit_list[${id}]`, reason });
        }
        for (const task of ready) {
          const start = this.#ticks.now();
          await this.#runners[task.id]!();
          times[task.interface === Interface.DLA1 ? 'device' : 'host'] += this.#ticks.now() - start;
          for (const event of task.post_actions) {
            const { op, target, val } = this.#loadable.event_list[event]!;
            if (op === EventOp.SIGNAL) events.set(target, val);
          }
        }
        waiting = waiting.filter((task) => !ready.includes(task));
      }
    }
    return times;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.dispose();
  }

  #mayRun({ pre_actions }: TaskListEntry, events: ReadonlyMap<number, number>): boolean {
    return pre_actions.every((event) => {
      const { op, target, val } = this.#loadable.event_list[event]!;
      return op !== EventOp.WAIT || (events.get(target) ?? 0) >= val;
    });
  }

  #bound(direction: Direction): LoadableTensor[] {
    const { memory_list, tensor_desc_list } = this.#loadable;
    return memory_list
      .filter(({ flags }) => (flags & flagOf[direction]) !== 0)
      .sort((a, b) => a.bind_id - b.bind_id)
      .map(({ id, tensor_desc_id }) => {
        const desc = tensor_desc_list[tensor_desc_id]!;
        if (desc.mem_id !== id) {
          const reason = `${desc.mem_id}, it is bound to memory ${id}`;
          throw new AccelError('EINVAL', { field: `tensor_desc_list[${tensor_desc_id}].mem_id`, reason });
        }
        return this.#tensor(desc);
      });
  }

  #tensor(desc: TensorDescListEntry): LoadableTensor {
    const { bytes } = this.#memories[desc.mem_id]!;
    return { desc, bytes: bytes.subarray(desc.offset, desc.offset + desc.size) };
  }

  #runner(task: TaskListEntry, contents: Contents, file: AccelFile): Runner {
    const { address_list } = this.#loadable;
    const addresses = task.address_list.map((id) => {
      const { mem_id, offset } = address_list[id]!;
      return { memory: this.#memories[mem_id]!, offset };
    });
    switch (task.interface) {
      case Interface.DLA1: {
        const submission = new NvdlaSubmission(file, addresses, this.#owned);
        const reload = this.#dependencies(task, contents);
        return async () => {
          reload();
          await submission.run();
        };
      }
      case Interface.EMU1: {
        const views: EmuAddresses = addresses.map(({ memory, offset }) => memory.bytes.subarray(offset));
        return () => emulate(views);
      }
      default:
        throw new AccelError('EOPNOTSUPP', {
          field: `task_list[${task.id}].interface`,
          reason: `${task.interface}; there are DLA1 1 and EMU1 2`,
        });
    }
  }

  /** Writes the task's dependency graph anew: a kernel counts its dependencies down where it is. */
  #dependencies(task: TaskListEntry, contents: Contents): Runner {
    const { graph } = dlaTask(contents, task);
    const { bytes } = this.#memories[graph.memory]!;
    return () => bytes.set(graph.bytes, graph.at);
  }
}

function memoriesOfTasks({ task_list, address_list }: Loadable): Set<number> {
  return new Set(task_list.flatMap((task) => task.address_list.map((id) => address_list[id]!.mem_id)));
}

function fill({ memory_list, blobs }: Loadable, memories: readonly (NvdlaMemory | undefined)[]): void {
  const data = new Map(blobs.map((blob) => [blob.name, blob.data]));
  for (const { id, flags, contents, offsets } of memory_list) {
    if ((flags & MemoryFlags.SET) === 0) continue;
    contents.forEach((name, i) => memories[id]?.bytes.set(data.get(name)!, offsets[i]!));
  }
}
