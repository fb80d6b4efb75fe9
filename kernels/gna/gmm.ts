// Gaussian mixture scores. Fact sheet section 5.8.
// Not a search for the best state: every score is written.
//
// With x and m both lessened by 128, v * (x - m)^2 is v * x^2 + (v * m) * (-2x) + v * m^2. For v up to 255 all factors fit
// 16 bits, so two dot products with arrays made once per request and once per mixture give eight vectors' sums, one vector
// per lane. 16-bit variances are two such v: low byte and high byte.
import { Gmm } from './command';

/** Longest feature vector. */
const LENGTH_MAX: i32 = 96;
/** Scratch: for each two features x^2 of eight vectors, then -2x, as pairs of int16. */
const PAIR_BYTES: usize = 64;
const FEATURES_BYTES: usize = (<usize>LENGTH_MAX >> 1) * PAIR_BYTES;
/** Two sets of weights: v, then v * m, as int16. */
const SET_A: usize = FEATURES_BYTES;
const PRODUCTS: usize = <usize>LENGTH_MAX << 1;
const SET_B: usize = SET_A + 2 * PRODUCTS;
/** Sums of both sets, int32[8] each; the best score of each vector, u64[8]. */
const SUMS: usize = SET_B + 2 * PRODUCTS;
const BEST: usize = SUMS + 64;

/** Which part of a variance is a set's weight. */
const BYTE: i32 = 0;
const LOW_BYTE: i32 = 1;
const HIGH_BYTE: i32 = 2;

function prepareFeatures(p: Gmm, at: usize): void {
  memory.fill(at, 0, FEATURES_BYTES);
  for (let n: i32 = 0; n < p.vectors; n++) {
    const from = <usize>p.features + <usize>n * <usize>p.featurePitch;
    for (let i: i32 = 0; i < p.length; i++) {
      const x = <i32>load<u8>(from + <usize>i) - 128;
      const to = at + <usize>(i >> 1) * PAIR_BYTES + (<usize>n << 2) + (<usize>(i & 1) << 1);
      store<i16>(to, <i16>(x * x));
      store<i16>(to, <i16>(-2 * x), 32);
    }
  }
}

/** Makes a set of weights at `set`; returns the sum of v * m^2. */
// @ts-ignore: decorator
@inline
function prepareSet(mean: usize, variance: usize, length: i32, part: i32, set: usize): i32 {
  let sum = i32x4.splat(0);
  const end = mean + <usize>length;
  for (; mean < end; mean += 8) {
    const m = i16x8.sub(v128.load8x8_u(mean), i16x8.splat(128));
    let v: v128;
    if (part == BYTE) v = v128.load8x8_u(variance);
    else if (part == LOW_BYTE) v = v128.and(v128.load(variance), i16x8.splat(255));
    else v = i16x8.shr_u(v128.load(variance), 8);
    const vm = i16x8.mul(v, m);
    v128.store(set, v);
    v128.store(set + PRODUCTS, vm);
    sum = i32x4.add(sum, i32x4.dot_i16x8_s(m, vm));
    variance += part == BYTE ? 8 : 16;
    set += 16;
  }
  return (
    i32x4.extract_lane(sum, 0) +
    i32x4.extract_lane(sum, 1) +
    i32x4.extract_lane(sum, 2) +
    i32x4.extract_lane(sum, 3)
  );
}

/** Weighted squares of up to eight vectors with both sets. No sum on the way leaves 31 bits. */
// @ts-ignore: decorator
@inline
function bothSets(scratch: usize, length: i32, eight: bool, ca: i32, cb: i32): void {
  let a0 = i32x4.splat(ca);
  let a1 = a0;
  let b0 = i32x4.splat(cb);
  let b1 = b0;
  let x = scratch;
  const end = scratch + (<usize>length >> 1) * PAIR_BYTES;
  let w = scratch + SET_A;
  for (; x < end; x += PAIR_BYTES) {
    const va = v128.load32_splat(w);
    const pa = v128.load32_splat(w, PRODUCTS);
    const vb = v128.load32_splat(w, SET_B - SET_A);
    const pb = v128.load32_splat(w, SET_B - SET_A + PRODUCTS);
    let square = v128.load(x);
    let twice = v128.load(x, 32);
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(va, square));
    b0 = i32x4.add(b0, i32x4.dot_i16x8_s(vb, square));
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(pa, twice));
    b0 = i32x4.add(b0, i32x4.dot_i16x8_s(pb, twice));
    if (eight) {
      square = v128.load(x, 16);
      twice = v128.load(x, 48);
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(va, square));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(vb, square));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(pa, twice));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(pb, twice));
    }
    w += 4;
  }
  v128.store(scratch + SUMS, a0);
  v128.store(scratch + SUMS, a1, 16);
  v128.store(scratch + SUMS, b0, 32);
  v128.store(scratch + SUMS, b1, 48);
}

