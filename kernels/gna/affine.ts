// Affine, active list, multibias, diagonal and recurrent layers. Fact sheet sections 5.1 to 5.5.
// Not descriptors: everything here is counts and DRAM addresses.
import { Affine, Recurrent } from './command';
import { isPlain, rows4, rows4x2 } from './dot';
import { reach16, widen, widenColumns } from './move';
import { activate, PWL_BYTES, pwlPrepare } from './pwl';
import { clearSaturated, noteSaturated, sat32, saturated } from './saturate';

// Scratch: activation table, sums of the four rows in work, int32 sums that wait for activation, inputs as int16.
const DOTS: usize = PWL_BYTES;
const TILE: usize = DOTS + 256;
/** int32 sums in a tile: at least four rows of 8. */
const TILE_SUMS: i32 = 4096;
const VECTORS: usize = TILE + (<usize>TILE_SUMS << 2) + 64;

// @ts-ignore: decorator
@inline
function biasAt(bias: usize, stride: i32, bytes: i32, row: i32): i32 {
  const at = bias + <usize>row * <usize>stride;
  return bytes == 4 ? load<i32>(at) : bytes == 2 ? <i32>load<i16>(at) : bytes == 1 ? <i32>load<i8>(at) : 0;
}

// @ts-ignore: decorator
@inline
function multiplierAt(scale: usize, row: i32): i64 {
  return scale == 0 ? 1 : <i64>load<u8>(scale + (<usize>row << 3));
}

/**
 * One row block: sums of four rows with `groups` vectors, to int32 [4][groups] at `sums`. Saturates after each chunk.
 * @param x the vectors as int16, `inputs` apart
 */
// @ts-ignore: decorator
@inline
function block<W>(
  w0: usize,
  w1: usize,
  w2: usize,
  w3: usize,
  m0: i64,
  m1: i64,
  m2: i64,
  m3: i64,
  x: usize,
  inputs: i32,
  groups: i32,
  chunk: i32,
  reach: i32,
  dots: usize,
  sums: usize,
): void {
  const row = <usize>groups << 2;
  for (let k: i32 = 0; k < inputs; k += chunk) {
    const count = min(chunk, inputs - k);
    const skip = <usize>k * sizeof<W>();
    const pairs = groups > 1 && isPlain<W>(count, reach);
    for (let n: i32 = 0; n < groups;) {
      for (let at: usize = 0; at < 64; at += 16) v128.store(dots + at, i64x2.splat(0));
      const from = x + (<usize>(n * inputs + k) << 1);
      const two = pairs && n + 1 < groups;
      if (two) {
        const step = <usize>inputs << 1;
        rows4x2<W>(w0 + skip, w1 + skip, w2 + skip, w3 + skip, from, step, count, reach, dots);
      } else {
        rows4<W>(w0 + skip, w1 + skip, w2 + skip, w3 + skip, from, count, reach, dots);
      }
      let products = dots;
      for (let done: i32 = two ? 2 : 1; done > 0; done--) {
        const at = sums + (<usize>n << 2);
        store<i32>(at, sat32(<i64>load<i32>(at) + m0 * load<i64>(products)));
        store<i32>(at + row, sat32(<i64>load<i32>(at + row) + m1 * load<i64>(products, 8)));
        store<i32>(at + 2 * row, sat32(<i64>load<i32>(at + 2 * row) + m2 * load<i64>(products, 16)));
        store<i32>(at + 3 * row, sat32(<i64>load<i32>(at + 3 * row) + m3 * load<i64>(products, 24)));
        products += 32;
        n++;
      }
    }
  }
}

