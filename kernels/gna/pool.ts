// Pooling: of activated elements (3.0), and of unsaturated sums (before). Fact sheet sections 5.6 and 5.7.
// Not activation; elements outside the convolution's result do not take part.
import { Conv } from './command';
import { noteSaturated, sat32 } from './saturate';

/**
 * Pools [positions][pitch] int64 over positions to [outputs][pitch] int32, saturated, in the same place.
 * @param method 1 maximum, 2 sum
 */
export function poolWideSums(
  at: usize,
  positions: i32,
  pitch: i32,
  method: i32,
  window: i32,
  stride: i32,
  outputs: i32,
): void {
  const step = <usize>pitch << 3;
  let to = at;
  for (let o: i32 = 0; o < outputs; o++) {
    const first = o * stride;
    const count = min(window, positions - first);
    for (let f: i32 = 0; f < pitch; f++) {
      let from = at + <usize>first * step + (<usize>f << 3);
      let value = load<i64>(from);
      for (let n: i32 = 1; n < count; n++) {
        from += step;
        value = method == 1 ? max(value, load<i64>(from)) : value + load<i64>(from);
      }
      store<i32>(to, sat32(value));
      to += 4;
    }
  }
}

// @ts-ignore: decorator
@inline
function put(to: usize, bytes: i32, value: i32): void {
  if (bytes == 1) store<i8>(to, <i8>value);
  else if (bytes == 2) store<i16>(to, <i16>value);
  else store<i32>(to, value);
}

// @ts-ignore: decorator
@inline
function clamp(value: i64, low: i64, high: i64): i64 {
  const clamped = min(max(value, low), high);
  if (clamped != value) noteSaturated();
  return clamped;
}

/**
 * One output row of a block of filters from a ring of activated rows, int32 [convWidth][count].
 * Sums are clamped after every addition, columns outer: to int16 for 8-bit elements, else to int32.
 */
export function poolRow(
  p: Conv,
  ring: usize,
  rowBytes: usize,
  count: i32,
  row: i32,
  first: i32,
): void {
  const bytes = p.outputBytes == 0 ? 4 : p.outputBytes;
  const y0 = row * p.poolStrideHeight;
  const y1 = min(y0 + p.poolHeight, p.convHeight);
  const step = <usize>count << 2;
  const sumHigh: i64 = bytes == 1 ? 32767 : <i64>i32.MAX_VALUE;
  const high: i64 = bytes == 1 ? 127 : bytes == 2 ? 32767 : <i64>i32.MAX_VALUE;
  let to = <usize>p.output + (<usize>row * <usize>p.outWidth * <usize>p.filters + <usize>first) * <usize>bytes;
  const gap = <usize>((p.filters - count) * bytes);
  for (let ox: i32 = 0; ox < p.outWidth; ox++) {
    const x0 = ox * p.poolStrideWidth;
    const x1 = min(x0 + p.poolWidth, p.convWidth);
    for (let f: i32 = 0; f < count; f++) {
      const column = ring + (<usize>f << 2);
      if (p.pool == 1) {
        let most = i32.MIN_VALUE;
        for (let y = y0; y < y1; y++) {
          const line = column + <usize>(y % p.poolHeight) * rowBytes;
          for (let x = x0; x < x1; x++) most = max(most, load<i32>(line + <usize>x * step));
        }
        put(to, bytes, most);
      } else {
        let sum: i64 = 0;
        for (let x = x0; x < x1; x++) {
          for (let y = y0; y < y1; y++) {
            const from = column + <usize>(y % p.poolHeight) * rowBytes + <usize>x * step;
            sum = clamp(sum + <i64>load<i32>(from), -sumHigh - 1, sumHigh);
          }
        }
        put(to, bytes, <i32>clamp(sum, -high - 1, high));
      }
      to += <usize>bytes;
    }
    to += gap;
  }
}
