// The real clock: CLOCK_MONOTONIC and the event loop's timers.
// Not for tests of timeouts: those move a TestClock.
import { disposable } from '../base/disposable.js';
import { microtask, type Clock } from '../base/clock.js';

const NS_PER_MS = 1e6;

/** Longest setTimeout; longer waits are taken in steps. */
const LONGEST_MS = 0x7fffffff;

export class RealClock implements Clock {
  readonly #origin: number;

  constructor() {
    // process.hrtime is CLOCK_MONOTONIC but allocates; performance.now does not and runs at the same rate.
    const [seconds, ns] = process.hrtime();
    this.#origin = seconds * 1e9 + ns - performance.now() * NS_PER_MS;
  }

  now(): number {
    return this.#origin + performance.now() * NS_PER_MS;
  }

  after(ns: number, run: () => void): Disposable {
    const end = this.now() + ns;
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const left = Math.ceil((end - this.now()) / NS_PER_MS);
      timer = left > LONGEST_MS ? setTimeout(arm, LONGEST_MS) : setTimeout(run, Math.max(0, left));
    };
    arm();
    return disposable(() => clearTimeout(timer));
  }

  post(run: () => void): void {
    microtask(run);
  }
}
