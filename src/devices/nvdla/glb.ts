// GLB's interrupt registers: status (write one to clear), mask, set; the level of the one line follows from them.
// Not the units that raise them. Fact sheet section 1.4.
import type { IrqLine } from '../../bus/port.js';
import type { UnitHandler } from './unit.js';

export class Glb {
  #status = 0;
  #mask = 0;
  readonly #bits: number;
  readonly #line: IrqLine;

  /** `bits` are the status bits that exist. */
  constructor(line: IrqLine, bits: number) {
    this.#line = line;
    this.#bits = bits;
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

  reset(): void {
    this.#status = 0;
    this.#mask = 0;
    this.#updateInterrupt();
  }

  #updateInterrupt(): void {
    this.#line.set((this.#status & ~this.#mask) !== 0);
  }
}
