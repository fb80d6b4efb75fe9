// Fences: what will have happened at some time, once. The kernel's dma_fence and its contexts.
// Not a promise: callbacks run inside signal(), in the order they were added, so that nothing is allocated per job.
import type { Clock } from '../base/clock.js';
import type { ErrnoName } from '../base/errors.js';
import type { AbortSignalLike } from './accel-file.js';
import { sleep } from './wait.js';

let contexts = 0;

/** A timeline: fences made by it are ordered. Ids are unique in this process. */
export class FenceContext {
  readonly id = ++contexts;
  readonly driverName: string;
  readonly timelineName: string;
  #seqno = 0;

  constructor(driverName: string, timelineName: string) {
    this.driverName = driverName;
    this.timelineName = timelineName;
  }

  /** A fence with the next seqno. */
  create(): Fence {
    return new Fence(this, ++this.#seqno);
  }
}

type FenceCallback = (fence: Fence) => void;

const nothing: Disposable = {
  [Symbol.dispose]() {
    // Called already: there is nothing to take back.
  },
};

/** The callbacks of a fence, in order. */
interface Callbacks {
  first: Subscription | undefined;
  last: Subscription | undefined;
}

/** One callback; disposing takes it out, so that those who gave up on a long fence leave nothing behind. */
class Subscription implements Disposable {
  callback: FenceCallback | undefined;
  previous: Subscription | undefined;
  next: Subscription | undefined;
  readonly #list: Callbacks;

  constructor(list: Callbacks, callback: FenceCallback) {
    this.#list = list;
    this.callback = callback;
    this.previous = list.last;
    if (list.last === undefined) list.first = this;
    else list.last.next = this;
    list.last = this;
  }

  [Symbol.dispose](): void {
    if (this.callback === undefined) return;
    this.callback = undefined;
    if (this.previous === undefined) this.#list.first = this.next;
    else this.previous.next = this.next;
    if (this.next === undefined) this.#list.last = this.previous;
    else this.next.previous = this.previous;
  }
}

/** Signals exactly once, perhaps with an error. */
export class Fence {
  readonly context: FenceContext;
  readonly seqno: number;
  #signalled = false;
  #error: ErrnoName | undefined;
  #timestamp = 0;
  readonly #callbacks: Callbacks = { first: undefined, last: undefined };

  constructor(context: FenceContext, seqno: number) {
    this.context = context;
    this.seqno = seqno;
  }

  /** A fence that has signalled already (dma_fence_get_stub). */
  static signalled(now: number, error?: ErrnoName): Fence {
    const fence = new Fence(stubs, 0);
    fence.signal(now, error);
    return fence;
  }

  get driverName(): string {
    return this.context.driverName;
  }

  get timelineName(): string {
    return this.context.timelineName;
  }

  get signalled(): boolean {
    return this.#signalled;
  }

  /** The error it signalled with; undefined while active and when all went well. */
  get error(): ErrnoName | undefined {
    return this.#error;
  }

  /** Clock nanoseconds of the signal; 0 while active. */
  get timestamp(): number {
    return this.#timestamp;
  }

  /** True when `other` is of this context and comes before this. */
  isLater(other: Fence): boolean {
    return this.context === other.context && this.seqno > other.seqno;
  }

  /** Signals, once: a second call (a late completion after a timeout) has no effect. */
  signal(now: number, error?: ErrnoName): void {
    if (this.#signalled) return;
    this.#signalled = true;
    this.#error = error;
    this.#timestamp = now;
    const callbacks = this.#callbacks;
    // Taken out one by one: a callback may take back those that come after it.
    for (let at = callbacks.first; at !== undefined; at = callbacks.first) {
      const { callback } = at;
      at[Symbol.dispose]();
      callback!(this);
    }
  }

  /** Calls back once, at once when it has signalled. Dispose to take it back. */
  onSignal(callback: FenceCallback): Disposable {
    if (this.#signalled) {
      callback(this);
      return nothing;
    }
    return new Subscription(this.#callbacks, callback);
  }

  /**
   * Resolves when signalled, whatever its error.
   * @throws AccelError EINTR when `signal` fires first
   */
  async wait(signal?: AbortSignalLike): Promise<void> {
    if (this.#signalled) return;
    await sleep((wake) => this.onSignal(wake), { signal });
  }

  /** As wait, but gives up at `deadline` (clock ns): false when it did. @throws AccelError EINTR */
  async waitUntil(clock: Clock, deadline: number, signal?: AbortSignalLike): Promise<boolean> {
    if (this.#signalled) return true;
    if (deadline <= clock.now()) return false;
    return sleep((wake) => this.onSignal(wake), { signal, clock, deadline });
  }
}

const stubs = new FenceContext('stub', 'stub');
