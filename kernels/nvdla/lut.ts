// The look-up tables of SDP and CDP: two tables, linear or exponential index, interpolation, slopes outside.
// Not their storage: entries are int16 in DRAM, LE 65 of them, then LO 257. Fact sheet sections 2.5, 2.7.
//
// `lut` points at 24 int32, in this order: address of the tables; LE exponential; priorities (0 LE, 1 LO) when both
// tables underflow, when both overflow, otherwise; LE offset, LE select, LO select; LE start, LE end, LO start, LO end as
// pairs (high, low); scale and shift of the slopes for LE underflow, LE overflow, LO underflow, LO overflow.

export const HIT: i32 = 0;
export const UNDERFLOW: i32 = 1;
export const OVERFLOW: i32 = 2;

const LE_LAST: i64 = 64;
const LO_LAST: i64 = 256;

function word(lut: usize, index: usize): i32 {
  return load<i32>(lut + (index << 2));
}

function pair(lut: usize, index: usize): i64 {
  return ((<i64>word(lut, index)) << 32) | ((<i64>word(lut, index + 1)) & 0xffffffff);
}

function entry(lut: usize, lo: bool, index: i64): i64 {
  return <i64>load<i16>(<usize>(<u32>word(lut, 0)) + ((<usize>(lo ? 65 : 0) + <usize>index) << 1));
}

/** Rounds to nearest, ties away from zero; a negative shift goes left. Clamped to about 2^`bits`. */
function shifted(value: i64, shift: i32, bits: i32): i64 {
  const limit: i64 = (<i64>1) << bits;
  if (shift < 0) {
    const most = limit >> -shift;
    if (value > most) return limit;
    if (value < -most) return -limit;
    return value << -shift;
  }
  if (shift == 0) return value;
  const half: i64 = (<i64>1) << (shift - 1);
  return value >= 0 ? (value + half) >> shift : -((half - value) >> shift);
}

/** Index of the interval that `d` (the distance from the start) lies in, -1 below the first. */
function position(d: i64, exponential: bool, offset: i32, select: i32): i64 {
  if (exponential) {
    if (d <= 0) return -1;
    return max<i64>(63 - clz(d) - <i64>offset, -1);
  }
  if (d <= 0) return -1;
  if (select >= 0) return select > 62 ? 0 : d >> select;
  return select < -16 ? 1 << 30 : d << -select;
}

/** Place inside the interval, `bits` fraction bits. */
function fraction(d: i64, exponential: bool, select: i32, bits: i32): i64 {
  const width = exponential ? <i32>(63 - clz(d)) : select;
  if (width <= 0) return 0;
  const f = d & (((<i64>1) << width) - 1);
  return width <= bits ? f << (bits - width) : f >> (width - bits);
}

function state(index: i64, last: i64): i32 {
  return index < 0 ? UNDERFLOW : index >= last ? OVERFLOW : HIT;
}

/** Whether the LO table's result counts, by what happened in both. */
export function choice(le: i32, lo: i32, lut: usize): bool {
  if (le == UNDERFLOW && lo == UNDERFLOW) return word(lut, 2) != 0;
  if (le == OVERFLOW && lo == OVERFLOW) return word(lut, 3) != 0;
  if (le == HIT && lo != HIT) return false;
  if (lo == HIT && le != HIT) return true;
  return word(lut, 4) != 0;
}

/** Looks `v` up. `cdp`: 16-bit fractions and results, else 35-bit fractions and 32-bit results. */
export function lookup(v: i64, lut: usize, cdp: bool): i64 {
  const exponential = word(lut, 1) != 0;
  const offset = word(lut, 5);
  const leStart = pair(lut, 8);
  const loStart = pair(lut, 12);
  const leIndex = position(v - leStart, exponential, offset, word(lut, 6));
  const loIndex = position(v - loStart, false, 0, word(lut, 7));
  const le = state(leIndex, LE_LAST);
  const lo = state(loIndex, LO_LAST);
  const useLo = choice(le, lo, lut);

  const most: i64 = cdp ? 0x7fff : 0x7fffffff;
  const least: i64 = cdp ? -0x8000 : -0x80000000;
  const bits: i32 = cdp ? 55 : 40;
  const which = useLo ? lo : le;
  const exponent = exponential && !useLo;
  const start = useLo ? loStart : leStart;
  let y: i64;
  if (which == UNDERFLOW) {
    const bias: i64 = exponent && offset > 0 ? (<i64>1) << offset : 0;
    const slope = <i64>word(lut, useLo ? 20 : 16);
    const term = shifted((v - start - bias) * slope, word(lut, useLo ? 21 : 17), bits);
    y = entry(lut, useLo, 0) + min(max(term, cdp ? term : least), cdp ? term : most);
  } else if (which == OVERFLOW) {
    const end = pair(lut, useLo ? 14 : 10);
    const slope = <i64>word(lut, useLo ? 22 : 18);
    const term = shifted((v - end) * slope, word(lut, useLo ? 23 : 19), bits);
    y = entry(lut, useLo, useLo ? LO_LAST : LE_LAST) + min(max(term, cdp ? term : least), cdp ? term : most);
  } else {
    const index = useLo ? loIndex : leIndex;
    const f = fraction(v - start, exponent, useLo ? word(lut, 7) : word(lut, 6), cdp ? 16 : 35);
    const y0 = entry(lut, useLo, index);
    const y1 = entry(lut, useLo, index + 1);
    if (cdp) y = y0 + shifted((y1 - y0) * f, 16, 55);
    else y = shifted(y0 * (((<i64>1) << 35) - f) + y1 * f, 35, 55);
  }
  return min(max(y, least), most);
}

/** SDP's table on a tile of int32, in place. */
export function lookupTile(tile: usize, count: i32, lut: usize): void {
  for (let i: i32 = 0; i < count; i++) {
    store<i32>(tile, <i32>lookup(<i64>load<i32>(tile), lut, false));
    tile += 4;
  }
}
