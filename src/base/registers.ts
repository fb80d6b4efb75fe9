// Register tables: offsets, fields, resets and write masks as data, with one encode and one decode.
// Not storage: a model keeps values in a RegisterFile, a driver reads and writes through an MMIO window.

/** Anything with 32-bit registers behind it: an MMIO window, a unit's part of one. Offsets in bytes. */
export interface RegisterIo {
  read32(offset: number): number;
  write32(offset: number, value: number): void;
}

type Bits = number | readonly [high: number, low: number];

/** A bit number, a range `[high, low]` as in manuals, or either with names for values. */
export type FieldSpec = Bits | { readonly bits: Bits; readonly values: Readonly<Record<string, number>> };

export interface RegisterSpec {
  /** Byte offset inside the unit. */
  readonly at: number;
  /** Value after reset, default 0. */
  readonly reset?: number;
  /** Bits that a write can change, default all. */
  readonly write?: number;
  readonly fields?: Readonly<Record<string, FieldSpec>>;
}

function isNamed(spec: FieldSpec): spec is Exclude<FieldSpec, Bits> {
  return typeof spec === 'object' && 'bits' in spec;
}

/** One field of a register. No method allocates. */
export class BitField {
  readonly name: string;
  readonly low: number;
  readonly width: number;
  /** The field's bits in place. */
  readonly mask: number;
  readonly values: Readonly<Record<string, number>>;

  constructor(name: string, spec: FieldSpec) {
    const named = isNamed(spec) ? spec : undefined;
    const bits = named === undefined ? (spec as Bits) : named.bits;
    this.values = named?.values ?? {};
    const [high, low] = typeof bits === 'number' ? [bits, bits] : bits;
    this.name = name;
    this.low = low;
    this.width = high - low + 1;
    this.mask = (this.width === 32 ? 0xffffffff : ((1 << this.width) - 1) << low) >>> 0;
  }

  /** The field's value, unsigned. */
  get(word: number): number {
    return (word & this.mask) >>> this.low;
  }

  /** The field's value, sign-extended. */
  signed(word: number): number {
    return (this.get(word) << (32 - this.width)) >> (32 - this.width);
  }

  /** The value shifted into place; bits that do not fit are cut, as hardware does. */
  of(value: number): number {
    return ((value << this.low) & this.mask) >>> 0;
  }

  /** `word` with this field replaced. */
  set(word: number, value: number): number {
    return ((word & ~this.mask) | ((value << this.low) & this.mask)) >>> 0;
  }

  /** The manual's name for a value, or the number. */
  nameOf(value: number): string {
    for (const name in this.values) if (this.values[name] === value) return name;
    return value > 9 ? `0x${value.toString(16)}` : String(value);
  }
}

type FieldsOf<S extends RegisterSpec> =
  S['fields'] extends Readonly<Record<string, FieldSpec>> ? S['fields'] : {};
export type RegisterValue<S extends RegisterSpec> = { [K in keyof FieldsOf<S>]: number };

/** One register of a table. */
export class Register<S extends RegisterSpec = RegisterSpec> {
  readonly name: string;
  readonly at: number;
  readonly reset: number;
  readonly writeMask: number;
  /** Fields by name: `CDMA.D_BANK.f.DATA_BANK.get(word)`. */
  readonly f: { readonly [K in keyof FieldsOf<S>]: BitField };
  readonly fields: readonly BitField[];

  constructor(name: string, spec: S) {
    this.name = name;
    this.at = spec.at;
    this.reset = (spec.reset ?? 0) >>> 0;
    this.writeMask = (spec.write ?? 0xffffffff) >>> 0;
    this.fields = Object.entries(spec.fields ?? {}).map(([field, bits]) => new BitField(field, bits));
    this.f = Object.fromEntries(this.fields.map((field) => [field.name, field])) as typeof this.f;
  }

  /** The word with the given fields in place, the others from `base`. An unknown field does not compile. */
  encode(values: Partial<RegisterValue<S>>, base = 0): number {
    let word = base;
    for (const name in values)
      word = this.f[name as keyof FieldsOf<S>].set(word, values[name as keyof FieldsOf<S>]!);
    return word >>> 0;
  }

  decode(word: number): RegisterValue<S> {
    return Object.fromEntries(this.fields.map((field) => [field.name, field.get(word)])) as RegisterValue<S>;
  }

  read(io: RegisterIo): RegisterValue<S> {
    return this.decode(io.read32(this.at));
  }

  /** Writes the whole register: fields that are not given are 0. */
  write(io: RegisterIo, values: Partial<RegisterValue<S>>): void {
    io.write32(this.at, this.encode(values));
  }

  /** For traces and people: `DATA_BANK=3 WEIGHT_BANK=1`. */
  describe(word: number): string {
    if (this.fields.length === 0) return `0x${word.toString(16)}`;
    return this.fields.map((field) => `${field.name}=${field.nameOf(field.get(word))}`).join(' ');
  }
}

export type RegisterTable<
  T extends Readonly<Record<string, RegisterSpec>> = Readonly<Record<string, RegisterSpec>>,
> = {
  readonly [K in keyof T]: Register<T[K]>;
};

/** Makes a table from its description. */
export function registers<const T extends Readonly<Record<string, RegisterSpec>>>(
  specs: T,
): RegisterTable<T> {
  const table: Record<string, Register> = {};
  const seen = new Map<number, string>();
  for (const [name, spec] of Object.entries(specs)) {
    const other = seen.get(spec.at);
    if (other !== undefined)
      throw new Error(`registers ${other} and ${name} are both at 0x${spec.at.toString(16)}`);
    seen.set(spec.at, name);
    table[name] = new Register(name, spec);
  }
  return table as RegisterTable<T>;
}

/** The register at a byte offset, or undefined. For traces; hot paths know their register. */
export function registerAt(table: RegisterTable, offset: number): Register | undefined {
  for (const name in table) if (table[name]!.at === offset) return table[name];
  return undefined;
}
