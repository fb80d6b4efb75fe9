// Convolutions, 1D and 2D, with activation and pooling in either order. Fact sheet sections 5.6 and 5.7.
// Not descriptors: everything here is counts and DRAM addresses.
import { Conv } from './command';
import { filterRow, packFilters, QUAD_BYTES } from './filters';
import { reach16, widen } from './move';
import { poolRow, poolWideSums } from './pool';
import { activate, activateWide, PWL_BYTES, pwlPrepare } from './pwl';
import { clearSaturated, saturated } from './saturate';

// Scratch, in this order. The plan bounds what is put into each.
const ROW_TABLE: usize = PWL_BYTES;
/** Padded input rows as int16, and one of zeros. */
const ROWS: usize = ROW_TABLE + 1024;
const ROWS_BYTES: usize = 4 << 20;
/** Filters of a block, packed. */
const FILTERS: usize = ROWS + ROWS_BYTES;
const FILTERS_BYTES: usize = 2 << 20;
/** What is known of each four of them. */
const QUADS: usize = FILTERS + FILTERS_BYTES;
const QUADS_BYTES: usize = 128 << 10;
/** Results of convolution rows that wait for pooling or activation. */
const SUMS: usize = QUADS + QUADS_BYTES;
const SUMS_BYTES: usize = 4 << 20;
/** Filters of a block should take no more than a second-level cache. */
const FILTERS_AIM: usize = 256 << 10;

/** Stores a row of `positions` x `count` int32 as outputs of filters from `first` on. */
function storeRow(p: Conv, from: usize, positions: i32, count: i32, row: i32, first: i32): void {
  const bytes = p.outputBytes == 0 ? 4 : p.outputBytes;
  let to = <usize>p.output + (<usize>row * <usize>positions * <usize>p.filters + <usize>first) * <usize>bytes;
  if (count == p.filters) {
    count *= positions;
    positions = 1;
  }
  for (let x: i32 = 0; x < positions; x++) {
    if (p.outputBytes == 0) memory.copy(to, from, <usize>count << 2);
    else activate(from, count, to, p.outputBytes);
    from += <usize>count << 2;
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
  block = min(block, <i32>(QUADS_BYTES / QUAD_BYTES) << 2);
  block = min(max(block, 4), (p.filters + 3) & ~3);
  const step = <usize>(p.strideWidth * p.depth) << 1;

  for (let first: i32 = 0; first < p.filters; first += block) {
    const count = min(block, p.filters - first);
    const packed = scratch + FILTERS;
    packFilters(p, first, count, run, reach, packed, scratch + QUADS);
    const rowSums = <usize>(p.convWidth * count) * element;
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
      filterRow(
        packed, scratch + QUADS, count, table, p.kernelHeight, run, step, p.convWidth, sums, wide,
      );
      if (wide) {
        poolWideSums(sums, p.convWidth, count, p.pool, p.poolWidth, p.poolStrideWidth, p.outWidth);
        storeRow(p, sums, p.outWidth, count, 0, first);
      } else if (!pooled) {
        storeRow(p, sums, p.convWidth, count, y, first);
      } else {
        if (activated) activateWide(sums, p.convWidth * count, p.outputBytes);
        while (outRow < p.outHeight && min(outRow * p.poolStrideHeight + p.poolHeight, p.convHeight) - 1 <= y) {
          poolRow(p, scratch + SUMS, rowSums, count, outRow, first);
          outRow++;
        }
      }
    }
  }
  return saturated();
}
