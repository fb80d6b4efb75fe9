// Faults on demand: which kind strikes when, counted per device and reproducible from a seed.
// Not what a fault does: buses, engine handles and models act it out.
import { AccelError } from '../base/errors.js';
import type { FaultHooks, FaultKind } from '../bus/port.js';

export interface FaultOptions {
  /** Opportunities that pass unharmed first. Default 0. */
  readonly after?: number;
  /** From then on every n-th opportunity; default: once only. */
  readonly every?: number;
  /** With `every`: strike at random with probability 1/every, from this seed. */
  readonly seed?: number;
}

interface Armed {
  readonly after: number;
  readonly every: number | undefined;
  random: number | undefined;
  seen: number;
}

/** The faults of one device. An opportunity is one submit, one rising interrupt, one transfer ... of its kind. */
export class Faults implements FaultHooks {
  readonly #armed = new Map<FaultKind, Armed>();
  readonly #delivered = new Map<FaultKind, number>();
  readonly #impossible: Partial<Record<FaultKind, string>>;

  /** `impossible`: kinds this device cannot suffer, and why. */
  constructor(impossible: Partial<Record<FaultKind, string>> = {}) {
    this.#impossible = impossible;
  }

  /** @throws AccelError EOPNOTSUPP for a fault this device cannot suffer, EINVAL */
  arm(kind: FaultKind, options: FaultOptions = {}): void {
    const reason = this.#impossible[kind];
    if (reason !== undefined) throw new AccelError('EOPNOTSUPP', { field: kind, reason });
    const { after = 0, every, seed } = options;
    if (after < 0 || (every !== undefined && every < 1)) {
      throw new AccelError('EINVAL', {
        field: 'every',
        reason: `after ${after} every ${every}: out of range`,
      });
    }
    this.#armed.set(kind, {
      after,
      every,
      random: seed === undefined ? undefined : seed >>> 0 || 1,
      seen: 0,
    });
  }

  disarm(kind?: FaultKind): void {
    if (kind === undefined) this.#armed.clear();
    else this.#armed.delete(kind);
  }

  /** How often this kind was delivered. */
  delivered(kind: FaultKind): number {
    return this.#delivered.get(kind) ?? 0;
  }

  take(kind: FaultKind): boolean {
    // Nothing armed is the common case and on hot paths.
    if (this.#armed.size === 0) return false;
    const fault = this.#armed.get(kind);
    if (fault === undefined) return false;
    const turn = fault.seen++ - fault.after;
    if (turn < 0) return false;
    if (fault.every === undefined) this.#armed.delete(kind);
    else if (fault.random !== undefined) {
      // xorshift32
      let x = fault.random;
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      fault.random = x >>> 0;
      if (fault.random % fault.every !== 0) return false;
    } else if (turn % fault.every !== 0) return false;
    this.#delivered.set(kind, this.delivered(kind) + 1);
    return true;
  }
}
