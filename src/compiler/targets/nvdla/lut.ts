// Tables of SDP and CDP as the descriptors want them. Fact sheet sections 2.5, 2.7 and 5.
// Not the functions: whoever needs one samples it.
import { LutParam } from '../../../hw/nvdla/index.js';

/** A table of a segment, by identity. */
export interface Lut {
  /** dla_lut_param. */
  readonly bytes: Uint8Array;
}

/** Intervals of the linear table. */
const INTERVALS = 256;

/**
 * The linear table over [start, start + 256 * 2^select], flat outside. The other table is never used: both hits and mixed misses are
 * decided for the linear one, and so are misses of both.
 */
export function linearTable(start: number, select: number, entry: (at: number) => number): Lut {
  const table = Int16Array.from({ length: INTERVALS + 1 }, (_, i) =>
    Math.max(-32768, Math.min(32767, Math.round(entry(start + i * 2 ** select)))),
  );
  const flat = { scale: 0, shift: 0, reserved: 0 };
  const end = start + INTERVALS * 2 ** select;
  return {
    bytes: LutParam.bytes({
      linear_only_table: Array.from(table),
      linear_exp_offset: 0,
      linear_only_offset: select,
      linear_exp_start: BigInt.asUintN(64, BigInt(start)),
      linear_exp_end: BigInt.asUintN(64, BigInt(end)),
      linear_only_start: BigInt.asUintN(64, BigInt(start)),
      linear_only_end: BigInt.asUintN(64, BigInt(end)),
      linear_exp_underflow_slope: flat,
      linear_exp_overflow_slope: flat,
      linear_only_underflow_slope: flat,
      linear_only_overflow_slope: flat,
      hybrid_priority: 1,
      underflow_priority: 1,
      overflow_priority: 1,
      method: 1,
    }),
  };
}
