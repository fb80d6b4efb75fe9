// The addition of two quantised tensors (a difference has one negative scale) as multipliers and shifts: out = (a - za) * sa/so + (b - zb) * sb/so + zo.
// Not the layers: those are in residual.ts.
//
// In SDP alone (X1: source * mul; X2: + operand << shift; C: one 16-bit scale for the sum) C's scale has to stand for one input's
// sb/so, to 2^-16: about one result in 2500 is rounded the wrong way, and a network carries that on. With a convolution before it there
// is a choice: the pipe computes weights[0] * source + weights[1] * operand first, both 1 x 1, and the operand comes once more in X2:
//   v = (weights[0] * source + weights[1] * operand + alu) * mul + (operand << shift),   C: (v - offset) * scale >> truncate.
// mul sets the ratio of the two, exact to 2^-22 since it weighs only what the 8-bit weights leave over; of the pairs of weights
// (some thousand) one is taken whose common scale happens to be a 16-bit number to 2^-24 or so.
import type { OutputConversion, Quantized } from './scale.js';

export interface Addition {
  /** Whether the first input is the source (else the second); the other is the operand. */
  readonly firstIsSource: boolean;
  /** Of source and operand in the convolution; undefined when SDP alone is exact enough, or all that is possible. */
  readonly weights: readonly [source: number, operand: number] | undefined;
  /** X1: added before the product. */
  readonly alu: number;
  readonly mul: number;
  /** Left shift of the per-point operand in X2. */
  readonly shift: number;
  /** X2 makes negative sums zero. */
  readonly relu: boolean;
  readonly out: OutputConversion;
  /** The most by which the real result can be off before it is rounded, in output steps. */
  readonly error: number;
}

const INT16_MAX = 32767;
const INT32_MAX = 2 ** 31 - 1;
/** Off by this much, one result in 500,000 is rounded the wrong way: no convolution is worth it. */
const GOOD_ENOUGH = 1e-6;

export interface AdditionOptions {
  /** Negative sums become zero by X2. Possible where the operand's zero point is 0: undefined is returned otherwise. */
  readonly relu: boolean;
  /** The first input has to be the source. */
  readonly sourceFirst?: boolean;
  /** Whether a convolution may come first. */
  readonly convolution: boolean;
}

/** The plan with the least error; undefined when the scales are too far apart, or ReLU is not possible. */
export function planAddition(
  a: Quantized,
  b: Quantized,
  out: Quantized,
  options: AdditionOptions,
): Addition | undefined {
  let best: Addition | undefined;
  for (const firstIsSource of options.sourceFirst ? [true] : [true, false]) {
    const search = new Search(firstIsSource ? [a, b] : [b, a], out, options.relu, firstIsSource);
    if (options.relu && search.operand.zeroPoint !== 0) continue;
    search.alone();
    if (options.convolution && (search.best?.error ?? 1) > GOOD_ENOUGH) search.withConvolution();
    if (search.best !== undefined && search.best.error < (best?.error ?? Infinity)) best = search.best;
  }
  return best;
}

/** The search for one assignment of roles. */
class Search {
  best: Addition | undefined;
  readonly source: Quantized;
  readonly operand: Quantized;
  readonly #zero: number;
  readonly #relu: boolean;
  readonly #firstIsSource: boolean;
  /** Output steps per step of each input: what is to be met. */
  readonly #want: readonly [source: number, operand: number];

  constructor(inputs: [Quantized, Quantized], out: Quantized, relu: boolean, firstIsSource: boolean) {
    [this.source, this.operand] = inputs;
    this.#zero = out.zeroPoint;
    this.#relu = relu;
    this.#firstIsSource = firstIsSource;
    this.#want = [this.source.scale / out.scale, this.operand.scale / out.scale];
  }

  /** mul = ratio * 2^shift as a 15-bit number. */
  alone(): void {
    const [source, operand] = this.#want;
    for (let shift = 0; shift <= 21; shift++)
      this.#consider(undefined, Math.round((source / operand) * 2 ** shift), shift);
  }

  withConvolution(): void {
    const ratio = this.#want[1] / this.#want[0];
    for (let w0 = 1; w0 <= 127; w0++) {
      const near = Math.round(ratio * w0);
      for (let w1 = near - 2; w1 <= near + 2; w1++) {
        if (w1 < -128 || w1 > 127) continue;
        const rest = ratio - w1 / w0;
        if (Math.abs(rest) < 2 ** -30) continue;
        const top = Math.floor(Math.log2(INT16_MAX * Math.abs(rest) * w0));
        for (const shift of [top, top - 1])
          if (shift >= 0 && shift <= 22)
            this.#consider([w0, w1], Math.round(2 ** shift / (rest * w0)), shift);
      }
    }
  }

  #consider(weights: Addition['weights'], mul: number, shift: number): void {
    if (mul === 0 || Math.abs(mul) > INT16_MAX || (this.#relu && mul < 0)) return;
    const [w0, w1] = weights ?? [1, 0];
    const [wantSource, wantOperand] = this.#want;
    // Steps of v per step of each input.
    const source = w0 * mul;
    const operand = w1 * mul + 2 ** shift;
    // The common scale is met best where its input weighs most.
    const made = Math.abs(wantSource) > Math.abs(wantOperand) ? wantSource / source : wantOperand / operand;
    const truncate = Math.min(63, 14 - Math.floor(Math.log2(Math.abs(made))));
    const scale = Math.round(made * 2 ** truncate);
    if (truncate < 0 || scale === 0 || Math.abs(scale) > INT16_MAX || (this.#relu && scale < 0)) return;
    const unit = scale / 2 ** truncate;
    const error = 128 * (Math.abs(unit * source - wantSource) + Math.abs(unit * operand - wantOperand));
    if (error >= (this.best?.error ?? Infinity)) return;
    const zeros = source * this.source.zeroPoint + operand * this.operand.zeroPoint;
    const offset = Math.round((this.#relu ? 0 : zeros) - this.#zero / unit);
    // The operand's zero point is 0 with ReLU, so that the zero points are a multiple of mul.
    const alu = this.#relu ? -w0 * this.source.zeroPoint : 0;
    if (Math.abs(offset) > INT32_MAX) return;
    this.best = {
      firstIsSource: this.#firstIsSource,
      weights,
      alu,
      mul,
      shift,
      relu: this.#relu,
      out: { offset, scale, truncate },
      error,
    };
  }
}
