// Pooling over windows: maxima, sums and counts over doubles, for one to three spatial axes.
// Not quantised: quantized.ts scales the sums itself.
import type { PoolAttributes } from '../operators.js';
import type { Shape } from '../types.js';

/** What one window saw: called with the planes' elements and the flat input indices of the taps inside the input. */
type Reduce = (x: Float64Array, taps: Int32Array, count: number, padded: number) => number;

/**
 * Runs `reduce` over every window. `padded` is the number of taps inside input plus pads, the divisor of
 * count_include_pad. Indices are into all of x.
 */
export function pool(
  x: Float64Array,
  shape: Shape,
  out: Shape,
  attributes: PoolAttributes,
  reduce: Reduce,
): Float64Array {
  const rank = attributes.kernel_shape.length;
  const pick = (list: readonly number[], fill: number) => [
    ...new Array<number>(3 - rank).fill(fill),
    ...list,
  ];
  const input = pick(shape.slice(2), 1);
  const output = pick(out.slice(2), 1);
  const kernel = pick(attributes.kernel_shape, 1);
  const stride = pick(attributes.strides, 1);
  const dilation = pick(attributes.dilations, 1);
  const begin = pick(attributes.pads.slice(0, rank), 0);
  const end = pick(attributes.pads.slice(rank), 0);
  const plane = input[0]! * input[1]! * input[2]!;
  const planes = shape[0]! * shape[1]!;
  const windows = output[0]! * output[1]! * output[2]!;
  const result = new Float64Array(planes * windows);
  const taps = new Int32Array(kernel[0]! * kernel[1]! * kernel[2]!);
  const shifted = new Int32Array(taps.length);
  let window = 0;
  for (let od = 0; od < output[0]!; od++) {
    for (let oh = 0; oh < output[1]!; oh++) {
      for (let ow = 0; ow < output[2]!; ow++, window++) {
        let count = 0;
        let padded = 0;
        for (let kd = 0; kd < kernel[0]!; kd++) {
          const d = od * stride[0]! + kd * dilation[0]! - begin[0]!;
          if (d >= input[0]! + end[0]!) continue;
          for (let kh = 0; kh < kernel[1]!; kh++) {
            const h = oh * stride[1]! + kh * dilation[1]! - begin[1]!;
            if (h >= input[1]! + end[1]!) continue;
            for (let kw = 0; kw < kernel[2]!; kw++) {
              const w = ow * stride[2]! + kw * dilation[2]! - begin[2]!;
              if (w >= input[2]! + end[2]!) continue;
              padded++;
              if (d < 0 || h < 0 || w < 0 || d >= input[0]! || h >= input[1]! || w >= input[2]!) continue;
              taps[count++] = (d * input[1]! + h) * input[2]! + w;
            }
          }
        }
        for (let p = 0; p < planes; p++) {
          for (let i = 0; i < count; i++) shifted[i] = taps[i]! + p * plane;
          result[p * windows + window] = reduce(x, shifted, count, padded);
        }
      }
    }
  }
  return result;
}

/** The window that covers everything: what the Global pools are. */
export function globalWindow(shape: Shape): PoolAttributes {
  const kernel = shape.slice(2);
  const ones = kernel.map(() => 1);
  return {
    kernel_shape: [...kernel],
    strides: ones,
    dilations: ones,
    pads: [...kernel, ...kernel].map(() => 0),
    ceil_mode: 0,
  };
}

export const maximum: Reduce = (x, taps, count) => {
  let best = -Infinity;
  for (let i = 0; i < count; i++) {
    const value = x[taps[i]!]!;
    if (value > best || value !== value) best = value;
  }
  return best;
};

export const sum: Reduce = (x, taps, count) => {
  let total = 0;
  for (let i = 0; i < count; i++) total += x[taps[i]!]!;
  return total;
};

/** The mean over the taps inside the input, or with `includePad` over the padded window. */
export const average =
  (includePad: boolean): Reduce =>
  (x, taps, count, padded) =>
    sum(x, taps, count, padded) / (includePad ? padded : count);

/** The p-norm. */
export const norm =
  (p: number): Reduce =>
  (x, taps, count) => {
    let total = 0;
    for (let i = 0; i < count; i++) total += Math.abs(x[taps[i]!]!) ** p;
    return total ** (1 / p);
  };
