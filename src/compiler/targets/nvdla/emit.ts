// A lowered segment as one task of the driver: buffers, address list, descriptors.
// Not submission: the runtime makes the buffers and passes the list.
import {
  LutParam,
  MemType,
  NetworkDesc,
  OPERATION_BYTES,
  OpType,
  SURFACE_BYTES,
} from '../../../hw/nvdla/index.js';
import type { Value } from '../../ir/index.js';
import { tensorInfo } from '../parts.js';
import type { Binding, FeatureLayout, NvdlaSegment, ProgramBuffer } from '../program.js';
import {
  type Cube,
  inRoot,
  type PendingValue,
  type PlacedValue,
  rootOf,
  wholeWindow,
  type Window,
} from './cube.js';
import { dependencyGraph } from './dependencies.js';
import { type Addresses, type CubeDesc, type Operation, operationsOf } from './descriptors.js';
import { layoutBytes, packedLayout } from './features.js';
import { waitsOf } from './hazards.js';
import { type ConstantBlob, type Layer, readsOf, stagesOf } from './layers.js';
import type { Lut } from './lut.js';
import { align, PAGE } from './limits.js';
import type { Lowering } from './lowering.js';
import { livesOf, planArena } from './memory.js';
import { reportLayers } from './report.js';

/** Constants and cubes begin on multiples of this: more than any atom, and the weights' unit. */
const UNIT = 128;

/** A value of the segment that is used outside. */
export interface SegmentOutput {
  readonly value: Value;
  readonly placed: PlacedValue;
  /** The elements of the value that are placed, when it is one image of a batch. */
  readonly part?: PendingValue['part'];
}

export function emitSegment(
  lowering: Lowering,
  layers: readonly Layer[],
  outputs: readonly SegmentOutput[],
): NvdlaSegment {
  const { config, inputs } = lowering;
  const { atom } = config;
  const layoutOf = (cube: Cube, strides = { c: 0, y: 0, x: 0 }): ReturnType<typeof packedLayout> => {
    const { lineStride, surfStride } = packedLayout(rootOf(cube), atom, strides);
    return { ...packedLayout(cube, atom, strides), lineStride, surfStride };
  };
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
    const root = rootOf(placed.cube);
    if (paired.has(root)) lives.get(root)!.last = Infinity;
    else outside.add(root);
  }
  const inner = [...lives.keys()].filter((cube) => !outside.has(cube) && cube.constant === undefined);
  const arena = planArena(inner, lives, bytesOf, UNIT);
  const constants = collectConstants(layers);

  const firstOutside = 4;
  const CONSTANTS = 4;
  const ARENA = 5;
  for (const cube of inner) places.set(cube, { address: ARENA, offset: arena.offsets.get(cube)!, buffer: 3 });
  [...outside].forEach((cube, i) => {
    places.set(cube, { address: ARENA + 1 + i, offset: 0, buffer: firstOutside + i });
  });

  for (const cube of lives.keys())
    if (cube.constant !== undefined)
      places.set(cube, {
        address: CONSTANTS,
        offset: constants.places.get(cube.constant)!.offset,
        buffer: 2,
      });

  const operations: Operation[] = [];
  const luts: Lut[] = [];
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
    window: (window) => {
      const place = places.get(rootOf(window.cube))!;
      return windowDesc(inRoot(window), place, layoutOf(rootOf(window.cube)));
    },
    lut: (lut) => {
      const known = luts.indexOf(lut);
      return known >= 0 ? known : luts.push(lut) - 1;
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
  const waits = waitsOf(
    layers,
    (cube) => {
      const { buffer, offset } = places.get(cube)!;
      return { buffer, from: offset, to: offset + bytesOf(cube) };
    },
    (cube) => lowering.atomOf(cube),
  );
  const graph = dependencyGraph(
    layers.map((layer, i) => {
      const own = operationsOf(layer, atom, table);
      operations.push(...own);
      const types = own.map((operation) => operation.type);
      return { types, operandReader: types.indexOf(OpType.SDP), ...waits[i]! };
    }),
  );

  const operationList = new Uint8Array(operations.length * OPERATION_BYTES);
  const surfaceList = new Uint8Array(operations.length * SURFACE_BYTES);
  operations.forEach(({ operation, surfaces }, i) => {
    operationList.set(operation, i * OPERATION_BYTES);
    surfaceList.set(surfaces, i * SURFACE_BYTES);
  });

  const graphAt = 64;
  const surfacesAt = align(operationList.length, UNIT);
  const lutsAt = align(surfacesAt + surfaceList.length, UNIT);
  const lutList = new Uint8Array(luts.length * LutParam.size);
  luts.forEach(({ bytes }, i) => lutList.set(bytes, i * LutParam.size));
  addresses.push(
    { buffer: 0, offset: 0 },
    { buffer: 1, offset: 0 },
    { buffer: 1, offset: surfacesAt },
    { buffer: 0, offset: graphAt },
    { buffer: 2, offset: 0 },
    { buffer: 3, offset: 0 },
    ...[...outside].map((_, i) => ({ buffer: firstOutside + i, offset: 0 })),
    ...(luts.length === 0 ? [] : [{ buffer: 1, offset: lutsAt }]),
  );
  const network = NetworkDesc.bytes({
    operation_desc_index: 1,
    surface_desc_index: 2,
    dependency_graph_index: 3,
    lut_data_index: luts.length === 0 ? -1 : addresses.length - 1,
    roi_array_index: -1,
    surface_index: -1,
    stat_list_index: -1,
    op_head: graph.heads,
    num_rois: 1,
    num_operations: graph.operations,
    num_luts: luts.length,
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
      bytes: page(lutsAt + lutList.length),
      contents: [
        { offset: 0, data: operationList },
        { offset: surfacesAt, data: surfaceList },
        { offset: lutsAt, data: lutList },
      ],
    },
    {
      name: 'constants',
      role: 'constant',
      bytes: page(constants.bytes),
      // Made when they are asked for, so that they need not be kept beside the buffer that they are written to.
      contents: [...constants.places].map(([blob, { offset }]) => ({
        offset,
        get data() {
          return blob.make();
        },
      })),
    },
    { name: 'intermediates', role: 'scratch', bytes: page(arena.bytes), contents: [] },
    ...[...outside].map((cube): ProgramBuffer => ({
      name: cube.name,
      role: inputs.some((input) => input.cube === cube) ? 'input' : 'output',
      bytes: page(bytesOf(cube)),
      contents: [],
    })),
  );

  const offsetOf = (cube: Cube): number => {
    const { channel, y, x, cube: root } = inRoot(wholeWindow(cube));
    const { lineStride, surfStride } = layoutOf(root);
    return (
      places.get(root)!.offset + (channel / lowering.atomOf(root)) * surfStride + y * lineStride + x * atom
    );
  };
  const bind = (
    value: Value,
    cube: Cube,
    strides: PlacedValue['strides'],
    quantization: PlacedValue['quantization'],
    part: PendingValue['part'],
  ): Binding => ({
    tensor: tensorInfo(value),
    buffer: places.get(rootOf(cube))!.buffer,
    offset: offsetOf(cube),
    bytes: bytesOf(cube),
    layout: layoutOf(cube, strides),
    ...(part === undefined ? {} : { part }),
    ...(quantization.half ? { stored: 'float16' as const } : { stored: 'int8' as const, quantization }),
  });
  return {
    kind: 'nvdla',
    config: config.name,
    buffers,
    addresses,
    inputs: inputs.map(({ cube, value, strides }) =>
      bind(value.source, cube, strides, value.quantization, value.part),
    ),
    outputs: outputs.map(({ value, placed, part }) =>
      bind(value, placed.cube, placed.strides, placed.quantization, part),
    ),
    layers: reportLayers(layers, waits, config),
  };
}

