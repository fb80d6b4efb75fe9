// Sums of fp16 products as CMAC makes them, added up by CACC: sixteen kernels and an output at a time. Fact sheet section 2.3.
// Not a layer: src/devices/nvdla/engine/conv-half.ts decides on blocks and order. Not the accumulator: half-sum.ts.
//
// A cell takes up to 64 pairs. An operand is a mantissa of 14 bits (11, shifted left by the exponent modulo 4) and a
// quotient (the exponent over 4); a product is shifted right by 4 times the distance of its quotients' sum from the largest
// sum, the distance d of the pair. The product comes out of a carry-save tree as two words, and each is shifted by itself:
// the result is the shifted product, less one if the bits that both words lose add up to a carry. For d of 0 and 1 they do
// not. For d = 2 only the low 8 bits matter, and those come from the four lower Booth digits of the weight; here they are
// bytes, sixteen kernels at once. Greater distances are rare: they are queued and go through the whole tree, four at once.
//
// Input elements are decoded to int32: the signed mantissa in the low half, the quotient above it (ABSENT for 0), bit 31
// for a NaN. An element of sixteen packed weights takes STRIDE bytes: 16 quotients, 16 mantissas (int16), then for each of
// four Booth digits 16 bytes each of: mask of "once", mask of "twice", inversion when the data is not negative, inversion
// when it is. A segment of packed weights begins with 16 int32, NaNs of its kernels (0 for none).
import { accumulate, delivered } from './half-sum';

export const ABSENT: i32 = -64;
export const STRIDE: usize = 304;
export const HEADER: usize = 64;
const DIGITS: usize = 48;
/** Outputs that go through all segments together: their accumulators stay in the first-level cache. */
const CHUNK: usize = 32;
const KERNELS: usize = 16;
/** Bytes of each part of a queue: a cell operation has at most 64 products for each of sixteen kernels. */
const QUEUE: usize = 64 * 16 * 4;
/** Bytes of memory that cellOf works with. */
export const CELL_BYTES: usize = 32 + 3 * QUEUE;

/** Sign and fraction of an fp16 NaN, with bit 16 set so that it is not 0; 0 for other numbers. */
// @ts-ignore: decorator
@inline
function nanOf(h: i32): i32 {
  return (h & 0x7fff) > 0x7c00 ? (h & 0x83ff) | 0x10000 : 0;
}

/** `count` fp16 at `src` to decoded elements. Returns 1 when there is a NaN among them. */
export function convDecodeHalf(src: usize, dst: usize, count: i32): i32 {
  let nans: i32 = 0;
  for (let i: i32 = 0; i < count; i++) {
    const h = <i32>load<u16>(src);
    const e = (h >> 10) & 31;
    const m = e == 0 ? (h & 0x3ff) << 1 : ((h & 0x3ff) | 0x400) << (e & 3);
    const signed = (h & 0x8000) != 0 ? -m : m;
    let value = (signed & 0xffff) | ((m == 0 ? ABSENT & 255 : e >> 2) << 16);
    if ((h & 0x7fff) > 0x7c00) {
      value |= -0x80000000;
      nans = 1;
    }
    store<i32>(dst, value);
    src += 2;
    dst += 4;
  }
  return nans;
}

/** 1 when there is a NaN among `count` fp16. */
export function convNansHalf(at: usize, count: i32): i32 {
  for (let i: i32 = 0; i < count; i++) if ((load<u16>(at + (<usize>i << 1)) & 0x7fff) > 0x7c00) return 1;
  return 0;
}

