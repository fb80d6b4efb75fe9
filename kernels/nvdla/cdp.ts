// Local response normalisation over channels, int8 and int16. Fact sheet section 2.7.
// Not the reading of a cube: the engine widens and converts pixels first. Not fp16: cdp-half.ts.
import { lookup } from './lut';

function round(value: i64, shift: i32): i64 {
  if (shift == 0) return value;
  const half: i64 = (<i64>1) << (shift - 1);
  return value >= 0 ? (value + half) >> shift : -((half - value) >> shift);
}

/**
 * Input converter in place, `pixels` of `atom` int32: round((x - offset) * scale), saturated to `bits`. Lanes from `lanes` on, which
 * hold no channel, become 0.
 */
export function cdpConvert(
  tile: usize,
  pixels: i32,
  atom: i32,
  lanes: i32,
  offset: i32,
  scale: i32,
  shift: i32,
  bits: i32,
): void {
  const limit: i64 = (<i64>1) << (bits - 1);
  for (let p: i32 = 0; p < pixels; p++) {
    for (let l: i32 = 0; l < atom; l++) {
      const u = round((<i64>load<i32>(tile) - offset) * scale, shift);
      store<i32>(tile, l < lanes ? <i32>min<i64>(max<i64>(u, -limit), limit - 1) : 0);
      tile += 4;
    }
  }
}

/**
 * One surface of a group of pixels: sum of squares of the neighbours, table, product, output converter.
 * @param u converted input, int32 [surfaces][pixels][atom]
 * @param reach channels to each side
 * @param lut see lut.ts
 */
// @ts-ignore: decorator
@inline
function surfaceOf<O>(
  u: usize,
  surface: i32,
  surfaces: i32,
  pixels: i32,
  atom: i32,
  reach: i32,
  sumBypass: i32,
  mulBypass: i32,
  lut: usize,
  offset: i32,
  scale: i32,
  shift: i32,
  dst: usize,
): void {
  const channels = surfaces * atom;
  const most: i64 = sizeof<O>() == 1 ? 127 : 32767;
  for (let p: i32 = 0; p < pixels; p++) {
    for (let l: i32 = 0; l < atom; l++) {
      const c = surface * atom + l;
      const own = load<i32>(u + ((<usize>((surface * pixels + p) * atom + l)) << 2));
      let s: i64 = own;
      if (sumBypass == 0) {
        s = 0;
        const end = min(c + reach, channels - 1);
        for (let n = max(c - reach, 0); n <= end; n++) {
          const at = ((n / atom) * pixels + p) * atom + (n % atom);
          const v = <i64>load<i32>(u + ((<usize>at) << 2));
          s += v * v;
        }
      }
      const y = lookup(s, lut, true);
      const product = mulBypass != 0 ? y : y * <i64>own;
      const out = round((product - offset) * scale, shift);
      store<O>(dst, <O>min<i64>(max<i64>(out, -most - 1), most));
      dst += sizeof<O>();
    }
  }
}

export function cdpSurface8(
  u: usize,
  surface: i32,
  surfaces: i32,
  pixels: i32,
  atom: i32,
  reach: i32,
  sumBypass: i32,
  mulBypass: i32,
  lut: usize,
  offset: i32,
  scale: i32,
  shift: i32,
  dst: usize,
): void {
  surfaceOf<i8>(u, surface, surfaces, pixels, atom, reach, sumBypass, mulBypass, lut, offset, scale, shift, dst);
}

export function cdpSurface16(
  u: usize,
  surface: i32,
  surfaces: i32,
  pixels: i32,
  atom: i32,
  reach: i32,
  sumBypass: i32,
  mulBypass: i32,
  lut: usize,
  offset: i32,
  scale: i32,
  shift: i32,
  dst: usize,
): void {
  surfaceOf<i16>(u, surface, surfaces, pixels, atom, reach, sumBypass, mulBypass, lut, offset, scale, shift, dst);
}
