// GEM objects: runs of DRAM pages that handles, dma-bufs, mappings and jobs hold on to.
// Not an address space: where a device sees an object is address-space.ts.
import { AccelError } from '../base/errors.js';
import { pageAlign, type SystemMemory } from '../base/memory.js';
import { Reservation } from './reservation.js';
import type { OpenFile } from './fd-table.js';

/** Fake mmap offsets begin here, far above what a real file offset in 32 bits could be (DRM_FILE_PAGE_OFFSET_START). */
export const MMAP_OFFSET_START = 2 ** 32;

/** Fake mmap offsets of the objects of one core. They only grow and are never reused: a stale one is EINVAL, O(1). */
export class MmapOffsets {
  #next = MMAP_OFFSET_START;
  readonly #objects = new Map<number, GemObject>();

  /** Takes the range for `gem`; the number is a multiple of the page size. */
  add(gem: GemObject): number {
    const at = this.#next;
    this.#next += gem.size;
    this.#objects.set(at, gem);
    return at;
  }

  /** The object whose range starts exactly at `offset`. */
  find(offset: number): GemObject | undefined {
    return this.#objects.get(offset);
  }

  remove(offset: number): void {
    this.#objects.delete(offset);
  }
}

let gems = 0;

export interface GemOptions {
  readonly memory: SystemMemory;
  /** Rounded up to whole pages. */
  readonly bytes: number;
  readonly offsets: MmapOffsets;
}

/** A buffer. Made with one reference, which the maker owns; the last put frees the pages. */
export class GemObject {
  /** Unique in this process. */
  readonly id = ++gems;
  /** Bytes, whole pages. */
  readonly size: number;
  /** Offset in DRAM, page aligned. */
  readonly address: number;
  /** The memory itself; zeroed when new. */
  readonly bytes: Uint8Array;
  readonly reservation = new Reservation();
  /** Handles to it in all files: more than one is "shared" in fdinfo. */
  handles = 0;
  /** The dma-buf that stands for it, once exported: an object has one. */
  dmaBuf: OpenFile | undefined;
  readonly #memory: SystemMemory;
  readonly #offsets: MmapOffsets;
  #references = 1;
  #mmapOffset: number | undefined;

  /** @throws AccelError EINVAL for no bytes, ENOMEM */
  constructor({ memory, bytes, offsets }: GemOptions) {
    if (!(bytes > 0) || !Number.isSafeInteger(bytes)) {
      throw new AccelError('EINVAL', { field: 'size', reason: `${bytes} bytes` });
    }
    this.size = pageAlign(bytes);
    if (this.size > memory.size) {
      throw new AccelError('ENOMEM', { field: 'size', reason: `${bytes} bytes, DRAM has ${memory.size}` });
    }
    this.#memory = memory;
    this.#offsets = offsets;
    this.address = memory.allocate(this.size, true);
    this.bytes = memory.bytes.subarray(this.address, this.address + this.size);
  }

  get(): this {
    this.#references++;
    return this;
  }

  put(): void {
    if (--this.#references !== 0) return;
    if (this.#mmapOffset !== undefined) this.#offsets.remove(this.#mmapOffset);
    this.#memory.free(this.address);
  }

  /** The fake offset that mmap finds it by; given out on first use. */
  get mmapOffset(): number {
    return (this.#mmapOffset ??= this.#offsets.add(this));
  }
}
