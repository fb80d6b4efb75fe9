// Sockets served by the thread of the core itself: a helper thread sleeps, this one receives, works and replies.
// Not a socket library: who registers a descriptor reads and writes it. docs/wire.md, "One thread", says why.
import { Worker } from 'node:worker_threads';
import {
  close,
  epollAdd,
  epollCreate,
  EpollEvents,
  EPOLLIN,
  epollModify,
  epollRemove,
  eventfd,
  eventfdAdd,
} from './sockets.js';
import { WatchState, type WatcherData } from './watcher.js';

/** Messages handled before timers and other work get their turn. */
const BATCH = 64;
/** Ready descriptors seen at a time. */
const ROOM = 1024;
/** How many microtasks deep a call that sleeps for nothing may be: then its reply goes out at once. */
const HOPS = 24;
/** Milliseconds to sleep for the next message after one has come. */
const LINGER_MS = 1;

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

/** Keeps the process alive until closed. */
export class Reactor {
  readonly #epoll = epollCreate();
  readonly #stop = eventfd();
  readonly #state = new Int32Array(new SharedArrayBuffer(4));
  readonly #events = new EpollEvents(ROOM);
  readonly #handlers = new Map<number, Handler>();
  readonly #watcher: Worker;
  readonly #busy: () => boolean;
  readonly #linger: boolean;
  readonly #exit: Promise<void>;
  /** Calls begun and not over. */
  #unfinished = 0;
  #closed = false;

  constructor({ busy = () => false, linger = true }: ReactorOptions = {}) {
    this.#linger = linger;
    this.#busy = busy;
    epollAdd(this.#epoll, this.#stop, EPOLLIN);
    const watcher: WatcherData = {
      state: this.#state.buffer as SharedArrayBuffer,
      epoll: this.#epoll,
    };
    this.#watcher = new Worker(new URL('./watcher.js', import.meta.url), {
      workerData: { watcher },
      name: 'sockets',
    });
    process.on('exit', this.#halt);
    this.#exit = new Promise((resolve) => {
      this.#watcher.once('exit', () => resolve());
    });
    this.#arm();
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

  /** Ends the helper thread. Descriptors stay open: they are not the reactor's. */
  async close(): Promise<void> {
    if (this.#closed) return this.#exit;
    this.#closed = true;
    this.#handlers.clear();
    process.off('exit', this.#halt);
    this.#halt();
    await this.#exit;
    close(this.#epoll);
    close(this.#stop);
  }

  /** A thread that sleeps in a system call cannot be ended from outside, and process.exit would wait for it. */
  readonly #halt = (): void => {
    Atomics.store(this.#state, 0, WatchState.STOPPED);
    eventfdAdd(this.#stop, 1);
    Atomics.notify(this.#state, 0);
  };

  #arm(): void {
    if (this.#closed) return;
    Atomics.store(this.#state, 0, WatchState.ARMED);
    Atomics.notify(this.#state, 0);
    const waiting = Atomics.waitAsync(this.#state, 0, WatchState.ARMED);
    const ready = (): void => void this.#turn();
    if (waiting.async) void waiting.value.then(ready);
    else setImmediate(ready);
  }

  #run(ready: number): void {
    const events = this.#events;
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
    let sleep = 0;
    while (!this.#closed) {
      const ready = events.wait(this.#epoll, sleep);
      if (ready === 0) {
        this.#arm();
        return;
      }
      const before = this.#unfinished;
      this.#run(ready);
      // What came may have begun a call, or be what one begun earlier waits for: it runs on in microtasks.
      for (let hop = 0; hop < HOPS && this.#unfinished > 0 && this.#unfinished >= before; hop++) await null;
      left -= ready;
      if (left <= 0) {
        setImmediate(() => void this.#turn());
        return;
      }
      sleep = !this.#linger || this.#busy() ? 0 : LINGER_MS;
    }
  }
}
