// Tensors to device memory and back: element conversion, then the cube or row layout that the compiler chose.
// Not the compiler's weight packing: constants arrive as bytes.
import { AccelError } from '../base/errors.js';
import { arrayType, type DataType, elementCount, type TypedArray } from '../compiler/ir/index.js';
import type { Binding, FeatureLayout, LinearLayout, StridedLayout } from '../compiler/targets/program.js';
import { floatToHalf as toHalf, halfToFloat as fromHalf } from '../compiler/ir/evaluate/half.js';

const views = {
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  float16: Uint16Array,
  float32: Float32Array,
} as const;

type Stored = Binding['stored'];
type StoredArray = Int8Array | Int16Array | Int32Array | Uint16Array | Float32Array;
type NumberArray = Exclude<TypedArray, BigInt64Array | BigUint64Array>;

const ranges: Readonly<Partial<Record<Stored, readonly [number, number]>>> = {
  int8: [-128, 127],
  int16: [-32768, 32767],
  int32: [-2147483648, 2147483647],
};

/** Copies elements of one type to another. Same length. */
type Convert = (from: NumberArray, to: NumberArray) => void;

/**
 * One tensor in one segment's memory: made once, used by every dispatch without allocating.
 */
export class BoundTensor {
  readonly binding: Binding;
  readonly #memory: StoredArray;
  /** Row-major elements of the stored type, when the outside's differ; undefined when they go straight. */
  readonly #staging: StoredArray | undefined;
  readonly #toStored: Convert | undefined;
  readonly #fromStored: Convert | undefined;
  /** Places of a strided tensor's elements: in memory, and in the tensor. */
  readonly #places: Places | undefined;

