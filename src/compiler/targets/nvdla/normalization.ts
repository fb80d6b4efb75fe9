// Local response normalisation on CDP: the power as a table over the sum of squares.
// Not batch normalisation, which is a factor and an offset (elementwise.ts).
import { inputOf, nameOf, nodeError, type NodeOf } from '../../ir/index.js';
import { type PlacedValue, wholeWindow } from './cube.js';
import { unconverted } from './half-stages.js';
import type { Lowering } from './lowering.js';
import { halfTable, linearTable } from './lut.js';
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
  if (input.quantization.half) return lowerHalfLrn(lowering, node, input);
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

/**
 * In fp16 the range of the sums is not known: the tables are spread where the power bends, whose measure is bias / alpha. The main one reaches to
 * 16 times that or more, the side one on to 272 times: within 1 % of the factor. Behind that the factor stays as it is, and the report says from where on.
 */
function lowerHalfLrn(lowering: Lowering, node: NodeOf<'LRN'>, input: PlacedValue): void {
  const { size, alpha, beta, bias } = node.attributes;
  const each = alpha / size / bias;
  const select = each > 0 ? Math.max(-20, Math.min(60, Math.ceil(Math.log2(1 / (16 * each))))) : 0;
  const main = { start: 0, select };
  const side = { start: 256 * 2 ** select, select: select + 6 };
  const power = (sum: number): number => (bias + (alpha / size) * sum) ** -beta;
  if (power(0) > 65504) throw nodeError(node, 'EOPNOTSUPP', `bias ${bias}: the power is no half`);
  const result = planResult(lowering, node, node.outputs[0]!, input.cube, input.strides);
  lowering.layers.push({
    kind: 'norm',
    nodes: [nameOf(node)],
    input: wholeWindow(input.cube),
    output: wholeWindow(result.cube),
    size,
    lut: halfTable(`LRN, to sums of ${side.start + 64 * 2 ** side.select}`, { main, side }, power),
    in: unconverted,
    out: unconverted,
    macs: 0,
    hardwareMacs: 0,
  });
  if (result.relu) throw nodeError(node, 'EOPNOTSUPP', 'an activation behind CDP');
  result.finish();
}
