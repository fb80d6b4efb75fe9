// Filters packed four at a time, and one row of a convolution with them. Exact; saturates to int32 unless asked for int64.
// Not a layer: kernels/gna/conv.ts decides on rows, pooling and activation.
//
// A quad holds four filters: for each two consecutive elements 4 x 2 int16, so that i32x4.dot_i16x8_s with two inputs in
// every lane gives one sum per filter. How many products may be added up in 32 bits is told per quad by its weights: see
// kernels/gna/dot.ts for the ways.
import { Conv } from './command';
import { noteSaturated } from './saturate';

const WRAPPED: i32 = 1;
const SPLIT_1: i32 = 2;
const SPLIT_2: i32 = 3;
const SPLIT_4: i32 = 4;
const PLAIN: i32 = 5;

/** What is kept of each quad: its biases as int32[4], how its products are added up. */
export const QUAD_BYTES: usize = 32;
const MODE: usize = 16;

function biasOf(p: Conv, filter: i32): i32 {
  if (p.biasBytes == 0 || filter >= p.filters) return 0;
  const at = <usize>p.bias + <usize>(filter * p.biasBytes);
  return p.biasBytes == 4 ? load<i32>(at) : p.biasBytes == 2 ? <i32>load<i16>(at) : <i32>load<i8>(at);
}

// @ts-ignore: decorator
@inline
function eight(at: usize, bytes: i32): v128 {
  return bytes == 1 ? v128.load8x8_s(at) : v128.load(at);
}

// @ts-ignore: decorator
@inline
function element(at: usize, bytes: i32): i16 {
  return bytes == 1 ? <i16>load<i8>(at) : load<i16>(at);
}

/**
 * Packs `count` filters (a multiple of 4) from `first` on at `packed`, and tells about each quad at `quads`.
 * @param run elements of a kernel row, padded to a multiple of 8
 * @param reach largest |x| among the inputs
 */
export function packFilters(
  p: Conv,
  first: i32,
  count: i32,
  run: i32,
  reach: i32,
  packed: usize,
  quads: usize,
): void {
  const taps = p.kernelWidth * p.depth;
  const bytes = p.elementBytes;
  const pitch = <usize>p.filterPitch;
  const lineBytes = <usize>(taps * bytes);
  for (let f: i32 = 0; f < count; f += 4) {
    let line = <usize>p.weights + <usize>(first + f) * pitch;
    const quad = packed;
    for (let r: i32 = 0; r < p.kernelHeight; r++) {
      let w = line;
      let k: i32 = 0;
      for (; k + 8 <= taps; k += 8) {
        const a = eight(w, bytes);
        const b = eight(w + pitch, bytes);
        const c = eight(w + 2 * pitch, bytes);
        const d = eight(w + 3 * pitch, bytes);
        const ab0 = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
        const ab1 = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
        const cd0 = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
        const cd1 = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
        v128.store(packed, v128.shuffle<i64>(ab0, cd0, 0, 2));
        v128.store(packed, v128.shuffle<i64>(ab0, cd0, 1, 3), 16);
        v128.store(packed, v128.shuffle<i64>(ab1, cd1, 0, 2), 32);
        v128.store(packed, v128.shuffle<i64>(ab1, cd1, 1, 3), 48);
        packed += 64;
        w += 8 * bytes;
      }
      if (k < run) {
        memory.fill(packed, 0, 64);
        for (let i: i32 = 0; k + i < taps; i++) {
          const to = packed + (<usize>(i >> 1) << 4) + (<usize>(i & 1) << 1);
          const from = w + <usize>(i * bytes);
          store<i16>(to, element(from, bytes));
          store<i16>(to, element(from + pitch, bytes), 4);
          store<i16>(to, element(from + 2 * pitch, bytes), 8);
          store<i16>(to, element(from + 3 * pitch, bytes), 12);
        }
        packed += 64;
      }
      line += lineBytes;
    }
    for (let i: i32 = 0; i < 4; i++) store<i32>(quads + (<usize>i << 2), biasOf(p, first + f + i));
    store<i32>(quads, modeOf(quad, packed, quads, reach), MODE);
    quads += QUAD_BYTES;
  }
}

