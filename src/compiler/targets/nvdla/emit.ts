// A lowered segment as one task of the driver: buffers, address list, descriptors.
// Not submission: the runtime makes the buffers and passes the list.
import { NetworkDesc, OPERATION_BYTES, SURFACE_BYTES, MemType } from '../../../hw/nvdla/index.js';
import type { Value } from '../../ir/index.js';
import { tensorInfo } from '../parts.js';
import type { Binding, LayerReport, NvdlaSegment, ProgramBuffer } from '../program.js';
import type { Cube, PlacedValue } from './cube.js';
import { dependencyGraph } from './dependencies.js';
import { type Addresses, type Operation, operationsOf } from './descriptors.js';
import { layoutBytes, packedLayout } from './features.js';
import type { ConstantBlob, Layer } from './layers.js';
import { align, PAGE } from './limits.js';
import type { Lowering } from './lowering.js';
import { livesOf, planArena } from './memory.js';

/** Constants and cubes begin on multiples of this: more than any atom, and the weights' unit. */
const UNIT = 128;

/** A value of the segment that is used outside. */
export interface SegmentOutput {
  readonly value: Value;
  readonly placed: PlacedValue;
}

export function emitSegment(lowering: Lowering, outputs: readonly SegmentOutput[]): NvdlaSegment {
  const { config, layers, inputs } = lowering;
  const { atom } = config;
  const layoutOf = (cube: Cube, strides = { c: 0, y: 0, x: 0 }): ReturnType<typeof packedLayout> =>
    packedLayout(cube, atom, strides);
  const bytesOf = (cube: Cube): number => layoutBytes(layoutOf(cube));

  // Buffers: 0 what the driver writes to, 1 descriptors it only reads, 2 constants, 3 intermediate cubes, then inputs and outputs.
  const buffers: ProgramBuffer[] = [];
  const addresses: { buffer: number; offset: number }[] = [];
  const places = new Map<Cube, { address: number; offset: number; buffer: number }>();
  const lives = livesOf(layers);
  // Inputs and outputs have buffers of their own, except where a layer reads two cubes as one: those have to be in one buffer.
  const paired = pairedCubes(layers);
  const outside = new Set<Cube>();
  for (const { cube } of inputs) {
    if (paired.has(cube)) lives.get(cube)!.first = -1;
    else outside.add(cube);
  }
  for (const { placed } of outputs) {
    if (paired.has(placed.cube)) lives.get(placed.cube)!.last = Infinity;
    else outside.add(placed.cube);
  }
  const inner = [...lives.keys()].filter((cube) => !outside.has(cube));
  const arena = planArena(inner, lives, bytesOf, UNIT);
  const constants = collectConstants(layers);

  const firstOutside = 4;
  const CONSTANTS = 4;
  const ARENA = 5;
  for (const cube of inner) places.set(cube, { address: ARENA, offset: arena.offsets.get(cube)!, buffer: 3 });
  [...outside].forEach((cube, i) => {
    places.set(cube, { address: ARENA + 1 + i, offset: 0, buffer: firstOutside + i });
  });

  const operations: Operation[] = [];
  const table: Addresses = {
    pair: (first, second) => {
      const [a, b] = [table.window(first), table.window(second)];
      const [low, high] = a.offset < b.offset ? [a, b] : [b, a];
      const distance = high.offset - low.offset;
      const cube = {
        ...low,
        size: distance + high.size,
        channel: atom + high.channel,
        surf_stride: distance,
      };
      return { cube, swapped: low === b };
    },
    window: ({ cube, channel, y, x, channels, height, width }) => {
      const place = places.get(cube)!;
      const layout = layoutOf(cube);
      const { lineStride, surfStride } = layout;
      return {
        type: MemType.MC,
        address: place.address,
        offset: place.offset + (channel / atom) * surfStride + y * lineStride + x * atom,
        size: (Math.ceil(channels / atom) - 1) * surfStride + (height - 1) * lineStride + width * atom,
        width,
        height,
        channel: channels,
        reserved0: 0,
        line_stride: lineStride,
        surf_stride: surfStride,
        plane_stride: 0,
      };
    },
    constant: (blob, shape) => {
      const { offset, bytes } = constants.places.get(blob)!;
      return {
        type: MemType.MC,
        address: CONSTANTS,
        offset,
        size: bytes,
        ...shape,
        reserved0: 0,
        line_stride: 0,
        surf_stride: 0,
        plane_stride: 0,
      };
    },
  };
  const perLayer = layers.map((layer) => {
    const own = operationsOf(layer, atom, table);
    operations.push(...own);
    return {
      types: own.map((operation) => operation.type),
      independent: layer.kind === 'conv' && layer.independent,
      operand:
        layer.kind !== 'pool' && [layer.sdp.x1, layer.sdp.x2].some((stage) => stage?.operand !== undefined),
    };
  });
  const graph = dependencyGraph(perLayer);

  const operationList = new Uint8Array(operations.length * OPERATION_BYTES);
  const surfaceList = new Uint8Array(operations.length * SURFACE_BYTES);
  operations.forEach(({ operation, surfaces }, i) => {
    operationList.set(operation, i * OPERATION_BYTES);
    surfaceList.set(surfaces, i * SURFACE_BYTES);
  });

  const graphAt = 64;
  const surfacesAt = align(operationList.length, UNIT);
  addresses.push(
    { buffer: 0, offset: 0 },
    { buffer: 1, offset: 0 },
    { buffer: 1, offset: surfacesAt },
    { buffer: 0, offset: graphAt },
    { buffer: 2, offset: 0 },
    { buffer: 3, offset: 0 },
    ...[...outside].map((_, i) => ({ buffer: firstOutside + i, offset: 0 })),
  );
  const network = NetworkDesc.bytes({
    operation_desc_index: 1,
    surface_desc_index: 2,
    dependency_graph_index: 3,
    lut_data_index: -1,
    roi_array_index: -1,
    surface_index: -1,
    stat_list_index: -1,
    op_head: graph.heads,
    num_rois: 1,
    num_operations: graph.operations,
    num_luts: 0,
    num_addresses: addresses.length,
    input_layer: 0,
    dynamic_roi: 0,
  });
  const page = (bytes: number): number => align(Math.max(bytes, 1), PAGE);
  buffers.push(
    {
      name: 'network',
      role: 'descriptor',
      bytes: page(graphAt + graph.bytes.length),
      contents: [
        { offset: 0, data: network },
        { offset: graphAt, data: graph.bytes },
      ],
    },
    {
      name: 'layers',
      role: 'constant',
      bytes: page(surfacesAt + surfaceList.length),
      contents: [
        { offset: 0, data: operationList },
        { offset: surfacesAt, data: surfaceList },
      ],
    },
    {
      name: 'constants',
      role: 'constant',
      bytes: page(constants.bytes),
      contents: [...constants.places].map(([blob, { offset }]) => ({ offset, data: blob.make() })),
    },
    { name: 'intermediates', role: 'scratch', bytes: page(arena.bytes), contents: [] },
    ...[...outside].map((cube): ProgramBuffer => ({
      name: cube.name,
      role: inputs.some((input) => input.cube === cube) ? 'input' : 'output',
      bytes: page(bytesOf(cube)),
      contents: [],
    })),
  );

  const bind = (
    value: Value,
    cube: Cube,
    strides: PlacedValue['strides'],
    quantization: PlacedValue['quantization'],
  ): Binding => ({
    tensor: tensorInfo(value),
    buffer: places.get(cube)!.buffer,
    offset: places.get(cube)!.offset,
    bytes: bytesOf(cube),
    layout: layoutOf(cube, strides),
    stored: 'int8',
    quantization,
  });
  return {
    kind: 'nvdla',
    config: config.name,
    buffers,
    addresses,
    inputs: inputs.map(({ cube, value, strides }) => bind(value.source, cube, strides, value.quantization)),
    outputs: outputs.map(({ value, placed }) =>
      bind(value, placed.cube, placed.strides, placed.quantization),
    ),
    layers: layers.map(reportOf),
  };
}

