// Activation tables for 8-bit results: every step exactly where the integer semantics have it.
// Not for 16-bit results: they have too many steps; pwl.ts.
//
// A multiplier of a requantisation has 53 bits, a segment's slope 15. But 256 levels and up to 128 segments make few levels per
// segment: each segment starts exactly where a level begins, and its slope only has to hold for those few.
import { activate, floor4, INT32_MAX, INT32_MIN, INT16_MAX, type Segment, type Table } from './pwl.js';
import { SEGMENTS_MAX } from './limits.js';

export interface Stairs {
  /** The result for a sum of n; it never falls as n grows. */
  level(n: number): number;
  /** The hardware's sums are n * unit. At least 4, so that every n has a place for a segment to begin. */
  readonly unit: number;
}

/** Starts that are tried for a segment, between the last sum of one level and the first of the next. */
const STARTS = 9;

/** The table, equal to `level` at every multiple of `unit` within int32; undefined when 128 segments do not do. */
export function staircase({ level, unit }: Stairs): Table | undefined {
  const least = Math.ceil(INT32_MIN / unit);
  const most = Math.floor(INT32_MAX / unit);
  const bottom = level(least);
  const top = level(most);
  // first[j]: the least n whose level is at least bottom + j.
  const first: number[] = [least];
  for (let j = bottom + 1; j <= top; j++) {
    let low = first.at(-1)!;
    let high = most;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (level(middle) >= j) high = middle;
      else low = middle + 1;
    }
    first.push(low);
  }
  const steps = top - bottom;
  const table: Segment[] = [{ x: INT32_MIN, y: bottom, slope: 0, shift: 8 }];
  let j = 1;
  while (j <= steps) {
    // Levels that no n has are left out.
    while (j < steps && first[j + 1] === first[j]) j++;
    const { segment, levels } = longest(first, j, steps, unit, bottom + j);
    table.push(segment);
    if (table.length > SEGMENTS_MAX) return undefined;
    j += levels;
  }
  if (table.length === 1) table.push({ x: floor4(INT32_MAX), y: bottom, slope: 0, shift: 8 });
  return holds(table, first, unit, bottom) ? table : undefined;
}

/** The segment from level j on that is right for the most levels. The last level is a segment of its own, flat. */
function longest(
  first: readonly number[],
  j: number,
  steps: number,
  unit: number,
  y: number,
): { segment: Segment; levels: number } {
  const end = first[j]! * unit;
  const begin = (first[j]! - 1) * unit;
  let best = { segment: { x: floor4(end), y, slope: 0, shift: 8 }, levels: 1 };
  if (j === steps) return best;
  let previous = NaN;
  for (let i = 0; i < STARTS; i++) {
    const x = floor4(begin + 1 + 3 + ((unit - 4) * i) / (STARTS - 1));
    if (x <= begin || x > end || x === previous) continue;
    previous = x;
    let low = 0;
    let high = Infinity;
    for (let k = 1; j + k <= steps; k++) {
      const at = first[j + k]!;
      // Before level k begins the line is below it; so the segment may end there ...
      high = Math.min(high, k / ((at - 1) * unit - x));
      const line = between(low, high);
      if (line === undefined) break;
      if (k > best.levels) best = { segment: { x, y, ...line }, levels: k };
      // ... or go on, when it reaches it there.
      low = Math.max(low, k / (at * unit - x));
      if (j + k === steps || between(low, high) === undefined) break;
    }
  }
  return best;
}

/** A slope of at least `low` and below `high`. */
function between(low: number, high: number): { slope: number; shift: number } | undefined {
  if (low === 0) return { slope: 0, shift: 8 };
  for (const shift of [32, 24, 16, 8]) {
    const slope = Math.ceil(low * 2 ** shift);
    if (slope <= INT16_MAX && slope / 2 ** shift < high) return { slope, shift };
  }
  return undefined;
}

/** Whether every level begins where it should. Between the beginnings nothing can be wrong: lines do not fall. */
function holds(table: Table, first: readonly number[], unit: number, bottom: number): boolean {
  for (let j = 1; j < first.length; j++) {
    if (first[j + 1] === first[j]) continue;
    const n = first[j]!;
    if (activate(table, n * unit) !== bottom + j) return false;
    let below = j - 1;
    while (below > 0 && first[below] === n) below--;
    if (n > first[0]! && activate(table, (n - 1) * unit) !== bottom + below) return false;
  }
  return true;
}
