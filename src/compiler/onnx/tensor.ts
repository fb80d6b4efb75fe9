// A TensorProto as a Constant: raw bytes stay views of the file, varint lists are decoded.
// Not a value: the importer gives it its name and place.
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { arrayType, CompileError, Constant, type DataType, elementBytes, type Shape } from '../ir/index.js';
import type { TensorProto } from './proto.js';

/** Element types in the order of TensorProto.DataType (onnx.proto). */
export const dataTypes: readonly DataType[] = [
  'undefined',
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'string',
  'bool',
  'float16',
  'float64',
  'uint32',
  'uint64',
  'complex64',
  'complex128',
  'bfloat16',
  'float8e4m3fn',
  'float8e4m3fnuz',
  'float8e5m2',
  'float8e5m2fnuz',
  'uint4',
  'int4',
  'float4e2m1',
  'float8e8m0',
];

/** The type of a TensorProto.DataType number; throws EINVAL when ONNX has no such type. */
export function dataType(number: number, node?: string): DataType {
  const type = dataTypes[number];
  if (type === undefined) throw new CompileError('EINVAL', { node, rule: `ONNX has no data type ${number}` });
  return type;
}

/** Elements of a tensor that no machine holds; above it a shape is taken for garbage. */
const MAX_ELEMENTS = 2 ** 40;

/** The number of elements of a shape from a file; throws EINVAL when a dimension is negative or the product is absurd. */
export function checkedCount(dims: Shape, node: string): number {
  let count = 1;
  for (const dim of dims) {
    if (!Number.isSafeInteger(dim) || dim < 0)
      throw new CompileError('EINVAL', { node, shapes: [dims], rule: `dimension ${dim} is not a size` });
    count *= dim;
  }
  if (!(count <= MAX_ELEMENTS))
    throw new CompileError('EINVAL', { node, shapes: [dims], rule: `${count} elements cannot be` });
  return count;
}

function decodeVarints(proto: TensorProto, type: DataType, count: number): Constant {
  const array = new (arrayType(type)!)(count);
  const big = array instanceof BigInt64Array || array instanceof BigUint64Array;
  let at = 0;
  for (const chunk of proto.varints) {
    const reader = new BinaryReader(chunk);
    for (; reader.pos < reader.len; at++) {
      if (big) {
        const value = BigInt(type === 'int64' ? reader.int64() : reader.uint64());
        if (at < count) (array as BigInt64Array)[at] = value;
      } else {
        const value = type === 'uint32' ? Number(reader.uint64()) : reader.int32();
        if (at < count) (array as Int32Array)[at] = value;
      }
    }
  }
  if (at !== count) throw new RangeError(`${at} numbers for ${count} elements`);
  return Constant.of(type, array);
}

/**
 * Type, shape and elements of a TensorProto. `data` is undefined for strings, which nothing here computes with.
 * @throws CompileError EOPNOTSUPP: the data lies in another file; EINVAL: data and shape do not fit.
 */
export function importTensor(proto: TensorProto): {
  type: DataType;
  shape: Shape;
  data: Constant | undefined;
} {
  const node = proto.name;
  const type = dataType(proto.data_type, node);
  const shape = proto.dims;
  const count = checkedCount(shape, node);
  if (proto.data_location === 1 || proto.external_data.size > 0) {
    const location = proto.external_data.get('location') ?? '?';
    throw new CompileError('EOPNOTSUPP', {
      node,
      shapes: [shape],
      rule: `its data lies in another file (${location}); save the model with its weights inside`,
    });
  }
  if (proto.segmented)
    throw new CompileError('EOPNOTSUPP', { node, rule: 'tensors in segments are not supported' });
  if (type === 'string') return { type, shape, data: undefined };
  if (arrayType(type) === undefined)
    throw new CompileError('EOPNOTSUPP', {
      node,
      shapes: [shape],
      rule: `tensors of type ${type} are not supported`,
    });
  try {
    if (proto.raw_data !== undefined) return { type, shape, data: Constant.raw(type, proto.raw_data, count) };
    // int32_data holds packed pairs for 4-bit types: one byte of two elements per number.
    if (elementBytes(type) === 0.5 && proto.varints.length > 0) {
      const packed = decodeVarints(proto, 'uint8', Math.ceil(count / 2)).array() as Uint8Array;
      return { type, shape, data: Constant.raw(type, packed, count) };
    }
    return { type, shape, data: bounded(proto, type, count) };
  } catch (cause) {
    const rule =
      cause instanceof CompileError ? cause.rule : cause instanceof Error ? cause.message : String(cause);
    throw new CompileError('EINVAL', {
      node,
      shapes: [shape],
      rule: `data does not fit the shape: ${rule}`,
      cause,
    });
  }
}

/** A varint takes at least a byte, so a shape larger than the data is refused before anything is allocated. */
function bounded(proto: TensorProto, type: DataType, count: number): Constant {
  const bytes = proto.varints.reduce((sum, chunk) => sum + chunk.length, 0);
  if (count > bytes) throw new RangeError(`${bytes} bytes for ${count} elements`);
  return decodeVarints(proto, type, count);
}
