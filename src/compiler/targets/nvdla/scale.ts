// Requantisation: the factors of a layer as the multipliers and shifts of SDP's stages, as close to the real factor as they allow.
// Not a quantiser: factors, biases and zero points are given.
//
// A kernel's result is clamp(round(factor * (acc + bias)) + zeroPoint). The stages (fact sheet section 2.5) compute
//   X1: v = sat32(RS((acc + (alu1 << shift1)) * mul1, truncate1))
//   X2: v = sat32(RS((v + (alu2 << shift2)) * mul2, truncate2)), then ReLU
//   C:  sat8(sat17(RS((v - offset) * scale, truncate)))
// with one multiplier per kernel and one shift per layer. One 16-bit multiplier leaves an error of 2^-16, which is many wrong
// roundings; the product of two is searched so that it meets factor * 2^shifts to 2^-28, and everything up to C keeps
// FRACTION bits below the output's unit, so that in effect there is one rounding, at the end. What a bias has below the 16-bit
// operand of X1 is added in X2. Ties round away from zero, and quantised models round them to even: exact ties differ by one step.

/** Scale and zero point of a stored int8 tensor. */
export interface Quantized {
  readonly scale: number;
  readonly zeroPoint: number;
  /** It is no integer but fp16; scale and zero point are then 1 and 0. */
  readonly half?: true;
}

/** What is to be computed. */
export interface Requantization {
  /** Output steps per accumulator step, for each kernel. Of either sign. */
  readonly factor: Float64Array;
  /** In accumulator steps, corrections for zero points included. Need not be integers. */
  readonly bias: Float64Array;
  /** The greatest |acc| there can be, without bias, for each kernel. */
  readonly bound: Float64Array;
  /** Of the output. */
  readonly zeroPoint: number;
  /** Negative reals become zero. */
  readonly relu: boolean;
}

/** One of X1, X2. */
export interface StageOperands {
  /** Left shift of `alu`. */
  readonly shift: number;
  /** Right shift after the product. */
  readonly truncate: number;
  readonly alu: Int16Array;
  readonly mul: Int16Array;
  readonly relu: boolean;
}

export interface OutputConversion {
  readonly offset: number;
  readonly scale: number;
  readonly truncate: number;
}

export interface Stages {
  readonly x1: StageOperands;
  readonly x2: StageOperands;
  readonly out: OutputConversion;
}

const INT16_MAX = 32767;
/** Fraction bits of a result before C: 2^31 / 2^20 leaves 2048 steps to either side. */
const FRACTION = 20;
/** Truncation of X2 when factors are small enough. */
const TRUNCATE2 = 14;
/** Multiplier pairs looked at per kernel, at most: until one is exact to this. */
const CANDIDATES = 16384;
const EXACT = 2 ** -28;

/** Operands of the three stages. */
export function requantize({ factor, bias, bound, zeroPoint, relu }: Requantization): Stages {
  const kernels = factor.length;
  const { factors, biases } = withoutSilentKernels(factor, bias, bound);
  let greatest = 0;
  for (const f of factors) greatest = Math.max(greatest, Math.abs(f));
  // mul1 * mul2 = factor * 2^(truncate1 + truncate2 + fraction): put the greatest just below 2^29, so that both have room.
  let exponent = greatest > 0 ? 28 - Math.floor(Math.log2(greatest)) : TRUNCATE2 + FRACTION;
  exponent = Math.min(exponent, 31 + TRUNCATE2 + FRACTION);
  const fraction = Math.max(0, Math.min(FRACTION, exponent));
  const truncate2 = Math.max(0, Math.min(TRUNCATE2, exponent - fraction));
  const truncate1 = Math.max(0, exponent - fraction - truncate2);
  const scale = 2 ** (truncate1 + truncate2 + fraction);

  // Layers with one scale have one factor.
  const pairs = new Map<number, [number, number]>();
  const mul1 = new Int16Array(kernels);
  const mul2 = new Int16Array(kernels);
  for (let k = 0; k < kernels; k++) {
    const target = Math.abs(factors[k]!) * scale;
    let pair = pairs.get(target);
    if (pair === undefined) pairs.set(target, (pair = multipliers(target, truncate2, truncate1 === 0)));
    const [a, b] = pair;
    mul1[k] = factors[k]! < 0 ? -a : a;
    mul2[k] = b;
  }

  const shift1 = shiftFor(biases);
  const alu1 = new Int16Array(kernels);
  const rest = new Float64Array(kernels);
  for (let k = 0; k < kernels; k++) {
    alu1[k] = clamp16(Math.round(biases[k]! / 2 ** shift1));
    rest[k] = ((biases[k]! - alu1[k]! * 2 ** shift1) * mul1[k]!) / 2 ** truncate1;
  }
  const shift2 = shiftFor(rest);
  const alu2 = Int16Array.from(rest, (value) => clamp16(Math.round(value / 2 ** shift2)));

  return {
    x1: { shift: shift1, truncate: truncate1, alu: alu1, mul: mul1, relu: false },
    // Where zero is the least output, saturation does it.
    x2: { shift: shift2, truncate: truncate2, alu: alu2, mul: mul2, relu: relu && zeroPoint > -128 },
    out: { offset: -zeroPoint * 2 ** fraction, scale: 1, truncate: fraction },
  };
}

/**
 * A kernel whose weights are all zero gives a constant, whatever its factor: dead channels come with factors of 1e-9 and biases
 * of 2^30, which would cost the others their precision. They get a factor and bias of ordinary size.
 */
