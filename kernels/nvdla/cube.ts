// Moves elements between memory formats and the 32-bit tiles the processors work on.
// Not arithmetic of a unit: see sdp.ts, pdp.ts, cdp.ts.

/** int8 at `src` to int32 at `dst`; `count` elements, a multiple of 8. */
export function widen8(src: usize, dst: usize, count: i32): void {
  const end = src + <usize>count;
  while (src < end) {
    const half = v128.load8x8_s(src);
    v128.store(dst, i32x4.extend_low_i16x8_s(half));
    v128.store(dst, i32x4.extend_high_i16x8_s(half), 16);
    src += 8;
    dst += 32;
  }
}

/** Fills `count` int32 with one value. */
export function fill32(dst: usize, value: i32, count: i32): void {
  for (let i: i32 = 0; i < count; i++) store<i32>(dst + ((<usize>i) << 2), value);
}
