// A lowered segment as requests of the driver: buffers back to back from device address 0, descriptors, tensors in and out.
// Not submission: the runtime makes the buffers and passes them in this order.
import { type GnaConfig, gnaComputeCycles, LAYER_DESCRIPTOR_BYTES } from '../../../hw/gna/index.js';
import { nodeError, type Node, type Shape, shapeOf, type Value } from '../../ir/index.js';
import { tensorInfo } from '../parts.js';
import type { Binding, GnaSegment, LayerReport, ProgramBuffer } from '../program.js';
import { descriptorList } from './descriptors.js';
import { type Blob, computes, type ComputingLayer, isPlace, type Layer, type Operand } from './layers.js';
import { align, ALIGN_BYTES, MEMORY_MAX, PAGE } from './limits.js';
import type { Lowering } from './lowering.js';
import { axesOf, type Loop, type Plane, type Stored, type View } from './view.js';

/** A value of the segment that is used outside. */
export interface SegmentOutput {
  readonly value: Value;
  readonly view: View;
}

/** Layers read a little past the end of what they need: to whole eights, to whole lines. */
const SLACK = 4 * ALIGN_BYTES;

/** @throws CompileError EOPNOTSUPP when the segment does not fit the device's addresses */
export function emitSegment(lowering: Lowering, outputs: readonly SegmentOutput[], node: Node): GnaSegment {
  const { config, layers, inputs } = lowering;
  const outside = new Set<Plane>([
    ...inputs.map(({ plane }) => plane),
    ...outputs.map(({ view }) => view.plane),
  ]);
  const inner = new Set<Plane>();
  for (const { input, output } of layers)
    for (const { plane } of [input, output]) if (!outside.has(plane)) inner.add(plane);

  const constants = placed(
    layers.flatMap((layer) => (computes(layer) ? blobsOf(layer) : [])),
    (blob) => blob.bytes,
  );
  const scratch = placed([...inner], (plane) => plane.elements * 2);
  const sums = scratch.bytes;
  const sumBytes = layers.reduce(
    (most, layer) =>
      computes(layer) && layer.segments !== undefined && layer.kind !== 'conv1d' && layer.kind !== 'conv2d'
        ? Math.max(most, layer.outputs * 4 * (layer.kind === 'recurrent' ? layer.vectors : 1))
        : most,
    0,
  );

  // 0 layers, 1 constants, 2 what only the device sees, then what the host reads and writes.
  const sizes = [
    layers.length * LAYER_DESCRIPTOR_BYTES,
    constants.bytes,
    sums + sumBytes + SLACK,
    ...[...outside].map((plane) => plane.elements * 2 + SLACK),
  ].map((bytes) => align(Math.max(bytes, 1), PAGE));
  const bases: number[] = [];
  let end = 0;
  for (const size of sizes) {
    bases.push(end);
    end += size;
  }
  if (end > MEMORY_MAX)
    throw nodeError(node, 'EOPNOTSUPP', `its segment takes ${end} bytes, GNA addresses ${MEMORY_MAX}`);
  const bufferOf = new Map<Plane, number>([...outside].map((plane, i) => [plane, 3 + i]));
  const addressOf = (plane: Plane): number => {
    const buffer = bufferOf.get(plane);
    return buffer === undefined ? bases[2]! + scratch.places.get(plane)! : bases[buffer]!;
  };
  const descriptors = descriptorList(layers, config, {
    at: ({ plane, offset }) => addressOf(plane) + offset * 2,
    blob: (blob: Blob) => bases[1]! + constants.places.get(blob)!,
    sums: bases[2]! + sums,
  });

  const buffers: ProgramBuffer[] = [
    { name: 'layers', role: 'constant', bytes: sizes[0]!, contents: [{ offset: 0, data: descriptors }] },
    {
      name: 'constants',
      role: 'constant',
      bytes: sizes[1]!,
      contents: [...constants.places].map(([blob, offset]) => ({ offset, data: blob.make() })),
    },
    { name: 'intermediates', role: 'scratch', bytes: sizes[2]!, contents: [] },
    ...[...outside].map((plane, i): ProgramBuffer => ({
      name: plane.name,
      role: inputs.some((input) => input.plane === plane) ? 'input' : 'output',
      bytes: sizes[3 + i]!,
      contents: [],
    })),
  ];
  const bind = (
    value: Value,
    plane: Plane,
    offset: number,
    dims: readonly Loop[],
    stored: Stored,
    tensorOffset: number,
  ): Binding => ({
    tensor: tensorInfo(value),
    buffer: bufferOf.get(plane)!,
    offset: 0,
    bytes: plane.elements * 2,
    layout: {
      kind: 'strided',
      offset,
      tensorOffset,
      dims: dims.map(({ size, tensor, memory }) => ({ size, tensor, memory })),
    },
    stored: 'int16',
    quantization: { scale: stored.scale, zeroPoint: 0 },
  });
  const requests: { base: number; count: number }[] = [];
  for (let first = 0; first < layers.length; first += config.layersMax)
    requests.push({
      base: first * LAYER_DESCRIPTOR_BYTES,
      count: Math.min(config.layersMax, layers.length - first),
    });
  return {
    kind: 'gna',
    generation: config.generation,
    buffers,
    requests,
    inputs: inputs.map((input) =>
      bind(input.source, input.plane, input.offset, input.dims, input.stored, input.tensorOffset),
    ),
    outputs: outputs.map(({ value, view }) =>
      bind(value, view.plane, view.offset, outputLoops(value, view), view.stored, 0),
    ),
    layers: layers.map((layer, index) => reportOf(layer, index, config)),
  };
}

