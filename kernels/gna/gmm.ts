// Gaussian mixture scores. Fact sheet section 5.8.
// Not a search for the best state: every score is written.
import { Gmm } from './command';

/** Sum of squared distances weighted by 8-bit variances. */
// @ts-ignore: decorator
@inline
function distance8(x: usize, mean: usize, variance: usize, length: i32): u64 {
  let sum = i32x4.splat(0);
  const end = x + <usize>length;
  for (; x < end; x += 8) {
    const d = i16x8.sub(v128.load8x8_u(x), v128.load8x8_u(mean));
    const square = i16x8.mul(d, d);
    const weight = v128.load8x8_u(variance);
    sum = i32x4.add(sum, i32x4.extmul_low_i16x8_u(square, weight));
    sum = i32x4.add(sum, i32x4.extmul_high_i16x8_u(square, weight));
    mean += 8;
    variance += 8;
  }
  return (
    <u64>(<u32>i32x4.extract_lane(sum, 0)) +
    <u64>(<u32>i32x4.extract_lane(sum, 1)) +
    <u64>(<u32>i32x4.extract_lane(sum, 2)) +
    <u64>(<u32>i32x4.extract_lane(sum, 3))
  );
}

/** The same for 16-bit variances: products need 32 bits, sums more. */
// @ts-ignore: decorator
@inline
function distance16(x: usize, mean: usize, variance: usize, length: i32): u64 {
  let sum = i64x2.splat(0);
  const end = x + <usize>length;
  for (; x < end; x += 8) {
    const d = i16x8.sub(v128.load8x8_u(x), v128.load8x8_u(mean));
    const square = i16x8.mul(d, d);
    const weight = v128.load(variance);
    const a = i32x4.extmul_low_i16x8_u(square, weight);
    const b = i32x4.extmul_high_i16x8_u(square, weight);
    sum = i64x2.add(sum, i64x2.extend_low_i32x4_u(a));
    sum = i64x2.add(sum, i64x2.extend_high_i32x4_u(a));
    sum = i64x2.add(sum, i64x2.extend_low_i32x4_u(b));
    sum = i64x2.add(sum, i64x2.extend_high_i32x4_u(b));
    mean += 8;
    variance += 16;
  }
  return <u64>i64x2.extract_lane(sum, 0) + <u64>i64x2.extract_lane(sum, 1);
}

/** Returns 1 when a score equals the maximum. */
export function gmm(command: usize, _scratch: usize): i32 {
  const p = changetype<Gmm>(command);
  let reached: i32 = 0;
  const step = <usize>(p.length * p.varianceBytes);
  let to = <usize>p.scores;
  for (let row: i32 = 0; row < p.rows; row++) {
    const state = p.list == 0 ? <usize>row : <usize>load<u32>(<usize>p.list + (<usize>row << 2));
    const means = <usize>p.means + state * p.meanStride;
    const variances = <usize>p.variances + state * p.varianceStride;
    const constants = <usize>p.constants + state * p.constantStride;
    for (let n: i32 = 0; n < p.vectors; n++) {
      const x = <usize>p.features + <usize>(n * p.featurePitch);
      let best: u64 = <u64>p.maxScore;
      let mean = means;
      let variance = variances;
      for (let m: i32 = 0; m < p.mixtures; m++) {
        const sum =
          p.varianceBytes == 1
            ? distance8(x, mean, variance, p.length)
            : distance16(x, mean, variance, p.length);
        // A score past 32 bits is clamped to them, which the maximum does in any case.
        best = min(best, sum + <u64>load<u32>(constants + (<usize>m << 2)));
        mean += p.length;
        variance += step;
      }
      if (best == <u64>p.maxScore) reached = 1;
      store<u32>(to, <u32>best);
      to += 4;
    }
  }
  return reached;
}
