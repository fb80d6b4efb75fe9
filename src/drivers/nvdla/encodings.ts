// What was made of descriptors, kept beside a copy of them and of the device addresses they led to.
// Not a promise: descriptors are the client's memory, so each use compares all of them first.
import type { Addresses } from './addresses.js';

/** Bytes of DRAM that an encoding depends on. */
export interface Records {
  readonly at: number;
  readonly bytes: number;
}

interface Entry<T> {
  readonly words: Uint32Array;
  readonly requests: Float64Array;
  readonly made: T;
}

/** Bytes of all copies together; one that takes more is not kept. */
const LIMIT = 4 << 20;

export class Encodings<T> {
  readonly #memory: Uint32Array;
  /** Last used first. */
  readonly #entries: Entry<T>[] = [];
  #bytes = 0;

  constructor(memory: Uint32Array) {
    this.#memory = memory;
  }

  /** What equal records came to, when their addresses come to the same on `addresses`. Buffers are mapped then. */
  find(records: readonly Records[], addresses: Addresses): T | undefined {
    const index = this.#entries.findIndex((entry) => this.#equal(entry.words, records));
    if (index === -1) return undefined;
    const entry = this.#entries[index]!;
    if (!addresses.repeat(entry.requests)) return undefined;
    if (index > 0) this.#entries.unshift(...this.#entries.splice(index, 1));
    return entry.made;
  }

  /** Keeps `made`; what was used longest ago gives way. */
  keep(records: readonly Records[], requests: readonly number[], made: T): void {
    const bytes = records.reduce((sum, record) => sum + record.bytes, 0);
    if (bytes > LIMIT || records.some(unaligned)) return;
    const words = new Uint32Array(bytes / 4);
    let to = 0;
    for (const record of records) {
      words.set(this.#memory.subarray(record.at / 4, (record.at + record.bytes) / 4), to);
      to += record.bytes / 4;
    }
    this.#entries.unshift({ words, requests: Float64Array.from(requests), made });
    this.#bytes += bytes;
    while (this.#bytes > LIMIT) this.#bytes -= this.#entries.pop()!.words.byteLength;
  }

  #equal(words: Uint32Array, records: readonly Records[]): boolean {
    let from = 0;
    for (const record of records) {
      const end = from + record.bytes / 4;
      if (end > words.length || unaligned(record)) return false;
      const shift = record.at / 4 - from;
      for (let i = from; i < end; i++) if (words[i] !== this.#memory[i + shift]) return false;
      from = end;
    }
    return from === words.length;
  }
}

function unaligned(record: Records): boolean {
  return ((record.at | record.bytes) & 3) !== 0;
}
