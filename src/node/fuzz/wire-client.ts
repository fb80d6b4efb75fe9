// A client of the wire fuzzer: one raw connection, what it was given, and what it owes and is owed.
// Not a client as docs/wire.md wants it: it sends whatever it is told to, and answers questions as it likes.
import type { Ioctl } from '../../abi/ioctl.js';
import { HEADER, Kind, MAX_PAYLOAD, Reply, Request, WireHeader } from '../wire/messages.js';
import { close, connect, Packet } from '../wire/sockets.js';
import type { Random } from './random.js';
import { unreceived } from './socket-queue.js';
import { FuzzState } from './state.js';

const { type: TYPE, tag: TAG, object: OBJECT } = WireHeader.offsets;
/** Descriptors kept; the oldest is closed. */
const MOST_FDS = 24;
/** Where its pointers point to: an address of nobody's, since its memory is read by messages. */
const POINTER = 0x10000;

/** More than the daemon takes: what is too long is sent too. */
const packet = new Packet(HEADER + MAX_PAYLOAD + 4096);

/** A question of the daemon's that waits for its answer. */
export interface Question {
  readonly type: number;
  readonly tag: number;
  readonly a: number;
  readonly b: number;
  /** What came after it: bytes of PUT, numbers of FDS. */
  bytes: Uint8Array | undefined;
}

/** A message received. */
export interface Received {
  readonly type: number;
  readonly tag: number;
  readonly object: number;
  readonly result: number;
  readonly a: bigint;
  readonly payload: Uint8Array;
  readonly fds: readonly number[];
}

/** An object that it knows by number. */
export interface Known {
  readonly object: number;
  readonly kind: number;
}

/** A request that is to be answered. */
export interface Pending {
  /** Before the next message is looked at. */
  readonly atOnce: boolean;
  /** The call, where that is known. */
  readonly def: Ioctl | undefined;
  readonly object: number;
}

/** Requests that the daemon answers before it looks at the next message. */
const atOnce = new Set<number>([Request.OPEN, Request.PATH, Request.ATTACH, Request.MMAP, Request.FDINFO]);

export class WireClient {
  readonly state = new FuzzState();
  readonly objects: Known[] = [];
  readonly offsets: bigint[] = [];
  readonly questions: Question[] = [];
  /** Requests that are to be answered, by tag. */
  readonly pending = new Map<number, Pending[]>();
  /** Last messages sent, to be sent again. */
  readonly sent: Uint8Array[] = [];
  /** Does not read. */
  deaf = false;
  /** Was deaf: what waits for it comes bit by bit. */
  late = false;
  gone = false;
  readonly #fd: number;
  /** Real descriptors by the number that structs have for them. */
  readonly #real = new Map<number, number>();
  #number = 1000;
  #raw: Question | undefined;

  /** @throws AccelError when nobody listens */
  constructor(socket: string) {
    this.#fd = connect(socket);
    this.state.pointer = POINTER;
  }

