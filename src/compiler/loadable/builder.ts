// FlatBuffers written back to front, in the steps of the C++ builder: the same calls give the same bytes as the vendor's.
// Not a schema: write.ts makes the calls. Not a reader: that is table.ts.

/** An object already written: its distance from the end of the file. */
export type Ref = number;

export class Builder {
  #bytes: Uint8Array;
  #view: DataView;
  /** Bytes written, counted from the end. */
  #size = 0;
  #align = 1;
  readonly #vtables: Ref[] = [];
  #fields: { readonly field: number; readonly at: Ref }[] = [];
  #start = 0;

  constructor(capacity = 1024) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  string(value: string): Ref {
    this.#pad(value.length + 1, 4);
    this.#grow(1);
    this.#size += 1;
    this.#grow(value.length);
    this.#size += value.length;
    const at = this.#bytes.length - this.#size;
    for (let i = 0; i < value.length; i++) this.#bytes[at + i] = value.charCodeAt(i);
    return this.#push32(value.length);
  }

  byteVector(values: Uint8Array): Ref {
    this.#pad(values.length, 4);
    this.#grow(values.length);
    this.#size += values.length;
    this.#bytes.set(values, this.#bytes.length - this.#size);
    return this.#push32(values.length);
  }

  u16Vector(values: readonly number[]): Ref {
    this.#pad(2 * values.length, 4);
    for (const value of values.toReversed()) this.#push16(value);
    return this.#push32(values.length);
  }

  u64Vector(values: readonly number[]): Ref {
    this.#pad(8 * values.length, 4);
    this.#pad(8 * values.length, 8);
    for (const value of values.toReversed()) this.#push64(value);
    return this.#push32(values.length);
  }

  refVector(values: readonly Ref[]): Ref {
    this.#pad(4 * values.length, 4);
    for (const value of values.toReversed()) this.#pushRef(value);
    return this.#push32(values.length);
  }

  startTable(): void {
    this.#fields = [];
    this.#start = this.#size;
  }

  /** Fields with the schema's default, 0, are left out. The order of calls is the order in memory, last first. */
  u8(field: number, value: number): void {
    if (value === 0) return;
    this.#grow(1);
    this.#size += 1;
    this.#view.setUint8(this.#bytes.length - this.#size, value);
    this.#fields.push({ field, at: this.#size });
  }

  u16(field: number, value: number): void {
    if (value !== 0) this.#fields.push({ field, at: this.#push16(value) });
  }

  u32(field: number, value: number): void {
    if (value !== 0) this.#fields.push({ field, at: this.#push32(value) });
  }

  u64(field: number, value: number): void {
    if (value !== 0) this.#fields.push({ field, at: this.#push64(value) });
  }

  ref(field: number, value: Ref): void {
    this.#fields.push({ field, at: this.#pushRef(value) });
  }

  /** A struct of bytes. */
  struct(field: number, bytes: ArrayLike<number>): void {
    this.#grow(bytes.length);
    this.#size += bytes.length;
    this.#bytes.set(bytes, this.#bytes.length - this.#size);
    this.#fields.push({ field, at: this.#size });
  }

  /** `count` is the number of fields that the schema has. */
  endTable(count: number): Ref {
    const table = this.#push32(0);
    const slots = new Uint16Array(2 + count);
    slots[0] = 2 * slots.length;
    slots[1] = table - this.#start;
    for (const { field, at } of this.#fields) slots[2 + field] = table - at;
    const vtable = this.#vtables.find((known) => this.#equals(known, slots)) ?? this.#vtable(slots);
    this.#view.setInt32(this.#bytes.length - table, vtable - table, true);
    return table;
  }

  /** The file, with `root` as its root table. `identifier` has four characters. */
  finish(root: Ref, identifier: string): Uint8Array {
    this.#pad(8, this.#align);
    this.#grow(4);
    this.#size += 4;
    const at = this.#bytes.length - this.#size;
    for (let i = 0; i < 4; i++) this.#bytes[at + i] = identifier.charCodeAt(i);
    this.#pushRef(root);
    return this.#bytes.slice(this.#bytes.length - this.#size);
  }

  #vtable(slots: Uint16Array): Ref {
    for (let i = slots.length - 1; i >= 0; i--) this.#push16(slots[i]!);
    this.#vtables.push(this.#size);
    return this.#size;
  }

  #equals(vtable: Ref, slots: Uint16Array): boolean {
    const at = this.#bytes.length - vtable;
    return slots.every((slot, i) => this.#view.getUint16(at + 2 * i, true) === slot);
  }

  /** Room, and zeros so that what follows `bytes` more bytes is aligned. */
  #pad(bytes: number, align: number): void {
    this.#align = Math.max(this.#align, align);
    const zeros = -(this.#size + bytes) & (align - 1);
    this.#grow(zeros);
    this.#size += zeros;
  }

  #push16(value: number): Ref {
    this.#pad(2, 2);
    this.#grow(2);
    this.#size += 2;
    this.#view.setUint16(this.#bytes.length - this.#size, value, true);
    return this.#size;
  }

  #push32(value: number): Ref {
    this.#pad(4, 4);
    this.#grow(4);
    this.#size += 4;
    this.#view.setUint32(this.#bytes.length - this.#size, value, true);
    return this.#size;
  }

  #push64(value: number): Ref {
    this.#pad(8, 8);
    this.#grow(8);
    this.#size += 8;
    const at = this.#bytes.length - this.#size;
    this.#view.setUint32(at, value, true);
    this.#view.setUint32(at + 4, Math.floor(value / 0x100000000), true);
    return this.#size;
  }

  #pushRef(value: Ref): Ref {
    this.#pad(4, 4);
    return this.#push32(this.#size - value + 4);
  }

  #grow(bytes: number): void {
    if (this.#size + bytes <= this.#bytes.length) return;
    const bigger = new Uint8Array(2 ** Math.ceil(Math.log2(this.#size + bytes)));
    bigger.set(this.#bytes, bigger.length - this.#bytes.length);
    this.#bytes = bigger;
    this.#view = new DataView(bigger.buffer);
  }
}
