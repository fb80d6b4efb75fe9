// The usual chain of the single-point processor in one pass over integers: X1, perhaps X2, output converter. Fact sheet section 2.5.
// Not for stages that choose by sign or size, nor for the table: sdp.ts.
import { high, round } from './round';

/** One X stage on two lanes in double precision: sum, product with multiplier and shift, rounding, saturation to 32 bits. */
// @ts-ignore: decorator
@inline
function stage64(x: v128, alu: usize, mul: usize, relu: i32, at: usize): v128 {
  if (alu != 0) x = f64x2.add(x, v128.load(alu + at));
  if (mul != 0) x = round(f64x2.mul(x, v128.load(mul + at)));
  x = f64x2.pmax(f64x2.pmin(x, f64x2.splat(2147483647)), f64x2.splat(-2147483648));
  return relu != 0 ? f64x2.pmax(x, f64x2.splat(0)) : x;
}

/** Both stages and the converter on two lanes; the result is an integer in the low word of each, saturated to O. */
// @ts-ignore: decorator
@inline
function chain64<O>(
  x: v128,
  alu1: usize,
  mul1: usize,
  relu1: i32,
  two: i32,
  alu2: usize,
  mul2: usize,
  relu2: i32,
  at: usize,
  offset: v128,
  scale: v128,
): v128 {
  x = stage64(x, alu1, mul1, relu1, at);
  if (two != 0) x = stage64(x, alu2, mul2, relu2, at);
  x = round(f64x2.mul(f64x2.sub(x, offset), scale));
  const most: f64 = sizeof<O>() == 1 ? 127 : 32767;
  x = f64x2.pmax(f64x2.pmin(x, f64x2.splat(most)), f64x2.splat(-most - 1));
  // 2^52 + 2^51: the sum's low word is the integer.
  return f64x2.add(x, f64x2.splat(6755399441055744));
}

/**
 * The usual chain in one pass: X1 and perhaps X2 with sum and product only, then the output converter to int8 or int16. Values stay
 * in double precision between the stages, where all of them are exact.
 * @param src `groups` times `lanes` elements of `bytes` (1, 2 or 4); lanes is a multiple of 8
 * @param alu1 array of `lanes` doubles to add, or 0
 * @param mul1 array of `lanes` doubles, multiplier times 2^-shift, or 0 when the stage neither multiplies nor shifts
 * @param live lanes of a group that are computed, a multiple of 8; the others are copied from `still`
 * @param still `lanes` results: what the chain makes of zeros
 */
// @ts-ignore: decorator
@inline
function chain<O>(
  src: usize,
  bytes: i32,
  dst: usize,
  groups: i32,
  lanes: i32,
  alu1: usize,
  mul1: usize,
  relu1: i32,
  two: i32,
  alu2: usize,
  mul2: usize,
  relu2: i32,
  offset: f64,
  scale: f64,
  live: i32,
  still: usize,
): void {
  const offsets = f64x2.splat(offset);
  const scales = f64x2.splat(scale);
  const row = (<usize>live) << 3;
  const skipped = (<usize>(lanes - live)) * <usize>bytes;
  for (let g: i32 = 0; g < groups; g++) {
    for (let at: usize = 0; at < row; at += 64) {
      let low: v128;
      let up: v128;
      if (bytes == 4) {
        low = v128.load(src);
        up = v128.load(src, 16);
        src += 32;
      } else {
        const half = bytes == 1 ? v128.load8x8_s(src) : v128.load(src);
        low = i32x4.extend_low_i16x8_s(half);
        up = i32x4.extend_high_i16x8_s(half);
        src += <usize>(bytes << 3);
      }
      const a = chain64<O>(f64x2.convert_low_i32x4_s(low), alu1, mul1, relu1, two, alu2, mul2, relu2, at, offsets, scales);
      const b = chain64<O>(f64x2.convert_low_i32x4_s(high(low)), alu1, mul1, relu1, two, alu2, mul2, relu2, at + 16, offsets, scales);
      const c = chain64<O>(f64x2.convert_low_i32x4_s(up), alu1, mul1, relu1, two, alu2, mul2, relu2, at + 32, offsets, scales);
      const d = chain64<O>(f64x2.convert_low_i32x4_s(high(up)), alu1, mul1, relu1, two, alu2, mul2, relu2, at + 48, offsets, scales);
      const words = i16x8.narrow_i32x4_s(v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(c, d, 0, 2, 4, 6));
      if (sizeof<O>() == 1) v128.store64_lane(dst, i8x16.narrow_i16x8_s(words, words), 0);
      else v128.store(dst, words);
      dst += 8 * sizeof<O>();
    }
    src += skipped;
    for (let l = live; l < lanes; l += 8) {
      if (sizeof<O>() == 1) store<u64>(dst, load<u64>(still + <usize>l));
      else v128.store(dst, v128.load(still + (<usize>l << 1)));
      dst += 8 * sizeof<O>();
    }
  }
}

