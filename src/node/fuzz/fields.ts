// Structs with plausible fields: by the name and size of each field, something that may pass the driver's checks.
// Not valid calls: those are the targets' and the adapters'.
import type { Ioctl } from '../../abi/ioctl.js';
import { ARENA, type FuzzState } from './state.js';
import type { Random } from './random.js';

interface Context {
  readonly random: Random;
  readonly client: FuzzState;
  /** Clock ns. */
  readonly now: number;
}

type FieldWriter = (context: Context, view: DataView, at: number) => void;

function put(view: DataView, at: number, size: number, low: number, high = 0): void {
  if (size === 8) {
    view.setUint32(at, low, true);
    view.setUint32(at + 4, high, true);
  } else if (size === 4) view.setUint32(at, low, true);
  else if (size === 2) view.setUint16(at, low, true);
  else view.setUint8(at, low);
}

/** A number of up to 53 bits. */
function putNumber(view: DataView, at: number, size: number, value: number): void {
  put(view, at, size, (value % 0x100000000) | 0, Math.floor(value / 0x100000000));
}

const anything =
  (size: number): FieldWriter =>
  ({ random }, view, at) =>
    put(view, at, size, random.word(), random.once(4) ? random.next() : 0);

/** Zero but for once in a while. */
const mostlyZero =
  (size: number): FieldWriter =>
  ({ random }, view, at) =>
    random.once(24) ? put(view, at, size, random.word()) : put(view, at, size, 0);

const pointer: FieldWriter = ({ random, client }, view, at) => {
  if (random.once(16)) put(view, at, 8, random.word(), random.once(2) ? random.next() : 0);
  else putNumber(view, at, 8, client.pointer + 8 * random.below(ARENA / 8));
};

const flags =
  (size: number): FieldWriter =>
  ({ random }, view, at) =>
    put(view, at, size, random.once(3) ? random.below(8) : random.once(8) ? random.word() : 0);

const count =
  (size: number): FieldWriter =>
  ({ random }, view, at) =>
    put(view, at, size, random.once(12) ? random.word() : random.below(5));

const bytes =
  (size: number): FieldWriter =>
  ({ random }, view, at) =>
    random.once(40)
      ? put(view, at, size, random.word(), random.below(3))
      : put(view, at, size, random.below(16384));

/** An absolute time: past, near, far, negative. */
const time: FieldWriter = ({ random, now }, view, at) => {
  if (random.once(12)) put(view, at, 8, random.next(), random.next());
  else putNumber(view, at, 8, random.once(2) ? 0 : now + random.below(2e6));
};

function writer(call: string, name: string, size: number): FieldWriter {
  const sync = call.includes('SYNCOBJ');
  if (/(^|_)fd2?$/.test(name))
    return ({ random, client }, view, at) => put(view, at, size, client.fd(random));
  if (name === 'in_sync' || name === 'out_sync')
    return ({ random, client }, view, at) => put(view, at, size, random.once(3) ? client.syncobj(random) : 0);
  if (/handle$/.test(name)) {
    if (sync) return ({ random, client }, view, at) => put(view, at, size, client.syncobj(random));
    return ({ random, client }, view, at) => put(view, at, size, client.handle(random));
  }
  if (
    size === 8 &&
    /^(handles|points|tasks|commands|name|date|desc|unique|address_list|sync_fence_info)$/.test(name)
  )
    return pointer;
  if (/pad|reserved/.test(name)) return mostlyZero(size);
  if (/flags/.test(name)) return flags(size);
  if (/timeout_n|deadline/.test(name)) return time;
  if (/timeout_ms/.test(name)) return ({ random }, view, at) => put(view, at, size, random.below(20));
  if (/^(count|num)_|_count/.test(name)) return count(size);
  if (/command_size/.test(name))
    return ({ random }, view, at) => put(view, at, size, random.once(8) ? random.word() : 40);
  if (/size|_len$/.test(name)) return bytes(size);
  if (/point|value/.test(name))
    return ({ random }, view, at) =>
      put(view, at, size, random.below(12), random.once(64) ? random.next() : 0);
  return anything(size);
}

/** Makes structs of one call. */
export class StructMaker {
  readonly def: Ioctl;
  readonly size: number;
  readonly #fields: readonly { readonly at: number; readonly write: FieldWriter }[];

  constructor(def: Ioctl) {
    const { layout } = def;
    this.def = def;
    this.size = layout?.size ?? 0;
    this.#fields =
      layout === undefined
        ? []
        : (Object.keys(layout.fields) as never[]).map((name) => ({
            at: layout.offsets[name],
            write: writer(def.name, name, (layout.fields[name] as { size: number }).size),
          }));
  }

  /** New bytes; now and then with some of them spoilt. */
  make(context: Context): Uint8Array {
    const { random } = context;
    const argument = new Uint8Array(this.size);
    const view = new DataView(argument.buffer);
    for (const { at, write } of this.#fields) write(context, view, at);
    if (this.size > 0 && random.once(16)) argument[random.below(this.size)] = random.next();
    return argument;
  }

  /** The request value; now and then with another size or direction. */
  request(random: Random): number {
    const { request } = this.def;
    if (!random.once(24)) return request;
    if (random.once(2)) return (request ^ (1 << (30 + random.below(2)))) >>> 0;
    const size = Math.max(0, this.size + 8 * (random.below(5) - 2));
    return ((request & ~(0x3fff << 16)) | (size << 16)) >>> 0;
  }
}
