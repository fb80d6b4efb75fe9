// Memory files of buffers, charged to the client whose call made them.
// Not the files: memory-files.ts.
import { AccelError } from '../../base/errors.js';
import type { WasmMemory } from '../../base/wasm.js';
import { MemoryFiles } from '../memory-files.js';
import { current, type Charged } from './call.js';

export class ClientFiles extends MemoryFiles {
  readonly #limit: number;
  readonly #charged = new Map<number, { readonly who: Charged; readonly bytes: number }>();

  /** `limit`: bytes of buffers that one client may have. */
  constructor(memory: WasmMemory, limit: number) {
    super(memory);
    this.#limit = limit;
  }

  override back(address: number, bytes: number): void {
    const who = current.getStore()?.charged;
    if (who !== undefined && who.bytes + bytes > this.#limit) {
      const reason = `${bytes} bytes, this process has ${who.bytes} of at most ${this.#limit}`;
      throw new AccelError('ENOMEM', { field: 'size', reason });
    }
    super.back(address, bytes);
    if (who === undefined) return;
    who.bytes += bytes;
    this.#charged.set(address, { who, bytes });
  }

  override release(address: number): boolean {
    const entry = this.#charged.get(address);
    if (entry !== undefined) {
      this.#charged.delete(address);
      entry.who.bytes -= entry.bytes;
    }
    return super.release(address);
  }
}
