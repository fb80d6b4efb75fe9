// Moves transposes towards each other until they cancel, so that a network made for NHWC runs in NCHW.
// Not a layout choice: what is left (at an input, before a reshape) is for the target.
import { createNode, elementCount, type Graph, type Node, type NodeOf, type Value } from '../ir/index.js';
import type { Pass } from './pass.js';
import { Rewriter } from './rewriter.js';

const elementwise = new Set<string>([
  ...[
    'Abs',
    'Clip',
    'Ceil',
    'Elu',
    'Erf',
    'Exp',
    'Floor',
    'HardSigmoid',
    'HardSwish',
    'LeakyRelu',
    'Log',
    'Neg',
    'Relu',
  ],
  ...['Reciprocal', 'Round', 'Selu', 'Sigmoid', 'Softplus', 'Sqrt', 'Tanh', 'Gelu', 'Mish', 'Sign', 'Cast'],
  ...['Add', 'Sub', 'Mul', 'Div', 'Min', 'Max', 'Sum', 'Mean', 'Pow'],
]);

function composed(first: readonly number[], second: readonly number[]): number[] {
  return second.map((axis) => first[axis]!);
}

/** The transpose that makes a value, when nobody else uses it. */
function ownTranspose(value: Value | undefined, rewriter: Rewriter): NodeOf<'Transpose'> | undefined {
  const node = rewriter.producer(value);
  if (node?.op !== 'Transpose' || rewriter.onlyConsumer(value!) === undefined) return undefined;
  return node;
}

/** Transpose of a transpose is one; identity-removal takes it out when it is none. */
function merge(node: NodeOf<'Transpose'>, rewriter: Rewriter): void {
  const before = rewriter.producer(node.inputs[0]);
  if (before?.op !== 'Transpose' || before.attributes.perm.length !== node.attributes.perm.length) return;
  if (before.inputs[0]!.quantization !== before.outputs[0]!.quantization) return;
  node.attributes = { perm: composed(before.attributes.perm, node.attributes.perm) };
  rewriter.setInput(node, 0, before.inputs[0]);
}

/** f(transpose(x)) -> transpose(f(x)) for an elementwise f whose other inputs are single constants or transposed alike. */
function sink(node: Node, rewriter: Rewriter): void {
  if (!elementwise.has(node.op) || node.op === 'Opaque' || node.outputs.length !== 1) return;
  const output = node.outputs[0]!;
  const transposes = node.inputs.map((value) => ownTranspose(value, rewriter));
  const lead = transposes.find((transpose) => transpose !== undefined);
  if (lead === undefined || output.shape === undefined || output.quantization !== undefined) return;
  const { perm } = lead.attributes;
  for (let i = 0; i < node.inputs.length; i++) {
    const value = node.inputs[i];
    if (value === undefined) continue;
    const transpose = transposes[i];
    const alike =
      transpose?.attributes.perm.every((axis, j) => axis === perm[j]) === true &&
      value.shape?.length === output.shape.length;
    const single =
      value.data !== undefined &&
      value.shape !== undefined &&
      elementCount(value.shape) === 1 &&
      value.shape.length <= 1;
    if (!alike && !single) return;
  }
  const inputs = node.inputs.map((value, i) => transposes[i]?.inputs[0] ?? value);
  const inner = createNode(node.op, inputs, node.attributes as never, {
    name: node.name,
    outputs: [rewriter.unique(`${output.name}_untransposed`)],
  }) as Node;
  inner.activation = node.activation;
  const outer = createNode('Transpose', [inner.outputs[0]], { perm: [...perm] });
  outer.outputs[0] = output;
  rewriter.insertBefore(node, inner);
  rewriter.replace(node, outer);
}

/** See the head of the file. */
export const transposePropagation: Pass = {
  name: 'transpose-propagation',
  run(graph: Graph): boolean {
    const rewriter = new Rewriter(graph);
    for (const node of graph.nodes) {
      if (node.op === 'Transpose') merge(node, rewriter);
      else sink(node, rewriter);
    }
    rewriter.finish();
    return rewriter.changed;
  },
};
