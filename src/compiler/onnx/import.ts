// Imports an ONNX file: nodes in the newest opset's form, every shape known, weights left as views of the file.
// Not an optimiser: apart from small constants that shapes depend on, the graph is as the file has it.
import {
  CompileError,
  Constant,
  createNode,
  foldNode,
  Graph,
  isOperator,
  type Node,
  type OperatorName,
  schemas,
  type TypedArray,
  type Value,
} from '../ir/index.js';
import { adapt, isKnown, type RawNode, type Scope } from './adapt.js';
import {
  type AttributeProto,
  type GraphProto,
  type NodeProto,
  readModel,
  type ValueInfoProto,
} from './proto.js';
import { checkedCount, dataType, importTensor } from './tensor.js';

export interface ImportOptions {
  /** Sizes of symbolic dimensions by name. */
  readonly dimensions?: Readonly<Record<string, number>>;
  /** Size of a symbolic first dimension, wherever its name recurs, that is not in `dimensions`. Default 1. */
  readonly batch?: number;
  /** Inputs that are known now: they become constants, and an If that depends on them is resolved. */
  readonly constants?: Readonly<Record<string, TypedArray>>;
}

/** Opsets whose operators we read. Before 7 broadcasting was different. */
const OPSETS = { min: 7, max: 26 };

/** Constants up to this many elements are computed while importing: shapes depend on them. */
const SMALL = 4096;

class Importer {
  readonly #options: ImportOptions;
  readonly #opset: number;
  readonly #functions: ReadonlySet<string>;
  readonly #nodes: Node[] = [];
  /** Names of symbolic first dimensions. */
  readonly #batches = new Set<string>();

  constructor(opset: number, functions: readonly string[], options: ImportOptions) {
    this.#opset = opset;
    this.#functions = new Set(functions);
    this.#options = options;
  }

  graph(proto: GraphProto): Graph {
    const values = new Map<string, Value>();
    this.#initializers(proto, values);
    const inputs: Value[] = [];
    for (const { shape } of proto.input) {
      const name = shape?.[0]?.dim_param;
      if (name !== undefined && name !== '') this.#batches.add(name);
    }
    for (const info of proto.input) {
      // Before IR version 4 every initializer is listed as an input too.
      if (values.has(info.name)) continue;
      const value = this.#declared(info);
      if (value.shape === undefined)
        throw new CompileError('EINVAL', { node: info.name, rule: 'the input has no shape' });
      const known = this.#options.constants?.[info.name];
      if (known === undefined) inputs.push(value);
      else {
        value.data = Constant.of(value.type, known);
        if (known.length !== checkedCount(value.shape, info.name))
          throw new CompileError('EINVAL', {
            node: info.name,
            shapes: [value.shape],
            rule: `${known.length} elements given`,
          });
      }
      values.set(info.name, value);
    }
    const outputs = this.#body(proto, values);
    return new Graph({ name: proto.name, inputs, outputs, nodes: this.#nodes });
  }

  #initializers(proto: GraphProto, values: Map<string, Value>): void {
    if (proto.sparse_initializers > 0)
      throw new CompileError('EOPNOTSUPP', {
        rule: `${proto.sparse_initializers} sparse initializers are not supported`,
      });
    for (const tensor of proto.initializer) {
      if (values.has(tensor.name))
        throw new CompileError('EINVAL', { node: tensor.name, rule: 'two initializers of this name' });
      values.set(tensor.name, { name: tensor.name, ...importTensor(tensor) });
    }
  }

  /** Adds a graph's nodes to the list and returns its outputs. `values` is the scope: names to values. */
  #body(proto: GraphProto, values: Map<string, Value>): Value[] {
    const declared = new Map([...proto.value_info, ...proto.output].map((info) => [info.name, info]));
    for (const node of this.#ordered(proto, values)) this.#node(node, values, declared);
    return proto.output.map((info) => {
      const value = values.get(info.name);
      if (value === undefined)
        throw new CompileError('EINVAL', { node: info.name, rule: 'no node makes this output' });
      return value;
    });
  }

  /** The nodes so that each comes after those it uses. ONNX asks for this order; some files do not have it. */
  #ordered(proto: GraphProto, values: ReadonlyMap<string, Value>): NodeProto[] {
    const makers = new Map<string, NodeProto>();
    for (const node of proto.node) {
      for (const name of node.output) {
        if (name === '') continue;
        if (makers.has(name) || values.has(name))
          throw new CompileError('EINVAL', { node: name, rule: 'two nodes make this value' });
        makers.set(name, node);
      }
    }
    const waits = new Map<NodeProto, number>();
    const users = new Map<NodeProto, NodeProto[]>();
    const ready: NodeProto[] = [];
    for (const node of proto.node) {
      const from = new Set(usedNames(node).flatMap((name) => makers.get(name) ?? []));
      waits.set(node, from.size);
      for (const maker of from) {
        const list = users.get(maker);
        if (list === undefined) users.set(maker, [node]);
        else list.push(node);
      }
    }
    // In file order as far as that goes, so that a sorted file comes out unchanged.
    const done = new Set<NodeProto>();
    const order: NodeProto[] = [];
    const take = (node: NodeProto) => {
      done.add(node);
      order.push(node);
      for (const user of users.get(node) ?? []) {
        const left = waits.get(user)! - 1;
        waits.set(user, left);
        if (left === 0) ready.push(user);
      }
    };
    for (const node of proto.node) {
      if (done.has(node)) continue;
      if (waits.get(node) === 0) take(node);
    }
    for (let node = ready.shift(); node !== undefined; node = ready.shift()) if (!done.has(node)) take(node);
    if (order.length !== proto.node.length) {
      const stuck = proto.node.find((node) => !done.has(node))!;
      throw new CompileError('EINVAL', {
        operator: stuck.op_type,
        node: stuck.name || stuck.output[0],
        rule: 'it depends on itself',
      });
    }
    return order;
  }

