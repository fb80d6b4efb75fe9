// Sums of products from packed panels, four outputs and eight kernels at a time.
// Not a layer: src/devices/nvdla/engine/conv.ts decides on blocks and order. Fact sheet section 2.2.
import { sumDiagonal } from './conv-diagonal';
import { mac, truncated } from './conv-sum';

/**
 * Where the outputs of a block of `rows` x `columns` are, four to a tile: 4 byte offsets into the input rows, 4 byte offsets
 * into the results, u32. The last tile is filled up with the last output. Returns the end.
 * @param stepX,stepY input bytes from an output to the next in its row, to the next row; `pixel`, `outRow` likewise in
 * the results
 */
export function convTiles(
  dst: usize,
  rows: i32,
  columns: i32,
  stepX: i32,
  stepY: i32,
  pixel: i32,
  outRow: i32,
): usize {
  const count = rows * columns;
  let a: i32 = 0;
  let o: i32 = 0;
  let x: i32 = 0;
  let y: i32 = 0;
  for (let i: i32 = 0; i < ((count + 3) & ~3); i++) {
    const lane = <usize>(i & 3) << 2;
    store<u32>(dst + lane, a);
    store<u32>(dst + lane, o, 16);
    if (lane == 12) dst += 32;
    if (i + 1 < count) {
      x++;
      a += stepX;
      o += pixel;
      if (x == columns) {
        x = 0;
        y++;
        a = y * stepY;
        o = y * outRow;
      }
    }
  }
  return dst;
}

