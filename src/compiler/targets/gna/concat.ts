// Concat: the operands brought to one scale, each written behind the other.
// Not a view: what lies in several planes has to lie in one.
import {
  elementCount,
  inputOf,
  nameOf,
  type Node,
  nodeError,
  type NodeOf,
  shapeOf,
  stridesOf,
  type Value,
} from '../../ir/index.js';
import { align, ALIGN, ELEMENT_STEP, ELEMENTS_MAX } from './limits.js';
import { blob, int32Blob, type Lowering } from './lowering.js';
import { INT16_MAX, lineTable, slopeNear, type Table } from './pwl.js';
import { quantities, storedOf } from './scale.js';
import { type At, axesOf, type Dim, placesOf, spanOf, type Stored, type View } from './view.js';
import { segmentsBlob } from './windows.js';

/** Makes room for the steps of the table. */
const WEIGHT = 2 ** 14;

export function lowerConcat(lowering: Lowering, node: NodeOf<'Concat'>): void {
  const out = node.outputs[0]!;
  const shape = shapeOf(out);
  const axis = node.attributes.axis < 0 ? node.attributes.axis + shape.length : node.attributes.axis;
  const views = node.inputs.map((_, i) => {
    const value = inputOf(node, i);
    if (value.data !== undefined) throw nodeError(node, 'EOPNOTSUPP', `"${value.name}" is a constant`);
    return lowering.anywhere(node, value);
  });
  // Images have their channels side by side in memory; everything else lies as the tensor's own order is.
  const blocks = elementCount(shape.slice(0, axis)) === 1 && views.every(inOrder);
  if (blocks) joinBlocks(lowering, node, views, out);
  else joinColumns(lowering, node, views, out, axis);
}

function inOrder(view: View): boolean {
  return placesOf(view.dims).every((place, i) => place === i);
}

/** Blocks of memory, one after the other. */
function joinBlocks(lowering: Lowering, node: Node, views: readonly View[], out: Value): void {
  const stored = storedOf(node, out, lowering.ranges);
  const counts = node.inputs.map((value) => elementCount(shapeOf(value!)));
  const total = counts.reduce((a, b) => a + b, 0);
  const plane = lowering.plane(node, total + ALIGN);
  let offset = 0;
  views.forEach((view, i) => {
    if (view.offset % ALIGN !== 0 || offset % ALIGN !== 0)
      throw nodeError(
        node,
        'EOPNOTSUPP',
        `operand ${i} does not begin on 64 bytes, or does not come to do so`,
      );
    // In order: what a block writes beyond its end the next one overwrites.
    rescale(lowering, node, view, i, stored, align(counts[i]!, ELEMENT_STEP), { plane, offset });
    offset += counts[i]!;
  });
  const dims: Dim[] = [{ size: total, tensor: 1, memory: 1, before: 0, after: 0 }];
  lowering.place(out, { plane, offset: 0, dims, stored });
}

/** An operand as columns that lie side by side, at every place of the other axes. */
interface Columns {
  readonly size: number;
  /** The places, innermost in memory first: `tensor` in the row-major result. */
  readonly others: readonly { readonly size: number; readonly tensor: number; readonly memory: number }[];
}

/** The operand's elements of `axis` side by side in memory; undefined when they are not. */
function columnsOf(
  view: View,
  own: readonly number[],
  shape: readonly number[],
  axis: number,
): Columns | undefined {
  const axes = axesOf(view.dims, own);
  const along = axes?.[axis];
  if (axes === undefined || along === undefined || along.length > 1 || (along[0]?.memory ?? 1) !== 1)
    return undefined;
  const [before, after] = [stridesOf(own), stridesOf(shape)];
  const others = axes
    .flatMap((pieces, a) =>
      a === axis
        ? []
        : pieces.map(({ size, tensor, memory }) => ({
            size,
            tensor: (tensor / before[a]!) * after[a]!,
            memory,
          })),
    )
    .sort((p, q) => p.memory - q.memory);
  return { size: own[axis]!, others };
}

/** The operands behind each other at every place: all that lies inside of the axis is a column, or the axis alone is. */
function joinColumns(lowering: Lowering, node: Node, views: readonly View[], out: Value, axis: number): void {
  const shapes = node.inputs.map((value) => shapeOf(value!));
  const flat = (shape: readonly number[]): number[] => [
    elementCount(shape.slice(0, axis)),
    elementCount(shape.slice(axis)),
  ];
  const whole = shapeOf(out);
  for (const [shape, owns, at] of [
    [flat(whole), shapes.map(flat), 1],
    [whole, shapes, axis],
  ] as const) {
    const columns = views.map((view, i) => columnsOf(view, owns[i]!, shape, at));
    if (columns.every((each) => each !== undefined)) {
      copyColumns(lowering, node, views, columns, { out, total: shape[at]!, tensor: stridesOf(shape)[at]! });
      return;
    }
  }
  throw nodeError(
    node,
    'EOPNOTSUPP',
    'an operand does not have the elements of the axis side by side in memory',
  );
}