/** Packs one weight as kernel `lane` of the element at `at`. */
function packWeight(at: usize, lane: usize, h: i32): void {
  const e = (h >> 10) & 31;
  const m = e == 0 ? (h & 0x3ff) << 1 : ((h & 0x3ff) | 0x400) << (e & 3);
  store<i8>(at + lane, <i8>(m == 0 ? ABSENT : e >> 2));
  store<i16>(at + 16 + (lane << 1), <i16>((h & 0x8000) != 0 ? -m : m));
  let bits = m << 1;
  const flip = (h & 0x8000) != 0 ? 7 : 0;
  let digit = at + DIGITS + lane;
  for (let i: i32 = 0; i < 4; i++) {
    const code = (bits & 7) ^ flip;
    bits >>= 2;
    const ones = 0xff << (2 * i);
    const twice = code == 3 || code == 4;
    const zero = code == 0 || code == 7;
    store<u8>(digit, !zero && !twice ? 255 : 0);
    store<u8>(digit, twice ? 255 : 0, 16);
    store<u8>(digit, !zero && code > 3 ? <u8>ones : 0, 32);
    store<u8>(digit, !zero && code <= 3 ? <u8>ones : 0, 48);
    digit += 64;
  }
}

/**
 * Packs the weights of one group of at most 16 kernels. Returns the end of the packed weights.
 * @param weights the group's first, `size` kernels
 * @param lengths elements of each of its `segments`, u32
 */
export function convPackHalf(dst: usize, weights: usize, size: i32, segments: i32, lengths: usize): usize {
  for (let i: i32 = 0; i < segments; i++) {
    const length = <i32>load<u32>(lengths + (<usize>i << 2));
    memory.fill(dst, 0, HEADER);
    const at = dst + HEADER;
    for (let k: i32 = 0; k < <i32>KERNELS; k++) {
      let element = at;
      for (let n: i32 = 0; n < length; n++) {
        const h = k < size ? <i32>load<u16>(weights + (<usize>(k * length + n) << 1)) : 0;
        packWeight(element, <usize>k, h);
        const nan = nanOf(h);
        if (nan != 0 && load<i32>(dst + (<usize>k << 2)) == 0) store<i32>(dst + (<usize>k << 2), nan);
        element += STRIDE;
      }
    }
    weights += <usize>(size * length) << 1;
    dst = at + <usize>length * STRIDE;
  }
  return dst;
}

/** Bit n of each lane, spread over the lane. */
// @ts-ignore: decorator
@inline
function spread(v: v128, n: i32): v128 {
  return i32x4.shr_s(i32x4.shl(v, 31 - n), 31);
}

/** Booth digit i of four weights times the data: 17 bits with an inverted sign; `negative` where it is below 0. */
// @ts-ignore: decorator
@inline
function partial(d: v128, once: v128, twice: v128, negative: v128): v128 {
  const pp = v128.or(v128.and(d, once), v128.and(i32x4.shl(d, 1), twice));
  const bits = v128.xor(pp, v128.and(negative, i32x4.splat(0xffff)));
  return v128.or(bits, v128.andnot(i32x4.splat(0x10000), negative));
}

// @ts-ignore: decorator
@inline
function majority(a: v128, b: v128, c: v128): v128 {
  return i32x4.shl(v128.or(v128.and(a, b), v128.and(c, v128.xor(a, b))), 1);
}

/**
 * The two words that the carry-save tree leaves of four products, stored one after the other at `to`: eight radix-4 Booth
 * digits of the weight in two groups of five words, each reduced to two, these four to two.
 */
function trees(data: v128, weight: v128, to: usize): void {
  const flip = i32x4.shr_s(v128.xor(data, weight), 31);
  const d = i32x4.abs(data);
  const w = i32x4.abs(weight);
  let first = i64x2.splat(0);
  let second = first;
  let below = first;
  for (let half: i32 = 0; half < 2; half++) {
    let s = i64x2.splat(0);
    let c = s;
    let one = s;
    let two = s;
    let inverted = s;
    for (let i: i32 = 0; i < 4; i++) {
      const n = 8 * half + 2 * i;
      const mid = spread(w, n);
      const high = spread(w, n + 1);
      const once = v128.xor(mid, below);
      const twice = v128.andnot(v128.xor(high, mid), once);
      const negative = v128.and(v128.xor(high, flip), v128.or(once, twice));
      below = high;
      let word = i32x4.shl(partial(d, once, twice, negative), n);
      // What makes a negative digit's inversion its negative goes into the next word.
      if (i > 0) word = v128.or(word, i32x4.shl(inverted, n - 2));
      inverted = v128.and(negative, i32x4.splat(1));
      if (i == 0) one = word;
      else if (i == 1) two = word;
      else if (i == 2) {
        s = v128.xor(v128.xor(one, two), word);
        c = majority(one, two, word);
      } else {
        const t = v128.xor(v128.xor(s, c), word);
        c = majority(s, c, word);
        s = t;
      }
    }
    const last = i32x4.shl(inverted, 8 * half + 6);
    const t = v128.xor(v128.xor(s, c), last);
    c = majority(s, c, last);
    if (half == 0) {
      first = t;
      second = c;
    } else {
      const x = v128.xor(v128.xor(first, second), t);
      const y = majority(first, second, t);
      first = v128.xor(v128.xor(x, y), c);
      second = majority(x, y, c);
    }
  }
  v128.store(to, first);
  v128.store(to, second, 16);
}

