// What the lowering of a segment builds up: layers in order, where each value is, which tensors come in.
// Not the operators: those are in convolution.ts, elementwise.ts, pooling.ts and structure.ts.
import type { NvdlaConfig } from '../../../hw/nvdla/index.js';
import { nameOf, type Node, nodeError, shapeOf, type Value } from '../../ir/index.js';
import {
  HALF,
  type Cube,
  cubeShape,
  reshapeDims,
  rootOf,
  type DeviceValue,
  type PendingValue,
  type PlacedValue,
  rowMajor,
  sameStrides,
  storedQuantization,
  type Strides,
  stridesOn,
} from './cube.js';
import { constantBlob } from './constant-cube.js';
import type { Layer } from './layers.js';
import { MAX_CUBE } from './limits.js';
import type { Quantized } from './scale.js';

/** A tensor that the host puts into a cube before the segment runs. */
export interface InputCube {
  readonly cube: Cube;
  readonly value: PendingValue;
  /** Of the source tensor. */
  readonly strides: Strides;
}

/** The sizes of a cube. */
export interface CubeSize {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Grows while the nodes of one segment are lowered. A node that cannot be lowered throws a CompileError and leaves no layer. */
export class Lowering {
  readonly config: NvdlaConfig;
  readonly layers: Layer[] = [];
  readonly inputs: InputCube[] = [];
  readonly #values = new Map<Value, DeviceValue>();
  /** Of values that are computed image by image. */
  readonly #images = new Map<Value, readonly Value[]>();

  constructor(config: NvdlaConfig) {
    this.config = config;
  }

  /** How the value's elements are stored. Throws EOPNOTSUPP for what is neither a quantised 8-bit tensor nor, with fp16, a float one. */
  stored(node: Node, value: Value): Quantized {
    if (value.type === 'float32' && this.config.precisions.includes('fp16')) return HALF;
    return storedQuantization(node, value);
  }

  /** Channels of an atom. */
  atomOf({ elementBytes }: Pick<Cube, 'elementBytes'>): number {
    return this.config.atom / elementBytes;
  }

  /** The value as the device has it. A value that no node of the segment made comes from outside. */
  valueOf(node: Node, value: Value): DeviceValue {
    let known = this.#values.get(value);
    if (known === undefined) {
      known = {
        kind: 'pending',
        source: value,
        dims: rowMajor(shapeOf(value)),
        quantization: this.stored(node, value),
      };
      this.#values.set(value, known);
    }
    return known;
  }

  /** The value that a node of this segment made, if one did. */
  made(value: Value): DeviceValue | undefined {
    return this.#values.get(value);
  }

  /** The images of a batch, as values of their own, when a node of this segment made them or they were asked for. */
  imagesOf(value: Value): readonly Value[] | undefined {
    return this.#images.get(value);
  }

  defineImages(value: Value, images: readonly Value[]): void {
    this.#images.set(value, images);
  }

  define(value: Value, as: DeviceValue): void {
    this.#values.set(value, as);
  }

  /** `value` is `source`, quantised as the host puts it into a cube. */
  definePending(value: Value, source: Value, quantization: Quantized): void {
    this.define(value, { kind: 'pending', source, dims: rowMajor(shapeOf(source)), quantization });
  }

  /** A new cube for a result. Throws EOPNOTSUPP when a side is larger than the hardware's fields. */
  newCube(node: Node, { channels, height, width }: CubeSize, { half }: Quantized): Cube {
    for (const [side, extent] of Object.entries({ channels, height, width }))
      if (extent > MAX_CUBE || extent < 1)
        throw nodeError(node, 'EOPNOTSUPP', `${side} ${extent}: a cube has 1 to ${MAX_CUBE}`);
    return { name: nameOf(node), channels, height, width, elementBytes: half === true ? 2 : 1 };
  }

  /** Whether no layer writes the cube, or the cube that it lies in: it comes from the host, or is constant. */
  isInput(cube: Cube): boolean {
    const root = rootOf(cube);
    return root.constant !== undefined || this.inputs.some((input) => input.cube === root);
  }

  /** A result of `node` that a layer writes: a new cube, standing for `value` in row-major order. */
  result(node: Node, value: Value, size: CubeSize, strides: Strides): PlacedValue {
    const quantization = this.stored(node, value);
    const cube = this.newCube(node, size, quantization);
    const placed: PlacedValue = { kind: 'placed', cube, strides, quantization };
    this.define(value, placed);
    return placed;
  }