function pairedCubes(layers: readonly Layer[]): Set<Cube> {
  const cubes = new Set<Cube>();
  for (const layer of layers)
    if (layer.kind === 'conv' && layer.pair !== undefined)
      cubes.add(layer.input.cube).add(layer.pair.input.cube);
  return cubes;
}

/** All constants once, by identity, one after the other. */
function collectConstants(layers: readonly Layer[]): {
  places: Map<ConstantBlob, { offset: number; bytes: number }>;
  bytes: number;
} {
  const places = new Map<ConstantBlob, { offset: number; bytes: number }>();
  let end = 0;
  const place = (blob: ConstantBlob | undefined): void => {
    if (blob === undefined || places.has(blob)) return;
    places.set(blob, { offset: end, bytes: blob.bytes });
    end = align(end + blob.bytes, UNIT);
  };
  for (const layer of layers) {
    if (layer.kind === 'pool') continue;
    if (layer.kind === 'conv') {
      place(layer.weights);
      place(layer.pair?.weights);
    }
    place(layer.sdp.x1?.constant);
    place(layer.sdp.x2?.constant);
  }
  return { places, bytes: end };
}

function reportOf(layer: Layer, index: number): LayerReport {
  const { nodes, input, output, macs, hardwareMacs } = layer;
  const common = {
    index,
    nodes,
    input: [input.channels, input.height, input.width],
    output: [output.channels, output.height, output.width],
    macs,
    hardwareMacs,
  };
  if (layer.kind === 'pool')
    return {
      ...common,
      unit: 'PDP',
      detail: { kernel: `${layer.kernel.height}x${layer.kernel.width}`, method: layer.method },
      constantBytes: 0,
    };
  const operands = (layer.sdp.x1?.constant?.bytes ?? 0) + (layer.sdp.x2?.constant?.bytes ?? 0);
  if (layer.kind === 'sdp') return { ...common, unit: 'SDP', detail: {}, constantBytes: operands };
  const { kernel, stride, banks, weights } = layer;
  return {
    ...common,
    unit: 'CONV+SDP',
    detail: {
      kernel: `${kernel.height}x${kernel.width}`,
      stride: `${stride.y}x${stride.x}`,
      dataBanks: banks.dataBank,
      weightBanks: banks.weightBank,
      weights: banks.weights,
    },
    constantBytes: weights.bytes + operands,
  };
}
