// Implicit fences of a buffer: who still reads or writes it. The kernel's dma_resv.
// Not a lock: the core runs in one thread, handlers run until their first await.
import type { Fence } from './fence.js';

/** What a fence protects, in the order of dma_resv_usage: a reader waits for kernel and write, a writer for read too. */
export type ReservationUsage = 'kernel' | 'write' | 'read' | 'bookkeep';

const rank: Record<ReservationUsage, number> = { kernel: 0, write: 1, read: 2, bookkeep: 3 };

interface Entry {
  fence: Fence;
  rank: number;
}

/** The fences of one buffer. At most one per fence context and usage; signalled ones are dropped as others come. */
export class Reservation {
  #entries: Entry[] = [];

  /** Adds `fence`; an earlier one of its context with that usage is replaced. */
  add(fence: Fence, usage: ReservationUsage): void {
    const entries = this.#entries;
    let kept = 0;
    for (const entry of entries) {
      if (entry.fence.signalled) continue;
      if (entry.rank === rank[usage] && entry.fence.context === fence.context) {
        if (entry.fence.isLater(fence)) fence = entry.fence;
        continue;
      }
      entries[kept++] = entry;
    }
    entries.length = kept;
    if (!fence.signalled) entries.push({ fence, rank: rank[usage] });
  }

  /** Active fences that one who will `access` must wait for. */
  fences(access: 'read' | 'write'): Fence[] {
    const limit = access === 'read' ? rank.write : rank.read;
    const active: Fence[] = [];
    for (const { fence, rank: at } of this.#entries) if (at <= limit && !fence.signalled) active.push(fence);
    return active;
  }

  /** True when no job at all uses the buffer. */
  get idle(): boolean {
    return this.#entries.every(({ fence }) => fence.signalled);
  }
}