  /** What was sent and not yet received by the daemon. */
  get unread(): number {
    return this.gone ? 0 : unreceived(this.#fd);
  }

  /** The descriptor behind a number of its structs. */
  real(number: number): number | undefined {
    return this.#real.get(number);
  }

  /** One of its descriptors. */
  someFd(random: Random): number | undefined {
    const number = random.pick(this.state.fds);
    return number === undefined ? undefined : this.#real.get(number);
  }

  /** Keeps a descriptor under a number of its own. */
  keepFd(fd: number): number {
    const number = this.#number++;
    const { fds } = this.state;
    if (fds.length >= MOST_FDS) this.closeFd(fds[0]!);
    fds.push(number);
    this.#real.set(number, fd);
    return number;
  }

  closeFd(number: number): void {
    const fd = this.#real.get(number);
    const at = this.state.fds.indexOf(number);
    if (at >= 0) this.state.fds.splice(at, 1);
    if (fd === undefined) return;
    this.#real.delete(number);
    close(fd);
  }

  /** Sends `bytes` with `fds`, which stay open. False when the connection is gone, or full while it is deaf. */
  send(bytes: Uint8Array, fds: readonly number[] = [], def?: Ioctl): boolean {
    packet.data.set(bytes);
    const outcome = packet.send(this.#fd, bytes.length, fds);
    if (outcome === 0) this.end();
    if (outcome !== 1) return false;
    if (bytes.length < HEADER) return true;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const type = view.getUint16(TYPE, true);
    const tag = view.getUint32(TAG, true);
    const simple = atOnce.has(type);
    if (!simple && type !== Request.CALL && type !== Request.HELLO) return true;
    const pending = { atOnce: simple, def, object: view.getUint32(OBJECT, true) };
    const known = this.pending.get(tag);
    if (known === undefined) this.pending.set(tag, [pending]);
    else known.push(pending);
    return true;
  }

  /** The request that an answer with `tag` is to; undefined when there is none. */
  answered(tag: number): Pending | undefined {
    const known = this.pending.get(tag);
    if (known === undefined) return undefined;
    // Of several with one tag those that sleep are answered later.
    const at = Math.max(
      0,
      known.findIndex(({ atOnce }) => atOnce),
    );
    const [found] = known.splice(at, 1);
    if (known.length === 0) this.pending.delete(tag);
    return found;
  }

  /** A tag of a request that should have been answered by now. */
  get overdue(): number | undefined {
    for (const [tag, known] of this.pending) if (known.some(({ atOnce }) => atOnce)) return tag;
    return undefined;
  }

  /** The next message of the daemon; undefined when none waits. A question is kept, and is no message. */
  receive(): Received | undefined {
    for (;;) {
      if (this.gone || this.deaf) return undefined;
      const got = packet.receive(this.#fd);
      if (got < 0) return undefined;
      if (got === 0) {
        this.end();
        return undefined;
      }
      if (this.#raw !== undefined) {
        this.#raw.bytes = packet.data.slice(0, got);
        this.#raw = undefined;
        continue;
      }
      const { type, tag, object, result, a, b } = WireHeader.from(packet.data.subarray(0, HEADER));
      const fds = packet.fds.splice(0);
      if (type === Reply.GET || type === Reply.PUT || type === Reply.FDS) {
        const question: Question = { type, tag, a: Number(a), b: Number(b), bytes: undefined };
        this.questions.push(question);
        if (type !== Reply.GET) this.#raw = question;
        continue;
      }
      return { type, tag, object, result, a, payload: packet.data.slice(HEADER, got), fds };
    }
  }

  /** Closes the connection. Descriptors stay. */
  end(): void {
    if (this.gone) return;
    this.gone = true;
    close(this.#fd);
    this.questions.length = 0;
    this.pending.clear();
  }

  /** Closes all. */
  [Symbol.dispose](): void {
    this.end();
    for (const number of [...this.state.fds]) this.closeFd(number);
  }
}

/** Remembers what a reply gave out: objects, descriptors, handles, offsets. */
export function harvest(
  client: WireClient,
  { object, a, payload }: Received,
  def: { readonly name: string; readonly layout?: unknown } | undefined,
  numbers: readonly number[],
): void {
  const kind = Number(a);
  if (def === undefined) {
    if (object !== 0 && kind > Kind.NONE && kind < Kind.DATA)
      FuzzState.keep(client.objects, { object, kind });
    return;
  }
  const { offsets = {} } = (def.layout ?? {}) as { offsets?: Readonly<Record<string, number>> };
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const word = (name: string): number | undefined => {
    const at = offsets[name];
    return at !== undefined && at + 4 <= view.byteLength ? view.getUint32(at, true) : undefined;
  };
  const handle = word('handle');
  if (handle !== undefined && numbers.length === 0) {
    const { syncobjs, handles } = client.state;
    FuzzState.keep(def.name.includes('SYNCOBJ') ? syncobjs : handles, handle);
  }
  const at = offsets['offset'];
  if (at !== undefined && at + 8 <= view.byteLength)
    FuzzState.keep(client.offsets, view.getBigUint64(at, true));
}
