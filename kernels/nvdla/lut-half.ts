// The look-up tables of SDP and CDP holding fp16: index in fp32, interpolation and slopes in fp17. Fact sheet sections 2.5, 2.7.
// Not integers: lut.ts, where the block of parameters at `lut` is described. Starts and ends are fp32, slopes fp16.
import { add17, add32, mul17, narrow17, negated, toFloat, toFloat17 } from './float';
import { choice, HIT, OVERFLOW, UNDERFLOW } from './lut';

const LE_LAST: i32 = 64;
const LO_LAST: i32 = 256;
const ONE: i32 = 0x3f800000;

function word(lut: usize, index: usize): i32 {
  return load<i32>(lut + (index << 2));
}

function entry(lut: usize, lo: bool, index: i32): i32 {
  return <i32>load<u16>(<usize>(<u32>word(lut, 0)) + ((<usize>(lo ? 65 : 0) + <usize>index) << 1));
}

// One number at a time: fp32 bits in and out.

function sum32(a: i32, b: i32): i32 {
  return i32x4.extract_lane(add32(i32x4.splat(a), i32x4.splat(b)), 0);
}

function difference32(a: i32, b: i32): i32 {
  return i32x4.extract_lane(add32(i32x4.splat(a), negated(i32x4.splat(b))), 0);
}

function sum17(a: i32, b: i32): i32 {
  return i32x4.extract_lane(add17(i32x4.splat(a), i32x4.splat(b)), 0);
}

function product17(a: i32, b: i32): i32 {
  return i32x4.extract_lane(mul17(i32x4.splat(a), i32x4.splat(b)), 0);
}

function of17(half: i32): i32 {
  return i32x4.extract_lane(toFloat17(i32x4.splat(half)), 0);
}

function of32(half: i32): i32 {
  return i32x4.extract_lane(toFloat(i32x4.splat(half)), 0);
}

function to17(bits: i32): i32 {
  return i32x4.extract_lane(narrow17(i32x4.splat(bits)), 0);
}

/** A fraction of at most 53 bits to fp17: nearest, ties to even; below the least normal number 0. */
function fraction17(value: f64): i32 {
  const bits = reinterpret<u64>(value);
  const rounded = (bits + 0x1ffffffffff + ((bits >> 42) & 1)) & ~(<u64>0x3ffffffffff);
  const result = reinterpret<i32>(<f32>reinterpret<f64>(rounded));
  return result < 0x30800000 ? 0 : result;
}

/** 2 to the power of `exponent`, as fp32 bits. */
function power(exponent: i32): i32 {
  return exponent <= -127 ? 0 : (exponent + 127) << 23;
}

/** Where `d` (the distance from the start) lies: the index of an interval and the place in it, -1 below the first. */
function position(d: i32, exponential: bool, offset: i32, select: i32): f64 {
  const value = reinterpret<f32>(d);
  if (!(value > 0)) return -1;
  if (!exponential) return min(<f64>value * scale(-select), 511);
  const e = (d >>> 23) - 127 - offset;
  if (e < 0) return -1;
  return <f64>e + <f64>(d & 0x7fffff) / 8388608.0;
}

function scale(exponent: i32): f64 {
  return reinterpret<f64>((<i64>(exponent + 1023)) << 52);
}

function state(place: f64, last: i32): i32 {
  return place < 0 ? UNDERFLOW : place >= <f64>last ? OVERFLOW : HIT;
}

/** Looks fp32 `x` up. `cdp`: a fraction of 16 bits times the difference of two entries, else their weighted sum. */
export function lookupHalf(x: i32, lut: usize, cdp: bool): i32 {
  const exponential = word(lut, 1) != 0;
  const leStart = word(lut, 9);
  const loStart = word(lut, 13);
  const lePlace = position(difference32(x, leStart), exponential, word(lut, 5), word(lut, 6));
  const loPlace = position(difference32(x, loStart), false, 0, word(lut, 7));
  const le = state(lePlace, LE_LAST);
  const lo = state(loPlace, LO_LAST);
  const useLo = choice(le, lo, lut);
  const which = useLo ? lo : le;
  if (which == HIT) {
    const place = useLo ? loPlace : lePlace;
    const index = <i32>place;
    const rest = place - <f64>index;
    const first = entry(lut, useLo, index);
    const second = entry(lut, useLo, index + 1);
    if (cdp) {
      const part = fraction17(Math.floor(rest * 65536.0) / 65536.0);
      const rise = to17(difference32(of32(second), of32(first)));
      return sum17(product17(rise, part), of17(first));
    }
    const part = Math.floor(rest * 34359738368.0) / 34359738368.0;
    const share = part == 0 ? ONE : fraction17(1.0 - part);
    return sum17(product17(share, of17(first)), product17(fraction17(part), of17(second)));
  }
  let from: i32;
  let slope: i32;
  let last: i32;
  if (which == UNDERFLOW) {
    from = useLo ? loStart : leStart;
    if (exponential && !useLo) from = sum32(from, power(word(lut, 5)));
    slope = word(lut, useLo ? 20 : 16);
    last = 0;
  } else {
    from = word(lut, useLo ? 15 : 11);
    slope = word(lut, useLo ? 22 : 18);
    last = useLo ? LO_LAST : LE_LAST;
  }
  const rise = product17(to17(difference32(x, from)), of17(slope & 0xffff));
  const base = of17(entry(lut, useLo, last));
  return cdp ? sum17(rise, base) : sum17(base, rise);
}

/** SDP's table on a tile of fp32, in place. */
export function lookupTileHalf(tile: usize, count: i32, lut: usize): void {
  for (let i: i32 = 0; i < count; i++) {
    store<i32>(tile, lookupHalf(load<i32>(tile), lut, false));
    tile += 4;
  }
}
