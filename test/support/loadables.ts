// The vendor's regression loadables and small ones made here, for tests.
// Not tests.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  type Blob,
  EMU_BUFFER_BYTES,
  EmuBufferDesc,
  EmuNetworkDesc,
  EmuOpDesc,
  Interface,
  type Loadable,
  MemoryFlags,
  type MemoryListEntry,
  PixelFormat,
  type RelocListEntry,
  RelocType,
  SubInterface,
  TensorCategory,
  TensorDataType,
  type TensorDescListEntry,
} from '../../src/compiler/loadable/index.js';
import { shared } from './shared.js';

export const FLATBUFS = 'vectors/nvdla/kmd/flatbufs';

/** Names and bytes of the loadables in ../shared; none when it is absent. */
export function vendorLoadables(): { name: string; bytes: Uint8Array }[] {
  const folder = shared(FLATBUFS);
  if (folder === undefined) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => ({ name: basename(path), bytes: new Uint8Array(readFileSync(path)) }));
}

export const blob = (name: string, data: Uint8Array, kind: Partial<Blob> = {}): Blob => ({
  name,
  interface: Interface.NONE,
  sub_interface: SubInterface.NONE,
  version: { major: 0, minor: 0, sub_minor: 0 },
  data,
  ...kind,
});

/** A memory; the ones that nothing is said of are 4096 bytes, allocated and nothing more. */
export const memory = (id: number, rest: Partial<MemoryListEntry> = {}): MemoryListEntry => ({
  id,
  domain: 0,
  flags: MemoryFlags.ALLOC,
  size: 4096,
  alignment: 4096,
  contents: [],
  offsets: [],
  bind_id: 0,
  tensor_desc_id: 0,
  ...rest,
});

/** A loadable with a part of every kind, whose descriptors are only bytes. */
export function everyPart(): Loadable {
  return {
    task_list: [
      { id: 0, interface: 1, instance: -1, address_list: [1, 0], pre_actions: [0], post_actions: [1] },
      { id: 1, interface: 2, instance: 3, address_list: [], pre_actions: [], post_actions: [] },
    ],
    memory_list: [
      memory(0, {
        flags: MemoryFlags.ALLOC | MemoryFlags.SET,
        size: 0x1_0000_0000,
        contents: ['a', 'longer name'],
        offsets: [0, 0xf000_0000],
      }),
      memory(1, { flags: MemoryFlags.ALLOC | MemoryFlags.INPUT }),
      memory(2, { flags: MemoryFlags.ALLOC | MemoryFlags.OUTPUT, domain: 0, tensor_desc_id: 1 }),
    ],
    address_list: [
      { id: 0, mem_id: 0, offset: 0xf000_0000, size: 0 },
      { id: 1, mem_id: 2, offset: 0, size: 4096 },
    ],
    event_list: [
      { id: 0, type: 0, target: 0, val: 0, op: 0 },
      { id: 1, type: 1, target: 7, val: 0xffff_ffff, op: 1 },
    ],
    blobs: [
      blob('a', Uint8Array.of(1, 2, 3)),
      blob('longer name', new Uint8Array(0), {
        interface: Interface.DLA1,
        sub_interface: SubInterface.SURFS,
        version: { major: 0, minor: 12, sub_minor: 3 },
      }),
    ],
    tensor_desc_list: [
      {
        ...{ name: 'in', id: 0, mem_id: 1, size: 4096, offset: 0 },
        ...{ data_format: 1, data_type: 4, data_category: 2, pixel_format: 36, pixel_mapping: 0 },
        ...{ n: 1, c: 3, h: 4, w: 32, strides: [1, 1024, 4096, 0, 0, 0, 0, 0] },
      },
      {
        ...{ name: '', id: 1, mem_id: 2, size: 32, offset: 4064 },
        ...{ data_format: 0, data_type: 2, data_category: 0, pixel_format: 37, pixel_mapping: 1 },
        ...{ n: 1, c: 1, h: 1, w: 1, strides: [1, 2, 3, 4, 5, 6, 7, 8] },
      },
    ],
    reloc_list: [
      { address_id: 1, write_id: 0, offset: 0xffff_fffc, interface: 1, sub_interface: 4, reloc_type: 2 },
    ],
    submit_list: [
      { id: 0, task_id: [0, 1] },
      { id: 1, task_id: [] },
    ],
  };
}

