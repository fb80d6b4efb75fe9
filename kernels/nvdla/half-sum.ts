// CACC's fp16 accumulator: 8 exponent bits (bias 63), a fraction of 40 bits in two's complement. Fact sheet section 2.4.
// Not products: conv-half.ts. Not IEEE: rounding looks at the sign, normalising brings shifted-out bits back.

/** Bits of the fraction that count. */
const WIDTH: i32 = 40;
const TOP: i64 = 1 << 39;
const NAN: i32 = 255;

/** Significant bits of a number in two's complement, without its sign. */
// @ts-ignore: decorator
@inline
function length(v: i64): i32 {
  return 64 - <i32>clz(v ^ (v >> 63));
}

/**
 * Adds a MAC cell's result, sum * 2^(exponent - 50), to an accumulator in memory.
 * @param fraction where the accumulator's fraction is (int64); its exponent (int32) is at `power`
 * @param exponent four times the largest exponent sum of the cell; 0x3f marks a NaN
 * @param sum 38 bits
 */
export function accumulate(fraction: usize, power: usize, sum: i64, exponent: i32): void {
  if (sum == 0) return;
  let ea = load<i32>(power);
  if (ea == NAN) return;
  if (exponent == 0x3f) {
    // Sign and fraction of the fp16 NaN are the upper 11 bits.
    store<i64>(fraction, (sum >> 27) << 29);
    store<i32>(power, NAN);
    return;
  }
  let a = load<i64>(fraction);
  if (a == 0) ea = 0;
  const left = 37 - length(sum);
  let b = sum << (left + 2);
  const eb = exponent - left + 49;
  let out: i64 = 0;
  let e = eb;
  const difference = eb - ea;
  if (difference > 0) {
    if (difference <= WIDTH) {
      out = (a << (WIDTH - difference)) & (2 * TOP - 1);
      a >>= difference;
    } else a = 0;
  } else if (difference < 0) {
    e = ea;
    if (difference >= -WIDTH) {
      out = (b << (WIDTH + difference)) & (2 * TOP - 1);
      b >>= -difference;
    } else b = 0;
  }
  let s = a + b;
  let round: bool;
  if (s >= TOP || s < -TOP) {
    const lost = (s & 1) != 0;
    s >>= 1;
    e++;
    round = lost && (s >= 0 || out != 0);
  } else {
    // At most 39: a sum of 0 or -1 is all sign.
    const shift = 39 - length(s);
    if (shift > 0) {
      s = (s << shift) | (out >> (WIDTH - shift));
      out = (out << shift) & (2 * TOP - 1);
      e -= shift;
    }
    round = (out & TOP) != 0 && (s >= 0 || (out & (TOP - 1)) != 0);
  }
  if (round) {
    s++;
    if (s == TOP) {
      s = TOP >> 1;
      e++;
    } else if (s == 0) {
      s = -TOP;
      e++;
    }
  }
  store<i64>(fraction, s);
  store<i32>(power, s == 0 ? 0 : e & 255);
}

/** What SDP gets of an accumulator: fp32 bits, 24 bits rounded half up in magnitude. */
export function delivered(fraction: usize, power: usize): i32 {
  const m = load<i64>(fraction);
  const e = load<i32>(power);
  const sign = m < 0 ? -0x80000000 : 0;
  if (e == NAN) return sign | 0x7f800000 | <i32>((m >> 29) & 0x3ff);
  if (m == 0) return 0;
  if (m == -TOP) return sign | (((e + 65) & 255) << 23);
  const size = m < 0 ? -m : m;
  let kept = <i32>(size >> 15);
  let exponent = e + 64;
  if ((size & 0x4000) != 0) {
    kept++;
    if (kept == 1 << 24) {
      kept >>= 1;
      exponent++;
    }
  }
  return sign | ((exponent & 255) << 23) | (kept & 0x7fffff);
}
