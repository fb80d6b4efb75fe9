// Reshape, Transpose, Reshape that only permute channels (ShuffleNet's channel shuffle) as a Gather along axis 1.
// Not other transposes: what moves lines or columns stays as it is.
import {
  createNode,
  elementCount,
  type Graph,
  int64Array,
  type Node,
  sameShape,
  type Shape,
  stridesOf,
} from '../ir/index.js';
import type { Pass } from './pass.js';
import { Rewriter } from './rewriter.js';

/** For each channel of the result its channel before; undefined when other axes take part. */
function channelOrder(shape: Shape, split: Shape, perm: readonly number[]): number[] | undefined {
  const rest = shape.slice(2);
  const axes = split.length - rest.length;
  if (axes < 2 || split[0] !== shape[0] || !sameShape(split.slice(axes), rest)) return undefined;
  const inner = (axis: number): boolean => axis > 0 && axis < axes;
  if (perm.some((from, axis) => (inner(axis) ? !inner(from) : from !== axis))) return undefined;
  const groups = perm.slice(1, axes);
  const strides = stridesOf(split.slice(1, axes));
  let order = [0];
  for (const axis of groups)
    order = order.flatMap((base) =>
      Array.from({ length: split[axis]! }, (_, i) => base + i * strides[axis - 1]!),
    );
  return order;
}

function shuffle(node: Node, rewriter: Rewriter): void {
  if (node.op !== 'Reshape') return;
  const transpose = rewriter.producer(node.inputs[0]);
  if (transpose?.op !== 'Transpose' || rewriter.onlyConsumer(transpose.outputs[0]!) !== node) return;
  const split = rewriter.producer(transpose.inputs[0]);
  if (split?.op !== 'Reshape' || rewriter.onlyConsumer(split.outputs[0]!) !== transpose) return;
  const x = split.inputs[0]!;
  const [out] = node.outputs;
  if (x.shape === undefined || out?.shape === undefined || split.outputs[0]!.shape === undefined) return;
  if (x.shape.length < 3 || !sameShape(x.shape, out.shape) || elementCount(x.shape) === 0) return;
  if (
    [x, out, split.outputs[0]!, transpose.outputs[0]!].some((value) => value.quantization !== x.quantization)
  )
    return;
  const order = channelOrder(x.shape, split.outputs[0]!.shape, transpose.attributes.perm);
  if (order === undefined) return;
  const indices = rewriter.constant('int64', [order.length], int64Array(order), `${out.name}_order`);
  const gather = createNode('Gather', [x, indices], { axis: 1 }, { name: transpose.name });
  gather.outputs[0] = out;
  rewriter.replace(node, gather);
}

/** See the head of the file. */
export const channelShuffle: Pass = {
  name: 'channel-shuffle',
  run(graph: Graph): boolean {
    const rewriter = new Rewriter(graph);
    for (const node of graph.nodes) if (rewriter.isLive(node)) shuffle(node, rewriter);
    rewriter.finish();
    return rewriter.changed;
  },
};
