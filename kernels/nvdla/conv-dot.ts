// Sums of products straight from the packed weights, an output at a time: for few outputs, and for sums beyond 32 bits.
// Not the way of a layer with many outputs: conv-panels.ts. Fact sheet sections 2.2, 3.3.
import { mac, truncated } from './conv-sum';

/**
 * What one output sees, in the order of the packed weights: for each segment (channel block, kernel row or joint rows,
 * kernel column) its elements as int16, zero-padded to a multiple of 8. Writes one u32 length per segment to `lengths`.
 * Returns the number of segments.
 */
export function convSegments(
  a: usize,
  rowBytes: i32,
  columnBytes: i32,
  atomicC: i32,
  channels: i32,
  rows: i32,
  columns: i32,
  joint: i32,
  lengths: usize,
  dst: usize,
): i32 {
  const begin = lengths;
  for (let block: i32 = 0; block < channels; block += atomicC) {
    const width = min(atomicC, channels - block);
    for (let r: i32 = 0; r < rows; r += joint) {
      const joined = min(joint, rows - r);
      for (let s: i32 = 0; s < columns; s++) {
        for (let j: i32 = 0; j < joined; j++) {
          memory.copy(
            dst,
            a + <usize>((r + j) * rowBytes + s * columnBytes + (block << 1)),
            <usize>width << 1,
          );
          dst += <usize>width << 1;
        }
        const length = joined * width;
        const padding = <usize>(-length & 7) << 1;
        memory.fill(dst, 0, padding);
        dst += padding;
        store<u32>(lengths, length);
        lengths += 4;
      }
    }
  }
  return <i32>((lengths - begin) >> 2);
}

// @ts-ignore: decorator
@inline
function sumOf(v: v128): i32 {
  return (
    i32x4.extract_lane(v, 0) +
    i32x4.extract_lane(v, 1) +
    i32x4.extract_lane(v, 2) +
    i32x4.extract_lane(v, 3)
  );
}

/** Eight weights as int16; those past `count` are 0 and not read. */
// @ts-ignore: decorator
@inline
function weights8(at: usize, count: i32): v128 {
  if (count >= 8) return v128.load8x8_s(at);
  let bytes: i64 = 0;
  for (let i = count - 1; i >= 0; i--) bytes = (bytes << 8) | <i64>load<u8>(at + <usize>i);
  return i16x8.extend_low_i8x16_s(i64x2.splat(bytes));
}

/**
 * Sums of all kernels for one output, straight from the packed weights. Sums must fit as for convPanels.
 * @param out int32 of this output, kernel 0
 */
export function convDot(
  weights: usize,
  kernels: i32,
  atomicK: i32,
  segments: i32,
  lengths: usize,
  a: usize,
  out: usize,
  outSurface: usize,
  atom: i32,
  shift: i32,
): void {
  for (let group: i32 = 0; group < kernels; group += atomicK) {
    const size = min(atomicK, kernels - group);
    let end = weights;
    for (let k: i32 = 0; k < size; k += 4) {
      let c0 = i64x2.splat(0);
      let c1 = i64x2.splat(0);
      let c2 = i64x2.splat(0);
      let c3 = i64x2.splat(0);
      let from = weights;
      let data = a;
      // Kernels past the group are computed from its last one and not kept.
      const k1 = min(k + 1, size - 1);
      const k2 = min(k + 2, size - 1);
      const k3 = min(k + 3, size - 1);
      for (let i: i32 = 0; i < segments; i++) {
        const length = <i32>load<u32>(lengths + (<usize>i << 2));
        let w0 = from + <usize>(k * length);
        let w1 = from + <usize>(k1 * length);
        let w2 = from + <usize>(k2 * length);
        let w3 = from + <usize>(k3 * length);
        const whole = data + (<usize>(length & ~15) << 1);
        while (data < whole) {
          const v = v128.load(data);
          const u = v128.load(data, 16);
          c0 = mac(mac(c0, v128.load8x8_s(w0), v), v128.load8x8_s(w0, 8), u);
          c1 = mac(mac(c1, v128.load8x8_s(w1), v), v128.load8x8_s(w1, 8), u);
          c2 = mac(mac(c2, v128.load8x8_s(w2), v), v128.load8x8_s(w2, 8), u);
          c3 = mac(mac(c3, v128.load8x8_s(w3), v), v128.load8x8_s(w3, 8), u);
          data += 32;
          w0 += 16;
          w1 += 16;
          w2 += 16;
          w3 += 16;
        }
        for (let rest = length & 15; rest > 0; rest -= 8) {
          const v = v128.load(data);
          c0 = mac(c0, weights8(w0, rest), v);
          c1 = mac(c1, weights8(w1, rest), v);
          c2 = mac(c2, weights8(w2, rest), v);
          c3 = mac(c3, weights8(w3, rest), v);
          data += 16;
          w0 += 8;
          w1 += 8;
          w2 += 8;
          w3 += 8;
        }
        from += <usize>(size * length);
      }
      end = from;
      const sums = truncated(i32x4(sumOf(c0), sumOf(c1), sumOf(c2), sumOf(c3)), shift);
      const kernel = group + k;
      const surface = kernel / atom;
      const to = out + <usize>surface * outSurface + (<usize>(kernel - surface * atom) << 2);
      store<i32>(to, i32x4.extract_lane(sums, 0));
      if (k + 1 < size) store<i32>(to, i32x4.extract_lane(sums, 1), 4);
      if (k + 2 < size) store<i32>(to, i32x4.extract_lane(sums, 2), 8);
      if (k + 3 < size) store<i32>(to, i32x4.extract_lane(sums, 3), 12);
    }
    weights = end;
  }
}