/** The fastest way to add up a quad's products that is exact. */
function modeOf(quad: usize, end: usize, quads: usize, reach: i32): i32 {
  let most = i16x8.splat(0);
  let low = i64x2.splat(0);
  let high = i64x2.splat(0);
  for (; quad < end; quad += 16) {
    // |-32768| is 32768 as an unsigned value.
    const a = i16x8.abs(v128.load(quad));
    most = i16x8.max_u(most, a);
    const sums = i32x4.extadd_pairwise_i16x8_u(a);
    low = i64x2.add(low, i64x2.extend_low_i32x4_u(sums));
    high = i64x2.add(high, i64x2.extend_high_i32x4_u(sums));
  }
  let fits = true;
  const limit = <i64>i32.MAX_VALUE;
  for (let i: i32 = 0; i < 4; i++) {
    const bias = <i64>load<i32>(quads + (<usize>i << 2));
    const sum =
      i == 0
        ? i64x2.extract_lane(low, 0)
        : i == 1
          ? i64x2.extract_lane(low, 1)
          : i == 2
            ? i64x2.extract_lane(high, 0)
            : i64x2.extract_lane(high, 1);
    fits = fits && sum * <i64>reach + (bias < 0 ? -bias : bias) <= limit;
  }
  if (fits) return PLAIN;
  most = i16x8.max_u(most, v128.shuffle<i64>(most, most, 1, 1));
  most = i16x8.max_u(most, v128.shuffle<i32>(most, most, 1, 1, 1, 1));
  const largest = max(<i32>i16x8.extract_lane_u(most, 0), <i32>i16x8.extract_lane_u(most, 1));
  const pair = 2 * <i64>largest * <i64>reach;
  return pair > limit ? WRAPPED : 2 * pair > limit ? SPLIT_1 : 4 * pair > limit ? SPLIT_2 : SPLIT_4;
}

/** Stores four sums that fit 32 bits, as int64 when `wide`. */
// @ts-ignore: decorator
@inline
function put(to: usize, sums: v128, wide: bool): void {
  if (wide) {
    v128.store(to, i64x2.extend_low_i32x4_s(sums));
    v128.store(to, i64x2.extend_high_i32x4_s(sums), 16);
  } else {
    v128.store(to, sums);
  }
}