/** Bytes of one Booth digit of sixteen weights times the data, at its place among the low 8 bits. */
// @ts-ignore: decorator
@inline
function digit(at: usize, once: i32, sign: usize): v128 {
  const d = v128.and(i8x16.splat(<i8>once), v128.load(at));
  const d2 = v128.and(i8x16.splat(<i8>(once << 1)), v128.load(at, 16));
  return v128.xor(v128.or(d, d2), v128.load(at + sign, 32));
}

// @ts-ignore: decorator
@inline
function inverted(at: usize, sign: usize, bit: i32): v128 {
  return v128.and(v128.load(at + sign, 32), i8x16.splat(<i8>bit));
}

// @ts-ignore: decorator
@inline
function carries(a: v128, b: v128, c: v128): v128 {
  const m = v128.or(v128.and(a, b), v128.and(c, v128.xor(a, b)));
  return i8x16.add(m, m);
}

/** Lanes (all ones) whose two words lose a carry when shifted right by 8. `size` is the data's mantissa without its sign. */
// @ts-ignore: decorator
@inline
function carry8(element: usize, size: i32, negative: bool): v128 {
  const at = element + DIGITS;
  const sign: usize = negative ? 16 : 0;
  const p0 = digit(at, size, sign);
  const p1 = v128.or(digit(at + 64, size << 2, sign), inverted(at, sign, 1));
  const p2 = v128.or(digit(at + 128, size << 4, sign), inverted(at + 64, sign, 4));
  const p3 = v128.or(digit(at + 192, size << 6, sign), inverted(at + 128, sign, 16));
  const p4 = inverted(at + 192, sign, 64);
  let s = v128.xor(v128.xor(p0, p1), p2);
  let c = carries(p0, p1, p2);
  let t = v128.xor(v128.xor(s, c), p3);
  c = carries(s, c, p3);
  s = v128.xor(v128.xor(t, c), p4);
  c = carries(t, c, p4);
  for (let i: i32 = 0; i < 2; i++) {
    t = v128.xor(s, c);
    c = v128.and(s, c);
    c = i8x16.add(c, c);
    s = t;
  }
  return i8x16.lt_u(i8x16.add(s, c), s);
}

/** Shifts by 4 more bits times `step` in the lanes of `mask`. */
// @ts-ignore: decorator
@inline
function shifted(p: v128, mask: v128, bits: i32): v128 {
  return v128.bitselect(i32x4.shr_s(p, bits), p, mask);
}

// @ts-ignore: decorator
@inline
function addTo(at: usize, sum: v128): void {
  v128.store(at, i64x2.add(v128.load(at), i64x2.extend_low_i32x4_s(sum)));
  v128.store(at, i64x2.add(v128.load(at, 16), i64x2.extend_high_i32x4_s(sum)), 16);
}

/**
 * Queues the lanes of `which` at `queue`: their data, weight and place (8 times the lane, with the shift above), int32 each
 * in a part of its own. Those too far away to count are left out. Returns how many there are then.
 */
function queueFar(queue: usize, count: i32, element: usize, distances: v128, which: i32, data: i32, scratch: usize): i32 {
  v128.store(scratch, distances);
  while (which != 0) {
    const lane = <usize>ctz(which);
    which &= which - 1;
    const d = <i32>load<i8>(scratch + lane);
    if (d > 7) continue;
    const at = queue + (<usize>count << 2);
    store<i32>(at, data);
    store<i32>(at + QUEUE, <i32>load<i16>(element + 16 + (lane << 1)));
    store<i32>(at + 2 * QUEUE, (<i32>lane << 3) | (d << 10));
    count++;
  }
  return count;
}

