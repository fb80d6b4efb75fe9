// Stages of the single-point processor on tiles of int32, and its output converter. Fact sheet section 2.5.
// Not a pipeline: the engine calls the stages that are on, in their order.
//
// Products here have at most 49 bits, so double precision holds them exactly, and a shift right is a multiplication by
// a power of two. Rounding to nearest with ties away from zero is then trunc(x + copysign(0.5, x)); the truncating
// conversion saturates to 32 bits as the hardware does.

function high(v: v128): v128 {
  return v128.shuffle<i64>(v, v, 1, 1);
}

function join(low: v128, up: v128): v128 {
  return v128.shuffle<i64>(low, up, 0, 2);
}

/** Rounds to nearest, ties away from zero, and saturates to int32, in lanes 0 and 1. */
function roundSat(x: v128): v128 {
  const sign = v128.and(x, i64x2.splat(0x8000000000000000));
  return i32x4.trunc_sat_f64x2_s_zero(f64x2.add(x, v128.or(sign, f64x2.splat(0.5))));
}

/**
 * Operands from memory: `count` elements of `bytes` (1 or 2) at `src`, `stride` bytes apart, to int32 at `dst`:
 * round((x - offset) * scale), saturated. `scale` includes the power of two of a shift.
 */
export function operands(
  src: usize,
  dst: usize,
  count: i32,
  stride: i32,
  bytes: i32,
  offset: f64,
  scale: f64,
): void {
  for (let i: i32 = 0; i < count; i++) {
    const x: i32 = bytes == 1 ? <i32>load<i8>(src) : <i32>load<i16>(src);
    const y = (<f64>x - offset) * scale;
    store<i32>(dst, <i32>Math.min(2147483647, Math.max(-2147483648, y + (y < 0 ? -0.5 : 0.5))));
    src += stride;
    dst += 4;
  }
}

/**
 * Stage X1 or X2 in place on `groups` times `lanes` int32. The operand arrays have `lanes` int32 and serve every group.
 * @param algo 0 max, 1 min, 2 sum, -1 none
 * @param mul array of multipliers, or 0 for none
 * @param rate 2^-shift; applied also without a multiplier
 * @param prelu non-negative values skip multiplier and shift
 */
export function stageX(
  tile: usize,
  groups: i32,
  lanes: i32,
  alu: usize,
  algo: i32,
  mul: usize,
  rate: f64,
  prelu: i32,
  relu: i32,
): void {
  const zero = i32x4.splat(0);
  const rates = f64x2.splat(rate);
  const still = mul == 0 && rate == 1;
  for (let g: i32 = 0; g < groups; g++) {
    for (let l: usize = 0; l < (<usize>lanes) << 2; l += 16) {
      let v = v128.load(tile);
      if (algo == 0) v = i32x4.max_s(v, v128.load(alu + l));
      else if (algo == 1) v = i32x4.min_s(v, v128.load(alu + l));
      if (algo == 2 && still) {
        // Sum alone: add in 32 bits; where the signs say it wrapped, the bound on the side of the value.
        const q = v128.load(alu + l);
        const sum = i32x4.add(v, q);
        const wrapped = i32x4.shr_s(v128.and(v128.xor(sum, v), v128.xor(sum, q)), 31);
        const bound = v128.xor(i32x4.shr_s(v, 31), i32x4.splat(0x7fffffff));
        v = v128.bitselect(bound, sum, wrapped);
      } else if (!still) {
        let a = f64x2.convert_low_i32x4_s(v);
        let b = f64x2.convert_low_i32x4_s(high(v));
        if (algo == 2) {
          const q = v128.load(alu + l);
          a = f64x2.add(a, f64x2.convert_low_i32x4_s(q));
          b = f64x2.add(b, f64x2.convert_low_i32x4_s(high(q)));
        }
        if (!still) {
          let c = f64x2.mul(a, rates);
          let d = f64x2.mul(b, rates);
          if (mul != 0) {
            const m = v128.load(mul + l);
            c = f64x2.mul(c, f64x2.convert_low_i32x4_s(m));
            d = f64x2.mul(d, f64x2.convert_low_i32x4_s(high(m)));
          }
          if (prelu != 0) {
            c = v128.bitselect(a, c, f64x2.ge(a, f64x2.splat(0)));
            d = v128.bitselect(b, d, f64x2.ge(b, f64x2.splat(0)));
          }
          a = c;
          b = d;
        }
        v = join(roundSat(a), roundSat(b));
      }
      if (relu != 0) v = i32x4.max_s(v, zero);
      v128.store(tile, v);
      tile += 16;
    }
  }
}

/** `value` shifted right by `shift`, to nearest, ties away from zero. |value| < 2^63. */
function round64(value: i64, shift: i32): i64 {
  if (shift == 0) return value;
  if (shift > 63) return 0;
  const sign = value >> 63;
  const size = <u64>((value ^ sign) - sign);
  return ((<i64>((size + ((<u64>1) << (shift - 1))) >> shift)) ^ sign) - sign;
}

function sat32(v: i64): i32 {
  return <i32>min<i64>(max<i64>(v, -2147483648), 2147483647);
}

