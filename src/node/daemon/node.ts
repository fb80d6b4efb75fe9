// An open device file whose descriptor is in another process: its events go out as packets, its end follows the hang-up.
// Not the calls: client.ts makes them on `file`.
import { EVENT_SPACE, type LocalFile, type Process } from '../../core/index.js';
import type { AnyFile } from '../../core/ioctl.js';
import type { Reactor } from '../wire/reactor.js';
import { EPOLLOUT, EPOLLRDHUP, Packet, setSendBuffer, shutdownWrite } from '../wire/sockets.js';

/** Bounds the events that lie unread in the socket, beyond the file's own event space. The kernel rounds it up to 4608. */
const SEND_BUFFER = 4096;
/** struct drm_event: type, length. */
const EVENT_LENGTH_AT = 4;

const packet = new Packet(EVENT_SPACE);

export class OpenNode {
  readonly file: AnyFile;
  readonly process: Process;
  readonly #local: LocalFile;
  readonly #reactor: Reactor;
  readonly #onHangUp: () => void;
  readonly #onClosed: () => void;
  #end = -1;
  #subscription: Disposable | undefined;
  /** Events taken from the file that did not fit into the socket. */
  #backlog: Uint8Array[] = [];
  #reading = false;
  #full = false;
  #closed = false;

  /** `onHangUp`: nobody holds it any more. `onClosed`: the file is closed and its jobs are over. */
  constructor(
    local: LocalFile,
    process: Process,
    reactor: Reactor,
    onHangUp: () => void,
    onClosed: () => void,
  ) {
    this.#local = local;
    this.file = local.client;
    this.process = process;
    this.#reactor = reactor;
    this.#onHangUp = onHangUp;
    this.#onClosed = onClosed;
  }

  /** Begins to forward events to `end`, the daemon's end of the pair. */
  attach(end: number): void {
    this.#end = end;
    setSendBuffer(end, SEND_BUFFER);
    this.#subscription = this.file.events.onChange(() => this.#forward());
    this.#forward();
  }

  /** The socket has room again. */
  writable(): void {
    this.#forward();
  }

  /** The last descriptor is closed. */
  hangUp(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscription?.[Symbol.dispose]();
    this.#onHangUp();
    void this.#local.close().finally(this.#onClosed);
  }

  /** Who held it last was killed: its jobs are not waited for. */
  kill(): void {
    this.process.kill();
  }

  #forward(): void {
    if (this.#closed) return;
    if (!this.#drain()) return;
    if (this.file.device.unplugged) {
      // Readers see the end of file; what was sent before comes first.
      if (this.file.events.pending === 0) shutdownWrite(this.#end);
    }
    if (this.#reading || this.file.events.pending === 0) return;
    this.#reading = true;
    const room = new Uint8Array(EVENT_SPACE);
    this.file.events.read(room, true).then(
      (bytes) => {
        this.#reading = false;
        const view = new DataView(room.buffer);
        for (let at = 0; at < bytes;) {
          const length = view.getUint32(at + EVENT_LENGTH_AT, true);
          this.#backlog.push(room.subarray(at, at + length));
          at += Math.max(length, 8);
        }
        this.#forward();
      },
      () => {
        this.#reading = false;
      },
    );
  }

  /** False while the socket is full. */
  #drain(): boolean {
    while (this.#backlog.length > 0) {
      const event = this.#backlog[0]!;
      packet.data.set(event);
      const sent = packet.send(this.#end, event.length);
      if (sent < 0) {
        if (!this.#full) this.#reactor.modify(this.#end, EPOLLRDHUP | EPOLLOUT);
        this.#full = true;
        return false;
      }
      this.#backlog.shift();
    }
    if (this.#full) this.#reactor.modify(this.#end, EPOLLRDHUP);
    this.#full = false;
    return true;
  }
}
