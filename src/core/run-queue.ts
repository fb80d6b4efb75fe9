// Entities that have a job ready, by priority and then by key. One structure for both policies of drm_sched.
// Not a queue of jobs: those stay in their entity.

/** Run queues, served from the first to the last. */
export const priorities = ['kernel', 'high', 'normal', 'low'] as const;
export type Priority = (typeof priorities)[number];

interface Slot<T> {
  readonly key: number;
  readonly item: T;
}

/** A binary heap: smallest key first. Keys are distinct. */
class Heap<T> {
  readonly #slots: Slot<T>[] = [];

  get size(): number {
    return this.#slots.length;
  }

  get first(): T | undefined {
    return this.#slots[0]?.item;
  }

  push(key: number, item: T): void {
    const slots = this.#slots;
    const slot = { key, item };
    let at = slots.push(slot) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (slots[parent]!.key <= key) break;
      slots[at] = slots[parent]!;
      at = parent;
    }
    slots[at] = slot;
  }

  pop(): T | undefined {
    const slots = this.#slots;
    const top = slots[0];
    const last = slots.pop();
    if (top === undefined || last === undefined || slots.length === 0) return top?.item;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= slots.length) break;
      if (child + 1 < slots.length && slots[child + 1]!.key < slots[child]!.key) child++;
      if (slots[child]!.key >= last.key) break;
      slots[at] = slots[child]!;
      at = child;
    }
    slots[at] = last;
    return top.item;
  }

  clear(): void {
    this.#slots.length = 0;
  }
}

/**
 * Ready entities. With the key of the oldest waiting job this is FIFO, with a running number round robin.
 * Every operation is O(log n) in ready entities; idle ones cost nothing.
 */
export class RunQueue<T> {
  readonly #heaps: readonly Heap<T>[] = priorities.map(() => new Heap<T>());

  push(priority: Priority, key: number, item: T): void {
    this.#heaps[priorities.indexOf(priority)]!.push(key, item);
  }

  /** What runs next. */
  get first(): T | undefined {
    return this.#next()?.first;
  }

  /** Takes out what `first` is. */
  pop(): T | undefined {
    return this.#next()?.pop();
  }

  clear(): void {
    for (const heap of this.#heaps) heap.clear();
  }

  #next(): Heap<T> | undefined {
    for (const heap of this.#heaps) if (heap.size > 0) return heap;
    return undefined;
  }
}
