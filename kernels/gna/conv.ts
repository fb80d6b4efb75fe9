// Convolutions, 1D and 2D, with activation and pooling in either order. Fact sheet sections 5.6 and 5.7.
// Not descriptors: everything here is counts and DRAM addresses.
import { Conv } from './command';
import { filters4, lanes4 } from './dot';
import { reach16, widen } from './move';
import { poolRow, poolWideSums } from './pool';
import { activate, activateWide, PWL_BYTES, pwlPrepare } from './pwl';
import { clearSaturated, sat32, saturated } from './saturate';

// Scratch, in this order. The plan bounds what is put into each.
const ROW_TABLE: usize = PWL_BYTES;
const DOTS: usize = ROW_TABLE + 1024;
/** Padded input rows as int16, and one of zeros. */
const ROWS: usize = DOTS + 64;
const ROWS_BYTES: usize = 4 << 20;
/** Filters of a block as int16, runs padded to 8 elements. */
const FILTERS: usize = ROWS + ROWS_BYTES;
const FILTERS_BYTES: usize = 2 << 20;
/** Results of convolution rows that wait for pooling or activation. */
const SUMS: usize = FILTERS + FILTERS_BYTES;
const SUMS_BYTES: usize = 4 << 20;
/** Filters of a block should take no more than a second-level cache. */
const FILTERS_AIM: usize = 256 << 10;

/** Packs filters [first, first + count) and zeros up to a multiple of four. */
function packFilters(p: Conv, first: i32, count: i32, at: usize): void {
  const run = p.kernelWidth * p.depth;
  const padded = (run + 7) & ~7;
  const runBytes = <usize>padded << 1;
  const rounded = (count + 3) & ~3;
  memory.fill(at, 0, <usize>(rounded * p.kernelHeight) * runBytes);
  for (let f: i32 = 0; f < count; f++) {
    let from = <usize>p.weights + <usize>(first + f) * <usize>p.filterPitch;
    for (let r: i32 = 0; r < p.kernelHeight; r++) {
      widen(from, p.elementBytes, at, run);
      from += <usize>(run * p.elementBytes);
      at += runBytes;
    }
  }
}

function biasOf(p: Conv, filter: i32): i32 {
  if (p.biasBytes == 0 || filter >= p.filters) return 0;
  const at = <usize>p.bias + <usize>(filter * p.biasBytes);
  return p.biasBytes == 4 ? load<i32>(at) : p.biasBytes == 2 ? <i32>load<i16>(at) : <i32>load<i8>(at);
}

/** Whether no partial sum of four packed filters can leave 32 bits. */
function fits32(w: usize, elements: i32, reach: i32, p: Conv, filter: i32): bool {
  for (let f: i32 = 0; f < 4; f++) {
    let sum: i64 = 0;
    for (let k: i32 = 0; k < elements; k += 8) {
      // |-32768| is 32768 as an unsigned value.
      const a = i16x8.abs(v128.load(w));
      const s = i32x4.extadd_pairwise_i16x8_u(a);
      sum +=
        <i64>i32x4.extract_lane(s, 0) +
        <i64>i32x4.extract_lane(s, 1) +
        <i64>i32x4.extract_lane(s, 2) +
        <i64>i32x4.extract_lane(s, 3);
      w += 16;
    }
    const bias = <i64>biasOf(p, filter + f);
    if (sum * <i64>reach + (bias < 0 ? -bias : bias) > <i64>i32.MAX_VALUE) return false;
  }
  return true;
}

