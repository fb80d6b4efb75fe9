// The machine's DRAM: one shared WebAssembly.Memory, handed out in contiguous zeroed pages.
// Not a GEM allocator: who owns a run of pages is the core's business.
import { AccelError } from '../base/errors.js';
import { PAGE_SIZE, pageAlign, type SystemMemory } from '../base/memory.js';
import { RangeAllocator } from '../base/range-allocator.js';
import { sharedMemory, type WasmMemory } from '../base/wasm.js';

/** Bytes at the bottom that are no DRAM: address 0 stays invalid, and kernel modules may keep constants there. */
export const RESERVED_BYTES = 1 << 20;

/** Puts other pages under parts of DRAM, where the platform can: files that other processes map. */
export interface PageBacking extends Disposable {
  /** Fresh zeroed pages under the range. @throws AccelError ENOMEM, with nothing changed */
  back(address: number, bytes: number): void;
  /** Plain zeroed pages again, under the range that back() was called for; false when it was not. */
  release(address: number): boolean;
}

/** Pages that were never handed out are zero; only reused ones are cleared. */
export class Dram implements SystemMemory {
  readonly memory: WasmMemory;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly view: DataView;
  readonly size: number;
  readonly #ranges: RangeAllocator;
  readonly #backing: PageBacking | undefined;
  #used = 0;
  /** End of the highest range ever handed out. */
  #touched = RESERVED_BYTES;

  /**
   * `mebibytes` of address space; physical pages are taken from the host as they are touched. At most 4095. With `backing`,
   * what is allocated as shareable lies on its pages; DRAM does not own it.
   */
  constructor(mebibytes: number, backing?: (memory: WasmMemory) => PageBacking) {
    if (!Number.isInteger(mebibytes) || mebibytes < 2 || mebibytes > 4095) {
      throw new AccelError('EINVAL', { field: 'mebibytes', reason: `${mebibytes}, must be from 2 to 4095` });
    }
    this.size = mebibytes * 1048576;
    this.memory = sharedMemory(this.size);
    const buffer = this.memory.buffer;
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.view = new DataView(buffer);
    this.#ranges = new RangeAllocator(RESERVED_BYTES, this.size - RESERVED_BYTES);
    this.#backing = backing?.(this.memory);
  }

  get used(): number {
    return this.#used;
  }

  allocate(bytes: number, shareable = false): number {
    const size = pageAlign(bytes);
    const address = size > 0 ? this.#ranges.allocate(size, PAGE_SIZE) : undefined;
    if (address === undefined) {
      throw new AccelError('ENOMEM', {
        reason: `${bytes} bytes of DRAM, ${this.size - this.#used} of ${this.size} free`,
      });
    }
    if (shareable && this.#backing !== undefined) this.#back(this.#backing, address, size);
    else if (address < this.#touched) this.bytes.fill(0, address, Math.min(address + size, this.#touched));
    this.#touched = Math.max(this.#touched, address + size);
    this.#used += size;
    return address;
  }

  free(address: number): void {
    const size = this.#ranges.free(address);
    if (size === undefined) {
      throw new AccelError('EINVAL', { reason: `nothing is allocated at 0x${address.toString(16)}` });
    }
    this.#backing?.release(address);
    this.#used -= size;
  }

  #back(backing: PageBacking, address: number, bytes: number): void {
    try {
      backing.back(address, bytes);
    } catch (error) {
      this.#ranges.free(address);
      throw error;
    }
  }
}
