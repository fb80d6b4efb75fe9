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
