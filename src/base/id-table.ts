// Small integers for objects: the smallest free number from a base, as Linux's idr gives handles and minors.
// Not a reference counter.

/** Ids are unique while held; a freed id is given out again, smallest first. All operations are O(log n) or better. */
export class IdTable<T> {
  readonly #first: number;
  readonly #limit: number;
  readonly #slots: (T | undefined)[] = [];
  /** Binary min-heap of freed indices. */
  readonly #free: number[] = [];
  #size = 0;

  /** `first` is the smallest id, `limit` the number of ids. */
  constructor({ first = 1, limit = 0x7fffffff }: { first?: number; limit?: number } = {}) {
    this.#first = first;
    this.#limit = limit;
  }

  get size(): number {
    return this.#size;
  }

  /** Stores `value` under the smallest free id, or returns undefined when all ids are taken. */
  add(value: T): number | undefined {
    let index = this.#pop();
    if (index === undefined) {
      if (this.#slots.length >= this.#limit) return undefined;
      index = this.#slots.length;
    }
    this.#slots[index] = value;
    this.#size++;
    return index + this.#first;
  }

  get(id: number): T | undefined {
    return this.#slots[id - this.#first];
  }

  /** Removes and returns the value, or returns undefined when the id is not in use. */
  remove(id: number): T | undefined {
    const index = id - this.#first;
    const value = this.#slots[index];
    if (value === undefined) return undefined;
    this.#slots[index] = undefined;
    this.#size--;
    this.#push(index);
    return value;
  }

  *entries(): IterableIterator<[number, T]> {
    for (let index = 0; index < this.#slots.length; index++) {
      const value = this.#slots[index];
      if (value !== undefined) yield [index + this.#first, value];
    }
  }

  *values(): IterableIterator<T> {
    for (const [, value] of this.entries()) yield value;
  }

  /** Removes all; returns what was there, in id order. */
  clear(): T[] {
    const all = [...this.values()];
    this.#slots.length = 0;
    this.#free.length = 0;
    this.#size = 0;
    return all;
  }

  #push(index: number): void {
    const heap = this.#free;
    let at = heap.push(index) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]! <= index) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = index;
  }

  #pop(): number | undefined {
    const heap = this.#free;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= last) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}
