// Lines of a pitch-linear image to rows of int16 pixels: CDMA's reordering and converter. Fact sheet sections 2.1, 3.5.
// Not feature cubes: conv-features.ts.
import { truncated } from './conv-sum';

/**
 * One element of `count` pixels, `step` bytes apart, through a table of 256 int16, to every `channels`-th int16.
 */
export function convElement(
  src: usize,
  step: usize,
  table: usize,
  channels: i32,
  dst: usize,
  count: i32,
): void {
  const pixel = <usize>channels << 1;
  for (let x: i32 = 0; x < count; x++) {
    store<i16>(dst, load<i16>(table + (<usize>load<u8>(src) << 1)));
    src += step;
    dst += pixel;
  }
}

/** As convElement, elements of 16 bits as they are. */
export function convElement16(src: usize, step: usize, channels: i32, dst: usize, count: i32): void {
  const pixel = <usize>channels << 1;
  for (let x: i32 = 0; x < count; x++) {
    store<i16>(dst, load<i16>(src));
    src += step;
    dst += pixel;
  }
}

/** As convElement, `bits` bits from bit `low` on of 32-bit words, as the high bits of 16. */
export function convElement10(
  src: usize,
  step: usize,
  low: i32,
  bits: i32,
  channels: i32,
  dst: usize,
  count: i32,
): void {
  const pixel = <usize>channels << 1;
  for (let x: i32 = 0; x < count; x++) {
    store<u16>(dst, ((load<u32>(src) >> low) << (32 - bits)) >> 16);
    src += step;
    dst += pixel;
  }
}

/**
 * Pixels of packed bytes, `elements` (1 or 4) each, through the converter to int16, the first `channels` (1, 3 or 4) of each
 * kept: 16 bytes at a time, so a rest of up to 15 bytes is left. Needs |x - offset| * |scale| < 2^30. Returns the pixels
 * done. Writes up to 2 bytes past them.
 * @param order byte of a pixel that element i comes from, in bits 2i and 2i + 1
 * @param offset0,offset1,offset2,offset3 the converter's offset per element; of one element all are the same
 */
export function convPixels(
  src: usize,
  elements: i32,
  channels: i32,
  order: i32,
  dst: usize,
  count: i32,
  signed: i32,
  offset0: i32,
  offset1: i32,
  offset2: i32,
  offset3: i32,
  scale: i32,
  shift: i32,
): i32 {
  const perLoad = elements == 1 ? 16 : 4;
  let lanes = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  if (elements == 4) {
    const pixel = i8x16(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
    const bytes =
      (order & 3) | ((order & 12) << 6) | ((order & 48) << 12) | ((order & 192) << 18);
    lanes = v128.or(pixel, i32x4.splat(bytes));
  }
  const offset = i32x4(offset0, offset1, offset2, offset3);
  const factor = i32x4.splat(scale);
  const low = i16x8.splat(-128);
  const high = i16x8.splat(127);
  // Unsigned bytes are read as signed ones 128 below: that much is added back as int16.
  const bias = i16x8.splat(signed ? 0 : 128);
  const flip = i8x16.splat(signed ? 0 : -128);
  let done: i32 = 0;
  for (; done + perLoad <= count; done += perLoad) {
    const bytes = v128.xor(i8x16.swizzle(v128.load(src), lanes), flip);
    const first = i16x8.add(i16x8.extend_low_i8x16_s(bytes), bias);
    const second = i16x8.add(i16x8.extend_high_i8x16_s(bytes), bias);
    const x0 = i32x4.mul(i32x4.sub(i32x4.extend_low_i16x8_s(first), offset), factor);
    const x1 = i32x4.mul(i32x4.sub(i32x4.extend_high_i16x8_s(first), offset), factor);
    const x2 = i32x4.mul(i32x4.sub(i32x4.extend_low_i16x8_s(second), offset), factor);
    const x3 = i32x4.mul(i32x4.sub(i32x4.extend_high_i16x8_s(second), offset), factor);
    const y0 = i16x8.narrow_i32x4_s(truncated(x0, shift), truncated(x1, shift));
    const y1 = i16x8.narrow_i32x4_s(truncated(x2, shift), truncated(x3, shift));
    const z0 = i16x8.min_s(i16x8.max_s(y0, low), high);
    const z1 = i16x8.min_s(i16x8.max_s(y1, low), high);
    if (channels == elements) {
      v128.store(dst, z0);
      v128.store(dst, z1, 16);
      dst += 32;
    } else {
      v128.store64_lane(dst, z0, 0);
      v128.store64_lane(dst, z0, 1, 6);
      v128.store64_lane(dst, z1, 0, 12);
      v128.store64_lane(dst, z1, 1, 18);
      dst += 24;
    }
    src += 16;
  }
  return done;
}
