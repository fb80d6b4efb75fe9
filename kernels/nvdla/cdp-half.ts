// Local response normalisation over channels, fp16. Fact sheet section 2.7.
// Not integers: cdp.ts. There are no converters in this mode; squares and their sums are fp32, all else is fp17.
import { add32, mul17, mul32, nans, toFloat17, toHalf } from './float';
import { lookupHalf } from './lut-half';

/**
 * fp16 of `pixels` of `atom` at `src` to fp17 (as fp32) at `tile`, and their squares (or, `square` 0, the numbers) at `squares`.
 * Lanes from `lanes` on, which hold no channel, become 0.
 */
export function cdpSquareHalf(
  src: usize,
  tile: usize,
  squares: usize,
  pixels: i32,
  atom: i32,
  lanes: i32,
  square: i32,
  nanToZero: i32,
): void {
  const lane = i32x4(0, 1, 2, 3);
  for (let p: i32 = 0; p < pixels; p++) {
    for (let l: i32 = 0; l < atom; l += 4) {
      const h = v128.load16x4_u(src);
      let v = toFloat17(v128.and(h, i32x4.lt_s(i32x4.add(lane, i32x4.splat(l)), i32x4.splat(lanes))));
      if (nanToZero != 0) v = v128.andnot(v, nans(v));
      v128.store(tile, v);
      v128.store(squares, square != 0 ? mul32(v, v) : v);
      src += 8;
      tile += 16;
      squares += 16;
    }
  }
}

/** The square of channel c of a pixel, 0 outside. */
// @ts-ignore: decorator
@inline
function channel(squares: usize, c: i32, channels: i32, pixels: i32, p: i32, atom: i32): v128 {
  if (c < 0 || c >= channels) return i32x4.splat(0);
  return v128.load32_splat(squares + (<usize>(((c / atom) * pixels + p) * atom + (c % atom)) << 2));
}

/** One surface of a group of pixels: sum of squares outwards from the channel, table, product. As cdpSurface16. */
export function cdpSurfaceHalf(
  tile: usize,
  squares: usize,
  surface: i32,
  surfaces: i32,
  pixels: i32,
  atom: i32,
  reach: i32,
  sumBypass: i32,
  mulBypass: i32,
  lut: usize,
  dst: usize,
): void {
  const channels = surfaces * atom;
  for (let p: i32 = 0; p < pixels; p++) {
    for (let l: i32 = 0; l < atom; l++) {
      const c = surface * atom + l;
      const own = v128.load32_splat(tile + (<usize>((surface * pixels + p) * atom + l) << 2));
      let sum = channel(squares, c, channels, pixels, p, atom);
      if (sumBypass == 0) {
        for (let n: i32 = 1; n <= reach; n++) {
          const pair = add32(
            channel(squares, c - n, channels, pixels, p, atom),
            channel(squares, c + n, channels, pixels, p, atom),
          );
          sum = n == 1 ? add32(pair, sum) : add32(sum, pair);
        }
      }
      const y = i32x4.splat(lookupHalf(i32x4.extract_lane(sum, 0), lut, true));
      const product = mulBypass != 0 ? v128.bitselect(own, y, nans(own)) : mul17(own, y);
      store<u16>(dst, <u16>i32x4.extract_lane(toHalf(product), 0));
      dst += 2;
    }
  }
}