  #declared(info: ValueInfoProto): Value {
    if (info.other !== undefined)
      throw new CompileError('EOPNOTSUPP', {
        node: info.name,
        rule: `values of type ${info.other} are not supported`,
      });
    const type = dataType(info.elem_type, info.name);
    const shape = info.shape?.map((dim, axis) => {
      const name = dim.dim_param ?? '';
      const bound = name === '' ? undefined : this.#options.dimensions?.[name];
      if (bound !== undefined) return bound;
      // Some exporters write -1 for a size that is not known.
      if (dim.dim_value !== undefined && dim.dim_value >= 0) return dim.dim_value;
      if (axis === 0 || this.#batches.has(name)) return this.#options.batch ?? 1;
      throw new CompileError('EINVAL', {
        node: info.name,
        rule: `dimension ${axis}${name === '' ? '' : ` ("${name}")`} is symbolic: its size must be given`,
      });
    });
    if (shape !== undefined) checkedCount(shape, info.name);
    return { name: info.name, type, shape };
  }

  #node(proto: NodeProto, values: Map<string, Value>, declared: ReadonlyMap<string, ValueInfoProto>): void {
    const inputs = proto.input.map((name) => {
      if (name === '') return undefined;
      const value = values.get(name);
      if (value === undefined)
        throw new CompileError('EINVAL', {
          operator: proto.op_type,
          node: proto.name || proto.output[0],
          rule: `input "${name}" is made by nobody`,
        });
      return value;
    });
    if (proto.op_type === 'If' && proto.domain === '' && this.#inlineIf(proto, inputs, values)) return;
    const local = this.#functions.has(`${proto.domain}::${proto.op_type}`);
    if (proto.domain !== '' || local || !isKnown(proto.op_type)) {
      this.#opaque(proto, inputs, values, declared);
      return;
    }
    const scope: Scope = {
      opset: this.#opset,
      constant: (type, shape, data, name) => ({ name: unused(name, values), type, shape, data }),
    };
    let previous: Value | undefined;
    for (const raw of adapt(rawNode(proto, inputs), scope)) {
      if (previous !== undefined && raw.inputs[0] === undefined) raw.inputs[0] = previous;
      previous = this.#known(raw, values, declared);
    }
  }

  #known(
    raw: RawNode,
    values: Map<string, Value>,
    declared: ReadonlyMap<string, ValueInfoProto>,
  ): Value | undefined {
    const op = raw.op as OperatorName;
    const attributes: Record<string, unknown> = {};
    for (const name of Object.keys(schemas[op].attributes)) {
      const value = raw.attributes.get(name);
      if (value !== undefined) attributes[name] = value;
    }
    while (raw.outputs.at(-1) === '' && raw.outputs.length > schemas[op].outputs[0]) raw.outputs.pop();
    const node = createNode(op, raw.inputs, attributes, { name: raw.name, outputs: raw.outputs }) as Node;
    for (const value of node.outputs) {
      if (value.shape === undefined) this.#trust(value, declared);
      else checkedCount(value.shape, value.name);
      if (value.name !== '') values.set(value.name, value);
    }
    if (
      node.inputs.every((value) => value === undefined || value.data !== undefined) ||
      node.op === 'Shape' ||
      node.op === 'Size'
    )
      foldNode(node, SMALL);
    this.#nodes.push(node);
    return node.outputs[0];
  }

  /** Takes the shape the file states, where inference cannot know it. */
  #trust(value: Value, declared: ReadonlyMap<string, ValueInfoProto>): void {
    const info = declared.get(value.name);
    if (info === undefined || info.elem_type === 0) return;
    value.type = dataType(info.elem_type, info.name);
    if (
      info.shape?.every(
        (dim) => dim.dim_value !== undefined || this.#options.dimensions?.[dim.dim_param ?? ''] !== undefined,
      )
    )
      value.shape = this.#declared(info).shape;
  }

  /** An operator nobody knows is carried along; whoever must run it says so (see Graph's users). */
  #opaque(
    proto: NodeProto,
    inputs: (Value | undefined)[],
    values: Map<string, Value>,
    declared: ReadonlyMap<string, ValueInfoProto>,
  ): void {
    const outputs = proto.output.map((name): Value => ({ name, type: 'undefined', shape: undefined }));
    for (const value of outputs) {
      this.#trust(value, declared);
      if (value.name !== '') values.set(value.name, value);
    }
    const attributes = new Map(
      proto.attribute.map((attribute) => [attribute.name, decodeAttribute(attribute)]),
    );
    this.#nodes.push({
      op: 'Opaque',
      name: proto.name,
      domain: proto.domain,
      inputs,
      outputs,
      attributes: { operator: proto.op_type, values: attributes },
    });
  }

  /** Replaces an If whose condition is known by the branch it takes. */
  #inlineIf(proto: NodeProto, inputs: readonly (Value | undefined)[], values: Map<string, Value>): boolean {
    const condition = inputs[0]?.data?.numbers();
    if (condition?.length !== 1) return false;
    const name = condition[0] !== 0 ? 'then_branch' : 'else_branch';
    const branch = proto.attribute.find((attribute) => attribute.name === name)?.g;
    if (branch === undefined) return false;
    const scope = new Map(values);
    this.#initializers(branch, scope);
    const results = this.#body(branch, scope);
    if (results.length !== proto.output.length)
      throw new CompileError('EINVAL', {
        operator: 'If',
        node: proto.name,
        rule: `${results.length} results for ${proto.output.length} outputs`,
      });
    results.forEach((value, index) => {
      const to = proto.output[index]!;
      if (to === '') return;
      // The branch's value takes the If's name, unless it came from outside the branch.
      if (value.data !== undefined || values.has(value.name)) {
        const copy = createNode('Identity', [value], {}, { name: to });
        this.#nodes.push(copy);
        values.set(to, copy.outputs[0]!);
      } else {
        value.name = to;
        values.set(to, value);
      }
    });
    return true;
  }
}

