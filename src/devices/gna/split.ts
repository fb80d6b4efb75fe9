// Large layers in two parts, one per engine: rows of results, or positions of a convolution.
// Not arithmetic: each part is a command of its own whose results lie apart, so the bytes are those of the whole.
import type { Operation } from './command.js';
import type { LayerPlan } from './plan/plan.js';

type Values = Readonly<Record<string, number>>;
/** Fields that differ from the whole's. */
type Part = Record<string, number>;

/** Below this much work a hand-over to another thread takes longer than half the layer. */
const WORK_LEAST = 1 << 21;
/** What activating and storing a result takes, in multiply-accumulates. */
const RESULT_WORK = 32;
/** Row blocks of the kernels. */
const ROW_STEP = 4;
const SCALE_BYTES = 8;
const INDEX_BYTES = 4;
const SCORE_BYTES = 4;
const NO_LIST = 0;

/** Elements the layer writes. */
function resultsOf({ operation, values }: LayerPlan): number {
  if (operation === 'conv') return values['outWidth']! * values['outHeight']! * values['filters']!;
  return operation === 'gmm' ? values['rows']! * values['vectors']! : values['outputs']! * values['groups']!;
}

/** Whether memory that the layer writes is read by it too: then its order matters. Operands are mapped. */
function overlaps({ operands, values }: LayerPlan): boolean {
  return operands.some((to) => {
    if (to.access !== 'write') return false;
    const start = values[to.field]!;
    return operands.some((from) => {
      const at = values[from.field]!;
      return from !== to && at < start + to.bytes && start < at + from.bytes;
    });
  });
}

/** The parts of a mapped layer that is worth it; undefined where one engine does it all. */
export function splitLayer(plan: LayerPlan): readonly [Values, Values] | undefined {
  if (splitters[plan.operation] === undefined) return undefined;
  if (plan.macs + RESULT_WORK * resultsOf(plan) < WORK_LEAST || overlaps(plan)) return undefined;
  return partsOf(plan.operation, plan.values);
}

/** The command fields of both parts; undefined where results feed back, where elements only move, where there is one row. */
export function partsOf(operation: Operation, values: Values): readonly [Values, Values] | undefined {
  const parts = splitters[operation]?.(values);
  return (
    parts && [
      { ...values, ...parts[0] },
      { ...values, ...parts[1] },
    ]
  );
}

type Splitter = (values: Values) => readonly [Part, Part] | undefined;

const splitters: Readonly<Partial<Record<Operation, Splitter>>> = {
  affine: (v) => splitRows(v, v['inputs']!, 0),
  diagonal: (v) => splitRows(v, 1, v['groups']! * v['inputBytes']!),
  conv: (v) => (v['height'] === 1 ? splitColumns(v) : splitLines(v)),
  gmm: splitStates,
};

/** @param rowWeights weights of a row  @param rowInput bytes of a row's own inputs */
function splitRows(v: Values, rowWeights: number, rowInput: number): readonly [Part, Part] | undefined {
  const first = Math.ceil(v['outputs']! / 2 / ROW_STEP) * ROW_STEP;
  if (first >= v['outputs']!) return undefined;
  const rest: Part = {
    outputs: v['outputs']! - first,
    input: v['input']! + first * rowInput,
    output: v['output']! + first * v['groups']! * (v['outputBytes']! || 4),
  };
  if (v['list'] === NO_LIST) {
    rest['weights'] = v['weights']! + first * rowWeights * v['weightBytes']!;
    rest['bias'] = v['bias']! + first * v['biasStride']!;
    // 0: no multipliers.
    if (v['scale'] !== 0) rest['scale'] = v['scale']! + first * SCALE_BYTES;
  } else {
    rest['list'] = v['list']! + first * INDEX_BYTES;
  }
  return [{ outputs: first }, rest];
}

/** Positions of a convolution in one dimension without padding. */
function splitColumns(v: Values): readonly [Part, Part] | undefined {
  const first = v['outWidth']! >> 1;
  if (first === 0 || v['padWidth'] !== 0) return undefined;
  const pooled = v['pool'] !== 0;
  const skipped = first * (pooled ? v['poolStrideWidth']! : 1);
  // Up to where its last window ends, and what lies in no window: that may saturate too.
  const used = pooled ? Math.max((first - 1) * v['poolStrideWidth']! + v['poolWidth']!, skipped) : first;
  const inputs = skipped * v['strideWidth']!;
  return [
    { outWidth: first, convWidth: Math.min(used, v['convWidth']!) },
    {
      outWidth: v['outWidth']! - first,
      convWidth: v['convWidth']! - skipped,
      width: v['width']! - inputs,
      input: v['input']! + inputs * v['depth']! * v['elementBytes']!,
      output: v['output']! + first * v['filters']! * (v['outputBytes']! || 4),
    },
  ];
}

/** Lines of a convolution in two dimensions. */
function splitLines(v: Values): readonly [Part, Part] | undefined {
  const first = v['outHeight']! >> 1;
  if (first === 0) return undefined;
  const pooled = v['pool'] !== 0;
  const skipped = first * (pooled ? v['poolStrideHeight']! : 1);
  const used = pooled ? Math.max((first - 1) * v['poolStrideHeight']! + v['poolHeight']!, skipped) : first;
  // The second part starts below the padding at the top.
  const lines = skipped * v['strideHeight']! - v['padHeight']!;
  if (lines < 0) return undefined;
  return [
    { outHeight: first, convHeight: Math.min(used, v['convHeight']!) },
    {
      outHeight: v['outHeight']! - first,
      convHeight: v['convHeight']! - skipped,
      height: v['height']! - lines,
      padHeight: 0,
      input: v['input']! + lines * v['width']! * v['depth']! * v['elementBytes']!,
      output: v['output']! + first * v['outWidth']! * v['filters']! * (v['outputBytes']! || 4),
    },
  ];
}

function splitStates(v: Values): readonly [Part, Part] | undefined {
  const first = v['rows']! >> 1;
  if (first === 0) return undefined;
  const rest: Part = {
    rows: v['rows']! - first,
    scores: v['scores']! + first * v['vectors']! * SCORE_BYTES,
  };
  if (v['list'] === NO_LIST) {
    for (const [at, stride] of [
      ['means', 'meanStride'],
      ['variances', 'varianceStride'],
      ['constants', 'constantStride'],
    ] as const)
      rest[at] = v[at]! + first * v[stride]!;
  } else {
    rest['list'] = v['list']! + first * INDEX_BYTES;
  }
  return [{ rows: first }, rest];
}
