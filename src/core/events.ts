// Events of a file: what read(2) returns and poll(2) announces. 4096 bytes of space per file.
// Not a log: an event exists only when a job reserved room for it.
import { AccelError } from '../base/errors.js';
import type { AbortSignalLike } from './accel-file.js';
import { sleep, WaitQueue } from './wait.js';

/** Bytes of event space per file (drm_file.event_space). */
export const EVENT_SPACE = 4096;

/** Room taken for one event. Send it once, or cancel it. */
export interface EventReservation {
  /** Bytes of the whole event, header included. */
  readonly bytes: number;
  /** Queues the event: `bytes` long, its length field set. */
  send(event: Uint8Array): void;
  /** Gives the room back. No effect after send. */
  cancel(): void;
}

export class EventQueue {
  #space = EVENT_SPACE;
  #events: Uint8Array[] = [];
  readonly #waiters = new WaitQueue();
  #ended: 'ENODEV' | 'EBADF' | undefined;

  /** @throws AccelError ENOMEM when the file's event space is used up */
  reserve(bytes: number): EventReservation {
    if (bytes > this.#space) {
      throw new AccelError('ENOMEM', { reason: `${bytes} bytes of event, ${this.#space} left` });
    }
    this.#space -= bytes;
    let open = true;
    return {
      bytes,
      send: (event) => {
        if (!open) return;
        open = false;
        if (event.length !== bytes) throw new RangeError(`event of ${event.length} bytes, reserved ${bytes}`);
        if (this.#ended !== undefined) return;
        this.#events.push(event);
        this.#waiters.wakeAll();
      },
      cancel: () => {
        if (!open) return;
        open = false;
        this.#space += bytes;
      },
    };
  }

  /** Events that wait to be read. */
  get pending(): number {
    return this.#events.length;
  }

  /** Bytes not reserved and not waiting to be read. */
  get space(): number {
    return this.#space;
  }

  /**
   * As many whole events as fit `buffer`; 0 when the first does not. Sleeps while there is none.
   * @throws AccelError EAGAIN with `nonblock`, EINTR, and what end() said
   */
  async read(buffer: Uint8Array, nonblock: boolean, signal?: AbortSignalLike): Promise<number> {
    while (this.#events.length === 0) {
      if (nonblock) throw new AccelError('EAGAIN', { call: 'read', reason: 'no event is pending' });
      if (this.#ended !== undefined) {
        throw new AccelError(this.#ended, { call: 'read', reason: 'no event can come any more' });
      }
      await sleep((wake) => this.#waiters.add(wake), { signal });
    }
    let done = 0;
    let taken = 0;
    for (const event of this.#events) {
      if (done + event.length > buffer.length) break;
      buffer.set(event, done);
      done += event.length;
      taken++;
    }
    this.#events.splice(0, taken);
    this.#space += done;
    return done;
  }

  /** Calls `wake` whenever an event came, until disposed. */
  onChange(wake: () => void): Disposable {
    return this.#waiters.add(wake);
  }

  /** No event comes any more: unplugged, or closed. Readers are woken; what is queued can still be read. */
  end(reason: 'ENODEV' | 'EBADF'): void {
    this.#ended ??= reason;
    this.#waiters.wakeAll();
  }
}