/** A row with `Q` quads (a constant: 1, 2 or 4) in plain mode, two positions at a time. */
// @ts-ignore: decorator
@inline
function plainRow(
  Q: i32,
  w: usize,
  quadBytes: usize,
  quads: usize,
  table: usize,
  rows: i32,
  run: i32,
  step: usize,
  count: i32,
  to: usize,
  toStep: usize,
  wide: bool,
): void {
  const runBytes = <usize>run << 1;
  const next: usize = wide ? 32 : 16;
  const bias0 = v128.load(quads);
  const bias1 = Q > 1 ? v128.load(quads, QUAD_BYTES) : bias0;
  const bias2 = Q > 2 ? v128.load(quads, 2 * QUAD_BYTES) : bias0;
  const bias3 = Q > 2 ? v128.load(quads, 3 * QUAD_BYTES) : bias0;
  let offset: usize = 0;
  for (let n: i32 = 0; n < count; n += 2) {
    const single = n + 1 == count;
    // The last position of an odd count is computed twice.
    const other: usize = single ? 0 : step;
    let a0 = bias0;
    let a1 = bias1;
    let a2 = bias2;
    let a3 = bias3;
    let b0 = bias0;
    let b1 = bias1;
    let b2 = bias2;
    let b3 = bias3;
    let w0 = w;
    for (let r: i32 = 0; r < rows; r++) {
      let x = <usize>load<u32>(table + (<usize>r << 2)) + offset;
      const end = x + runBytes;
      for (; x < end; x += 4) {
        const u = v128.load32_splat(x);
        const v = v128.load32_splat(x + other);
        let k = v128.load(w0);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(k, u));
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(k, v));
        if (Q > 1) {
          k = v128.load(w0 + quadBytes);
          a1 = i32x4.add(a1, i32x4.dot_i16x8_s(k, u));
          b1 = i32x4.add(b1, i32x4.dot_i16x8_s(k, v));
        }
        if (Q > 2) {
          k = v128.load(w0 + 2 * quadBytes);
          a2 = i32x4.add(a2, i32x4.dot_i16x8_s(k, u));
          b2 = i32x4.add(b2, i32x4.dot_i16x8_s(k, v));
          k = v128.load(w0 + 3 * quadBytes);
          a3 = i32x4.add(a3, i32x4.dot_i16x8_s(k, u));
          b3 = i32x4.add(b3, i32x4.dot_i16x8_s(k, v));
        }
        w0 += 16;
      }
    }
    put(to, a0, wide);
    if (Q > 1) put(to + next, a1, wide);
    if (Q > 2) put(to + 2 * next, a2, wide);
    if (Q > 2) put(to + 3 * next, a3, wide);
    if (!single) {
      to += toStep;
      put(to, b0, wide);
      if (Q > 1) put(to + next, b1, wide);
      if (Q > 2) put(to + 2 * next, b2, wide);
      if (Q > 2) put(to + 3 * next, b3, wide);
    }
    to += toStep;
    offset += 2 * step;
  }
}

function plainRow4(
  w: usize, quadBytes: usize, quads: usize, table: usize, rows: i32, run: i32, step: usize, count: i32,
  to: usize, toStep: usize, wide: bool,
): void {
  plainRow(4, w, quadBytes, quads, table, rows, run, step, count, to, toStep, wide);
}

function plainRow2(
  w: usize, quadBytes: usize, quads: usize, table: usize, rows: i32, run: i32, step: usize, count: i32,
  to: usize, toStep: usize, wide: bool,
): void {
  plainRow(2, w, quadBytes, quads, table, rows, run, step, count, to, toStep, wide);
}

function plainRow1(
  w: usize, quadBytes: usize, quads: usize, table: usize, rows: i32, run: i32, step: usize, count: i32,
  to: usize, toStep: usize, wide: bool,
): void {
  plainRow(1, w, quadBytes, quads, table, rows, run, step, count, to, toStep, wide);
}

/** Lanes that some clamp changed. */
let clamped: v128 = i32x4.splat(0);

/** Stores four sums given by their low and high accumulators. */
// @ts-ignore: decorator
@inline
function putSplit(to: usize, a: v128, h: v128, quad: usize, extra: i64, wide: bool): void {
  const low = i32x4.sub(a, i32x4.shl(h, 16));
  const bias = v128.load(quad);
  const e = i64x2.splat(extra);
  const s01 = i64x2.add(
    i64x2.add(i64x2.shl(i64x2.extend_low_i32x4_s(h), 16), i64x2.extend_low_i32x4_u(low)),
    i64x2.add(i64x2.extend_low_i32x4_s(bias), e),
  );
  const s23 = i64x2.add(
    i64x2.add(i64x2.shl(i64x2.extend_high_i32x4_s(h), 16), i64x2.extend_high_i32x4_u(low)),
    i64x2.add(i64x2.extend_high_i32x4_s(bias), e),
  );
  if (wide) {
    v128.store(to, s01);
    v128.store(to, s23, 16);
    return;
  }
  const bottom = v128.shuffle<i32>(s01, s23, 0, 2, 4, 6);
  const top = v128.shuffle<i32>(s01, s23, 1, 3, 5, 7);
  const over = i32x4.ne(top, i32x4.shr_s(bottom, 31));
  const limit = v128.xor(i32x4.shr_s(top, 31), i32x4.splat(i32.MAX_VALUE));
  v128.store(to, v128.bitselect(limit, bottom, over));
  if (v128.any_true(over)) clamped = over;
}

