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

/** int16 at `src` to int32 at `dst`; `count` elements, a multiple of 8. */
export function widen16(src: usize, dst: usize, count: i32): void {
  const end = src + (<usize>count << 1);
  while (src < end) {
    const v = v128.load(src);
    v128.store(dst, i32x4.extend_low_i16x8_s(v));
    v128.store(dst, i32x4.extend_high_i16x8_s(v), 16);
    src += 16;
    dst += 32;
  }
}

/** As widen16, `pixels` of `atom` elements of which the first half is at `first`, the other at `second`. */
export function widenPair16(first: usize, second: usize, dst: usize, pixels: i32, atom: i32): void {
  const half = <usize>atom;
  for (let p: i32 = 0; p < pixels; p++) {
    widen16(first, dst, atom >> 1);
    widen16(second, dst + (half << 1), atom >> 1);
    first += half;
    second += half;
    dst += half << 2;
  }
}

/** Fills `count` int32 with one value. */
export function fill32(dst: usize, value: i32, count: i32): void {
  for (let i: i32 = 0; i < count; i++) store<i32>(dst + ((<usize>i) << 2), value);
}
