// The piecewise linear activation: int32 sums to int8, int16 or int32. Fact sheet section 5.10.
// Not pooling, not where sums come from.
//
// ((x - base) * slope >> shift) + y is floor(x * a + b) with a = slope / 2^shift and b = y - base * a. All of it is exact in
// doubles: x * slope has 46 bits, the sum 49, and dividing by a power of two loses none. So a segment is one pair (a, b).
import { noteSaturated } from './saturate';

/** Bytes of a prepared table: 130 entries of 32 bytes, then for each part of the range where to start looking. */
export const PWL_BYTES: usize = 12544;
const ENTRY: usize = 32;
/** In an entry, after a and b: the first x of the next one. */
const NEXT: usize = 16;
const STARTS: usize = 130 * ENTRY;

let table: usize = 0;
/** Every x below is treated as `lowest`, above as `highest`, when looking for its entry. */
let lowest: i32 = 0;
let highest: i32 = 0;
let shift: i32 = 0;
/** No x has a y that leaves int32. */
let fits: bool = false;

/** Largest |x * a + b| for which int32 is sure to hold its floor. */
const FITS: f64 = 2147483646;

/** Whether the entry's y fit int32 for all x from `first` to `last`: they lie on a line. */
// @ts-ignore: decorator
@inline
function entryFits(entry: usize, first: i32, last: i32): bool {
  const a = load<f64>(entry);
  const b = load<f64>(entry, 8);
  return abs(<f64>first * a + b) <= FITS && abs(<f64>last * a + b) <= FITS;
}

/**
 * Reads the segments of a layer into the table at `at`. Entry 0 is the constant up to the first base, entry i + 1 is segment i.
 * @param elements how many will be activated: a finer division of the range pays for many only
 */
export function pwlPrepare(segments: usize, count: i32, at: usize, elements: i32): void {
  table = at;
  lowest = load<i32>(segments) & ~3;
  store<f64>(at, 0);
  store<f64>(at, <f64>load<i16>(segments, 4), 8);
  let start = lowest;
  highest = lowest;
  fits = true;
  for (let i: i32 = 0; i < count; i++) {
    const word = load<i32>(segments);
    const base = word & ~3;
    const a = <f64>load<i16>(segments, 6) / <f64>((<i64>1) << (8 * ((word & 3) + 1)));
    // A segment whose base is the first one's starts after it: at the base itself y is constant.
    const next = max(base, lowest + 1);
    fits = fits && (i == 0 || entryFits(at, start, next));
    start = next;
    highest = max(highest, start);
    store<i32>(at, start, NEXT);
    at += ENTRY;
    store<f64>(at, a);
    store<f64>(at, <f64>load<i16>(segments, 4) - <f64>base * a, 8);
    segments += 8;
  }
  fits = fits && entryFits(at, start, i32.MAX_VALUE);
  store<i32>(at, i32.MAX_VALUE, NEXT);
  prepareStarts(at, elements >= 4096 ? 12 : elements >= 256 ? 9 : 5);
}

/** For each of up to 2^bits parts of the range the entry of its first x. `last`: the entry that ends the table. */
function prepareStarts(last: usize, bits: i32): void {
  const span = <u32>(highest - lowest);
  shift = 0;
  while (span >> shift >= <u32>1 << bits) shift++;
  const parts = <i32>(span >> shift) + 1;
  const starts = table + STARTS;
  let part: i32 = 0;
  for (let entry = table; part < parts; entry += ENTRY) {
    let end = parts;
    if (entry < last) {
      // Parts that start before the next entry does.
      const before = <i64>load<i32>(entry, NEXT) - <i64>lowest;
      end = <i32>min(<i64>parts, (before + ((<i64>1) << shift) - 1) >> shift);
    }
    const offset = i16x8.splat(<i16>(entry - table));
    // Eight at a time; what that writes too far is written again.
    for (let i = part; i < end; i += 8) v128.store(starts + (<usize>i << 1), offset);
    part = max(part, end);
  }
}

/** The entry for x between `lowest` and `highest`, in `part` of the range. */
// @ts-ignore: decorator
@inline
function entryOf(at: usize, x: i32, part: i32): v128 {
  let entry = at + <usize>load<u16>(at + (<usize>part << 1), STARTS);
  while (load<i32>(entry, NEXT) <= x) entry += ENTRY;
  return v128.load(entry);
}

/** Adding this to a double of 32 bits leaves the integer in its low word. */
const TO_INTEGER: f64 = 6755399441055744.0;

/** Lanes that clamping to int32 changed. */
let clamped: v128 = i64x2.splat(0);

