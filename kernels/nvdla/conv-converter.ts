// CDMA's converter: (x - offset) * scale, shifted right with rounding, to the precision of the products. Fact sheet section 2.1.
// Not the vectors of packed bytes: conv-pixels.ts has those of int8.
import { toHalf } from './float';

/** One element: rounded to nearest with ties away from zero, saturated to 17 bits, then to `precision`; fp16 as its bits. */
// @ts-ignore: decorator
@inline
function converted(x: i64, offset: i64, scale: i64, shift: i32, precision: i32): i32 {
  let value = (x - offset) * scale;
  if (shift > 0) value = (((value + (value >> 63)) >> (shift - 1)) + 1) >> 1;
  value = min(max(value, -65536), 65535);
  if (precision == 2) return i32x4.extract_lane(toHalf(f32x4.splat(<f32>value)), 0);
  const most: i64 = precision == 0 ? 127 : 32767;
  return <i32>min(max(value, -most - 1), most);
}

/**
 * The converter for all 256 values of a byte, as 16-bit elements. `enabled` 0: the byte as int8.
 * @param precision 0 int8, 1 int16, 2 fp16
 */
export function convTable(
  dst: usize,
  enabled: i32,
  signed: i32,
  offset: i32,
  scale: i32,
  shift: i32,
  precision: i32,
): void {
  for (let byte: i32 = 0; byte < 256; byte++) {
    const x = signed || !enabled ? <i32>(<i8>byte) : byte;
    store<i16>(dst + (<usize>byte << 1), <i16>(enabled ? converted(x, offset, scale, shift, precision) : x));
  }
}

/**
 * Parameters of the converter of 16-bit elements, 9 int32.
 * @param half 1: the input is fp16. It is not converted; its NaNs become 0.
 */
export function convConverter(
  dst: usize,
  half: i32,
  signed: i32,
  scale: i32,
  shift: i32,
  precision: i32,
  offset0: i32,
  offset1: i32,
  offset2: i32,
  offset3: i32,
): void {
  store<i32>(dst, offset0);
  store<i32>(dst, offset1, 4);
  store<i32>(dst, offset2, 8);
  store<i32>(dst, offset3, 12);
  store<i32>(dst, signed, 16);
  store<i32>(dst, scale, 20);
  store<i32>(dst, shift, 24);
  store<i32>(dst, precision, 28);
  store<i32>(dst, half, 32);
}

/** Converts `count` elements of 16 bits in place; element i has the offset of number i modulo `channels`. */
export function convConvert(at: usize, count: i32, converter: usize, channels: i32): void {
  const signed = load<i32>(converter, 16) != 0;
  const scale = load<i32>(converter, 20);
  const shift = load<i32>(converter, 24);
  const precision = load<i32>(converter, 28);
  const half = load<i32>(converter, 32) != 0;
  const end = at + (<usize>count << 1);
  let element: usize = 0;
  for (; at < end; at += 2) {
    if (half) {
      if ((load<u16>(at) & 0x7fff) > 0x7c00) store<u16>(at, 0);
      continue;
    }
    const x = signed ? <i64>load<i16>(at) : <i64>load<u16>(at);
    const offset = load<i32>(converter + (element << 2));
    store<i16>(at, <i16>converted(x, offset, scale, shift, precision));
    element++;
    if (element == <usize>channels) element = 0;
  }
}
