// Exact dot products of int16 inputs with int8 or int16 weights, four rows at a time.
// Not a layer: chunks, biases and saturation are the caller's.
//
// i32x4.dot_i16x8_s wraps for one pair only: -32768 * -32768 twice. Two ways to add up many of its results d:
// - plain: in 32 bits, when no sum can leave them;
// - split: A = sum of d modulo 2^32 and H = sum of (d >> 16). The low halves of fewer than 65536 terms add up to less
//   than 2^32, so the true sum is (H << 16) + ((A - (H << 16)) mod 2^32). A term may be the sum of 2 or 4 results when
//   |x| is small enough for that to fit. When an input is -32768, each d is lessened by 1, which brings the one wrapped
//   value back into range.

const PLAIN: i32 = 0;
const WRAPPED: i32 = 1;
const SPLIT_1: i32 = 2;
const SPLIT_2: i32 = 3;
const SPLIT_4: i32 = 4;

// @ts-ignore: decorator
@inline
function weights<W>(at: usize): v128 {
  return sizeof<W>() == 1 ? v128.load8x8_s(at) : v128.load(at);
}

/** The sums of four vectors' lanes as one vector. */
// @ts-ignore: decorator
@inline
export function lanes4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
  const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
  return i32x4.add(v128.shuffle<i32>(ab, cd, 0, 1, 4, 5), v128.shuffle<i32>(ab, cd, 2, 3, 6, 7));
}

/** Adds four int32 to i64[4]. */
// @ts-ignore: decorator
@inline
function addTo(out: usize, sums: v128): void {
  v128.store(out, i64x2.add(v128.load(out), i64x2.extend_low_i32x4_s(sums)));
  v128.store(out, i64x2.add(v128.load(out, 16), i64x2.extend_high_i32x4_s(sums)), 16);
}

/** Adds four rows' sums to i64[4] at `out`. `h`: sums of the high halves. */
// @ts-ignore: decorator
@inline
function combine(
  a0: v128,
  a1: v128,
  a2: v128,
  a3: v128,
  h0: v128,
  h1: v128,
  h2: v128,
  h3: v128,
  extra: i64,
  out: usize,
): void {
  const low = lanes4(
    i32x4.sub(a0, i32x4.shl(h0, 16)),
    i32x4.sub(a1, i32x4.shl(h1, 16)),
    i32x4.sub(a2, i32x4.shl(h2, 16)),
    i32x4.sub(a3, i32x4.shl(h3, 16)),
  );
  const high = lanes4(h0, h1, h2, h3);
  const e = i64x2.splat(extra);
  const s01 = i64x2.add(
    i64x2.add(i64x2.shl(i64x2.extend_low_i32x4_s(high), 16), i64x2.extend_low_i32x4_u(low)),
    e,
  );
  const s23 = i64x2.add(
    i64x2.add(i64x2.shl(i64x2.extend_high_i32x4_s(high), 16), i64x2.extend_high_i32x4_u(low)),
    e,
  );
  v128.store(out, i64x2.add(v128.load(out), s01));
  v128.store(out, i64x2.add(v128.load(out, 16), s23), 16);
}