/** The chain to int8. */
export function chain8(
  src: usize,
  bytes: i32,
  dst: usize,
  groups: i32,
  lanes: i32,
  alu1: usize,
  mul1: usize,
  relu1: i32,
  two: i32,
  alu2: usize,
  mul2: usize,
  relu2: i32,
  offset: f64,
  scale: f64,
  live: i32,
  still: usize,
): void {
  chain<i8>(src, bytes, dst, groups, lanes, alu1, mul1, relu1, two, alu2, mul2, relu2, offset, scale, live, still);
}

/** The chain to int16. */
export function chain16(
  src: usize,
  bytes: i32,
  dst: usize,
  groups: i32,
  lanes: i32,
  alu1: usize,
  mul1: usize,
  relu1: i32,
  two: i32,
  alu2: usize,
  mul2: usize,
  relu2: i32,
  offset: f64,
  scale: f64,
  live: i32,
  still: usize,
): void {
  chain<i16>(src, bytes, dst, groups, lanes, alu1, mul1, relu1, two, alu2, mul2, relu2, offset, scale, live, still);
}

/** Two operands to doubles: converted, rounded and saturated to 32 bits, times rate. */
// @ts-ignore: decorator
@inline
function operand64(dst: usize, x: v128, offset: v128, scale: v128, rate: v128): void {
  x = round(f64x2.mul(f64x2.sub(f64x2.convert_low_i32x4_s(x), offset), scale));
  x = f64x2.pmax(f64x2.pmin(x, f64x2.splat(2147483647)), f64x2.splat(-2147483648));
  v128.store(dst, f64x2.mul(x, rate));
}

/** As `operands`, to doubles at `dst`, each times `rate` after it was rounded and saturated. `count` is a multiple of 8. */
export function operands64(
  src: usize,
  dst: usize,
  count: i32,
  stride: i32,
  bytes: i32,
  offset: f64,
  scale: f64,
  rate: f64,
): void {
  const offsets = f64x2.splat(offset);
  const scales = f64x2.splat(scale);
  const rates = f64x2.splat(rate);
  for (let i: i32 = 0; i < count; i += 8) {
    let half: v128;
    if (stride == 1) half = v128.load8x8_s(src);
    else if (stride == 2 && bytes == 2) half = v128.load(src);
    else {
      half = i16x8.splat(0);
      half = i16x8.replace_lane(half, 0, element(src, bytes));
      half = i16x8.replace_lane(half, 1, element(src + stride, bytes));
      half = i16x8.replace_lane(half, 2, element(src + 2 * stride, bytes));
      half = i16x8.replace_lane(half, 3, element(src + 3 * stride, bytes));
      half = i16x8.replace_lane(half, 4, element(src + 4 * stride, bytes));
      half = i16x8.replace_lane(half, 5, element(src + 5 * stride, bytes));
      half = i16x8.replace_lane(half, 6, element(src + 6 * stride, bytes));
      half = i16x8.replace_lane(half, 7, element(src + 7 * stride, bytes));
    }
    src += 8 * stride;
    const low = i32x4.extend_low_i16x8_s(half);
    const up = i32x4.extend_high_i16x8_s(half);
    operand64(dst, low, offsets, scales, rates);
    operand64(dst + 16, high(low), offsets, scales, rates);
    operand64(dst + 32, up, offsets, scales, rates);
    operand64(dst + 48, high(up), offsets, scales, rates);
    dst += 64;
  }
}

// @ts-ignore: decorator
@inline
function element(src: usize, bytes: i32): i16 {
  return bytes == 1 ? <i16>load<i8>(src) : load<i16>(src);
}

/** `count` doubles of `value` at `dst`. */
export function fill64(dst: usize, value: f64, count: i32): void {
  const end = dst + ((<usize>count) << 3);
  const pair = f64x2.splat(value);
  for (; dst < end; dst += 16) v128.store(dst, pair);
}
