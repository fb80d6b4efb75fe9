// One end of a connection: headers, payloads and descriptors in both directions, without waiting, with a bounded queue.
// Not a meaning: who gets the messages knows what they are.
import type { Reactor } from './reactor.js';
import { close, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, Packet } from './sockets.js';
import { HEADER, MAX_PAYLOAD, WireHeader } from './messages.js';

/** Bytes that may wait for a client that does not read; over it the client is cut. */
export const QUEUE_BYTES = 1 << 20;

/** All connections of a thread share it: nothing waits between filling and sending, or between receiving and looking. */
const packet = new Packet(HEADER + MAX_PAYLOAD);

const { type: TYPE, fds: FDS, tag: TAG, object: OBJECT, result: RESULT, a: A, b: B } = WireHeader.offsets;
const EMPTY = new Uint8Array(0);
const NONE: readonly number[] = [];

export interface Header {
  readonly type: number;
  readonly tag?: number;
  readonly object?: number;
  readonly result?: number;
  readonly a?: number | bigint;
  readonly b?: number | bigint;
}

/** A message just received. It is valid until the handler sends, awaits or returns: copy what must stay. */
export interface Message {
  readonly type: number;
  readonly tag: number;
  readonly object: number;
  readonly result: number;
  readonly a: bigint;
  readonly b: bigint;
  readonly payload: Uint8Array;
  /** The handler owns them. */
  readonly fds: readonly number[];
}

/** The message that lies in the packet: one for all, since messages come by the hundred thousand. */
class Received implements Message {
  type = 0;
  tag = 0;
  object = 0;
  result = 0;
  payload: Uint8Array = EMPTY;
  fds: readonly number[] = NONE;

  get a(): bigint {
    return packet.view.getBigUint64(A, true);
  }

  get b(): bigint {
    return packet.view.getBigUint64(B, true);
  }

  /** Looks at the first `bytes` of the packet. */
  take(bytes: number, fds: readonly number[]): this {
    const { view } = packet;
    this.type = view.getUint16(TYPE, true);
    this.tag = view.getUint32(TAG, true);
    this.object = view.getUint32(OBJECT, true);
    this.result = view.getInt32(RESULT, true);
    // The same place each time: only the length differs.
    if (this.payload.length !== bytes - HEADER) this.payload = packet.data.subarray(HEADER, bytes);
    this.fds = fds;
    return this;
  }
}

const received = new Received();

interface Queued {
  readonly bytes: Uint8Array;
  readonly fds: readonly number[];
}

export interface EndpointOptions {
  readonly reactor: Reactor;
  readonly fd: number;
  /** A throw cuts the connection. */
  readonly onMessage: (message: Message) => void;
  /** The connection is over, whoever ended it. Called once. */
  readonly onEnd: () => void;
}

function setU64(view: DataView, at: number, value: number | bigint): void {
  if (typeof value === 'bigint') view.setBigUint64(at, BigInt.asUintN(64, value), true);
  else {
    view.setUint32(at, value >>> 0, true);
    view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
  }
}

export class Endpoint {
  readonly fd: number;
  readonly #reactor: Reactor;
  readonly #onMessage: (message: Message) => void;
  readonly #onEnd: () => void;
  #raw: ((bytes: Uint8Array) => void) | undefined;
  #queue: Queued[] = [];
  #queued = 0;
  #ended = false;

  /** Owns `fd`. */
  constructor({ reactor, fd, onMessage, onEnd }: EndpointOptions) {
    this.fd = fd;
    this.#reactor = reactor;
    this.#onMessage = onMessage;
    this.#onEnd = onEnd;
    reactor.add(fd, EPOLLIN | EPOLLRDHUP, (events) => this.#ready(events));
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Sends `fds` along and closes them, whatever happens. */
  send(header: Header, payload: Uint8Array = EMPTY, fds: readonly number[] = NONE): void {
    const { view } = packet;
    view.setUint16(TYPE, header.type, true);
    view.setUint16(FDS, fds.length, true);
    view.setUint32(TAG, header.tag ?? 0, true);
    view.setUint32(OBJECT, header.object ?? 0, true);
    view.setInt32(RESULT, header.result ?? 0, true);
    setU64(view, A, header.a ?? 0);
    setU64(view, B, header.b ?? 0);
    if (payload.length > 0) packet.data.set(payload, HEADER);
    this.#transmit(HEADER + payload.length, fds);
  }

  /** Sends bytes without a header: the second half of PUT and FDS. */
  sendRaw(payload: Uint8Array): void {
    packet.data.set(payload);
    this.#transmit(payload.length, NONE);
  }

  /** The next packet is bytes without a header, for `take`: the second half of PUT and FDS. */
  expectRaw(take: (bytes: Uint8Array) => void): void {
    this.#raw = take;
  }

  /** Cuts it. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#reactor.remove(this.fd);
    close(this.fd);
    for (const { fds } of this.#queue) for (const fd of fds) close(fd);
    this.#queue = [];
    this.#onEnd();
  }

  #transmit(bytes: number, fds: readonly number[]): void {
    if (this.#queue.length === 0 && !this.#ended) {
      const sent = packet.send(this.fd, bytes, fds);
      if (sent < 0) {
        this.#keep(bytes, fds);
        return;
      }
      if (fds.length > 0) for (const fd of fds) close(fd);
      // Gone: the reactor will say so too, but not before the caller has done more in vain.
      if (sent === 0) this.end();
    } else if (this.#ended) {
      for (const fd of fds) close(fd);
    } else this.#keep(bytes, fds);
  }

  #keep(bytes: number, fds: readonly number[]): void {
    if (this.#queue.length === 0) this.#reactor.modify(this.fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    this.#queue.push({ bytes: packet.data.slice(0, bytes), fds });
    this.#queued += bytes;
    if (this.#queued > QUEUE_BYTES) this.end();
  }

  #drain(): void {
    while (this.#queue.length > 0) {
      const [{ bytes, fds }] = this.#queue as [Queued];
      packet.data.set(bytes);
      const sent = packet.send(this.fd, bytes.length, fds);
      if (sent < 0) return;
      if (sent === 0) return this.end();
      this.#queue.shift();
      this.#queued -= bytes.length;
      for (const fd of fds) close(fd);
    }
    this.#reactor.modify(this.fd, EPOLLIN | EPOLLRDHUP);
  }

  /** One message each time: the others get their turn, and the reactor asks again anyway. */
  #ready(events: number): void {
    if ((events & EPOLLOUT) !== 0) this.#drain();
    if (this.#ended) return;
    const got = packet.receive(this.fd);
    if (got < 0) {
      // What was sent before a hang-up has been read.
      if ((events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) !== 0) this.end();
      return;
    }
    const { fds } = packet;
    if (fds.length > 0) packet.fds = [];
    const raw = this.#raw;
    if (raw !== undefined && got > 0 && fds.length === 0) {
      this.#raw = undefined;
      raw(packet.data.slice(0, got));
      return;
    }
    if (got < HEADER) {
      for (const fd of fds) close(fd);
      this.end();
      return;
    }
    try {
      this.#onMessage(received.take(got, fds));
    } catch {
      this.end();
    }
  }
}
