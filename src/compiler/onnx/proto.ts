// ONNX's protobuf messages, read without copying: strings and numbers are decoded, tensors stay views of the file.
// Not a validator of models: only of the wire format. Field numbers are those of onnx.proto (ONNX IR).
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { CompileError } from '../ir/index.js';

export interface TensorProto {
  dims: number[];
  data_type: number;
  name: string;
  /** raw_data, or the bytes of a packed float_data or double_data, which are the same. */
  raw_data?: Uint8Array;
  /** Packed varints of int32_data (int8, int16, bool, float16 ... too), int64_data and uint64_data, chunk by chunk. */
  varints: Uint8Array[];
  string_data: number;
  /** Key and value pairs when the data lies in another file. */
  external_data: Map<string, string>;
  data_location: number;
  segmented: boolean;
}

export interface DimensionProto {
  dim_value?: number;
  dim_param?: string;
}

export interface ValueInfoProto {
  name: string;
  /** TensorProto.DataType; 0 when it is no tensor. */
  elem_type: number;
  /** Undefined when the rank is not given. */
  shape: DimensionProto[] | undefined;
  /** What the type is when it is no tensor: `sequence`, `map` ... */
  other: string | undefined;
}

export interface AttributeProto {
  name: string;
  /** AttributeProto.AttributeType: 1 FLOAT 2 INT 3 STRING 4 TENSOR 5 GRAPH 6 FLOATS 7 INTS 8 STRINGS 9 TENSORS 10 GRAPHS. */
  type: number;
  f: number;
  i: bigint;
  s: string;
  t?: TensorProto;
  g?: GraphProto;
  floats: number[];
  ints: bigint[];
  strings: string[];
  graphs: GraphProto[];
  ref_attr_name: string;
}

export interface NodeProto {
  input: string[];
  output: string[];
  name: string;
  op_type: string;
  domain: string;
  attribute: AttributeProto[];
}

export interface GraphProto {
  name: string;
  node: NodeProto[];
  initializer: TensorProto[];
  sparse_initializers: number;
  input: ValueInfoProto[];
  output: ValueInfoProto[];
  value_info: ValueInfoProto[];
}

export interface ModelProto {
  ir_version: number;
  producer_name: string;
  graph?: GraphProto;
  /** Domain to version; '' is ONNX's own. */
  opset_import: Map<string, number>;
  /** Names of model-local functions, as `domain::name`. */
  functions: string[];
}

/** Graphs inside attributes inside graphs: deeper than any model, shallow enough for the stack. */
const MAX_DEPTH = 32;

type Fields = (field: number, wire: WireType, reader: BinaryReader) => boolean;

/** Runs `fields` over one message; what it does not take is skipped. */
function scan(bytes: Uint8Array, message: string, fields: Fields): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (!fields(field, wire, reader)) reader.skip(wire, field);
    if (reader.pos > reader.len) throw new RangeError(`${message} ends inside field ${field}`);
  }
}

function need(wire: WireType, expected: WireType, what: string): void {
  if (wire !== expected) throw new RangeError(`${what} has wire type ${wire}, not ${expected}`);
}

function bytesOf(wire: WireType, reader: BinaryReader, what: string): Uint8Array {
  need(wire, WireType.LengthDelimited, what);
  return reader.bytes();
}

function stringOf(wire: WireType, reader: BinaryReader, what: string): string {
  need(wire, WireType.LengthDelimited, what);
  return reader.string();
}

function bigOf(wire: WireType, reader: BinaryReader, what: string): bigint {
  need(wire, WireType.Varint, what);
  return BigInt(reader.int64());
}

function intOf(wire: WireType, reader: BinaryReader, what: string): number {
  const value = Number(bigOf(wire, reader, what));
  if (!Number.isSafeInteger(value)) throw new RangeError(`${what} is ${value}`);
  return value;
}

/** A repeated number, packed or one at a time. */
function each(
  wire: WireType,
  single: WireType,
  reader: BinaryReader,
  what: string,
  read: (r: BinaryReader) => void,
): void {
  if (wire === WireType.LengthDelimited) {
    const packed = new BinaryReader(reader.bytes());
    while (packed.pos < packed.len) read(packed);
    if (packed.pos > packed.len) throw new RangeError(`${what} ends inside a number`);
  } else {
    need(wire, single, what);
    read(reader);
  }
}

