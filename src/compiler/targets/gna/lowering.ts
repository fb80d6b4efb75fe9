// What the lowering of a segment builds up: layers in order, where each value lies, which tensors come in.
// Not the operators: those are in linear.ts, pooling.ts, elementwise.ts and structure.ts.
import type { GnaConfig } from '../../../hw/gna/index.js';
import { type Graph, nameOf, type Node, nodeError, shapeOf, type Uses, type Value } from '../../ir/index.js';
import type { ValueRanges } from '../../quantize/index.js';
import type { Blob, Layer } from './layers.js';
import { align, ALIGN, ELEMENTS_MAX, GROUPS_MAX } from './limits.js';
import { storedOf } from './scale.js';
import { type At, axesOf, type Dim, type Plane, type Stored, type View, wholeDims } from './view.js';

/** A value from outside that is in no plane yet: where its elements are best put depends on who uses it. */
export interface Pending {
  readonly source: Value;
  /** Of the source's first element that it has, and how its row-major order runs through the source. */
  readonly offset: number;
  readonly dims: readonly Dim[];
  readonly stored: Stored;
}

export type DeviceValue =
  { readonly kind: 'placed'; readonly view: View } | { readonly kind: 'pending'; readonly value: Pending };

/** A tensor, or a part of one, that the host puts into a plane before the segment runs. */
export interface InputBinding {
  readonly plane: Plane;
  readonly source: Value;
  /** First element in the source, and in the plane. */
  readonly tensorOffset: number;
  readonly offset: number;
  readonly dims: readonly { readonly size: number; readonly tensor: number; readonly memory: number }[];
  readonly stored: Stored;
}

/** Zeros that a user of a value wants around it, in elements of an axis. */
export interface Margins {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

export const noMargins: Margins = { top: 0, bottom: 0, left: 0, right: 0 };

/** Grows while the nodes of one segment are lowered. A node that cannot be lowered throws a CompileError. */
export class Lowering {
  readonly config: GnaConfig;
  readonly ranges: ValueRanges | undefined;
  readonly uses: Uses;
  readonly layers: Layer[] = [];
  readonly inputs: InputBinding[] = [];
  /** Of the segment. */
  readonly nodes: ReadonlySet<Node>;
  /** Nodes that an earlier node's layer computes too. */
  readonly done = new Set<Node>();
  readonly #values = new Map<Value, DeviceValue>();

  constructor(config: GnaConfig, graph: Graph, nodes: readonly Node[], ranges: ValueRanges | undefined) {
    this.nodes = new Set(nodes);
    this.config = config;
    this.ranges = ranges;
    this.uses = graph.uses();
  }

  /** The value as the device has it. A value that no node of the segment made comes from outside. */
  valueOf(node: Node, value: Value): DeviceValue {
    let known = this.#values.get(value);
    if (known === undefined) {
      const count = shapeOf(value).reduce((a, b) => a * b, 1);
      const stored = storedOf(node, value, this.ranges);
      known = { kind: 'pending', value: { source: value, offset: 0, dims: wholeDims(count), stored } };
      this.#values.set(value, known);
    }
    return known;
  }

  /** The value that a node of this segment made, if one did. */
  made(value: Value): DeviceValue | undefined {
    return this.#values.get(value);
  }

  define(value: Value, as: DeviceValue): void {
    this.#values.set(value, as);
  }

  place(value: Value, view: View): void {
    this.define(value, { kind: 'placed', view });
  }

  plane(node: Node, elements: number): Plane {
    return { name: nameOf(node), elements: align(elements, ALIGN) };
  }

  add(layer: Layer): void {
    this.layers.push(layer);
  }

  /**
   * The elements of `value` with `dims` (one list per axis of `shape`, outermost first) laid out as `memory` strides say, from
   * `offset` on, in a new plane that the host fills.
   */
  bind(value: Pending, dims: readonly Dim[], elements: number, offset: number): View {
    const source = axesOf(
      value.dims,
      dims.map(({ size }) => size),
    )!;
    const loops = dims.map(({ size, memory }, axis) => {
      const pieces = source[axis]!;
      return { size, tensor: pieces.length === 0 ? 0 : pieces[0]!.memory, memory };
    });
    const same = this.inputs.find(
      (input) =>
        input.source === value.source &&
        input.tensorOffset === value.offset &&
        input.offset === offset &&
        input.plane.elements >= elements &&
        JSON.stringify(input.dims) === JSON.stringify(loops),
    );
    const plane = same?.plane ?? { name: value.source.name, elements: align(elements, ALIGN) };
    if (same === undefined)
      this.inputs.push({
        plane,
        source: value.source,
        tensorOffset: value.offset,
        offset,
        dims: loops,
        stored: value.stored,
      });
    return { plane, offset, dims, stored: value.stored };
  }

  /** The value in a plane, wherever it lies; one from outside is put there row-major. */
  anywhere(node: Node, value: Value): View {
    const known = this.valueOf(node, value);
    if (known.kind === 'placed') return known.view;
    const shape = shapeOf(value);
    const axes = axesOf(known.value.dims, shape);
    if (axes === undefined || axes.some((pieces) => pieces.length > 1))
      throw nodeError(node, 'EOPNOTSUPP', `"${value.name}" lies across the axes of its source`);
    let stride = 1;
    const dims: Dim[] = [];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const size = shape[axis]!;
      dims.unshift({ size, tensor: stride, memory: stride, before: 0, after: 0 });
      stride *= size;
    }
    return this.bind(known.value, dims, stride, 0);
  }

  /**
   * Copies the lines of a view to a plane of another pitch: `lines` runs of `columns` elements, `from` and `to` apart. The
   * hardware copies eight lines at a time.
   */
  copyLines(
    node: Node,
    input: At,
    output: At,
    { lines, columns, from, to }: { lines: number; columns: number; from: number; to: number },
  ): void {
    const wide = align(columns, 8);
    if (wide > ELEMENTS_MAX || from > 65535 || to > 65535)
      throw nodeError(
        node,
        'EOPNOTSUPP',
        `lines of ${Math.max(wide, from, to)} elements are too long to copy`,
      );
    for (let line = 0; line < lines; line += GROUPS_MAX)
      this.add({
        kind: 'copy',
        nodes: [nameOf(node)],
        input: { plane: input.plane, offset: input.offset + line * from },
        output: { plane: output.plane, offset: output.offset + line * to },
        rows: Math.min(GROUPS_MAX, lines - line),
        columns: wide,
        inputPitch: from,
        outputPitch: to,
        macs: 0,
        hardwareMacs: 0,
      });
  }
}

/** A constant that is made once. */
export function blob(bytes: number, make: () => Uint8Array): Blob {
  return { bytes, make };
}

export function int32Blob(values: Int32Array): Blob {
  return blob(values.byteLength, () => new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

/** Biases of 8 bytes: int32, then an unsigned multiplier for the weights. */
export function compoundBlob(values: Int32Array, multiplier: number): Blob {
  return blob(values.length * 8, () => {
    const bytes = new Uint8Array(values.length * 8);
    const view = new DataView(bytes.buffer);
    values.forEach((value, i) => {
      view.setInt32(i * 8, value, true);
      bytes[i * 8 + 4] = multiplier;
    });
    return bytes;
  });
}
