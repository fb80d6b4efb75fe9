// The floating-point arithmetic of SDP, PDP and CDP: fp32, and "fp17" (6 exponent bits, 10 fraction bits) kept as fp32.
// Not IEEE 754: results are at most the largest finite number, results below the least normal one are 0, a sum that
// cancels has the sign of its first operand, a NaN keeps its payload. Not of CMAC and CACC: conv-half.ts.
// Fact sheet sections 2.5 to 2.7.
//
// fp32 NaNs here carry the payload of the fp16 NaN they come from in their low 10 bits, as in the hardware. Numbers of
// 11 bits are sums and products that fp32 holds well enough: a product exactly; a sum either exactly, or so that its
// rounding to 24 bits cannot reach or leave the middle between two numbers of 11 bits.

const SIGN: i32 = -0x80000000;
const INFINITY: i32 = 0x7f800000;
const LARGEST: i32 = 0x7f7fffff;
const LEAST: i32 = 0x00800000;
/** 2^31 * (2 - 2^-10), 2^-30 and the first number that rounds up to it, as fp32. */
const LARGEST17: i32 = 0x4f7fe000;
const LEAST17: i32 = 0x30800000;
const NEARLY17: i32 = 0x307fe000;

// @ts-ignore: decorator
@inline
function magnitude(v: v128): v128 {
  return v128.andnot(v, i32x4.splat(SIGN));
}

// @ts-ignore: decorator
@inline
export function nans(v: v128): v128 {
  return i32x4.gt_s(magnitude(v), i32x4.splat(INFINITY));
}

/** A NaN among the operands is the result, the first one's before the second's. */
// @ts-ignore: decorator
@inline
function passNans(r: v128, a: v128, b: v128): v128 {
  return v128.bitselect(a, v128.bitselect(b, r, nans(b)), nans(a));
}

/** fp16 in the low halves of four lanes to fp32. Infinity becomes `largest`. */
// @ts-ignore: decorator
@inline
function widened(h: v128, largest: i32): v128 {
  const m = v128.and(h, i32x4.splat(0x7fff));
  const sign = v128.and(i32x4.shl(h, 16), i32x4.splat(SIGN));
  const normal = i32x4.add(i32x4.shl(m, 13), i32x4.splat(112 << 23));
  const small = f32x4.mul(f32x4.convert_i32x4_s(m), f32x4.splat(5.960464477539063e-8));
  let r = v128.bitselect(small, normal, i32x4.lt_s(m, i32x4.splat(0x400)));
  const special = i32x4.ge_s(m, i32x4.splat(0x7c00));
  if (v128.any_true(special)) {
    const payload = v128.and(m, i32x4.splat(0x3ff));
    const nan = v128.or(payload, i32x4.splat(INFINITY));
    const infinite = i32x4.eq(payload, i32x4.splat(0));
    r = v128.bitselect(v128.bitselect(i32x4.splat(largest), nan, infinite), r, special);
  }
  return v128.or(r, sign);
}

/** fp16 to fp32: infinity becomes the largest fp32. */
// @ts-ignore: decorator
@inline
export function toFloat(h: v128): v128 {
  return widened(h, LARGEST);
}

/** fp16 to fp17: infinity becomes the largest fp17. */
// @ts-ignore: decorator
@inline
export function toFloat17(h: v128): v128 {
  return widened(h, LARGEST17);
}

/** fp32 or fp17 to fp16 in the low halves of four lanes: nearest, ties to even, at most the largest finite one. */
// @ts-ignore: decorator
@inline
export function toHalf(v: v128): v128 {
  const m = magnitude(v);
  const odd = v128.and(i32x4.shr_u(m, 13), i32x4.splat(1));
  const normal = i32x4.shr_s(i32x4.add(i32x4.add(m, odd), i32x4.splat(0xfff - (112 << 23))), 13);
  // The sum's last bit is worth 2^-24, the last bit of a denormal.
  const small = i32x4.sub(f32x4.add(m, f32x4.splat(0.5)), i32x4.splat(0x3f000000));
  let r = v128.bitselect(small, normal, i32x4.lt_s(m, i32x4.splat(0x38800000)));
  r = i32x4.min_s(r, i32x4.splat(0x7bff));
  const nan = v128.or(v128.and(m, i32x4.splat(0x3ff)), i32x4.splat(0x7c00));
  r = v128.bitselect(nan, r, i32x4.gt_s(m, i32x4.splat(INFINITY)));
  return v128.or(r, v128.and(i32x4.shr_u(v, 16), i32x4.splat(0x8000)));
}

/** fp32 to fp17. */
// @ts-ignore: decorator
@inline
export function narrow17(v: v128): v128 {
  const m = magnitude(v);
  const near = i32x4.ge_s(m, i32x4.splat(NEARLY17));
  let r = v128.and(rounded11(m), near);
  r = v128.bitselect(i32x4.splat(LEAST17), r, v128.and(near, i32x4.lt_s(m, i32x4.splat(LEAST17))));
  r = v128.or(i32x4.min_s(r, i32x4.splat(LARGEST17)), v128.and(v, i32x4.splat(SIGN)));
  return v128.bitselect(v, r, nans(v));
}

/** Magnitudes to 11 significant bits: nearest, ties to even. */
// @ts-ignore: decorator
@inline
function rounded11(m: v128): v128 {
  const odd = v128.and(i32x4.shr_u(m, 13), i32x4.splat(1));
  return v128.and(i32x4.add(i32x4.add(m, odd), i32x4.splat(0xfff)), i32x4.splat(~0x1fff));
}

// @ts-ignore: decorator
@inline
export function negated(v: v128): v128 {
  return v128.xor(v, i32x4.splat(SIGN));
}

