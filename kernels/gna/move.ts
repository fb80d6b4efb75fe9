// Moving elements: copy, transposes, widening to int16, the largest absolute value.
// Not arithmetic of a layer.
import { Move } from './command';

/** Copies rows of `columns` elements; what lies between the output's rows stays. */
export function copyRows(command: usize): i32 {
  const p = changetype<Move>(command);
  const bytes = <usize>(p.columns * p.elementBytes);
  for (let r: i32 = 0; r < p.rows; r++) {
    const from = <usize>p.input + <usize>r * <usize>(p.inputPitch * p.elementBytes);
    const to = <usize>p.output + <usize>r * <usize>(p.outputPitch * p.elementBytes);
    memory.copy(to, from, bytes);
  }
  return 0;
}

// @ts-ignore: decorator
@inline
function transposeOf<T>(p: Move): void {
  const rows = p.rows;
  const columns = p.columns;
  const input = <usize>p.input;
  let to = <usize>p.output;
  const pitch = <usize>columns * sizeof<T>();
  for (let c: i32 = 0; c < columns; c++) {
    let from = input + <usize>c * sizeof<T>();
    for (let r: i32 = 0; r < rows; r++) {
      store<T>(to, load<T>(from));
      from += pitch;
      to += sizeof<T>();
    }
  }
}

function disjoint(p: Move): bool {
  const bytes = <u32>(p.rows * p.columns * p.elementBytes);
  return p.output + bytes <= p.input || p.input + bytes <= p.output;
}

/** [rows][columns] to [columns][rows]. */
export function transpose(command: usize): i32 {
  const p = changetype<Move>(command);
  // Batches are at most 8 wide: those of int16 are what deinterleaving is for.
  if (p.elementBytes == 2 && p.columns > 1 && p.columns <= 8 && disjoint(p))
    widenColumns(p.input, 2, p.columns, p.output, p.rows);
  else if (p.elementBytes == 1) transposeOf<i8>(p);
  else transposeOf<i16>(p);
  return 0;
}

/** `count` elements to int16. */
export function widen(src: usize, bytes: i32, dst: usize, count: i32): void {
  if (bytes == 2) {
    memory.copy(dst, src, <usize>count << 1);
    return;
  }
  let i: i32 = 0;
  for (; i + 8 <= count; i += 8) v128.store(dst + (<usize>i << 1), v128.load8x8_s(src + <usize>i));
  for (; i < count; i++) store<i16>(dst + (<usize>i << 1), load<i8>(src + <usize>i));
}

// @ts-ignore: decorator
@inline
function eight(at: usize, bytes: i32): v128 {
  return bytes == 1 ? v128.load8x8_s(at) : v128.load(at);
}

/** The low or high halves of two rows, element by element. */
// @ts-ignore: decorator
@inline
function zip(a: v128, b: v128, high: bool): v128 {
  return high
    ? v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
    : v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

/**
 * [count][columns] of `bytes` to [columns][count] int16, `columns` from 2 to 8: the vectors of a batch, one after the other.
 */
export function widenColumns(src: usize, bytes: i32, columns: i32, dst: usize, count: i32): void {
  const line = <usize>(columns * bytes);
  const pitch = <usize>count << 1;
  let k: i32 = 0;
  // Rows are read eight elements at a time, so the last ones are left to the loop below.
  for (; k + 16 <= count; k += 8) {
    const from = src + <usize>k * line;
    const ab = eight(from, bytes);
    const bb = eight(from + line, bytes);
    const cb = eight(from + 2 * line, bytes);
    const db = eight(from + 3 * line, bytes);
    const eb = eight(from + 4 * line, bytes);
    const fb = eight(from + 5 * line, bytes);
    const gb = eight(from + 6 * line, bytes);
    const hb = eight(from + 7 * line, bytes);
    let to = dst + (<usize>k << 1);
    let high = false;
    for (let n: i32 = 0; n < columns; n += 4) {
      const ba = high ? zip(ab, bb, true) : zip(ab, bb, false);
      const dc = high ? zip(cb, db, true) : zip(cb, db, false);
      const fe = high ? zip(eb, fb, true) : zip(eb, fb, false);
      const hg = high ? zip(gb, hb, true) : zip(gb, hb, false);
      const abcd01 = v128.shuffle<i32>(ba, dc, 0, 4, 1, 5);
      const efgh01 = v128.shuffle<i32>(fe, hg, 0, 4, 1, 5);
      const abcd23 = v128.shuffle<i32>(ba, dc, 2, 6, 3, 7);
      const efgh23 = v128.shuffle<i32>(fe, hg, 2, 6, 3, 7);
      v128.store(to, v128.shuffle<i64>(abcd01, efgh01, 0, 2));
      if (n + 1 < columns) v128.store(to + pitch, v128.shuffle<i64>(abcd01, efgh01, 1, 3));
      if (n + 2 < columns) v128.store(to + 2 * pitch, v128.shuffle<i64>(abcd23, efgh23, 0, 2));
      if (n + 3 < columns) v128.store(to + 3 * pitch, v128.shuffle<i64>(abcd23, efgh23, 1, 3));
      to += 4 * pitch;
      high = true;
    }
  }
  for (; k < count; k++) {
    let from = src + <usize>k * line;
    let to = dst + (<usize>k << 1);
    for (let n: i32 = 0; n < columns; n++) {
      store<i16>(to, bytes == 1 ? <i16>load<i8>(from) : load<i16>(from));
      from += bytes;
      to += pitch;
    }
  }
}

/** The largest |x| of `count` int16. */
export function reach16(at: usize, count: i32): i32 {
  let low = i16x8.splat(0);
  let high = i16x8.splat(0);
  const end = at + (<usize>count << 1);
  for (; at + 16 <= end; at += 16) {
    const v = v128.load(at);
    low = i16x8.min_s(low, v);
    high = i16x8.max_s(high, v);
  }
  let least: i32 = 0;
  let most: i32 = 0;
  for (; at < end; at += 2) {
    least = min(least, <i32>load<i16>(at));
    most = max(most, <i32>load<i16>(at));
  }
  low = i16x8.min_s(low, v128.shuffle<i64>(low, low, 1, 1));
  low = i16x8.min_s(low, v128.shuffle<i32>(low, low, 1, 1, 1, 1));
  high = i16x8.max_s(high, v128.shuffle<i64>(high, high, 1, 1));
  high = i16x8.max_s(high, v128.shuffle<i32>(high, high, 1, 1, 1, 1));
  least = min(least, min(i16x8.extract_lane_s(low, 0), i16x8.extract_lane_s(low, 1)));
  most = max(most, max(i16x8.extract_lane_s(high, 0), i16x8.extract_lane_s(high, 1)));
  return max(-least, most);
}
