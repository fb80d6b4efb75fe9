// The words of an engine command: what the front hands to the data path, one layer at a time.
// Not descriptors: addresses are DRAM offsets, sizes are counts. kernels/gna/command.ts reads them in this order.

/** Field names in order; the first word of every command is its operation. */
type Layout = readonly string[];
export type Values<L extends Layout> = Record<L[number], number>;

/** Affine, active list, multibias and diagonal layers. Contract of each field: kernels/gna/command.ts. */
export const affineLayout = [
  'inputs',
  'outputs',
  'groups',
  'inputBytes',
  'weightBytes',
  'chunk',
  'input',
  'weights',
  'bias',
  'biasBytes',
  'biasStride',
  'scale',
  'list',
  'output',
  'outputBytes',
  'segments',
  'segmentCount',
  'apart',
] as const;

export const recurrentLayout = [
  'inputs',
  'outputs',
  'vectors',
  'inputBytes',
  'weightBytes',
  'chunk',
  'input',
  'feedback',
  'weights',
  'bias',
  'biasBytes',
  'biasStride',
  'scale',
  'output',
  'outputBytes',
  'segments',
  'segmentCount',
] as const;

export const convLayout = [
  'legacy',
  'width',
  'height',
  'depth',
  'elementBytes',
  'filters',
  'kernelWidth',
  'kernelHeight',
  'strideWidth',
  'strideHeight',
  'padWidth',
  'padHeight',
  'filterPitch',
  'convWidth',
  'convHeight',
  'pool',
  'poolWidth',
  'poolHeight',
  'poolStrideWidth',
  'poolStrideHeight',
  'outWidth',
  'outHeight',
  'input',
  'weights',
  'bias',
  'biasBytes',
  'output',
  'outputBytes',
  'segments',
  'segmentCount',
  'apart',
] as const;

export const gmmLayout = [
  'vectors',
  'length',
  'mixtures',
  'rows',
  'features',
  'featurePitch',
  'means',
  'meanStride',
  'variances',
  'varianceStride',
  'varianceBytes',
  'constants',
  'constantStride',
  'maxScore',
  'list',
  'scores',
  'apart',
] as const;

/** Copies and transposes. */
export const moveLayout = [
  'rows',
  'columns',
  'elementBytes',
  'input',
  'inputPitch',
  'output',
  'outputPitch',
] as const;

/** First word of a command, and the layout of the others. */
export const operations = {
  affine: { code: 1, layout: affineLayout },
  diagonal: { code: 2, layout: affineLayout },
  recurrent: { code: 3, layout: recurrentLayout },
  conv: { code: 4, layout: convLayout },
  gmm: { code: 5, layout: gmmLayout },
  copy: { code: 6, layout: moveLayout },
  transpose: { code: 7, layout: moveLayout },
} as const;

export type Operation = keyof typeof operations;

/** Words of the longest command. */
export const COMMAND_WORDS = 1 + Math.max(...Object.values(operations).map(({ layout }) => layout.length));

/** Words of a result: status (0), something saturated. */
export const resultWord = { status: 0, saturated: 1 } as const;

/** Writes a command; returns the words used. */
export function encode(
  operation: Operation,
  values: Readonly<Record<string, number>>,
  to: Int32Array,
): number {
  const { code, layout } = operations[operation];
  to[0] = code;
  for (let i = 0; i < layout.length; i++) to[i + 1] = values[layout[i]!]!;
  return layout.length + 1;
}
