// Operators on two tensors that the device has: sums and products, element by element.
// Not those with a known operand: elementwise.ts.
//
// A diagonal layer multiplies two tensors when its weights are what another layer wrote; it adds two when its biases are the 32-bit
// sums of another layer. Weights and biases are places in memory like any other.
import {
  inputOf,
  integerRange,
  nameOf,
  type Node,
  nodeError,
  type NodeOf,
  sameShape,
  shapeOf,
  type Value,
} from '../../ir/index.js';
import { perTensor } from '../../ir/evaluate/quantized.js';
import type { Operand } from './layers.js';
import { align, ALIGN, ELEMENT_STEP, ELEMENTS_MAX } from './limits.js';
import { blob, int32Blob, type Lowering } from './lowering.js';
import { activate, INT16_MAX, lineTable, type Table } from './pwl.js';
import { alike } from './relayout.js';
import { levels, storedOf, tableFor } from './scale.js';
import { staircase } from './staircase.js';
import { spanOf, type Stored, type View } from './view.js';
import { segmentsBlob } from './windows.js';

/** Of the two factors of a sum: products of 16 bits that add up within 32. */
const WEIGHT_MAX = 32766;
/** Exact copies: sums are this times the element, which the table divides by. */
const ONE = 2 ** 8;

interface Result {
  readonly table: Table;
  readonly stored: Stored;
  readonly detail: Readonly<Record<string, number | string>>;
}

/** Add or Sub of two tensors of one shape. */
export function lowerSum(lowering: Lowering, node: NodeOf<'Add'> | NodeOf<'Sub'>): void {
  const [a, b] = operandsOf(lowering, node);
  const out = node.outputs[0]!;
  const sign = node.op === 'Sub' ? -1 : 1;
  const { first, second, ...result } =
    out.quantization === undefined ? realSum(lowering, node, a.stored, b.stored) : quantizedSum(node, sign);
  // All terms but the last as 32-bit sums, which are the biases of the layer that adds the next.
  const terms = [...termsOf(lowering, node, b, sign * second), ...termsOf(lowering, node, a, first)];
  const last = terms.pop()!;
  let bias: Diagonal['bias'] = 0;
  for (const { view, weight } of terms) bias = addDiagonals(lowering, node, view, { weights: weight, bias });
  addDiagonals(lowering, node, last.view, { weights: last.weight, bias, result, value: out });
}

/** `view` times a whole number, as products with weights of 16 bits: of the tensor, and of one that is larger by `WIDER`. */
function termsOf(
  lowering: Lowering,
  node: Node,
  view: View,
  weight: number,
): { view: View; weight: number }[] {
  if (Math.abs(weight) <= INT16_MAX) return [{ view, weight }];
  const more = Math.trunc(weight / WIDER);
  const wider = scaled(lowering, node, view, WIDER);
  return [
    { view, weight: weight - more * WIDER },
    { view: wider, weight: more },
  ];
}

/** The tensor times a small whole number, exactly. */
function scaled(lowering: Lowering, node: Node, view: View, factor: number): View {
  const table = lineTable({ slope: 1 << 8, shift: 16 }, -INT16_MAX, INT16_MAX);
  const result = { table, stored: view.stored, detail: {} };
  return addDiagonals(lowering, node, view, { weights: factor * ONE, bias: 0, result }).view;
}

/** Mul of two tensors of one shape. */
export function lowerTensorProduct(lowering: Lowering, node: NodeOf<'Mul'>): void {
  let [a, b] = operandsOf(lowering, node);
  const out = node.outputs[0]!;
  let result: Result;
  if (out.quantization === undefined) {
    const { table, scale, detail } = tableFor(
      node.activation,
      a.stored.scale * b.stored.scale,
      storedOf(node, out, lowering.ranges).scale,
    );
    result = { table, stored: { scale, zeroPoint: 0, limit: INT16_MAX }, detail };
  } else {
    const { factor, ...rest } = quantizedProduct(node, a.stored, b.stored);
    result = rest;
    if (a.stored.limit > b.stored.limit) [a, b] = [b, a];
    // Sums have room for the steps of the table when one factor is made larger, exactly.
    a = scaled(lowering, node, a, factor);
  }
  addDiagonals(lowering, node, b, { weights: a, bias: 0, result, value: out });
}

