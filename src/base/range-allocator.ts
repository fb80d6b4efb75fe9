// Address ranges out of one span: the lowest gap that fits (drm_mm's DRM_MM_INSERT_LOW).
// Not memory: it hands out numbers.

/** One free gap; gaps are kept sorted and never touch. */
interface Gap {
  start: number;
  end: number;
}

/** Allocates ranges in [start, start + size). Lookups are binary searches; neighbours merge when freed. */
export class RangeAllocator {
  readonly #gaps: Gap[];
  readonly #ranges = new Map<number, number>();
  readonly start: number;
  readonly end: number;

  constructor(start: number, size: number) {
    this.start = start;
    this.end = start + size;
    this.#gaps = size > 0 ? [{ start, end: start + size }] : [];
  }

  /** Number of ranges in use. */
  get count(): number {
    return this.#ranges.size;
  }

  /** Total size in use. */
  get used(): number {
    let free = 0;
    for (const gap of this.#gaps) free += gap.end - gap.start;
    return this.end - this.start - free;
  }

  /** The start of a new range of `size` at a multiple of `align`, or undefined when no gap fits. */
  allocate(size: number, align = 1): number | undefined {
    if (size <= 0) return undefined;
    for (let i = 0; i < this.#gaps.length; i++) {
      const gap = this.#gaps[i]!;
      const at = Math.ceil(gap.start / align) * align;
      if (at + size > gap.end) continue;
      this.#take(i, at, size);
      return at;
    }
    return undefined;
  }

  /** Takes exactly [at, at + size); false when part of it is in use or outside the span. */
  reserve(at: number, size: number): boolean {
    const i = this.#indexAt(at);
    const gap = this.#gaps[i];
    if (size <= 0 || gap === undefined || gap.start > at || gap.end < at + size) return false;
    this.#take(i, at, size);
    return true;
  }

  /** Frees the range that starts at `at`; returns its size, or undefined when no range starts there. */
  free(at: number): number | undefined {
    const size = this.#ranges.get(at);
    if (size === undefined) return undefined;
    this.#ranges.delete(at);
    const next = this.#firstAfter(at);
    const before = this.#gaps[next - 1];
    const after = this.#gaps[next];
    const joinsBefore = before !== undefined && before.end === at;
    const joinsAfter = after !== undefined && after.start === at + size;
    if (joinsBefore && joinsAfter) {
      before.end = after.end;
      this.#gaps.splice(next, 1);
    } else if (joinsBefore) before.end = at + size;
    else if (joinsAfter) after.start = at;
    else this.#gaps.splice(next, 0, { start: at, end: at + size });
    return size;
  }

  /** The size of the range that starts at `at`, or undefined. */
  sizeOf(at: number): number | undefined {
    return this.#ranges.get(at);
  }

  #take(i: number, at: number, size: number): void {
    const gap = this.#gaps[i]!;
    const end = at + size;
    if (gap.start === at && gap.end === end) this.#gaps.splice(i, 1);
    else if (gap.start === at) gap.start = end;
    else if (gap.end === end) gap.end = at;
    else {
      this.#gaps.splice(i + 1, 0, { start: end, end: gap.end });
      gap.end = at;
    }
    this.#ranges.set(at, size);
  }

  /** Index of the first gap whose start is after `at`. */
  #firstAfter(at: number): number {
    let low = 0;
    let high = this.#gaps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#gaps[middle]!.start <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Index of the last gap whose start is at or before `at`. */
  #indexAt(at: number): number {
    return this.#firstAfter(at) - 1;
  }
}
