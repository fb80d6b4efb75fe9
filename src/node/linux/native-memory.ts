// The client's memory behind a kernel: pointers are the addresses at which buffers lie in this process.
// Not a copy: the kernel reads and writes the buffers themselves.
import { AccelError } from '../../base/errors.js';
import type { ClientMemory } from '../../core/accel-file.js';
import { addressOf } from '../libc.js';

interface Placed {
  readonly at: bigint;
  readonly bytes: Uint8Array;
}

export class NativeMemory implements ClientMemory {
  /** Holding them keeps them where they are. */
  readonly #placed = new Set<Placed>();

  place(bytes: Uint8Array): Disposable & { readonly pointer: bigint } {
    const placed: Placed = { at: addressOf(bytes), bytes };
    this.#placed.add(placed);
    return { pointer: placed.at, [Symbol.dispose]: () => void this.#placed.delete(placed) };
  }

  /** Buffers placed now. */
  get count(): number {
    return this.#placed.size;
  }

  /** A view. Only of what is placed: other addresses may be anything. */
  read(pointer: bigint, bytes: number): Uint8Array {
    if (bytes === 0) return new Uint8Array(0);
    for (const placed of this.#placed) {
      const offset = Number(pointer - placed.at);
      if (offset >= 0 && offset + bytes <= placed.bytes.length)
        return placed.bytes.subarray(offset, offset + bytes);
    }
    throw new AccelError('EFAULT', { reason: `0x${pointer.toString(16)}+${bytes} is not placed` });
  }

  write(pointer: bigint, bytes: Uint8Array): void {
    if (bytes.length !== 0) this.read(pointer, bytes.length).set(bytes);
  }
}
