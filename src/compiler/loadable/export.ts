// A compiled program as a loadable: its one device segment becomes a task, its tensors become bindings.
// Source: fact sheet section 7. Not compilation, and not what the host computes: a loadable has no place for that.
import {
  type ConfigName,
  configs,
  DataCube,
  NetworkDesc,
  SURFACE_BYTES,
  surfaceCubes,
} from '../../hw/nvdla/index.js';
import { CompileError } from '../ir/index.js';
import type { Binding, CompiledProgram, NvdlaSegment, ProgramBuffer } from '../targets/program.js';
import { Contents } from './contents.js';
import {
  type AddressListEntry,
  type Blob,
  EventOp,
  Interface,
  type Loadable,
  MemoryDomain,
  MemoryFlags,
  type MemoryListEntry,
  PixelFormat,
  type RelocListEntry,
  RelocType,
  SubInterface,
  TensorCategory,
  TensorDataType,
  type TensorDescListEntry,
} from './loadable.js';
import { dlaTask } from './tasks.js';
import { DLA_VERSION } from './today.js';

/** data_format of a feature cube: NCxHWx, beyond the names that the schema has. */
const NCXHWX = 3;
const ALIGNMENT = 4096;
const STRIDES = 8;

const pixelFormats: Readonly<Record<number, number>> = {
  32: PixelFormat.FEATURE,
  8: PixelFormat.FEATURE_X8,
};
const dataTypes: Readonly<Partial<Record<Binding['stored'], number>>> = {
  int8: TensorDataType.INT8,
  int16: TensorDataType.INT16,
  float16: TensorDataType.HALF,
};

export interface ExportedLoadable {
  readonly loadable: Loadable;
  readonly segment: NvdlaSegment;
  /** `Softmax "prob"`: operators before and after, which whoever runs the loadable computes. */
  readonly left: readonly string[];
}

/**
 * The program's device segment as a loadable of one DLA1 task.
 * @throws CompileError EOPNOTSUPP when the program has no such segment or more than one, or a tensor of it has no
 *   description in the schema
 */
export function exportLoadable(program: CompiledProgram): ExportedLoadable {
  const segments = program.segments.filter((segment) => segment.kind !== 'host');
  const [segment, second] = segments;
  if (segment === undefined) refuse(`nothing of it runs on ${program.target}`);
  if (segment.kind !== 'nvdla') refuse(`${program.target} is no NVDLA: loadables are for NVDLA`);
  const host = program.placement.filter(({ device }) => device === 'host');
  const left = host.map(({ operator, node }) => `${operator} "${node}"`);
  if (second !== undefined)
    refuse(`it has ${segments.length} parts on the device with the host between: ${left.join(', ')}`);
  return { loadable: loadableOf(segment), segment, left };
}

function refuse(rule: string): never {
  throw new CompileError('EOPNOTSUPP', { rule });
}

/** One address per entry of the segment's list, one memory per buffer. @throws CompileError EOPNOTSUPP */
function loadableOf(segment: NvdlaSegment): Loadable {
  const { buffers, addresses, inputs, outputs } = segment;
  const image = [...inputs, ...outputs].find(({ part }) => part !== undefined);
  if (image !== undefined)
    refuse(
      `"${image.tensor.name}" is a batch, whose images lie in cubes of their own: a description has one`,
    );
  const names = blobNames(segment);
  const blobs: Blob[] = buffers.flatMap((buffer, index) =>
    buffer.contents.map(({ offset, data }) => {
      const { name, sub_interface } = names(index, offset);
      const described = sub_interface !== SubInterface.NONE;
      return {
        name,
        interface: described ? Interface.DLA1 : Interface.NONE,
        sub_interface,
        version: described ? DLA_VERSION : { major: 0, minor: 0, sub_minor: 0 },
        data,
      };
    }),
  );
  const tensors: TensorDescListEntry[] = [];
  const bound = new Map<
    number,
    { readonly flag: number; readonly bind_id: number; readonly tensor: number }
  >();
  for (const [flag, list] of [
    [MemoryFlags.INPUT, inputs],
    [MemoryFlags.OUTPUT, outputs],
  ] as const)
    list.forEach((binding, bind_id) => {
      checkBinding(binding, buffers[binding.buffer]!, bound.has(binding.buffer));
      bound.set(binding.buffer, { flag, bind_id, tensor: tensors.length });
      tensors.push(tensorOf(binding, tensors.length, segment.config));
    });
  const memory_list = buffers.map((buffer, id): MemoryListEntry => {
    const binding = bound.get(id);
    const set = buffer.contents.length > 0 ? MemoryFlags.SET : 0;
    return {
      id,
      domain: MemoryDomain.SYSTEM,
      flags: MemoryFlags.ALLOC | set | (binding?.flag ?? 0),
      size: buffer.bytes,
      alignment: ALIGNMENT,
      contents: buffer.contents.map(({ offset }) => names(id, offset).name),
      offsets: buffer.contents.map(({ offset }) => offset),
      bind_id: binding?.bind_id ?? 0,
      tensor_desc_id: binding?.tensor ?? 0,
    };
  });
  const address_list = addresses.map(({ buffer, offset }, id): AddressListEntry => ({
    id,
    mem_id: buffer,
    offset,
    size: 0,
  }));
  const loadable: Loadable = {
    task_list: [
      {
        id: 0,
        interface: Interface.DLA1,
        instance: -1,
        address_list: address_list.map(({ id }) => id),
        pre_actions: [],
        post_actions: [0],
      },
    ],
    memory_list,
    address_list,
    event_list: [{ id: 0, type: 0, target: 0, val: 1, op: EventOp.SIGNAL }],
    blobs: blobs.sort((a, b) => (a.name < b.name ? -1 : 1)),
    tensor_desc_list: tensors,
    reloc_list: [],
    submit_list: [{ id: 0, task_id: [0] }],
  };
  return { ...loadable, reloc_list: relocsOf(loadable, new Set(bound.keys())) };
}

