// The piecewise linear activation: int32 sums to int8, int16 or int32. Fact sheet section 5.10.
// Not pooling, not where sums come from.
import { noteSaturated } from './saturate';

/** Bytes of a prepared table: a head, 128 segments of 16 bytes, 1024 bytes that say where to start looking. */
export const PWL_BYTES: usize = 4096;
const SEGMENTS: usize = 64;
const STARTS: usize = SEGMENTS + 128 * 16;
const START_BITS: i32 = 10;

let table: usize = 0;
let first: i32 = 0;
let last: i32 = 0;
let shift: u32 = 0;
let only: i32 = 0;

/**
 * Reads the segments of a layer and builds the table at `at`: each segment's base, slope, offset and shift, and for each
 * of up to 1024 equal parts of the covered range its first segment.
 */
export function pwlPrepare(segments: usize, count: i32, at: usize): void {
  table = at;
  only = count;
  for (let i: i32 = 0; i < count; i++) {
    const base = load<i32>(segments);
    const entry = at + SEGMENTS + (<usize>i << 4);
    store<i32>(entry, base & ~3);
    store<i32>(entry, <i32>load<i16>(segments, 6), 4);
    store<i32>(entry, <i32>load<i16>(segments, 4), 8);
    store<i32>(entry, ((base & 3) + 1) << 3, 12);
    segments += 8;
  }
  first = load<i32>(at + SEGMENTS);
  last = load<i32>(at + SEGMENTS + (<usize>(count - 1) << 4));
  const span = <u32>(last - first);
  shift = 0;
  while (span >> shift >= 1 << START_BITS) shift++;
  const parts = span >> shift;
  let segment: i32 = 0;
  for (let part: u32 = 0; part <= parts; part++) {
    const x = <i64>first + ((<i64>part) << shift);
    while (segment + 1 < count && <i64>load<i32>(at + SEGMENTS + (<usize>(segment + 1) << 4)) <= x) segment++;
    store<u8>(at + STARTS + <usize>part, segment);
  }
}

// @ts-ignore: decorator
@inline
function valueAt(x: i32): i64 {
  const segments = table + SEGMENTS;
  if (x <= first) return <i64>load<i32>(segments, 8);
  let entry: usize;
  if (x >= last) {
    entry = segments + (<usize>(only - 1) << 4);
  } else {
    entry = segments + (<usize>load<u8>(table + STARTS + <usize>(<u32>(x - first) >> shift)) << 4);
    while (load<i32>(entry, 16) <= x) entry += 16;
  }
  const product = (<i64>x - <i64>load<i32>(entry)) * <i64>load<i32>(entry, 4);
  return (product >> <i64>load<i32>(entry, 12)) + <i64>load<i32>(entry, 8);
}

// @ts-ignore: decorator
@inline
function activateTo<T>(src: usize, count: i32, dst: usize, low: i64, high: i64): void {
  const end = src + (<usize>count << 2);
  let clamped = false;
  for (; src < end; src += 4) {
    const y = valueAt(load<i32>(src));
    const z = min(max(y, low), high);
    clamped = clamped || y != z;
    store<T>(dst, <T>z);
    dst += sizeof<T>();
  }
  if (clamped) noteSaturated();
}

/** Activates `count` int32 at `src` with the prepared table, to elements of `bytes`. May work in place. */
export function activate(src: usize, count: i32, dst: usize, bytes: i32): void {
  if (bytes == 1) activateTo<i8>(src, count, dst, -128, 127);
  else if (bytes == 2) activateTo<i16>(src, count, dst, -32768, 32767);
  else activateTo<i32>(src, count, dst, <i64>i32.MIN_VALUE, <i64>i32.MAX_VALUE);
}

/** Activates `count` int32 to elements of `bytes`, kept as int32. In place. */
export function activateWide(at: usize, count: i32, bytes: i32): void {
  const high: i64 = bytes == 1 ? 127 : bytes == 2 ? 32767 : <i64>i32.MAX_VALUE;
  activateTo<i32>(at, count, at, -high - 1, high);
}