function withoutSilentKernels(
  factor: Float64Array,
  bias: Float64Array,
  bound: Float64Array,
): { factors: Float64Array; biases: Float64Array } {
  const factors = factor.slice();
  const biases = bias.slice();
  for (let k = 0; k < factor.length; k++) {
    // Beyond 1024 steps every output saturates: keeps the operands of such kernels small.
    const value = Math.max(-1024, Math.min(1024, factor[k]! * bias[k]!));
    const size = Math.abs(factor[k]!);
    if (bound[k] === 0) {
      biases[k] = value === 0 ? 0 : Math.sign(value) * 0x4000;
      factors[k] = value === 0 ? 2 ** -14 : Math.abs(value) / 0x4000;
    } else if (size * Math.abs(bias[k]!) > 1024 + size * bound[k]!) {
      biases[k] = Math.round(Math.sign(bias[k]!) * (1024 / size + bound[k]!));
    }
  }
  return { factors, biases };
}

/** Least shift with which every value fits a 16-bit operand. */
function shiftFor(values: Float64Array): number {
  let greatest = 0;
  for (const value of values) greatest = Math.max(greatest, Math.abs(value));
  let shift = 0;
  while (greatest > INT16_MAX * 2 ** shift) shift++;
  return shift;
}

function clamp16(value: number): number {
  return Math.max(-32768, Math.min(INT16_MAX, value));
}

/**
 * The pair of 16-bit multipliers whose product is nearest to `target`. The second stays between 2^(truncate2 - 2) and 2^(truncate2 + 6):
 * between the stages there are then 256 output steps without saturation, and at least 14 bits below one step. Where X1 does
 * not round (`exact`: factors above 1) the second may be as large as it can.
 */
function multipliers(target: number, truncate2: number, exact: boolean): [number, number] {
  const least = Math.max(1, 2 ** (truncate2 - 2));
  const most = exact ? INT16_MAX : Math.min(INT16_MAX, 2 ** (truncate2 + 6));
  const top = Math.max(1, Math.min(INT16_MAX, Math.floor(target / least)));
  const bottom = Math.max(1, Math.ceil(target / most));
  let best: [number, number] = [top, Math.min(most, Math.round(target / top))];
  let bestError = Infinity;
  for (let a = top, left = CANDIDATES; a >= bottom && left > 0; a--, left--) {
    const b = (target / a + 0.5) | 0;
    if (b > most) break;
    const error = Math.abs(target - a * b);
    if (error >= bestError) continue;
    best = [a, b];
    bestError = error;
    if (error <= target * EXACT) break;
  }
  return best;
}

/** A factor as a multiplier ahead of C and C's own: factor = mul * scale / 2^truncate. */
export interface Factor {
  readonly mul: number;
  readonly scale: number;
  readonly truncate: number;
}

/**
 * The `count` pairs of 15-bit numbers whose products are nearest to the positive factor, best first: mostly to 2^-28. None when the factor
 * is out of reach: above 2^29, or so small that C's shift does not do.
 */
export function factorPairs(factor: number, count: number): Factor[] {
  const found: (Factor & { readonly error: number })[] = [];
  if (!(factor > 0)) return found;
  // The product lies below 2^29, so that both have room.
  const most = 28 - Math.floor(Math.log2(factor));
  for (const truncate of [most, most - 1]) {
    if (truncate < 0 || truncate > 63) continue;
    const target = factor * 2 ** truncate;
    for (let mul = INT16_MAX; mul >= 256; mul--) {
      const scale = Math.round(target / mul);
      if (scale > INT16_MAX) break;
      const error = Math.abs(target - mul * scale) / target;
      if (scale >= 1 && error < 2 ** -20) found.push({ mul, scale, truncate, error });
    }
  }
  return found.sort((a, b) => a.error - b.error).slice(0, count);
}

/** The pair whose product is nearest to the factor; undefined when there is none. */
export function factorPair(factor: number): Factor | undefined {
  return factorPairs(factor, 1)[0];
}

/** C behind a factor's first multiplier: adds the zero point. */
export function conversionOf({ scale, truncate }: Factor, zeroPoint: number): OutputConversion {
  return { offset: Math.round((-zeroPoint * 2 ** truncate) / scale), scale, truncate };
}

/** Round to nearest, ties away from zero, of value / 2^shift: the rounding of all integer paths. Exact below 2^52. */
export function roundShift(value: number, shift: number): number {
  const scaled = value / 2 ** shift;
  return scaled < 0 ? -Math.floor(0.5 - scaled) : Math.floor(scaled + 0.5);
}

/** What the stages make of an accumulator; the same arithmetic as the hardware's. For tests and for checks of a plan. */
export function applyStages(stages: Stages, kernel: number, acc: number): number {
  const { x1, x2, out } = stages;
  let v = acc;
  for (const stage of [x1, x2]) {
    v += saturate(stage.alu[kernel]! * 2 ** stage.shift, 32);
    v = saturate(roundShift(v * stage.mul[kernel]!, stage.truncate), 32);
    if (stage.relu && v < 0) v = 0;
  }
  return saturate(saturate(roundShift((v - out.offset) * out.scale, out.truncate), 17), 8);
}

function saturate(value: number, bits: number): number {
  const limit = 2 ** (bits - 1);
  return Math.max(-limit, Math.min(limit - 1, value));
}