/** All rows of a product with `groups` vectors at `x`; results row by row at `output`. */
// @ts-ignore: decorator
@inline
function product<W>(
  weights: usize,
  inputs: i32,
  outputs: i32,
  groups: i32,
  chunk: i32,
  list: usize,
  bias: usize,
  biasBytes: i32,
  biasStride: i32,
  scale: usize,
  x: usize,
  output: usize,
  outputBytes: i32,
  scratch: usize,
): void {
  const reach = reach16(x, inputs * groups);
  const pitch = <usize>inputs * sizeof<W>();
  const dots = scratch + DOTS;
  const tile = scratch + TILE;
  const bytes = outputBytes == 0 ? 4 : outputBytes;
  let filled: i32 = 0;
  let done: i32 = 0;
  for (let r: i32 = 0; r < outputs; r += 4) {
    const rest = outputs - r;
    // Rows past the last repeat it: the block computes four.
    let i0 = r;
    let i1 = rest > 1 ? r + 1 : r;
    let i2 = rest > 2 ? r + 2 : r;
    let i3 = rest > 3 ? r + 3 : r;
    if (list != 0) {
      i0 = load<i32>(list + (<usize>i0 << 2));
      i1 = load<i32>(list + (<usize>i1 << 2));
      i2 = load<i32>(list + (<usize>i2 << 2));
      i3 = load<i32>(list + (<usize>i3 << 2));
    }
    const sums = tile + (<usize>filled << 2);
    for (let n: i32 = 0; n < groups; n++) {
      const at = sums + (<usize>n << 2);
      const row = <usize>groups << 2;
      store<i32>(at, biasAt(bias, biasStride, biasBytes, i0));
      store<i32>(at + row, biasAt(bias, biasStride, biasBytes, i1));
      store<i32>(at + 2 * row, biasAt(bias, biasStride, biasBytes, i2));
      store<i32>(at + 3 * row, biasAt(bias, biasStride, biasBytes, i3));
    }
    block<W>(
      weights + <usize>i0 * pitch,
      weights + <usize>i1 * pitch,
      weights + <usize>i2 * pitch,
      weights + <usize>i3 * pitch,
      multiplierAt(scale, i0),
      multiplierAt(scale, i1),
      multiplierAt(scale, i2),
      multiplierAt(scale, i3),
      x,
      inputs,
      groups,
      chunk,
      reach,
      dots,
      sums,
    );
    filled += min(rest, 4) * groups;
    if (filled + 4 * groups > TILE_SUMS || rest <= 4) {
      const to = output + <usize>done * <usize>bytes;
      if (outputBytes == 0) memory.copy(to, tile, <usize>filled << 2);
      else activate(tile, filled, to, outputBytes);
      done += filled;
      filled = 0;
    }
  }
}

/** Returns 1 when something saturated. */
export function affine(command: usize, scratch: usize): i32 {
  const p = changetype<Affine>(command);
  clearSaturated();
  let x = scratch + VECTORS;
  if (p.groups > 1) {
    widenColumns(p.input, p.inputBytes, p.groups, x, p.inputs);
  } else if (p.inputBytes == 1) {
    widen(p.input, 1, x, p.inputs);
  } else {
    x = p.input;
  }
  if (p.outputBytes != 0) pwlPrepare(p.segments, p.segmentCount, scratch, p.outputs * p.groups);
  if (p.weightBytes == 1) {
    product<i8>(
      p.weights, p.inputs, p.outputs, p.groups, p.chunk, p.list,
      p.bias, p.biasBytes, p.biasStride, p.scale, x, p.output, p.outputBytes, scratch,
    );
  } else {
    product<i16>(
      p.weights, p.inputs, p.outputs, p.groups, p.chunk, p.list,
      p.bias, p.biasBytes, p.biasStride, p.scale, x, p.output, p.outputBytes, scratch,
    );
  }
  return saturated();
}

/** Lanes of p + b, each clamped to int32; which were is kept in `clampedLanes`, but for lanes that are 0 in `counted`. */
let clampedLanes: v128 = i32x4.splat(0);

// @ts-ignore: decorator
@inline
function clampedSum(p: v128, b: v128, counted: v128): v128 {
  const sum = i32x4.add(p, b);
  const over = i32x4.shr_s(v128.and(v128.xor(p, sum), v128.xor(b, sum)), 31);
  const limit = v128.xor(i32x4.shr_s(p, 31), i32x4.splat(i32.MAX_VALUE));
  clampedLanes = v128.or(clampedLanes, v128.and(over, counted));
  return v128.bitselect(limit, sum, over);
}

