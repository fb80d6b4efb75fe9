// Pooling of one output row of one surface, fp16. Fact sheet section 2.6.
// Not integers: pdp.ts. Averages are sums of fp17 numbers in the order of the hardware: along a row, then row by row.
import { add17, mul17, toFloat17, toHalf } from './float';

/** fp16 bits as int16 that are ordered as their values, and back. */
// @ts-ignore: decorator
@inline
function ordered(v: v128): v128 {
  return v128.xor(v, i16x8.shr_u(i16x8.shr_s(v, 15), 1));
}

// @ts-ignore: decorator
@inline
function nans(v: v128): v128 {
  return i16x8.gt_s(v128.and(v, i16x8.splat(0x7fff)), i16x8.splat(0x7c00));
}

/** A NaN is the result, of `a` before one of `b`. */
// @ts-ignore: decorator
@inline
function extreme(a: v128, b: v128, minimum: i32): v128 {
  const x = ordered(a);
  const y = ordered(b);
  const r = ordered(minimum != 0 ? i16x8.min_s(x, y) : i16x8.max_s(x, y));
  return v128.bitselect(a, v128.bitselect(b, r, nans(b)), nans(a));
}

/** As poolExtreme16. `nanToZero` 1: NaNs count as 0. */
export function poolExtremeHalf(
  src: usize,
  line: i32,
  width: i32,
  height: i32,
  atom: i32,
  dst: usize,
  outWidth: i32,
  top: i32,
  kernelWidth: i32,
  kernelHeight: i32,
  stride: i32,
  padLeft: i32,
  minimum: i32,
  nanToZero: i32,
): void {
  const y0 = max(top, 0);
  const y1 = min(top + kernelHeight, height);
  const pixel = <usize>atom << 1;
  for (let ox: i32 = 0; ox < outWidth; ox++) {
    const left = ox * stride - padLeft;
    const x0 = max(left, 0);
    const x1 = min(left + kernelWidth, width);
    for (let l: usize = 0; l < pixel; l += 16) {
      let best = i16x8.splat(0);
      for (let y = y0; y < y1; y++) {
        let at = src + <usize>y * <usize>line + <usize>x0 * pixel + l;
        let row = i16x8.splat(0);
        for (let x = x0; x < x1; x++) {
          let v = v128.load(at);
          if (nanToZero != 0) v = v128.andnot(v, nans(v));
          row = x == x0 ? v : extreme(row, v, minimum);
          at += pixel;
        }
        best = y == y0 ? row : extreme(row, best, minimum);
      }
      v128.store(dst + <usize>ox * pixel + l, best);
    }
  }
}

/** fp17 bits (as in PDP's registers) to fp32. */
// @ts-ignore: decorator
@inline
function float17(bits: i32): v128 {
  const m = bits & 0xffff;
  const sign = (bits & 0x10000) << 15;
  return i32x4.splat(m == 0 ? sign : sign | ((m << 13) + (96 << 23)));
}

/** As poolAverage16; `recipWidth`, `recipHeight` and `pads` are fp17. */
export function poolAverageHalf(
  src: usize,
  line: i32,
  width: i32,
  height: i32,
  atom: i32,
  dst: usize,
  outWidth: i32,
  top: i32,
  kernelWidth: i32,
  kernelHeight: i32,
  stride: i32,
  padLeft: i32,
  recipWidth: i32,
  recipHeight: i32,
  pads: usize,
  nanToZero: i32,
): void {
  const y0 = max(top, 0);
  const y1 = max(y0, min(top + kernelHeight, height));
  const byWidth = float17(recipWidth);
  const byHeight = float17(recipHeight);
  const pixel = <usize>atom << 1;
  const rows = kernelHeight - (y1 - y0);
  const rowsPad = mul17(float17(load<i32>(pads + (<usize>rows << 2))), f32x4.splat(<f32>kernelWidth));
  for (let ox: i32 = 0; ox < outWidth; ox++) {
    const left = ox * stride - padLeft;
    const x0 = max(left, 0);
    const x1 = max(x0, min(left + kernelWidth, width));
    const missing = kernelWidth - (x1 - x0);
    const pad = float17(load<i32>(pads + (<usize>missing << 2)));
    for (let l: usize = 0; l < pixel; l += 8) {
      let total = i32x4.splat(0);
      for (let y = y0; y < y1; y++) {
        let at = src + <usize>y * <usize>line + <usize>x0 * pixel + l;
        let sum = i32x4.splat(0);
        for (let x = x0; x < x1; x++) {
          let h = v128.load16x4_u(at);
          if (nanToZero != 0) h = v128.andnot(h, i32x4.gt_s(v128.and(h, i32x4.splat(0x7fff)), i32x4.splat(0x7c00)));
          const v = toFloat17(h);
          sum = x == x0 ? v : add17(sum, v);
          at += pixel;
        }
        if (missing > 0) sum = add17(sum, pad);
        total = y == y0 ? sum : add17(sum, total);
      }
      if (rows > 0) total = add17(total, rowsPad);
      const mean = toHalf(mul17(mul17(total, byWidth), byHeight));
      v128.store64_lane(dst + <usize>ox * pixel + l, i16x8.narrow_i32x4_u(mean, mean), 0);
    }
  }
}
