// Sleeping until something happens, a time passes, or a signal interrupts: the kernel's wait_event_interruptible.
// Not a queue: who waits registers itself with what it waits for.
import type { Clock } from '../base/clock.js';
import { AccelError } from '../base/errors.js';
import type { AbortSignalLike } from './accel-file.js';

export interface WaitOptions {
  readonly signal?: AbortSignalLike | undefined;
  /** With `deadline`: the clock whose time it is. */
  readonly clock?: Clock;
  /** Clock nanoseconds at which the wait ends; absent or Infinity: never. */
  readonly deadline?: number;
}

/**
 * Resolves to true once `wake` was called, to false when the deadline passed first. `subscribe` registers `wake` and
 * returns how to take it back; it may call `wake` at once.
 * @throws AccelError EINTR when the signal fires first
 */
export function sleep(
  subscribe: (wake: () => void) => Disposable,
  options: WaitOptions = {},
): Promise<boolean> {
  const { signal, clock, deadline = Infinity } = options;
  if (signal?.aborted === true) return Promise.reject(new AccelError('EINTR'));
  return new Promise<boolean>((resolve, reject) => {
    let over = false;
    const held: { subscription?: Disposable; timer?: Disposable } = {};
    const end = (): boolean => {
      if (over) return false;
      over = true;
      held.subscription?.[Symbol.dispose]();
      held.timer?.[Symbol.dispose]();
      signal?.removeEventListener('abort', abort);
      return true;
    };
    const abort = (): void => {
      if (end()) reject(new AccelError('EINTR'));
    };
    const subscription = subscribe(() => {
      if (end()) resolve(true);
    });
    // `wake` may have run inside subscribe, when there was nothing to dispose yet.
    if (over) {
      subscription[Symbol.dispose]();
      return;
    }
    held.subscription = subscription;
    signal?.addEventListener('abort', abort);
    if (clock !== undefined && deadline !== Infinity) {
      // Hosts round their timers: one that fires before its time is set again.
      const arm = (): void => {
        held.timer = clock.after(deadline - clock.now(), () => {
          if (clock.now() < deadline) arm();
          else if (end()) resolve(false);
        });
      };
      arm();
    }
  });
}

/** Callbacks of those who wait for one thing; woken all at once, in the order they came. */
export class WaitQueue {
  readonly #waiters = new Set<() => void>();

  add(wake: () => void): Disposable {
    this.#waiters.add(wake);
    return { [Symbol.dispose]: () => void this.#waiters.delete(wake) };
  }

  wakeAll(): void {
    if (this.#waiters.size === 0) return;
    for (const wake of [...this.#waiters]) wake();
  }
}