/** One row of four filters whose sums fit 32 bits, two positions at a time. */
function rowPlain(
  w: usize,
  filterBytes: usize,
  table: usize,
  kernelHeight: i32,
  run: i32,
  step: usize,
  count: i32,
  bias: v128,
  to: usize,
  toStep: usize,
): void {
  const runBytes = <usize>run << 1;
  let offset: usize = 0;
  let n: i32 = 0;
  for (; n + 2 <= count; n += 2) {
    let a0 = i32x4.splat(0);
    let a1 = a0;
    let a2 = a0;
    let a3 = a0;
    let b0 = a0;
    let b1 = a0;
    let b2 = a0;
    let b3 = a0;
    let w0 = w;
    for (let r: i32 = 0; r < kernelHeight; r++) {
      let x = <usize>load<u32>(table + (<usize>r << 2)) + offset;
      const end = x + runBytes;
      for (; x < end; x += 16) {
        const u = v128.load(x);
        const v = v128.load(x + step);
        let k = v128.load(w0);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(k, u));
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(k, v));
        k = v128.load(w0 + filterBytes);
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(k, u));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(k, v));
        k = v128.load(w0 + 2 * filterBytes);
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(k, u));
        b2 = i32x4.add(b2, i32x4.dot_i16x8_s(k, v));
        k = v128.load(w0 + 3 * filterBytes);
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(k, u));
        b3 = i32x4.add(b3, i32x4.dot_i16x8_s(k, v));
        w0 += 16;
      }
    }
    v128.store(to, i32x4.add(lanes4(a0, a1, a2, a3), bias));
    v128.store(to + toStep, i32x4.add(lanes4(b0, b1, b2, b3), bias));
    to += 2 * toStep;
    offset += 2 * step;
  }
  if (n < count) {
    let a0 = i32x4.splat(0);
    let a1 = a0;
    let a2 = a0;
    let a3 = a0;
    let w0 = w;
    for (let r: i32 = 0; r < kernelHeight; r++) {
      let x = <usize>load<u32>(table + (<usize>r << 2)) + offset;
      const end = x + runBytes;
      for (; x < end; x += 16) {
        const u = v128.load(x);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(v128.load(w0), u));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(v128.load(w0 + filterBytes), u));
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(v128.load(w0 + 2 * filterBytes), u));
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(v128.load(w0 + 3 * filterBytes), u));
        w0 += 16;
      }
    }
    v128.store(to, i32x4.add(lanes4(a0, a1, a2, a3), bias));
  }
}

/** One row of four filters, exact; int32 saturated, or int64 when `wide`. */
function rowExact(
  w: usize,
  filterBytes: usize,
  table: usize,
  kernelHeight: i32,
  run: i32,
  step: usize,
  count: i32,
  bias: v128,
  to: usize,
  toStep: usize,
  reach: i32,
  wide: bool,
  dots: usize,
): void {
  const bias01 = i64x2.extend_low_i32x4_s(bias);
  const bias23 = i64x2.extend_high_i32x4_s(bias);
  let offset: usize = 0;
  for (let n: i32 = 0; n < count; n++) {
    const out = wide ? to : dots;
    v128.store(out, bias01);
    v128.store(out, bias23, 16);
    filters4(w, filterBytes, offset, table, kernelHeight, run, reach, out);
    if (!wide) {
      store<i32>(to, sat32(load<i64>(dots)));
      store<i32>(to, sat32(load<i64>(dots, 8)), 4);
      store<i32>(to, sat32(load<i64>(dots, 16)), 8);
      store<i32>(to, sat32(load<i64>(dots, 24)), 12);
    }
    to += toStep;
    offset += step;
  }
}

/** Stores a row of `positions` x `count` int32 (`pitch` filters apart) as outputs of filters from `first` on. */
function storeRow(p: Conv, from: usize, positions: i32, count: i32, pitch: i32, row: i32, first: i32): void {
  const bytes = p.outputBytes == 0 ? 4 : p.outputBytes;
  let to = <usize>p.output + (<usize>row * <usize>positions * <usize>p.filters + <usize>first) * <usize>bytes;
  if (count == pitch && count == p.filters) {
    count *= positions;
    positions = 1;
  }
  for (let x: i32 = 0; x < positions; x++) {
    if (p.outputBytes == 0) memory.copy(to, from, <usize>count << 2);
    else activate(from, count, to, p.outputBytes);
    from += <usize>pitch << 2;
    to += <usize>(p.filters * bytes);
  }
}

