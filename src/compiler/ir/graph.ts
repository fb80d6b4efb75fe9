// The program between front ends and targets: values, nodes in an order that runs, inputs and outputs.
// Not ONNX's file format (onnx/), and no target's: quantised graphs and float graphs are the same structure.
import type { Constant } from './constant.js';
import { CompileError } from './error.js';
import type { Attributes, OperatorName } from './operators.js';
import { type DataType, elementCount, type Shape } from './types.js';

/** real = scale * (q - zeroPoint). One entry per tensor, or one per index of `axis`. Scales are float32 values. */
export interface Quantization {
  readonly scale: Float32Array;
  readonly zeroPoint: Int32Array;
  /** The axis the entries run along; undefined when there is one entry for the whole tensor. */
  readonly axis?: number;
}

/**
 * A tensor that a node makes, a graph takes, or a constant.
 * An integer value with `quantization` stands for reals; the nodes that make and use it have integer semantics
 * (see evaluate/quantized.ts).
 */
export interface Value {
  name: string;
  type: DataType;
  /** Undefined only behind an operator we do not know. */
  shape: Shape | undefined;
  /** The elements, when known at compile time; also on the output of a node that can be folded away. */
  data?: Constant;
  quantization?: Quantization;
}

/** A fused activation: applied to the real result before it is quantised. */
export type Activation =
  | { readonly op: 'Relu' }
  | { readonly op: 'Clip'; readonly min: number; readonly max: number }
  | { readonly op: 'LeakyRelu'; readonly alpha: number }
  | { readonly op: 'Sigmoid' }
  | { readonly op: 'Tanh' };

interface NodeBase {
  name: string;
  /** '' is ONNX's own domain. */
  domain: string;
  /** In ONNX's order, in the form of the newest opset; undefined where an optional input is left out. */
  inputs: (Value | undefined)[];
  outputs: Value[];
  /** Set by passes: applied to output 0. Only on Conv, ConvTranspose, Gemm, MatMul, Add, Sub, Mul, average pools and BatchNormalization. */
  activation?: Activation;
}

interface Known<Op extends OperatorName> extends NodeBase {
  readonly op: Op;
  attributes: Attributes[Op];
}

/** A node whose operator we know, with that operator's attributes: all present, defaults filled in. */
export type NodeOf<Op extends OperatorName> = Op extends OperatorName ? Known<Op> : never;

/** A node whose operator we do not know, or that holds subgraphs (If, Loop). It cannot run; it can be carried along. */
export interface OpaqueNode extends NodeBase {
  readonly op: 'Opaque';
  attributes: { readonly operator: string; readonly values: ReadonlyMap<string, unknown> };
}

/** Discriminated by `op`: `if (node.op === 'Conv') node.attributes.strides`. */
export type Node = NodeOf<OperatorName> | OpaqueNode;

/** Who makes and who uses each value; a snapshot, taken by `Graph.uses()`. */
export interface Uses {
  producer(value: Value): Node | undefined;
  /** Nodes that take the value, one entry per use, in the graph's order. */
  consumers(value: Value): readonly Node[];
  /** Uses by nodes plus uses as a graph output. */
  count(value: Value): number;
  isOutput(value: Value): boolean;
}

/** Nodes are always in an order in which they can run. Passes write to the arrays in place. */
export class Graph {
  name: string;
  inputs: Value[];
  outputs: Value[];
  nodes: Node[];

  constructor(parts: { name?: string; inputs?: Value[]; outputs?: Value[]; nodes?: Node[] } = {}) {
    this.name = parts.name ?? '';
    this.inputs = parts.inputs ?? [];
    this.outputs = parts.outputs ?? [];
    this.nodes = parts.nodes ?? [];
  }

  /** Every value of the graph once: inputs, then what nodes use and make. */
  values(): Set<Value> {
    const all = new Set<Value>(this.inputs);
    for (const node of this.nodes) {
      for (const value of node.inputs) if (value !== undefined) all.add(value);
      for (const value of node.outputs) all.add(value);
    }
    for (const value of this.outputs) all.add(value);
    return all;
  }

  /** Producers and consumers as they are now. */
  uses(): Uses {
    const producers = new Map<Value, Node>();
    const consumers = new Map<Value, Node[]>();
    for (const node of this.nodes) {
      for (const value of node.outputs) producers.set(value, node);
      for (const value of node.inputs) {
        if (value === undefined) continue;
        const list = consumers.get(value);
        if (list === undefined) consumers.set(value, [node]);
        else list.push(node);
      }
    }
    const outputs = new Set(this.outputs);
    const none: readonly Node[] = [];
    return {
      producer: (value) => producers.get(value),
      consumers: (value) => consumers.get(value) ?? none,
      count: (value) => (consumers.get(value)?.length ?? 0) + (outputs.has(value) ? 1 : 0),
      isOutput: (value) => outputs.has(value),
    };
  }
}

/** The operator as people write it: `Conv`, `com.microsoft::DecodeImage`. */
export function operatorOf(node: Node): string {
  const name = node.op === 'Opaque' ? node.attributes.operator : node.op;
  return node.domain === '' ? name : `${node.domain}::${name}`;
}

/** The node's name, or its first output's when it has none. */
export function nameOf(node: Node): string {
  return node.name !== '' ? node.name : (node.outputs[0]?.name ?? '');
}

/** An error about this node: operator, name and input shapes filled in. */
export function nodeError(node: Node, code: 'EINVAL' | 'EOPNOTSUPP' | 'E2BIG', rule: string): CompileError {
  return new CompileError(code, {
    operator: operatorOf(node),
    node: nameOf(node),
    shapes: node.inputs.filter((value) => value !== undefined).map((value) => value.shape),
    rule,
  });
}

/** The value's shape; throws EOPNOTSUPP when it is not known. */
export function shapeOf(value: Value): Shape {
  if (value.shape === undefined)
    throw new CompileError('EOPNOTSUPP', {
      node: value.name,
      rule: 'its shape is not known: it depends on an unknown operator',
    });
  return value.shape;
}

/** Number of elements of a value. */
export function countOf(value: Value): number {
  return elementCount(shapeOf(value));
}

/** Input `index` of a node; throws EINVAL when it is left out. */
export function inputOf(node: Node, index: number): Value {
  const value = node.inputs[index];
  if (value === undefined) throw nodeError(node, 'EINVAL', `input ${index} is required`);
  return value;
}

/** A known input as small integers (axes, pads, shape); undefined when left out; throws when it is not constant. */
export function constantInput(node: Node, index: number): number[] | undefined {
  const value = node.inputs[index];
  if (value === undefined) return undefined;
  if (value.data === undefined)
    throw nodeError(node, 'EOPNOTSUPP', `input ${index} ("${value.name}") must be known at compile time`);
  return value.data.numbers();
}

/** @throws CompileError EOPNOTSUPP naming every operator of these nodes that nobody knows, once each. */
export function refuseOpaque(nodes: readonly Node[]): void {
  const opaque = nodes.filter((node) => node.op === 'Opaque');
  if (opaque.length === 0) return;
  const names = [...new Set(opaque.map(operatorOf))];
  throw nodeError(
    opaque[0]!,
    'EOPNOTSUPP',
    `${names.length > 1 ? 'these operators are' : 'this operator is'} not known: ${names.join(', ')}`,
  );
}
