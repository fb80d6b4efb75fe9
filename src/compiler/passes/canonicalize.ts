// One form for things ONNX lets one write in several: sums, matrix products, reshapes, transposes, padding.
// Not fusion of arithmetic: affine.ts folds constants into weights.
import {
  compileTime,
  createNode,
  elementCount,
  type Graph,
  int64Array,
  integerForm,
  type Node,
  padsOf,
  sameShape,
  type Quantization,
  type Shape,
  type Value,
} from '../ir/index.js';
import type { Pass } from './pass.js';
import { Rewriter } from './rewriter.js';

/** Builds a pass from a rule that looks at one node at a time. */
function rule(name: string, apply: (node: Node, rewriter: Rewriter) => void): Pass {
  return {
    name,
    run(graph: Graph): boolean {
      const rewriter = new Rewriter(graph);
      for (const node of graph.nodes) if (rewriter.isLive(node)) apply(node, rewriter);
      rewriter.finish();
      return rewriter.changed;
    },
  };
}

/** A new node that makes the same values as an old one. */
function remake<N extends Node>(node: N, old: Node): N {
  node.outputs = old.outputs;
  node.name = old.name;
  return node;
}

/** Sum of two tensors is Add. */
export const sums = rule('sums', (node, rewriter) => {
  if (node.op !== 'Sum' || node.inputs.length !== 2) return;
  rewriter.replace(node, remake(createNode('Add', node.inputs), node));
});

/**
 * QLinearConv and QLinearMatMul on known scales are Conv and MatMul on quantised values. A value can have one
 * quantisation: the node stays as it is when its operand already has another.
 */
export const qlinear = rule('qlinear', (node, rewriter) => {
  const known = compileTime(node);
  const form = integerForm(node, known, false);
  if (form === undefined) return;
  const [x, , , w] = node.inputs as [Value, ...Value[]];
  const [px, pw] = form.inputs.map((value) => value!.quantization);
  const py = form.outputs[0]!.quantization!;
  if (!fits(x, px!) || !fits(w!, pw!) || !fits(node.outputs[0]!, py)) return;
  const next = integerForm(node, known, true)!;
  const inputs = [x, w, ...next.inputs.slice(2)];
  x.quantization = px;
  w!.quantization = pw;
  next.inputs = inputs;
  rewriter.replace(node, next);
});

function fits(value: Value, quantization: Quantization): boolean {
  const own = value.quantization;
  if (own === undefined) return true;
  if (own.axis !== quantization.axis || own.scale.length !== quantization.scale.length) return false;
  return own.scale.every(
    (s, i) => s === quantization.scale[i] && own.zeroPoint[i] === quantization.zeroPoint[i],
  );
}

/** Whether the value is a constant, or a dequantised one: what may become weights. */
function isWeights(value: Value | undefined, rewriter: Rewriter): boolean {
  if (value === undefined) return false;
  if (value.data !== undefined) return true;
  const producer = rewriter.producer(value);
  return producer?.op === 'DequantizeLinear' && producer.inputs[0]?.data !== undefined;
}

/** A row of a bias: [N], [1,N], [1,1,N] ... or one element. */
function isRow(shape: Shape, n: number): boolean {
  return (
    elementCount(shape) === (shape.at(-1) ?? 1) &&
    (shape.at(-1) === n || (elementCount(shape) === 1 && n === 1))
  );
}

/** MatMul of a matrix by known weights, with the Add of a known row behind it, is Gemm. */
export const matmulToGemm = rule('matmul-to-gemm', (node, rewriter) => {
  if (node.op !== 'MatMul' || node.activation !== undefined) return;
  const [a, b] = node.inputs as [Value, Value];
  if (a.shape?.length !== 2 || b.shape?.length !== 2 || !isWeights(b, rewriter)) return;
  rewriter.replace(node, remake(createNode('Gemm', [a, b], {}) as Node, node));
});

function biasRow(row: Value, n: number, rewriter: Rewriter): Value | undefined {
  if (row.shape === undefined || !isRow(row.shape, n)) return undefined;
  if (row.shape.length === 1) return row;
  return row.data === undefined ? undefined : rewriter.constant(row.type, [n], row.data, `${row.name}_row`);
}

/** Add of a known row behind a Gemm without C becomes its C. */
export const gemmBias = rule('gemm-bias', (node, rewriter) => {
  if (node.op !== 'Add') return;
  for (const [i, other] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const product = rewriter.producer(node.inputs[i]);
    const row = node.inputs[other]!;
    if (product?.op !== 'Gemm' || product.inputs[2] !== undefined || product.activation !== undefined)
      continue;
    if (!isWeights(row, rewriter) || rewriter.onlyConsumer(product.outputs[0]!) !== node) continue;
    const [from, to] = [product.outputs[0]!.shape, node.outputs[0]!.shape];
    if (from === undefined || to === undefined || !sameShape(from, to)) continue;
    const bias = biasRow(row, from[1]!, rewriter);
    if (bias === undefined) continue;
    const { beta: _, ...rest } = product.attributes;
    const fused = createNode('Gemm', [product.inputs[0], product.inputs[1], bias], { ...rest, beta: 1 });
    rewriter.replace(node, remake(fused as Node, node));
    rewriter.remove(product);
    return;
  }
});

