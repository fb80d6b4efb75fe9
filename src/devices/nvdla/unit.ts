// One unit's registers: D_ registers twice (ping-pong groups), S_ registers once, the pointers and the enable bits.
// Not a data path: what an armed group starts is the front's business. Fact sheet section 1.3.
import type { Modelled } from '../../base/register-file.js';
import type { BitField, Register, RegisterTable } from '../../base/registers.js';
import type { UnitName } from '../../hw/nvdla/config.js';

/** What a register does beyond keeping its value. */
export interface UnitHandler {
  read?(): number;
  /** Called with the word as written, after it was stored under the write mask. */
  write?(value: number): void;
}

export interface UnitOptions<T extends RegisterTable> {
  readonly name: UnitName;
  readonly table: T;
  readonly handlers?: Partial<Record<string, UnitHandler>>;
  /** Words after reset that differ from the table's. */
  readonly resets?: Partial<Record<string, number>>;
  /** Registers whose value the model uses, as a test on the name. */
  modelled(register: string): boolean;
  /** Registers that read as zero and do nothing. */
  absent(register: string): boolean;
  /** A write to D_OP_ENABLE armed a group. */
  onEnable?(): void;
  outside(offset: number, access: 'read' | 'write'): void;
}

const UNKNOWN = 0;
const SINGLE = 1;
const GROUPED = 2;

export class Unit<T extends RegisterTable = RegisterTable> {
  readonly name: UnitName;
  readonly table: T;
  /** The group that executes, or executes next. */
  consumer = 0;
  /** An operation of the consumer group is executing. */
  running = false;
  readonly enabled: [boolean, boolean] = [false, false];
  readonly #words: Uint32Array;
  readonly #count: number;
  readonly #kinds: Uint8Array;
  readonly #masks: Uint32Array;
  readonly #handlers: (UnitHandler | undefined)[];
  readonly #options: UnitOptions<T>;
  /** Indices of registers that a program writes and that do nothing by themselves, grouped ones first. */
  readonly #plain: readonly [grouped: Uint16Array, single: Uint16Array];
  #producer = 0;

