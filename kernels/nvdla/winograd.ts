// Winograd's arithmetic on int8 and int16: CSC's pre-addition of 4x4 tiles, the products at the sixteen positions of a tile,
// CMAC's post-addition to 2x2 outputs. Not a layer: src/devices/nvdla/engine/winograd.ts. Not fp16: winograd-half.ts.
// Fact sheet section 2.10.
//
// A tile of the input becomes C^T d C, C^T = (1 0 -1 0, 0 1 1 0, 0 -1 1 0, 0 1 0 -1); a tile of products M becomes A^T M A,
// A^T = (1 1 1 0, 0 1 -1 -1). Tiles are kept position by position: 16 planes of [tile][channel].
import { truncated } from './conv-sum';

// @ts-ignore: decorator
@inline
function saturated16(a: v128, shift: i32, most: i32): v128 {
  const v = truncated(a, shift);
  return i32x4.max_s(i32x4.min_s(v, i32x4.splat(most)), i32x4.splat(-most - 1));
}

/** A row of C^T d (or a column of its product with C) from four: number i of four. */
// @ts-ignore: decorator
@inline
function combined(i: i32, a: v128, b: v128, c: v128, d: v128): v128 {
  if (i == 0) return i32x4.sub(a, c);
  if (i == 1) return i32x4.add(b, c);
  if (i == 2) return i32x4.sub(c, b);
  return i32x4.sub(b, d);
}

/**
 * Pre-addition of `tiles` tiles side by side, 2 pixels from one to the next, of `channels` (a multiple of 4) channels.
 * @param src the first tile's row 0: int16 pixels of `pixel` bytes in rows `rowBytes` apart
 * @param dst where the first tile's position 0 goes; `plane` bytes to the next position, `tile` to the next tile
 * @param shift,most PRA_TRUNCATE; the largest result
 */
export function convPreAdd(
  src: usize,
  rowBytes: usize,
  pixel: usize,
  channels: i32,
  tiles: i32,
  dst: usize,
  plane: usize,
  tile: usize,
  shift: i32,
  most: i32,
  work: usize,
): void {
  for (let t: i32 = 0; t < tiles; t++) {
    for (let c: usize = 0; c < <usize>channels << 1; c += 8) {
      const from = src + c;
      for (let x: usize = 0; x < 4; x++) {
        const at = from + x * pixel;
        const a = v128.load16x4_s(at);
        const b = v128.load16x4_s(at + rowBytes);
        const d = v128.load16x4_s(at + 2 * rowBytes);
        const e = v128.load16x4_s(at + 3 * rowBytes);
        const to = work + (x << 4);
        v128.store(to, combined(0, a, b, d, e));
        v128.store(to, combined(1, a, b, d, e), 64);
        v128.store(to, combined(2, a, b, d, e), 128);
        v128.store(to, combined(3, a, b, d, e), 192);
      }
      let to = dst + c;
      for (let y: usize = 0; y < 256; y += 64) {
        const a = v128.load(work + y);
        const b = v128.load(work + y, 16);
        const d = v128.load(work + y, 32);
        const e = v128.load(work + y, 48);
        for (let i: i32 = 0; i < 4; i++) {
          const v = saturated16(combined(i, a, b, d, e), shift, most);
          v128.store64_lane(to, i16x8.narrow_i32x4_s(v, v), 0);
          to += plane;
        }
      }
    }
    src += 2 * pixel;
    dst += tile;
  }
}

/**
 * Packs panels [first, last) of eight kernels: [panel][position][channel pair][kernel][2] int16.
 * @param weights groups of `atomicK` kernels, channel blocks of 4, kernels, positions, channels
 */
