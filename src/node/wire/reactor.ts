// Sockets served by the thread of the core itself: when Node's event loop sees one ready, this receives, works and replies.
// Not a socket library: who registers a descriptor reads and writes it. docs/wire.md, "One thread", says why.
import { availableParallelism } from 'node:os';
import {
  close,
  epollAdd,
  epollCreate,
  EpollEvents,
  epollModify,
  epollRemove,
  whileReadable,
} from './sockets.js';

/** Messages handled before timers and other work get their turn. */
const BATCH = 64;
/** Ready descriptors seen at a time. */
const ROOM = 1024;
/** How many microtasks deep a call that sleeps for nothing may be: then its reply goes out at once. */
const HOPS = 24;
/** Milliseconds to sleep for the next message after one has come. */
const LINGER_MS = 1;
/** How often to look for the next message before sleeping, some 30 us: to wake costs both sides more than that. */
const LOOKS = 60;
/** After looking in vain this thread does not look for so many messages, twice as many each time. */
const MOST_SKIPPED = 1024;

export interface ReactorOptions {
  /** True while something else wants this thread soon, like engines in their threads: then it does not linger. */
  readonly busy?: () => boolean;
  /** Whether this thread may sleep for the next message at all. Default true; a client has other things to do. */
  readonly linger?: boolean;
}

interface Handler {
  readonly run: (events: number) => void;
  readonly first: boolean;
}

const microtasksDone = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

/**
 * Keeps the process alive until closed. In a worker thread: close it before the thread ends, unless the main thread has loaded koffi
 * too, whose code Node unloads with its last thread, even when the event loop is still to call it.
 */
export class Reactor {
  readonly #epoll = epollCreate();
  readonly #events = new EpollEvents(ROOM);
  readonly #handlers = new Map<number, Handler>();
  readonly #watch: Disposable;
  readonly #busy: () => boolean;
  readonly #linger: boolean;
  /** Calls begun and not over. */
  #unfinished = 0;
  #turning = false;
  #closed = false;
  /** Messages to sleep for without looking, and how many that was last. */
  #skip = availableParallelism() > 1 ? 0 : Infinity;
  #skipped = 0;

  constructor({ busy = () => false, linger = true }: ReactorOptions = {}) {
    this.#linger = linger;
    this.#busy = busy;
    this.#watch = whileReadable(this.#epoll, () => {
      if (this.#turning) return;
      this.#turning = true;
      // A turn wants its microtasks run.
      setImmediate(() => void this.#turn());
    });
  }

  /**
   * Calls `run` with the ready events (EPOLL*), again and again while they are ready. `first`: before all that is not. What a
   * client did by system calls of its own, like closing a descriptor, is then seen before the message it sent afterwards.
   */
  add(fd: number, events: number, run: (events: number) => void, { first = false } = {}): void {
    epollAdd(this.#epoll, fd, events);
    this.#handlers.set(fd, { run, first });
  }

  modify(fd: number, events: number): void {
    epollModify(this.#epoll, fd, events);
  }

  /** Before the descriptor is closed. */
  remove(fd: number): void {
    if (this.#handlers.delete(fd)) epollRemove(this.#epoll, fd);
  }

  /** A handler has begun something that finishes later: microtasks get to run before this thread sleeps. */
  begin(): void {
    this.#unfinished++;
  }

  end(): void {
    this.#unfinished--;
  }

  /** Descriptors stay open: they are not the reactor's. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handlers.clear();
    this.#watch[Symbol.dispose]();
    close(this.#epoll);
  }

  #run(ready: number): void {
    const events = this.#events;
    if (ready === 1) {
      // By far the usual case.
      this.#handlers.get(events.fd(0))?.run(events.events(0));
      return;
    }
    let rest = 0;
    for (let i = 0; i < ready; i++) {
      const handler = this.#handlers.get(events.fd(i));
      if (handler?.first === true) handler.run(events.events(i));
      else rest++;
    }
    if (rest === 0) return;
    for (let i = 0; i < ready; i++) {
      const handler = this.#handlers.get(events.fd(i));
      if (handler?.first === false) handler.run(events.events(i));
    }
  }

  async #turn(): Promise<void> {
    const events = this.#events;
    let left = BATCH;
    for (let ready = this.#closed ? 0 : events.wait(this.#epoll, 0); ready > 0; ready = this.#next()) {
      const before = this.#unfinished;
      this.#run(ready);
      // What came may have begun a call, or be what one begun earlier waits for: it runs on in microtasks.
      for (let hop = 0; hop < HOPS && this.#unfinished > 0 && this.#unfinished >= before; hop++) await null;
      // It runs on for longer, like one whose job an engine does in this thread: until it is over or sleeps, this thread must not.
      if (this.#unfinished > 0 && this.#unfinished >= before) await microtasksDone();
      left -= ready;
      if (left <= 0) {
        setImmediate(() => void this.#turn());
        return;
      }
    }
    this.#turning = false;
  }

  /** How many descriptors are ready, after waiting a little. */
  #next(): number {
    if (this.#closed) return 0;
    const events = this.#events;
    const epoll = this.#epoll;
    if (!this.#linger || this.#busy()) return events.wait(epoll, 0);
    if (this.#skip > 0) this.#skip--;
    else {
      for (let look = 0; look < LOOKS; look++) {
        const ready = events.wait(epoll, 0);
        if (ready === 0) continue;
        this.#skipped = 0;
        return ready;
      }
      this.#skipped = Math.min(this.#skipped * 2 + 1, MOST_SKIPPED);
      this.#skip = this.#skipped;
    }
    return events.wait(epoll, LINGER_MS);
  }
}