/** Returns 1 when something saturated. */
export function conv(command: usize, scratch: usize): i32 {
  const p = changetype<Conv>(command);
  clearSaturated();
  const activated = p.outputBytes != 0;
  if (activated) pwlPrepare(p.segments, p.segmentCount, scratch, p.convHeight * p.convWidth * p.filters);
  const run = ((p.kernelWidth * p.depth + 7) & ~7);
  const inPlace = p.elementBytes == 2 && p.padWidth == 0 && run == p.kernelWidth * p.depth;
  const reach = p.elementBytes == 1 ? 128 : reach16(p.input, p.height * p.width * p.depth);
  const rowElements = (p.width + 2 * p.padWidth) * p.depth;
  const rowBytes = (<usize>(rowElements + 15) & ~7) << 1;
  const lineBytes = <usize>(p.width * p.depth * p.elementBytes);
  const pad = <usize>(p.padWidth * p.depth) << 1;
  const rows = scratch + ROWS;
  const zeros = rows + <usize>p.kernelHeight * rowBytes;
  memory.fill(zeros, 0, rowBytes);
  const table = scratch + ROW_TABLE;

  const wide = p.legacy != 0 && p.pool != 0;
  const pooled = p.legacy == 0 && p.pool != 0;
  const element: usize = wide ? 8 : 4;
  const filterBytes = <usize>(run * p.kernelHeight) << 1;
  const lines: i32 = pooled ? p.poolHeight : 1;
  const positionBytes = <usize>p.convWidth * element * <usize>lines;
  let block = <i32>min(max(FILTERS_AIM / filterBytes, 4), SUMS_BYTES / positionBytes) & ~3;
  block = min(max(block, 4), (p.filters + 3) & ~3);
  const step = <usize>(p.strideWidth * p.depth) << 1;

  for (let first: i32 = 0; first < p.filters; first += block) {
    const count = min(block, p.filters - first);
    const pitch = (count + 3) & ~3;
    const packed = scratch + FILTERS;
    packFilters(p, first, count, packed);
    const rowSums = <usize>(p.convWidth * pitch) * element;
    let loaded: i32 = -1;
    let outRow: i32 = 0;
    memory.fill(rows, 0, <usize>p.kernelHeight * rowBytes);
    for (let y: i32 = 0; y < p.convHeight; y++) {
      for (let r: i32 = 0; r < p.kernelHeight; r++) {
        const line = y * p.strideHeight + r - p.padHeight;
        let at = zeros;
        if (line >= 0 && line < p.height) {
          const from = <usize>p.input + <usize>line * lineBytes;
          if (inPlace) {
            at = from;
          } else {
            at = rows + <usize>(line % p.kernelHeight) * rowBytes;
            if (line > loaded) {
              widen(from, p.elementBytes, at + pad, p.width * p.depth);
              loaded = line;
            }
          }
        }
        store<u32>(table + (<usize>r << 2), <u32>at);
      }
      const sums = scratch + SUMS + (pooled ? <usize>(y % p.poolHeight) * rowSums : 0);
      for (let f: i32 = 0; f < pitch; f += 4) {
        const w = packed + <usize>f * filterBytes;
        const to = sums + <usize>f * element;
        const toStep = <usize>pitch * element;
        const bias = i32x4(
          biasOf(p, first + f),
          biasOf(p, first + f + 1),
          biasOf(p, first + f + 2),
          biasOf(p, first + f + 3),
        );
        const plain = !wide && fits32(w, run * p.kernelHeight, reach, p, first + f);
        if (plain) {
          rowPlain(w, filterBytes, table, p.kernelHeight, run, step, p.convWidth, bias, to, toStep);
        } else {
          const dots = scratch + DOTS;
          rowExact(
            w, filterBytes, table, p.kernelHeight, run, step, p.convWidth, bias, to, toStep, reach, wide, dots,
          );
        }
      }
      if (wide) {
        poolWideSums(sums, p.convWidth, pitch, p.pool, p.poolWidth, p.poolStrideWidth, p.outWidth);
        storeRow(p, sums, p.outWidth, count, pitch, 0, first);
      } else if (!pooled) {
        storeRow(p, sums, p.convWidth, count, pitch, y, first);
      } else {
        if (activated) activateWide(sums, p.convWidth * pitch, p.outputBytes);
        while (outRow < p.outHeight && min(outRow * p.poolStrideHeight + p.poolHeight, p.convHeight) - 1 <= y) {
          poolRow(p, scratch + SUMS, rowSums, pitch, count, outRow, first);
          outRow++;
        }
      }
    }
  }
  return saturated();
}
