// Estimated cycles of a GNA layer. Silicon's formula is not public; this one is ours.
// Not a timing model: the device model counts with it for PTC and PSC, the compiler for its report.
//
// Total = multiply-accumulates / (engines x 8, or 16 for 8-bit inputs) + bytes moved / 16 + 64 per layer descriptor.
import type { GnaConfig } from './config.js';

export const BYTES_PER_CYCLE = 16;
export const DESCRIPTOR_CYCLES = 64;

/** Most multiply-accumulates of a cycle. */
export function peakGnaMacs({ computeEngines, macsPerCycle }: GnaConfig, inputBytes: number): number {
  return computeEngines * (inputBytes === 1 ? macsPerCycle.int8 : macsPerCycle.int16);
}

/** Cycles of the multipliers. */
export function gnaComputeCycles(config: GnaConfig, macs: number, inputBytes: number): number {
  return Math.ceil(macs / peakGnaMacs(config, inputBytes));
}

/** Cycles of `layers` layers: one thing after the other. */
export function gnaCycles(compute: number, bytes: number, layers: number): number {
  return compute + bytes / BYTES_PER_CYCLE + layers * DESCRIPTOR_CYCLES;
}
