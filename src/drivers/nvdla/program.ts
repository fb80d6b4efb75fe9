// Register writes of layers, encoded once when a task is submitted and played when a register group is free.
// Not a device program: NVDLA has no command stream, the driver is its sequencer.
import type { Register, RegisterIo } from '../../base/registers.js';

export class RegisterProgram {
  /** Pairs of CSB byte address and word. */
  #words: Uint32Array = new Uint32Array(512);
  #length = 0;

  /** Words in use; a position for `play`. */
  get length(): number {
    return this.#length;
  }

  /** Appends a write. `value` is taken modulo 2^32. */
  put(unit: { readonly base: number }, register: Register, value: number): void {
    if (this.#length === this.#words.length) this.#grow();
    this.#words[this.#length] = unit.base + register.at;
    this.#words[this.#length + 1] = value;
    this.#length += 2;
  }

  /** Performs the writes in [from, to) in order. */
  play(io: RegisterIo, from: number, to: number): void {
    const words = this.#words;
    for (let i = from; i < to; i += 2) io.write32(words[i]!, words[i + 1]!);
  }

  #grow(): void {
    const words = new Uint32Array(this.#words.length * 2);
    words.set(this.#words);
    this.#words = words;
  }
}