/** Adds the products of one run of `count` (a multiple of 8) elements to i64[4] at `out`. `mode` is a constant. */
// @ts-ignore: decorator
@inline
function run4<W>(w0: usize, w1: usize, w2: usize, w3: usize, x: usize, count: i32, mode: i32, out: usize): void {
  let a0 = i32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  const step: usize = 8 * sizeof<W>();
  let at: usize = 0;
  if (mode == PLAIN) {
    const end = x + (<usize>count << 1);
    for (; x < end; x += 16) {
      const v = v128.load(x);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(weights<W>(w0 + at), v));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(weights<W>(w1 + at), v));
      a2 = i32x4.add(a2, i32x4.dot_i16x8_s(weights<W>(w2 + at), v));
      a3 = i32x4.add(a3, i32x4.dot_i16x8_s(weights<W>(w3 + at), v));
      at += step;
    }
    addTo(out, lanes4(a0, a1, a2, a3));
    return;
  }
  let h0 = a0;
  let h1 = a0;
  let h2 = a0;
  let h3 = a0;
  const group: i32 = mode == SPLIT_4 ? 4 : mode == SPLIT_2 ? 2 : 1;
  const bytes: usize = group * 16;
  const whole = (count >> 3) / group;
  let end = x + <usize>whole * bytes;
  for (; x < end; x += bytes) {
    let v = v128.load(x);
    let d0 = i32x4.dot_i16x8_s(weights<W>(w0 + at), v);
    let d1 = i32x4.dot_i16x8_s(weights<W>(w1 + at), v);
    let d2 = i32x4.dot_i16x8_s(weights<W>(w2 + at), v);
    let d3 = i32x4.dot_i16x8_s(weights<W>(w3 + at), v);
    at += step;
    if (group >= 2) {
      v = v128.load(x, 16);
      d0 = i32x4.add(d0, i32x4.dot_i16x8_s(weights<W>(w0 + at), v));
      d1 = i32x4.add(d1, i32x4.dot_i16x8_s(weights<W>(w1 + at), v));
      d2 = i32x4.add(d2, i32x4.dot_i16x8_s(weights<W>(w2 + at), v));
      d3 = i32x4.add(d3, i32x4.dot_i16x8_s(weights<W>(w3 + at), v));
      at += step;
    }
    if (group == 4) {
      v = v128.load(x, 32);
      d0 = i32x4.add(d0, i32x4.dot_i16x8_s(weights<W>(w0 + at), v));
      d1 = i32x4.add(d1, i32x4.dot_i16x8_s(weights<W>(w1 + at), v));
      d2 = i32x4.add(d2, i32x4.dot_i16x8_s(weights<W>(w2 + at), v));
      d3 = i32x4.add(d3, i32x4.dot_i16x8_s(weights<W>(w3 + at), v));
      at += step;
      v = v128.load(x, 48);
      d0 = i32x4.add(d0, i32x4.dot_i16x8_s(weights<W>(w0 + at), v));
      d1 = i32x4.add(d1, i32x4.dot_i16x8_s(weights<W>(w1 + at), v));
      d2 = i32x4.add(d2, i32x4.dot_i16x8_s(weights<W>(w2 + at), v));
      d3 = i32x4.add(d3, i32x4.dot_i16x8_s(weights<W>(w3 + at), v));
      at += step;
    }
    if (mode == WRAPPED) {
      const one = i32x4.splat(1);
      d0 = i32x4.sub(d0, one);
      d1 = i32x4.sub(d1, one);
      d2 = i32x4.sub(d2, one);
      d3 = i32x4.sub(d3, one);
    }
    a0 = i32x4.add(a0, d0);
    a1 = i32x4.add(a1, d1);
    a2 = i32x4.add(a2, d2);
    a3 = i32x4.add(a3, d3);
    h0 = i32x4.add(h0, i32x4.shr_s(d0, 16));
    h1 = i32x4.add(h1, i32x4.shr_s(d1, 16));
    h2 = i32x4.add(h2, i32x4.shr_s(d2, 16));
    h3 = i32x4.add(h3, i32x4.shr_s(d3, 16));
  }
  if (group > 1) {
    end = x + (<usize>((count >> 3) - whole * group) << 4);
    for (; x < end; x += 16) {
      const v = v128.load(x);
      const d0 = i32x4.dot_i16x8_s(weights<W>(w0 + at), v);
      const d1 = i32x4.dot_i16x8_s(weights<W>(w1 + at), v);
      const d2 = i32x4.dot_i16x8_s(weights<W>(w2 + at), v);
      const d3 = i32x4.dot_i16x8_s(weights<W>(w3 + at), v);
      at += step;
      a0 = i32x4.add(a0, d0);
      a1 = i32x4.add(a1, d1);
      a2 = i32x4.add(a2, d2);
      a3 = i32x4.add(a3, d3);
      h0 = i32x4.add(h0, i32x4.shr_s(d0, 16));
      h1 = i32x4.add(h1, i32x4.shr_s(d1, 16));
      h2 = i32x4.add(h2, i32x4.shr_s(d2, 16));
      h3 = i32x4.add(h3, i32x4.shr_s(d3, 16));
    }
  }
  // Each of the count / 8 results was lessened by 1 in each of 4 lanes.
  combine(a0, a1, a2, a3, h0, h1, h2, h3, mode == WRAPPED ? <i64>(count >> 1) : 0, out);
}