function concat(a: Uint8Array | undefined, b: Uint8Array): Uint8Array {
  if (a === undefined) return b;
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

export function readTensor(bytes: Uint8Array): TensorProto {
  const tensor: TensorProto = {
    dims: [],
    data_type: 0,
    name: '',
    varints: [],
    string_data: 0,
    external_data: new Map(),
    data_location: 0,
    segmented: false,
  };
  const fixed = (wire: WireType, reader: BinaryReader, width: WireType, what: string): void => {
    if (wire === WireType.LengthDelimited) tensor.raw_data = concat(tensor.raw_data, reader.bytes());
    else {
      need(wire, width, what);
      tensor.raw_data = concat(tensor.raw_data, reader.skip(wire));
    }
  };
  scan(bytes, 'TensorProto', (field, wire, reader) => {
    switch (field) {
      case 1:
        each(wire, WireType.Varint, reader, 'dims', (r) => tensor.dims.push(Number(r.int64())));
        return true;
      case 2:
        tensor.data_type = intOf(wire, reader, 'data_type');
        return true;
      case 3:
        tensor.segmented = true;
        return false;
      case 4:
        fixed(wire, reader, WireType.Bit32, 'float_data');
        return true;
      case 10:
        fixed(wire, reader, WireType.Bit64, 'double_data');
        return true;
      case 5:
      case 7:
      case 11:
        tensor.varints.push(
          wire === WireType.LengthDelimited
            ? reader.bytes()
            : (need(wire, WireType.Varint, 'data'), reader.skip(wire)),
        );
        return true;
      case 6:
        tensor.string_data++;
        return false;
      case 8:
        tensor.name = stringOf(wire, reader, 'name');
        return true;
      case 9:
        tensor.raw_data = bytesOf(wire, reader, 'raw_data');
        return true;
      case 13: {
        let key = '';
        let value = '';
        scan(bytesOf(wire, reader, 'external_data'), 'StringStringEntryProto', (no, w, r) => {
          if (no === 1) key = stringOf(w, r, 'key');
          else if (no === 2) value = stringOf(w, r, 'value');
          return no === 1 || no === 2;
        });
        tensor.external_data.set(key, value);
        return true;
      }
      case 14:
        tensor.data_location = intOf(wire, reader, 'data_location');
        return true;
      default:
        return false;
    }
  });
  return tensor;
}

const otherTypes: Record<number, string> = { 4: 'sequence', 5: 'map', 8: 'sparse tensor', 9: 'optional' };

function readValueInfo(bytes: Uint8Array): ValueInfoProto {
  const info: ValueInfoProto = { name: '', elem_type: 0, shape: undefined, other: undefined };
  const dimension: Fields = (field, wire, reader) => {
    if (field !== 1) return false;
    const dim: DimensionProto = {};
    scan(bytesOf(wire, reader, 'dim'), 'Dimension', (no, w, r) => {
      if (no === 1) dim.dim_value = intOf(w, r, 'dim_value');
      else if (no === 2) dim.dim_param = stringOf(w, r, 'dim_param');
      return no === 1 || no === 2;
    });
    info.shape!.push(dim);
    return true;
  };
  const tensor: Fields = (field, wire, reader) => {
    if (field === 1) info.elem_type = intOf(wire, reader, 'elem_type');
    else if (field === 2) {
      info.shape = [];
      scan(bytesOf(wire, reader, 'shape'), 'TensorShapeProto', dimension);
    } else return false;
    return true;
  };
  scan(bytes, 'ValueInfoProto', (field, wire, reader) => {
    if (field === 1) info.name = stringOf(wire, reader, 'name');
    else if (field === 2) {
      scan(bytesOf(wire, reader, 'type'), 'TypeProto', (no, w, r) => {
        if (no === 1) {
          scan(bytesOf(w, r, 'tensor_type'), 'TypeProto.Tensor', tensor);
          return true;
        }
        info.other = otherTypes[no] ?? info.other;
        return false;
      });
    } else return false;
    return true;
  });
  return info;
}

function readAttribute(bytes: Uint8Array, depth: number): AttributeProto {
  const attribute: AttributeProto = {
    name: '',
    type: 0,
    f: 0,
    i: 0n,
    s: '',
    floats: [],
    ints: [],
    strings: [],
    graphs: [],
    ref_attr_name: '',
  };
  scan(bytes, 'AttributeProto', (field, wire, reader) => {
    switch (field) {
      case 1:
        attribute.name = stringOf(wire, reader, 'name');
        return true;
      case 2:
        need(wire, WireType.Bit32, 'f');
        attribute.f = reader.float();
        return true;
      case 3:
        attribute.i = bigOf(wire, reader, 'i');
        return true;
      case 4:
        attribute.s = stringOf(wire, reader, 's');
        return true;
      case 5:
        attribute.t = readTensor(bytesOf(wire, reader, 't'));
        return true;
      case 6:
        attribute.g = readGraph(bytesOf(wire, reader, 'g'), depth + 1);
        return true;
      case 7:
        each(wire, WireType.Bit32, reader, 'floats', (r) => attribute.floats.push(r.float()));
        return true;
      case 8:
        each(wire, WireType.Varint, reader, 'ints', (r) => attribute.ints.push(BigInt(r.int64())));
        return true;
      case 9:
        attribute.strings.push(stringOf(wire, reader, 'strings'));
        return true;
      case 11:
        attribute.graphs.push(readGraph(bytesOf(wire, reader, 'graphs'), depth + 1));
        return true;
      case 20:
        attribute.type = intOf(wire, reader, 'type');
        return true;
      case 21:
        attribute.ref_attr_name = stringOf(wire, reader, 'ref_attr_name');
        return true;
      default:
        return false;
    }
  });
  return attribute;
}

function readNode(bytes: Uint8Array, depth: number): NodeProto {
  const node: NodeProto = { input: [], output: [], name: '', op_type: '', domain: '', attribute: [] };
  scan(bytes, 'NodeProto', (field, wire, reader) => {
    switch (field) {
      case 1:
        node.input.push(stringOf(wire, reader, 'input'));
        return true;
      case 2:
        node.output.push(stringOf(wire, reader, 'output'));
        return true;
      case 3:
        node.name = stringOf(wire, reader, 'name');
        return true;
      case 4:
        node.op_type = stringOf(wire, reader, 'op_type');
        return true;
      case 5:
        node.attribute.push(readAttribute(bytesOf(wire, reader, 'attribute'), depth));
        return true;
      case 7:
        node.domain = stringOf(wire, reader, 'domain');
        return true;
      default:
        return false;
    }
  });
  if (node.domain === 'ai.onnx') node.domain = '';
  return node;
}

function readGraph(bytes: Uint8Array, depth: number): GraphProto {
  if (depth > MAX_DEPTH) throw new RangeError(`graphs nested more than ${MAX_DEPTH} deep`);
  const graph: GraphProto = {
    name: '',
    node: [],
    initializer: [],
    sparse_initializers: 0,
    input: [],
    output: [],
    value_info: [],
  };
  scan(bytes, 'GraphProto', (field, wire, reader) => {
    switch (field) {
      case 1:
        graph.node.push(readNode(bytesOf(wire, reader, 'node'), depth));
        return true;
      case 2:
        graph.name = stringOf(wire, reader, 'name');
        return true;
      case 5:
        graph.initializer.push(readTensor(bytesOf(wire, reader, 'initializer')));
        return true;
      case 11:
        graph.input.push(readValueInfo(bytesOf(wire, reader, 'input')));
        return true;
      case 12:
        graph.output.push(readValueInfo(bytesOf(wire, reader, 'output')));
        return true;
      case 13:
        graph.value_info.push(readValueInfo(bytesOf(wire, reader, 'value_info')));
        return true;
      case 15:
        graph.sparse_initializers++;
        return false;
      default:
        return false;
    }
  });
  return graph;
}

/** Reads a model file. Tensors are views of `bytes`. Throws CompileError EINVAL when it is not a whole ONNX file. */
export function readModel(bytes: Uint8Array): ModelProto {
  const model: ModelProto = { ir_version: 0, producer_name: '', opset_import: new Map(), functions: [] };
  try {
    scan(bytes, 'ModelProto', (field, wire, reader) => {
      switch (field) {
        case 1:
          model.ir_version = intOf(wire, reader, 'ir_version');
          return true;
        case 2:
          model.producer_name = stringOf(wire, reader, 'producer_name');
          return true;
        case 7:
          model.graph = readGraph(bytesOf(wire, reader, 'graph'), 0);
          return true;
        case 8: {
          let domain = '';
          let version = 0;
          scan(bytesOf(wire, reader, 'opset_import'), 'OperatorSetIdProto', (no, w, r) => {
            if (no === 1) domain = stringOf(w, r, 'domain');
            else if (no === 2) version = intOf(w, r, 'version');
            return no === 1 || no === 2;
          });
          model.opset_import.set(domain === 'ai.onnx' ? '' : domain, version);
          return true;
        }
        case 25: {
          let name = '';
          let domain = '';
          scan(bytesOf(wire, reader, 'functions'), 'FunctionProto', (no, w, r) => {
            if (no === 1) name = stringOf(w, r, 'name');
            else if (no === 10) domain = stringOf(w, r, 'domain');
            return no === 1 || no === 10;
          });
          model.functions.push(`${domain}::${name}`);
          return true;
        }
        default:
          return false;
      }
    });
  } catch (cause) {
    if (cause instanceof CompileError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CompileError('EINVAL', { rule: `the file is not a whole ONNX model: ${why}`, cause });
  }
  if (model.graph === undefined)
    throw new CompileError('EINVAL', { rule: 'the file is not an ONNX model: it holds no graph' });
  return model;
}