/** Where a window of a cube lies that is placed itself. */
function windowDesc(
  { channel, y, x, channels, height, width, lineStep = 1, columnStep }: Window,
  place: { readonly address: number; readonly offset: number },
  { atom, elementBytes, lineStride, surfStride }: FeatureLayout,
): CubeDesc {
  const perAtom = atom / elementBytes;
  const line = lineStride * lineStep;
  const surfaces = Math.ceil(channels / perAtom);
  const common = {
    type: MemType.MC,
    address: place.address,
    offset: place.offset + (channel / perAtom) * surfStride + y * lineStride + x * atom,
    reserved0: 0,
    plane_stride: 0,
  };
  if (columnStep === undefined)
    return {
      ...common,
      size: (surfaces - 1) * surfStride + (height - 1) * line + width * atom,
      width,
      height,
      channel: channels,
      line_stride: line,
      surf_stride: surfStride,
    };
  if (surfaces !== 1) throw new Error('columns apart in more than one surface');
  const column = columnStep * atom;
  return {
    ...common,
    size: (height - 1) * line + (width - 1) * column + atom,
    width: 1,
    height: width,
    channel: height * perAtom,
    line_stride: column,
    surf_stride: line,
  };
}

function pairedCubes(layers: readonly Layer[]): Set<Cube> {
  const cubes = new Set<Cube>();
  for (const layer of layers)
    if (layer.kind === 'conv' && layer.pair !== undefined)
      cubes.add(rootOf(layer.input.cube)).add(rootOf(layer.pair.input.cube));
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
    if (layer.kind === 'conv') {
      place(layer.weights);
      place(layer.pair?.weights);
    }
    for (const { constant } of stagesOf(layer)) place(constant);
    for (const { cube } of readsOf(layer)) place(rootOf(cube).constant);
  }
  return { places, bytes: end };
}
