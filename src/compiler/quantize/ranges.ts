// Ranges of the values of a float graph on calibration data: for targets that choose scales themselves.
// Not int8 quantisation (quantize.ts): the graph stays as it is.
import {
  type Activation,
  CompileError,
  Constant,
  createNode,
  evaluate,
  Graph,
  type Node,
  type TypedArray,
  type Value,
} from '../ir/index.js';
import type { Calibration, Range } from './observe.js';

/** What was seen of values and, where an activation is fused, of what it is applied to. Always contains 0. */
export interface ValueRanges {
  of(value: Value): Range | undefined;
  /** Of the node's first output before its fused activation. */
  before(node: Node): Range | undefined;
}

/**
 * Runs the graph on every calibration input.
 * @throws CompileError EINVAL without calibration data, or when a value is not finite
 */
export function observeRanges(graph: Graph, calibration: readonly Calibration[]): ValueRanges {
  if (calibration.length === 0)
    throw new CompileError('EINVAL', { rule: 'ranges need calibration data: at least one set of inputs' });
  const sums = new Map<Node, Value>();
  const shadow = unfused(graph, sums);
  const seen = new Map<Value, { min: number; max: number }>();
  for (const inputs of calibration)
    evaluate(shadow, inputs, {
      observe: (value, data) => {
        if (value.type === 'float32') extend(seen, value, data);
      },
    });
  return {
    of: (value) => seen.get(value),
    before: (node) => seen.get(sums.get(node) ?? node.outputs[0]!),
  };
}

function extend(seen: Map<Value, { min: number; max: number }>, value: Value, data: TypedArray): void {
  let range = seen.get(value);
  if (range === undefined) seen.set(value, (range = { min: 0, max: 0 }));
  for (const x of data as Float32Array) {
    if (x < range.min) range.min = x;
    if (x > range.max) range.max = x;
    if (!Number.isFinite(x))
      throw new CompileError('EINVAL', { node: value.name, rule: `calibration makes it ${x}` });
  }
}

/** The same values, with fused activations as nodes of their own; `sums` says what they are applied to. */
function unfused(graph: Graph, sums: Map<Node, Value>): Graph {
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const [output, ...others] = node.outputs;
    if (node.activation === undefined || output === undefined || output.type !== 'float32') return [node];
    const before: Value = { name: `${output.name} before`, type: output.type, shape: output.shape };
    sums.set(node, before);
    const after = activationNode(node.activation, before);
    after.outputs[0] = output;
    return [{ ...node, activation: undefined, outputs: [before, ...others] } as unknown as Node, after];
  });
  return new Graph({ name: graph.name, inputs: graph.inputs, outputs: graph.outputs, nodes });
}

function activationNode(activation: Activation, x: Value): Node {
  switch (activation.op) {
    case 'Clip': {
      const limit = (name: string, bound: number): Value => ({
        name,
        type: 'float32',
        shape: [],
        data: Constant.of('float32', Float32Array.of(bound)),
      });
      return createNode('Clip', [x, limit('min', activation.min), limit('max', activation.max)]);
    }
    case 'LeakyRelu':
      return createNode('LeakyRelu', [x], { alpha: activation.alpha });
    default:
      return createNode(activation.op, [x]) as Node;
  }
}
