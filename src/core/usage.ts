// Busy time per engine and client: what fdinfo, top and metrics read.
// Not a sampler: numbers only grow, readers take differences.

/** Busy time of one engine. Names are the hardware's units: `conv`, `pdp`. */
export interface EngineUsage {
  readonly engine: string;
  /** Nanoseconds with at least one job on it. */
  readonly busyNs: number;
  /** Jobs finished. */
  readonly jobs: number;
}

/** Accumulates the time during which at least one start has no stop yet. */
export class BusyTime {
  #busy = 0;
  #depth = 0;
  #since = 0;
  #jobs = 0;

  start(now: number): void {
    if (this.#depth++ === 0) this.#since = now;
  }

  /** Ends one start. Counts as one job. */
  stop(now: number): void {
    if (this.#depth === 0) return;
    this.#jobs++;
    if (--this.#depth === 0) this.#busy += now - this.#since;
  }

  /** Starts without a stop. */
  get depth(): number {
    return this.#depth;
  }

  get jobs(): number {
    return this.#jobs;
  }

  /** Busy nanoseconds until `now`, the running stretch included. */
  busyNs(now: number): number {
    return this.#busy + (this.#depth > 0 ? now - this.#since : 0);
  }

  usage(engine: string, now: number): EngineUsage {
    return { engine, busyNs: this.busyNs(now), jobs: this.#jobs };
  }
}
