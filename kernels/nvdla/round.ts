// Rounding in double precision: what the stages, the converters and the pooling of averages share.
// Not saturation to less than 32 bits.
//
// Products here have at most 49 bits, so double precision holds them exactly, and a shift right is a multiplication by
// a power of two. Rounding to nearest with ties away from zero is then trunc(x + copysign(0.5, x)); the truncating
// conversion saturates to 32 bits as the hardware does.

/** Lanes 2 and 3. */
// @ts-ignore: decorator
@inline
export function high(v: v128): v128 {
  return v128.shuffle<i64>(v, v, 1, 1);
}

/** Lanes 0 and 1 of both. */
// @ts-ignore: decorator
@inline
export function join(low: v128, up: v128): v128 {
  return v128.shuffle<i64>(low, up, 0, 2);
}

/** Rounds to nearest, ties away from zero, and saturates to int32, in lanes 0 and 1. */
// @ts-ignore: decorator
@inline
export function roundSat(x: v128): v128 {
  const sign = v128.and(x, i64x2.splat(0x8000000000000000));
  return i32x4.trunc_sat_f64x2_s_zero(f64x2.add(x, v128.or(sign, f64x2.splat(0.5))));
}

/** Rounds to nearest, ties away from zero; stays a double. */
// @ts-ignore: decorator
@inline
export function round(x: v128): v128 {
  const sign = v128.and(x, i64x2.splat(0x8000000000000000));
  return f64x2.trunc(f64x2.add(x, v128.or(sign, f64x2.splat(0.5))));
}

/** round((v - offset) * scale) of four int32, saturated to int32. */
// @ts-ignore: decorator
@inline
export function scaled(v: v128, offset: v128, scale: v128): v128 {
  return join(
    roundSat(f64x2.mul(f64x2.sub(f64x2.convert_low_i32x4_s(v), offset), scale)),
    roundSat(f64x2.mul(f64x2.sub(f64x2.convert_low_i32x4_s(high(v)), offset), scale)),
  );
}
