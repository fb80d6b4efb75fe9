// The element types of tensors, their sizes and the arrays that hold them in JavaScript.
// Not arithmetic: conversion of half floats is in half.ts, computing in evaluate/.

/** ONNX's element types by their ONNX names in lower case; `float` is float32, `double` float64. */
export type DataType =
  | 'undefined'
  | 'float32'
  | 'uint8'
  | 'int8'
  | 'uint16'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'string'
  | 'bool'
  | 'float16'
  | 'float64'
  | 'uint32'
  | 'uint64'
  | 'complex64'
  | 'complex128'
  | 'bfloat16'
  | 'float8e4m3fn'
  | 'float8e4m3fnuz'
  | 'float8e5m2'
  | 'float8e5m2fnuz'
  | 'uint4'
  | 'int4'
  | 'float4e2m1'
  | 'float8e8m0';

/**
 * Arrays a tensor's elements can be in. bool is 0 or 1 in a Uint8Array; float16 and bfloat16 are their bits in a
 * Uint16Array; the 8-bit floats are their bits in a Uint8Array; 4-bit types are unpacked, one element per byte.
 */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** Dimensions, outermost first. A scalar has none. */
export type Shape = readonly number[];

type ArrayConstructor = {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): TypedArray;
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): TypedArray;
};

const arrays: Partial<Record<DataType, ArrayConstructor>> = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  float8e4m3fn: Uint8Array,
  float8e4m3fnuz: Uint8Array,
  float8e5m2: Uint8Array,
  float8e5m2fnuz: Uint8Array,
  float8e8m0: Uint8Array,
  uint4: Uint8Array,
  int4: Int8Array,
  float4e2m1: Uint8Array,
};

/** The array type for elements of `type`, or undefined where there is none (strings, complex numbers). */
export function arrayType(type: DataType): ArrayConstructor | undefined {
  return arrays[type];
}

/** Bytes of one element as it lies in memory; a 4-bit element counts as half a byte. 0 when it has no fixed size. */
export function elementBytes(type: DataType): number {
  if (type === 'uint4' || type === 'int4' || type === 'float4e2m1') return 0.5;
  if (type === 'complex64') return 8;
  if (type === 'complex128') return 16;
  return arrays[type]?.BYTES_PER_ELEMENT ?? 0;
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: Shape): number {
  let count = 1;
  for (const dim of shape) count *= dim;
  return count;
}

/** float16, bfloat16, float32 or float64. */
export function isFloat(type: DataType): boolean {
  return type === 'float32' || type === 'float16' || type === 'float64' || type === 'bfloat16';
}

/** The least and greatest value of an integer type as numbers, or undefined for other types and for 64 bits. */
export function integerRange(type: DataType): { min: number; max: number } | undefined {
  switch (type) {
    case 'int8':
      return { min: -128, max: 127 };
    case 'uint8':
      return { min: 0, max: 255 };
    case 'int16':
      return { min: -32768, max: 32767 };
    case 'uint16':
      return { min: 0, max: 65535 };
    case 'int32':
      return { min: -2147483648, max: 2147483647 };
    case 'uint32':
      return { min: 0, max: 4294967295 };
    case 'int4':
      return { min: -8, max: 7 };
    case 'uint4':
      return { min: 0, max: 15 };
    default:
      return undefined;
  }
}

/** Whether two shapes have the same dimensions. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/** Row-major strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

const INT64_MAX = 2n ** 63n - 1n;

/** Numbers as int64, clamped: a double cannot hold INT64_MAX, which stands for "to the end" in ONNX. */
export function int64Array(values: readonly number[]): BigInt64Array {
  return BigInt64Array.from(values, (value) => (value >= 2 ** 63 ? INT64_MAX : BigInt(value)));
}