// @ts-ignore: decorator
@inline
function laneMask(lanes: i32): v128 {
  return i32x4.gt_s(i32x4.splat(lanes), i32x4(0, 1, 2, 3));
}

// @ts-ignore: decorator
@inline
function eight<T>(at: usize): v128 {
  return sizeof<T>() == 1 ? v128.load8x8_s(at) : v128.load(at);
}

/** A row's weight times its multiplier: within int16, as is |w| up to 128 times 255. */
// @ts-ignore: decorator
@inline
function factorAt(p: Affine, row: i32): i32 {
  const w = p.weightBytes == 1
    ? <i32>load<i8>(<usize>p.weights + <usize>row)
    : <i32>load<i16>(<usize>p.weights + (<usize>row << 1));
  return p.scale == 0 ? w : w * <i32>load<u8>(<usize>p.scale + (<usize>row << 3));
}

/** A bias that no product of 16-bit factors takes out of int32. */
// @ts-ignore: decorator
@inline
function isSmall(bias: i32): bool {
  return <u32>bias + (1 << 30) - 1 < 0x7fffffff;
}

/** Rows `from` to `end` of a batch to int32 at `to`. Reads and writes eight elements a row, whatever the batch. */
// @ts-ignore: decorator
@inline
function diagonalRows<I>(p: Affine, from: i32, end: i32, to: usize): void {
  const groups = p.groups;
  const pitch = <usize>groups * sizeof<I>();
  const lowLanes = laneMask(groups);
  const highLanes = laneMask(groups - 4);
  let x = <usize>p.input + <usize>from * pitch;
  for (let m = from; m < end; m++) {
    const f = i16x8.splat(<i16>factorAt(p, m));
    const bias = biasAt(p.bias, p.biasStride, p.biasBytes, m);
    const b = i32x4.splat(bias);
    const v = eight<I>(x);
    const low = i32x4.extmul_low_i16x8_s(v, f);
    const high = i32x4.extmul_high_i16x8_s(v, f);
    if (isSmall(bias)) {
      v128.store(to, i32x4.add(low, b));
      v128.store(to, i32x4.add(high, b), 16);
    } else {
      // Lanes past the row's last hold the next row's inputs: they neither count nor stay.
      v128.store(to, clampedSum(low, b, lowLanes));
      v128.store(to, clampedSum(high, b, highLanes), 16);
    }
    x += pitch;
    to += <usize>groups << 2;
  }
}

/** Rows `from` to `end`, a multiple of eight, of a single vector to int32 at `to`. */
// @ts-ignore: decorator
@inline
function diagonalVector<I, W>(p: Affine, from: i32, end: i32, to: usize): void {
  const plain = p.biasBytes == 4 && p.biasStride == 4;
  const all = i32x4.splat(-1);
  for (let m = from; m < end; m += 8) {
    let f = eight<W>(<usize>p.weights + <usize>m * sizeof<W>());
    if (p.scale != 0) {
      const s = <usize>p.scale + (<usize>m << 3);
      f = i16x8.mul(
        f,
        i16x8(
          load<u8>(s), load<u8>(s, 8), load<u8>(s, 16), load<u8>(s, 24),
          load<u8>(s, 32), load<u8>(s, 40), load<u8>(s, 48), load<u8>(s, 56),
        ),
      );
    }
    const v = eight<I>(<usize>p.input + <usize>m * sizeof<I>());
    v128.store(to, clampedSum(i32x4.extmul_low_i16x8_s(v, f), fourBiases(p, m, plain), all));
    v128.store(to, clampedSum(i32x4.extmul_high_i16x8_s(v, f), fourBiases(p, m + 4, plain), all), 16);
    to += 32;
  }
}

// @ts-ignore: decorator
@inline
function fourBiases(p: Affine, row: i32, plain: bool): v128 {
  if (plain) return v128.load(<usize>p.bias + (<usize>row << 2));
  return i32x4(
    biasAt(p.bias, p.biasStride, p.biasBytes, row),
    biasAt(p.bias, p.biasStride, p.biasBytes, row + 1),
    biasAt(p.bias, p.biasStride, p.biasBytes, row + 2),
    biasAt(p.bias, p.biasStride, p.biasBytes, row + 3),
  );
}