  constructor(options: UnitOptions<T>) {
    const all = Object.values(options.table) as Register[];
    const count = Math.max(...all.map((register) => register.at)) / 4 + 1;
    this.name = options.name;
    this.table = options.table;
    this.#options = options;
    this.#count = count;
    this.#words = new Uint32Array(2 * count);
    this.#kinds = new Uint8Array(count);
    this.#masks = new Uint32Array(count);
    this.#handlers = new Array<UnitHandler | undefined>(count).fill(undefined);
    const own: Partial<Record<string, UnitHandler>> = {
      S_STATUS: { read: () => this.#status(0) | (this.#status(1) << 16) },
      S_POINTER: {
        read: () => this.#producer | (this.consumer << 16),
        write: (value) => {
          this.#producer = value & 1;
        },
      },
      D_OP_ENABLE: {
        read: () => (this.enabled[this.#producer] ? 1 : 0),
        write: (value) => {
          if ((value & 1) === 0) return;
          this.enabled[this.#producer] = true;
          this.#options.onEnable?.();
        },
      },
    };
    const grouped = 'D_OP_ENABLE' in options.table;
    for (const register of all) {
      const index = register.at >> 2;
      this.#kinds[index] = grouped && register.name.startsWith('D_') ? GROUPED : SINGLE;
      this.#masks[index] = register.writeMask;
      this.#handlers[index] = options.handlers?.[register.name] ?? (grouped ? own[register.name] : undefined);
    }
    const plain = all.filter(
      (register) => register.writeMask !== 0 && this.#handlers[register.at >> 2] === undefined,
    );
    const indices = (kind: number): Uint16Array =>
      Uint16Array.from(plain.map(({ at }) => at >> 2).filter((index) => this.#kinds[index] === kind));
    this.#plain = [indices(GROUPED), indices(SINGLE)];
    this.reset();
  }

  reset(): void {
    for (const name in this.table) {
      const register = this.table[name] as Register;
      const value = this.#options.resets?.[name] ?? register.reset;
      this.#words[register.at >> 2] = value;
      this.#words[this.#count + (register.at >> 2)] = value;
    }
    this.#producer = 0;
    this.consumer = 0;
    this.running = false;
    this.enabled[0] = this.enabled[1] = false;
  }

  read(offset: number): number {
    const index = offset >>> 2;
    const kind = this.#kinds[index];
    // An index past the table reads as undefined, as an unknown one inside it as UNKNOWN.
    if (kind !== GROUPED && kind !== SINGLE) {
      this.#options.outside(offset, 'read');
      return 0;
    }
    const handler = this.#handlers[index];
    if (handler?.read !== undefined) return handler.read() >>> 0;
    return this.#words[kind === GROUPED ? this.#producer * this.#count + index : index];
  }

  write(offset: number, value: number): void {
    const index = offset >>> 2;
    const kind = this.#kinds[index];
    if (kind === undefined || kind === UNKNOWN) {
      this.#options.outside(offset, 'write');
      return;
    }
    // The register file of an armed group does not take writes.
    if (kind === GROUPED && this.enabled[this.#producer]) return;
    const at = kind === GROUPED ? this.#producer * this.#count + index : index;
    const mask = this.#masks[index];
    this.#words[at] = (this.#words[at] & ~mask) | (value & mask);
    this.#handlers[index]?.write?.(value);
  }

  /** The consumer group is armed and nothing executes. */
  get ready(): boolean {
    return this.enabled[this.consumer] && !this.running;
  }

  /** A register's word: of the consumer group for D_ registers. */
  word(register: Register): number {
    const index = register.at >> 2;
    return this.#words[this.#kinds[index] === GROUPED ? this.consumer * this.#count + index : index];
  }

  /** A field of a register, unsigned. */
  get<R extends keyof T>(register: R, field: keyof T[R]['f']): number {
    return this.#field(register, field as string).get(this.word(this.table[register]));
  }

  /** A field of a register, sign-extended. */
  signed<R extends keyof T>(register: R, field: keyof T[R]['f']): number {
    return this.#field(register, field as string).signed(this.word(this.table[register]));
  }

  /** Sets a register of the consumer group, past its write mask. */
  set(register: keyof T, value: number): void {
    const { at } = this.table[register];
    const index = at >> 2;
    this.#words[this.#kinds[index] === GROUPED ? this.consumer * this.#count + index : index] = value;
  }

  /** How many words `programmed` copies. */
  get programmedWords(): number {
    return this.#plain[0].length + this.#plain[1].length;
  }

  /** Copies what the consumer group is programmed with to `words` from `at` on. Returns the end. */
  programmed(words: Uint32Array, at: number): number {
    const [grouped, single] = this.#plain;
    const base = this.consumer * this.#count;
    for (const index of grouped) words[at++] = this.#words[base + index];
    for (const index of single) words[at++] = this.#words[index];
    return at;
  }

  /** The operation of the consumer group is over. Returns the group it was. */
  finish(): number {
    const group = this.consumer;
    this.enabled[group] = false;
    this.running = false;
    this.consumer = group ^ 1;
    return group;
  }

  statusOf(register: Register): Modelled {
    const { name } = register;
    if (this.#options.absent(name)) return 'absent';
    return this.#handlers[register.at >> 2] !== undefined || this.#options.modelled(name)
      ? 'modelled'
      : 'stored';
  }

  #field(register: keyof T, field: string): BitField {
    return (this.table[register].f as Readonly<Record<string, BitField>>)[field];
  }

  /** 0 idle, 1 running (or first in line), 2 pending behind the other group. */
  #status(group: number): number {
    if (!this.enabled[group]) return 0;
    return this.consumer === group ? 1 : 2;
  }
}
