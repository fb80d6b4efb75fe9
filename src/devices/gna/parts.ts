// Large layers in parts that threads compute side by side: rows of results, positions of a convolution.
// Not arithmetic: each part is a command of its own whose results lie apart, so the bytes are those of the whole.
import type { Parallel } from '../../bus/port.js';
import { operations, resultWord, type Operation } from './command.js';
import type { LayerPlan } from './plan/plan.js';

/** Work of a part, in multiply-accumulates, below which the hand-over to another thread costs more than it wins. */
const LEAST_WORK = 1_000_000;
/** What activating and storing a result takes, in multiply-accumulates. */
const RESULT_WORK = 32;
/** Rows that kernels compute at a time. */
const ROW_STEP = 4;
const SCALE_BYTES = 8;
const INDEX_BYTES = 4;
const SUM_BYTES = 4;
const SCORE_BYTES = 4;

/** A field of the command at hand. */
type Get = (field: string) => number;
type Fields = Readonly<Record<string, number>>;

interface Splitter {
  readonly words: ReadonlyMap<string, number>;
  /** Multiply-accumulates of the whole. */
  macs(get: Get): number;
  /** Elements the layer writes. */
  results(get: Get): number;
  /** How many rows, columns or lines of results there are to share out, and by how many at a time. */
  count(get: Get): number;
  readonly step: number;
  /** What differs from the whole's fields when only results `from` to `to` are computed. */
  slice(get: Get, from: number, to: number): Fields;
}

const wordsOf = (operation: Operation): ReadonlyMap<string, number> =>
  new Map(operations[operation].layout.map((field, i) => [field, i + 1]));

function rows(operation: Operation, weights: (get: Get) => number, input: (get: Get) => number): Splitter {
  return {
    words: wordsOf(operation),
    macs: (get) => get('outputs') * get('groups') * weights(get),
    results: (get) => get('outputs') * get('groups'),
    count: (get) => get('outputs'),
    step: ROW_STEP,
    slice: (get, from, to) => ({
      outputs: to - from,
      input: get('input') + from * input(get),
      output: get('output') + from * get('groups') * (get('outputBytes') || SUM_BYTES),
      // Rows of a list keep their weights and biases: it is the list that moves on. 0: none, as for multipliers.
      ...(get('list') !== 0
        ? { list: get('list') + from * INDEX_BYTES }
        : {
            weights: get('weights') + from * weights(get) * get('weightBytes'),
            bias: get('bias') + from * get('biasStride'),
            scale: get('scale') && get('scale') + from * SCALE_BYTES,
          }),
    }),
  };
}

/** Positions of the convolution that outputs `from` to `to` need, and those in no window, which may saturate as well. */
function span(get: Get, axis: 'Width' | 'Height', from: number, to: number): readonly [number, number] {
  const all = get(`conv${axis}`);
  const stride = get('pool') === 0 ? 1 : get(`poolStride${axis}`);
  const window = get('pool') === 0 ? 1 : get(`pool${axis}`);
  const end = to === get(`out${axis}`) ? all : Math.max((to - 1) * stride + window, to * stride);
  return [from * stride, Math.min(end, all)];
}

/** Fields of a slice along one axis. Padding before the first position is what is left of it. */
function along(get: Get, axis: 'Width' | 'Height', from: number, to: number, elements: number): Fields {
  const size = axis === 'Width' ? 'width' : 'height';
  const [first, end] = span(get, axis, from, to);
  const skipped = first * get(`stride${axis}`) - get(`pad${axis}`);
  const inputs = Math.max(skipped, 0);
  return {
    [`out${axis}`]: to - from,
    [`conv${axis}`]: end - first,
    [size]: get(size) - inputs,
    [`pad${axis}`]: inputs - skipped,
    input: get('input') + inputs * elements * get('elementBytes'),
  };
}

const conv: Splitter = {
  words: wordsOf('conv'),
  macs: (get) =>
    get('convWidth') *
    get('convHeight') *
    get('filters') *
    get('kernelWidth') *
    get('kernelHeight') *
    get('depth'),
  results: (get) => get('convWidth') * get('convHeight') * get('filters'),
  count: (get) => (get('height') === 1 ? get('outWidth') : get('outHeight')),
  step: 1,
  slice: (get, from, to) => {
    const pixel = get('filters') * (get('outputBytes') || SUM_BYTES);
    if (get('height') !== 1) {
      const line = get('outWidth') * pixel;
      return {
        ...along(get, 'Height', from, to, get('width') * get('depth')),
        output: get('output') + from * line,
      };
    }
    return { ...along(get, 'Width', from, to, get('depth')), output: get('output') + from * pixel };
  },
};

const gmm: Splitter = {
  words: wordsOf('gmm'),
  macs: (get) => get('rows') * get('vectors') * get('mixtures') * get('length'),
  results: (get) => get('rows') * get('vectors'),
  count: (get) => get('rows'),
  step: 1,
  slice: (get, from, to) => ({
    rows: to - from,
    scores: get('scores') + from * get('vectors') * SCORE_BYTES,
    ...(get('list') !== 0
      ? { list: get('list') + from * INDEX_BYTES }
      : {
          means: get('means') + from * get('meanStride'),
          variances: get('variances') + from * get('varianceStride'),
          constants: get('constants') + from * get('constantStride'),
        }),
  }),
};

/** By command code. Not those whose results feed back, nor those that only move elements. */
const splitters: Splitter[] = [];
splitters[operations.affine.code] = rows(
  'affine',
  (get) => get('inputs'),
  () => 0,
);
splitters[operations.diagonal.code] = rows(
  'diagonal',
  () => 1,
  (get) => get('groups') * get('inputBytes'),
);
splitters[operations.conv.code] = conv;
splitters[operations.gmm.code] = gmm;

/** Whether no memory that a mapped layer writes is read by it too: then order does not matter. */
export function liesApart({ operands, values }: LayerPlan): boolean {
  return operands.every((to) => {
    if (to.access === 'read') return true;
    const start = values[to.field]!;
    return operands.every((from) => {
      const at = values[from.field]!;
      return from === to || at >= start + to.bytes || start >= at + from.bytes;
    });
  });
}

/** @param least work of a part, in multiply-accumulates */
export function splitCommand(
  command: Int32Array,
  parts: number,
  least: number,
): readonly Int32Array[] | undefined {
  const splitter = splitters[command[0]!];
  if (splitter === undefined) return undefined;
  const get: Get = (field) => command[splitter.words.get(field)!]!;
  if (get('apart') === 0) return undefined;
  const work = splitter.macs(get) + RESULT_WORK * splitter.results(get);
  const blocks = Math.ceil(splitter.count(get) / splitter.step);
  const count = Math.min(parts, blocks, Math.floor(work / least));
  if (count < 2) return undefined;
  const cut = (part: number): number =>
    part === count ? splitter.count(get) : Math.floor((blocks * part) / count) * splitter.step;
  return Array.from({ length: count }, (_, part) => {
    const copy = command.slice();
    const fields = splitter.slice(get, cut(part), cut(part + 1));
    for (const [field, value] of Object.entries(fields)) copy[splitter.words.get(field)!] = value;
    return copy;
  });
}

export const parallel: Parallel = {
  split: (_engine, command, parts) => splitCommand(command, parts, LEAST_WORK),

  join(results) {
    for (const part of results.slice(1)) results[0]![resultWord.saturated]! |= part[resultWord.saturated]!;
  },
};