/** The accumulator, saturating at each partial sum: 34 bits for int8, 48 for int16. */
const ACCUMULATOR: i64 = 1 << 33;
const ACCUMULATOR16: i64 = 1 << 47;

// @ts-ignore: decorator
@inline
function dotWide<W>(
  weights: usize,
  kernels: i32,
  atomicK: i32,
  segments: i32,
  lengths: usize,
  a: usize,
  out: usize,
  outSurface: usize,
  atom: i32,
  shift: i32,
): i32 {
  const limit = sizeof<W>() == 1 ? ACCUMULATOR : ACCUMULATOR16;
  let saturated: i32 = 0;
  for (let group: i32 = 0; group < kernels; group += atomicK) {
    const size = min(atomicK, kernels - group);
    let end = weights;
    for (let k: i32 = 0; k < size; k++) {
      let sum: i64 = 0;
      let from = weights;
      let data = a;
      for (let i: i32 = 0; i < segments; i++) {
        const length = <i32>load<u32>(lengths + (<usize>i << 2));
        const w = from + <usize>(k * length) * sizeof<W>();
        let partial: i64 = 0;
        for (let n: i32 = 0; n < length; n++) {
          partial += <i64>(<i32>load<W>(w + <usize>n * sizeof<W>()) * <i32>load<i16>(data + (<usize>n << 1)));
        }
        sum = min(max(sum + partial, -limit), limit - 1);
        data += <usize>((length + 7) & ~7) << 1;
        from += <usize>(size * length) * sizeof<W>();
      }
      end = from;
      let rounded = sum;
      if (shift > 0) rounded = (((sum + (sum >> 63)) >> (shift - 1)) + 1) >> 1;
      const value = min(max(rounded, <i64>i32.MIN_VALUE), <i64>i32.MAX_VALUE);
      if (value != rounded) saturated++;
      const kernel = group + k;
      const surface = kernel / atom;
      store<i32>(out + <usize>surface * outSurface + (<usize>(kernel - surface * atom) << 2), <i32>value);
    }
    weights = end;
  }
  return saturated;
}

/**
 * Like convDot for sums that may leave 32 bits: one partial sum per segment, the accumulator as in CACC, saturation to
 * 32 bits after truncation. `bytes` of a weight: 1 or 2. Returns the number of saturated outputs.
 */
export function convDotWide(
  weights: usize,
  kernels: i32,
  atomicK: i32,
  segments: i32,
  lengths: usize,
  a: usize,
  out: usize,
  outSurface: usize,
  atom: i32,
  shift: i32,
  bytes: i32,
): i32 {
  return bytes == 1
    ? dotWide<i8>(weights, kernels, atomicK, segments, lengths, a, out, outSurface, atom, shift)
    : dotWide<i16>(weights, kernels, atomicK, segments, lengths, a, out, outSurface, atom, shift);
}

/** Largest sum of absolute weights of a kernel; 2^31 - 1 when it is more. */
export function convLargestKernel(
  weights: usize,
  kernels: i32,
  atomicK: i32,
  atomicC: i32,
  channels: i32,
  rows: i32,
  columns: i32,
  joint: i32,
): i32 {
  let largest: i64 = 0;
  for (let group: i32 = 0; group < kernels; group += atomicK) {
    const size = min(atomicK, kernels - group);
    let end = weights;
    for (let k: i32 = 0; k < size; k++) {
      let from = weights;
      let sum: i64 = 0;
      for (let block: i32 = 0; block < channels; block += atomicC) {
        const width = min(atomicC, channels - block);
        for (let r: i32 = 0; r < rows; r += joint) {
          const length = min(joint, rows - r) * width;
          for (let s: i32 = 0; s < columns; s++) {
            const w = from + <usize>(k * length);
            for (let n: i32 = 0; n < length; n++) sum += <i64>abs(<i32>load<i8>(w + <usize>n));
            from += <usize>(size * length);
          }
        }
      }
      largest = max(largest, sum);
      end = from;
    }
    weights = end;
  }
  return <i32>min(largest, <i64>i32.MAX_VALUE);
}