export function convPackWinograd(
  dst: usize,
  first: i32,
  last: i32,
  weights: usize,
  kernels: i32,
  atomicK: i32,
  channels: i32,
  bytes: i32,
): void {
  for (let panel = first; panel < last; panel++) {
    for (let lane: i32 = 0; lane < 8; lane++) {
      const k = panel * 8 + lane;
      const group = k / atomicK;
      const size = min(atomicK, kernels - group * atomicK);
      const base = group * atomicK * 16 * channels + (k - group * atomicK) * 64;
      for (let position: i32 = 0; position < 16; position++) {
        let to = dst + <usize>(position * channels * 16 + lane * 4);
        for (let c: i32 = 0; c < channels; c += 2) {
          if (k >= kernels) store<i32>(to, 0);
          else {
            const at = base + (c >> 2) * size * 64 + position * 4 + (c & 3);
            if (bytes == 2) store<u32>(to, load<u32>(weights + (<usize>at << 1)));
            else {
              store<i16>(to, <i16>load<i8>(weights + <usize>at));
              store<i16>(to, <i16>load<i8>(weights + <usize>at, 1), 2);
            }
          }
          to += 32;
        }
      }
    }
    dst += <usize>(channels * 256);
  }
}

// @ts-ignore: decorator
@inline
function mac(sum: v128, a: v128, b: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(a, b));
}

/**
 * Products of `tiles` (a multiple of 4) tiles with one panel of int8, to `out`: 16 planes of [tile][kernel] int32, which
 * hold what at most 8192 channels can add up to.
 */
export function convProducts(
  a: usize,
  plane: usize,
  tile: usize,
  tiles: i32,
  panel: usize,
  channels: i32,
  out: usize,
): void {
  const weights = <usize>channels << 4;
  for (let position: i32 = 0; position < 16; position++) {
    let p0 = a;
    for (let t: i32 = 0; t < tiles; t += 4) {
      let p1 = p0 + tile;
      let p2 = p1 + tile;
      let p3 = p2 + tile;
      const next = p3 + tile;
      let c00 = i64x2.splat(0);
      let c01 = c00;
      let c10 = c00;
      let c11 = c00;
      let c20 = c00;
      let c21 = c00;
      let c30 = c00;
      let c31 = c00;
      for (let w = panel; w < panel + weights; w += 64) {
        let b0 = v128.load(w);
        let b1 = v128.load(w, 16);
        let v = v128.load32_splat(p0);
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
        p0 += 8;
        p1 += 8;
        p2 += 8;
        p3 += 8;
      }
      v128.store(out, c00);
      v128.store(out, c01, 16);
      v128.store(out, c10, 32);
      v128.store(out, c11, 48);
      v128.store(out, c20, 64);
      v128.store(out, c21, 80);
      v128.store(out, c30, 96);
      v128.store(out, c31, 112);
      out += 128;
      p0 = next;
    }
    a += plane;
    panel += weights;
  }
}

/** Adds the two products of each lane, as int64: the sum of two products of -32768 by itself does not fit 32 bits. */
// @ts-ignore: decorator
@inline
function wide(sum: v128, a: v128, b: v128, high: bool): v128 {
  const d = i32x4.sub(i32x4.dot_i16x8_s(a, b), i32x4.splat(1));
  return i64x2.add(sum, high ? i64x2.extend_high_i32x4_s(d) : i64x2.extend_low_i32x4_s(d));
}

/** As convProducts for int16: [tile][kernel] int64. */
export function convProductsWide(
  a: usize,
  plane: usize,
  tile: usize,
  tiles: i32,
  panel: usize,
  channels: i32,
  out: usize,
): void {
  const weights = <usize>channels << 4;
  // Every pair was counted one less, so that none wraps.
  const more = i64x2.splat(<i64>(channels >> 1));
  for (let position: i32 = 0; position < 16; position++) {
    for (let t: i32 = 0; t < tiles; t++) {
      let at = a + <usize>t * tile;
      let s0 = more;
      let s1 = more;
      let s2 = more;
      let s3 = more;
      for (let w = panel; w < panel + weights; w += 32) {
        const v = v128.load32_splat(at);
        const b0 = v128.load(w);
        const b1 = v128.load(w, 16);
        s0 = wide(s0, v, b0, false);
        s1 = wide(s1, v, b0, true);
        s2 = wide(s2, v, b1, false);
        s3 = wide(s3, v, b1, true);
        at += 4;
      }
      v128.store(out, s0);
      v128.store(out, s1, 16);
      v128.store(out, s2, 32);
      v128.store(out, s3, 48);
      out += 64;
    }
    a += plane;
    panel += weights;
  }
}

