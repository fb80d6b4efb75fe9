// Memory files of buffers, charged to the process whose call made them.
// Not the files: memory-files.ts. Not the limits: account.ts.
import { MemoryFiles } from '../memory-files.js';
import type { Account } from './account.js';
import { current } from './call.js';

export class ClientFiles extends MemoryFiles {
  readonly #charged = new Map<number, { readonly who: Account; readonly bytes: number }>();

  override back(address: number, bytes: number): void {
    const who = current.getStore()?.charged;
    who?.addBuffer(bytes);
    try {
      super.back(address, bytes);
    } catch (error) {
      who?.dropBuffer(bytes);
      throw error;
    }
    if (who !== undefined) this.#charged.set(address, { who, bytes });
  }

  override release(address: number): boolean {
    const entry = this.#charged.get(address);
    if (entry !== undefined) {
      this.#charged.delete(address);
      entry.who.dropBuffer(entry.bytes);
    }
    return super.release(address);
  }
}
