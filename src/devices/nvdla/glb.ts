// GLB's interrupt registers: status (write one to clear), mask, set; the level of the one line follows from them.
// Not the units that raise them. Fact sheet section 1.4.
import type { Clock } from '../../base/clock.js';
import type { IrqLine } from '../../bus/port.js';
import type { UnitHandler } from './unit.js';

/**
 * Turns of the clock between two completions that a guest may see. On silicon the units of one layer complete one after the
 * other (operands fetched, sums made, result written), and a guest that is quick enough acknowledges each alone; one that is
 * not finds several bits. So many turns let a handler that waits behind a few promises be quick enough.
 */
const COMPLETION_TURNS = 16;

export class Glb {
  #status = 0;
  #mask = 0;
  readonly #bits: number;
  readonly #line: IrqLine;
  readonly #clock: Clock;
  /** Completions not yet in the status, in order. */
  #completions: number[] = [];
  #turns = 0;

  /** `bits` are the status bits that exist. */
  constructor(line: IrqLine, bits: number, clock: Clock) {
    this.#line = line;
    this.#bits = bits;
    this.#clock = clock;
  }

  readonly handlers: Partial<Record<string, UnitHandler>> = {
    S_INTR_MASK: {
      read: () => this.#mask,
      write: (value) => {
        this.#mask = value & this.#bits;
        this.#updateInterrupt();
      },
    },
    S_INTR_SET: {
      read: () => 0,
      write: (value) => this.raise(value & this.#bits),
    },
    S_INTR_STATUS: {
      read: () => this.#status,
      write: (value) => {
        this.#status &= ~value;
        this.#updateInterrupt();
      },
    },
  };

  raise(bits: number): void {
    this.#status |= bits;
    this.#updateInterrupt();
  }

  /** A unit completed: its bit is set once those before it had their turn. Masked ones take none. */
  complete(bit: number): void {
    this.#completions.push(bit);
    if (this.#turns === 0) this.#deliver();
  }

  reset(): void {
    this.#completions = [];
    this.#status = 0;
    this.#mask = 0;
    this.#updateInterrupt();
  }

  #deliver(): void {
    for (;;) {
      const bit = this.#completions.shift();
      if (bit === undefined) return;
      this.raise(1 << bit);
      if (((this.#mask >>> bit) & 1) === 0) break;
    }
    this.#turns = COMPLETION_TURNS;
    this.#clock.post(this.#turn);
  }

  readonly #turn = (): void => {
    if (--this.#turns > 0) this.#clock.post(this.#turn);
    else this.#deliver();
  };

  #updateInterrupt(): void {
    this.#line.set((this.#status & ~this.#mask) !== 0);
  }
}
