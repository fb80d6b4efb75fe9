// Activation tables: straight lines with limits, and curves in up to 128 pieces with a bound on their error.
// Not the staircases of 8-bit results: staircase.ts. Fact sheet section 5.10.
import { PwlSegment } from '../../../hw/gna/index.js';
import { SEGMENTS_MAX } from './limits.js';

/** From `x` on: y + floor((sum - x) * slope / 2^shift). Of the first segment only y counts up to x. */
export interface Segment {
  /** A multiple of 4: the low bits are the shift's code. */
  readonly x: number;
  readonly y: number;
  readonly slope: number;
  readonly shift: number;
}

export type Table = readonly Segment[];

export const INT16_MAX = 32767;
export const INT32_MIN = -2147483648;
export const INT32_MAX = 2147483647;
const SHIFTS = [32, 24, 16, 8] as const;

/** The greatest multiple of 4 that is not above x, within int32. */
export function floor4(x: number): number {
  return Math.min(INT32_MAX - 3, Math.max(INT32_MIN, Math.floor(x / 4) * 4));
}

/** What the hardware makes of a sum, before saturation to the output's type. */
export function activate(table: Table, sum: number): number {
  let low = 0;
  let high = table.length - 1;
  if (sum <= table[0]!.x) return table[0]!.y;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (table[middle]!.x <= sum) low = middle;
    else high = middle - 1;
  }
  const { x, y, slope, shift } = table[low]!;
  return Math.floor(((sum - x) * slope) / 2 ** shift) + y;
}

export function tableBytes(table: Table): Uint8Array {
  const bytes = new Uint8Array(table.length * PwlSegment.size);
  table.forEach(({ x, y, slope, shift }, i) => {
    PwlSegment.put(bytes, { x_base: x + (shift / 8 - 1), y_base: y, slope }, i * PwlSegment.size);
  });
  return bytes;
}

/** The fraction slope / 2^shift next to `ratio` that int16 holds; the finest shift that fits. */
export function slopeNear(ratio: number): { slope: number; shift: number } {
  for (const shift of SHIFTS) {
    const slope = Math.round(ratio * 2 ** shift);
    if (Math.abs(slope) <= INT16_MAX) return { slope, shift };
  }
  return { slope: Math.sign(ratio) * INT16_MAX, shift: 8 };
}

/**
 * The greatest fraction slope / 2^shift that is not above `ratio`. A float result's scale is chosen so that the ratio is one of
 * these: then no precision is lost to the slope.
 */
export function slopeBelow(ratio: number): { slope: number; shift: number } {
  for (const shift of SHIFTS) {
    const slope = Math.floor(ratio * 2 ** shift);
    if (slope <= INT16_MAX) return { slope: Math.max(1, slope), shift };
  }
  return { slope: INT16_MAX, shift: 8 };
}

/** The least fraction slope / 2^shift that is not below `ratio`. */
export function slopeAbove(ratio: number): { slope: number; shift: number } {
  for (const shift of SHIFTS) {
    const slope = Math.ceil(ratio * 2 ** shift);
    if (slope <= INT16_MAX) return { slope: Math.max(1, slope), shift };
  }
  return { slope: INT16_MAX, shift: 8 };
}

/** y = sum * slope / 2^shift, rounded, kept in low..high. One slope below 0 may be another (LeakyRelu). */
export function lineTable(
  { slope, shift }: { slope: number; shift: number },
  low: number,
  high: number,
  negative?: { slope: number; shift: number },
): Table {
  const first = negative === undefined || negative.slope === 0 || low >= 0 ? { slope, shift } : negative;
  // What int32 does not reach of the line needs no segment.
  const bottom = Math.max(low, Math.floor((INT32_MIN * first.slope) / 2 ** first.shift + 0.5) + 1);
  const table: Segment[] = [{ x: INT32_MIN, y: Math.max(low, bottom - 1), slope: 0, shift: 8 }];
  const add = (y: number, line: { slope: number; shift: number }): void => {
    // The line is at y - 1/2 there: rounding down from then on rounds to the nearest.
    const x = floor4(((y - 0.5) * 2 ** line.shift) / line.slope);
    if (x > table.at(-1)!.x) table.push({ x, y, ...line });
    else table[table.length - 1] = { x, y, ...line };
  };
  add(bottom, first);
  if (first === negative) add(0, { slope, shift });
  const end = floor4(((high - 0.5) * 2 ** shift) / slope) + 4;
  if (end > table.at(-1)!.x && end < INT32_MAX - 3) table.push({ x: end, y: high, slope: 0, shift: 8 });
  // Tables have two segments at least.
  if (table.length === 1) table.unshift({ x: INT32_MIN, y: low, slope: 0, shift: 8 });
  return table;
}