/** Adds the queued products to the sums, four at a time. */
function addFar(queue: usize, count: i32, sums: usize, scratch: usize): void {
  for (let i: i32 = 0; i < count; i += 4) {
    const at = queue + (<usize>i << 2);
    trees(v128.load(at), v128.load(at + QUEUE), scratch);
    const last = min(count - i, 4);
    for (let n: i32 = 0; n < last; n++) {
      const word = <usize>n << 2;
      const place = load<i32>(at + 2 * QUEUE + word);
      const shift = (place >> 10) << 2;
      const fill: u32 = (<u32>(<i32>0xaaab0000 >> shift)) + (shift > 16 ? 1 : 0);
      const sum = (load<u32>(scratch + word) >> shift) + (load<u32>(scratch + word, 16) >> shift) + fill;
      const to = sums + <usize>(place & 0x3ff);
      store<i64>(to, load<i64>(to) + <i64>(<i32>sum));
    }
  }
}

/**
 * One cell operation for sixteen kernels: sums (int64[16]) of the listed elements. Returns nothing when the list is empty.
 * @param list `count` pairs of u32: address of the packed element, decoded data
 * @param most largest sums of quotients, per kernel
 */
// @ts-ignore: decorator
@inline
function cell(list: usize, count: i32, most: v128, sums: usize, scratch: usize, queue: usize): void {
  const zero = i64x2.splat(0);
  for (let i: usize = 0; i < 128; i += 16) v128.store(sums + i, zero);
  let t0 = zero;
  let t1 = zero;
  let t2 = zero;
  let t3 = zero;
  let lost = zero;
  let queued: i32 = 0;
  const end = list + (<usize>count << 3);
  let until: i32 = 8;
  for (; list < end; list += 8) {
    const element = <usize>load<u32>(list);
    const decoded = load<i32>(list, 4);
    const data = <i32>(<i16>decoded);
    const quotient = <i8>(decoded >> 16);
    const distance = i8x16.sub(i8x16.sub(most, i8x16.splat(quotient)), v128.load(element));
    const d = i16x8.splat(<i16>data);
    const w0 = v128.load(element, 16);
    const w1 = v128.load(element, 32);
    let p0 = i32x4.extmul_low_i16x8_s(d, w0);
    let p1 = i32x4.extmul_high_i16x8_s(d, w0);
    let p2 = i32x4.extmul_low_i16x8_s(d, w1);
    let p3 = i32x4.extmul_high_i16x8_s(d, w1);
    // Lanes without a weight are far away, and their products are 0.
    const odd = i8x16.ne(v128.and(distance, i8x16.splat(1)), zero);
    const low = i16x8.extend_low_i8x16_s(odd);
    const up = i16x8.extend_high_i8x16_s(odd);
    p0 = shifted(p0, i32x4.extend_low_i16x8_s(low), 4);
    p1 = shifted(p1, i32x4.extend_high_i16x8_s(low), 4);
    p2 = shifted(p2, i32x4.extend_low_i16x8_s(up), 4);
    p3 = shifted(p3, i32x4.extend_high_i16x8_s(up), 4);
    const beyond = v128.and(
      i8x16.gt_s(distance, i8x16.splat(1)),
      i8x16.lt_s(distance, i8x16.splat(32)),
    );
    if (v128.any_true(beyond)) {
      const two = i8x16.eq(distance, i8x16.splat(2));
      const low2 = i16x8.extend_low_i8x16_s(two);
      const up2 = i16x8.extend_high_i8x16_s(two);
      p0 = shifted(p0, i32x4.extend_low_i16x8_s(low2), 8);
      p1 = shifted(p1, i32x4.extend_high_i16x8_s(low2), 8);
      p2 = shifted(p2, i32x4.extend_low_i16x8_s(up2), 8);
      p3 = shifted(p3, i32x4.extend_high_i16x8_s(up2), 8);
      lost = i8x16.add(lost, v128.and(two, carry8(element, abs(data), data < 0)));
      const far = v128.andnot(beyond, two);
      if (v128.any_true(far)) {
        const low3 = i16x8.extend_low_i8x16_s(far);
        const up3 = i16x8.extend_high_i8x16_s(far);
        p0 = v128.andnot(p0, i32x4.extend_low_i16x8_s(low3));
        p1 = v128.andnot(p1, i32x4.extend_high_i16x8_s(low3));
        p2 = v128.andnot(p2, i32x4.extend_low_i16x8_s(up3));
        p3 = v128.andnot(p3, i32x4.extend_high_i16x8_s(up3));
        queued = queueFar(queue, queued, element, distance, i8x16.bitmask(far), data, scratch);
      }
    }
    t0 = i32x4.add(t0, p0);
    t1 = i32x4.add(t1, p1);
    t2 = i32x4.add(t2, p2);
    t3 = i32x4.add(t3, p3);
    // Eight terms of at most 28 bits fit 32.
    if (--until == 0) {
      addTo(sums, t0);
      addTo(sums + 32, t1);
      addTo(sums + 64, t2);
      addTo(sums + 96, t3);
      t0 = zero;
      t1 = zero;
      t2 = zero;
      t3 = zero;
      until = 8;
    }
  }
  if (queued > 0) addFar(queue, queued, sums, scratch);
  // Each lost carry is -1.
  const low = i16x8.extend_low_i8x16_s(lost);
  const up = i16x8.extend_high_i8x16_s(lost);
  addTo(sums, t0);
  addTo(sums + 32, t1);
  addTo(sums + 64, t2);
  addTo(sums + 96, t3);
  addTo(sums, i32x4.extend_low_i16x8_s(low));
  addTo(sums + 32, i32x4.extend_high_i16x8_s(low));
  addTo(sums + 64, i32x4.extend_low_i16x8_s(up));
  addTo(sums + 96, i32x4.extend_high_i16x8_s(up));
}

