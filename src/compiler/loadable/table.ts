// FlatBuffers tables read from bytes that nobody vouches for: every offset and count is checked before it is followed.
// Not a schema and no generated code: loadable.ts names the fields. Not a writer: that is builder.ts.
import { AccelError } from '../../base/errors.js';

/** Bytes of a file, and how many of them may still be looked at. */
class Source {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  #left: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    // Objects may be shared, but a file that is twice as long when its references are followed is built to exhaust memory.
    this.#left = 2 * bytes.length;
  }

  fail(field: string, reason: string): never {
    throw new AccelError('EINVAL', { field: field === '' ? 'file' : field, reason });
  }

  /** `count` bytes at `at` are about to be read as `field`. */
  need(at: number, count: number, field: string): void {
    if (at < 0 || at + count > this.bytes.length)
      this.fail(field, `bytes ${at} to ${at + count} of a file of ${this.bytes.length}`);
  }

  spend(count: number, field: string): void {
    this.#left -= count;
    if (this.#left < 0) this.fail(field, 'its parts lie on top of each other');
  }

  /** Where the reference at `at` leads. */
  follow(at: number, field: string): number {
    this.need(at, 4, field);
    const offset = this.view.getUint32(at, true);
    if (offset === 0) this.fail(field, 'a reference to itself');
    return at + offset;
  }
}

/** Start of a vector's elements and their number. */
interface Vector {
  readonly at: number;
  readonly count: number;
}

/** Names are ASCII; other bytes become one character each, so that writing gives the same bytes. */
function latin1(bytes: Uint8Array, at: number, count: number): string {
  let made = '';
  for (let i = 0; i < count; i++) made += String.fromCharCode(bytes[at + i]!);
  return made;
}

/** A table of a file. Fields are numbered as in the schema; what is absent has the schema's default, 0. */
export class Table {
  readonly #source: Source;
  readonly #at: number;
  readonly #vtable: number;
  readonly #vtableBytes: number;
  /** Where it is, for messages: `memory_list[3]`; the root table is ''. */
  readonly path: string;

  private constructor(source: Source, at: number, path: string) {
    source.need(at, 4, path);
    const vtable = at - source.view.getInt32(at, true);
    source.need(vtable, 4, path);
    const vtableBytes = source.view.getUint16(vtable, true);
    if (vtableBytes < 4 || vtableBytes % 2 !== 0) source.fail(path, `a field list of ${vtableBytes} bytes`);
    source.need(vtable, vtableBytes, path);
    source.spend(Math.max(source.view.getUint16(vtable + 2, true), 4), path);
    this.#source = source;
    this.#at = at;
    this.#vtable = vtable;
    this.#vtableBytes = vtableBytes;
    this.path = path;
  }

  /** The root table of a file. @throws AccelError EINVAL */
  static root(bytes: Uint8Array): Table {
    const source = new Source(bytes);
    return new Table(source, source.follow(0, ''), '');
  }

  u8(field: number, name: string): number {
    const at = this.#place(field, 1, name);
    return at === 0 ? 0 : this.#source.view.getUint8(at);
  }

  u16(field: number, name: string): number {
    const at = this.#place(field, 2, name);
    return at === 0 ? 0 : this.#source.view.getUint16(at, true);
  }

  s16(field: number, name: string): number {
    const at = this.#place(field, 2, name);
    return at === 0 ? 0 : this.#source.view.getInt16(at, true);
  }

  u32(field: number, name: string): number {
    const at = this.#place(field, 4, name);
    return at === 0 ? 0 : this.#source.view.getUint32(at, true);
  }

  s32(field: number, name: string): number {
    const at = this.#place(field, 4, name);
    return at === 0 ? 0 : this.#source.view.getInt32(at, true);
  }

  /** @throws AccelError EINVAL above 2^53 */
  u64(field: number, name: string): number {
    const at = this.#place(field, 8, name);
    return at === 0 ? 0 : this.#number(at, name);
  }

  /** A struct of `count` bytes, undefined when it is absent. */
  bytes(field: number, count: number, name: string): Uint8Array | undefined {
    const at = this.#place(field, count, name);
    return at === 0 ? undefined : this.#source.bytes.subarray(at, at + count);
  }

  /** '' when it is absent. */
  string(field: number, name: string): string {
    const at = this.#place(field, 4, name);
    return at === 0 ? '' : this.#string(at, name);
  }

  /** A vector of bytes as a view of the file; empty when it is absent. */
  byteVector(field: number, name: string): Uint8Array {
    const { at, count } = this.#vector(field, 1, name);
    return this.#source.bytes.subarray(at, at + count);
  }

  u16Vector(field: number, name: string): number[] {
    const { at, count } = this.#vector(field, 2, name);
    return Array.from({ length: count }, (_, i) => this.#source.view.getUint16(at + 2 * i, true));
  }

  u64Vector(field: number, name: string): number[] {
    const { at, count } = this.#vector(field, 8, name);
    return Array.from({ length: count }, (_, i) => this.#number(at + 8 * i, `${name}[${i}]`));
  }

  stringVector(field: number, name: string): string[] {
    const { at, count } = this.#vector(field, 4, name);
    return Array.from({ length: count }, (_, i) => this.#string(at + 4 * i, `${name}[${i}]`));
  }

  /** `read` of each table of a vector, in its order. */
  tables<T>(field: number, name: string, read: (table: Table, index: number) => T): T[] {
    const { at, count } = this.#vector(field, 4, name);
    return Array.from({ length: count }, (_, i) => {
      const path = this.#path(`${name}[${i}]`);
      return read(new Table(this.#source, this.#source.follow(at + 4 * i, path), path), i);
    });
  }

  #path(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  /** Where a field of `count` bytes lies, 0 when it is absent. */
  #place(field: number, count: number, name: string): number {
    const slot = 4 + 2 * field;
    if (slot + 2 > this.#vtableBytes) return 0;
    const offset = this.#source.view.getUint16(this.#vtable + slot, true);
    if (offset === 0) return 0;
    // Not held to the table's own size: in the vendor's regression files that leaves out a struct at its end.
    this.#source.need(this.#at + offset, count, this.#path(name));
    return this.#at + offset;
  }

  #number(at: number, name: string): number {
    const high = this.#source.view.getUint32(at + 4, true);
    if (high >= 0x200000) this.#source.fail(this.#path(name), 'more than 2^53');
    return high * 0x100000000 + this.#source.view.getUint32(at, true);
  }

  #vector(field: number, size: number, name: string): Vector {
    const place = this.#place(field, 4, name);
    return place === 0 ? { at: 0, count: 0 } : this.#elements(place, size, name);
  }

  #elements(place: number, size: number, name: string): Vector {
    const path = this.#path(name);
    const at = this.#source.follow(place, path);
    this.#source.need(at, 4, path);
    const count = this.#source.view.getUint32(at, true);
    this.#source.need(at + 4, count * size, path);
    this.#source.spend(4 + count * size, path);
    return { at: at + 4, count };
  }

  #string(place: number, name: string): string {
    const { at, count } = this.#elements(place, 1, name);
    return latin1(this.#source.bytes, at, count);
  }
}