/**
 * Post-addition of `tiles` tiles of int32 products and CACC's truncation: 2x2 outputs of eight kernels each.
 * @param out the first tile's first output; `pixel` bytes to the next output of a row, `row` to the next row
 */
export function convPostAdd(products: usize, plane: usize, tiles: i32, out: usize, pixel: usize, row: usize, shift: i32): void {
  for (let t: i32 = 0; t < tiles; t++) {
    for (let half: usize = 0; half < 32; half += 16) {
      let at = products + half;
      let r0 = i64x2.splat(0);
      let r1 = r0;
      let r2 = r0;
      let r3 = r0;
      // Columns of A^T M, one by one: A's columns take 0 to 2 and 1 to 3.
      for (let x: i32 = 0; x < 4; x++) {
        const a = v128.load(at);
        const b = v128.load(at + 4 * plane);
        const c = v128.load(at + 8 * plane);
        const d = v128.load(at + 12 * plane);
        const upper = i32x4.add(i32x4.add(a, b), c);
        const lower = i32x4.sub(i32x4.sub(b, c), d);
        if (x < 3) {
          r0 = i32x4.add(r0, upper);
          r2 = i32x4.add(r2, lower);
        }
        if (x == 1) {
          r1 = upper;
          r3 = lower;
        } else if (x > 1) {
          r1 = i32x4.sub(r1, upper);
          r3 = i32x4.sub(r3, lower);
        }
        at += plane;
      }
      const to = out + half;
      v128.store(to, truncated(r0, shift));
      v128.store(to + pixel, truncated(r1, shift));
      v128.store(to + row, truncated(r2, shift));
      v128.store(to + row + pixel, truncated(r3, shift));
    }
    products += 32;
    out += 2 * pixel;
  }
}

/** Rounds to nearest, ties away from zero, saturates at 32 bits and stores. Returns 1 when it saturates. */
// @ts-ignore: decorator
@inline
function deliver(to: usize, sum: i64, shift: i32): i32 {
  let v = sum;
  if (shift > 0) v = (((sum + (sum >> 63)) >> (shift - 1)) + 1) >> 1;
  const kept = <i32>max(min(v, <i64>i32.MAX_VALUE), <i64>i32.MIN_VALUE);
  store<i32>(to, kept);
  return v == <i64>kept ? 0 : 1;
}

/** As convPostAdd for int64 products; returns how many outputs saturated at 32 bits. */
export function convPostAddWide(
  products: usize,
  plane: usize,
  tiles: i32,
  out: usize,
  pixel: usize,
  row: usize,
  shift: i32,
): i32 {
  let saturated: i32 = 0;
  for (let t: i32 = 0; t < tiles; t++) {
    for (let k: usize = 0; k < 8; k++) {
      let at = products + (k << 3);
      let r0: i64 = 0;
      let r1: i64 = 0;
      let r2: i64 = 0;
      let r3: i64 = 0;
      for (let x: i32 = 0; x < 4; x++) {
        const b = load<i64>(at + 4 * plane);
        const c = load<i64>(at + 8 * plane);
        const upper = load<i64>(at) + b + c;
        const lower = b - c - load<i64>(at + 12 * plane);
        if (x < 3) {
          r0 += upper;
          r2 += lower;
        }
        if (x == 1) {
          r1 = upper;
          r3 = lower;
        } else if (x > 1) {
          r1 -= upper;
          r3 -= lower;
        }
        at += plane;
      }
      const to = out + (k << 2);
      saturated += deliver(to, r0, shift);
      saturated += deliver(to + pixel, r1, shift);
      saturated += deliver(to + row, r2, shift);
      saturated += deliver(to + row + pixel, r3, shift);
    }
    products += 64;
    out += 2 * pixel;
  }
  return saturated;
}
