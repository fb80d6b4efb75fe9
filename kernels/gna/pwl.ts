// The piecewise linear activation: int32 sums to int8, int16 or int32. Fact sheet section 5.10.
// Not pooling, not where sums come from.
//
// ((x - base) * slope >> shift) + y is floor(x * a + b) with a = slope / 2^shift and b = y - base * a. All of it is exact in
// doubles: x * slope has 46 bits, the sum 49, and dividing by a power of two loses none. So a segment is one pair (a, b).
import { noteSaturated } from './saturate';

/** Bytes of a prepared table: 130 entries of 32 bytes, then for each part of the range where to start looking. */
export const PWL_BYTES: usize = 8192;
const ENTRY: usize = 32;
/** In an entry, after a and b: the first x of the next one. */
const NEXT: usize = 16;
const STARTS: usize = 130 * ENTRY;
const PART_BITS: i32 = 10;

let table: usize = 0;
/** Every x below is treated as `lowest`, above as `highest`, when looking for its entry. */
let lowest: i32 = 0;
let highest: i32 = 0;
let shift: i32 = 0;

/**
 * Reads the segments of a layer into the table at `at`. Entry 0 is the constant up to the first base, entry i + 1 is segment i.
 * @param elements how many will be activated: a finer division of the range pays for many only
 */
export function pwlPrepare(segments: usize, count: i32, at: usize, elements: i32): void {
  table = at;
  lowest = load<i32>(segments) & ~3;
  store<f64>(at, 0);
  store<f64>(at, <f64>load<i16>(segments, 4), 8);
  for (let i: i32 = 0; i < count; i++) {
    const word = load<i32>(segments);
    const base = word & ~3;
    const a = <f64>load<i16>(segments, 6) / <f64>((<i64>1) << (8 * ((word & 3) + 1)));
    // A segment whose base is the first one's starts after it: at the base itself y is constant.
    const start = max(base, lowest + 1);
    store<i32>(at, start, NEXT);
    at += ENTRY;
    store<f64>(at, a);
    store<f64>(at, <f64>load<i16>(segments, 4) - <f64>base * a, 8);
    highest = start;
    segments += 8;
  }
  store<i32>(at, i32.MAX_VALUE, NEXT);
  const bits = elements >= 4096 ? PART_BITS : elements >= 256 ? 7 : 4;
  const span = <u32>(highest - lowest);
  shift = 0;
  while (span >> shift >= <u32>1 << bits) shift++;
  const parts = span >> shift;
  let entry: usize = 0;
  let starts = table + STARTS;
  for (let part: u32 = 0; part <= parts; part++) {
    const x = <i64>lowest + ((<i64>part) << shift);
    while (entry < at - table && <i64>load<i32>(table + entry, NEXT) <= x) entry += ENTRY;
    store<u16>(starts, <u16>entry);
    starts += 2;
  }
}

/** The entry for x between `lowest` and `highest`, in `part` of the range. */
// @ts-ignore: decorator
@inline
function entryOf(x: i32, part: i32): v128 {
  let entry = table + <usize>load<u16>(table + STARTS + (<usize>part << 1));
  while (load<i32>(entry, NEXT) <= x) entry += ENTRY;
  return v128.load(entry);
}

/** Adding this to a double of 32 bits leaves the integer in its low word. */
const TO_INTEGER: f64 = 6755399441055744.0;

// @ts-ignore: decorator
@inline
function activateTo<T>(src: usize, count: i32, dst: usize, low: f64, high: f64): void {
  const first = i32x4.splat(lowest);
  const last = i32x4.splat(highest);
  const least = f64x2.splat(low);
  const most = f64x2.splat(high);
  const magic = f64x2.splat(TO_INTEGER);
  let clamped = i64x2.splat(0);
  const parts = shift;
  for (let i: i32 = 0; i < count; i += 4) {
    const rest = count - i;
    // The last elements, fewer than four: one is repeated.
    const x = rest >= 4
      ? v128.load(src)
      : i32x4(
          load<i32>(src),
          load<i32>(rest > 1 ? src + 4 : src),
          load<i32>(rest > 2 ? src + 8 : src),
          load<i32>(src),
        );
    const c = i32x4.max_s(i32x4.min_s(x, last), first);
    const part = i32x4.shr_u(i32x4.sub(c, first), parts);
    const e0 = entryOf(i32x4.extract_lane(c, 0), i32x4.extract_lane(part, 0));
    const e1 = entryOf(i32x4.extract_lane(c, 1), i32x4.extract_lane(part, 1));
    const e2 = entryOf(i32x4.extract_lane(c, 2), i32x4.extract_lane(part, 2));
    const e3 = entryOf(i32x4.extract_lane(c, 3), i32x4.extract_lane(part, 3));
    const y01 = f64x2.floor(
      f64x2.add(
        f64x2.mul(f64x2.convert_low_i32x4_s(x), v128.shuffle<i64>(e0, e1, 0, 2)),
        v128.shuffle<i64>(e0, e1, 1, 3),
      ),
    );
    const y23 = f64x2.floor(
      f64x2.add(
        f64x2.mul(f64x2.convert_low_i32x4_s(v128.shuffle<i64>(x, x, 1, 1)), v128.shuffle<i64>(e2, e3, 0, 2)),
        v128.shuffle<i64>(e2, e3, 1, 3),
      ),
    );
    const z01 = f64x2.pmax(f64x2.pmin(y01, most), least);
    const z23 = f64x2.pmax(f64x2.pmin(y23, most), least);
    clamped = v128.or(clamped, v128.or(f64x2.ne(y01, z01), f64x2.ne(y23, z23)));
    const z = v128.shuffle<i32>(f64x2.add(z01, magic), f64x2.add(z23, magic), 0, 2, 4, 6);
    if (rest >= 4) {
      if (sizeof<T>() == 4) {
        v128.store(dst, z);
      } else {
        const z16 = i16x8.narrow_i32x4_s(z, z);
        if (sizeof<T>() == 2) v128.store64_lane(dst, z16, 0);
        else v128.store32_lane(dst, i8x16.narrow_i16x8_s(z16, z16), 0);
      }
    } else {
      store<T>(dst, <T>i32x4.extract_lane(z, 0));
      if (rest > 1) store<T>(dst + sizeof<T>(), <T>i32x4.extract_lane(z, 1));
      if (rest > 2) store<T>(dst + 2 * sizeof<T>(), <T>i32x4.extract_lane(z, 2));
    }
    src += 16;
    dst += 4 * sizeof<T>();
  }
  if (v128.any_true(clamped)) noteSaturated();
}

/** Activates `count` int32 at `src` with the prepared table, to elements of `bytes`. May work in place. */
export function activate(src: usize, count: i32, dst: usize, bytes: i32): void {
  if (bytes == 1) activateTo<i8>(src, count, dst, -128, 127);
  else if (bytes == 2) activateTo<i16>(src, count, dst, -32768, 32767);
  else activateTo<i32>(src, count, dst, <f64>i32.MIN_VALUE, <f64>i32.MAX_VALUE);
}

/** Activates `count` int32 to elements of `bytes`, kept as int32. In place. */
export function activateWide(at: usize, count: i32, bytes: i32): void {
  const high: f64 = bytes == 1 ? 127 : bytes == 2 ? 32767 : <f64>i32.MAX_VALUE;
  activateTo<i32>(at, count, at, -high - 1, high);
}
