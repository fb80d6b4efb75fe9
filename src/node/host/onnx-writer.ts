// A part of a graph as an ONNX file in memory, for a runtime that reads nothing else.
// Not the importer's inverse: quantised operators are written as dequantise, compute, quantise.
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import {
  type Constant,
  type DataType,
  type Graph,
  type Node,
  nameOf,
  nodeError,
  type Quantization,
  shapeOf,
  type Shape,
  type Value,
} from '../../compiler/ir/index.js';

/** TensorProto.DataType. */
const types: Readonly<Partial<Record<DataType, number>>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
};

/** AttributeProto.AttributeType. */
const AttributeType = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7, strings: 8 } as const;

/** Attributes whose numbers are floats; all others are integers. */
const floats = new Set([
  'alpha',
  'beta',
  'gamma',
  'bias',
  'epsilon',
  'clip',
  'cubic_coeff_a',
  'extrapolation_value',
  'activation_alpha',
  'activation_beta',
]);

/** Attributes that say "none" by being left out. */
const optional = new Set([
  'output_shape',
  'activation_alpha',
  'activation_beta',
  'block_size',
  'clip',
  'axes',
]);

/** ir_version and opset that the newest forms of our operators are written for. */
const IR_VERSION = 10;
export const OPSET = 21;

/** Operators that are written for what they say: their integers are not reals in disguise. */
const exact = new Set<string>([
  'QuantizeLinear',
  'DequantizeLinear',
  'DynamicQuantizeLinear',
  'QLinearConv',
  'QLinearMatMul',
]);

export function typeCode(type: DataType): number | undefined {
  return types[type];
}

/** Why a node cannot be written, or undefined when it can. */
export function unwritable(node: Node): string | undefined {
  if (node.op === 'Opaque') return 'the operator is not known';
  for (const value of [...node.inputs, ...node.outputs])
    if (value !== undefined && types[value.type] === undefined) return `tensors of type ${value.type}`;
  return undefined;
}

/** ModelProto bytes of the graph. @throws CompileError for a node that cannot be written */
export function writeOnnx(graph: Graph): Uint8Array {
  return new GraphWriter(graph).bytes();
}

