// C structure layouts from one description: offsets by the C rules of x86-64, sizes asserted, little-endian.
// Not a serialiser for streams: every layout has a fixed size.

/** How one value lies in memory. */
export interface Type<T> {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Alignment in bytes, a power of two. */
  readonly align: number;
  read(view: DataView, at: number): T;
  write(view: DataView, at: number, value: T): void;
  /** The value of all-zero bytes. */
  zero(): T;
}

function scalar(
  name: string,
  size: number,
  read: (view: DataView, at: number) => number,
  write: (view: DataView, at: number, value: number) => void,
): Type<number> {
  return { name, size, align: size, read, write, zero: () => 0 };
}

export const u8 = scalar(
  'u8',
  1,
  (view, at) => view.getUint8(at),
  (view, at, value) => view.setUint8(at, value),
);
export const s8 = scalar(
  's8',
  1,
  (view, at) => view.getInt8(at),
  (view, at, value) => view.setInt8(at, value),
);
export const u16 = scalar(
  'u16',
  2,
  (view, at) => view.getUint16(at, true),
  (view, at, value) => view.setUint16(at, value, true),
);
export const s16 = scalar(
  's16',
  2,
  (view, at) => view.getInt16(at, true),
  (view, at, value) => view.setInt16(at, value, true),
);
export const u32 = scalar(
  'u32',
  4,
  (view, at) => view.getUint32(at, true),
  (view, at, value) => view.setUint32(at, value, true),
);
export const s32 = scalar(
  's32',
  4,
  (view, at) => view.getInt32(at, true),
  (view, at, value) => view.setInt32(at, value, true),
);
/** A descriptor of the calling process: an int. Marked, because numbers of another process must be translated. */
export const fd32: Type<number> = { ...s32, name: 'fd32' };
export const f32 = scalar(
  'f32',
  4,
  (view, at) => view.getFloat32(at, true),
  (view, at, value) => view.setFloat32(at, value, true),
);
export const u64: Type<bigint> = {
  name: 'u64',
  size: 8,
  align: 8,
  read: (view, at) => view.getBigUint64(at, true),
  write: (view, at, value) => view.setBigUint64(at, value, true),
  zero: () => 0n,
};
export const s64: Type<bigint> = {
  name: 's64',
  size: 8,
  align: 8,
  read: (view, at) => view.getBigInt64(at, true),
  write: (view, at, value) => view.setBigInt64(at, value, true),
  zero: () => 0n,
};

/** `count` values in a row, as in C. */
export function array<T>(of: Type<T>, count: number): Type<T[]> {
  return {
    name: `${of.name}[${count}]`,
    size: of.size * count,
    align: of.align,
    read: (view, at) => Array.from({ length: count }, (_, i) => of.read(view, at + i * of.size)),
    write: (view, at, value) => {
      for (let i = 0; i < count; i++) of.write(view, at + i * of.size, value[i] ?? of.zero());
    },
    zero: () => Array.from({ length: count }, () => of.zero()),
  };
}

/** A fixed array of bytes that holds text, cut at the first NUL. Writing cuts at `bytes` and pads with NUL. */
export function chars(bytes: number): Type<string> {
  return {
    name: `char[${bytes}]`,
    size: bytes,
    align: 1,
    read: (view, at) => {
      let text = '';
      for (let i = 0; i < bytes; i++) {
        const code = view.getUint8(at + i);
        if (code === 0) break;
        text += String.fromCharCode(code);
      }
      return text;
    },
    write: (view, at, value) => {
      for (let i = 0; i < bytes; i++)
        view.setUint8(at + i, i < value.length ? value.charCodeAt(i) & 0xff : 0);
    },
    zero: () => '',
  };
}

export type ValueOf<T> = T extends { read(view: DataView, at: number): infer V } ? V : never;
export type StructValue<F> = { -readonly [K in keyof F]: ValueOf<F[K]> };

