// Time as an argument: the interface, and a clock that a test moves. Real clocks live in node/ and web/.
// Not a wall clock: times are nanoseconds of a monotonic clock, as numbers (exact for 104 days).

/** Monotonic time, timers, and work for later. */
export interface Clock {
  /** Nanoseconds; never goes back. On Linux, CLOCK_MONOTONIC. */
  now(): number;
  /** Calls `run` once, `ns` from now or as soon after as can be. Dispose to cancel. */
  after(ns: number, run: () => void): Disposable;
  /** Calls `run` soon, after the caller's stack has unwound; in the order posted. Where Linux would queue work. */
  post(run: () => void): void;
}

const settled = Promise.resolve();

/** Runs `run` as a microtask. Errors are rethrown where the host reports unhandled rejections. */
export function microtask(run: () => void): void {
  void settled.then(run);
}

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** A clock that stands still until moved. */
export class TestClock implements Clock {
  #now: number;
  #order = 0;
  #timers: Timer[] = [];

  constructor(now = 0) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  after(ns: number, run: () => void): Disposable {
    const timer: Timer = { at: this.#now + Math.max(0, ns), order: this.#order++, run };
    this.#timers.push(timer);
    return {
      [Symbol.dispose]: () => {
        const index = this.#timers.indexOf(timer);
        if (index >= 0) this.#timers.splice(index, 1);
      },
    };
  }

  post(run: () => void): void {
    microtask(run);
  }

  /** Number of timers that wait. */
  get pending(): number {
    return this.#timers.length;
  }

  /** When the next timer is due; undefined when none waits. */
  get next(): number | undefined {
    let next: number | undefined;
    for (const { at } of this.#timers) if (next === undefined || at < next) next = at;
    return next;
  }

  /** Moves time forward, running due timers in order of their time. Work they post runs when the caller awaits. */
  advance(ns: number): void {
    const end = this.#now + ns;
    for (;;) {
      let next: Timer | undefined;
      for (const timer of this.#timers) {
        if (timer.at > end) continue;
        if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order))
          next = timer;
      }
      if (next === undefined) break;
      this.#timers.splice(this.#timers.indexOf(next), 1);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = end;
  }

  /** Lets posted work and promise reactions run, `rounds` deep. */
  async settle(rounds = 64): Promise<void> {
    for (let i = 0; i < rounds; i++) await settled;
  }
}
