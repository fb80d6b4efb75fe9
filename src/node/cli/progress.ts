// One line on a terminal that says what takes so long; nothing when it is quick or nobody watches.
// Not a log.
import type { CommandIo } from './io.js';

/** Quicker work shows nothing. */
const PATIENCE_MS = 1000;
const PERIOD_MS = 100;

export class Progress implements Disposable {
  readonly #io: CommandIo;
  readonly #start = performance.now();
  readonly #timer: NodeJS.Timeout | undefined;
  #what: string;
  #shown = false;

  constructor(io: CommandIo, what: string) {
    this.#io = io;
    this.#what = what;
    if (io.terminal) {
      this.#timer = setInterval(() => {
        if (this.#elapsed >= PATIENCE_MS) this.#draw();
      }, PERIOD_MS);
      this.#timer.unref();
    }
  }

  /** Says what is being done now. `long`: it may keep the timer from running, so it is shown at once. */
  step(what: string, long = false): void {
    this.#what = what;
    if (this.#io.terminal && (long || this.#elapsed >= PATIENCE_MS)) this.#draw();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#shown) this.#io.err('\r\x1b[K');
  }

  get #elapsed(): number {
    return performance.now() - this.#start;
  }

  #draw(): void {
    this.#shown = true;
    this.#io.err(`\r\x1b[K${this.#what} ... ${(this.#elapsed / 1000).toFixed(1)} s`);
  }
}
