// The machine's DRAM: one shared WebAssembly.Memory, handed out in contiguous zeroed pages.
// Not a GEM allocator: who owns a run of pages is the core's business.
import { AccelError } from '../base/errors.js';
import { PAGE_SIZE, pageAlign, type SystemMemory } from '../base/memory.js';
import { RangeAllocator } from '../base/range-allocator.js';
import { sharedMemory, type WasmMemory } from '../base/wasm.js';

/** Bytes at the bottom that are no DRAM: address 0 stays invalid, and kernel modules may keep constants there. */
export const RESERVED_BYTES = 1 << 20;

/** Pages that were never handed out are zero; only reused ones are cleared. */
export class Dram implements SystemMemory {
  readonly memory: WasmMemory;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly view: DataView;
  readonly size: number;
  readonly #ranges: RangeAllocator;
  #used = 0;
  /** End of the highest range ever handed out. */
  #touched = RESERVED_BYTES;

  /** `mebibytes` of address space; physical pages are taken from the host as they are touched. At most 4095. */
  constructor(mebibytes: number) {
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
  }

  get used(): number {
    return this.#used;
  }

  allocate(bytes: number): number {
    const size = pageAlign(bytes);
    const address = size > 0 ? this.#ranges.allocate(size, PAGE_SIZE) : undefined;
    if (address === undefined) {
      throw new AccelError('ENOMEM', {
        reason: `${bytes} bytes of DRAM, ${this.size - this.#used} of ${this.size} free`,
      });
    }
    if (address < this.#touched) this.bytes.fill(0, address, Math.min(address + size, this.#touched));
    this.#touched = Math.max(this.#touched, address + size);
    this.#used += size;
    return address;
  }

  free(address: number): void {
    const size = this.#ranges.free(address);
    if (size === undefined) {
      throw new AccelError('EINVAL', { reason: `nothing is allocated at 0x${address.toString(16)}` });
    }
    this.#used -= size;
  }
}