  /** The value in a cube of the shape that tensors of its rank have by themselves (see cubeShape). */
  inCube(node: Node, value: Value): PlacedValue {
    const shape = shapeOf(value);
    const size = cubeShape(shape);
    if (size === undefined)
      throw nodeError(node, 'EOPNOTSUPP', `a tensor of shape [${shape.join(',')}] is no cube: batch is 1`);
    return this.inCubeOf(node, value, size, stridesOn(rowMajor(shape), size.axes));
  }

  /**
   * The value in whatever cube it is, for operators that treat all elements alike. A tensor that is no cube by itself (batches, more than
   * four axes) becomes one whose channels are all its leading axes.
   */
  inAnyCube(node: Node, value: Value): PlacedValue {
    const known = this.valueOf(node, value);
    if (known.kind === 'placed') return known;
    const shape = shapeOf(value);
    if (cubeShape(shape) !== undefined) return this.inCube(node, value);
    const [height, width] = [shape.at(-2) ?? 1, shape.at(-1) ?? 1];
    const channels = shape.slice(0, -2).reduce((a, b) => a * b, 1);
    return this.inCubeOf(node, value, { channels, height, width }, { c: height * width, y: width, x: 1 });
  }

  /** The value in a cube of `size`, laid out as `strides` say; throws when it is in another one already. */
  inCubeOf(node: Node, value: Value, size: CubeSize, strides: Strides): PlacedValue {
    const known = this.valueOf(node, value);
    if (known.kind === 'placed') {
      const { cube } = known;
      const same =
        cube.channels === size.channels && cube.height === size.height && cube.width === size.width;
      if (!same || !sameStrides(cube, known.strides, strides))
        throw nodeError(
          node,
          'EOPNOTSUPP',
          `its input lies in a cube of ${describe(cube)}, it would need ${describe(size)}`,
        );
      return known;
    }
    const sourceStrides = sourceStridesOf(known, size, strides) ?? collapsedStridesOf(known, size, strides);
    if (sourceStrides === undefined)
      throw nodeError(node, 'EOPNOTSUPP', `"${value.name}" is no cube of ${describe(size)}`);
    return this.#bind(node, value, known, size, strides, sourceStrides);
  }

  #bind(
    node: Node,
    value: Value,
    pending: PendingValue,
    size: CubeSize,
    strides: Strides,
    sourceStrides: Strides,
  ): PlacedValue {
    const { scale, zeroPoint } = pending.quantization;
    const bound = this.inputs.find(
      (input) =>
        input.value.source === pending.source &&
        input.value.part?.from === pending.part?.from &&
        input.value.quantization.scale === scale &&
        input.value.quantization.zeroPoint === zeroPoint &&
        input.value.quantization.half === pending.quantization.half &&
        input.cube.channels === size.channels &&
        input.cube.height === size.height &&
        input.cube.width === size.width &&
        sameStrides(size, input.strides, sourceStrides),
    );
    const constant = constantBlob(this.config, node, pending, size, sourceStrides);
    const cube = bound?.cube ?? {
      ...this.newCube(node, size, pending.quantization),
      name: pending.source.name,
      ...(constant === undefined ? {} : { constant }),
    };
    if (bound === undefined && constant === undefined)
      this.inputs.push({ cube, value: pending, strides: sourceStrides });
    const placed: PlacedValue = { kind: 'placed', cube, strides, quantization: pending.quantization };
    this.define(value, placed);
    return placed;
  }
}

/** Strides of the cube's axes in the source; each axis has to be an axis of the value. */
function sourceStridesOf(pending: PendingValue, size: CubeSize, strides: Strides): Strides | undefined {
  const own = rowMajor(pending.dims.map((dim) => dim.size));
  const find = (extent: number, stride: number): number | undefined => {
    if (extent === 1) return 0;
    const axis = own.findIndex((dim) => dim.size === extent && dim.stride === stride);
    return axis < 0 ? undefined : pending.dims[axis]!.stride;
  };
  const c = find(size.channels, strides.c);
  const y = find(size.height, strides.y);
  const x = find(size.width, strides.x);
  return c === undefined || y === undefined || x === undefined ? undefined : { c, y, x };
}

/** The same where channels, lines and columns are runs of axes: the value as a tensor of the cube's shape. */
function collapsedStridesOf(pending: PendingValue, size: CubeSize, strides: Strides): Strides | undefined {
  const { channels, height, width } = size;
  if (!sameStrides(size, strides, { c: height * width, y: width, x: 1 })) return undefined;
  const dims = reshapeDims(pending.dims, [channels, height, width]);
  return dims === undefined ? undefined : { c: dims[0]!.stride, y: dims[1]!.stride, x: dims[2]!.stride };
}

function describe({ channels, height, width }: CubeSize): string {
  return `${channels} channels, ${height} x ${width}`;
}
