// Kernels to panels: the packed weights of fact sheet section 3.3 in the order that the sums take them.
// Not the sums: conv-panels.ts.
//
// A panel holds eight kernels: for each pair of consecutive elements of a run, 8 x 2 int16. A run is what a part of the
// kernel sees of a row without a gap. Runs whose weights are all zero are left out.
import { packDiagonal } from './conv-diagonal';

/** Four kernels' eight int16 as pairs, 32 bytes from one pair to the next. Returns their bits together. */
// @ts-ignore: decorator
@inline
function packFour(to: usize, from: usize, stride: usize): v128 {
  const r0 = v128.load(from);
  const r1 = v128.load(from + stride);
  const r2 = v128.load(from + stride * 2);
  const r3 = v128.load(from + stride * 3);
  const u0 = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5);
  const u1 = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7);
  const u2 = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
  const u3 = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<i64>(u0, u2, 0, 2));
  v128.store(to, v128.shuffle<i64>(u0, u2, 1, 3), 32);
  v128.store(to, v128.shuffle<i64>(u1, u3, 0, 2), 64);
  v128.store(to, v128.shuffle<i64>(u1, u3, 1, 3), 96);
  return v128.or(v128.or(r0, r1), v128.or(r2, r3));
}

/**
 * Of the weights of a panel of int16: the largest sum of absolute weights of a kernel, at most 2^30; bit 31 is set when a
 * weight is -32768.
 */
function weightSums(at: usize, end: usize): u32 {
  let s0 = i64x2.splat(0);
  let s1 = i64x2.splat(0);
  let s2 = i64x2.splat(0);
  let s3 = i64x2.splat(0);
  let least = i16x8.splat(0);
  const ones = i16x8.splat(-1);
  for (; at < end; at += 32) {
    const a = v128.load(at);
    const b = v128.load(at, 16);
    least = i16x8.min_s(least, i16x8.min_s(a, b));
    // |w| of a pair add up to at most 2^16: as the negative sum of -|w|.
    const x = i32x4.dot_i16x8_s(i16x8.min_s(a, i16x8.neg(a)), ones);
    const y = i32x4.dot_i16x8_s(i16x8.min_s(b, i16x8.neg(b)), ones);
    s0 = i64x2.add(s0, i64x2.extend_low_i32x4_u(x));
    s1 = i64x2.add(s1, i64x2.extend_high_i32x4_u(x));
    s2 = i64x2.add(s2, i64x2.extend_low_i32x4_u(y));
    s3 = i64x2.add(s3, i64x2.extend_high_i32x4_u(y));
  }
  let most = max(i64x2.extract_lane(s0, 0), i64x2.extract_lane(s0, 1));
  most = max(most, max(i64x2.extract_lane(s1, 0), i64x2.extract_lane(s1, 1)));
  most = max(most, max(i64x2.extract_lane(s2, 0), i64x2.extract_lane(s2, 1)));
  most = max(most, max(i64x2.extract_lane(s3, 0), i64x2.extract_lane(s3, 1)));
  const extreme = v128.any_true(i16x8.eq(least, i16x8.splat(-32768)));
  return <u32>min<i64>(most, 1 << 30) | (extreme ? 0x80000000 : 0);
}

