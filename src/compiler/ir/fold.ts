// Computes a node's outputs at compile time, when its inputs are known; a repeated value stays one value.
// Not a pass: passes/constant-folding.ts walks graphs, the importer folds what shapes depend on.
import { Constant } from './constant.js';
import { evaluateNode, hasKernel, isQuantized } from './evaluate/index.js';
import { countOf, type Node } from './graph.js';
import { elementCount } from './types.js';

/** Operators that leave a tensor of one repeated value such a tensor. */
const keepsFill = new Set<string>([
  'Identity',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
  'Expand',
  'Tile',
  'Slice',
  'Split',
  'Dropout',
]);

/**
 * Sets `data` on the node's outputs and returns true, when all inputs are known and no output has more than `limit`
 * elements. Repeated values are folded whatever their size, since nothing is stored.
 */
export function foldNode(node: Node, limit: number): boolean {
  if (node.op === 'Opaque' || node.outputs.some((value) => value.shape === undefined)) return false;
  if (node.op === 'Constant') {
    const [output] = node.outputs;
    output!.data = node.attributes.value.data;
    return true;
  }
  if (node.op === 'ConstantOfShape') {
    const { type, fill } = node.attributes.value;
    node.outputs[0]!.data = Constant.fill(type, countOf(node.outputs[0]!), fill);
    return true;
  }
  const onlyShape = node.op === 'Shape' || node.op === 'Size';
  if (!onlyShape && node.inputs.some((value) => value !== undefined && value.data === undefined))
    return false;
  const fill = node.inputs[0]?.data?.fill;
  if (fill !== undefined && keepsFill.has(node.op)) {
    for (const value of node.outputs.slice(0, node.op === 'Dropout' ? 1 : undefined))
      value.data = Constant.fill(value.type, countOf(value), fill);
    return true;
  }
  if (!hasKernel(node) || isQuantized(node)) return false;
  const sizes = [...node.outputs, ...(onlyShape ? [] : node.inputs)];
  if (sizes.some((value) => value !== undefined && countOf(value) > limit)) return false;
  const inputs = node.inputs.map((value) => {
    if (value === undefined) return undefined;
    const shape = value.shape!;
    // Shape and Size look at no element: an empty array stands for all of them.
    const data = onlyShape ? new Uint8Array(0) : value.data!.array();
    return { type: onlyShape ? ('uint8' as const) : value.type, shape, data };
  });
  evaluateNode(node, inputs).forEach((tensor, index) => {
    if (elementCount(tensor.shape) === tensor.data.length)
      node.outputs[index]!.data = Constant.of(tensor.type, tensor.data);
  });
  return true;
}