/** out[m][n] = bias[m] + w[m] * in[m][n]. Returns 1 when something saturated. */
export function diagonal(command: usize, scratch: usize): i32 {
  const p = changetype<Affine>(command);
  clearSaturated();
  clampedLanes = i32x4.splat(0);
  if (p.outputBytes != 0) pwlPrepare(p.segments, p.segmentCount, scratch, p.outputs * p.groups);
  const tile = scratch + TILE;
  const bytes = p.outputBytes == 0 ? 4 : p.outputBytes;
  const groups = p.groups;
  const inputBytes = p.inputBytes;
  // Seven sums may be written past the tile's last.
  const tileRows = ((TILE_SUMS - 8) / groups) & ~7;
  let to = <usize>p.output;
  for (let first: i32 = 0; first < p.outputs; first += tileRows) {
    const end = min(first + tileRows, p.outputs);
    let m: i32;
    if (groups == 1) {
      m = first + ((end - first) & ~7);
      if (p.weightBytes == 1) {
        if (inputBytes == 1) diagonalVector<i8, i8>(p, first, m, tile);
        else diagonalVector<i16, i8>(p, first, m, tile);
      } else if (inputBytes == 1) {
        diagonalVector<i8, i16>(p, first, m, tile);
      } else {
        diagonalVector<i16, i16>(p, first, m, tile);
      }
    } else {
      // The last rows come one element at a time: eight would go past the end of the input.
      m = max(min(end, p.outputs - 8), first);
      if (inputBytes == 1) diagonalRows<i8>(p, first, m, tile);
      else diagonalRows<i16>(p, first, m, tile);
    }
    for (; m < end; m++) {
      const factor = factorAt(p, m);
      const bias = <i64>biasAt(p.bias, p.biasStride, p.biasBytes, m);
      const x = <usize>p.input + <usize>(m * groups * inputBytes);
      const at = tile + (<usize>((m - first) * groups) << 2);
      for (let n: i32 = 0; n < groups; n++) {
        const v = inputBytes == 1 ? <i32>load<i8>(x + <usize>n) : <i32>load<i16>(x + (<usize>n << 1));
        store<i32>(at + (<usize>n << 2), sat32(bias + <i64>(factor * v)));
      }
    }
    const count = (end - first) * groups;
    if (p.outputBytes == 0) memory.copy(to, tile, <usize>count << 2);
    else activate(tile, count, to, p.outputBytes);
    to += <usize>(count * bytes);
  }
  if (v128.any_true(clampedLanes)) noteSaturated();
  return saturated();
}

/** Step by step: inputs, then what the feedback holds by then, as one vector. Returns 1 when something saturated. */
export function recurrent(command: usize, scratch: usize): i32 {
  const p = changetype<Recurrent>(command);
  clearSaturated();
  pwlPrepare(p.segments, p.segmentCount, scratch, p.outputs * p.vectors);
  const x = scratch + VECTORS;
  const all = p.inputs + p.outputs;
  for (let t: i32 = 0; t < p.vectors; t++) {
    widen(<usize>p.input + <usize>(t * p.inputs * p.inputBytes), p.inputBytes, x, p.inputs);
    const back = <usize>p.feedback + <usize>(t * p.outputs * p.outputBytes);
    widen(back, p.outputBytes, x + (<usize>p.inputs << 1), p.outputs);
    const to = <usize>p.output + <usize>(t * p.outputs * p.outputBytes);
    if (p.weightBytes == 1) {
      product<i8>(
        p.weights, all, p.outputs, 1, p.chunk, 0,
        p.bias, p.biasBytes, p.biasStride, p.scale, x, to, p.outputBytes, scratch,
      );
    } else {
      product<i16>(
        p.weights, all, p.outputs, 1, p.chunk, 0,
        p.bias, p.biasBytes, p.biasStride, p.scale, x, to, p.outputBytes, scratch,
      );
    }
  }
  return saturated();
}