function operandsOf(lowering: Lowering, node: Node): [View, View] {
  const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
  const out = node.outputs[0]!;
  const fromHost = [a, b].every((value) => lowering.valueOf(node, value).kind === 'pending');
  const toHost = !lowering.uses.consumers(out).some((user) => lowering.nodes.has(user));
  // Between two operators of the host 16 bits would only take precision away.
  if (out.quantization === undefined && fromHost && toHost)
    throw nodeError(node, 'EOPNOTSUPP', 'its operands come from the host and its result goes back there');
  const shape = shapeOf(out);
  if (!sameShape(shapeOf(a), shape) || !sameShape(shapeOf(b), shape))
    throw nodeError(
      node,
      'EOPNOTSUPP',
      `two tensors of different shapes, [${shapeOf(a).join(',')}] and [${shapeOf(b).join(',')}]: neither is known when compiling`,
    );
  return alike(lowering, node, a, b);
}

function realSum(
  lowering: Lowering,
  node: Node,
  a: Stored,
  b: Stored,
): Result & { first: number; second: number } {
  const unit = Math.max(a.scale, b.scale) / WEIGHT_MAX;
  const wanted = storedOf(node, node.outputs[0]!, lowering.ranges).scale;
  const { table, scale, detail } = tableFor(node.activation, unit, wanted);
  const stored = { scale, zeroPoint: 0, limit: INT16_MAX };
  const weight = ({ scale: own }: Stored): number => Math.round(own / unit);
  return { table, stored, detail, first: weight(a), second: weight(b) };
}

/** Steps of sums per unit: what a staircase needs to have a place for every step. */
const STEP = 4;
/** Times 8 bits within 16. */
const WIDER = 127;
/** Of the weights of a sum: with this step and 8-bit operands sums stay within 32 bits. */
const WIDE_MAX = 1e6;

/** Whole weights whose ratio is that of the scales, and the staircase that is right for every pair of 8-bit operands. */
function quantizedSum(node: Node, sign: number): Result & { first: number; second: number } {
  const out = node.outputs[0]!;
  const stored = storedOf(node, out, undefined);
  const sOut = perTensor(node, out).scale;
  const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
  const [ra, rb] = [perTensor(node, a).scale / sOut, perTensor(node, b).scale / sOut];
  const [as, bs] = [levelsOf(node, a), levelsOf(node, b)];
  const level = levels(out, node.activation, stored);
  let best: (Result & { first: number; second: number }) | undefined;
  let least = Infinity;
  // Weights of 16 bits cost two layers, wider ones six; the larger the sums, the coarser the slopes of the table.
  const narrow = fractions(ra / rb, Math.floor(WEIGHT_MAX / STEP));
  const wide = fractions(ra / rb, WIDE_MAX).slice(narrow.length);
  for (const [p, q] of [...narrow.reverse(), ...wide]) {
    const ratio = p >= q ? ra / p : rb / q;
    const table = staircase({ unit: STEP, level: (n) => level(n * ratio) });
    if (table === undefined) continue;
    let wrong = 0;
    for (const x of as)
      for (const y of bs)
        if (activate(table, (x * p + sign * y * q) * STEP) !== level(x * ra + sign * y * rb)) wrong++;
    if (wrong >= least) continue;
    least = wrong;
    const rounding = wrong === 0 ? 'exact' : `${wrong} pairs of operands a step off`;
    const detail = { rounding, segments: table.length };
    best = { table, stored, detail, first: p * STEP, second: q * STEP };
    if (wrong === 0) break;
  }
  if (best === undefined)
    throw nodeError(
      node,
      'EOPNOTSUPP',
      'its result has more levels than an activation table of 128 segments',
    );
  return best;
}

/** All that an 8-bit value can be, its zero point taken off. */
function levelsOf(node: Node, value: Value): readonly number[] {
  const { min, max } = integerRange(value.type)!;
  const { zeroPoint } = perTensor(node, value);
  return Array.from({ length: max - min + 1 }, (_, i) => min + i - zeroPoint);
}

