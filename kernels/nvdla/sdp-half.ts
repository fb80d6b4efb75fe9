// The single-point processor computing in fp16: tiles of fp32 between fp16 cubes. Fact sheet section 2.5.
// Not the arithmetic (float.ts) and not the table (lut-half.ts). There is no output converter in this mode.
import { add32, max32, min32, mul32, nans, toFloat, toHalf } from './float';
import { roundSat, join, high } from './round';

// @ts-ignore: decorator
@inline
function flushed(h: v128, nanToZero: i32): v128 {
  if (nanToZero == 0) return h;
  return v128.andnot(h, i32x4.gt_s(v128.and(h, i32x4.splat(0x7fff)), i32x4.splat(0x7c00)));
}

/** fp16 at `src` to fp32 at `dst`; `count` elements, a multiple of 8. `nanToZero` 1: NaNs become 0. */
export function halfToFloat(src: usize, dst: usize, count: i32, nanToZero: i32): void {
  const end = src + (<usize>count << 1);
  for (; src < end; src += 16) {
    v128.store(dst, toFloat(flushed(v128.load16x4_u(src), nanToZero)));
    v128.store(dst, toFloat(flushed(v128.load16x4_u(src, 8), nanToZero)), 16);
    dst += 32;
  }
}

/** fp32 of one fp16, as bits. */
export function floatOfHalf(half: i32, nanToZero: i32): i32 {
  return i32x4.extract_lane(toFloat(flushed(i32x4.splat(half), nanToZero)), 0);
}

/** NaNs of `count` fp32 become 0. */
export function flushNans(tile: usize, count: i32): void {
  const end = tile + (<usize>count << 2);
  for (; tile < end; tile += 16) {
    const v = v128.load(tile);
    v128.store(tile, v128.andnot(v, nans(v)));
  }
}

/** The tile to fp16 at `dst`, or (`integer` 1) through fp16 to int16. `count` is a multiple of 8. */
export function floatToHalf(tile: usize, dst: usize, count: i32, integer: i32): void {
  const end = dst + (<usize>count << 1);
  for (; dst < end; dst += 16) {
    const low = toHalf(v128.load(tile));
    const up = toHalf(v128.load(tile, 16));
    if (integer == 0) v128.store(dst, i16x8.narrow_i32x4_u(low, up));
    else v128.store(dst, i16x8.narrow_i32x4_s(integers(low), integers(up)));
    tile += 32;
  }
}

/** fp16 to integers: nearest, ties away from zero; a NaN is the least int16. */
// @ts-ignore: decorator
@inline
function integers(h: v128): v128 {
  const v = toFloat(h);
  const r = join(roundSat(f64x2.promote_low_f32x4(v)), roundSat(f64x2.promote_low_f32x4(high(v))));
  return v128.bitselect(i32x4.splat(-32768), r, nans(v));
}

/**
 * Operands from memory to fp32: `count` fp16 at `src`, `stride` bytes apart. Those of one byte are read as they are and
 * sign-extended.
 */
export function operandsHalf(
  src: usize,
  dst: usize,
  count: i32,
  stride: i32,
  bytes: i32,
  nanToZero: i32,
): void {
  if (stride == 2 && bytes == 2 && (count & 7) == 0) {
    halfToFloat(src, dst, count, nanToZero);
    return;
  }
  for (let i: i32 = 0; i < count; i++) {
    const half = bytes == 1 ? <i32>load<i8>(src) & 0xffff : <i32>load<u16>(src);
    store<i32>(dst, floatOfHalf(half, nanToZero));
    src += stride;
    dst += 4;
  }
}

/** As stageX, on fp32. There is no shift. */
export function stageXHalf(
  tile: usize,
  groups: i32,
  lanes: i32,
  alu: usize,
  algo: i32,
  mul: usize,
  prelu: i32,
  relu: i32,
): void {
  for (let g: i32 = 0; g < groups; g++) {
    for (let l: usize = 0; l < (<usize>lanes) << 2; l += 16) {
      let v = v128.load(tile);
      if (algo == 0) v = max32(v, v128.load(alu + l));
      else if (algo == 1) v = min32(v, v128.load(alu + l));
      else if (algo == 2) v = add32(v, v128.load(alu + l));
      if (mul != 0) v = product(v, v128.load(mul + l), prelu);
      if (relu != 0) v = v128.andnot(v, v128.andnot(i32x4.shr_s(v, 31), nans(v)));
      v128.store(tile, v);
      tile += 16;
    }
  }
}

/** `prelu`: what is not negative stays. */
// @ts-ignore: decorator
@inline
function product(v: v128, m: v128, prelu: i32): v128 {
  const r = mul32(v, m);
  return prelu == 0 ? r : v128.bitselect(r, v, i32x4.shr_s(v, 31));
}

/** As stageY, on fp32. Equal (algo 3) compares bits. */
export function stageYHalf(
  tile: usize,
  groups: i32,
  lanes: i32,
  mul: usize,
  prelu: i32,
  alu: usize,
  algo: i32,
): i32 {
  let unequal = i32x4.splat(0);
  for (let g: i32 = 0; g < groups; g++) {
    for (let l: usize = 0; l < (<usize>lanes) << 2; l += 16) {
      let v = v128.load(tile);
      if (mul != 0) v = product(v, v128.load(mul + l), prelu);
      if (algo == 0) v = max32(v, v128.load(alu + l));
      else if (algo == 1) v = min32(v, v128.load(alu + l));
      else if (algo == 2) v = add32(v, v128.load(alu + l));
      else if (algo == 3) {
        v = v128.and(i32x4.ne(v, v128.load(alu + l)), i32x4.splat(1));
        unequal = v128.or(unequal, v);
      }
      v128.store(tile, v);
      tile += 16;
    }
  }
  return v128.any_true(unequal) ? 1 : 0;
}