/** `cell` for who has several short lists, `work` being CELL_BYTES of memory. */
// @ts-ignore: decorator
@inline
export function cellOf(list: usize, count: i32, most: v128, sums: usize, work: usize): void {
  cell(list, count, most, sums, work, work + 32);
}

/** The sum that stands for a NaN of 17 bits (nanOf). */
// @ts-ignore: decorator
@inline
export function nanSum(nan: i32): i64 {
  return ((<i64>(nan & 0x3ff)) << 27) | ((nan & 0x8000) != 0 ? -(<i64>1 << 37) : 0);
}

/**
 * Sums of one group of sixteen kernels for the outputs of `tiles` (convTiles, with steps of decoded input), as fp32.
 * @param segments cell operations of an output; `table` has for each the number of its runs, and for each run the offset in
 * the decoded rows and the length (u32)
 * @param a first decoded input row
 * @param out fp32 of the block's first output, kernel 0 of the group
 * @param live kernels that exist; the others give 0
 * @param nans 1: there may be NaNs in input or weights
 * @param work 16-byte aligned memory, convHalfWork bytes
 */
export function convHalf(
  packed: usize,
  segments: i32,
  table: usize,
  a: usize,
  tiles: usize,
  lastTile: usize,
  out: usize,
  live: i32,
  nans: i32,
  work: usize,
): void {
  const fractions = work;
  const powers = fractions + CHUNK * KERNELS * 8;
  const sums = powers + CHUNK * KERNELS * 4;
  const mostAt = sums + 128;
  const scratch = mostAt + 16;
  const list = scratch + 32;
  const queue = list + 64 * 8;
  for (let chunk = tiles; chunk < lastTile; chunk += CHUNK << 3) {
    const chunkEnd = min(chunk + (CHUNK << 3), lastTile);
    memory.fill(fractions, 0, CHUNK * KERNELS * 12);
    let weights = packed;
    let entry = table;
    for (let segment: i32 = 0; segment < segments; segment++) {
      const runs = <i32>load<u32>(entry);
      entry += 4;
      let length: usize = 0;
      for (let r: i32 = 0; r < runs; r++) length += <usize>load<u32>(entry + (<usize>r << 3), 4);
      let output: usize = 0;
      let before: u32 = 0xffffffff;
      for (let tile = chunk; tile < chunkEnd; tile += 32) {
        for (let lane: usize = 0; lane < 16; lane += 4) {
          const place = load<u32>(tile + lane, 16);
          const own = output;
          output++;
          // The last tile is filled up with its last output.
          if (place == before) continue;
          before = place;
          const from = a + <usize>load<u32>(tile + lane);
          let element = weights + HEADER;
          let most = i8x16.splat(-1);
          let to = list;
          let nan: i32 = 0;
          for (let r: i32 = 0; r < runs; r++) {
            let at = from + <usize>load<u32>(entry + (<usize>r << 3));
            const end = at + (<usize>load<u32>(entry + (<usize>r << 3), 4) << 2);
            for (; at < end; at += 4) {
              const decoded = load<i32>(at);
              if (nans != 0 && decoded < 0 && nan == 0) nan = decoded;
              const quotient = <i8>(decoded >> 16);
              if (quotient != <i8>ABSENT) {
                most = i8x16.max_s(most, i8x16.add(i8x16.splat(quotient), v128.load(element)));
                store<u32>(to, <u32>element);
                store<i32>(to, decoded, 4);
                to += 8;
              }
              element += STRIDE;
            }
          }
          const fraction = fractions + own * (KERNELS * 8);
          const power = powers + own * (KERNELS * 4);
          if (to == list) {
            if (nans != 0) weightNans(weights, fraction, power);
            continue;
          }
          cell(list, <i32>((to - list) >> 3), most, sums, scratch, queue);
          v128.store(mostAt, most);
          for (let k: usize = 0; k < <usize>live; k++) {
            let sum = load<i64>(sums + (k << 3));
            let exponent = <i32>load<i8>(mostAt + k) << 2;
            if (nans != 0) {
              const weightNan = load<i32>(weights + (k << 2));
              if (weightNan != 0) {
                sum = nanSum(weightNan);
                exponent = 0x3f;
              } else if (nan != 0) {
                sum = nanSum(dataNan(nan));
                exponent = 0x3f;
              }
            }
            accumulate(fraction + (k << 3), power + (k << 2), sum, exponent);
          }
        }
      }
      entry += <usize>runs << 3;
      weights += HEADER + length * STRIDE;
    }
    let output: usize = 0;
    for (let tile = chunk; tile < chunkEnd; tile += 32) {
      for (let lane: usize = 0; lane < 16; lane += 4) {
        const to = out + <usize>load<u32>(tile + lane, 16);
        const own = output;
        output++;
        if (lane != 0 && load<u32>(tile + lane, 16) == load<u32>(tile + lane, 12)) continue;
        const fraction = fractions + own * (KERNELS * 8);
        const power = powers + own * (KERNELS * 4);
        for (let k: usize = 0; k < KERNELS; k++) {
          store<i32>(to + (k << 2), delivered(fraction + (k << 3), power + (k << 2)));
        }
      }
    }
  }
}

/** NaNs of the weights count even if all data is 0. */
function weightNans(weights: usize, fraction: usize, power: usize): void {
  for (let k: usize = 0; k < KERNELS; k++) {
    const nan = load<i32>(weights + (k << 2));
    if (nan != 0) accumulate(fraction + (k << 3), power + (k << 2), nanSum(nan), 0x3f);
  }
}

/** A decoded NaN as nanOf gives it: its mantissa is 11 bits shifted left by 3 (the exponent 31). */
// @ts-ignore: decorator
@inline
export function dataNan(decoded: i32): i32 {
  const data = <i32>(<i16>decoded);
  return ((abs(data) >> 3) & 0x3ff) | (data < 0 ? 0x8000 : 0) | 0x10000;
}

/** Writes one word of a table. */
export function convWord(at: usize, value: i32): void {
  store<i32>(at, value);
}

/** Bytes of `work` of convHalf. */
export function convHalfWork(): i32 {
  return <i32>(CHUNK * KERNELS * 12 + 128 + 16 + 32 + 64 * 8 + 3 * QUEUE);
}
