// Lines of a feature cube to rows of int16 pixels: CDMA's fetch, padding. Fact sheet sections 2.1, 3.1.
// Not images (conv-pixels.ts), not the converter (conv-converter.ts), not products.
//
// Rows are kept as int16, all channels of a pixel side by side, so what a kernel row sees of them is one run of memory.
import { convConvert } from './conv-converter';

/** `count` elements, int8 to int16. Writes up to 7 elements more. */
// @ts-ignore: decorator
@inline
function widen(src: usize, dst: usize, count: i32): void {
  for (let i: i32 = 0; i < count; i += 8) {
    v128.store(dst + (<usize>i << 1), v128.load8x8_s(src + <usize>i));
  }
}

/** Fills `count` int16. */
export function convFill(dst: usize, value: i32, count: i32): void {
  const end = dst + (<usize>count << 1);
  const v = i16x8.splat(<i16>value);
  while (dst + 16 <= end) {
    v128.store(dst, v);
    dst += 16;
  }
  while (dst < end) {
    store<i16>(dst, <i16>value);
    dst += 2;
  }
}

/**
 * `lines` lines of a feature cube to rows of `pixels` int16 pixels of all `channels`, `rowBytes` apart: pixels `left` to
 * `right` of a row are the cube's, the others are `pad`. Writes up to 7 elements past a row.
 * @param y line of the first row, maybe outside the cube's `height`; rows are `everyY` lines apart
 * @param src line 0, the pixel that becomes pixel `left`; pixels are `step` bytes apart
 * @param table the converter's, or 0
 */
export function convFeatures(
  src: usize,
  line: usize,
  surface: usize,
  step: usize,
  atom: i32,
  channels: i32,
  table: usize,
  y: i32,
  everyY: i32,
  height: i32,
  dst: usize,
  rowBytes: usize,
  lines: i32,
  pixels: i32,
  left: i32,
  right: i32,
  pad: i32,
): void {
  const inside = <usize>(left * channels) << 1;
  const after = <usize>(right * channels) << 1;
  for (let i: i32 = 0; i < lines; i++) {
    if (y < 0 || y >= height || left == right) {
      convFill(dst, pad, pixels * channels);
    } else {
      feature(src + <usize>y * line, surface, step, atom, channels, dst + inside, right - left);
      if (table != 0) convert(dst + inside, table, (right - left) * channels);
      convFill(dst, pad, left * channels);
      convFill(dst + after, pad, (pixels - right) * channels);
    }
    y += everyY;
    dst += rowBytes;
  }
}

/**
 * `count` pixels of a line of a feature cube, `step` bytes apart, to int16 pixels of all `channels`.
 * Writes up to 7 elements past the last pixel.
 */
function feature(
  src: usize,
  surface: usize,
  step: usize,
  atom: i32,
  channels: i32,
  dst: usize,
  count: i32,
): void {
  const pixel = <usize>channels << 1;
  const full = channels / atom;
  const rest = channels - full * atom;
  // The last, partial surface first: what it writes past its channels belongs to surfaces still to come.
  if (rest > 0 && rest <= 8) {
    let from = src + <usize>full * surface;
    let to = dst + (<usize>(full * atom) << 1);
    for (let x: i32 = 0; x < count; x++) {
      v128.store(to, v128.load8x8_s(from));
      from += step;
      to += pixel;
    }
  } else if (rest > 0) {
    let from = src + <usize>full * surface;
    let to = dst + (<usize>(full * atom) << 1);
    for (let x: i32 = 0; x < count; x++) {
      widen(from, to, rest);
      from += step;
      to += pixel;
    }
  }
  for (let s: i32 = 0; s < full; s++) {
    let from = src + <usize>s * surface;
    let to = dst + (<usize>(s * atom) << 1);
    if (atom == 8) {
      for (let x: i32 = 0; x < count; x++) {
        v128.store(to, v128.load8x8_s(from));
        from += step;
        to += pixel;
      }
    } else if (atom == 32) {
      for (let x: i32 = 0; x < count; x++) {
        v128.store(to, v128.load8x8_s(from));
        v128.store(to, v128.load8x8_s(from, 8), 16);
        v128.store(to, v128.load8x8_s(from, 16), 32);
        v128.store(to, v128.load8x8_s(from, 24), 48);
        from += step;
        to += pixel;
      }
    } else {
      for (let x: i32 = 0; x < count; x++) {
        widen(from, to, atom);
        from += step;
        to += pixel;
      }
    }
  }
}

/**
 * As convFeatures for elements of 16 bits; `atom` is a multiple of 8. Not more than the rows is written.
 * @param converter parameters (convConverter), or 0
 */
export function convFeatures16(
  src: usize,
  line: usize,
  surface: usize,
  step: usize,
  atom: i32,
  channels: i32,
  converter: usize,
  y: i32,
  everyY: i32,
  height: i32,
  dst: usize,
  rowBytes: usize,
  lines: i32,
  pixels: i32,
  left: i32,
  right: i32,
  pad: i32,
): void {
  const inside = <usize>(left * channels) << 1;
  const after = <usize>(right * channels) << 1;
  const pixel = <usize>channels << 1;
  for (let i: i32 = 0; i < lines; i++) {
    if (y < 0 || y >= height || left == right) {
      convFill(dst, pad, pixels * channels);
    } else {
      for (let c: i32 = 0; c < channels; c += atom) {
        let from = src + <usize>y * line + <usize>(c / atom) * surface;
        let to = dst + inside + (<usize>c << 1);
        const bytes = <usize>min(atom, channels - c) << 1;
        if (bytes == 32) {
          for (let x = left; x < right; x++) {
            v128.store(to, v128.load(from));
            v128.store(to, v128.load(from, 16), 16);
            from += step;
            to += pixel;
          }
        } else {
          for (let x = left; x < right; x++) {
            memory.copy(to, from, bytes);
            from += step;
            to += pixel;
          }
        }
      }
      if (converter != 0) convConvert(dst + inside, (right - left) * channels, converter, 1);
      convFill(dst, pad, left * channels);
      convFill(dst + after, pad, (pixels - right) * channels);
    }
    y += everyY;
    dst += rowBytes;
  }
}

/** Replaces `count` int16 by `table[element & 255]`: the converter, for features. */
function convert(at: usize, table: usize, count: i32): void {
  const end = at + (<usize>count << 1);
  for (; at < end; at += 2) {
    store<i16>(at, load<i16>(table + (<usize>load<u8>(at) << 1)));
  }
}