/** Elements whose products with inputs of |x| <= `reach` cannot leave 32 bits, however they fall. */
// @ts-ignore: decorator
@inline
function safeCount<W>(reach: i32): i32 {
  const largest: i32 = sizeof<W>() == 1 ? 128 : 32768;
  return (0x7fffffff / (largest * max(reach, 1))) & ~7;
}

/** Below this many elements at a time, splitting is faster than adding up in 32 bits. */
const PLAIN_LEAST: i32 = 256;

/** Whether `count` elements are added up in 32 bits, in one go or in parts. */
export function isPlain<W>(count: i32, reach: i32): bool {
  const safe = safeCount<W>(reach);
  return safe >= count || safe >= PLAIN_LEAST;
}

/** Where isPlain: the same as rows4 for two vectors, `step` bytes apart; i64[4] for each of them at `out`. */
export function rows4x2<W>(
  w0: usize,
  w1: usize,
  w2: usize,
  w3: usize,
  x: usize,
  step: usize,
  count: i32,
  reach: i32,
  out: usize,
): void {
  const safe = safeCount<W>(reach);
  let at: usize = 0;
  for (let k: i32 = 0; k < count; k += safe) {
    let a0 = i32x4.splat(0);
    let a1 = a0;
    let a2 = a0;
    let a3 = a0;
    let b0 = a0;
    let b1 = a0;
    let b2 = a0;
    let b3 = a0;
    const end = x + (<usize>min(safe, count - k) << 1);
    for (; x < end; x += 16) {
      const u = v128.load(x);
      const v = v128.load(x + step);
      let w = weights<W>(w0 + at);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(w, u));
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(w, v));
      w = weights<W>(w1 + at);
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(w, u));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(w, v));
      w = weights<W>(w2 + at);
      a2 = i32x4.add(a2, i32x4.dot_i16x8_s(w, u));
      b2 = i32x4.add(b2, i32x4.dot_i16x8_s(w, v));
      w = weights<W>(w3 + at);
      a3 = i32x4.add(a3, i32x4.dot_i16x8_s(w, u));
      b3 = i32x4.add(b3, i32x4.dot_i16x8_s(w, v));
      at += 8 * sizeof<W>();
    }
    addTo(out, lanes4(a0, a1, a2, a3));
    addTo(out + 32, lanes4(b0, b1, b2, b3));
  }
}

/**
 * Adds to i64[4] at `out` the products of four rows of weights of type W with `count` inputs (a multiple of 8).
 * @param reach largest |x| among the inputs
 */
export function rows4<W>(
  w0: usize,
  w1: usize,
  w2: usize,
  w3: usize,
  x: usize,
  count: i32,
  reach: i32,
  out: usize,
): void {
  const safe = safeCount<W>(reach);
  if (safe >= count) {
    run4<W>(w0, w1, w2, w3, x, count, PLAIN, out);
  } else if (safe >= PLAIN_LEAST) {
    for (let k: i32 = 0; k < count; k += safe) {
      const skip = <usize>k * sizeof<W>();
      const from = x + (<usize>k << 1);
      run4<W>(w0 + skip, w1 + skip, w2 + skip, w3 + skip, from, min(safe, count - k), PLAIN, out);
    }
  } else if (reach > 32767) {
    run4<W>(w0, w1, w2, w3, x, count, WRAPPED, out);
  } else if (reach > 16383) {
    run4<W>(w0, w1, w2, w3, x, count, SPLIT_1, out);
  } else if (reach > 8191) {
    run4<W>(w0, w1, w2, w3, x, count, SPLIT_2, out);
  } else {
    run4<W>(w0, w1, w2, w3, x, count, SPLIT_4, out);
  }
}