/**
 * Stage Y (element-wise) in place: multiply first, then the ALU. Arrays as in stageX, 0 for none.
 * @param algo 0 max, 1 min, 2 sum, 3 equal (0 where equal, else 1), -1 none
 * @returns 1 when algo is equal and any element differed
 */
export function stageY(
  tile: usize,
  groups: i32,
  lanes: i32,
  mul: usize,
  truncate: i32,
  prelu: i32,
  alu: usize,
  algo: i32,
): i32 {
  let unequal: i32 = 0;
  for (let g: i32 = 0; g < groups; g++) {
    for (let l: usize = 0; l < (<usize>lanes) << 2; l += 4) {
      let v = load<i32>(tile);
      if (mul != 0 && !(prelu != 0 && v >= 0)) {
        v = sat32(round64(<i64>v * <i64>load<i32>(mul + l), truncate));
      }
      if (algo >= 0) {
        const o = load<i32>(alu + l);
        if (algo == 0) v = max(v, o);
        else if (algo == 1) v = min(v, o);
        else if (algo == 2) v = sat32(<i64>v + <i64>o);
        else {
          v = v == o ? 0 : 1;
          unequal |= v;
        }
      }
      store<i32>(tile, v);
      tile += 4;
    }
  }
  return unequal;
}

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
      a = join(
        roundSat(f64x2.mul(f64x2.sub(f64x2.convert_low_i32x4_s(a), offsets), scales)),
        roundSat(f64x2.mul(f64x2.sub(f64x2.convert_low_i32x4_s(high(a)), offsets), scales)),
      );
      b = join(
        roundSat(f64x2.mul(f64x2.sub(f64x2.convert_low_i32x4_s(b), offsets), scales)),
        roundSat(f64x2.mul(f64x2.sub(f64x2.convert_low_i32x4_s(high(b)), offsets), scales)),
      );
    }
    const half = i16x8.narrow_i32x4_s(a, b);
    v128.store64_lane(dst, i8x16.narrow_i16x8_s(half, half), 0);
    tile += 32;
    dst += 8;
  }
}

@inline
function round(x: v128): v128 {
  const sign = v128.and(x, i64x2.splat(0x8000000000000000));
  return f64x2.trunc(f64x2.add(x, v128.or(sign, f64x2.splat(0.5))));
}

/** One X stage on two lanes in double precision: sum, product with multiplier and shift, rounding, saturation to 32 bits. */
@inline
function stage64(x: v128, alu: usize, mul: usize, relu: i32, at: usize): v128 {
  if (alu != 0) x = f64x2.add(x, v128.load(alu + at));
  if (mul != 0) x = round(f64x2.mul(x, v128.load(mul + at)));
  x = f64x2.pmax(f64x2.pmin(x, f64x2.splat(2147483647)), f64x2.splat(-2147483648));
  return relu != 0 ? f64x2.pmax(x, f64x2.splat(0)) : x;
}

/** Both stages and the converter on two lanes; the result is an integer from -128 to 127 in the low word of each. */
@inline
function chain64(
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
  x = f64x2.pmax(f64x2.pmin(x, f64x2.splat(127)), f64x2.splat(-128));
  // 2^52 + 2^51: the sum's low word is the integer.
  return f64x2.add(x, f64x2.splat(6755399441055744));
}

/**
 * The usual chain in one pass: X1 and perhaps X2 with sum and product only, then the output converter to int8. Values stay
 * in double precision between the stages, where all of them are exact.
 * @param src `groups` times `lanes` elements of `bytes` (1 or 4); lanes is a multiple of 8
 * @param alu1 array of `lanes` doubles to add, or 0
 * @param mul1 array of `lanes` doubles, multiplier times 2^-shift, or 0 when the stage neither multiplies nor shifts
 * @param live lanes of a group that are computed, a multiple of 8; the others are copied from `still`
 * @param still `lanes` bytes: what the chain makes of zeros
 */
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
        const half = v128.load8x8_s(src);
        low = i32x4.extend_low_i16x8_s(half);
        up = i32x4.extend_high_i16x8_s(half);
        src += 8;
      }
      const a = chain64(f64x2.convert_low_i32x4_s(low), alu1, mul1, relu1, two, alu2, mul2, relu2, at, offsets, scales);
      const b = chain64(f64x2.convert_low_i32x4_s(high(low)), alu1, mul1, relu1, two, alu2, mul2, relu2, at + 16, offsets, scales);
      const c = chain64(f64x2.convert_low_i32x4_s(up), alu1, mul1, relu1, two, alu2, mul2, relu2, at + 32, offsets, scales);
      const d = chain64(f64x2.convert_low_i32x4_s(high(up)), alu1, mul1, relu1, two, alu2, mul2, relu2, at + 48, offsets, scales);
      const words = i16x8.narrow_i32x4_s(v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(c, d, 0, 2, 4, 6));
      v128.store64_lane(dst, i8x16.narrow_i16x8_s(words, words), 0);
      dst += 8;
    }
    src += skipped;
    for (let l = live; l < lanes; l += 8) {
      store<u64>(dst, load<u64>(still + <usize>l));
      dst += 8;
    }
  }
}

/** Two operands to doubles: converted, rounded and saturated to 32 bits, times rate. */
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