// @ts-ignore: decorator
@inline
function pack<W>(
  dst: usize,
  table: usize,
  first: i32,
  last: i32,
  weights: usize,
  kernels: i32,
  atomicK: i32,
  atomicC: i32,
  channels: i32,
  rows: i32,
  columns: i32,
  joint: i32,
  rowBytes: i32,
  columnBytes: i32,
  flat: i32,
  maxRuns: i32,
): usize {
  for (let panel = first; panel < last; panel++) {
    const runs = dst;
    let run = runs - 8;
    let to = (runs + (<usize>maxRuns << 3) + 15) & ~15;
    store<u32>(table, <u32>to);
    store<u32>(table, <u32>runs, 4);
    const k0 = panel << 3;
    const count = max(min(kernels - k0, 8), 0);
    const group = k0 / atomicK;
    const inGroup = k0 - group * atomicK;
    const size = min(atomicK, kernels - group * atomicK);
    const base = weights + <usize>(group * atomicK) * <usize>(rows * columns * channels) * sizeof<W>();
    if (sizeof<W>() == 1 && joint == 1 && !flat && count > 0) {
      const end = packDiagonal(
        to,
        table,
        runs,
        base,
        size,
        inGroup,
        k0,
        count,
        atomicC,
        channels,
        rows,
        columns,
        rowBytes,
        columnBytes,
      );
      if (end != 0) {
        dst = end;
        table += 16;
        continue;
      }
    }
    let next: i32 = -1;
    for (let r: i32 = 0; r < rows && count > 0; r++) {
      if (flat) {
        const length = columns * channels;
        const from = base + <usize>(r * columns * size * channels) * sizeof<W>();
        let any = false;
        const begin = to;
        let f: i32 = 0;
        if (sizeof<W>() == 1 && channels == 1 && count == 8) {
          for (; f + 2 <= length; f += 2) {
            const even = v128.load8x8_s(from + <usize>(f * size + inGroup));
            const odd = v128.load8x8_s(from + <usize>((f + 1) * size + inGroup));
            any = any || v128.any_true(v128.or(even, odd));
            v128.store(to, v128.shuffle<i16>(even, odd, 0, 8, 1, 9, 2, 10, 3, 11));
            v128.store(to, v128.shuffle<i16>(even, odd, 4, 12, 5, 13, 6, 14, 7, 15), 16);
            to += 32;
          }
        }
        for (; f < length; f += 2) {
          v128.store(to, i64x2.splat(0));
          v128.store(to, i64x2.splat(0), 16);
          for (let e: i32 = f; e < min(f + 2, length); e++) {
            const s = e / channels;
            const at = from + <usize>((s * size + inGroup) * channels + e - s * channels) * sizeof<W>();
            for (let k: i32 = 0; k < count; k++) {
              const w = <i16>load<W>(at + <usize>(k * channels) * sizeof<W>());
              any = any || w != 0;
              store<i16>(to + <usize>((k << 2) + ((e & 1) << 1)), w);
            }
          }
          to += 32;
        }
        const offset = r * rowBytes;
        const pairs = (length + 1) >> 1;
        if (!any) {
          to = begin;
        } else if (offset == next) {
          store<u32>(run, load<u32>(run, 4) + pairs, 4);
          next += pairs << 2;
        } else {
          run += 8;
          store<u32>(run, offset);
          store<u32>(run, pairs, 4);
          next = offset + (pairs << 2);
        }
        continue;
      }
      const bundle = r - (r % joint);
      const joined = min(joint, rows - bundle);
      for (let s: i32 = 0; s < columns; s++) {
        for (let c: i32 = 0; c < channels; c += 8) {
          const block = c - (c % atomicC);
          const width = min(atomicC, channels - block);
          const lanes = min(8, channels - c);
          const element =
            <usize>(size * rows * columns) * <usize>block +
            <usize>(((bundle * columns + s) * size + inGroup * joined + r - bundle) * width + c - block);
          const from = base + element * sizeof<W>();
          const stride = <usize>(joined * width) * sizeof<W>();
          const pairs = (lanes + 1) >> 1;
          if (sizeof<W>() == 2 && lanes == 8 && count == 8) {
            const low = packFour(to, from, stride);
            const up = packFour(to + 16, from + stride * 4, stride);
            if (!v128.any_true(v128.or(low, up))) continue;
          } else if (sizeof<W>() == 1 && lanes == 8 && count == 8) {
            const r0 = v128.load64_zero(from);
            const r1 = v128.load64_zero(from + stride);
            const r2 = v128.load64_zero(from + stride * 2);
            const r3 = v128.load64_zero(from + stride * 3);
            const r4 = v128.load64_zero(from + stride * 4);
            const r5 = v128.load64_zero(from + stride * 5);
            const r6 = v128.load64_zero(from + stride * 6);
            const r7 = v128.load64_zero(from + stride * 7);
            const u0 = v128.shuffle<i16>(r0, r1, 0, 8, 1, 9, 2, 10, 3, 11);
            const u1 = v128.shuffle<i16>(r2, r3, 0, 8, 1, 9, 2, 10, 3, 11);
            const u2 = v128.shuffle<i16>(r4, r5, 0, 8, 1, 9, 2, 10, 3, 11);
            const u3 = v128.shuffle<i16>(r6, r7, 0, 8, 1, 9, 2, 10, 3, 11);
            if (!v128.any_true(v128.or(v128.or(u0, u1), v128.or(u2, u3)))) continue;
            const v0 = v128.shuffle<i32>(u0, u1, 0, 4, 1, 5);
            const v1 = v128.shuffle<i32>(u0, u1, 2, 6, 3, 7);
            const v2 = v128.shuffle<i32>(u2, u3, 0, 4, 1, 5);
            const v3 = v128.shuffle<i32>(u2, u3, 2, 6, 3, 7);
            const p0 = v128.shuffle<i64>(v0, v2, 0, 2);
            const p1 = v128.shuffle<i64>(v0, v2, 1, 3);
            const p2 = v128.shuffle<i64>(v1, v3, 0, 2);
            const p3 = v128.shuffle<i64>(v1, v3, 1, 3);
            v128.store(to, i16x8.extend_low_i8x16_s(p0));
            v128.store(to, i16x8.extend_high_i8x16_s(p0), 16);
            v128.store(to, i16x8.extend_low_i8x16_s(p1), 32);
            v128.store(to, i16x8.extend_high_i8x16_s(p1), 48);
            v128.store(to, i16x8.extend_low_i8x16_s(p2), 64);
            v128.store(to, i16x8.extend_high_i8x16_s(p2), 80);
            v128.store(to, i16x8.extend_low_i8x16_s(p3), 96);
            v128.store(to, i16x8.extend_high_i8x16_s(p3), 112);
          } else {
            memory.fill(to, 0, <usize>(pairs << 5));
            let any = false;
            for (let k: i32 = 0; k < count; k++) {
              for (let e: i32 = 0; e < lanes; e++) {
                const w = <i16>load<W>(from + <usize>k * stride + <usize>e * sizeof<W>());
                any = any || w != 0;
                store<i16>(to + <usize>(((e >> 1) << 5) + (k << 2) + ((e & 1) << 1)), w);
              }
            }
            if (!any) continue;
          }
          to += <usize>(pairs << 5);
          const offset = r * rowBytes + s * columnBytes + (c << 1);
          if (offset == next) {
            store<u32>(run, load<u32>(run, 4) + pairs, 4);
            next += pairs << 2;
          } else {
            run += 8;
            store<u32>(run, offset);
            store<u32>(run, pairs, 4);
            next = offset + (pairs << 2);
          }
        }
      }
    }
    store<u32>(table, <u32>((run + 8 - runs) >> 3), 8);
    store<u32>(table, sizeof<W>() == 1 ? 0 : weightSums(<usize>load<u32>(table), to), 12);
    table += 16;
    dst = to;
  }
  return dst;
}