/** y of four x, floored, clamped to int32. `tame` (a constant): there is nothing to clamp. */
// @ts-ignore: decorator
@inline
function four(at: usize, x: v128, parts: i32, first: v128, last: v128, tame: bool): v128 {
  const c = i32x4.max_s(i32x4.min_s(x, last), first);
  const part = i32x4.shr_u(i32x4.sub(c, first), parts);
  const e0 = entryOf(at, i32x4.extract_lane(c, 0), i32x4.extract_lane(part, 0));
  const e1 = entryOf(at, i32x4.extract_lane(c, 1), i32x4.extract_lane(part, 1));
  const e2 = entryOf(at, i32x4.extract_lane(c, 2), i32x4.extract_lane(part, 2));
  const e3 = entryOf(at, i32x4.extract_lane(c, 3), i32x4.extract_lane(part, 3));
  let y01 = f64x2.floor(
    f64x2.add(
      f64x2.mul(f64x2.convert_low_i32x4_s(x), v128.shuffle<i64>(e0, e1, 0, 2)),
      v128.shuffle<i64>(e0, e1, 1, 3),
    ),
  );
  let y23 = f64x2.floor(
    f64x2.add(
      f64x2.mul(f64x2.convert_low_i32x4_s(v128.shuffle<i64>(x, x, 1, 1)), v128.shuffle<i64>(e2, e3, 0, 2)),
      v128.shuffle<i64>(e2, e3, 1, 3),
    ),
  );
  if (!tame) {
    const low = f64x2.splat(<f64>i32.MIN_VALUE);
    const high = f64x2.splat(<f64>i32.MAX_VALUE);
    const z01 = f64x2.pmax(f64x2.pmin(y01, high), low);
    const z23 = f64x2.pmax(f64x2.pmin(y23, high), low);
    clamped = v128.or(clamped, v128.or(f64x2.ne(y01, z01), f64x2.ne(y23, z23)));
    y01 = z01;
    y23 = z23;
  }
  const magic = f64x2.splat(TO_INTEGER);
  return v128.shuffle<i32>(f64x2.add(y01, magic), f64x2.add(y23, magic), 0, 2, 4, 6);
}

/** To elements of T within -high - 1 to high. */
// @ts-ignore: decorator
@inline
function activateTo<T>(src: usize, count: i32, dst: usize, high: i32, tame: bool): void {
  const at = table;
  const first = i32x4.splat(lowest);
  const last = i32x4.splat(highest);
  const parts = shift;
  clamped = i64x2.splat(0);
  let low = i32x4.splat(0);
  let top = low;
  const floor = i32x4.splat(-high - 1);
  const ceiling = i32x4.splat(high);
  const limited = sizeof<T>() == 4 && high != i32.MAX_VALUE;
  let i: i32 = 0;
  for (; i + 8 <= count; i += 8) {
    let a = four(at, v128.load(src), parts, first, last, tame);
    let b = four(at, v128.load(src, 16), parts, first, last, tame);
    low = i32x4.min_s(low, i32x4.min_s(a, b));
    top = i32x4.max_s(top, i32x4.max_s(a, b));
    if (sizeof<T>() == 4) {
      if (limited) {
        a = i32x4.max_s(i32x4.min_s(a, ceiling), floor);
        b = i32x4.max_s(i32x4.min_s(b, ceiling), floor);
      }
      v128.store(dst, a);
      v128.store(dst, b, 16);
    } else {
      const ab = i16x8.narrow_i32x4_s(a, b);
      if (sizeof<T>() == 2) v128.store(dst, ab);
      else v128.store64_lane(dst, i8x16.narrow_i16x8_s(ab, ab), 0);
    }
    src += 32;
    dst += 8 * sizeof<T>();
  }
  for (; i < count; i++) {
    const y = four(at, v128.load32_splat(src), parts, first, last, tame);
    low = i32x4.min_s(low, y);
    top = i32x4.max_s(top, y);
    store<T>(dst, <T>i32x4.extract_lane(i32x4.max_s(i32x4.min_s(y, ceiling), floor), 0));
    src += 4;
    dst += sizeof<T>();
  }
  const over = v128.or(i32x4.lt_s(low, floor), i32x4.gt_s(top, ceiling));
  if (v128.any_true(v128.or(over, clamped))) noteSaturated();
}

/** Activates `count` int32 at `src` with the prepared table, to elements of `bytes`. May work in place. */
export function activate(src: usize, count: i32, dst: usize, bytes: i32): void {
  if (!fits) {
    if (bytes == 1) activateTo<i8>(src, count, dst, i8.MAX_VALUE, false);
    else if (bytes == 2) activateTo<i16>(src, count, dst, i16.MAX_VALUE, false);
    else activateTo<i32>(src, count, dst, i32.MAX_VALUE, false);
  } else if (bytes == 1) {
    activateTo<i8>(src, count, dst, i8.MAX_VALUE, true);
  } else if (bytes == 2) {
    activateTo<i16>(src, count, dst, i16.MAX_VALUE, true);
  } else {
    activateTo<i32>(src, count, dst, i32.MAX_VALUE, true);
  }
}

/** Activates `count` int32 to elements of `bytes`, kept as int32. In place. */
export function activateWide(at: usize, count: i32, bytes: i32): void {
  const high: i32 = bytes == 1 ? i8.MAX_VALUE : bytes == 2 ? i16.MAX_VALUE : i32.MAX_VALUE;
  activateTo<i32>(at, count, at, high, false);
}