export interface StructOptions {
  /** The size the C compiler gives. A layout that comes out different throws when its module loads. */
  readonly bytes: number;
  /** Greatest alignment of a field, as `__attribute__((packed, aligned(n)))` or `#pragma pack(n)`. Default: none. */
  readonly pack?: number;
}

/** A C struct. As a Type it can be a field of another struct. */
export interface Struct<V extends object> extends Type<V> {
  /** Byte offset of each field. */
  readonly offsets: { readonly [K in keyof V]: number };
  readonly fields: { readonly [K in keyof V]: Type<V[K]> };
  /** Reads the struct at `at` in `bytes` as a plain object. */
  from(bytes: Uint8Array, at?: number): V;
  /** Writes the given fields; the others keep the bytes they have. */
  put(bytes: Uint8Array, value: Partial<V>, at?: number): void;
  /** New bytes with the given fields, the others zero. */
  bytes(value: Partial<V>): Uint8Array;
  /** Live accessors: `view.field` reads memory, `view.field = x` writes it. Move it with `at`. Allocates once. */
  view(memory: DataView, at?: number): V & { at: number };
}

let lastBytes: Uint8Array | undefined;
let lastView: DataView | undefined;

/** A view of `bytes`. Runs of records are read from the same bytes, so the last view is kept. */
function viewOf(bytes: Uint8Array): DataView {
  if (bytes !== lastBytes) {
    lastView = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    lastBytes = bytes;
  }
  return lastView!;
}

/** Describes a C struct. Field names and order are the header's. */
export function struct<const F extends Record<string, Type<any>>>( // eslint-disable-line @typescript-eslint/no-explicit-any
  name: string,
  fields: F,
  options: StructOptions,
): Struct<StructValue<F>> {
  type V = StructValue<F>;
  const entries = Object.entries(fields) as [string & keyof V, Type<unknown>][];
  const offsets = {} as Record<keyof V, number>;
  let end = 0;
  let align = 1;
  for (const [field, type] of entries) {
    const step = Math.min(type.align, options.pack ?? type.align);
    align = Math.max(align, step);
    end = Math.ceil(end / step) * step;
    offsets[field] = end;
    end += type.size;
  }
  const size = Math.ceil(end / align) * align;
  if (size !== options.bytes)
    throw new Error(`struct ${name} is ${size} bytes, declared as ${options.bytes}`);

  // Every call of every client comes through here: an offset is not to be looked up by name.
  const members = entries.map(([field, type]) => ({ field, type, offset: offsets[field] }));
  const count = members.length;
  const read = (view: DataView, at: number): V => {
    const value = {} as Record<string, unknown>;
    for (let i = 0; i < count; i++) {
      const { field, type, offset } = members[i]!;
      value[field] = type.read(view, at + offset);
    }
    return value as V;
  };
  const write = (view: DataView, at: number, value: Partial<V>): void => {
    for (let i = 0; i < count; i++) {
      const { field, type, offset } = members[i]!;
      const given = value[field];
      if (given !== undefined) type.write(view, at + offset, given);
    }
  };

  class View {
    at: number;
    readonly memory: DataView;
    constructor(memory: DataView, at: number) {
      this.memory = memory;
      this.at = at;
    }
  }
  for (const [field, type] of entries) {
    const offset = offsets[field];
    Object.defineProperty(View.prototype, field, {
      get(this: View) {
        return type.read(this.memory, this.at + offset);
      },
      set(this: View, value: unknown) {
        type.write(this.memory, this.at + offset, value);
      },
      enumerable: true,
    });
  }

  return {
    name,
    size,
    align,
    offsets,
    fields: fields as unknown as Struct<V>['fields'],
    read,
    write,
    zero: () => Object.fromEntries(entries.map(([field, type]) => [field, type.zero()])) as V,
    from: (bytes, at = 0) => read(viewOf(bytes), at),
    put: (bytes, value, at = 0) => write(viewOf(bytes), at, value),
    bytes: (value) => {
      const bytes = new Uint8Array(size);
      write(viewOf(bytes), 0, value);
      return bytes;
    },
    view: (memory, at = 0) => new View(memory, at) as unknown as V & { at: number },
  };
}