/**
 * Packs panels `first` to `last` (exclusive) one after the other at `dst`; their table entries (weights, runs, number of
 * runs, 1 if diagonal; 16 bytes) start at `table`. Returns the end.
 * @param rowBytes bytes from what kernel row r reads to what row r + 1 reads; `columnBytes` likewise for columns
 * @param flat 1: a kernel row is one run of columns x channels
 * @param maxRuns runs to make room for, per panel
 * @param bytes of a weight: 1, or 2. Panels of int16 have no diagonal; the last word of their table entries says how large
 * their weights are (weightSums).
 */
export function convPack(
  dst: usize,
  table: usize,
  first: i32,
  last: i32,
  weights: usize,
  kernels: i32,
  atomicK: i32,
  atomicC: i32,
  channels: i32,
  rows: i32,
  columns: i32,
  joint: i32,
  rowBytes: i32,
  columnBytes: i32,
  flat: i32,
  maxRuns: i32,
  bytes: i32,
): usize {
  return bytes == 1
    ? pack<i8>(dst, table, first, last, weights, kernels, atomicK, atomicC, channels, rows, columns, joint, rowBytes, columnBytes, flat, maxRuns)
    : pack<i16>(dst, table, first, last, weights, kernels, atomicK, atomicC, channels, rows, columns, joint, rowBytes, columnBytes, flat, maxRuns);
}