/** Continued fractions of a ratio, numerator and denominator at most `most`, ever nearer. */
function fractions(ratio: number, most: number): [number, number][] {
  const found: [number, number][] = [];
  let [p0, q0, p1, q1] = [0, 1, 1, 0];
  for (let x = ratio; ; x = 1 / (x - Math.floor(x))) {
    const whole = Math.floor(x);
    [p0, q0, p1, q1] = [p1, q1, whole * p1 + p0, whole * q1 + q0];
    if (p1 > most || q1 > most || !Number.isFinite(x)) break;
    found.push([p1, q1]);
    if (x === whole) break;
  }
  if (found.length === 0) found.push(ratio > 1 ? [most, 1] : [1, most]);
  return found;
}

/** One factor is made `factor` times as large: then the table's steps are where the integer semantics have them. */
function quantizedProduct(node: Node, a: Stored, b: Stored): Result & { factor: number } {
  const out = node.outputs[0]!;
  const stored = storedOf(node, out, undefined);
  const ratio = (a.scale * b.scale) / perTensor(node, out).scale;
  const level = levels(out, node.activation, stored);
  const most = Math.floor(INT16_MAX / Math.max(Math.min(a.limit, b.limit), ONE));
  for (let factor = most; factor >= STEP; factor--) {
    const table = staircase({ unit: factor, level: (n) => level(n * ratio) });
    if (table !== undefined)
      return { table, stored, detail: { rounding: 'exact', segments: table.length }, factor };
  }
  throw nodeError(node, 'EOPNOTSUPP', 'its result has more levels than an activation table of 128 segments');
}

interface Diagonal {
  /** One weight for all elements, or a tensor that lies as the input does. */
  readonly weights: number | View;
  /** 0, or 32-bit sums that lie as the input does. */
  readonly bias: 0 | Sums;
  /** Without: the results are 32-bit sums. */
  readonly result?: Result;
  /** What the result is. */
  readonly value?: Value;
}

/** Results of diagonal layers: from the 64 bytes on in which the operand's first element lies. */
interface Sums {
  readonly view: View;
}

/** Diagonal layers over the memory of `view`, gaps included; results lie as the input does. */
function addDiagonals(lowering: Lowering, node: Node, view: View, diagonal: Diagonal): Sums {
  const { weights, bias, result, value } = diagonal;
  const lead = view.offset % ALIGN;
  const span = align(lead + spanOf(view.dims), ELEMENT_STEP);
  const width = result === undefined ? 2 : 1;
  const plane = lowering.plane(node, span * width);
  const most = ELEMENTS_MAX - (ELEMENTS_MAX % ALIGN);
  const zeros = int32Blob(new Int32Array(Math.min(span, most)));
  const segments = result === undefined ? undefined : segmentsBlob(result.table);
  for (let from = 0; from < span; from += most) {
    const count = Math.min(most, span - from);
    const weightsOf = (): Operand => {
      if (typeof weights === 'number')
        return blob(count * 2, () => new Uint8Array(new Int16Array(count).fill(weights).buffer));
      return { plane: weights.plane, offset: weights.offset - lead + from };
    };
    lowering.add({
      kind: 'diagonal',
      nodes: [nameOf(node)],
      input: { plane: view.plane, offset: view.offset - lead + from },
      output: { plane, offset: from * width },
      outputs: count,
      weightBytes: 2,
      weights: weightsOf(),
      bias: bias === 0 ? zeros : { plane: bias.view.plane, offset: from * 2 },
      segments,
      segmentCount: result?.table.length ?? 0,
      macs: 0,
      hardwareMacs: count,
      ...(result === undefined ? {} : { detail: result.detail }),
    });
  }
  const dims = view.dims.map((dim) => ({ ...dim, before: 0, after: 0 }));
  const made = { plane, offset: lead, dims, stored: result?.stored ?? view.stored };
  if (value !== undefined) lowering.place(value, made);
  return { view: made };
}
