// Reads the index of test models and their arrays from ../shared/models.
// Not an importer: it only turns files into typed arrays.
import { readFileSync } from 'node:fs';
import { shared } from './shared.js';

/** A tensor file of a case. */
export interface ModelTensor {
  readonly file: string;
  readonly type: string;
  readonly shape: readonly number[];
}

export interface ModelCase {
  readonly name: string;
  readonly inputs: Readonly<Record<string, ModelTensor>>;
  readonly outputs: Readonly<Record<string, ModelTensor>>;
  readonly tolerance: { readonly abs?: number; readonly lsb?: number };
  readonly top1?: number;
}

export interface Model {
  readonly name: string;
  readonly file: string;
  readonly ops: Readonly<Record<string, number>>;
  readonly outputs: readonly {
    readonly name: string;
    readonly type: string;
    readonly shape: readonly number[];
  }[];
  readonly cases: readonly ModelCase[];
}

type ModelArray = Float32Array | Int8Array | Uint8Array | BigInt64Array;

const arrays = { float32: Float32Array, int8: Int8Array, uint8: Uint8Array, int64: BigInt64Array } as const;

/** All models of the index, or none when the data is not here. */
export function models(): readonly Model[] {
  const index = shared('models/models.json');
  return index === undefined ? [] : (JSON.parse(readFileSync(index, 'utf8')) as { models: Model[] }).models;
}

/** The bytes of a file under ../shared/models. */
export function modelFile(name: string): Uint8Array {
  return new Uint8Array(readFileSync(shared(`models/${name}`)!));
}

/** The elements of a tensor file. */
export function readTensor({ file, type }: ModelTensor): ModelArray {
  return new arrays[type as keyof typeof arrays](modelFile(file).buffer as ArrayBuffer);
}

/** The inputs of a case by name. */
export function caseInputs(from: ModelCase): Record<string, ModelArray> {
  return Object.fromEntries(Object.entries(from.inputs).map(([name, tensor]) => [name, readTensor(tensor)]));
}

/** The greatest absolute difference of two arrays of one length; NaN when one has a NaN. */
export function worstDifference(a: ArrayLike<number | bigint>, b: ArrayLike<number | bigint>): number {
  if (a.length !== b.length) return NaN;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(Number(a[i]) - Number(b[i]));
    if (!(difference <= worst)) worst = difference;
  }
  return worst;
}

/** The index of the largest element. */
export function top1(values: ArrayLike<number | bigint>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
