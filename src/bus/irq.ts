// Interrupt lines: level-triggered, delivered after the caller's stack has unwound, to one handler.
// Not a controller with priorities: one line, one device.
import type { Clock } from '../base/clock.js';
import { disposable } from '../base/disposable.js';
import type { FaultHooks, IrqLine } from './port.js';

export class Irq implements IrqLine {
  #level = false;
  #handler: (() => void) | undefined;
  #queued = false;
  /** Interrupts delivered. */
  count = 0;
  readonly #clock: Clock;
  readonly #faults: FaultHooks;
  readonly #observe: (() => void) | undefined;

  constructor(clock: Clock, faults: FaultHooks, observe?: () => void) {
    this.#clock = clock;
    this.#faults = faults;
    this.#observe = observe;
  }

  get level(): boolean {
    return this.#level;
  }

  set(level: boolean): void {
    if (level === this.#level) return;
    this.#level = level;
    if (!level) return;
    if (this.#faults.take('lost-irq')) return;
    this.#observe?.();
    this.#queue();
  }

  /** Delivers once although the line is low: a spurious interrupt. */
  spurious(): void {
    this.#clock.post(() => this.#handler?.());
  }

  connect(handler: () => void): Disposable {
    this.#handler = handler;
    if (this.#level) this.#queue();
    return disposable(() => {
      if (this.#handler === handler) this.#handler = undefined;
    });
  }

  #queue(): void {
    if (this.#queued) return;
    this.#queued = true;
    this.#clock.post(() => {
      this.#queued = false;
      if (!this.#level || this.#handler === undefined) return;
      this.count++;
      this.#handler();
      // A handler that leaves the line raised is called again, as a level-triggered line would.
      if (this.#level) this.#queue();
    });
  }
}
