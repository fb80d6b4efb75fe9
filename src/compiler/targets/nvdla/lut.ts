// Tables of SDP and CDP as the descriptors want them. Fact sheet sections 2.5, 2.7 and 5.
// Not the functions: whoever needs one samples it.
import { LutParam } from '../../../hw/nvdla/index.js';
import { floatToHalf, halfToFloat } from '../../ir/evaluate/half.js';

/** A table of a segment, by identity. */
export interface Lut {
  /** What it computes, for reports. */
  readonly name: string;
  /** dla_lut_param. */
  readonly bytes: Uint8Array;
}

/** Intervals of the linear table. */
const INTERVALS = 256;

/**
 * The linear table over [start, start + 256 * 2^select], flat outside. The other table is never used: both hits and mixed misses are
 * decided for the linear one, and so are misses of both.
 */
export function linearTable(name: string, start: number, select: number, entry: (at: number) => number): Lut {
  const table = Int16Array.from({ length: INTERVALS + 1 }, (_, i) =>
    Math.max(-32768, Math.min(32767, Math.round(entry(start + i * 2 ** select)))),
  );
  const flat = { scale: 0, shift: 0, reserved: 0 };
  const end = start + INTERVALS * 2 ** select;
  return {
    name,
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

/** A linear table of fp16: `intervals` of 2^select from `start` on. */
export interface HalfRange {
  readonly start: number;
  readonly select: number;
}

/** Both tables of a function in fp16, side by side; beyond them straight lines of the slopes given, default flat. */
export interface HalfTables {
  /** The table of 256 intervals. */
  readonly main: HalfRange;
  /** The table of 64 intervals, before or behind the main one; nowhere by default. */
  readonly side?: HalfRange;
  readonly under?: number;
  readonly over?: number;
}

/** Intervals of the smaller table. */
const SIDE_INTERVALS = 64;
const HALF_MAX = 65504;

const ends = ({ main, side }: HalfTables): { mainEnd: number; sideEnd: number } => ({
  mainEnd: main.start + INTERVALS * 2 ** main.select,
  sideEnd: side === undefined ? 0 : side.start + SIDE_INTERVALS * 2 ** side.select,
});

function halfEntries(
  { start, select }: HalfRange,
  intervals: number,
  entry: (at: number) => number,
): Float64Array {
  return Float64Array.from({ length: intervals + 1 }, (_, i) => {
    const value = entry(start + i * 2 ** select);
    return halfToFloat(floatToHalf(Math.max(-HALF_MAX, Math.min(HALF_MAX, value))));
  });
}

/**
 * Tables of fp16 entries for SDP. Where only one of the two hits it is taken; misses on both sides are decided for the one that lies
 * there, and the point between them for the main one.
 */
export function halfTable(name: string, tables: HalfTables, entry: (at: number) => number): Lut {
  const { main, under = 0, over = 0 } = tables;
  const side = tables.side ?? main;
  const { mainEnd } = ends(tables);
  const sideEnd =
    tables.side === undefined ? main.start + SIDE_INTERVALS * 2 ** main.select : ends(tables).sideEnd;
  const before = tables.side !== undefined && side.start < main.start;
  const behind = tables.side !== undefined && !before;
  const bits = (values: Float64Array): number[] =>
    Array.from(values, (value) => (floatToHalf(value) << 16) >> 16);
  const bound = (value: number): bigint => BigInt(new Uint32Array(Float32Array.of(value).buffer)[0]!);
  const slope = (value: number): { scale: number; shift: number; reserved: number } => ({
    scale: (floatToHalf(value) << 16) >> 16,
    shift: 0,
    reserved: 0,
  });
  return {
    name,
    bytes: LutParam.bytes({
      linear_exp_table: bits(halfEntries(side, SIDE_INTERVALS, entry)),
      linear_only_table: bits(halfEntries(main, INTERVALS, entry)),
      linear_exp_offset: side.select,
      linear_only_offset: main.select,
      linear_exp_start: bound(side.start),
      linear_exp_end: bound(sideEnd),
      linear_only_start: bound(main.start),
      linear_only_end: bound(mainEnd),
      linear_exp_underflow_slope: slope(under),
      linear_exp_overflow_slope: slope(over),
      linear_only_underflow_slope: slope(under),
      linear_only_overflow_slope: slope(over),
      hybrid_priority: 1,
      underflow_priority: before ? 0 : 1,
      overflow_priority: behind ? 0 : 1,
      method: 1,
    }),
  };
}

/** What the tables make of `x`, rounding of the interpolation left out. */
export function lookUpHalf(tables: HalfTables, entry: (at: number) => number): (x: number) => number {
  const { main, side, under = 0, over = 0 } = tables;
  const { mainEnd, sideEnd } = ends(tables);
  const mainEntries = halfEntries(main, INTERVALS, entry);
  const sideEntries = side === undefined ? undefined : halfEntries(side, SIDE_INTERVALS, entry);
  const least = side !== undefined && side.start < main.start ? side.start : main.start;
  const most = side !== undefined && side.start > main.start ? sideEnd : mainEnd;
  const inside = ({ start, select }: HalfRange, entries: Float64Array, x: number): number => {
    const place = (x - start) / 2 ** select;
    const index = Math.min(entries.length - 2, Math.floor(place));
    return entries[index]! + (place - index) * (entries[index + 1]! - entries[index]!);
  };
  const pick = (x: number): number =>
    x >= main.start && x <= mainEnd ? inside(main, mainEntries, x) : inside(side!, sideEntries!, x);
  return (x) => {
    if (x < least) return pick(least) + (x - least) * under;
    if (x > most) return pick(most) + (x - most) * over;
    return pick(x);
  };
}
