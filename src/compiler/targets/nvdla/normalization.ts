// Local response normalisation on CDP: the power as a table over the sum of squares.
// Not batch normalisation, which is a factor and an offset (elementwise.ts).
import { inputOf, nameOf, nodeError, type NodeOf } from '../../ir/index.js';
import { wholeWindow } from './cube.js';
import type { Lowering } from './lowering.js';
import { linearTable } from './lut.js';
import { planResult } from './result.js';

const SIZES = [3, 5, 7, 9];
/** Sums of squares of nine 9-bit numbers lie below this. */
const INT16_MAX = 32767;
const OFFSET_MAX = 2 ** 24 - 1;

export function lowerLrn(lowering: Lowering, node: NodeOf<'LRN'>): void {
  const { size, alpha, beta, bias } = node.attributes;
  if (!SIZES.includes(size))
    throw nodeError(node, 'EOPNOTSUPP', `${size} channels, the unit sums ${SIZES.join(', ')}`);
  if (!(bias > 0) || alpha < 0) throw nodeError(node, 'EOPNOTSUPP', `bias ${bias}, alpha ${alpha}`);
  const input = lowering.inCube(node, inputOf(node, 0));
  if (input.quantization.half) throw nodeError(node, 'EOPNOTSUPP', 'computed on int8 only');
  const result = planResult(lowering, node, node.outputs[0]!, input.cube, input.strides);
  const { scale: from, zeroPoint } = input.quantization;
  const to = result.quantization;
  // The greatest sum there can be sets the width of the table's intervals.
  const most = Math.min(size, input.cube.channels) * (128 + Math.abs(zeroPoint)) ** 2;
  let select = 0;
  while (256 * 2 ** select < most) select++;
  const power = (sum: number): number => (bias + (alpha / size) * sum * from * from) ** -beta;
  const top = INT16_MAX / Math.max(power(0), power(most));
  // out = table * u * (from / to / top): a 15-bit multiplier and a shift.
  const factor = from / to.scale / top;
  let truncate = 14 - Math.floor(Math.log2(factor));
  let scale = Math.round(factor * 2 ** truncate);
  const offsetFor = (): number => Math.round((-to.zeroPoint * 2 ** truncate) / scale);
  while (truncate > 0 && (truncate > 63 || scale > INT16_MAX || Math.abs(offsetFor()) > OFFSET_MAX)) {
    truncate--;
    scale = Math.round(factor * 2 ** truncate);
  }
  if (truncate < 0 || scale < 1 || Math.abs(offsetFor()) > OFFSET_MAX)
    throw nodeError(node, 'EOPNOTSUPP', 'the scales of input and output are too far apart');
  lowering.layers.push({
    kind: 'norm',
    nodes: [nameOf(node)],
    input: wholeWindow(input.cube),
    output: wholeWindow(result.cube),
    size,
    lut: linearTable('LRN', 0, select, (sum) => power(sum) * top),
    in: { offset: zeroPoint, scale: 1, truncate: 0 },
    out: { offset: offsetFor(), scale, truncate },
    macs: 0,
    hardwareMacs: 0,
  });
  result.finish();
}
