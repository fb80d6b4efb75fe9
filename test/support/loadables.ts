// The vendor's regression loadables and small ones made here, for tests.
// Not tests.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  type Blob,
  Interface,
  type Loadable,
  MemoryFlags,
  type MemoryListEntry,
  SubInterface,
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