/** A row with one or two quads in a split mode (a constant), two positions at a time. With one, it is taken twice. */
// @ts-ignore: decorator
@inline
function splitRow(
  mode: i32,
  two: bool,
  w: usize,
  quadBytes: usize,
  quads: usize,
  table: usize,
  rows: i32,
  run: i32,
  step: usize,
  count: i32,
  to: usize,
  toStep: usize,
  wide: bool,
): void {
  const runBytes = <usize>run << 1;
  const next: usize = wide ? 32 : 16;
  const second = two ? quadBytes : 0;
  // Each of the pairs was lessened by 1.
  const extra: i64 = mode == WRAPPED ? <i64>(rows * (run >> 1)) : 0;
  const one = i32x4.splat(1);
  let offset: usize = 0;
  for (let n: i32 = 0; n < count; n += 2) {
    const single = n + 1 == count;
    const other: usize = single ? 0 : step;
    let a0 = i32x4.splat(0);
    let a1 = a0;
    let b0 = a0;
    let b1 = a0;
    let ha0 = a0;
    let ha1 = a0;
    let hb0 = a0;
    let hb1 = a0;
    let w0 = w;
    for (let r: i32 = 0; r < rows; r++) {
      let x = <usize>load<u32>(table + (<usize>r << 2)) + offset;
      const end = x + runBytes;
      while (x < end) {
        let u = v128.load32_splat(x);
        let v = v128.load32_splat(x + other);
        let k = v128.load(w0);
        let l = v128.load(w0 + second);
        let d0 = i32x4.dot_i16x8_s(k, u);
        let e0 = i32x4.dot_i16x8_s(k, v);
        let d1 = i32x4.dot_i16x8_s(l, u);
        let e1 = i32x4.dot_i16x8_s(l, v);
        x += 4;
        w0 += 16;
        if (mode >= SPLIT_2) {
          u = v128.load32_splat(x);
          v = v128.load32_splat(x + other);
          k = v128.load(w0);
          l = v128.load(w0 + second);
          d0 = i32x4.add(d0, i32x4.dot_i16x8_s(k, u));
          e0 = i32x4.add(e0, i32x4.dot_i16x8_s(k, v));
          d1 = i32x4.add(d1, i32x4.dot_i16x8_s(l, u));
          e1 = i32x4.add(e1, i32x4.dot_i16x8_s(l, v));
          x += 4;
          w0 += 16;
        }
        if (mode == SPLIT_4) {
          u = v128.load32_splat(x);
          v = v128.load32_splat(x + other);
          k = v128.load(w0);
          l = v128.load(w0 + second);
          d0 = i32x4.add(d0, i32x4.dot_i16x8_s(k, u));
          e0 = i32x4.add(e0, i32x4.dot_i16x8_s(k, v));
          d1 = i32x4.add(d1, i32x4.dot_i16x8_s(l, u));
          e1 = i32x4.add(e1, i32x4.dot_i16x8_s(l, v));
          u = v128.load32_splat(x, 4);
          v = v128.load32_splat(x + other, 4);
          k = v128.load(w0, 16);
          l = v128.load(w0 + second, 16);
          d0 = i32x4.add(d0, i32x4.dot_i16x8_s(k, u));
          e0 = i32x4.add(e0, i32x4.dot_i16x8_s(k, v));
          d1 = i32x4.add(d1, i32x4.dot_i16x8_s(l, u));
          e1 = i32x4.add(e1, i32x4.dot_i16x8_s(l, v));
          x += 8;
          w0 += 32;
        }
        if (mode == WRAPPED) {
          d0 = i32x4.sub(d0, one);
          e0 = i32x4.sub(e0, one);
          d1 = i32x4.sub(d1, one);
          e1 = i32x4.sub(e1, one);
        }
        a0 = i32x4.add(a0, d0);
        b0 = i32x4.add(b0, e0);
        a1 = i32x4.add(a1, d1);
        b1 = i32x4.add(b1, e1);
        ha0 = i32x4.add(ha0, i32x4.shr_s(d0, 16));
        hb0 = i32x4.add(hb0, i32x4.shr_s(e0, 16));
        ha1 = i32x4.add(ha1, i32x4.shr_s(d1, 16));
        hb1 = i32x4.add(hb1, i32x4.shr_s(e1, 16));
      }
    }
    putSplit(to, a0, ha0, quads, extra, wide);
    if (two) putSplit(to + next, a1, ha1, quads + QUAD_BYTES, extra, wide);
    if (!single) {
      to += toStep;
      putSplit(to, b0, hb0, quads, extra, wide);
      if (two) putSplit(to + next, b1, hb1, quads + QUAD_BYTES, extra, wide);
    }
    to += toStep;
    offset += 2 * step;
  }
}

