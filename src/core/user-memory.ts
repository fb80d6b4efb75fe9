// The client's memory when it lives in this process: buffers reachable by made-up addresses.
// Not an allocator: the client owns its buffers, this only gives them addresses.
import { AccelError } from '../base/errors.js';
import { PAGE_SIZE } from '../base/memory.js';
import type { ClientMemory } from './accel-file.js';

/** Where made-up addresses begin; below lies nothing, so that small numbers and null fault. */
const FIRST = 0x1000_0000;
/** End of user addresses on x86-64. */
const END = 2 ** 47;

/**
 * Addresses only grow and are never reused, so a stale pointer faults instead of reaching another buffer. A page is
 * left free after each buffer. Placing is O(1), lookup O(log n) in the buffers placed now.
 */
export class PlacedMemory implements ClientMemory {
  #next = FIRST;
  /** Ascending; entries of `#buffers` that are gone leave a hole until half are. */
  #starts: number[] = [];
  #buffers: (Uint8Array | undefined)[] = [];
  #holes = 0;

  place(bytes: Uint8Array): Disposable & { readonly pointer: bigint } {
    const at = this.#next;
    const end = at + Math.ceil(bytes.length / PAGE_SIZE) * PAGE_SIZE + PAGE_SIZE;
    if (end > END) throw new AccelError('ENOMEM', { reason: 'no user address is left' });
    this.#next = end;
    this.#starts.push(at);
    this.#buffers.push(bytes);
    return { pointer: BigInt(at), [Symbol.dispose]: () => this.#remove(at) };
  }

  /** Buffers placed now. */
  get count(): number {
    return this.#starts.length - this.#holes;
  }

  /** A view, not a copy. */
  read(pointer: bigint, bytes: number): Uint8Array {
    if (bytes === 0) return new Uint8Array(0);
    return this.#view(pointer, bytes);
  }

  write(pointer: bigint, bytes: Uint8Array): void {
    if (bytes.length !== 0) this.#view(pointer, bytes.length).set(bytes);
  }

  #view(pointer: bigint, bytes: number): Uint8Array {
    const at = Number(pointer);
    const index = this.#indexAt(at);
    const buffer = this.#buffers[index];
    const offset = at - this.#starts[index]!;
    if (buffer === undefined || offset + bytes > buffer.length) {
      throw new AccelError('EFAULT', {
        reason: `0x${pointer.toString(16)}+${bytes} is not the client's memory`,
      });
    }
    return buffer.subarray(offset, offset + bytes);
  }

  #remove(at: number): void {
    const index = this.#indexAt(at);
    if (this.#starts[index] !== at || this.#buffers[index] === undefined) return;
    this.#buffers[index] = undefined;
    this.#holes++;
    while (this.#buffers.length > 0 && this.#buffers.at(-1) === undefined) {
      this.#buffers.pop();
      this.#starts.pop();
      this.#holes--;
    }
    if (this.#holes * 2 > this.#buffers.length) this.#compact();
  }

  #compact(): void {
    this.#starts = this.#starts.filter((_, index) => this.#buffers[index] !== undefined);
    this.#buffers = this.#buffers.filter((buffer) => buffer !== undefined);
    this.#holes = 0;
  }

  /** Index of the last start at or before `at`; -1 when there is none. */
  #indexAt(at: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#starts[middle]! <= at) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