  /**
   * `memory` is the mapping of the binding's buffer.
   * @throws AccelError EOPNOTSUPP when no conversion is known between the tensor's type and the stored one
   */
  constructor(binding: Binding, memory: Uint8Array) {
    this.binding = binding;
    const View = views[binding.stored];
    const { offset, bytes } = binding;
    if (offset % View.BYTES_PER_ELEMENT !== 0 || offset + bytes > memory.length)
      throw new AccelError('EINVAL', {
        field: binding.tensor.name,
        reason: `bytes ${offset} to ${offset + bytes} of a buffer of ${memory.length}`,
      });
    this.#memory = new View(
      memory.buffer as ArrayBuffer,
      memory.byteOffset + offset,
      Math.floor(bytes / View.BYTES_PER_ELEMENT),
    );
    if (binding.layout.kind === 'strided') this.#places = placesOf(binding.layout);
    const conversion = conversionOf(binding);
    if (conversion !== undefined) {
      this.#staging = new View(binding.part?.count ?? elementCount(binding.tensor.shape));
      this.#toStored = conversion.pack;
      this.#fromStored = conversion.unpack;
    }
  }

  #partOf(tensor: TypedArray): TypedArray {
    const { part } = this.binding;
    return part === undefined ? tensor : tensor.subarray(part.from, part.from + part.count);
  }

  /** Writes the tensor's elements to device memory. */
  pack(tensor: TypedArray): void {
    const elements = this.#partOf(tensor);
    let stored = elements as StoredArray;
    if (this.#staging !== undefined) {
      stored = this.#staging;
      this.#toStored!(elements as NumberArray, stored);
    }
    const { layout } = this.binding;
    if (layout.kind === 'feature') scatter(layout, stored, this.#memory);
    else if (layout.kind === 'strided')
      move(stored, this.#places!.tensor, this.#memory, this.#places!.memory);
    else rows(layout, stored, this.#memory, true);
  }

  /** Reads the tensor's elements from device memory. */
  unpack(tensor: TypedArray): void {
    const elements = this.#partOf(tensor);
    const stored = this.#staging ?? (elements as StoredArray);
    const { layout } = this.binding;
    if (layout.kind === 'feature') gather(layout, this.#memory, stored);
    else if (layout.kind === 'strided')
      move(this.#memory, this.#places!.memory, stored, this.#places!.tensor);
    else rows(layout, stored, this.#memory, false);
    if (this.#staging !== undefined) this.#fromStored!(stored, elements as NumberArray);
  }
}

function scatter(layout: FeatureLayout, from: StoredArray, to: StoredArray): void {
  const { channels, height, width, strides } = layout;
  const size = to.BYTES_PER_ELEMENT;
  const atom = layout.atom / size;
  const line = layout.lineStride / size;
  const surface = layout.surfStride / size;
  for (let c0 = 0; c0 < channels; c0 += atom) {
    const lanes = Math.min(atom, channels - c0);
    for (let y = 0; y < height; y++) {
      let at = (c0 / atom) * surface + y * line;
      let source = c0 * strides.c + y * strides.y;
      for (let x = 0; x < width; x++, at += atom, source += strides.x)
        for (let lane = 0; lane < lanes; lane++) to[at + lane] = from[source + lane * strides.c]!;
    }
  }
}

function gather(layout: FeatureLayout, from: StoredArray, to: StoredArray): void {
  const { channels, height, width, strides } = layout;
  const size = from.BYTES_PER_ELEMENT;
  const atom = layout.atom / size;
  const line = layout.lineStride / size;
  const surface = layout.surfStride / size;
  for (let c0 = 0; c0 < channels; c0 += atom) {
    const lanes = Math.min(atom, channels - c0);
    for (let y = 0; y < height; y++) {
      let at = (c0 / atom) * surface + y * line;
      let target = c0 * strides.c + y * strides.y;
      for (let x = 0; x < width; x++, at += atom, target += strides.x)
        for (let lane = 0; lane < lanes; lane++) to[target + lane * strides.c] = from[at + lane]!;
    }
  }
}

interface Places {
  readonly tensor: Int32Array;
  readonly memory: Int32Array;
}

function placesOf({ offset, tensorOffset, dims }: StridedLayout): Places {
  let places: Places = { tensor: Int32Array.of(tensorOffset), memory: Int32Array.of(offset) };
  for (const { size, tensor, memory } of dims) {
    const spread = (from: Int32Array, step: number): Int32Array => {
      const to = new Int32Array(from.length * size);
      let at = 0;
      for (const place of from) for (let i = 0; i < size; i++) to[at++] = place + i * step;
      return to;
    };
    places = { tensor: spread(places.tensor, tensor), memory: spread(places.memory, memory) };
  }
  return places;
}

function move(from: StoredArray, fromPlaces: Int32Array, to: StoredArray, toPlaces: Int32Array): void {
  for (let i = 0; i < fromPlaces.length; i++) to[toPlaces[i]!] = from[fromPlaces[i]!]!;
}

function rows(layout: LinearLayout, tensor: StoredArray, memory: StoredArray, write: boolean): void {
  const { columns } = layout;
  const stride = layout.rowStride / memory.BYTES_PER_ELEMENT;
  for (let row = 0; row < layout.rows; row++) {
    const inTensor = row * columns;
    const inMemory = row * stride;
    if (write) memory.set(tensor.subarray(inTensor, inTensor + columns), inMemory);
    else tensor.set(memory.subarray(inMemory, inMemory + columns), inTensor);
  }
}

/** The element conversions of a binding, or undefined when both sides have the same array type and meaning. */
function conversionOf(binding: Binding): { pack: Convert; unpack: Convert } | undefined {
  const { tensor, stored, quantization } = binding;
  const outside = tensor.type;
  if (outside === stored) return undefined;
  const range = ranges[stored];
  if (outside === 'float32' || outside === 'float64' || outside === 'float16') {
    const half = outside === 'float16';
    if (range !== undefined && quantization !== undefined)
      return quantising(quantization.scale, quantization.zeroPoint, range, half);
    if (stored === 'float16' && !half) return { pack: toHalves, unpack: fromHalves };
    if (stored === 'float32')
      return half ? { pack: fromHalves, unpack: toHalves } : { pack: copy, unpack: copy };
  }
  if (outside === 'uint8' && stored === 'int8') return { pack: offsetBy(-128), unpack: offsetBy(128) };
  if (outside === 'bool' && stored === 'int8') return { pack: copy, unpack: copy };
  if (isNarrower(outside, stored)) {
    const zero = tensor.quantization?.zeroPoint[0] ?? 0;
    const shift = (quantization?.zeroPoint ?? zero) - zero;
    return shift === 0 ? { pack: copy, unpack: copy } : { pack: offsetBy(shift), unpack: offsetBy(-shift) };
  }
  throw new AccelError('EOPNOTSUPP', {
    field: tensor.name,
    reason: `a ${outside} tensor kept as ${stored}${quantization === undefined ? ' without a scale' : ''}`,
  });
}

/** Integers that fit the stored type as they are. */
function isNarrower(outside: DataType, stored: Stored): boolean {
  return (
    (stored === 'int16' && (outside === 'int8' || outside === 'uint8')) ||
    (stored === 'int32' && ['int8', 'uint8', 'int16', 'uint16'].includes(outside))
  );
}

const copy: Convert = (from, to) => to.set(from);

const toHalves: Convert = (from, to) => {
  for (let i = 0; i < to.length; i++) to[i] = toHalf(from[i]!);
};

const fromHalves: Convert = (from, to) => {
  for (let i = 0; i < to.length; i++) to[i] = fromHalf(from[i]!);
};

function offsetBy(offset: number): Convert {
  return (from, to) => {
    for (let i = 0; i < to.length; i++) to[i] = from[i]! + offset;
  };
}

/** 1.5 * 2^52: adding it leaves a double no bits below one, so that it is rounded to whole numbers, ties to even. */
const ROUND_EVEN = 6755399441055744;

/** QuantizeLinear and DequantizeLinear with one scale: computed in float32, ties to even, saturated. */
function quantising(
  scale: number,
  zeroPoint: number,
  [least, most]: readonly [number, number],
  half: boolean,
): { pack: Convert; unpack: Convert } {
  return {
    pack: (from, to) => {
      for (let i = 0; i < to.length; i++) {
        const real = half ? fromHalf(from[i]!) : from[i]!;
        const value = Math.fround(real / scale) + ROUND_EVEN - ROUND_EVEN + zeroPoint;
        to[i] = value < least ? least : value > most ? most : value;
      }
    },
    unpack: (from, to) => {
      for (let i = 0; i < to.length; i++) {
        const real = Math.fround((from[i]! - zeroPoint) * scale);
        to[i] = half ? toHalf(real) : real;
      }
    },
  };
}

/** A zeroed array for a tensor. @throws AccelError EOPNOTSUPP for types that have no array */
export function makeArray(type: DataType, count: number): TypedArray {
  const Type = arrayType(type);
  if (Type === undefined) throw new AccelError('EOPNOTSUPP', { reason: `tensors of type ${type}` });
  return new Type(count);
}