class GraphWriter {
  readonly #graph: Graph;
  readonly #nodes: Uint8Array[] = [];
  readonly #initializers = new Map<string, Uint8Array>();

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  bytes(): Uint8Array {
    for (const node of this.#graph.nodes)
      if (node.outputs.some(({ data }) => data === undefined)) this.#node(node);
    for (const output of this.#graph.outputs)
      if (output.data !== undefined) this.#emit('Identity', [this.#constant(output)], [output.name], {});
    const graph = new BinaryWriter();
    for (const node of this.#nodes) graph.tag(1, 2).bytes(node);
    graph.tag(2, 2).string(this.#graph.name === '' ? 'segment' : this.#graph.name);
    for (const tensor of this.#initializers.values()) graph.tag(5, 2).bytes(tensor);
    for (const input of this.#graph.inputs) graph.tag(11, 2).bytes(valueInfo(input));
    for (const output of this.#graph.outputs) graph.tag(12, 2).bytes(valueInfo(output));
    const opset = new BinaryWriter().tag(1, 2).string('').tag(2, 0).int64(OPSET).finish();
    return new BinaryWriter()
      .tag(1, 0)
      .int64(IR_VERSION)
      .tag(2, 2)
      .string('accel')
      .tag(7, 2)
      .bytes(graph.finish())
      .tag(8, 2)
      .bytes(opset)
      .finish();
  }

  #node(node: Node): void {
    const refusal = unwritable(node);
    if (refusal !== undefined || node.op === 'Opaque') throw nodeError(node, 'EOPNOTSUPP', refusal ?? '');
    const real = !exact.has(node.op);
    const inputs = node.inputs.map((value) => {
      if (value === undefined) return '';
      const name = value.data === undefined ? value.name : this.#constant(value);
      return real && value.quantization !== undefined
        ? this.#dequantised(name, value, value.quantization)
        : name;
    });
    const { activation } = node;
    const outputs = node.outputs.map((value, index) => {
      const quantised = real && value.quantization !== undefined;
      return `${value.name}${quantised ? '/real' : ''}${index === 0 && activation !== undefined ? '/before' : ''}`;
    });
    this.#emit(node.op, inputs, outputs, attributesOf(node), nameOf(node));
    const [first] = node.outputs;
    if (activation !== undefined && first !== undefined) {
      const after = outputs[0]!.replace(/\/before$/, '');
      const { op, ...attributes } = activation;
      if (activation.op === 'Clip') {
        const bounds = [activation.min, activation.max].map((bound, i) =>
          this.#scalar(`${first.name}/bound${i}`, 'float32', bound),
        );
        this.#emit('Clip', [outputs[0]!, ...bounds], [after], {});
      } else this.#emit(op, [outputs[0]!], [after], attributes);
    }
    for (const value of node.outputs)
      if (real && value.quantization !== undefined) this.#quantise(value, value.quantization);
  }

  #emit(
    op: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: object,
    name = '',
  ): void {
    const writer = new BinaryWriter();
    for (const input of inputs) writer.tag(1, 2).string(input);
    for (const output of outputs) writer.tag(2, 2).string(output);
    writer.tag(3, 2).string(name).tag(4, 2).string(op);
    for (const [key, value] of Object.entries(attributes)) {
      const bytes = attribute(key, value);
      if (bytes !== undefined) writer.tag(5, 2).bytes(bytes);
    }
    this.#nodes.push(writer.finish());
  }

  /** The name under which a known value is read: a graph output may not be an initializer itself. */
  #constant(value: Value): string {
    const name = this.#graph.outputs.includes(value) ? `${value.name}/constant` : value.name;
    if (!this.#initializers.has(name))
      this.#initializers.set(name, tensorProto(name, shapeOf(value), value.data!));
    return name;
  }

  #dequantised(from: string, value: Value, quantization: Quantization): string {
    const name = `${value.name}/real/${this.#nodes.length}`;
    const [scale, zeroPoint] = this.#parameters(value, quantization);
    this.#emit('DequantizeLinear', [from, scale, zeroPoint], [name], { axis: quantization.axis ?? 1 });
    return name;
  }

  #quantise(value: Value, quantization: Quantization): void {
    const [scale, zeroPoint] = this.#parameters(value, quantization);
    this.#emit('QuantizeLinear', [`${value.name}/real`, scale, zeroPoint], [value.name], {
      axis: quantization.axis ?? 1,
    });
  }

  #parameters(value: Value, { scale, zeroPoint, axis }: Quantization): [string, string] {
    const shape = axis === undefined ? [] : [scale.length];
    const names: [string, string] = [`${value.name}/scale`, `${value.name}/zero`];
    const scaleBytes = new Uint8Array(scale.slice().buffer);
    this.#initializers.set(names[0], rawTensor(names[0], 'float32', shape, scaleBytes));
    this.#initializers.set(
      names[1],
      rawTensor(names[1], value.type, shape, integerBytes(value.type, zeroPoint)),
    );
    return names;
  }

  #scalar(name: string, type: 'float32', value: number): string {
    this.#initializers.set(name, rawTensor(name, type, [], new Uint8Array(Float32Array.of(value).buffer)));
    return name;
  }
}

/**
 * Attributes as a file has them: the number of parts is not said beside their sizes, nor dilations of an average that has none,
 * which ONNX Runtime's quantised average does not know.
 */
function attributesOf(node: Exclude<Node, { op: 'Opaque' }>): object {
  if (node.op === 'AveragePool') {
    const { dilations, ...rest } = node.attributes;
    return dilations.every((step) => step === 1) ? rest : node.attributes;
  }
  if (node.op !== 'Split' || node.inputs[1] === undefined) return node.attributes;
  return { axis: node.attributes.axis };
}

