// One tensor laid out as another is: what layers over two tensors need, element by element.
// Not an operator: join.ts.
import { type Node, nodeError, type Shape, shapeOf, type Value } from '../../ir/index.js';
import { align, ALIGN, ELEMENT_STEP, GROUPS_MAX } from './limits.js';
import type { Lowering } from './lowering.js';
import { axesOf, type Dim, placesOf, spanOf, type View } from './view.js';

/** Two values of one shape, in planes of their own, their elements at the same places from the same place of 64 bytes. */
export function alike(lowering: Lowering, node: Node, a: Value, b: Value): [View, View] {
  const shape = shapeOf(a);
  const isPending = (value: Value): boolean => lowering.valueOf(node, value).kind === 'pending';
  if (isPending(a) && !isPending(b)) {
    const other = lowering.anywhere(node, b);
    return [bound(lowering, node, a, other, shape), other];
  }
  const first = lowering.anywhere(node, a);
  const second = isPending(b) ? bound(lowering, node, b, first, shape) : lowering.anywhere(node, b);
  if (sameLayout(first, second)) return [first, second];
  // The one that can be moved is.
  return first.offset % ALIGN === 0
    ? [first, moved(lowering, node, second, first, shape)]
    : [moved(lowering, node, first, second, shape), second];
}

function sameLayout(a: View, b: View): boolean {
  if (a.offset % ALIGN !== b.offset % ALIGN) return false;
  const [p, q] = [placesOf(a.dims), placesOf(b.dims)];
  return p.length === q.length && p.every((place, i) => place === q[i]);
}

/** A value from outside, put where `like` has its elements. */
function bound(lowering: Lowering, node: Node, value: Value, like: View, shape: Shape): View {
  const known = lowering.valueOf(node, value);
  const axes = axesOf(like.dims, shape);
  if (known.kind === 'placed' || axes === undefined || axes.some((pieces) => pieces.length > 1))
    return lowering.anywhere(node, value);
  const own = axesOf(known.value.dims, shape);
  if (own === undefined || own.some((pieces) => pieces.length > 1))
    throw nodeError(node, 'EOPNOTSUPP', `"${value.name}" lies across the axes of its source`);
  const dims = axes.map(
    (pieces, axis): Dim => pieces[0] ?? { size: shape[axis]!, tensor: 0, memory: 0, before: 0, after: 0 },
  );
  const lead = like.offset % ALIGN;
  return lowering.bind(known.value, dims, align(lead + spanOf(dims), ELEMENT_STEP), lead);
}

/** A copy of `view` with its elements as `like` has them: runs of elements that both have in a row, lines of such runs. */
function moved(lowering: Lowering, node: Node, view: View, like: View, shape: Shape): View {
  const pieces = (of: View): Dim[] | undefined =>
    axesOf(of.dims, shape)
      ?.flat()
      .sort((a, b) => a.tensor - b.tensor);
  const [from, to] = [pieces(view), pieces(like)];
  const differ = (rule: string): never => {
    throw nodeError(node, 'EOPNOTSUPP', `its operands lie differently in memory, and ${rule}`);
  };
  if (from === undefined || to === undefined || from.length !== to.length)
    return differ('are cut into other pieces');
  if (from.some(({ size, tensor }, i) => size !== to[i]!.size || tensor !== to[i]!.tensor))
    return differ('are cut into other pieces');
  let run = 1;
  const lines: { size: number; from: number; to: number }[] = [];
  for (const [i, { size, memory }] of [...from.entries()].sort((a, b) => a[1].memory - b[1].memory)) {
    const target = to[i]!.memory;
    if (lines.length === 0 && memory === target && memory <= align(run, ELEMENT_STEP))
      run = memory * (size - 1) + run;
    else lines.push({ size, from: memory, to: target });
  }
  // Lines of which the inner ones lie one after the other on both sides are one kind of line.
  while (lines.length > 1) {
    const [inner, outer] = lines as [(typeof lines)[0], (typeof lines)[0]];
    if (outer.from !== inner.from * inner.size || outer.to !== inner.to * inner.size) break;
    lines.splice(0, 2, { size: inner.size * outer.size, from: inner.from, to: inner.to });
  }
  if (lines.length > 1) return differ('differ in more than the distance of their lines');
  const line = lines[0] ?? { size: 1, from: align(run, ALIGN), to: align(run, ALIGN) };
  const columns = align(run, ELEMENT_STEP);
  const misaligned = (step: number): boolean => line.size > 1 && (step * GROUPS_MAX) % ALIGN !== 0;
  if (view.offset % ALIGN !== 0 || like.offset % ALIGN !== 0 || misaligned(line.from) || misaligned(line.to))
    return differ('do not begin on 64 bytes');
  if (columns > line.to && line.size > 1) return differ('lines would run into each other');
  const plane = lowering.plane(node, (line.size - 1) * line.to + columns + ALIGN);
  lowering.copyLines(
    node,
    { plane: view.plane, offset: view.offset },
    { plane, offset: 0 },
    {
      lines: line.size,
      columns,
      from: line.from,
      to: line.to,
    },
  );
  return { plane, offset: 0, dims: like.dims, stored: view.stored };
}
