// Arithmetic that every way of summing products shares: multiply-add of int16 pairs, CACC's truncation.
// Not a loop over products: conv-panels.ts, conv-diagonal.ts, conv-dot.ts.

// @ts-ignore: decorator
@inline
export function mac(sum: v128, a: v128, b: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(a, b));
}

/** CACC's truncation for sums that 32 bits hold with room for one more: nearest, ties away from zero. */
// @ts-ignore: decorator
@inline
export function truncated(v: v128, shift: i32): v128 {
  if (shift == 0) return v;
  const towards = i32x4.add(v, i32x4.shr_s(v, 31));
  return i32x4.shr_s(i32x4.add(i32x4.shr_s(towards, shift - 1), i32x4.splat(1)), 1);
}