/** Sums of one panel. */
export function sumPanel(
  weights: usize,
  runs: usize,
  lastRun: usize,
  a: usize,
  tiles: usize,
  lastTile: usize,
  o: usize,
  shift: i32,
): void {
  if (runs == lastRun) {
    for (let tile = tiles; tile < lastTile; tile += 32) {
      for (let lane: usize = 0; lane < 16; lane += 4) {
        const to = o + <usize>load<u32>(tile + lane, 16);
        v128.store(to, i64x2.splat(0));
        v128.store(to, i64x2.splat(0), 16);
      }
    }
    return;
  }
  for (let tile = tiles; tile < lastTile; tile += 32) {
    const a0 = a + <usize>load<u32>(tile);
    const a1 = a + <usize>load<u32>(tile, 4);
    const a2 = a + <usize>load<u32>(tile, 8);
    const a3 = a + <usize>load<u32>(tile, 12);
    let c00 = i64x2.splat(0);
    let c01 = i64x2.splat(0);
    let c10 = i64x2.splat(0);
    let c11 = i64x2.splat(0);
    let c20 = i64x2.splat(0);
    let c21 = i64x2.splat(0);
    let c30 = i64x2.splat(0);
    let c31 = i64x2.splat(0);
    let w = weights;
    for (let run = runs; run < lastRun; run += 8) {
      const offset = <usize>load<u32>(run);
      let pairs = <i32>load<u32>(run, 4);
      let p0 = a0 + offset;
      let p1 = a1 + offset;
      let p2 = a2 + offset;
      let p3 = a3 + offset;
      let b0: v128;
      let b1: v128;
      let v: v128;
      for (; pairs >= 4; pairs -= 4) {
        b0 = v128.load(w);
        b1 = v128.load(w, 16);
        v = v128.load32_splat(p0);
        c00 = mac(c00, v, b0);
        c01 = mac(c01, v, b1);
        v = v128.load32_splat(p1);
        c10 = mac(c10, v, b0);
        c11 = mac(c11, v, b1);
        v = v128.load32_splat(p2);
        c20 = mac(c20, v, b0);
        c21 = mac(c21, v, b1);
        v = v128.load32_splat(p3);
        c30 = mac(c30, v, b0);
        c31 = mac(c31, v, b1);
        b0 = v128.load(w, 32);
        b1 = v128.load(w, 48);
        v = v128.load32_splat(p0, 4);
        c00 = mac(c00, v, b0);
        c01 = mac(c01, v, b1);
        v = v128.load32_splat(p1, 4);
        c10 = mac(c10, v, b0);
        c11 = mac(c11, v, b1);
        v = v128.load32_splat(p2, 4);
        c20 = mac(c20, v, b0);
        c21 = mac(c21, v, b1);
        v = v128.load32_splat(p3, 4);
        c30 = mac(c30, v, b0);
        c31 = mac(c31, v, b1);
        b0 = v128.load(w, 64);
        b1 = v128.load(w, 80);
        v = v128.load32_splat(p0, 8);
        c00 = mac(c00, v, b0);
        c01 = mac(c01, v, b1);
        v = v128.load32_splat(p1, 8);
        c10 = mac(c10, v, b0);
        c11 = mac(c11, v, b1);
        v = v128.load32_splat(p2, 8);
        c20 = mac(c20, v, b0);
        c21 = mac(c21, v, b1);
        v = v128.load32_splat(p3, 8);
        c30 = mac(c30, v, b0);
        c31 = mac(c31, v, b1);
        b0 = v128.load(w, 96);
        b1 = v128.load(w, 112);
        v = v128.load32_splat(p0, 12);
        c00 = mac(c00, v, b0);
        c01 = mac(c01, v, b1);
        v = v128.load32_splat(p1, 12);
        c10 = mac(c10, v, b0);
        c11 = mac(c11, v, b1);
        v = v128.load32_splat(p2, 12);
        c20 = mac(c20, v, b0);
        c21 = mac(c21, v, b1);
        v = v128.load32_splat(p3, 12);
        c30 = mac(c30, v, b0);
        c31 = mac(c31, v, b1);
        w += 128;
        p0 += 16;
        p1 += 16;
        p2 += 16;
        p3 += 16;
      }
      if (pairs >= 2) {
        b0 = v128.load(w);
        b1 = v128.load(w, 16);
        v = v128.load32_splat(p0);
        c00 = mac(c00, v, b0);
        c01 = mac(c01, v, b1);
        v = v128.load32_splat(p1);
        c10 = mac(c10, v, b0);
        c11 = mac(c11, v, b1);
        v = v128.load32_splat(p2);
        c20 = mac(c20, v, b0);
        c21 = mac(c21, v, b1);
        v = v128.load32_splat(p3);
        c30 = mac(c30, v, b0);
        c31 = mac(c31, v, b1);
        b0 = v128.load(w, 32);
        b1 = v128.load(w, 48);
        v = v128.load32_splat(p0, 4);
        c00 = mac(c00, v, b0);
        c01 = mac(c01, v, b1);
        v = v128.load32_splat(p1, 4);
        c10 = mac(c10, v, b0);
        c11 = mac(c11, v, b1);
        v = v128.load32_splat(p2, 4);
        c20 = mac(c20, v, b0);
        c21 = mac(c21, v, b1);
        v = v128.load32_splat(p3, 4);
        c30 = mac(c30, v, b0);
        c31 = mac(c31, v, b1);
        w += 64;
        p0 += 8;
        p1 += 8;
        p2 += 8;
        p3 += 8;
      }
      if ((pairs & 1) != 0) {
        b0 = v128.load(w);
        b1 = v128.load(w, 16);
        v = v128.load32_splat(p0);
        c00 = mac(c00, v, b0);
        c01 = mac(c01, v, b1);
        v = v128.load32_splat(p1);
        c10 = mac(c10, v, b0);
        c11 = mac(c11, v, b1);
        v = v128.load32_splat(p2);
        c20 = mac(c20, v, b0);
        c21 = mac(c21, v, b1);
        v = v128.load32_splat(p3);
        c30 = mac(c30, v, b0);
        c31 = mac(c31, v, b1);
        w += 32;
      }
    }
    const o0 = o + <usize>load<u32>(tile, 16);
    const o1 = o + <usize>load<u32>(tile, 20);
    const o2 = o + <usize>load<u32>(tile, 24);
    const o3 = o + <usize>load<u32>(tile, 28);
    v128.store(o0, truncated(c00, shift));
    v128.store(o0, truncated(c01, shift), 16);
    v128.store(o1, truncated(c10, shift));
    v128.store(o1, truncated(c11, shift), 16);
    v128.store(o2, truncated(c20, shift));
    v128.store(o2, truncated(c21, shift), 16);
    v128.store(o3, truncated(c30, shift));
    v128.store(o3, truncated(c31, shift), 16);
  }
}

/**
 * Sums of `panels` packed panels for the outputs of `tiles` (convTiles).
 * @param first number of the first panel; its table entry is at `table`
 * @param a first input row
 * @param out int32 of the block's first output, kernel 0; `outSurface` bytes to the next surface
 */
export function convPanels(
  table: usize,
  first: i32,
  panels: i32,
  a: usize,
  tiles: usize,
  lastTile: usize,
  out: usize,
  outSurface: usize,
  atom: i32,
  shift: i32,
): void {
  const perSurface = atom >> 3;
  for (let panel: i32 = first; panel < first + panels; panel++) {
    const weights = <usize>load<u32>(table);
    const runs = <usize>load<u32>(table, 4);
    const lastRun = runs + (<usize>load<u32>(table, 8) << 3);
    const diagonal = load<u32>(table, 12) != 0;
    table += 16;
    const surface = panel / perSurface;
    const o = out + <usize>surface * outSurface + (<usize>(panel - surface * perSurface) << 5);
    if (diagonal) {
      sumDiagonal(weights, runs, lastRun, a, tiles, lastTile, o, shift);
      continue;
    }
    sumPanel(weights, runs, lastRun, a, tiles, lastTile, o, shift);
  }
}
