// Gaussian mixture scores. Fact sheet section 5.8.
// Not a search for the best state: every score is written.
//
// A difference d has 9 bits and a sign, so d * v fits 16 bits for v up to 128, and i32x4.dot_i16x8_s of d and d * v adds up
// squares weighted with v. 8-bit variances are the sum of two such v; 16-bit ones are a * 2^14 + b * 2^7 + c.
import { Gmm } from './command';
import { lanes4 } from './dot';

/** Longest feature vector. */
const LENGTH_MAX: i32 = 96;
const VECTOR_BYTES: usize = <usize>LENGTH_MAX << 1;
/** Scratch: 8 feature vectors as int16, then the best score of each as u64. */
const BEST: usize = 8 * VECTOR_BYTES;

/** Scores of four vectors for one mixture into u64[4] at `best`, where they are less. */
// @ts-ignore: decorator
@inline
function keepLeast(low: v128, high: v128, constant: i64, best: usize): void {
  const c = i64x2.splat(constant);
  const s01 = i64x2.add(low, c);
  const s23 = i64x2.add(high, c);
  const b01 = v128.load(best);
  const b23 = v128.load(best, 16);
  v128.store(best, v128.bitselect(s01, b01, i64x2.lt_s(s01, b01)));
  v128.store(best, v128.bitselect(s23, b23, i64x2.lt_s(s23, b23)), 16);
}

/** Four vectors, 8-bit variances. */
// @ts-ignore: decorator
@inline
function mixture8(x: usize, mean: usize, variance: usize, length: i32, constant: i64, best: usize): void {
  let a0 = i32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  const end = mean + <usize>length;
  for (; mean < end; mean += 8) {
    const m = v128.load8x8_u(mean);
    const v = v128.load8x8_u(variance);
    const half = i16x8.shr_u(v, 1);
    const other = i16x8.sub(v, half);
    let d = i16x8.sub(v128.load(x), m);
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(d, i16x8.mul(d, half)));
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(d, i16x8.mul(d, other)));
    d = i16x8.sub(v128.load(x, VECTOR_BYTES), m);
    a1 = i32x4.add(a1, i32x4.dot_i16x8_s(d, i16x8.mul(d, half)));
    a1 = i32x4.add(a1, i32x4.dot_i16x8_s(d, i16x8.mul(d, other)));
    d = i16x8.sub(v128.load(x, 2 * VECTOR_BYTES), m);
    a2 = i32x4.add(a2, i32x4.dot_i16x8_s(d, i16x8.mul(d, half)));
    a2 = i32x4.add(a2, i32x4.dot_i16x8_s(d, i16x8.mul(d, other)));
    d = i16x8.sub(v128.load(x, 3 * VECTOR_BYTES), m);
    a3 = i32x4.add(a3, i32x4.dot_i16x8_s(d, i16x8.mul(d, half)));
    a3 = i32x4.add(a3, i32x4.dot_i16x8_s(d, i16x8.mul(d, other)));
    x += 16;
    variance += 8;
  }
  // 96 * 255^2 * 255 is below 2^31.
  const sums = lanes4(a0, a1, a2, a3);
  keepLeast(i64x2.extend_low_i32x4_u(sums), i64x2.extend_high_i32x4_u(sums), constant, best);
}

/** Four vectors, two at a time, 16-bit variances: sums weighted with bits 15:14, 13:7 and 6:0 of them. */
// @ts-ignore: decorator
@inline
function mixture16(x: usize, mean: usize, variance: usize, length: i32, constant: i64, best: usize): void {
  for (let pair: i32 = 0; pair < 2; pair++) {
    let a0 = i32x4.splat(0);
    let b0 = a0;
    let c0 = a0;
    let a1 = a0;
    let b1 = a0;
    let c1 = a0;
    const seven = i16x8.splat(127);
    for (let i: i32 = 0; i < length; i += 8) {
      const m = v128.load8x8_u(mean + <usize>i);
      const v = v128.load(variance + (<usize>i << 1));
      const a = i16x8.shr_u(v, 14);
      const b = v128.and(i16x8.shr_u(v, 7), seven);
      const c = v128.and(v, seven);
      const at = x + (<usize>i << 1);
      let d = i16x8.sub(v128.load(at), m);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(d, i16x8.mul(d, a)));
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(d, i16x8.mul(d, b)));
      c0 = i32x4.add(c0, i32x4.dot_i16x8_s(d, i16x8.mul(d, c)));
      d = i16x8.sub(v128.load(at, VECTOR_BYTES), m);
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(d, i16x8.mul(d, a)));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(d, i16x8.mul(d, b)));
      c1 = i32x4.add(c1, i32x4.dot_i16x8_s(d, i16x8.mul(d, c)));
    }
    const ab = lanes4(a0, a1, b0, b1);
    const cc = lanes4(c0, c1, c0, c1);
    let sum = i64x2.shl(i64x2.extend_low_i32x4_u(ab), 14);
    sum = i64x2.add(sum, i64x2.shl(i64x2.extend_high_i32x4_u(ab), 7));
    sum = i64x2.add(i64x2.add(sum, i64x2.extend_low_i32x4_u(cc)), i64x2.splat(constant));
    const kept = v128.load(best);
    v128.store(best, v128.bitselect(sum, kept, i64x2.lt_s(sum, kept)));
    x += 2 * VECTOR_BYTES;
    best += 16;
  }
}

/** Returns 1 when a score equals the maximum. */
export function gmm(command: usize, scratch: usize): i32 {
  const p = changetype<Gmm>(command);
  const vectors = p.vectors;
  for (let n: i32 = 0; n < vectors; n++) {
    const from = <usize>p.features + <usize>n * <usize>p.featurePitch;
    const to = scratch + <usize>n * VECTOR_BYTES;
    for (let i: i32 = 0; i < p.length; i += 8) v128.store(to + (<usize>i << 1), v128.load8x8_u(from + <usize>i));
  }
  const best = scratch + BEST;
  const step = <usize>(p.length * p.varianceBytes);
  let reached: i32 = 0;
  let to = <usize>p.scores;
  for (let row: i32 = 0; row < p.rows; row++) {
    const state = p.list == 0 ? <usize>row : <usize>load<u32>(<usize>p.list + (<usize>row << 2));
    const constants = <usize>p.constants + state * p.constantStride;
    let mean = <usize>p.means + state * p.meanStride;
    let variance = <usize>p.variances + state * p.varianceStride;
    // A score past 32 bits is clamped to them, which the maximum does in any case.
    for (let n: usize = 0; n < 8; n++) store<u64>(best + (n << 3), <u64>p.maxScore);
    for (let m: i32 = 0; m < p.mixtures; m++) {
      const constant = <i64>load<u32>(constants + (<usize>m << 2));
      if (p.varianceBytes == 1) {
        mixture8(scratch, mean, variance, p.length, constant, best);
        if (vectors > 4) mixture8(scratch + 4 * VECTOR_BYTES, mean, variance, p.length, constant, best + 32);
      } else {
        mixture16(scratch, mean, variance, p.length, constant, best);
        if (vectors > 4) mixture16(scratch + 4 * VECTOR_BYTES, mean, variance, p.length, constant, best + 32);
      }
      mean += p.length;
      variance += step;
    }
    for (let n: i32 = 0; n < vectors; n++) {
      const score = load<u32>(best + (<usize>n << 3));
      if (score == p.maxScore) reached = 1;
      store<u32>(to, score);
      to += 4;
    }
  }
  return reached;
}
