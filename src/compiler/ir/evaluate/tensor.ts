// Tensors as the evaluator computes with them, and conversions between element types.
// Not graph values: a tensor has elements and no name.
import { CompileError } from '../error.js';
import {
  arrayType,
  type DataType,
  elementCount,
  isFloat,
  sameShape,
  type Shape,
  stridesOf,
  type TypedArray,
} from '../types.js';
import { decodeSmallFloat, encodeSmallFloat, isSmallFloat } from './small-float.js';
import { bfloat16ToFloat, floatToBfloat16, floatToHalf, halfToFloat } from './half.js';

/** Elements in row-major order; see TypedArray for how each type is held. */
export interface Tensor {
  readonly type: DataType;
  readonly shape: Shape;
  readonly data: TypedArray;
  /** All elements have this value; `data` is made when it is asked for. */
  readonly fill?: number | undefined;
}

/** A new zeroed array for `count` elements. */
export function allocate(type: DataType, count: number): TypedArray {
  const Type = arrayType(type);
  if (Type === undefined)
    throw new CompileError('EOPNOTSUPP', { rule: `cannot compute with elements of type ${type}` });
  if (count > 2 ** 30) throw new CompileError('E2BIG', { rule: `a tensor of ${count} elements` });
  return new Type(count);
}

/** The elements as doubles. 64-bit integers lose what a double cannot hold. */
export function doubles(data: TypedArray): Float64Array {
  if (data instanceof Float64Array) return data;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    const out = new Float64Array(data.length);
    for (let i = 0; i < out.length; i++) out[i] = Number(data[i]);
    return out;
  }
  return Float64Array.from(data);
}

/** half floats as float32; everything else as it is. */
export function widen(tensor: Tensor): Tensor {
  if (tensor.type !== 'float16' && tensor.type !== 'bfloat16') return tensor;
  const bits = tensor.data as Uint16Array;
  const data = new Float32Array(bits.length);
  const convert = tensor.type === 'float16' ? halfToFloat : bfloat16ToFloat;
  for (let i = 0; i < data.length; i++) data[i] = convert(bits[i]!);
  return { type: 'float32', shape: tensor.shape, data };
}

/** float32 elements as `type`'s bits, when that is a half float. */
export function narrow(type: DataType, data: TypedArray): TypedArray {
  if (type !== 'float16' && type !== 'bfloat16') return data;
  if (data instanceof Uint16Array) return data;
  const out = new Uint16Array(data.length);
  const convert = type === 'float16' ? floatToHalf : floatToBfloat16;
  for (let i = 0; i < out.length; i++) out[i] = convert(Number(data[i]));
  return out;
}

/** Small floats as float32; half floats too. */
export function decoded(tensor: Tensor): Tensor {
  if (!isSmallFloat(tensor.type)) return widen(tensor);
  const data = new Float32Array(tensor.data.length);
  for (let i = 0; i < data.length; i++) data[i] = decodeSmallFloat(tensor.type, tensor.data[i] as number);
  return { type: 'float32', shape: tensor.shape, data };
}

/** ONNX Cast: floats to integers are truncated, to bool compared with 0; integers wrap as in C. */
export function cast(tensor: Tensor, to: DataType, saturate = true): TypedArray {
  const { data } = decoded(tensor);
  const out = allocate(to === 'float16' || to === 'bfloat16' ? 'float32' : to, data.length);
  if (to === 'bool') {
    for (let i = 0; i < data.length; i++) (out as Uint8Array)[i] = Number(data[i]) !== 0 ? 1 : 0;
  } else if (isSmallFloat(to)) {
    for (let i = 0; i < data.length; i++)
      (out as Uint8Array)[i] = encodeSmallFloat(to, Number(data[i]), saturate);
  } else if (out instanceof BigInt64Array || out instanceof BigUint64Array) {
    for (let i = 0; i < data.length; i++) {
      const value = data[i]!;
      out[i] = typeof value === 'bigint' ? value : Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n;
    }
  } else if (isFloat(to)) {
    for (let i = 0; i < data.length; i++) out[i] = Number(data[i]);
  } else {
    const big = data instanceof BigInt64Array || data instanceof BigUint64Array;
    const [shift, signed] = to === 'int4' || to === 'uint4' ? [28, to === 'int4'] : [0, true];
    for (let i = 0; i < data.length; i++) {
      const whole = big ? Number(BigInt.asIntN(32, data[i] as bigint)) : Math.trunc(Number(data[i]));
      (out as Int32Array)[i] =
        shift === 0 ? whole : signed ? (whole << shift) >> shift : (whole << shift) >>> shift;
    }
  }
  return narrow(to, out);
}

/** For each element of `out` the element of `shape` it is broadcast from; undefined when they are the same. */
export function broadcastIndex(shape: Shape, out: Shape): Int32Array | undefined {
  if (sameShape(shape, out)) return undefined;
  const index = new Int32Array(elementCount(out));
  const own = stridesOf(shape);
  const steps = out.map((_, axis) => {
    const from = axis - (out.length - shape.length);
    return from >= 0 && shape[from] !== 1 ? own[from]! : 0;
  });
  fillIndex(index, out, steps, 0);
  return index;
}

/** Writes base + sum of coordinate * step for every coordinate of `shape`, in row-major order. */
export function fillIndex(index: Int32Array, shape: Shape, steps: readonly number[], base: number): void {
  const rank = shape.length;
  if (rank === 0) {
    index[0] = base;
    return;
  }
  const inner = shape[rank - 1]!;
  const innerStep = steps[rank - 1]!;
  const coordinate = new Int32Array(rank);
  let offset = base;
  for (let at = 0; at < index.length; at += inner) {
    for (let i = 0, value = offset; i < inner; i++, value += innerStep) index[at + i] = value;
    for (let axis = rank - 2; axis >= 0; axis--) {
      offset += steps[axis]!;
      if (++coordinate[axis]! < shape[axis]!) break;
      offset -= steps[axis]! * shape[axis]!;
      coordinate[axis] = 0;
    }
  }
}

/** out[i] = data[index[i]]. */
export function gatherElements(data: TypedArray, index: Int32Array): TypedArray {
  const Type = data.constructor as new (length: number) => TypedArray;
  const out = new Type(index.length) as Float32Array;
  const from = data as Float32Array;
  for (let i = 0; i < index.length; i++) out[i] = from[index[i]!]!;
  return out;
}

/** Rounds to the nearest integer, halves to even, as QuantizeLinear and Round do. */
export function roundHalfEven(x: number): number {
  const up = Math.round(x);
  return up - x === 0.5 && up % 2 !== 0 ? up - 1 : up;
}