/** Constants of a layer; the rest of its operands are what other layers wrote. */
function blobsOf({ weights, bias, segments }: ComputingLayer): Blob[] {
  const operands: readonly (Operand | undefined)[] = [weights, bias, segments];
  return operands.filter((each): each is Blob => each !== undefined && !isPlace(each));
}

/** Loops over the tensor's elements: axes that the layers made wider than the tensor are not copied out. */
function outputLoops(value: Value, view: View): readonly Loop[] {
  return axesOf(view.dims, shapeOf(value))?.flat() ?? view.dims;
}

/** Each once, by identity, one after the other on 64 bytes. */
function placed<T>(
  items: readonly T[],
  bytesOf: (item: T) => number,
): { places: Map<T, number>; bytes: number } {
  const places = new Map<T, number>();
  let bytes = 0;
  for (const item of items) {
    if (places.has(item)) continue;
    places.set(item, bytes);
    bytes = align(bytes + bytesOf(item), ALIGN_BYTES);
  }
  return { places, bytes };
}

const UNITS = {
  affine: 'affine',
  diagonal: 'diagonal',
  recurrent: 'recurrent',
  conv1d: 'conv 1D',
  conv2d: 'conv 2D',
  interleave: 'interleave',
  copy: 'copy',
} as const;

function reportOf(layer: Layer, index: number, config: GnaConfig): LayerReport {
  const shapes = shapesOf(layer);
  const constantBytes = computes(layer) ? blobsOf(layer).reduce((sum, { bytes }) => sum + bytes, 0) : 0;
  const elements = (shape: Shape): number => shape.reduce((product, size) => product * size, 1);
  // Inputs and outputs are 16 bits wide.
  const dram = { read: constantBytes + 2 * elements(shapes.input), write: 2 * elements(shapes.output) };
  return {
    index,
    unit: UNITS[layer.kind],
    nodes: layer.nodes,
    ...shapes,
    detail: layer.detail ?? {},
    constantBytes,
    macs: layer.macs,
    hardwareMacs: layer.hardwareMacs,
    precision: computes(layer) && layer.weightBytes === 1 ? 'int16 x int8' : 'int16',
    cost: {
      compute: gnaComputeCycles(config, layer.hardwareMacs, 2),
      traffic: [dram, { read: 0, write: 0 }],
    },
    after: index === 0 ? [] : [index - 1],
  };
}

function shapesOf(layer: Layer): Pick<LayerReport, 'input' | 'output'> {
  switch (layer.kind) {
    case 'affine':
      return { input: [layer.inputs], output: [layer.outputs] };
    case 'diagonal':
      return { input: [layer.outputs], output: [layer.outputs] };
    case 'recurrent':
      return { input: [layer.vectors, layer.inputs], output: [layer.vectors, layer.outputs] };
    case 'conv1d':
      return { input: [layer.inputs], output: [layer.outputs, layer.filters] };
    case 'conv2d':
      return {
        input: [layer.height, layer.width, layer.depth],
        output: [layer.pooled.height, layer.pooled.width, layer.filters],
      };
    case 'interleave':
      return { input: [layer.groups, layer.inputs], output: [layer.inputs, layer.groups] };
    case 'copy':
      return { input: [layer.rows, layer.columns], output: [layer.rows, layer.columns] };
  }
}
