// Makes nodes: fills in attributes that were left out, counts inputs, infers the outputs.
// Not a graph: GraphBuilder and passes put nodes in their places.
import { CompileError } from './error.js';
import { type Node, nodeError, type NodeOf, type Value } from './graph.js';
import { infer, type Inferred } from './infer.js';
import type { Attributes, OperatorName } from './operators.js';
import { schemas } from './schema.js';
import type { DataType } from './types.js';

export interface NodeOptions {
  readonly name?: string;
  /** Names of the outputs; '' for one that nobody uses. One output named after the node when left out. */
  readonly outputs?: readonly string[];
}

/** Which input holds the weights whose shape gives kernel_shape. */
const weightInput: Partial<Record<OperatorName, number>> = {
  Conv: 1,
  ConvTranspose: 1,
  ConvInteger: 1,
  QLinearConv: 3,
};

/** Attributes with nothing left out. Throws EINVAL for one that has no default and cannot be derived. */
function complete(
  op: OperatorName,
  given: Record<string, unknown>,
  inputs: readonly (Value | undefined)[],
  outputs: number,
): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  const weights = inputs[weightInput[op] ?? -1]?.shape;
  const kernel = (given['kernel_shape'] as number[] | undefined) ?? weights?.slice(2);
  const rank = kernel?.length ?? 0;
  const derived: Record<string, () => unknown> = {
    kernel_shape: () => kernel,
    strides: () => new Array<number>(rank).fill(1),
    dilations: () => new Array<number>(rank).fill(1),
    pads: () => new Array<number>(2 * rank).fill(0),
    output_padding: () => new Array<number>(rank).fill(0),
    perm: () => inputs[0]?.shape?.map((_, axis, shape) => shape.length - 1 - axis) ?? [],
    num_outputs: () => outputs,
  };
  for (const [name, schema] of Object.entries(schemas[op].attributes)) {
    const value = given[name] ?? (schema.derived ? derived[name]!() : schema.default);
    if (value === undefined)
      throw new CompileError('EINVAL', { operator: op, rule: `attribute ${name} is required` });
    all[name] = value;
  }
  return all;
}

/** The best guess of an output's type behind an unknown shape. */
function typeOf(node: Node): DataType {
  if (node.op === 'Cast') return node.attributes.to;
  if (node.op === 'Shape' || node.op === 'Size') return 'int64';
  return node.inputs[0]?.type ?? 'undefined';
}

/** Infers the outputs anew, after inputs or attributes changed. Names stay, quantisation and data are dropped. */
export function reinfer(node: Node): void {
  const unknown = node.inputs.some((value) => value !== undefined && value.shape === undefined);
  const inferred: readonly Inferred[] = unknown ? [] : infer(node);
  node.outputs.forEach((value, index) => {
    const known = inferred[index];
    value.type = known?.type ?? typeOf(node);
    value.shape = known?.shape;
  });
}

/**
 * A node with its output values. Attributes not given take ONNX's defaults.
 * @throws CompileError when inputs, attributes or shapes break a rule of the operator.
 */
export function createNode<Op extends OperatorName>(
  op: Op,
  inputs: readonly (Value | undefined)[],
  attributes: Partial<Attributes[Op]> = {},
  options: NodeOptions = {},
): NodeOf<Op> {
  const name = options.name ?? '';
  const names = options.outputs ?? [name];
  const schema = schemas[op];
  const outputs = names.map((output): Value => ({ name: output, type: 'undefined', shape: undefined }));
  const draft = { op, name, domain: '', inputs: [...inputs], outputs, attributes };
  const node = draft as unknown as NodeOf<Op> & Node;
  while (node.inputs.length > 0 && node.inputs.at(-1) === undefined) node.inputs.pop();
  const count = node.inputs.length;
  if (count < schema.inputs[0] || count > schema.inputs[1])
    throw nodeError(node, 'EINVAL', `${count} inputs, ${schema.inputs.join(' to ')} are right`);
  if (names.length < schema.outputs[0] || names.length > schema.outputs[1])
    throw nodeError(node, 'EINVAL', `${names.length} outputs, ${schema.outputs.join(' to ')} are right`);
  for (let i = 0; i < schema.inputs[0]; i++)
    if (node.inputs[i] === undefined) throw nodeError(node, 'EINVAL', `input ${i} is required`);
  try {
    (draft as { attributes: unknown }).attributes = complete(
      op,
      attributes as Record<string, unknown>,
      node.inputs,
      names.length,
    );
  } catch (error) {
    throw error instanceof CompileError && error.node === undefined
      ? nodeError(node, 'EINVAL', error.rule)
      : error;
  }
  reinfer(node);
  return node;
}
