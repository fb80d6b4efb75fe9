// Runtime power management: suspended when nothing used the device for a while. Linux's pm_runtime with autosuspend.
// Not system sleep: it follows use, nobody asks for it.
import type { Clock } from '../base/clock.js';

/** Default idle time before suspend, nanoseconds (ethosu's 50 ms). */
export const AUTOSUSPEND_NS = 50e6;

export interface RuntimePowerOptions {
  readonly clock: Clock;
  readonly autosuspendNs?: number | undefined;
  /** Absent: the device never suspends. A throw leaves it on, for another idle time. */
  readonly suspend?: (() => void) | undefined;
  readonly resume?: (() => void) | undefined;
}

/** Counts users. Use is cheap: the timer is moved when it fires, not at each put. */
export class RuntimePower {
  readonly #clock: Clock;
  readonly #idleNs: number;
  readonly #suspend: (() => void) | undefined;
  readonly #resume: (() => void) | undefined;
  #users = 0;
  #suspended = false;
  #lastUse: number;
  #timer: Disposable | undefined;
  #ended = false;
  #suspends = 0;
  #resumes = 0;

  constructor({ clock, autosuspendNs = AUTOSUSPEND_NS, suspend, resume }: RuntimePowerOptions) {
    this.#clock = clock;
    this.#idleNs = autosuspendNs;
    this.#suspend = suspend;
    this.#resume = resume;
    this.#lastUse = clock.now();
    this.#arm();
  }

  get suspended(): boolean {
    return this.#suspended;
  }

  get users(): number {
    return this.#users;
  }

  get suspends(): number {
    return this.#suspends;
  }

  get resumes(): number {
    return this.#resumes;
  }

  /** The device is used until put(); it is resumed first. Counts also when the resume throws. @throws what resume throws */
  get(): void {
    this.#users++;
    if (!this.#suspended) return;
    this.#resume?.();
    this.#suspended = false;
    this.#resumes++;
  }

  put(): void {
    if (--this.#users > 0) return;
    this.#lastUse = this.#clock.now();
    if (this.#timer === undefined) this.#arm();
  }

  /** The device is gone: it is left as it is. */
  end(): void {
    this.#ended = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  #arm(): void {
    if (this.#suspend === undefined || this.#ended || this.#suspended) return;
    this.#timer = this.#clock.after(this.#lastUse + this.#idleNs - this.#clock.now(), () => this.#idle());
  }

  #idle(): void {
    this.#timer = undefined;
    if (this.#users > 0) return;
    if (this.#clock.now() < this.#lastUse + this.#idleNs) {
      this.#arm();
      return;
    }
    try {
      this.#suspend!();
      this.#suspended = true;
      this.#suspends++;
    } catch {
      // Busy after all, whatever the reason: the device stays on and is asked again.
      this.#lastUse = this.#clock.now();
      this.#arm();
    }
  }
}
