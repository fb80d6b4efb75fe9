// Sums of int16 products from packed panels: in 32 bits where no sum can leave them, else in 48.
// Not the packing: conv-pack.ts. Not int8: conv-panels.ts. Fact sheet section 2.2.
//
// i32x4.dot_i16x8_s gives the sum of two products. Of many such sums d, A adds them up modulo 2^32 and H their upper
// halves (d >> 16). The lower halves of fewer than 65536 terms add up to less than 2^32, so the true sum is
// (H << 16) + ((A - (H << 16)) modulo 2^32). One sum wraps: -32768 * -32768 twice, so a panel with weights of -32768 takes
// d - 1, which is in range for it as for all others.
import { sumPanel } from './conv-panels';

/** Largest absolute value of `count` int16, a multiple of 8. */
export function convLargest(at: usize, count: i32): i32 {
  let most = i16x8.splat(0);
  let least = i16x8.splat(0);
  const end = at + (<usize>count << 1);
  for (; at < end; at += 16) {
    const v = v128.load(at);
    most = i16x8.max_s(most, v);
    least = i16x8.min_s(least, v);
  }
  // Not positive: -32768 has no opposite.
  let v = i16x8.min_s(least, i16x8.neg(most));
  v = i16x8.min_s(v, v128.shuffle<i16>(v, v, 4, 5, 6, 7, 0, 1, 2, 3));
  v = i16x8.min_s(v, v128.shuffle<i16>(v, v, 2, 3, 0, 1, 6, 7, 4, 5));
  v = i16x8.min_s(v, v128.shuffle<i16>(v, v, 1, 0, 3, 2, 5, 4, 7, 6));
  return -(<i32>i16x8.extract_lane_s(v, 0));
}

/** Outputs that CACC saturates, kernel by kernel: added up in four lanes. */
// @ts-ignore: decorator
@inline
function beyond(x: v128): v128 {
  return v128.or(f64x2.gt(x, f64x2.splat(2147483647)), f64x2.lt(x, f64x2.splat(-2147483648)));
}

/** Rounds to nearest, ties away from zero. */
// @ts-ignore: decorator
@inline
function rounded(x: v128): v128 {
  const sign = v128.and(x, i64x2.splat(0x8000000000000000));
  return f64x2.trunc(f64x2.add(x, v128.or(sign, f64x2.splat(0.5))));
}

/** Stores four sums; returns how many saturated. */
// @ts-ignore: decorator
@inline
function finish(to: usize, a: v128, h: v128, more: v128, rate: v128): i32 {
  const low = i32x4.sub(a, i32x4.shl(h, 16));
  const scale = f64x2.splat(65536);
  const h2 = v128.shuffle<i64>(h, h, 1, 1);
  const low2 = v128.shuffle<i64>(low, low, 1, 1);
  let x = f64x2.add(f64x2.mul(f64x2.convert_low_i32x4_s(h), scale), f64x2.convert_low_i32x4_u(low));
  let y = f64x2.add(f64x2.mul(f64x2.convert_low_i32x4_s(h2), scale), f64x2.convert_low_i32x4_u(low2));
  x = rounded(f64x2.mul(f64x2.add(x, more), rate));
  y = rounded(f64x2.mul(f64x2.add(y, more), rate));
  v128.store(
    to,
    v128.shuffle<i64>(i32x4.trunc_sat_f64x2_s_zero(x), i32x4.trunc_sat_f64x2_s_zero(y), 0, 2),
  );
  return popcnt(i64x2.bitmask(beyond(x))) + popcnt(i64x2.bitmask(beyond(y)));
}

