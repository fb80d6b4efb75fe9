// Winograd's arithmetic on fp16: pre-addition in fp17, cell operations of 64 products that share an exponent, post-addition
// of their sums. Not integers: winograd.ts. Not one product: conv-half.ts. Fact sheet sections 2.3, 2.10.
//
// A cell operation takes four channels of a tile: 16 positions of 4 products. All are aligned to the largest sum of
// exponents among the 64, then post-addition makes four sums of them, which CACC adds to four accumulators.
import { add17, negated, toFloat17, toHalf } from './float';
import { accumulate, delivered } from './half-sum';
import { ABSENT, cellOf, CELL_BYTES, dataNan, HEADER, nanSum, STRIDE } from './conv-half';

const KERNELS: usize = 16;
/** Accumulators of one tile: four outputs of sixteen kernels, fractions and exponents. */
const FRACTIONS: usize = 4 * 16 * 8;
const POWERS: usize = 4 * 16 * 4;
/** Sums of one position: sixteen int64. */
const SUMS: usize = 128;

// @ts-ignore: decorator
@inline
function minus(a: v128, b: v128): v128 {
  return add17(a, negated(b));
}

/** Number i of the four that pre-addition makes of four. */
// @ts-ignore: decorator
@inline
function combined(i: i32, a: v128, b: v128, c: v128, d: v128): v128 {
  if (i == 0) return minus(a, c);
  if (i == 1) return add17(b, c);
  if (i == 2) return minus(c, b);
  return minus(b, d);
}

/** As convPreAdd (winograd.ts) for fp16. */
export function convPreAddHalf(
  src: usize,
  rowBytes: usize,
  pixel: usize,
  channels: i32,
  tiles: i32,
  dst: usize,
  plane: usize,
  tile: usize,
  work: usize,
): void {
  for (let t: i32 = 0; t < tiles; t++) {
    for (let c: usize = 0; c < <usize>channels << 1; c += 8) {
      for (let x: usize = 0; x < 4; x++) {
        const at = src + c + x * pixel;
        const a = toFloat17(v128.load16x4_u(at));
        const b = toFloat17(v128.load16x4_u(at + rowBytes));
        const d = toFloat17(v128.load16x4_u(at + 2 * rowBytes));
        const e = toFloat17(v128.load16x4_u(at + 3 * rowBytes));
        for (let i: i32 = 0; i < 4; i++) v128.store(work + (x << 4) + (<usize>i << 6), combined(i, a, b, d, e));
      }
      let to = dst + c;
      for (let y: usize = 0; y < 256; y += 64) {
        const a = v128.load(work + y);
        const b = v128.load(work + y, 16);
        const d = v128.load(work + y, 32);
        const e = v128.load(work + y, 48);
        for (let i: i32 = 0; i < 4; i++) {
          const v = toHalf(combined(i, a, b, d, e));
          v128.store64_lane(to, i16x8.narrow_i32x4_u(v, v), 0);
          to += plane;
        }
      }
    }
    src += 2 * pixel;
    dst += tile;
  }
}

/** One of the four sums that post-addition makes of the sixteen at `sums`, for one kernel. */
// @ts-ignore: decorator
@inline
function column(at: usize, lower: bool): i64 {
  const b = load<i64>(at, 4 * SUMS);
  const c = load<i64>(at, 8 * SUMS);
  return lower ? b - c - load<i64>(at, 12 * SUMS) : load<i64>(at) + b + c;
}

/**
 * Sums of one group of sixteen kernels for `tiles` tiles, as fp32.
 * @param packed convPackHalf with `blocks` segments of 64 elements: 16 positions of 4 channels
 * @param a decoded tiles (convDecodeHalf): `plane` bytes from a position to the next, `tile` from a tile to the next
 * @param out the first tile's first output, kernel 0; `pixel` bytes to the next output, `row` to the next row
 * @param live kernels that exist; the others give 0
 * @param nans 1: there may be NaNs in input or weights
 * @param work 16-byte aligned memory, convWinogradWork bytes
 */
export function convWinogradHalf(
  packed: usize,
  blocks: i32,
  a: usize,
  plane: usize,
  tile: usize,
  tiles: i32,
  out: usize,
  pixel: usize,
  row: usize,
  live: i32,
  nans: i32,
  work: usize,
): void {
  const fractions = work;
  const powers = fractions + FRACTIONS;
  const sums = powers + POWERS;
  const mostAt = sums + 16 * SUMS;
  const scratch = mostAt + 16;
  const list = scratch + CELL_BYTES;
  const counts = list + 64 * 8;
  for (let t: i32 = 0; t < tiles; t++) {
    memory.fill(fractions, 0, FRACTIONS + POWERS);
    let weights = packed;
    for (let block: i32 = 0; block < blocks; block++) {
      let element = weights + HEADER;
      let from = a + (<usize>block << 4);
      let most = i8x16.splat(-1);
      let to = list;
      let nan: i32 = 0;
      for (let position: usize = 0; position < 16; position++) {
        for (let c: usize = 0; c < 16; c += 4) {
          const decoded = load<i32>(from + c);
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
        store<u32>(counts + (position << 2), <u32>to);
        from += plane;
      }
      let at = list;
      for (let position: usize = 0; position < 16; position++) {
        const end = <usize>load<u32>(counts + (position << 2));
        cellOf(at, <i32>((end - at) >> 3), most, sums + position * SUMS, scratch);
        at = end;
      }
      v128.store(mostAt, most);
      for (let k: usize = 0; k < <usize>live; k++) {
        const weightNan = nans != 0 ? load<i32>(weights + (k << 2)) : 0;
        const fraction = fractions + (k << 3);
        const power = powers + (k << 2);
        if (weightNan != 0 || nan != 0) {
          const sum = nanSum(weightNan != 0 ? weightNan : dataNan(nan));
          for (let i: usize = 0; i < 4; i++)
            accumulate(fraction + i * KERNELS * 8, power + i * KERNELS * 4, sum, 0x3f);
          continue;
        }
        const exponent = <i32>load<i8>(mostAt + k) << 2;
        const s = sums + (k << 3);
        for (let i: usize = 0; i < 4; i++) {
          const lower = i > 1;
          const b = column(s + SUMS, lower);
          const c = column(s + 2 * SUMS, lower);
          const sum = (i & 1) == 0 ? column(s, lower) + b + c : b - c - column(s + 3 * SUMS, lower);
          accumulate(fraction + i * KERNELS * 8, power + i * KERNELS * 4, sum, exponent);
        }
      }
      weights += HEADER + 64 * STRIDE;
    }
    for (let i: usize = 0; i < 4; i++) {
      const to = out + (i & 1) * pixel + (i >> 1) * row;
      for (let k: usize = 0; k < KERNELS; k++)
        store<i32>(
          to + (k << 2),
          delivered(fractions + i * KERNELS * 8 + (k << 3), powers + i * KERNELS * 4 + (k << 2)),
        );
    }
    a += tile;
    out += 2 * pixel;
  }
}

/** Bytes of `work` of convWinogradHalf. */
export function convWinogradWork(): i32 {
  return <i32>(FRACTIONS + POWERS + 16 * SUMS + 16 + CELL_BYTES + 64 * 8 + 64);
}
