// Interrupt lines: level-triggered, delivered after the caller's stack has unwound, to one handler.
// Not a controller with priorities: one line, one device.
import type { Clock } from '../base/clock.js';
import { disposable } from '../base/disposable.js';
import type { FaultHooks, IrqLine } from './port.js';

/** Deliveries in a row that nobody answers by lowering the line, until it is disabled: as the kernel's note_interrupt. */
export const STUCK_LIMIT = 100_000;

export class Irq implements IrqLine {
  #level = false;
  #unanswered = 0;
  #disabled = false;
  #handler: (() => void) | undefined;
  #queued = false;
  /** Interrupts delivered. */
  count = 0;
  readonly #clock: Clock;
  readonly #faults: FaultHooks;
  readonly #observe: (() => void) | undefined;
  readonly #onStuck: (() => void) | undefined;

  /** `observe` sees every rising edge; `onStuck` is told when the line is disabled because no handler lowers it. */
  constructor(clock: Clock, faults: FaultHooks, observe?: () => void, onStuck?: () => void) {
    this.#clock = clock;
    this.#faults = faults;
    this.#observe = observe;
    this.#onStuck = onStuck;
  }

  /** Nobody lowered the line {@link STUCK_LIMIT} times in a row; a new handler enables it again. */
  get disabled(): boolean {
    return this.#disabled;
  }

  get level(): boolean {
    return this.#level;
  }

  set(level: boolean): void {
    if (level === this.#level) return;
    this.#level = level;
    if (!level) {
      this.#unanswered = 0;
      return;
    }
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
    this.#disabled = false;
    this.#unanswered = 0;
    if (this.#level) this.#queue();
    return disposable(() => {
      if (this.#handler === handler) this.#handler = undefined;
    });
  }

  #queue(): void {
    if (this.#queued || this.#disabled) return;
    this.#queued = true;
    this.#clock.post(() => {
      this.#queued = false;
      if (!this.#level || this.#handler === undefined) return;
      this.count++;
      this.#handler();
      // A handler that leaves the line raised is called again, as a level-triggered line would.
      if (!this.#level) return;
      if (++this.#unanswered < STUCK_LIMIT) return this.#queue();
      this.#disabled = true;
      this.#onStuck?.();
    });
  }
}