/** Sums of one panel in 48 bits. `less` 1: d - 1 (see above). Returns how many saturated. */
function sumWide(
  weights: usize,
  runs: usize,
  lastRun: usize,
  a: usize,
  tiles: usize,
  lastTile: usize,
  o: usize,
  rate: f64,
  less: i32,
): i32 {
  let saturated: i32 = 0;
  const minus = i32x4.splat(-less);
  const rates = f64x2.splat(rate);
  let terms: i32 = 0;
  for (let run = runs; run < lastRun; run += 8) terms += <i32>load<u32>(run, 4);
  const more = f64x2.splat(<f64>(terms * less));
  for (let tile = tiles; tile < lastTile; tile += 32) {
    for (let half: usize = 0; half < 16; half += 8) {
      const a0 = a + <usize>load<u32>(tile + half);
      const a1 = a + <usize>load<u32>(tile + half, 4);
      let s00 = i64x2.splat(0);
      let s01 = i64x2.splat(0);
      let s10 = i64x2.splat(0);
      let s11 = i64x2.splat(0);
      let h00 = i64x2.splat(0);
      let h01 = i64x2.splat(0);
      let h10 = i64x2.splat(0);
      let h11 = i64x2.splat(0);
      let w = weights;
      for (let run = runs; run < lastRun; run += 8) {
        const offset = <usize>load<u32>(run);
        let p0 = a0 + offset;
        let p1 = a1 + offset;
        const end = w + (<usize>load<u32>(run, 4) << 5);
        if (less == 0) {
          for (; w < end; w += 32) {
            const b0 = v128.load(w);
            const b1 = v128.load(w, 16);
            const x = v128.load32_splat(p0);
            const y = v128.load32_splat(p1);
            let d = i32x4.dot_i16x8_s(x, b0);
            s00 = i32x4.add(s00, d);
            h00 = i32x4.add(h00, i32x4.shr_s(d, 16));
            d = i32x4.dot_i16x8_s(x, b1);
            s01 = i32x4.add(s01, d);
            h01 = i32x4.add(h01, i32x4.shr_s(d, 16));
            d = i32x4.dot_i16x8_s(y, b0);
            s10 = i32x4.add(s10, d);
            h10 = i32x4.add(h10, i32x4.shr_s(d, 16));
            d = i32x4.dot_i16x8_s(y, b1);
            s11 = i32x4.add(s11, d);
            h11 = i32x4.add(h11, i32x4.shr_s(d, 16));
            p0 += 4;
            p1 += 4;
          }
        } else {
          for (; w < end; w += 32) {
            const b0 = v128.load(w);
            const b1 = v128.load(w, 16);
            const x = v128.load32_splat(p0);
            const y = v128.load32_splat(p1);
            let d = i32x4.add(i32x4.dot_i16x8_s(x, b0), minus);
            s00 = i32x4.add(s00, d);
            h00 = i32x4.add(h00, i32x4.shr_s(d, 16));
            d = i32x4.add(i32x4.dot_i16x8_s(x, b1), minus);
            s01 = i32x4.add(s01, d);
            h01 = i32x4.add(h01, i32x4.shr_s(d, 16));
            d = i32x4.add(i32x4.dot_i16x8_s(y, b0), minus);
            s10 = i32x4.add(s10, d);
            h10 = i32x4.add(h10, i32x4.shr_s(d, 16));
            d = i32x4.add(i32x4.dot_i16x8_s(y, b1), minus);
            s11 = i32x4.add(s11, d);
            h11 = i32x4.add(h11, i32x4.shr_s(d, 16));
            p0 += 4;
            p1 += 4;
          }
        }
      }
      const o0 = o + <usize>load<u32>(tile + half, 16);
      const o1 = o + <usize>load<u32>(tile + half, 20);
      // The last tile is filled up with its last output, which counts once.
      const before = half == 0 ? o1 + 1 : o + <usize>load<u32>(tile, 20);
      let more0 = finish(o0, s00, h00, more, rates);
      more0 += finish(o0 + 16, s01, h01, more, rates);
      if (o0 != before) saturated += more0;
      let more1 = finish(o1, s10, h10, more, rates);
      more1 += finish(o1 + 16, s11, h11, more, rates);
      if (o1 != o0) saturated += more1;
    }
  }
  return saturated;
}

/**
 * As convPanels, for panels of int16; returns the number of saturated outputs.
 * @param largest absolute value in the input rows (convLargest)
 */
export function convPanels16(
  table: usize,
  first: i32,
  panels: i32,
  a: usize,
  tiles: usize,
  lastTile: usize,
  out: usize,
  outSurface: usize,
  atom: i32,
  shift: i32,
  largest: i32,
): i32 {
  const perSurface = atom >> 3;
  const rate = reinterpret<f64>((<i64>(1023 - shift)) << 52);
  let saturated: i32 = 0;
  for (let panel: i32 = first; panel < first + panels; panel++) {
    const weights = <usize>load<u32>(table);
    const runs = <usize>load<u32>(table, 4);
    const lastRun = runs + (<usize>load<u32>(table, 8) << 3);
    const size = load<u32>(table, 12);
    table += 16;
    const surface = panel / perSurface;
    const o = out + <usize>surface * outSurface + (<usize>(panel - surface * perSurface) << 5);
    // 32 bits hold the sum, with one to spare for rounding.
    const most = <i64>(size & 0x7fffffff) * <i64>largest;
    if (most < 0x7fffffff || runs == lastRun) sumPanel(weights, runs, lastRun, a, tiles, lastTile, o, shift);
    else saturated += sumWide(weights, runs, lastRun, a, tiles, lastTile, o, rate, <i32>(size >>> 31));
  }
  return saturated;
}