/** A function of reals as the activation of sums. */
export interface Curve {
  of(x: number): number;
  /** Reals outside are treated as the nearer end. */
  readonly from: number;
  readonly to: number;
}

/** Points per curve at which curvature and error are looked at. */
const GRID = 1 << 15;

/**
 * A smooth curve in pieces of equal error. `unit` is the real that a sum of 1 stands for, `scale` that of a result of 1.
 * `error`: results are nowhere farther from the curve, in steps of the result, for sums within int32.
 */
export function curveTable(
  curve: Curve,
  unit: number,
  scale: number,
  most = SEGMENTS_MAX,
): { table: Table; error: number } {
  const from = Math.max(curve.from, INT32_MIN * unit);
  const to = Math.min(curve.to, (INT32_MAX - 7) * unit);
  const step = (to - from) / GRID;
  const at = (i: number): number => curve.of(from + i * step) / scale;
  // Pieces as wide as their error allows: density is the square root of the curvature, never none at all.
  const density = new Float64Array(GRID + 1);
  for (let i = 1; i <= GRID; i++) {
    const bend = Math.abs(at(i + 1) - 2 * at(i) + at(i - 1));
    density[i] = density[i - 1]! + Math.sqrt(bend) + 1e-5;
  }
  const pieces = most - 2;
  const cuts: number[] = [];
  let i = 0;
  for (let piece = 0; piece <= pieces; piece++) {
    const wanted = (density[GRID]! * piece) / pieces;
    while (i < GRID && density[i]! < wanted) i++;
    const x = piece === pieces ? floor4(to / unit) : floor4((from + i * step) / unit);
    if (cuts.length === 0 || x > cuts.at(-1)!) cuts.push(x);
  }
  const clamp = (y: number): number => Math.min(INT16_MAX, Math.max(-INT16_MAX - 1, Math.round(y)));
  const value = (x: number): number => curve.of(x * unit) / scale;
  const table: Segment[] = [{ x: INT32_MIN, y: clamp(value(cuts[0]!)), slope: 0, shift: 8 }];
  for (let k = 0; k + 1 < cuts.length; k++) {
    const x = cuts[k]!;
    const width = cuts[k + 1]! - x;
    const start = value(x);
    const { slope, shift } = slopeNear((value(x + width) - start) / width);
    // The line in the middle of what it is to follow; half a step for rounding down.
    let [least, largest] = [Infinity, -Infinity];
    for (let n = 0; n <= 16; n++) {
      const dx = (width * n) / 16;
      const distance = value(x + dx) - (start + (dx * slope) / 2 ** shift);
      least = Math.min(least, distance);
      largest = Math.max(largest, distance);
    }
    const y = clamp(start + (least + largest) / 2 + (slope === 0 ? 0 : 0.5));
    table.push({ x, y, slope, shift });
  }
  table.push({ x: cuts.at(-1)!, y: clamp(value(cuts.at(-1)!)), slope: 0, shift: 8 });
  if (table[1]!.x === INT32_MIN) table.shift();
  return { table, error: errorOf(table, curve, unit, scale) };
}

/** Samples per segment; between two of them neither line nor curve goes farther than half their difference. */
const SAMPLES = 64;

function errorOf(table: Table, curve: Curve, unit: number, scale: number): number {
  const value = (x: number): number => curve.of(Math.min(curve.to, Math.max(curve.from, x * unit))) / scale;
  let most = 0;
  for (let k = 0; k < table.length; k++) {
    const { x, y, slope, shift } = table[k]!;
    const end = table[k + 1]?.x ?? INT32_MAX;
    let before: number | undefined;
    for (let n = 0; n <= SAMPLES; n++) {
      const dx = ((end - x) * n) / SAMPLES;
      const distance = (dx * slope) / 2 ** shift + y - value(x + dx);
      // Rounded down: up to one step below the line.
      const half = before === undefined ? 0 : Math.abs(distance - before) / 2;
      most = Math.max(most, Math.abs(distance) + half, Math.abs(distance - (slope === 0 ? 0 : 1)) + half);
      before = distance;
    }
  }
  return most;
}
