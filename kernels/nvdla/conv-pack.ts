// Kernels to panels: the packed weights of fact sheet section 3.3 in the order that the sums take them.
// Not the sums: conv-panels.ts.
//
// A panel holds eight kernels: for each pair of consecutive elements of a run, 8 x 2 int16. A run is what a part of the
// kernel sees of a row without a gap. Runs whose weights are all zero are left out.
import { packDiagonal } from './conv-diagonal';

/**
 * Packs panels `first` to `last` (exclusive) one after the other at `dst`; their table entries (weights, runs, number of
 * runs, 1 if diagonal; 16 bytes) start at `table`. Returns the end.
 * @param rowBytes bytes from what kernel row r reads to what row r + 1 reads; `columnBytes` likewise for columns
 * @param flat 1: a kernel row is one run of columns x channels
 * @param maxRuns runs to make room for, per panel
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
    const base = weights + <usize>(group * atomicK) * <usize>(rows * columns * channels);
    if (joint == 1 && !flat && count > 0) {
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
        const from = base + <usize>(r * columns * size * channels);
        let any = false;
        const begin = to;
        let f: i32 = 0;
        if (channels == 1 && count == 8) {
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
            const at = from + <usize>((s * size + inGroup) * channels + e - s * channels);
            for (let k: i32 = 0; k < count; k++) {
              const w = load<i8>(at + <usize>(k * channels));
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
          const from =
            base +
            <usize>(size * rows * columns) * <usize>block +
            <usize>(((bundle * columns + s) * size + inGroup * joined + r - bundle) * width + c - block);
          const stride = <usize>(joined * width);
          const pairs = (lanes + 1) >> 1;
          if (lanes == 8 && count == 8) {
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
                const w = load<i8>(from + <usize>k * stride + <usize>e);
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
    store<u32>(table, 0, 12);
    table += 16;
    dst = to;
  }
  return dst;
}
