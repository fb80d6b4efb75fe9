// Builds graphs by calls instead of from a file: what WebNN's MLGraphBuilder and the passes' tests stand on.
// Not an optimiser: nodes come out as they were added.
import { Constant } from './constant.js';
import { CompileError } from './error.js';
import { Graph, type Node, type Quantization, type Value } from './graph.js';
import { createNode, type NodeOptions } from './node.js';
import type { Attributes, OperatorName } from './operators.js';
import { type DataType, elementCount, int64Array, type Shape, type TypedArray } from './types.js';

/** Nodes are added in an order that runs: a value exists before it is used. */
export class GraphBuilder {
  readonly #graph: Graph;
  readonly #names = new Set<string>();
  #next = 0;

  constructor(name = '') {
    this.#graph = new Graph({ name });
  }

  /** A name nobody has yet, made from `wish`. */
  #unique(wish: string): string {
    let name = wish;
    while (name === '' || this.#names.has(name)) name = `${wish === '' ? 'value' : wish}_${this.#next++}`;
    this.#names.add(name);
    return name;
  }

  /** A graph input. Throws EINVAL when the name is taken. */
  input(name: string, type: DataType, shape: Shape, quantization?: Quantization): Value {
    if (this.#names.has(name)) throw new CompileError('EINVAL', { node: name, rule: 'the name is taken' });
    this.#names.add(name);
    const value: Value = { name, type, shape, quantization };
    this.#graph.inputs.push(value);
    return value;
  }

  /** A constant; the array is not copied and must not change. Throws EINVAL when shape and elements do not fit. */
  constant(
    type: DataType,
    shape: Shape,
    data: TypedArray | Constant,
    name = '',
    quantization?: Quantization,
  ): Value {
    const elements = data instanceof Constant ? data : Constant.of(type, data);
    if (elements.length !== elementCount(shape) || elements.type !== type)
      throw new CompileError('EINVAL', {
        node: name,
        shapes: [shape],
        rule: `${elements.length} elements of ${elements.type}`,
      });
    return { name: this.#unique(name), type, shape, data: elements, quantization };
  }

  /** A one-dimensional int64 constant: axes, pads, shapes. */
  ints(values: readonly number[], name = ''): Value {
    return this.constant('int64', [values.length], int64Array(values), name);
  }

  /** A float32 scalar constant. */
  scalar(value: number, name = ''): Value {
    return this.constant('float32', [], new Float32Array([value]), name);
  }

  /** Adds a node and returns its outputs. Throws CompileError when a rule of the operator is broken. */
  node<Op extends OperatorName>(
    op: Op,
    inputs: readonly (Value | undefined)[],
    attributes: Partial<Attributes[Op]> = {},
    options: NodeOptions & { count?: number } = {},
  ): Value[] {
    const names =
      options.outputs ?? Array.from({ length: options.count ?? 1 }, () => options.name ?? op.toLowerCase());
    const outputs = names.map((name) => this.#unique(name));
    const node = createNode(op, inputs, attributes, { name: options.name ?? outputs[0], outputs });
    this.#graph.nodes.push(node as Node);
    return node.outputs;
  }

  /** Adds a node with one output and returns it. */
  add<Op extends OperatorName>(
    op: Op,
    inputs: readonly (Value | undefined)[],
    attributes: Partial<Attributes[Op]> = {},
    name?: string,
  ): Value {
    return this.node(op, inputs, attributes, { name })[0]!;
  }

  /** Makes a value a graph output, under `name` when given. */
  output(value: Value, name?: string): void {
    if (name !== undefined) {
      if (name !== value.name && this.#names.has(name))
        throw new CompileError('EINVAL', { node: name, rule: 'the name is taken' });
      value.name = name;
      this.#names.add(name);
    }
    this.#graph.outputs.push(value);
  }

  /** The graph as built so far. */
  finish(): Graph {
    if (this.#graph.outputs.length === 0)
      throw new CompileError('EINVAL', { rule: 'the graph has no output' });
    return this.#graph;
  }
}
