// How outputs compare with their reference: signal to noise, greatest and root mean square distance, steps of integers.
// Not a verdict: who asks knows what is near enough.
import type { InputArray } from '../input/load.js';

/** One output against its reference. */
export interface Comparison {
  readonly output: string;
  /** Elements by their distance to the reference in steps of the type; integer outputs only. */
  readonly lsb?: Readonly<Record<string, number>>;
  readonly largest: number;
  /** Greatest and root mean square distance as shares of the reference's range. */
  readonly relative: number;
  readonly rms: number;
  /** Reference to distance, dB; absent when there is no distance. */
  readonly snr?: number;
}

/** Collects an output over one or more inferences. */
export class Accuracy {
  readonly #output: string;
  /** Elements by distance; integers only. */
  readonly #histogram = new Map<number, number>();
  #largest = 0;
  #least = Infinity;
  #most = -Infinity;
  #squares = 0;
  #signal = 0;
  #count = 0;

  constructor(output: string) {
    this.#output = output;
  }

  add(actual: InputArray, expected: InputArray): void {
    const isInteger = !(expected instanceof Float32Array || expected instanceof Float64Array);
    for (let i = 0; i < expected.length; i++) {
      const wanted = Number(expected[i]);
      const distance = Math.abs(Number(actual[i]) - wanted);
      // NaN counts as far away.
      this.#largest = Math.max(this.#largest, Number.isNaN(distance) ? Infinity : distance);
      this.#squares += distance * distance;
      this.#signal += wanted * wanted;
      this.#least = Math.min(this.#least, wanted);
      this.#most = Math.max(this.#most, wanted);
      if (isInteger) this.#histogram.set(distance, (this.#histogram.get(distance) ?? 0) + 1);
    }
    this.#count += expected.length;
  }

  get comparison(): Comparison {
    const steps = [...this.#histogram].sort(([a], [b]) => a - b);
    // A constant has no range: its distances are left as they are.
    const range = this.#most > this.#least ? this.#most - this.#least : 1;
    return {
      output: this.#output,
      ...(steps.length === 0
        ? {}
        : { lsb: Object.fromEntries(steps.map(([step, times]) => [String(step), times])) }),
      largest: this.#largest,
      relative: this.#largest / range,
      rms: Math.sqrt(this.#squares / this.#count) / range,
      ...(this.#squares > 0 ? { snr: 10 * Math.log10(this.#signal / this.#squares) } : {}),
    };
  }
}

/** One output of one inference. */
export function compare(output: string, actual: InputArray, expected: InputArray): Comparison {
  const accuracy = new Accuracy(output);
  accuracy.add(actual, expected);
  return accuracy.comparison;
}

/** Whether it is a float output, and nearer than `snr` dB. Without a distance it is. */
export function within(snr: number, { lsb, snr: own = Infinity }: Comparison): boolean {
  return lsb === undefined && own >= snr;
}

/** Integers: how many elements are how many steps away. Floats: shares of the range. */
export function distances({ lsb, relative, rms, snr }: Comparison): string {
  if (lsb === undefined) {
    if (snr === undefined) return 'the same to the bit';
    return `SNR ${snr.toFixed(1)} dB, error at most ${share(relative)} of range, rms ${share(rms)}`;
  }
  return `LSB ${Object.entries(lsb)
    .map(([step, times]) => `${step}: ${times}`)
    .join(', ')}`;
}

/** `0.0123 %`: small shares keep their digits. */
function share(value: number): string {
  const percent = value * 100;
  return `${percent !== 0 && percent < 1e-4 ? percent.toExponential(0) : Number(percent.toPrecision(2))} %`;
}
