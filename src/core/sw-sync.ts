// sw_sync: timelines that user space moves, for tests of everything that waits on fences. Core fact sheet section 6.
// Not for drivers: such a fence signals only when a program says so.
import {
  SW_SYNC_IOC_CREATE_FENCE,
  SW_SYNC_IOC_INC,
  type SwSyncCreateFenceData,
  type SwSyncIncrement,
} from '../abi/sync-file.js';
import type { Clock } from '../base/clock.js';
import type { StructValue } from '../base/struct.js';
import type { AbortSignalLike } from './accel-file.js';
import { fdDispatch, onFd, type FdEntry, type FdHandler } from './fd-ioctl.js';
import { OpenFile } from './fd-table.js';
import { Fence, FenceContext } from './fence.js';
import type { Process } from './process.js';
import { SyncFile } from './sync-file.js';

type Fields<S extends { fields: object }> = StructValue<S['fields']>;

const INT_MAX = 0x7fffffff;

/** Values wrap at 32 bits: later means a positive signed difference. */
class SwFence extends Fence {
  override isLater(other: Fence): boolean {
    return this.context === other.context && ((this.seqno - other.seqno) | 0) > 0;
  }
}

/** One open of sw_sync: a timeline with a u32 value, 0 at first. */
export class SwSyncTimeline extends OpenFile {
  readonly kind = 'sw_sync';
  readonly clock: Clock;
  readonly #context: FenceContext;
  /** Not signalled, in the order in which they will be. */
  readonly #active: SwFence[] = [];
  #value = 0;

  /** `name` is the timeline's: the program's name. */
  constructor(clock: Clock, name: string) {
    super();
    this.clock = clock;
    this.#context = new FenceContext('sw_sync', name);
  }

  /** A fence that signals when the timeline reaches `value` (u32). Equal active values share one. */
  createFence(value: number): Fence {
    const distance = (value - this.#value) | 0;
    if (distance <= 0) {
      const fence = new SwFence(this.#context, value);
      fence.signal(this.clock.now());
      return fence;
    }
    let low = 0;
    let high = this.#active.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (((this.#active[middle]!.seqno - this.#value) | 0) < distance) low = middle + 1;
      else high = middle;
    }
    const known = this.#active[low];
    if (known?.seqno === value) return known;
    const fence = new SwFence(this.#context, value);
    this.#active.splice(low, 0, fence);
    return fence;
  }

  /** Moves the timeline by a u32; in steps, so that no fence is jumped over. */
  increment(by: number): void {
    for (let left = by; left > 0; left -= INT_MAX) this.#step(Math.min(left, INT_MAX));
  }

  override ioctl(
    process: Process,
    request: number,
    argument: Uint8Array | undefined,
    signal?: AbortSignalLike,
  ): number | Promise<number> {
    return fdDispatch(table, this, request, argument, process, signal);
  }

  protected release(): void {
    for (const fence of this.#active.splice(0)) fence.signal(this.clock.now(), 'ENOENT');
  }

  #step(by: number): void {
    this.#value = (this.#value + by) >>> 0;
    let due = 0;
    while (due < this.#active.length && ((this.#value - this.#active[due]!.seqno) | 0) >= 0) due++;
    for (const fence of this.#active.splice(0, due)) fence.signal(this.clock.now());
  }
}

const createFence: FdHandler<SwSyncTimeline, Fields<typeof SwSyncCreateFenceData>> = (
  file,
  args,
  process,
) => ({
  fence: process.fds.install(new SyncFile(file.createFence(args.value))),
});

const increment: FdHandler<SwSyncTimeline, Fields<typeof SwSyncIncrement>> = (file, { value }) => {
  file.increment(value);
  return undefined;
};

const table: readonly FdEntry<SwSyncTimeline>[] = [
  onFd(SW_SYNC_IOC_CREATE_FENCE, createFence),
  onFd(SW_SYNC_IOC_INC, increment),
];