type EmuOperation = Partial<ReturnType<(typeof EmuOpDesc)['from']>>;
type EmuCube = Partial<ReturnType<(typeof EmuBufferDesc)['from']>>;

/** An operation of the emulator on memory 3 (input) and memory 4 (output), by way of `source` and `target`. */
export interface EmuStep {
  readonly operation: EmuOperation;
  readonly source: EmuCube;
  readonly target: EmuCube;
}

/**
 * A loadable of one EMU task: memories 0 to 2 are descriptors, 3 is the input and 4 the output, a page each, and addresses
 * are memories. `tensors` are what is bound; their relocations lead to the first step's descriptors.
 */
export function emuLoadable(
  steps: readonly EmuStep[],
  tensors: Readonly<Record<'input' | 'output', Partial<TensorDescListEntry>>>,
): Loadable {
  const operations = new Uint8Array(steps.length * EmuOpDesc.size);
  const buffers = new Uint8Array(2 * steps.length * EMU_BUFFER_BYTES);
  steps.forEach(({ operation, source, target }, i) => {
    EmuOpDesc.put(operations, operation, i * EmuOpDesc.size);
    EmuBufferDesc.put(buffers, { addressIndex: 3, ...source }, 2 * i * EMU_BUFFER_BYTES);
    EmuBufferDesc.put(buffers, { addressIndex: 4, ...target }, (2 * i + 1) * EMU_BUFFER_BYTES);
  });
  const network = EmuNetworkDesc.bytes({
    operation_desc_index: 1,
    operation_buffer_desc_index: 2,
    num_operations: steps.length,
  });
  const emu = (sub_interface: number): Partial<Blob> => ({
    interface: Interface.EMU1,
    sub_interface,
    version: { major: 0, minor: 0, sub_minor: 1 },
  });
  const blobs = [
    blob('task-0-addr0', network, emu(SubInterface.ADDR0)),
    blob('task-0-op_list', operations, emu(SubInterface.OPS)),
    blob('task-0-op_buf_list', buffers, emu(SubInterface.SURFS)),
  ];
  const tensor = (id: number, mem_id: number, rest: Partial<TensorDescListEntry>): TensorDescListEntry => ({
    ...{ name: `t${id}`, id, mem_id, size: 4096, offset: 0, n: 1, c: 1, h: 1, w: 1 },
    ...{ data_format: 3, data_type: TensorDataType.INT8, data_category: TensorCategory.FEATURE },
    ...{ pixel_format: PixelFormat.FEATURE_X8, pixel_mapping: 0, strides: [1, 8, 8, 0, 0, 0, 0, 0] },
    ...rest,
  });
  const reloc = (address_id: number, at: number, reloc_type: number): RelocListEntry => ({
    address_id,
    write_id: 2,
    offset: at,
    interface: Interface.EMU1,
    sub_interface: SubInterface.SURFS,
    reloc_type,
  });
  const { line_stride, surf_stride } = EmuBufferDesc.offsets;
  return {
    task_list: [
      { id: 0, interface: 2, instance: -1, address_list: [0, 1, 2, 3, 4], pre_actions: [], post_actions: [] },
    ],
    memory_list: [
      ...blobs.map(({ name, data }, id) =>
        memory(id, {
          flags: MemoryFlags.ALLOC | MemoryFlags.SET,
          size: data.length,
          contents: [name],
          offsets: [0],
        }),
      ),
      memory(3, { flags: MemoryFlags.ALLOC | MemoryFlags.INPUT }),
      memory(4, { flags: MemoryFlags.ALLOC | MemoryFlags.OUTPUT, tensor_desc_id: 1 }),
    ],
    address_list: [0, 1, 2, 3, 4].map((id) => ({ id, mem_id: id, offset: 0, size: 0 })),
    event_list: [],
    blobs,
    tensor_desc_list: [tensor(0, 3, tensors.input), tensor(1, 4, tensors.output)],
    reloc_list: [
      reloc(3, line_stride, RelocType.LINE),
      reloc(3, surf_stride, RelocType.SURF),
      reloc(4, EMU_BUFFER_BYTES + line_stride, RelocType.LINE),
      reloc(4, EMU_BUFFER_BYTES + surf_stride, RelocType.SURF),
    ],
    submit_list: [{ id: 0, task_id: [0] }],
  };
}
