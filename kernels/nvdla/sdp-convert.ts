// Output converters of the single-point processor: tiles of int32 to int8, int16 and fp16. Fact sheet section 2.5.
// Not of fp16 arithmetic, which has no converter: sdp-half.ts.
import { toHalf } from './float';
import { scaled } from './round';

/**
 * Output converter to int8: sat8(round((v - offset) * scale)), `scale` with the power of two of the shift.
 * `count` is a multiple of 8. The intermediate saturation to 17 bits cannot be seen behind the one to 8.
 */
export function convert8(tile: usize, dst: usize, count: i32, offset: f64, scale: f64): void {
  const still = offset == 0 && scale == 1;
  const offsets = f64x2.splat(offset);
  const scales = f64x2.splat(scale);
  const end = dst + <usize>count;
  while (dst < end) {
    let a = v128.load(tile);
    let b = v128.load(tile, 16);
    if (!still) {
      a = scaled(a, offsets, scales);
      b = scaled(b, offsets, scales);
    }
    const half = i16x8.narrow_i32x4_s(a, b);
    v128.store64_lane(dst, i8x16.narrow_i16x8_s(half, half), 0);
    tile += 32;
    dst += 8;
  }
}

/**
 * As convert8, to int16. With `second`, every other `lanes` elements go there, as both halves of a group go to two
 * surfaces; `lanes` is a multiple of 8.
 */
export function convert16(
  tile: usize,
  dst: usize,
  second: usize,
  lanes: i32,
  count: i32,
  offset: f64,
  scale: f64,
): void {
  const offsets = f64x2.splat(offset);
  const scales = f64x2.splat(scale);
  const step = second == 0 ? count : lanes;
  for (let i: i32 = 0; i < count; i += step) {
    for (let l: i32 = 0; l < step; l += 8) {
      const a = scaled(v128.load(tile), offsets, scales);
      const b = scaled(v128.load(tile, 16), offsets, scales);
      v128.store(dst, i16x8.narrow_i32x4_s(a, b));
      tile += 32;
      dst += 16;
    }
    if (second == 0) continue;
    const other = second;
    second = dst;
    dst = other;
  }
}

/** As convert16, to fp16: integers saturated to 17 bits, then to the nearest fp16, at most the largest finite one. */
export function convertHalf(
  tile: usize,
  dst: usize,
  second: usize,
  lanes: i32,
  count: i32,
  offset: f64,
  scale: f64,
): void {
  const offsets = f64x2.splat(offset);
  const scales = f64x2.splat(scale);
  const most = i32x4.splat(65535);
  const least = i32x4.splat(-65536);
  const step = second == 0 ? count : lanes;
  for (let i: i32 = 0; i < count; i += step) {
    for (let l: i32 = 0; l < step; l += 8) {
      const a = i32x4.max_s(i32x4.min_s(scaled(v128.load(tile), offsets, scales), most), least);
      const b = i32x4.max_s(i32x4.min_s(scaled(v128.load(tile, 16), offsets, scales), most), least);
      const low = toHalf(f32x4.convert_i32x4_s(a));
      v128.store(dst, i16x8.narrow_i32x4_u(low, toHalf(f32x4.convert_i32x4_s(b))));
      tile += 32;
      dst += 16;
    }
    if (second == 0) continue;
    const other = second;
    second = dst;
    dst = other;
  }
}