function bothSets4(scratch: usize, length: i32, ca: i32, cb: i32): void {
  bothSets(scratch, length, false, ca, cb);
}

function bothSets8(scratch: usize, length: i32, ca: i32, cb: i32): void {
  bothSets(scratch, length, true, ca, cb);
}

/** Two scores as u64 into u64[2] at `best`, where they are less. */
// @ts-ignore: decorator
@inline
function keepLeast(scores: v128, best: usize): void {
  const kept = v128.load(best);
  v128.store(best, v128.bitselect(scores, kept, i64x2.lt_s(scores, kept)));
}

/** Scores of one set: its sums and the mixture's constant. */
// @ts-ignore: decorator
@inline
function keepSet(sums: usize, constant: i64, best: usize): void {
  const c = i64x2.splat(constant);
  for (let half: usize = 0; half < 32; half += 16) {
    const s = v128.load(sums + half);
    keepLeast(i64x2.add(i64x2.extend_low_i32x4_u(s), c), best + 2 * half);
    keepLeast(i64x2.add(i64x2.extend_high_i32x4_u(s), c), best + 2 * half + 16);
  }
}

/** Returns 1 when a score equals the maximum. */
export function gmm(command: usize, scratch: usize): i32 {
  const p = changetype<Gmm>(command);
  const vectors = p.vectors;
  const length = p.length;
  prepareFeatures(p, scratch);
  const setA = scratch + SET_A;
  const setB = scratch + SET_B;
  const sums = scratch + SUMS;
  const best = scratch + BEST;
  let reached: i32 = 0;
  let to = <usize>p.scores;
  for (let row: i32 = 0; row < p.rows; row++) {
    const state = p.list == 0 ? <usize>row : <usize>load<u32>(<usize>p.list + (<usize>row << 2));
    let constants = <usize>p.constants + state * p.constantStride;
    let mean = <usize>p.means + state * p.meanStride;
    let variance = <usize>p.variances + state * p.varianceStride;
    // A score past 32 bits is clamped to them, which the maximum does in any case.
    for (let n: usize = 0; n < 8; n++) store<u64>(best + (n << 3), <u64>p.maxScore);
    if (p.varianceBytes == 1) {
      // Two mixtures at a time; the last of an odd number is taken twice.
      for (let m: i32 = 0; m < p.mixtures; m += 2) {
        const next: usize = m + 1 < p.mixtures ? 1 : 0;
        const other = next * <usize>length;
        const ca = prepareSet(mean, variance, length, BYTE, setA);
        const cb = prepareSet(mean + other, variance + other, length, BYTE, setB);
        if (vectors > 4) bothSets8(scratch, length, ca, cb);
        else bothSets4(scratch, length, ca, cb);
        keepSet(sums, <i64>load<u32>(constants), best);
        keepSet(sums + 32, <i64>load<u32>(constants + (next << 2)), best);
        mean += <usize>length << 1;
        variance += <usize>length << 1;
        constants += 8;
      }
    } else {
      for (let m: i32 = 0; m < p.mixtures; m++) {
        const ca = prepareSet(mean, variance, length, LOW_BYTE, setA);
        const cb = prepareSet(mean, variance, length, HIGH_BYTE, setB);
        if (vectors > 4) bothSets8(scratch, length, ca, cb);
        else bothSets4(scratch, length, ca, cb);
        const c = i64x2.splat(<i64>load<u32>(constants));
        for (let half: usize = 0; half < 32; half += 16) {
          const low = v128.load(sums + half);
          const high = v128.load(sums + 32 + half);
          const s01 = i64x2.shl(i64x2.extend_low_i32x4_u(high), 8);
          const s23 = i64x2.shl(i64x2.extend_high_i32x4_u(high), 8);
          keepLeast(i64x2.add(i64x2.add(s01, i64x2.extend_low_i32x4_u(low)), c), best + 2 * half);
          keepLeast(i64x2.add(i64x2.add(s23, i64x2.extend_high_i32x4_u(low)), c), best + 2 * half + 16);
        }
        mean += <usize>length;
        variance += <usize>length << 1;
        constants += 4;
      }
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