/** The sign of a sum: of `a` when it is 0, else its own. */
// @ts-ignore: decorator
@inline
function signOfSum(r: v128, m: v128, a: v128): v128 {
  return v128.and(v128.bitselect(a, r, i32x4.eq(m, i32x4.splat(0))), i32x4.splat(SIGN));
}

/** fp32 sum. */
// @ts-ignore: decorator
@inline
export function add32(a: v128, b: v128): v128 {
  const sum = f32x4.add(a, b);
  const m = magnitude(sum);
  const kept = v128.and(i32x4.min_s(m, i32x4.splat(LARGEST)), i32x4.ge_s(m, i32x4.splat(LEAST)));
  return passNans(v128.or(kept, signOfSum(sum, m, a)), a, b);
}

/** fp17 sum. */
// @ts-ignore: decorator
@inline
export function add17(a: v128, b: v128): v128 {
  const sum = f32x4.add(a, b);
  const m = magnitude(sum);
  const r = i32x4.min_s(rounded11(m), i32x4.splat(LARGEST17));
  const kept = v128.and(r, i32x4.ge_s(m, i32x4.splat(LEAST17)));
  return passNans(v128.or(kept, signOfSum(sum, m, a)), a, b);
}

/** Lanes whose exponents add up to less than the bias: their product is 0 even if it would round up to a number. */
// @ts-ignore: decorator
@inline
function tooSmall(a: v128, b: v128, least: i32): v128 {
  const exponents = i32x4.add(i32x4.shr_u(magnitude(a), 23), i32x4.shr_u(magnitude(b), 23));
  return i32x4.lt_s(exponents, i32x4.splat(least));
}

/** One fp32 product of normal numbers whose exponents add up to exactly the bias: 0, or the least number by rounding up. */
function product32(a: u32, b: u32): u32 {
  const product = <u64>((a & 0x7fffff) | 0x800000) * <u64>((b & 0x7fffff) | 0x800000);
  const sign = (a ^ b) & 0x80000000;
  // 2 or more: the exponent is 1, 24 bits are kept; below, only what rounds up to 2 is a number.
  if (product >= <u64>1 << 47) {
    const low = product & 0xffffff;
    let m = <u32>(product >> 24);
    if (low > 0x800000 || (low == 0x800000 && (m & 1) != 0)) m++;
    return sign | (LEAST + m - 0x800000);
  }
  const low = product & 0x7fffff;
  let m = <u32>(product >> 23);
  if (low > 0x400000 || (low == 0x400000 && (m & 1) != 0)) m++;
  return m == 0x1000000 ? sign | LEAST : sign;
}

/** fp32 product. */
// @ts-ignore: decorator
@inline
export function mul32(a: v128, b: v128): v128 {
  const product = f32x4.mul(a, b);
  const m = magnitude(product);
  const kept = v128.and(i32x4.min_s(m, i32x4.splat(LARGEST)), i32x4.ge_s(m, i32x4.splat(LEAST)));
  let r = v128.or(kept, v128.and(v128.xor(a, b), i32x4.splat(SIGN)));
  // fp32 rounds at another place just below the least normal number.
  if (v128.any_true(i32x4.eq(m, i32x4.splat(LEAST)))) r = borders(r, m, a, b);
  return passNans(r, a, b);
}

function borders(r: v128, m: v128, a: v128, b: v128): v128 {
  if (i32x4.extract_lane(m, 0) == LEAST)
    r = i32x4.replace_lane(r, 0, border(i32x4.extract_lane(a, 0), i32x4.extract_lane(b, 0)));
  if (i32x4.extract_lane(m, 1) == LEAST)
    r = i32x4.replace_lane(r, 1, border(i32x4.extract_lane(a, 1), i32x4.extract_lane(b, 1)));
  if (i32x4.extract_lane(m, 2) == LEAST)
    r = i32x4.replace_lane(r, 2, border(i32x4.extract_lane(a, 2), i32x4.extract_lane(b, 2)));
  if (i32x4.extract_lane(m, 3) == LEAST)
    r = i32x4.replace_lane(r, 3, border(i32x4.extract_lane(a, 3), i32x4.extract_lane(b, 3)));
  return r;
}

/** A product that fp32 says is the least normal number. */
function border(a: i32, b: i32): i32 {
  const exponents = ((a >>> 23) & 255) + ((b >>> 23) & 255);
  if (exponents < 127) return (a ^ b) & SIGN;
  if (exponents > 127) return ((a ^ b) & SIGN) | LEAST;
  return <i32>product32(<u32>a, <u32>b);
}

/** fp17 product. */
// @ts-ignore: decorator
@inline
export function mul17(a: v128, b: v128): v128 {
  const m = rounded11(magnitude(f32x4.mul(a, b)));
  let kept = v128.and(i32x4.min_s(m, i32x4.splat(LARGEST17)), i32x4.ge_s(m, i32x4.splat(LEAST17)));
  kept = v128.andnot(kept, tooSmall(a, b, 223));
  return passNans(v128.or(kept, v128.and(v128.xor(a, b), i32x4.splat(SIGN))), a, b);
}

/** Order of fp32 as int32. */
// @ts-ignore: decorator
@inline
function ordered(v: v128): v128 {
  return v128.xor(v, i32x4.shr_u(i32x4.shr_s(v, 31), 1));
}

// @ts-ignore: decorator
@inline
export function max32(a: v128, b: v128): v128 {
  return passNans(v128.bitselect(a, b, i32x4.gt_s(ordered(a), ordered(b))), a, b);
}

// @ts-ignore: decorator
@inline
export function min32(a: v128, b: v128): v128 {
  return passNans(v128.bitselect(a, b, i32x4.lt_s(ordered(a), ordered(b))), a, b);
}
