// Panels of a depthwise layer: kernel i has weights for channel i of its eight channels only.
// Not panels of other layers: conv-pack.ts, conv-panels.ts.
//
// For each pair of kernel positions such a panel holds 8 x 2 int16.
import { mac, truncated } from './conv-sum';

/**
 * Packs a panel whose kernels have weights for one channel each, channel k for kernel k. Returns the end, or 0 when the
 * panel is not like that. `table` gets its entry, `pairs` the offsets of each two kernel positions.
 * @param base weights of the panel's group; `inGroup` its first kernel there, `size` kernels of the group
 */
export function packDiagonal(
  dst: usize,
  table: usize,
  pairs: usize,
  base: usize,
  size: i32,
  inGroup: i32,
  k0: i32,
  count: i32,
  atomicC: i32,
  channels: i32,
  rows: i32,
  columns: i32,
  rowBytes: i32,
  columnBytes: i32,
): usize {
  const taps = rows * columns;
  const lanes = min(8, channels - k0);
  if (lanes <= 0 || channels == 1) return 0;
  for (let block: i32 = 0; block < channels; block += atomicC) {
    const width = min(atomicC, channels - block);
    const blockBase = base + <usize>(size * taps) * <usize>block;
    const inBlock = k0 >= block && k0 < block + width;
    for (let tap: i32 = 0; tap < taps; tap++) {
      // The panel's kernels lie side by side: count x width bytes.
      let at = blockBase + <usize>((tap * size + inGroup) * width);
      const end = at + <usize>(count * width);
      if (!inBlock || (width & 15) != 0 || count != 8) {
        const own = <usize>(inBlock ? k0 - block : width);
        const next = <usize>(inBlock ? width + 1 : width);
        // Bytes that may be other than 0 are `next` apart, from `own` on; kernels past the last channel have none.
        let free = at + own;
        if (!inBlock) free = end;
        const last = free + <usize>(min(count, width - (k0 - block)) - 1) * next;
        for (; at + 16 <= min(end, free); at += 16) if (v128.any_true(v128.load(at))) return 0;
        for (; at < end; at++) {
          if (at == free) free = at == last ? end : free + next;
          else if (load<u8>(at) != 0) return 0;
        }
        continue;
      }
      const aside = (k0 - block) & ~15;
      for (let k: i32 = 0; k < 8; k++) {
        let others = v128.and(
          v128.load(at + <usize>aside),
          i8x16.ne(
            i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
            i8x16.splat(<i8>(((k0 - block) & 15) + k)),
          ),
        );
        for (let n: i32 = 0; n < width; n += 16) {
          if (n != aside) others = v128.or(others, v128.load(at + <usize>n));
        }
        if (v128.any_true(others)) return 0;
        at += <usize>width;
      }
    }
  }
  const block = k0 - (k0 % atomicC);
  const width = min(atomicC, channels - block);
  const blockBase = base + <usize>(size * taps) * <usize>block + <usize>(k0 - block);
  let used: i32 = 0;
  for (let tap: i32 = 0; tap < taps; tap++) {
    const half = <usize>(used & 1) << 1;
    if (half == 0) {
      v128.store(dst, i64x2.splat(0));
      v128.store(dst, i64x2.splat(0), 16);
    }
    let any = false;
    for (let k: i32 = 0; k < min(count, lanes); k++) {
      const w = load<i8>(blockBase + <usize>((tap * size + inGroup + k) * width + k));
      any = any || w != 0;
      store<i16>(dst + (<usize>k << 2) + half, w);
    }
    if (!any) continue;
    const r = tap / columns;
    const offset = r * rowBytes + (tap - r * columns) * columnBytes + (k0 << 1);
    // A position without a partner is its own, with weights of 0.
    if (half == 0) store<u32>(pairs, offset, 4);
    store<u32>(pairs + (half << 1), offset);
    used++;
    if (half != 0) {
      dst += 32;
      pairs += 8;
    }
  }
  if ((used & 1) != 0) dst += 32;
  store<u32>(table, (used + 1) >> 1, 8);
  store<u32>(table, 1, 12);
  return dst;
}

/** Sums of a diagonal panel: a multiplication per kernel position and channel. */
export function sumDiagonal(
  weights: usize,
  pairs: usize,
  lastPair: usize,
  a: usize,
  tiles: usize,
  lastTile: usize,
  o: usize,
  shift: i32,
): void {
  for (let tile = tiles; tile < lastTile; tile += 32) {
      const a0 = a + <usize>load<u32>(tile);
      const a1 = a + <usize>load<u32>(tile, 4);
      const a2 = a + <usize>load<u32>(tile, 8);
      const a3 = a + <usize>load<u32>(tile, 12);
      let c00 = i64x2.splat(0);
      let c01 = i64x2.splat(0);
      let c10 = i64x2.splat(0);
      let c11 = i64x2.splat(0);
      let c20 = i64x2.splat(0);
      let c21 = i64x2.splat(0);
      let c30 = i64x2.splat(0);
      let c31 = i64x2.splat(0);
      let w = weights;
      for (let pair = pairs; pair < lastPair; pair += 8) {
        const first = <usize>load<u32>(pair);
        const second = <usize>load<u32>(pair, 4);
        const b0 = v128.load(w);
        const b1 = v128.load(w, 16);
        let x = v128.load(a0 + first);
        let y = v128.load(a0 + second);
        c00 = mac(c00, v128.shuffle<i16>(x, y, 0, 8, 1, 9, 2, 10, 3, 11), b0);
        c01 = mac(c01, v128.shuffle<i16>(x, y, 4, 12, 5, 13, 6, 14, 7, 15), b1);
        x = v128.load(a1 + first);
        y = v128.load(a1 + second);
        c10 = mac(c10, v128.shuffle<i16>(x, y, 0, 8, 1, 9, 2, 10, 3, 11), b0);
        c11 = mac(c11, v128.shuffle<i16>(x, y, 4, 12, 5, 13, 6, 14, 7, 15), b1);
        x = v128.load(a2 + first);
        y = v128.load(a2 + second);
        c20 = mac(c20, v128.shuffle<i16>(x, y, 0, 8, 1, 9, 2, 10, 3, 11), b0);
        c21 = mac(c21, v128.shuffle<i16>(x, y, 4, 12, 5, 13, 6, 14, 7, 15), b1);
        x = v128.load(a3 + first);
        y = v128.load(a3 + second);
        c30 = mac(c30, v128.shuffle<i16>(x, y, 0, 8, 1, 9, 2, 10, 3, 11), b0);
        c31 = mac(c31, v128.shuffle<i16>(x, y, 4, 12, 5, 13, 6, 14, 7, 15), b1);
        w += 32;
      }
      const o0 = o + <usize>load<u32>(tile, 16);
      const o1 = o + <usize>load<u32>(tile, 20);
      const o2 = o + <usize>load<u32>(tile, 24);
      const o3 = o + <usize>load<u32>(tile, 28);
      v128.store(o0, truncated(c00, shift));
      v128.store(o0, truncated(c01, shift), 16);
      v128.store(o1, truncated(c10, shift));
      v128.store(o1, truncated(c11, shift), 16);
      v128.store(o2, truncated(c20, shift));
      v128.store(o2, truncated(c21, shift), 16);
      v128.store(o3, truncated(c30, shift));
      v128.store(o3, truncated(c31, shift), 16);
  }
}
