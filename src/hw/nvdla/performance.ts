// Rates of the configurations: elements per cycle of the units, widths and latencies of the memory ports. Data only.
// Source: spec/defs of the public hardware repository; memory bandwidths from its performance sheet (perf/). Not measured.
import type { ConfigName } from './config.js';

/** What a unit does in a cycle when nothing holds it up; bytes of a beat and cycles to the first one, by memory port. */
export interface Rates {
  /** Elements per cycle (`SDP_BS_THROUGHPUT` and its like); `sdpY` 0 where there is no such stage. */
  readonly sdpX: number;
  readonly sdpY: number;
  readonly pdp: number;
  readonly cdp: number;
  /** `PRIMARY_MEMIF_WIDTH`, `SECONDARY_MEMIF_WIDTH`, in bytes. */
  readonly beat: readonly [number, number];
  /** `PRIMARY_MEMIF_LATENCY`, `SECONDARY_MEMIF_LATENCY`. */
  readonly latency: readonly [number, number];
}

const small: Rates = { sdpX: 1, sdpY: 0, pdp: 1, cdp: 1, beat: [8, 8], latency: [64, 64] };
const large: Rates = { sdpX: 16, sdpY: 4, pdp: 8, cdp: 8, beat: [32, 32], latency: [1024, 1024] };

export const rates: Readonly<Record<ConfigName, Rates>> = {
  nv_full: { ...large, beat: [64, 64], latency: [1200, 128] },
  nv_large: large,
  nv_medium_1024_full: { ...large, sdpX: 8, sdpY: 2, pdp: 4, cdp: 4 },
  nv_medium_512: { ...small, sdpX: 4, pdp: 2, cdp: 2, beat: [16, 16], latency: [256, 256] },
  nv_small_256_full: { ...small, sdpX: 2, sdpY: 1 },
  nv_small_256: small,
  nv_small: small,
};

/**
 * The memory system that the performance sheet assumes, in GB/s: DRAM behind the first port with reads and writes together,
 * SRAM behind the second with each for itself; at its clock in MHz.
 */
export const memorySystem = { clockMhz: 1000, dram: 10, sramRead: 25, sramWrite: 25 } as const;
