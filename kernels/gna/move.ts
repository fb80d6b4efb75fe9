// Moving elements: copy, transposes, widening to int16, the largest absolute value.
// Not arithmetic of a layer.
import { Move } from './command';

/** Copies rows of `columns` elements; what lies between the output's rows stays. */
export function copyRows(command: usize): i32 {
  const p = changetype<Move>(command);
  const bytes = <usize>(p.columns * p.elementBytes);
  for (let r: i32 = 0; r < p.rows; r++) {
    const from = <usize>p.input + <usize>r * <usize>(p.inputPitch * p.elementBytes);
    const to = <usize>p.output + <usize>r * <usize>(p.outputPitch * p.elementBytes);
    memory.copy(to, from, bytes);
  }
  return 0;
}

// @ts-ignore: decorator
@inline
function transposeOf<T>(p: Move): void {
  const rows = p.rows;
  const columns = p.columns;
  const input = <usize>p.input;
  let to = <usize>p.output;
  const pitch = <usize>columns * sizeof<T>();
  for (let c: i32 = 0; c < columns; c++) {
    let from = input + <usize>c * sizeof<T>();
    for (let r: i32 = 0; r < rows; r++) {
      store<T>(to, load<T>(from));
      from += pitch;
      to += sizeof<T>();
    }
  }
}

/** [rows][columns] to [columns][rows]. */
export function transpose(command: usize): i32 {
  const p = changetype<Move>(command);
  if (p.elementBytes == 1) transposeOf<i8>(p);
  else transposeOf<i16>(p);
  return 0;
}

/** `count` elements to int16. */
export function widen(src: usize, bytes: i32, dst: usize, count: i32): void {
  if (bytes == 2) {
    memory.copy(dst, src, <usize>count << 1);
    return;
  }
  let i: i32 = 0;
  for (; i + 8 <= count; i += 8) v128.store(dst + (<usize>i << 1), v128.load8x8_s(src + <usize>i));
  for (; i < count; i++) store<i16>(dst + (<usize>i << 1), load<i8>(src + <usize>i));
}

/** Column `column` of [count][columns] as int16. */
export function widenColumn(src: usize, bytes: i32, columns: i32, column: i32, dst: usize, count: i32): void {
  const pitch = <usize>(columns * bytes);
  src += <usize>(column * bytes);
  for (let i: i32 = 0; i < count; i++) {
    store<i16>(dst, bytes == 1 ? <i16>load<i8>(src) : load<i16>(src));
    src += pitch;
    dst += 2;
  }
}

/** The largest |x| of `count` int16. */
export function reach16(at: usize, count: i32): i32 {
  let low = i16x8.splat(0);
  let high = i16x8.splat(0);
  const end = at + (<usize>count << 1);
  for (; at + 16 <= end; at += 16) {
    const v = v128.load(at);
    low = i16x8.min_s(low, v);
    high = i16x8.max_s(high, v);
  }
  let least: i32 = 0;
  let most: i32 = 0;
  for (; at < end; at += 2) {
    least = min(least, <i32>load<i16>(at));
    most = max(most, <i32>load<i16>(at));
  }
  low = i16x8.min_s(low, v128.shuffle<i64>(low, low, 1, 1));
  low = i16x8.min_s(low, v128.shuffle<i32>(low, low, 1, 1, 1, 1));
  high = i16x8.max_s(high, v128.shuffle<i64>(high, high, 1, 1));
  high = i16x8.max_s(high, v128.shuffle<i32>(high, high, 1, 1, 1, 1));
  least = min(least, min(i16x8.extract_lane_s(low, 0), i16x8.extract_lane_s(low, 1)));
  most = max(most, max(i16x8.extract_lane_s(high, 0), i16x8.extract_lane_s(high, 1)));
  return max(-least, most);
}
