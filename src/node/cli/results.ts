// What a model's outputs say: reals from integers, probabilities from logits, the greatest with their names.
// Not printing.
import type { InputArray } from '../input/load.js';
import { labelsOf, type OutputMeaning, type Sidecar } from '../input/sidecar.js';
import type { MLGraphTensor } from '../../runtime/index.js';

export interface TopEntry {
  readonly index: number;
  readonly label?: string;
  /** The model's own number. */
  readonly value: number;
  /** From 0 to 1; absent when the outputs are no probabilities. */
  readonly probability?: number;
}

export interface OutputResult {
  readonly type: string;
  readonly shape: readonly number[];
  readonly top: readonly TopEntry[];
}

/** The `k` greatest elements, greatest first; of equal ones the lower index first. */
export function greatest(values: ArrayLike<number>, k: number): number[] {
  return Array.from(values, (_, index) => index)
    .sort((a, b) => values[b]! - values[a]! || a - b)
    .slice(0, k);
}

export function softmax(values: readonly number[]): number[] {
  const most = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - most));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** What to show of one output. */
export function interpret(
  name: string,
  elements: InputArray,
  tensor: MLGraphTensor,
  sidecar: Sidecar | undefined,
  k: number,
): OutputResult {
  const meaning = sidecar?.outputs[name];
  const numbers = Array.from(elements as ArrayLike<number | bigint>, Number);
  const labels = sidecar === undefined || meaning === undefined ? undefined : labelsOf(sidecar, meaning);
  const order = greatest(numbers, k);
  const shares = meaning === undefined ? undefined : probabilities(numbers, meaning, tensor);
  const top = order.map((index) => {
    const label = labels?.[index];
    return {
      index,
      ...(label === undefined ? {} : { label }),
      value: numbers[index]!,
      ...(shares === undefined ? {} : { probability: shares[index]! }),
    };
  });
  return { type: tensor.dataType, shape: tensor.shape, top };
}

function probabilities(
  numbers: readonly number[],
  meaning: OutputMeaning,
  tensor: MLGraphTensor,
): number[] | undefined {
  if (meaning.kind === 'values') return undefined;
  const own = tensor.quantization;
  const scale = meaning.dequantise?.scale ?? own?.scale[0] ?? 1;
  const zeroPoint = meaning.dequantise?.zeroPoint ?? own?.zeroPoint[0] ?? 0;
  const reals = numbers.map((value) => (value - zeroPoint) * scale);
  return meaning.kind === 'logits' ? softmax(reals) : reals;
}