function splitRowOf(
  mode: i32, two: bool, w: usize, quadBytes: usize, quads: usize, table: usize, rows: i32, run: i32, step: usize,
  count: i32, to: usize, toStep: usize, wide: bool,
): void {
  if (mode == WRAPPED) {
    splitRow(WRAPPED, two, w, quadBytes, quads, table, rows, run, step, count, to, toStep, wide);
  } else if (mode == SPLIT_1) {
    splitRow(SPLIT_1, two, w, quadBytes, quads, table, rows, run, step, count, to, toStep, wide);
  } else if (mode == SPLIT_2) {
    splitRow(SPLIT_2, two, w, quadBytes, quads, table, rows, run, step, count, to, toStep, wide);
  } else {
    splitRow(SPLIT_4, two, w, quadBytes, quads, table, rows, run, step, count, to, toStep, wide);
  }
}

/**
 * One row of `count` positions for `filters` packed filters (a multiple of 4): [count][filters] int32, or int64 when `wide`.
 * @param table u32 addresses of the input rows, one per kernel row
 * @param step bytes from one position's inputs to the next one's
 */
export function filterRow(
  packed: usize,
  quads: usize,
  filters: i32,
  table: usize,
  rows: i32,
  run: i32,
  step: usize,
  count: i32,
  to: usize,
  wide: bool,
): void {
  const quadBytes = <usize>(rows * run) << 3;
  const size: usize = wide ? 8 : 4;
  const toStep = <usize>filters * size;
  clamped = i32x4.splat(0);
  const total = filters >> 2;
  for (let q: i32 = 0; q < total;) {
    const info = quads + <usize>q * QUAD_BYTES;
    const w = packed + <usize>q * quadBytes;
    const at = to + <usize>(q << 2) * size;
    const mode = load<i32>(info, MODE);
    let alike: i32 = 1;
    if (mode == PLAIN) {
      while (alike < 4 && q + alike < total && load<i32>(info + <usize>alike * QUAD_BYTES, MODE) == PLAIN) alike++;
      if (alike == 4) {
        plainRow4(w, quadBytes, info, table, rows, run, step, count, at, toStep, wide);
      } else if (alike >= 2) {
        alike = 2;
        plainRow2(w, quadBytes, info, table, rows, run, step, count, at, toStep, wide);
      } else {
        plainRow1(w, quadBytes, info, table, rows, run, step, count, at, toStep, wide);
      }
    } else {
      const other = q + 1 < total ? load<i32>(info + QUAD_BYTES, MODE) : PLAIN;
      const two = other != PLAIN;
      splitRowOf(min(mode, other), two, w, quadBytes, info, table, rows, run, step, count, at, toStep, wide);
      if (two) alike = 2;
    }
    q += alike;
  }
  if (v128.any_true(clamped)) noteSaturated();
}
