// Messages of the wire protocol as a client might send them, and spoilt ones: header, payload, descriptors.
// Not the sending, and not what must hold: wire-fuzzer.ts.
import * as drm from '../../abi/drm.js';
import type { Ioctl } from '../../abi/ioctl.js';
import * as sync from '../../abi/sync-file.js';
import { errno } from '../../base/errors.js';
import {
  FdStatus,
  HEADER,
  HELLO_DETAILS,
  KEY_BYTES,
  Kind,
  MAX_FDS,
  MAX_PAYLOAD,
  Reply,
  Request,
  WIRE_VERSION,
  WireHeader,
} from '../wire/messages.js';
import { StructMaker } from './fields.js';
import type { Random } from './random.js';
import { ARENA } from './state.js';
import { scribble, targetFor, type FuzzTarget } from './targets.js';
import type { Question, WireClient } from './wire-client.js';

export interface WireMessage {
  readonly bytes: Uint8Array;
  /** Sent along, not given away. */
  readonly fds: readonly number[];
  /** What a CALL calls. */
  readonly def?: Ioctl;
}

type Head = Parameters<typeof WireHeader.bytes>[0];

const paths = [
  '/dev/accel/accel0',
  '/dev/accel/accel0',
  '/dev/accel/accel0',
  '/dev/sw_sync',
  '/dev/accel',
  '/dev/accel/accel1',
  '/sys/class/accel',
  '/sys/class/accel/accel0',
  '/sys/class/accel/accel0/dev',
  '/sys/class/accel/accel0/device/uevent',
  '/sys/class/accel/accel0/device/driver/../../..',
  '/sys/dev/char/261:0',
  '/sys/kernel/debug/accel/0/name',
  '/etc/passwd',
  '',
  `/dev/accel/${'x'.repeat(300)}`,
];
const O_RDWR = 2;
const objectCalls = (test: RegExp): readonly StructMaker[] =>
  Object.entries(sync)
    .filter(([name]) => test.test(name) && /_IOC(TL)?_/.test(name))
    .map(([, def]) => new StructMaker(def as Ioctl));
const byKind: ReadonlyMap<number, readonly StructMaker[]> = new Map([
  [Kind.SW_SYNC, objectCalls(/^SW_SYNC/)],
  [Kind.SYNC_FILE, objectCalls(/^SYNC_/)],
  [Kind.DMA_BUF, objectCalls(/^DMA_BUF/)],
]);
const onAny = objectCalls(/./);

export class MessageMaker {
  readonly #random: Random;
  readonly #own: readonly StructMaker[];
  readonly #generic = Object.entries(drm)
    .filter(([name]) => name.startsWith('DRM_IOCTL_'))
    .map(([, def]) => new StructMaker(def as Ioctl));
  readonly #target: FuzzTarget;
  /** Descriptors that are none of the daemon's. */
  readonly #foreign: readonly number[];
  readonly #now: () => number;
  readonly #kinds: readonly { readonly until: number; readonly make: (client: WireClient) => WireMessage }[];
  #tag = 0;