/** Known matrices transposed, so that transB is 1 and weights are [N,K]; alpha and beta 1; C a row. */
export const gemmForm = rule('gemm-form', (node, rewriter) => {
  if (node.op !== 'Gemm' || node.outputs[0]!.shape === undefined) return;
  const b = node.inputs[1]!;
  const { alpha, beta, transB } = node.attributes;
  if (b.data !== undefined && b.type === 'float32' && (transB === 0 || alpha !== 1)) {
    const [k, n] = (transB === 0 ? b.shape : b.shape!.toReversed()) as [number, number];
    const next =
      b.data.fill !== undefined
        ? rewriter.floats([n, k], Number(b.data.fill) * alpha, `${b.name}_t`)
        : rewriter.floats(
            [n, k],
            turned(b.data.array() as Float32Array, k, n, transB === 0, alpha),
            `${b.name}_t`,
          );
    rewriter.setInput(node, 1, next);
    node.attributes = { ...node.attributes, transB: 1, alpha: 1 };
  }
  const c = node.inputs[2];
  if (c?.data === undefined || c.type !== 'float32') return;
  const n = node.outputs[0]!.shape[1]!;
  const row = c.shape!.length === 1 && c.shape![0] === n;
  if (row && beta === 1) return;
  const count = elementCount(c.shape!);
  if (count !== 1 && !isRow(c.shape!, n)) return;
  const values = c.data.fill === undefined ? (c.data.array() as Float32Array) : undefined;
  const one = count === 1 ? Number(values?.[0] ?? c.data.fill) : Number(c.data.fill);
  rewriter.setInput(
    node,
    2,
    rewriter.floats(
      [n],
      values === undefined || count === 1 ? one * beta : values.map((x) => x * beta),
      `${c.name}_row`,
    ),
  );
  node.attributes = { ...node.attributes, beta: 1 };
});

/** [k,n] to [n,k] when `flip`, times alpha. */
function turned(data: Float32Array, k: number, n: number, flip: boolean, alpha: number): Float32Array {
  if (!flip) return data.map((x) => x * alpha);
  const out = new Float32Array(data.length);
  for (let i = 0; i < k; i++) for (let j = 0; j < n; j++) out[j * k + i] = data[i * n + j]! * alpha;
  return out;
}

/** Whether a permutation leaves the order of all axes larger than 1 as it is: then it moves no element. */
function movesNothing(shape: Shape, perm: readonly number[]): boolean {
  const order = perm.filter((axis) => shape[axis] !== 1);
  return order.every((axis, i) => i === 0 || axis > order[i - 1]!);
}

function reshapeTo(x: Value, old: Node, rewriter: Rewriter): Node {
  const shape = old.outputs[0]!.shape!;
  const target = rewriter.constant(
    'int64',
    [shape.length],
    int64Array(shape),
    `${old.outputs[0]!.name}_shape`,
  );
  return remake(createNode('Reshape', [x, target], { allowzero: 1 }) as Node, old);
}

const reshaping = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze']);

/** Flatten, Squeeze, Unsqueeze and transposes that move no element are Reshape; a chain of them is one. */
export const reshapes = rule('reshapes', (node, rewriter) => {
  const x = node.inputs[0];
  if (x?.shape === undefined || node.outputs[0]?.shape === undefined) return;
  const before = rewriter.producer(x);
  // A reshape between different scales is a requantisation, not a reshape.
  const chained =
    before !== undefined && reshaping.has(before.op) && before.inputs[0]?.quantization === x.quantization;
  if (node.op === 'Transpose') {
    if (movesNothing(x.shape, node.attributes.perm) && !sameShape(x.shape, node.outputs[0].shape))
      rewriter.replace(node, reshapeTo(x, node, rewriter));
    return;
  }
  if (!reshaping.has(node.op)) return;
  if (node.op === 'Reshape' && !chained) return;
  rewriter.replace(node, reshapeTo(chained ? before.inputs[0]! : x, node, rewriter));
});

/** Pad of zeros on the spatial axes in front of a convolution becomes its pads. */
export const padIntoConv = rule('pad-into-conv', (node, rewriter) => {
  if (node.op !== 'Conv') return;
  const pad = rewriter.producer(node.inputs[0]);
  if (pad?.op !== 'Pad' || pad.attributes.mode !== 'constant') return;
  if (pad.inputs[2] !== undefined && Number(pad.inputs[2].data?.numbers()[0] ?? NaN) !== 0) return;
  const { begin, end } = padsOf(pad);
  if (begin[0] !== 0 || begin[1] !== 0 || end[0] !== 0 || end[1] !== 0) return;
  const added = [...begin.slice(2), ...end.slice(2)];
  if (added.some((n) => n < 0)) return;
  rewriter.setInput(node, 0, pad.inputs[0]);
  node.attributes = { ...node.attributes, pads: node.attributes.pads.map((n, i) => n + added[i]!) };
});
