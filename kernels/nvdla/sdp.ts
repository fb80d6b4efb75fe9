// Stages of the single-point processor on tiles of int32. Fact sheet section 2.5.
// Not a pipeline: the engine calls the stages that are on, in their order. Not fp16: sdp-half.ts.
import { high, join, roundSat } from './round';

/**
 * Operands from memory: `count` elements of `bytes` (1 or 2) at `src`, `stride` bytes apart, to int32 at `dst`:
 * round((x - offset) * scale), saturated. `scale` includes the power of two of a shift.
 */
export function operands(
  src: usize,
  dst: usize,
  count: i32,
  stride: i32,
  bytes: i32,
  offset: f64,
  scale: f64,
): void {
  for (let i: i32 = 0; i < count; i++) {
    const x: i32 = bytes == 1 ? <i32>load<i8>(src) : <i32>load<i16>(src);
    const y = (<f64>x - offset) * scale;
    store<i32>(dst, <i32>Math.min(2147483647, Math.max(-2147483648, y + (y < 0 ? -0.5 : 0.5))));
    src += stride;
    dst += 4;
  }
}

/**
 * Stage X1 or X2 in place on `groups` times `lanes` int32. The operand arrays have `lanes` int32 and serve every group.
 * @param algo 0 max, 1 min, 2 sum, -1 none
 * @param mul array of multipliers, or 0 for none
 * @param rate 2^-shift; applied also without a multiplier
 * @param prelu non-negative values skip multiplier and shift
 */
export function stageX(
  tile: usize,
  groups: i32,
  lanes: i32,
  alu: usize,
  algo: i32,
  mul: usize,
  rate: f64,
  prelu: i32,
  relu: i32,
): void {
  const zero = i32x4.splat(0);
  const rates = f64x2.splat(rate);
  const still = mul == 0 && rate == 1;
  for (let g: i32 = 0; g < groups; g++) {
    for (let l: usize = 0; l < (<usize>lanes) << 2; l += 16) {
      let v = v128.load(tile);
      if (algo == 0) v = i32x4.max_s(v, v128.load(alu + l));
      else if (algo == 1) v = i32x4.min_s(v, v128.load(alu + l));
      if (algo == 2 && still) {
        // Sum alone: add in 32 bits; where the signs say it wrapped, the bound on the side of the value.
        const q = v128.load(alu + l);
        const sum = i32x4.add(v, q);
        const wrapped = i32x4.shr_s(v128.and(v128.xor(sum, v), v128.xor(sum, q)), 31);
        const bound = v128.xor(i32x4.shr_s(v, 31), i32x4.splat(0x7fffffff));
        v = v128.bitselect(bound, sum, wrapped);
      } else if (!still) {
        let a = f64x2.convert_low_i32x4_s(v);
        let b = f64x2.convert_low_i32x4_s(high(v));
        if (algo == 2) {
          const q = v128.load(alu + l);
          a = f64x2.add(a, f64x2.convert_low_i32x4_s(q));
          b = f64x2.add(b, f64x2.convert_low_i32x4_s(high(q)));
        }
        if (!still) {
          let c = f64x2.mul(a, rates);
          let d = f64x2.mul(b, rates);
          if (mul != 0) {
            const m = v128.load(mul + l);
            c = f64x2.mul(c, f64x2.convert_low_i32x4_s(m));
            d = f64x2.mul(d, f64x2.convert_low_i32x4_s(high(m)));
          }
          if (prelu != 0) {
            c = v128.bitselect(a, c, f64x2.ge(a, f64x2.splat(0)));
            d = v128.bitselect(b, d, f64x2.ge(b, f64x2.splat(0)));
          }
          a = c;
          b = d;
        }
        v = join(roundSat(a), roundSat(b));
      }
      if (relu != 0) v = i32x4.max_s(v, zero);
      v128.store(tile, v);
      tile += 16;
    }
  }
}

/** `value` shifted right by `shift`, to nearest, ties away from zero. |value| < 2^63. */
function round64(value: i64, shift: i32): i64 {
  if (shift == 0) return value;
  if (shift > 63) return 0;
  const sign = value >> 63;
  const size = <u64>((value ^ sign) - sign);
  return ((<i64>((size + ((<u64>1) << (shift - 1))) >> shift)) ^ sign) - sign;
}

function sat32(v: i64): i32 {
  return <i32>min<i64>(max<i64>(v, -2147483648), 2147483647);
}

/**
 * Stage Y (element-wise) in place: multiply first, then the ALU. Arrays as in stageX, 0 for none.
 * @param algo 0 max, 1 min, 2 sum, 3 equal (0 where equal, else 1), -1 none
 * @returns 1 when algo is equal and any element differed
 */
export function stageY(
  tile: usize,
  groups: i32,
  lanes: i32,
  mul: usize,
  truncate: i32,
  prelu: i32,
  alu: usize,
  algo: i32,
): i32 {
  let unequal: i32 = 0;
  for (let g: i32 = 0; g < groups; g++) {
    for (let l: usize = 0; l < (<usize>lanes) << 2; l += 4) {
      let v = load<i32>(tile);
      if (mul != 0 && !(prelu != 0 && v >= 0)) {
        v = sat32(round64(<i64>v * <i64>load<i32>(mul + l), truncate));
      }
      if (algo >= 0) {
        const o = load<i32>(alu + l);
        if (algo == 0) v = max(v, o);
        else if (algo == 1) v = min(v, o);
        else if (algo == 2) v = sat32(<i64>v + <i64>o);
        else {
          v = v == o ? 0 : 1;
          unequal |= v;
        }
      }
      store<i32>(tile, v);
      tile += 4;
    }
  }
  return unequal;
}
