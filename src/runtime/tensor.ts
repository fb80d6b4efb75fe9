// Tensors of a context: elements on the host, row-major, with WebNN's descriptors.
// Not device memory: a dispatch packs and unpacks, in the layout of the segment that needs it.
import { AccelError } from '../base/errors.js';
import {
  arrayType,
  type DataType,
  elementBytes,
  elementCount,
  type Shape,
  type TypedArray,
} from '../compiler/ir/index.js';
import { makeArray } from './layout.js';

/** WebNN's MLOperandDescriptor; the element types are ONNX's, a superset of WebNN's. */
export interface MLOperandDescriptor {
  readonly dataType: DataType;
  readonly shape: Shape;
}

/** WebNN's MLTensorDescriptor. */
export interface MLTensorDescriptor extends MLOperandDescriptor {
  /** May be read with readTensor. Default false. */
  readonly readable?: boolean;
  /** May be written with writeTensor. Default false. */
  readonly writable?: boolean;
}

/** Bytes to write: whole elements of the tensor's type, little-endian. */
export type TensorSource = ArrayBuffer | ArrayBufferView;

/** The text of a descriptor in errors: `int8 [1,32,32,3]`. */
export function describe({ dataType, shape }: MLOperandDescriptor): string {
  return `${dataType} [${shape.join(',')}]`;
}

/** @throws AccelError EINVAL, EOPNOTSUPP when no tensor can be so */
export function checkDescriptor(call: string, descriptor: MLOperandDescriptor): void {
  const { dataType, shape } = descriptor;
  if (arrayType(dataType) === undefined || elementBytes(dataType) < 1)
    throw new AccelError('EOPNOTSUPP', { call, field: 'dataType', reason: `tensors of type ${dataType}` });
  for (const dimension of shape)
    if (!Number.isInteger(dimension) || dimension < 1)
      throw new AccelError('EINVAL', { call, field: 'shape', reason: `[${shape.join(',')}]` });
  if (elementCount(shape) > 0x7fffffff / elementBytes(dataType))
    throw new AccelError('ENOMEM', { call, field: 'shape', reason: `[${shape.join(',')}] is over 2 GiB` });
}

/** Made by MLContext.createTensor. */
export class MLTensor implements MLOperandDescriptor, Disposable {
  readonly dataType: DataType;
  readonly shape: Shape;
  readonly readable: boolean;
  readonly writable: boolean;
  #elements: TypedArray | undefined;
  #error: AccelError | undefined;

  constructor(descriptor: MLTensorDescriptor) {
    checkDescriptor('createTensor', descriptor);
    this.dataType = descriptor.dataType;
    this.shape = [...descriptor.shape];
    this.readable = descriptor.readable ?? false;
    this.writable = descriptor.writable ?? false;
    this.#elements = makeArray(this.dataType, elementCount(this.shape));
  }

  get destroyed(): boolean {
    return this.#elements === undefined;
  }

  /** Bytes of the elements. */
  get byteLength(): number {
    return elementCount(this.shape) * elementBytes(this.dataType);
  }

  /** Frees the memory. Dispatches that were queued before still run. Idempotent. */
  destroy(): void {
    this.#elements = undefined;
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  /** For the context: the elements. @throws AccelError EINVAL once destroyed, and the error of the dispatch that failed */
  elements(call: string): TypedArray {
    if (this.#elements === undefined)
      throw new AccelError('EINVAL', { call, field: 'tensor', reason: 'it was destroyed' });
    return this.#elements;
  }

  /** For the context: new elements, and no error any more. A tensor destroyed meanwhile stays so. */
  replace(elements: TypedArray): void {
    this.#error = undefined;
    if (this.#elements !== undefined) this.#elements = elements;
  }

  /** For the context: the dispatch that was to write this tensor failed; reads give its error until the next write. */
  poison(error: AccelError): void {
    this.#error = error;
  }

  get error(): AccelError | undefined {
    return this.#error;
  }
}
