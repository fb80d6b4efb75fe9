// Runs a graph on the host, exactly and plainly: for folding, calibration and as the judge of tests.
// Not fast and not for users' inference: that is what targets and the host fallback are for.
import { CompileError } from '../error.js';
import { type Graph, type Node, nodeError, refuseOpaque, shapeOf, type Value } from '../graph.js';
import { integerForm, isQLinear } from '../qlinear.js';
import { arrayType, elementCount, type TypedArray } from '../types.js';
import { hasKernel, runKernel } from './kernels.js';
import { activationFunction, isQuantized, runQuantized } from './quantized.js';
import { narrow, type Tensor, widen } from './tensor.js';

export interface EvaluateOptions {
  /** Called with every value a node makes, and with the inputs, as they become known. Do not keep the arrays. */
  readonly observe?: (value: Value, data: TypedArray) => void;
}

/** Elements of a value that is known before anything runs. */
function constantTensor(value: Value): Tensor {
  const { type } = value;
  const data = value.data!;
  const half = type === 'float16' || type === 'bfloat16';
  const fill = typeof data.fill === 'number' && !half ? data.fill : undefined;
  let array: TypedArray | undefined;
  return {
    type,
    shape: shapeOf(value),
    fill,
    get data() {
      return (array ??= data.array());
    },
  };
}

function bindInput(value: Value, data: TypedArray | undefined): Tensor {
  if (data === undefined)
    throw new CompileError('EINVAL', { node: value.name, rule: 'no data for this input' });
  const shape = shapeOf(value);
  const expected = arrayType(value.type);
  if (expected === undefined || data.constructor !== expected)
    throw new CompileError('EINVAL', {
      node: value.name,
      rule: `a ${data.constructor.name} for an input of type ${value.type}`,
    });
  if (data.length !== elementCount(shape))
    throw new CompileError('EINVAL', {
      node: value.name,
      shapes: [shape],
      rule: `${data.length} elements given`,
    });
  return { type: value.type, shape, data };
}

function numbersOf(tensor: Tensor | undefined): number[] | undefined {
  return tensor === undefined ? undefined : Array.from(widen(tensor).data as Float32Array, Number);
}

/** Computes one node. Results have the types and shapes of the node's outputs. */
export function evaluateNode(node: Node, inputs: readonly (Tensor | undefined)[]): Tensor[] {
  const integer = integerForm(node, (index) => numbersOf(inputs[index]), false);
  if (integer !== undefined) {
    const [x, , , w, , , , , bias] = inputs;
    return evaluateNode(integer, [x, w, bias]);
  }
  const quantized = isQuantized(node);
  const wide = inputs.map((tensor) => (tensor === undefined ? undefined : widen(tensor)));
  const results = quantized ? runQuantized(node, wide) : runKernel(node, wide);
  if (!quantized && node.activation !== undefined) {
    const apply = activationFunction(node.activation)!;
    results[0] = (results[0] as Float32Array).map(apply);
  }
  return node.outputs.map((value, index) => ({
    type: value.type,
    shape: shapeOf(value),
    data: narrow(value.type, results[index]!),
  }));
}

/**
 * Outputs of a graph by name. Quantised values are computed with the integer semantics of quantized.ts.
 * @throws CompileError EOPNOTSUPP naming all operators that cannot run; EINVAL when an input is missing or does not fit.
 */
export function evaluate(
  graph: Graph,
  inputs: Readonly<Record<string, TypedArray>>,
  options: EvaluateOptions = {},
): Record<string, Tensor> {
  refuseOpaque(graph.nodes);
  for (const node of graph.nodes)
    if (!hasKernel(node) && !isQLinear(node))
      throw nodeError(node, 'EOPNOTSUPP', 'the reference evaluator does not compute this operator');
  const uses = graph.uses();
  const left = new Map<Value, number>();
  const tensors = new Map<Value, Tensor>();
  const tensorOf = (value: Value): Tensor => {
    const tensor = tensors.get(value);
    if (tensor !== undefined) return tensor;
    if (value.data !== undefined) return constantTensor(value);
    throw new CompileError('EINVAL', { node: value.name, rule: 'used before it is made' });
  };
  for (const value of graph.inputs) {
    const tensor = bindInput(value, inputs[value.name]);
    tensors.set(value, tensor);
    options.observe?.(value, tensor.data);
  }
  for (const node of graph.nodes) {
    if (node.outputs.every((value) => value.data !== undefined)) continue;
    const results = evaluateNode(
      node,
      node.inputs.map((value) => (value === undefined ? undefined : tensorOf(value))),
    );
    node.outputs.forEach((value, index) => {
      options.observe?.(value, results[index]!.data);
      const count = uses.count(value);
      if (count === 0) return;
      tensors.set(value, results[index]!);
      left.set(value, count);
    });
    for (const value of node.inputs) {
      if (value === undefined) continue;
      const count = left.get(value);
      if (count === undefined) continue;
      if (count === 1) tensors.delete(value);
      left.set(value, count - 1);
    }
  }
  return Object.fromEntries(graph.outputs.map((value) => [value.name, tensorOf(value)]));
}
