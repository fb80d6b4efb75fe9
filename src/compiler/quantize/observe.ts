// Watches what values a float graph takes on calibration data, and chooses the range each is quantised over.
// Not the quantisation: quantize.ts turns ranges into scales.
import { CompileError, evaluate, type Graph, type TypedArray, type Value } from '../ir/index.js';

/** Inputs of one calibration run, by name. */
export type Calibration = Readonly<Record<string, TypedArray>>;

/** The reals from `min` to `max`; always contains 0. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/**
 * How a range is chosen from what was seen. `min-max`: all of it. `percentile`: without the outermost part on each side
 * (0.9999 leaves out one in ten thousand). `mse`: the range with the least mean squared error after quantisation.
 */
export type RangeMethod = 'min-max' | 'mse' | { readonly percentile: number };

const BINS = 2048;

/** What was seen of one value: extremes first, then a histogram between them. */
class Observation {
  min = 0;
  max = 0;
  bins: Float64Array | undefined;

  extend(data: ArrayLike<number>): void {
    let { min, max } = this;
    for (let i = 0; i < data.length; i++) {
      const x = data[i]!;
      if (x < min) min = x;
      if (x > max) max = x;
      // A NaN makes the range one, so that it is refused.
      if (Number.isNaN(x)) max = NaN;
    }
    this.min = min;
    this.max = max;
  }

  count(data: ArrayLike<number>): void {
    const bins = (this.bins ??= new Float64Array(BINS));
    const width = (this.max - this.min) / BINS;
    if (!(width > 0)) return;
    for (let i = 0; i < data.length; i++) {
      const bin = Math.floor((data[i]! - this.min) / width);
      bins[bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin]!++;
    }
  }

  merge(other: Observation): Observation {
    const joined = new Observation();
    joined.min = Math.min(this.min, other.min);
    joined.max = Math.max(this.max, other.max);
    if (this.bins === undefined && other.bins === undefined) return joined;
    const bins = (joined.bins = new Float64Array(BINS));
    const width = (joined.max - joined.min) / BINS;
    for (const from of [this, other]) {
      from.bins?.forEach((count, i) => {
        const centre = from.min + ((i + 0.5) * (from.max - from.min)) / BINS;
        bins[Math.min(BINS - 1, Math.max(0, Math.floor((centre - joined.min) / width)))]! += count;
      });
    }
    return joined;
  }

  percentile(keep: number): Range {
    const { bins } = this;
    if (bins === undefined) return this;
    const total = bins.reduce((sum, count) => sum + count, 0);
    const width = (this.max - this.min) / BINS;
    const cut = total * (1 - keep);
    let low = 0;
    for (let seen = bins[0]!; seen <= cut && low < BINS - 1; seen += bins[++low]!);
    let high = BINS - 1;
    for (let seen = bins[high]!; seen <= cut && high > 0; seen += bins[--high]!);
    return { min: Math.min(0, this.min + low * width), max: Math.max(0, this.min + (high + 1) * width) };
  }

  leastError(symmetric: boolean): Range {
    const { bins } = this;
    if (bins === undefined || !(this.max > this.min)) return this;
    let best: Range = { min: this.min, max: this.max };
    let least = Infinity;
    for (let percent = 100; percent >= 20; percent -= 2) {
      const range = { min: (this.min * percent) / 100, max: (this.max * percent) / 100 };
      const bound = Math.max(range.max, -range.min);
      const [low, high] = symmetric ? [-bound, bound] : [range.min, range.max];
      const step = (high - low) / (symmetric ? 254 : 255);
      let error = 0;
      for (let i = 0; i < BINS; i++) {
        if (bins[i] === 0) continue;
        const x = this.min + ((i + 0.5) * (this.max - this.min)) / BINS;
        const beyond = x < low ? low - x : x > high ? x - high : 0;
        error += bins[i]! * (beyond > 0 ? beyond * beyond : (step * step) / 12);
      }
      if (error < least) {
        least = error;
        best = range;
      }
    }
    return best;
  }
}

/** Ranges of values, after `observe`. */
export class Ranges {
  readonly #seen: ReadonlyMap<Value, Observation>;
  readonly #method: RangeMethod;
  readonly #symmetric: boolean;

  constructor(seen: ReadonlyMap<Value, Observation>, method: RangeMethod, symmetric: boolean) {
    this.#seen = seen;
    this.#method = method;
    this.#symmetric = symmetric;
  }

  /** One range for all these values together. Throws EINVAL when what was seen is not finite. */
  of(values: Iterable<Value>): Range {
    let all: Observation | undefined;
    let name = '';
    for (const value of values) {
      const seen = this.#seen.get(value);
      if (seen === undefined) continue;
      name = value.name;
      all = all === undefined ? seen : all.merge(seen);
    }
    if (all === undefined || !Number.isFinite(all.min) || !Number.isFinite(all.max))
      throw new CompileError('EINVAL', {
        node: name,
        rule: 'calibration gave no finite range for this value',
      });
    if (this.#method === 'min-max') return all;
    return this.#method === 'mse' ? all.leastError(this.#symmetric) : all.percentile(this.#method.percentile);
  }
}

/** Runs the graph on every calibration input, twice when the method needs a histogram. */
export function observe(
  graph: Graph,
  wanted: ReadonlySet<Value>,
  calibration: readonly Calibration[],
  method: RangeMethod,
  symmetric: boolean,
): Ranges {
  const seen = new Map<Value, Observation>();
  for (const value of wanted) seen.set(value, new Observation());
  const run = (visit: (observation: Observation, data: ArrayLike<number>) => void) => {
    for (const inputs of calibration) {
      evaluate(graph, inputs, {
        observe: (value, data) => {
          const observation = seen.get(value);
          if (observation !== undefined) visit(observation, data as Float32Array);
        },
      });
    }
  };
  run((observation, data) => observation.extend(data));
  if (method !== 'min-max') run((observation, data) => observation.count(data));
  return new Ranges(seen, method, symmetric);
}
