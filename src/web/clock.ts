// The clock of a browser page or worker: performance.now and its timers.
// Not a wall clock.
import { microtask, type Clock } from '../base/clock.js';
import { disposable } from '../base/disposable.js';

const NS_PER_MS = 1e6;

export class BrowserClock implements Clock {
  now(): number {
    return performance.now() * NS_PER_MS;
  }

  after(ns: number, run: () => void): Disposable {
    const timer = setTimeout(run, Math.max(0, ns / NS_PER_MS));
    return disposable(() => clearTimeout(timer));
  }

  post(run: () => void): void {
    microtask(run);
  }
}