/** Names a node uses, also inside its subgraphs. */
function usedNames(node: NodeProto): string[] {
  const names = node.input.filter((name) => name !== '');
  for (const attribute of node.attribute) {
    for (const graph of attribute.g === undefined ? attribute.graphs : [attribute.g, ...attribute.graphs])
      for (const inner of graph.node) names.push(...usedNames(inner));
  }
  return names;
}

function unused(name: string, values: ReadonlyMap<string, Value>): string {
  let free = name;
  for (let i = 1; values.has(free); i++) free = `${name}_${i}`;
  return free;
}

function small(value: bigint, name: string): number {
  // INT64_MAX and INT64_MIN mean "to the end" in several operators; as doubles they still do.
  const number = Number(value);
  if (Number.isNaN(number)) throw new CompileError('EINVAL', { rule: `attribute ${name} is ${value}` });
  return number;
}

/** An attribute as a plain value: numbers, strings, lists, a tensor; graphs as they are. */
function decodeAttribute(attribute: AttributeProto): unknown {
  switch (attribute.type) {
    case 1:
      return attribute.f;
    case 2:
      return small(attribute.i, attribute.name);
    case 3:
      return attribute.s;
    case 4:
      return attribute.t === undefined ? undefined : importTensor(attribute.t);
    case 5:
      return attribute.g;
    case 6:
      return attribute.floats;
    case 7:
      return attribute.ints.map((value) => small(value, attribute.name));
    case 8:
      return attribute.strings;
    default:
      return undefined;
  }
}

const kindTypes: Record<string, number> = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  type: 2,
  floats: 6,
  ints: 7,
  strings: 8,
};

function rawNode(proto: NodeProto, inputs: (Value | undefined)[]): RawNode {
  const attributes = new Map<string, unknown>();
  const table = isOperator(proto.op_type) ? schemas[proto.op_type].attributes : {};
  for (const attribute of proto.attribute) {
    const schema = table[attribute.name];
    if (schema !== undefined && attribute.type !== 0 && attribute.type !== kindTypes[schema.kind])
      throw new CompileError('EINVAL', {
        operator: proto.op_type,
        node: proto.name || proto.output[0],
        rule: `attribute ${attribute.name} is of type ${attribute.type}, not ${schema.kind}`,
      });
    const value = decodeAttribute(attribute);
    attributes.set(attribute.name, schema?.kind === 'type' ? dataType(value as number, proto.name) : value);
  }
  return { op: proto.op_type, name: proto.name, inputs, outputs: [...proto.output], attributes };
}

/**
 * Reads an ONNX model. `bytes` must stay unchanged while the graph is used: weights are views of it.
 * Operators nobody knows become Opaque nodes; running or compiling them is an error then.
 * @throws CompileError EINVAL: the file or the model is wrong; EOPNOTSUPP: right, but beyond what is read here.
 */
export function importOnnx(bytes: Uint8Array, options: ImportOptions = {}): Graph {
  const model = readModel(bytes);
  const opset = model.opset_import.get('') ?? 1;
  if (model.graph!.node.some((node) => node.domain === '') && (opset < OPSETS.min || opset > OPSETS.max))
    throw new CompileError('EOPNOTSUPP', {
      rule: `opset ${opset} is outside ${OPSETS.min} to ${OPSETS.max}`,
    });
  return new Importer(opset, model.functions, options).graph(model.graph!);
}
