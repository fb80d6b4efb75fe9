// Storage behind a register table, with handlers for the registers that do something: what a device model is made of.
// Not a bus: windows, units and addresses are the model's business.
import type { Register, RegisterTable } from './registers.js';

/** What a model promises about a register: its effect is there, it only keeps its value, or it does not exist. */
export type Modelled = 'modelled' | 'stored' | 'absent';

export interface RegisterHandler {
  /** Computes the value read; default: the stored word. */
  read?(): number;
  /** Called after the word was stored under its write mask; `value` is the word as written by the bus. */
  write?(value: number): void;
}

export interface RegisterFileOptions<T extends RegisterTable> {
  readonly handlers?: { readonly [K in keyof T]?: RegisterHandler };
  /** Registers whose value the model uses although no handler is needed. */
  readonly modelled?: readonly (keyof T)[];
  /** Told once per offset about an access outside the table. Such a read gives 0, such a write is dropped. */
  onGuestError?(offset: number, access: 'read' | 'write'): void;
}

/** Values of one table's registers. Reads and writes do not allocate. */
export class RegisterFile<T extends RegisterTable> {
  readonly #words: Uint32Array;
  readonly #masks: Uint32Array;
  readonly #handlers: (RegisterHandler | undefined)[];
  readonly #known: Uint8Array;
  readonly #complained = new Set<number>();
  readonly #onGuestError: RegisterFileOptions<T>['onGuestError'];
  readonly #modelled: Set<string>;
  readonly table: T;

  constructor(table: T, options: RegisterFileOptions<T> = {}) {
    const all = Object.values(table) as Register[];
    const words = Math.max(0, ...all.map((register) => register.at)) / 4 + 1;
    this.table = table;
    this.#words = new Uint32Array(words);
    this.#masks = new Uint32Array(words);
    this.#known = new Uint8Array(words);
    this.#handlers = new Array<RegisterHandler | undefined>(words).fill(undefined);
    this.#onGuestError = options.onGuestError;
    this.#modelled = new Set(options.modelled as readonly string[] | undefined);
    for (const register of all) {
      const index = register.at >> 2;
      this.#known[index] = 1;
      this.#masks[index] = register.writeMask;
      const handler = options.handlers?.[register.name];
      if (handler !== undefined) {
        this.#handlers[index] = handler;
        this.#modelled.add(register.name);
      }
    }
    this.reset();
  }

  reset(): void {
    for (const name in this.table) this.#words[this.table[name]!.at >> 2] = this.table[name]!.reset;
  }

  read32(offset: number): number {
    const index = offset >>> 2;
    if (this.#known[index] !== 1) return this.#guestError(offset, 'read');
    const handler = this.#handlers[index];
    return handler?.read === undefined ? this.#words[index]! : handler.read() >>> 0;
  }

  write32(offset: number, value: number): void {
    const index = offset >>> 2;
    if (this.#known[index] !== 1) {
      this.#guestError(offset, 'write');
      return;
    }
    const mask = this.#masks[index]!;
    this.#words[index] = (this.#words[index]! & ~mask) | (value & mask);
    this.#handlers[index]?.write?.(value >>> 0);
  }

  /** The stored word, past any read handler. */
  get(register: Register): number {
    return this.#words[register.at >> 2]!;
  }

  /** Sets the stored word, past the write mask: how hardware changes its own registers. */
  set(register: Register, value: number): void {
    this.#words[register.at >> 2] = value;
  }

  status(register: Register): Modelled {
    return this.#modelled.has(register.name) ? 'modelled' : 'stored';
  }

  #guestError(offset: number, access: 'read' | 'write'): number {
    if (!this.#complained.has(offset)) {
      this.#complained.add(offset);
      this.#onGuestError?.(offset, access);
    }
    return 0;
  }
}
