// The elements of a constant tensor: a view of the model file, an array, or one value repeated.
// Not a tensor: shape and name belong to the Value that holds it.
import { CompileError } from './error.js';
import { arrayType, type DataType, elementBytes, type TypedArray } from './types.js';

/** Immutable. Views of a model file are aligned (copied) only when first read as numbers. */
export class Constant {
  readonly type: DataType;
  /** Number of elements. */
  readonly length: number;
  /** The one value of all elements, when the constant was made by `Constant.fill`: nothing is stored then. */
  readonly fill: number | bigint | undefined;
  #array: TypedArray | undefined;
  #raw: Uint8Array | undefined;

  private constructor(
    type: DataType,
    length: number,
    from: { array?: TypedArray; raw?: Uint8Array; fill?: number | bigint },
  ) {
    this.type = type;
    this.length = length;
    this.#array = from.array;
    this.#raw = from.raw;
    this.fill = from.fill;
  }

  /** Elements in the array type of `type` (see TypedArray); not copied. */
  static of(type: DataType, array: TypedArray): Constant {
    const expected = arrayType(type);
    if (expected === undefined || !(array instanceof (expected as unknown as new () => object)))
      throw new CompileError('EINVAL', {
        rule: `a constant of type ${type} cannot be a ${array.constructor.name}`,
      });
    return new Constant(type, array.length, { array });
  }

  /** Little-endian elements as they lie in a file; not copied. `length` elements. */
  static raw(type: DataType, bytes: Uint8Array, length: number): Constant {
    if (arrayType(type) === undefined)
      throw new CompileError('EOPNOTSUPP', { rule: `constants of type ${type} are not supported` });
    const need = Math.ceil(length * elementBytes(type));
    if (bytes.length !== need)
      throw new CompileError('EINVAL', {
        rule: `${bytes.length} bytes of data, ${length} elements of ${type} need ${need}`,
      });
    return new Constant(type, length, { raw: bytes });
  }

  /** `length` times the same value, without storing them. bigint exactly for int64 and uint64. */
  static fill(type: DataType, length: number, value: number | bigint): Constant {
    const big = type === 'int64' || type === 'uint64';
    return new Constant(type, length, { fill: big ? BigInt(value) : Number(value) });
  }

  /** The elements. Do not write. A fill is materialised anew on each call: ask `fill` first where it may be huge. */
  array(): TypedArray {
    if (this.#array !== undefined) return this.#array;
    const Type = arrayType(this.type)!;
    if (this.fill !== undefined) {
      const array = new Type(this.length);
      (array as { fill(value: number | bigint): void }).fill(this.fill);
      return array;
    }
    const raw = this.#raw!;
    if (elementBytes(this.type) === 0.5) {
      const array = new Type(this.length) as Uint8Array | Int8Array;
      for (let i = 0; i < this.length; i++) {
        const nibble = (raw[i >> 1]! >> ((i & 1) * 4)) & 15;
        array[i] = this.type === 'int4' ? (nibble << 28) >> 28 : nibble;
      }
      this.#array = array;
    } else if (raw.byteOffset % Type.BYTES_PER_ELEMENT === 0) {
      this.#array = new Type(raw.buffer, raw.byteOffset, this.length);
    } else {
      // Not raw.slice(): of a Node Buffer that is another view.
      const aligned = new Uint8Array(raw);
      this.#array = new Type(aligned.buffer, 0, this.length);
    }
    return this.#array;
  }

  /** The elements as numbers; for shapes, axes and other small lists. Exact up to 2^53. */
  numbers(): number[] {
    return Array.from(this.array() as ArrayLike<number | bigint>, Number);
  }
}
