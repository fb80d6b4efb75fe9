// Pooling of one output row of one surface. Fact sheet section 2.6.
// Not a split into strips: a strip's overlap changes nothing in the result.
import { scaled } from './round';

/**
 * Maximum or minimum over windows, int8, `atom` lanes (8, 16, 32) per pixel. Padding does not take part.
 * @param src first pixel of the surface
 * @param top row of the window's first line, may be negative
 */
export function poolExtreme8(
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
): void {
  const y0 = max(top, 0);
  const y1 = min(top + kernelHeight, height);
  for (let ox: i32 = 0; ox < outWidth; ox++) {
    const left = ox * stride - padLeft;
    const x0 = max(left, 0);
    const x1 = min(left + kernelWidth, width);
    for (let l: i32 = 0; l < atom; l += 16) {
      let best = minimum != 0 ? i8x16.splat(127) : i8x16.splat(-128);
      for (let y = y0; y < y1; y++) {
        let at = src + <usize>y * <usize>line + <usize>(x0 * atom + l);
        for (let x = x0; x < x1; x++) {
          const v = atom == 8 ? v128.load64_zero(at) : v128.load(at);
          best = minimum != 0 ? i8x16.min_s(best, v) : i8x16.max_s(best, v);
          at += atom;
        }
      }
      const to = dst + <usize>(ox * atom + l);
      if (atom == 8) v128.store64_lane(to, best, 0);
      else v128.store(to, best);
    }
  }
}

/**
 * Average over windows, int8: two multiplications by reciprocals of 16 fraction bits, low byte kept.
 * @param pads int32[9]: value added for n padded columns (and, times the width, for n padded rows); [0] is 0
 */
export function poolAverage8(
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
): void {
  const y0 = max(top, 0);
  const y1 = max(y0, min(top + kernelHeight, height));
  const byWidth = f64x2.splat(<f64>recipWidth / 65536.0);
  const byHeight = f64x2.splat(<f64>recipHeight / 65536.0);
  const low = i32x4.splat(255);
  const none = f64x2.splat(0);
  const rowsPad = load<i32>(pads + ((<usize>(kernelHeight - (y1 - y0))) << 2)) * kernelWidth;
  for (let ox: i32 = 0; ox < outWidth; ox++) {
    const left = ox * stride - padLeft;
    const x0 = max(left, 0);
    const x1 = max(x0, min(left + kernelWidth, width));
    const pad = i32x4.splat(
      load<i32>(pads + ((<usize>(kernelWidth - (x1 - x0))) << 2)) * (y1 - y0) + rowsPad,
    );
    for (let l: i32 = 0; l < atom; l += 8) {
      let sum = i16x8.splat(0);
      for (let y = y0; y < y1; y++) {
        let at = src + <usize>y * <usize>line + <usize>(x0 * atom + l);
        for (let x = x0; x < x1; x++) {
          sum = i16x8.add(sum, v128.load8x8_s(at));
          at += atom;
        }
      }
      const a = scaled(scaled(i32x4.add(i32x4.extend_low_i16x8_s(sum), pad), none, byWidth), none, byHeight);
      const b = scaled(scaled(i32x4.add(i32x4.extend_high_i16x8_s(sum), pad), none, byWidth), none, byHeight);
      const half = i16x8.narrow_i32x4_s(v128.and(a, low), v128.and(b, low));
      v128.store64_lane(dst + <usize>(ox * atom + l), i8x16.narrow_i16x8_u(half, half), 0);
    }
  }
}

/** As poolExtreme8, int16, `atom` a multiple of 8. */
export function poolExtreme16(
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
): void {
  const y0 = max(top, 0);
  const y1 = min(top + kernelHeight, height);
  const pixel = <usize>atom << 1;
  for (let ox: i32 = 0; ox < outWidth; ox++) {
    const left = ox * stride - padLeft;
    const x0 = max(left, 0);
    const x1 = min(left + kernelWidth, width);
    for (let l: usize = 0; l < pixel; l += 16) {
      let best = minimum != 0 ? i16x8.splat(32767) : i16x8.splat(-32768);
      for (let y = y0; y < y1; y++) {
        let at = src + <usize>y * <usize>line + <usize>x0 * pixel + l;
        for (let x = x0; x < x1; x++) {
          const v = v128.load(at);
          best = minimum != 0 ? i16x8.min_s(best, v) : i16x8.max_s(best, v);
          at += pixel;
        }
      }
      v128.store(dst + <usize>ox * pixel + l, best);
    }
  }
}

/** As poolAverage8, int16, `atom` a multiple of 4; the low 16 bits are kept. */
export function poolAverage16(
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
): void {
  const y0 = max(top, 0);
  const y1 = max(y0, min(top + kernelHeight, height));
  const byWidth = f64x2.splat(<f64>recipWidth / 65536.0);
  const byHeight = f64x2.splat(<f64>recipHeight / 65536.0);
  const none = f64x2.splat(0);
  const pixel = <usize>atom << 1;
  const rowsPad = load<i32>(pads + ((<usize>(kernelHeight - (y1 - y0))) << 2)) * kernelWidth;
  for (let ox: i32 = 0; ox < outWidth; ox++) {
    const left = ox * stride - padLeft;
    const x0 = max(left, 0);
    const x1 = max(x0, min(left + kernelWidth, width));
    const pad = i32x4.splat(
      load<i32>(pads + ((<usize>(kernelWidth - (x1 - x0))) << 2)) * (y1 - y0) + rowsPad,
    );
    for (let l: usize = 0; l < pixel; l += 8) {
      let sum = pad;
      for (let y = y0; y < y1; y++) {
        let at = src + <usize>y * <usize>line + <usize>x0 * pixel + l;
        for (let x = x0; x < x1; x++) {
          sum = i32x4.add(sum, v128.load16x4_s(at));
          at += pixel;
        }
      }
      const mean = v128.and(scaled(scaled(sum, none, byWidth), none, byHeight), i32x4.splat(0xffff));
      v128.store64_lane(dst + <usize>ox * pixel + l, i16x8.narrow_i32x4_u(mean, mean), 0);
    }
  }
}