function copyColumns(
  lowering: Lowering,
  node: Node,
  views: readonly View[],
  operands: readonly Columns[],
  { out, total, tensor }: { out: Value; total: number; tensor: number },
): void {
  const stored = storedOf(node, out, lowering.ranges);
  const refuse = (i: number, rule: string): never => {
    throw nodeError(node, 'EOPNOTSUPP', `operand ${i} ${rule}`);
  };
  const order = (columns: Columns): string =>
    JSON.stringify(columns.others.map((each) => [each.size, each.tensor]));
  operands.forEach((columns, i) => {
    if (order(columns) !== order(operands[0]!)) refuse(i, 'lies in another order than the first');
    if (columns.others.length > 2) refuse(i, 'lies in more than lines of columns');
  });
  // Lines follow each other without a gap in all operands, or each begins on 64 bytes.
  const [across, along] = operands[0]!.others;
  const width = across?.size ?? 1;
  const pitch = align(total, ELEMENT_STEP);
  const gapless = operands.every(({ others: [p, q] }) => q === undefined || q.memory === p!.memory * p!.size);
  const line = gapless ? width * pitch : align(width * pitch, ALIGN);
  const lines = along?.size ?? 1;
  const plane = lowering.plane(node, lines * line + ALIGN);
  let column = 0;
  views.forEach((view, i) => {
    const { size, others } = operands[i]!;
    const step = others[0]?.memory ?? align(size, ELEMENT_STEP);
    const lineStep = others[1]?.memory ?? 0;
    if (view.offset % ALIGN !== 0 || column % ALIGN !== 0 || step % ELEMENT_STEP !== 0)
      refuse(i, 'does not begin on 64 bytes, or does not come to do so');
    if (!gapless && lineStep % ALIGN !== 0) refuse(i, 'has lines that do not begin on 64 bytes');
    const span = align(spanOf(view.dims), ELEMENT_STEP);
    const scaled = lowering.plane(node, span);
    rescale(lowering, node, view, i, stored, span, { plane: scaled, offset: 0 });
    // The next operand overwrites what goes beyond these columns.
    const columns = Math.min(align(size, ELEMENT_STEP), pitch - column);
    for (let y = 0; y < (gapless ? 1 : lines); y++)
      lowering.copyLines(
        node,
        { plane: scaled, offset: y * lineStep },
        { plane, offset: y * line + column },
        { lines: gapless ? lines * width : width, columns, from: step, to: pitch },
      );
    column += size;
  });
  const dims: Dim[] = [{ size: total, tensor, memory: 1, before: 0, after: 0 }];
  if (across !== undefined) dims.push({ ...across, memory: pitch, before: 0, after: 0 });
  if (along !== undefined) dims.push({ ...along, memory: line, before: 0, after: 0 });
  lowering.place(out, { plane, offset: 0, dims, stored });
}

/** Diagonal layers that bring an operand to the scale of the result. */
function rescale(
  lowering: Lowering,
  node: Node,
  view: View,
  input: number,
  stored: Stored,
  elements: number,
  to: At,
): void {
  const { table, weight } = tableOf(node, view, input, stored);
  const most = ELEMENTS_MAX - (ELEMENTS_MAX % ALIGN);
  for (let from = 0; from < elements; from += most) {
    const count = Math.min(most, elements - from);
    lowering.add({
      kind: 'diagonal',
      nodes: [nameOf(node)],
      input: { plane: view.plane, offset: view.offset + from },
      output: { plane: to.plane, offset: to.offset + from },
      outputs: count,
      weightBytes: 2,
      weights: blob(count * 2, () => new Uint8Array(new Int16Array(count).fill(weight).buffer)),
      bias: int32Blob(new Int32Array(count)),
      segments: segmentsBlob(table),
      segmentCount: table.length,
      macs: 0,
      hardwareMacs: count,
    });
  }
}

function tableOf(node: Node, view: View, input: number, stored: Stored): { table: Table; weight: number } {
  const out = node.outputs[0]!;
  const { scale, limit } = view.stored;
  if (out.quantization === undefined)
    return {
      table: lineTable(slopeNear(scale / WEIGHT / stored.scale), -INT16_MAX, INT16_MAX),
      weight: WEIGHT,
    };
  if (inputOf(node, input).quantization === undefined)
    throw nodeError(node, 'EOPNOTSUPP', `operand ${input} is not quantised as the result is`);
  const linear = { node, filters: 1, inner: 1, weights: [1], unit: [scale], bias: [0], limit };
  const { table, factor } = quantities(linear, out, undefined, undefined);
  return { table, weight: factor[0]! };
}