  constructor(options: {
    readonly random: Random;
    readonly driver: { readonly name: string; readonly ioctls: readonly { readonly def: Ioctl }[] };
    readonly foreign: readonly number[];
    readonly now: () => number;
  }) {
    this.#random = options.random;
    this.#own = options.driver.ioctls.map(({ def }) => new StructMaker(def));
    this.#target = targetFor(options.driver.name);
    this.#foreign = options.foreign;
    this.#now = options.now;
    let until = 0;
    this.#kinds = (
      [
        [50, (client) => this.#call(client)],
        [8, () => this.#message({ type: Request.OPEN, a: this.#openFlags() }, this.#path())],
        [6, () => this.#message({ type: Request.PATH, a: BigInt(this.#random.below(5)) }, this.#path())],
        [8, (client) => this.#attach(client)],
        [6, (client) => this.#mmap(client)],
        [2, (client) => this.#message({ type: Request.FDINFO, object: this.#object(client) })],
        [2, (client) => this.#message({ type: Request.CANCEL, tag: this.#pendingTag(client) })],
        [0.1, () => this.#message({ type: Request.BYE })],
        [0.02, () => this.hello()],
        [0.05, (client) => this.#got(client)],
        [0.05, () => this.#message({ type: this.#random.word() & 0xffff }, this.#noise(64))],
        [0.05, () => ({ bytes: this.#noise(200), fds: [] })],
        [1, (client) => ({ bytes: this.#random.pick(client.sent)?.slice() ?? this.#noise(32), fds: [] })],
      ] as [number, (client: WireClient) => WireMessage][]
    ).map(([weight, make]) => ({ until: (until += weight), make }));
  }

  /** The first message of a connection; of several that belong together now and then. */
  hello(): WireMessage {
    const key = new Uint8Array(KEY_BYTES + 8).fill(1 + this.#random.below(6), 0, KEY_BYTES);
    return this.#message(
      { type: Request.HELLO, object: WIRE_VERSION, b: this.#random.once(2) ? HELLO_DETAILS : 0n },
      key,
    );
  }

  /** The device's node. */
  open(): WireMessage {
    return this.#message({ type: Request.OPEN, a: BigInt(O_RDWR) }, Buffer.from(paths[0]!));
  }

  /** What a client might send next, as it should be. */
  next(client: WireClient): WireMessage {
    const at = (this.#random.next() / 0x100000000) * this.#kinds.at(-1)!.until;
    return this.#kinds.find(({ until }) => at < until)!.make(client);
  }

  /** The answer to a question, right or nearly so. */
  answer(client: WireClient, question: Question): WireMessage {
    const right = this.#rightAnswer(client, question);
    if (!this.#random.once(8)) return right;
    const random = this.#random;
    const { tag } = question;
    switch (random.below(4)) {
      case 0:
        return this.#message({ type: Request.GOT, tag, result: random.word() | 0 });
      case 1:
        return this.#message({ type: Request.GOT, tag }, this.#noise(random.below(300)));
      case 2:
        return { bytes: right.bytes, fds: this.#strays() };
      default:
        return this.#message(
          { type: Request.GOT, tag },
          new Uint8Array(question.b % 1000).fill(FdStatus.HERE),
        );
    }
  }

  /** The message with something wrong. */
  spoil({ bytes, fds, def }: WireMessage): WireMessage {
    const random = this.#random;
    const spoilt = bytes.slice();
    const also = def === undefined ? {} : { def };
    switch (random.below(8)) {
      case 0:
        return { bytes: spoilt.subarray(0, random.below(spoilt.length + 1)), fds, ...also };
      case 1: {
        const longer = new Uint8Array(spoilt.length + random.below(random.once(16) ? MAX_PAYLOAD : 64));
        longer.set(spoilt);
        return { bytes: longer.subarray(0, HEADER + MAX_PAYLOAD + 4096), fds, ...also };
      }
      case 2:
        return { bytes: spoilt, fds: this.#strays(), ...also };
      case 3:
        return { bytes: spoilt, fds: [], ...also };
      case 4:
        // One field of the header.
        if (spoilt.length >= HEADER)
          new DataView(spoilt.buffer).setUint32(4 * random.below(HEADER / 4), random.word(), true);
        return { bytes: spoilt, fds, ...also };
      default:
        for (let i = random.below(8); i >= 0 && spoilt.length > 0; i--)
          spoilt[random.below(spoilt.length)]! ^= 1 << random.below(8);
        return { bytes: spoilt, fds, ...also };
    }
  }

  #message(head: Head, payload: Uint8Array = new Uint8Array(0), fds: readonly number[] = []): WireMessage {
    const bytes = new Uint8Array(HEADER + payload.length);
    bytes.set(WireHeader.bytes({ tag: (this.#tag = (this.#tag + 1) >>> 0), fds: fds.length, ...head }));
    bytes.set(payload, HEADER);
    return { bytes, fds };
  }

  #call(client: WireClient): WireMessage {
    const random = this.#random;
    const known = random.pick(client.objects);
    const object = random.once(24) ? this.#object(client) : (known?.object ?? random.below(8));
    const makers =
      known === undefined || known.kind === Kind.NODE || random.once(16)
        ? random.once(2)
          ? this.#own
          : this.#generic
        : (byKind.get(known.kind) ?? onAny);
    const maker = random.pick(makers)!;
    const { state } = client;
    const argument = maker.make({ random, client: state, now: this.#now() });
    if (random.once(4)) scribble(state, random, 8 * random.below(64), 8);
    this.#target.prepare(maker.def, argument, state, random);
    const tag = random.once(64) ? { tag: this.#pendingTag(client) } : {};
    const request = maker.request(random);
    const payload = (request & (1 << 30)) !== 0 ? argument : new Uint8Array(0);
    return {
      ...this.#message({ type: Request.CALL, object, result: request | 0, ...tag }, payload),
      def: maker.def,
    };
  }

  #attach(client: WireClient): WireMessage {
    const fd = this.#random.once(6) ? this.#random.pick(this.#foreign) : client.someFd(this.#random);
    return this.#message({ type: Request.ATTACH }, undefined, fd === undefined ? [] : [fd]);
  }

  #mmap(client: WireClient): WireMessage {
    const random = this.#random;
    let a = random.pick(client.offsets) ?? BigInt(random.next()) << 12n;
    if (random.once(8)) a += BigInt((random.below(5) - 2) * 4096);
    const b = BigInt(random.once(8) ? random.word() >>> 0 : 4096 * (1 + random.below(4)));
    return this.#message({ type: Request.MMAP, object: this.#object(client), a: BigInt.asUintN(64, a), b });
  }

  /** An answer that nobody asked for, or asked another. */
  #got(client: WireClient): WireMessage {
    return this.#message({ type: Request.GOT, tag: this.#pendingTag(client) }, this.#noise(16));
  }

  #rightAnswer(client: WireClient, { type, tag, a, b, bytes }: Question): WireMessage {
    const at = a - client.state.pointer;
    const inside = at >= 0 && at + b <= ARENA;
    const bad = this.#message({ type: Request.GOT, tag, result: -errno.EFAULT });
    if (type === Reply.GET)
      return inside
        ? this.#message({ type: Request.GOT, tag }, client.state.arena.subarray(at, at + b))
        : bad;
    if (type === Reply.PUT) {
      if (!inside || bytes === undefined) return bad;
      client.state.arena.set(bytes.subarray(0, b), at);
      return this.#message({ type: Request.GOT, tag });
    }
    const numbers = new Int32Array((bytes ?? new Uint8Array(0)).slice().buffer);
    const real = Array.from(numbers, (number) => client.real(number));
    return this.#message(
      { type: Request.GOT, tag },
      Uint8Array.from(real, (fd) => (fd === undefined ? FdStatus.CLOSED : FdStatus.HERE)),
      real.filter((fd) => fd !== undefined),
    );
  }

  /** The number of one of its objects, mostly. */
  #object(client: WireClient): number {
    const known = this.#random.once(12) ? undefined : this.#random.pick(client.objects);
    return known?.object ?? this.#random.word() >>> 0;
  }

  #pendingTag(client: WireClient): number {
    const tags = [...client.pending.keys()];
    return this.#random.pick(tags) ?? this.#random.word() >>> 0;
  }

  #openFlags(): bigint {
    const random = this.#random;
    return BigInt(random.once(4) ? random.word() >>> 0 : random.pick([0, O_RDWR, O_RDWR | 0o4000])!);
  }

  #path(): Uint8Array {
    const random = this.#random;
    const path = Buffer.from(random.pick(paths)!);
    if (!random.once(16) || path.length === 0) return path;
    path[random.below(path.length)] = random.below(256);
    return path;
  }

  #strays(): number[] {
    const count = this.#random.once(16) ? MAX_FDS : 1 + this.#random.below(4);
    return Array.from({ length: count }, () => this.#random.pick(this.#foreign)!);
  }

  #noise(most: number): Uint8Array {
    return Uint8Array.from({ length: this.#random.below(most + 1) }, () => this.#random.next());
  }
}