function integerBytes(type: DataType, values: Int32Array): Uint8Array {
  if (type === 'int32') return new Uint8Array(values.slice().buffer);
  if (type === 'int16' || type === 'uint16') return new Uint8Array(Int16Array.from(values).buffer);
  return new Uint8Array(Int8Array.from(values).buffer);
}

function tensorProto(name: string, shape: Shape, data: Constant): Uint8Array {
  const { buffer, byteOffset, byteLength } = data.array();
  return rawTensor(name, data.type, shape, new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength));
}

function rawTensor(name: string, type: DataType, shape: Shape, bytes: Uint8Array): Uint8Array {
  const writer = new BinaryWriter();
  for (const dimension of shape) writer.tag(1, 0).int64(dimension);
  return writer.tag(2, 0).int32(types[type]!).tag(8, 2).string(name).tag(9, 2).bytes(bytes).finish();
}

function valueInfo(value: Value): Uint8Array {
  const shape = new BinaryWriter();
  for (const dimension of shapeOf(value))
    shape.tag(1, 2).bytes(new BinaryWriter().tag(1, 0).int64(dimension).finish());
  const tensor = new BinaryWriter()
    .tag(1, 0)
    .int32(types[value.type]!)
    .tag(2, 2)
    .bytes(shape.finish())
    .finish();
  const type = new BinaryWriter().tag(1, 2).bytes(tensor).finish();
  return new BinaryWriter().tag(1, 2).string(value.name).tag(2, 2).bytes(type).finish();
}

/** One attribute, or undefined when its value is the absence of it. */
function attribute(name: string, value: unknown): Uint8Array | undefined {
  const writer = new BinaryWriter().tag(1, 2).string(name);
  const typed = (type: number): Uint8Array => writer.tag(20, 0).int32(type).finish();
  if (optional.has(name) && (value === 0 || (Array.isArray(value) && value.length === 0))) return undefined;
  if (name === 'to' && typeof value === 'string') {
    writer.tag(3, 0).int64(types[value as DataType]!);
    return typed(AttributeType.int);
  }
  if (typeof value === 'number') {
    if (floats.has(name)) {
      writer.tag(2, 5).float(value);
      return typed(AttributeType.float);
    }
    writer.tag(3, 0).int64(value);
    return typed(AttributeType.int);
  }
  if (typeof value === 'string') {
    writer.tag(4, 2).string(value);
    return typed(AttributeType.string);
  }
  if (Array.isArray(value)) {
    if (floats.has(name)) {
      for (const entry of value as number[]) writer.tag(7, 5).float(entry);
      return typed(AttributeType.floats);
    }
    if (value.some((entry) => typeof entry === 'string')) {
      for (const entry of value as string[]) writer.tag(9, 2).string(entry);
      return typed(AttributeType.strings);
    }
    for (const entry of value as number[]) writer.tag(8, 0).int64(entry);
    return typed(AttributeType.ints);
  }
  return constantAttribute(writer, value);
}

/** The tensor of Constant and ConstantOfShape. */
function constantAttribute(writer: BinaryWriter, value: unknown): Uint8Array {
  const tensor = value as { type: DataType; shape?: Shape; data?: Constant; fill?: number | bigint };
  const bytes =
    tensor.data !== undefined
      ? tensorProto('', tensor.shape ?? [tensor.data.length], tensor.data)
      : rawTensor('', tensor.type, [1], fillBytes(tensor.type, tensor.fill ?? 0));
  return writer.tag(5, 2).bytes(bytes).tag(20, 0).int32(AttributeType.tensor).finish();
}

function fillBytes(type: DataType, fill: number | bigint): Uint8Array {
  if (type === 'int64' || type === 'uint64') return new Uint8Array(BigInt64Array.of(BigInt(fill)).buffer);
  if (type === 'float32') return new Uint8Array(Float32Array.of(Number(fill)).buffer);
  if (type === 'float64') return new Uint8Array(Float64Array.of(Number(fill)).buffer);
  return integerBytes(type, Int32Array.of(Number(fill)));
}
