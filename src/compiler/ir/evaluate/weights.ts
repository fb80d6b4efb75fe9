// The second factor of convolutions and products, as doubles read piece by piece: a hundred million weights are never copied whole.
// Not packed for a device: targets do that.
import type { TypedArray } from '../types.js';
import type { Tensor } from './tensor.js';

/** Elements of a weight tensor, in row-major order. */
export interface Weights {
  /** All elements have this value. Then `read` need not be called. */
  readonly fill: number | undefined;
  /** Writes elements [from, from + count) to the start of `into`. */
  read(from: number, count: number, into: Float64Array): void;
}

/**
 * The elements, minus a zero point where there is one: `zeroPoint[floor(i / inner) % zeroPoint.length]` belongs to element i.
 */
export function weightsOf(tensor: Tensor, zeroPoint?: ArrayLike<number>, inner = 1): Weights {
  const plain = zeroPoint === undefined || Array.from(zeroPoint).every((zero) => zero === 0);
  const { fill } = tensor;
  if (fill !== undefined && (plain || zeroPoint.length === 1))
    return { fill: fill - (plain ? 0 : zeroPoint[0]!), read: () => undefined };
  const data: TypedArray = tensor.data;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array)
    throw new TypeError('weights of 64-bit integers');
  return {
    fill: undefined,
    read(from, count, into) {
      into.set(data.subarray(from, from + count));
      if (!plain)
        for (let i = 0; i < count; i++)
          into[i]! -= zeroPoint[Math.floor((from + i) / inner) % zeroPoint.length]!;
    },
  };
}
