// Inner loops of the convolution: input rows to 16-bit pixels, kernels to panels, and their products.
// Not a layer: src/devices/nvdla/engine/conv.ts decides on blocks and order. Fact sheet sections 2.1, 2.2, 3.
//
// Rows are kept as int16, all channels of a pixel side by side, so what a kernel row sees of them is one run of
// memory. A panel holds eight kernels: for each pair of consecutive elements of a run, 8 x 2 int16. Runs whose
// weights are all zero are left out of a panel. A panel in which kernel i has weights for channel i of its eight
// channels only (a depthwise layer) holds, for each pair of kernel positions, 8 x 2 int16.

/** `count` elements, int8 to int16. Writes up to 7 elements more. */
// @ts-ignore: decorator
@inline
function widen(src: usize, dst: usize, count: i32): void {
  for (let i: i32 = 0; i < count; i += 8) {
    v128.store(dst + (<usize>i << 1), v128.load8x8_s(src + <usize>i));
  }
}

/** CACC's truncation for sums that 32 bits hold with room for one more: nearest, ties away from zero. */
// @ts-ignore: decorator
@inline
function truncated(v: v128, shift: i32): v128 {
  if (shift == 0) return v;
  const towards = i32x4.add(v, i32x4.shr_s(v, 31));
  return i32x4.shr_s(i32x4.add(i32x4.shr_s(towards, shift - 1), i32x4.splat(1)), 1);
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
 * The converter for all 256 values of a byte, as int16: ((x - offset) * scale) >> shift, rounded to nearest with ties
 * away from zero, saturated to int8. `enabled` 0: the byte as int8.
 */
export function convTable(
  dst: usize,
  enabled: i32,
  signed: i32,
  offset: i32,
  scale: i32,
  shift: i32,
): void {
  for (let byte: i32 = 0; byte < 256; byte++) {
    let value = <i64>(signed || !enabled ? <i32>(<i8>byte) : byte);
    if (enabled) {
      value = (value - <i64>offset) * <i64>scale;
      if (shift > 0) value = (((value + (value >> 63)) >> (shift - 1)) + 1) >> 1;
      value = min(max(value, <i64>i8.MIN_VALUE), <i64>i8.MAX_VALUE);
    }
    store<i16>(dst + (<usize>byte << 1), <i16>value);
  }
}

/** Replaces `count` int16 by `table[element & 255]`: the converter, for features. */
function convert(at: usize, table: usize, count: i32): void {
  const end = at + (<usize>count << 1);
  for (; at < end; at += 2) {
    store<i16>(at, load<i16>(table + (<usize>load<u8>(at) << 1)));
  }
}

/**
 * One element of `count` pixels, `step` bytes apart, through a table of 256 int16, to every `channels`-th int16.
 */
export function convElement(
  src: usize,
  step: usize,
  table: usize,
  channels: i32,
  dst: usize,
  count: i32,
): void {
  const pixel = <usize>channels << 1;
  for (let x: i32 = 0; x < count; x++) {
    store<i16>(dst, load<i16>(table + (<usize>load<u8>(src) << 1)));
    src += step;
    dst += pixel;
  }
}

/**
 * Pixels of packed bytes, `elements` (1 or 4) each, through the converter to int16, the first `channels` (1, 3 or 4) of each
 * kept: 16 bytes at a time, so a rest of up to 15 bytes is left. Needs |x - offset| * |scale| < 2^30. Returns the pixels
 * done. Writes up to 2 bytes past them.
 * @param order byte of a pixel that element i comes from, in bits 2i and 2i + 1
 * @param offset0,offset1,offset2,offset3 the converter's offset per element; of one element all are the same
 */
export function convPixels(
  src: usize,
  elements: i32,
  channels: i32,
  order: i32,
  dst: usize,
  count: i32,
  signed: i32,
  offset0: i32,
  offset1: i32,
  offset2: i32,
  offset3: i32,
  scale: i32,
  shift: i32,
): i32 {
  const perLoad = elements == 1 ? 16 : 4;
  let lanes = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  if (elements == 4) {
    const pixel = i8x16(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
    const bytes =
      (order & 3) | ((order & 12) << 6) | ((order & 48) << 12) | ((order & 192) << 18);
    lanes = v128.or(pixel, i32x4.splat(bytes));
  }
  const offset = i32x4(offset0, offset1, offset2, offset3);
  const factor = i32x4.splat(scale);
  const low = i16x8.splat(-128);
  const high = i16x8.splat(127);
  // Unsigned bytes are read as signed ones 128 below: that much is added back as int16.
  const bias = i16x8.splat(signed ? 0 : 128);
  const flip = i8x16.splat(signed ? 0 : -128);
  let done: i32 = 0;
  for (; done + perLoad <= count; done += perLoad) {
    const bytes = v128.xor(i8x16.swizzle(v128.load(src), lanes), flip);
    const first = i16x8.add(i16x8.extend_low_i8x16_s(bytes), bias);
    const second = i16x8.add(i16x8.extend_high_i8x16_s(bytes), bias);
    const x0 = i32x4.mul(i32x4.sub(i32x4.extend_low_i16x8_s(first), offset), factor);
    const x1 = i32x4.mul(i32x4.sub(i32x4.extend_high_i16x8_s(first), offset), factor);
    const x2 = i32x4.mul(i32x4.sub(i32x4.extend_low_i16x8_s(second), offset), factor);
    const x3 = i32x4.mul(i32x4.sub(i32x4.extend_high_i16x8_s(second), offset), factor);
    const y0 = i16x8.narrow_i32x4_s(truncated(x0, shift), truncated(x1, shift));
    const y1 = i16x8.narrow_i32x4_s(truncated(x2, shift), truncated(x3, shift));
    const z0 = i16x8.min_s(i16x8.max_s(y0, low), high);
    const z1 = i16x8.min_s(i16x8.max_s(y1, low), high);
    if (channels == elements) {
      v128.store(dst, z0);
      v128.store(dst, z1, 16);
      dst += 32;
    } else {
      v128.store64_lane(dst, z0, 0);
      v128.store64_lane(dst, z0, 1, 6);
      v128.store64_lane(dst, z1, 0, 12);
      v128.store64_lane(dst, z1, 1, 18);
      dst += 24;
    }
    src += 16;
  }
  return done;
}

/**
 * Packs a panel whose kernels have weights for one channel each, channel k for kernel k. Returns the end, or 0 when the
 * panel is not like that. `table` gets its entry, `pairs` the offsets of each two kernel positions.
 * @param base weights of the panel's group; `inGroup` its first kernel there, `size` kernels of the group
 */
function packDiagonal(
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

// @ts-ignore: decorator
@inline
function mac(sum: v128, a: v128, b: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(a, b));
}

/**
 * Where the outputs of a block of `rows` x `columns` are, four to a tile: 4 byte offsets into the input rows, 4 byte offsets
 * into the results, u32. The last tile is filled up with the last output. Returns the end.
 * @param stepX,stepY input bytes from an output to the next in its row, to the next row; `pixel`, `outRow` likewise in
 * the results
 */
export function convTiles(
  dst: usize,
  rows: i32,
  columns: i32,
  stepX: i32,
  stepY: i32,
  pixel: i32,
  outRow: i32,
): usize {
  const count = rows * columns;
  let a: i32 = 0;
  let o: i32 = 0;
  let x: i32 = 0;
  let y: i32 = 0;
  for (let i: i32 = 0; i < ((count + 3) & ~3); i++) {
    const lane = <usize>(i & 3) << 2;
    store<u32>(dst + lane, a);
    store<u32>(dst + lane, o, 16);
    if (lane == 12) dst += 32;
    if (i + 1 < count) {
      x++;
      a += stepX;
      o += pixel;
      if (x == columns) {
        x = 0;
        y++;
        a = y * stepY;
        o = y * outRow;
      }
    }
  }
  return dst;
}

/** Sums of a diagonal panel: a multiplication per kernel position and channel. */
function sumDiagonal(
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

/**
 * Sums of `panels` packed panels for the outputs of `tiles` (convTiles).
 * @param first number of the first panel; its table entry is at `table`
 * @param a first input row
 * @param out int32 of the block's first output, kernel 0; `outSurface` bytes to the next surface
 */
export function convPanels(
  table: usize,
  first: i32,
  panels: i32,
  a: usize,
  tiles: usize,
  lastTile: usize,
  out: usize,
  outSurface: usize,
  atom: i32,
  shift: i32,
): void {
  const perSurface = atom >> 3;
  for (let panel: i32 = first; panel < first + panels; panel++) {
    const weights = <usize>load<u32>(table);
    const runs = <usize>load<u32>(table, 4);
    const lastRun = runs + (<usize>load<u32>(table, 8) << 3);
    const diagonal = load<u32>(table, 12) != 0;
    table += 16;
    const surface = panel / perSurface;
    const o = out + <usize>surface * outSurface + (<usize>(panel - surface * perSurface) << 5);
    if (diagonal) {
      sumDiagonal(weights, runs, lastRun, a, tiles, lastTile, o, shift);
      continue;
    }
    if (runs == lastRun) {
      for (let tile = tiles; tile < lastTile; tile += 32) {
        for (let lane: usize = 0; lane < 16; lane += 4) {
          const to = o + <usize>load<u32>(tile + lane, 16);
          v128.store(to, i64x2.splat(0));
          v128.store(to, i64x2.splat(0), 16);
        }
      }
      continue;
    }
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
      for (let run = runs; run < lastRun; run += 8) {
        const offset = <usize>load<u32>(run);
        let pairs = <i32>load<u32>(run, 4);
        let p0 = a0 + offset;
        let p1 = a1 + offset;
        let p2 = a2 + offset;
        let p3 = a3 + offset;
        let b0: v128;
        let b1: v128;
        let v: v128;
        for (; pairs >= 4; pairs -= 4) {
          b0 = v128.load(w);
          b1 = v128.load(w, 16);
          v = v128.load32_splat(p0);
          c00 = mac(c00, v, b0);
          c01 = mac(c01, v, b1);
          v = v128.load32_splat(p1);
          c10 = mac(c10, v, b0);
          c11 = mac(c11, v, b1);
          v = v128.load32_splat(p2);
          c20 = mac(c20, v, b0);
          c21 = mac(c21, v, b1);
          v = v128.load32_splat(p3);
          c30 = mac(c30, v, b0);
          c31 = mac(c31, v, b1);
          b0 = v128.load(w, 32);
          b1 = v128.load(w, 48);
          v = v128.load32_splat(p0, 4);
          c00 = mac(c00, v, b0);
          c01 = mac(c01, v, b1);
          v = v128.load32_splat(p1, 4);
          c10 = mac(c10, v, b0);
          c11 = mac(c11, v, b1);
          v = v128.load32_splat(p2, 4);
          c20 = mac(c20, v, b0);
          c21 = mac(c21, v, b1);
          v = v128.load32_splat(p3, 4);
          c30 = mac(c30, v, b0);
          c31 = mac(c31, v, b1);
          b0 = v128.load(w, 64);
          b1 = v128.load(w, 80);
          v = v128.load32_splat(p0, 8);
          c00 = mac(c00, v, b0);
          c01 = mac(c01, v, b1);
          v = v128.load32_splat(p1, 8);
          c10 = mac(c10, v, b0);
          c11 = mac(c11, v, b1);
          v = v128.load32_splat(p2, 8);
          c20 = mac(c20, v, b0);
          c21 = mac(c21, v, b1);
          v = v128.load32_splat(p3, 8);
          c30 = mac(c30, v, b0);
          c31 = mac(c31, v, b1);
          b0 = v128.load(w, 96);
          b1 = v128.load(w, 112);
          v = v128.load32_splat(p0, 12);
          c00 = mac(c00, v, b0);
          c01 = mac(c01, v, b1);
          v = v128.load32_splat(p1, 12);
          c10 = mac(c10, v, b0);
          c11 = mac(c11, v, b1);
          v = v128.load32_splat(p2, 12);
          c20 = mac(c20, v, b0);
          c21 = mac(c21, v, b1);
          v = v128.load32_splat(p3, 12);
          c30 = mac(c30, v, b0);
          c31 = mac(c31, v, b1);
          w += 128;
          p0 += 16;
          p1 += 16;
          p2 += 16;
          p3 += 16;
        }
        if (pairs >= 2) {
          b0 = v128.load(w);
          b1 = v128.load(w, 16);
          v = v128.load32_splat(p0);
          c00 = mac(c00, v, b0);
          c01 = mac(c01, v, b1);
          v = v128.load32_splat(p1);
          c10 = mac(c10, v, b0);
          c11 = mac(c11, v, b1);
          v = v128.load32_splat(p2);
          c20 = mac(c20, v, b0);
          c21 = mac(c21, v, b1);
          v = v128.load32_splat(p3);
          c30 = mac(c30, v, b0);
          c31 = mac(c31, v, b1);
          b0 = v128.load(w, 32);
          b1 = v128.load(w, 48);
          v = v128.load32_splat(p0, 4);
          c00 = mac(c00, v, b0);
          c01 = mac(c01, v, b1);
          v = v128.load32_splat(p1, 4);
          c10 = mac(c10, v, b0);
          c11 = mac(c11, v, b1);
          v = v128.load32_splat(p2, 4);
          c20 = mac(c20, v, b0);
          c21 = mac(c21, v, b1);
          v = v128.load32_splat(p3, 4);
          c30 = mac(c30, v, b0);
          c31 = mac(c31, v, b1);
          w += 64;
          p0 += 8;
          p1 += 8;
          p2 += 8;
          p3 += 8;
        }
        if ((pairs & 1) != 0) {
          b0 = v128.load(w);
          b1 = v128.load(w, 16);
          v = v128.load32_splat(p0);
          c00 = mac(c00, v, b0);
          c01 = mac(c01, v, b1);
          v = v128.load32_splat(p1);
          c10 = mac(c10, v, b0);
          c11 = mac(c11, v, b1);
          v = v128.load32_splat(p2);
          c20 = mac(c20, v, b0);
          c21 = mac(c21, v, b1);
          v = v128.load32_splat(p3);
          c30 = mac(c30, v, b0);
          c31 = mac(c31, v, b1);
          w += 32;
        }
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
}

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

/** The accumulator of the int8 path: 34 bits, saturating at each partial sum. */
const ACCUMULATOR: i64 = 1 << 33;

/**
 * Like convDot for sums that may leave 32 bits: one partial sum per segment, the accumulator as in CACC, saturation to
 * 32 bits after truncation. Returns the number of saturated outputs.
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
): i32 {
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
        const w = from + <usize>(k * length);
        let partial: i32 = 0;
        for (let n: i32 = 0; n < length; n++) {
          partial += <i32>load<i8>(w + <usize>n) * <i32>load<i16>(data + (<usize>n << 1));
        }
        sum = min(max(sum + <i64>partial, -ACCUMULATOR), ACCUMULATOR - 1);
        data += <usize>((length + 7) & ~7) << 1;
        from += <usize>(size * length);
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