/** By what the network descriptor says of an address; `dep_graph` in a name tells the vendor's runtime to reload it. */
function blobNames({
  buffers,
  addresses,
}: NvdlaSegment): (buffer: number, offset: number) => { name: string; sub_interface: number } {
  const [first] = addresses;
  const network = NetworkDesc.from(
    buffers[first!.buffer]!.contents.find(({ offset }) => offset === first!.offset)!.data,
  );
  const described = new Map<string, { name: string; sub_interface: number }>();
  for (const [index, name, sub_interface] of [
    [0, 'addr0', SubInterface.ADDR0],
    [network.dependency_graph_index, 'dep_graph', SubInterface.DEPS],
    [network.operation_desc_index, 'op_list', SubInterface.OPS],
    [network.surface_desc_index, 'surf_list', SubInterface.SURFS],
    [network.lut_data_index, 'lut_list', SubInterface.LUTS],
  ] as const) {
    const address = addresses[index];
    if (address !== undefined)
      described.set(`${address.buffer} ${address.offset}`, { name: `task-0-${name}`, sub_interface });
  }
  const numbers = new Map<string, string>();
  return (buffer, offset) => {
    const key = `${buffer} ${offset}`;
    const known = described.get(key);
    if (known !== undefined) return known;
    if (!numbers.has(key)) numbers.set(key, `tb-${numbers.size}`);
    return { name: numbers.get(key)!, sub_interface: SubInterface.NONE };
  };
}

/** A runtime binds a whole memory: the tensor has to begin it, alone. */
function checkBinding({ tensor, offset }: Binding, buffer: ProgramBuffer, taken: boolean): void {
  if (taken) refuse(`"${tensor.name}" shares its memory with another input or output`);
  if (offset !== 0 || buffer.contents.length > 0 || (buffer.role !== 'input' && buffer.role !== 'output'))
    refuse(`"${tensor.name}" lies among intermediate cubes`);
}

function tensorOf(
  { tensor, buffer, bytes, layout, stored }: Binding,
  id: number,
  config: ConfigName,
): TensorDescListEntry {
  const { atom } = configs[config];
  const pixel_format = pixelFormats[atom];
  const data_type = dataTypes[stored];
  if (pixel_format === undefined)
    refuse(`${config} has atoms of ${atom} bytes; the schema has cubes of 8 and of 32`);
  if (layout.kind !== 'feature' || data_type === undefined)
    refuse(
      `"${tensor.name}" is kept as ${stored} in a ${layout.kind} layout; the schema's are cubes of int8, int16 and half`,
    );
  const { channels, height, width, lineStride, surfStride } = layout;
  const strides = [stored === 'int8' ? 1 : 2, lineStride, surfStride];
  return {
    name: tensor.name,
    id,
    mem_id: buffer,
    size: bytes,
    offset: 0,
    data_format: NCXHWX,
    data_type,
    data_category: TensorCategory.FEATURE,
    pixel_format,
    pixel_mapping: 0,
    n: 1,
    c: channels,
    h: height,
    w: width,
    strides: Array.from({ length: STRIDES }, (_, i) => strides[i] ?? 0),
  };
}

/** Where surfaces hold the strides of bound memories. None for a memory of which a cube is only a part: its offset has strides in it. */
function relocsOf(loadable: Loadable, bound: ReadonlySet<number>): RelocListEntry[] {
  const [task] = loadable.task_list;
  const { surfaces, types } = dlaTask(new Contents(loadable), task!);
  const relocs: RelocListEntry[] = [];
  const parts = new Set<number>();
  types.forEach((type, record) => {
    for (let i = 0; i < surfaceCubes[type]!; i++) {
      const at = record * SURFACE_BYTES + i * DataCube.size;
      const { address, offset } = DataCube.from(surfaces.bytes, at);
      const entry = loadable.address_list[address];
      if (entry === undefined || !bound.has(entry.mem_id)) continue;
      if (offset !== 0) parts.add(address);
      for (const [reloc_type, field] of [
        [RelocType.LINE, 'line_stride'],
        [RelocType.SURF, 'surf_stride'],
      ] as const)
        relocs.push({
          address_id: address,
          write_id: surfaces.memory,
          offset: surfaces.at + at + DataCube.offsets[field],
          interface: Interface.DLA1,
          sub_interface: SubInterface.SURFS,
          reloc_type,
        });
    }
  });
  return relocs.filter(({ address_id }) => !parts.has(address_id));
}
