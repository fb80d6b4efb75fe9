// A loadable from the bytes of a file: the tables, and that what they refer to exists and fits.
// Source: fact sheet section 7. Not trust in the descriptors inside: the driver checks those. Not an allocation: blobs are views.
import { AccelError } from '../../base/errors.js';
import { check } from './check.js';
import { LOADABLE_VERSION, type Loadable, type Version } from './loadable.js';
import { Table } from './table.js';

const STRIDES = 8;
const FIRST_STRIDE = 14;

/**
 * Reads a file.
 * @throws AccelError EINVAL with the field and what is wrong with it: truncated, no loadable, ids and sizes that do not fit;
 *   EOPNOTSUPP for a version of the schema other than 0.7
 */
export function readLoadable(bytes: Uint8Array): Loadable {
  try {
    const loadable = readTables(bytes);
    check(loadable);
    return loadable;
  } catch (error) {
    throw error instanceof AccelError ? error.in('readLoadable') : error;
  }
}

function versionOf(bytes: Uint8Array | undefined): Version | undefined {
  return bytes && { major: bytes[0]!, minor: bytes[1]!, sub_minor: bytes[2]! };
}

export function versionText({ major, minor, sub_minor }: Version): string {
  return `${major}.${minor}.${sub_minor}`;
}

function readTables(bytes: Uint8Array): Loadable {
  const root = Table.root(bytes);
  const version = versionOf(root.bytes(0, 3, 'version'));
  if (version === undefined)
    throw new AccelError('EINVAL', { field: 'version', reason: 'is missing: this is no loadable' });
  if (version.major !== LOADABLE_VERSION.major || version.minor !== LOADABLE_VERSION.minor) {
    const reason = `${versionText(version)}; ${versionText(LOADABLE_VERSION)} is what we read`;
    throw new AccelError('EOPNOTSUPP', { field: 'version', reason });
  }
  return {
    task_list: root.tables(1, 'task_list', (table) => ({
      id: table.u16(0, 'id'),
      interface: table.u32(1, 'interface'),
      instance: table.s16(2, 'instance'),
      address_list: table.u16Vector(3, 'address_list'),
      pre_actions: table.u16Vector(4, 'pre_actions'),
      post_actions: table.u16Vector(5, 'post_actions'),
    })),
    memory_list: root.tables(2, 'memory_list', (table) => ({
      id: table.u16(0, 'id'),
      domain: table.u8(1, 'domain'),
      flags: table.u16(2, 'flags'),
      size: table.u64(3, 'size'),
      alignment: table.u32(4, 'alignment'),
      contents: table.stringVector(5, 'contents'),
      offsets: table.u64Vector(6, 'offsets'),
      bind_id: table.u16(7, 'bind_id'),
      tensor_desc_id: table.u16(8, 'tensor_desc_id'),
    })),
    address_list: root.tables(3, 'address_list', (table) => ({
      id: table.u16(0, 'id'),
      mem_id: table.u16(1, 'mem_id'),
      offset: table.u64(2, 'offset'),
      size: table.u64(3, 'size'),
    })),
    event_list: root.tables(4, 'event_list', (table) => ({
      id: table.u16(0, 'id'),
      type: table.u8(1, 'type'),
      target: table.u16(2, 'target'),
      val: table.u32(3, 'val'),
      op: table.u8(4, 'op'),
    })),
    blobs: root.tables(5, 'blobs', (table) => {
      const size = table.u64(1, 'size');
      const data = table.byteVector(5, 'data');
      if (size !== data.length)
        throw new AccelError('EINVAL', {
          field: `${table.path}.size`,
          reason: `${size}, the data has ${data.length} bytes`,
        });
      return {
        name: table.string(0, 'name'),
        interface: table.u32(2, 'interface'),
        sub_interface: table.u32(3, 'sub_interface'),
        version: versionOf(table.bytes(4, 3, 'version')) ?? { major: 0, minor: 0, sub_minor: 0 },
        data,
      };
    }),
    tensor_desc_list: root.tables(6, 'tensor_desc_list', (table) => ({
      name: table.string(0, 'name'),
      id: table.u16(1, 'id'),
      mem_id: table.u16(2, 'mem_id'),
      size: table.u64(3, 'size'),
      offset: table.u64(4, 'offset'),
      data_format: table.u8(5, 'data_format'),
      data_type: table.u8(6, 'data_type'),
      data_category: table.u8(7, 'data_category'),
      pixel_format: table.u8(8, 'pixel_format'),
      pixel_mapping: table.u8(9, 'pixel_mapping'),
      n: table.s32(10, 'n'),
      c: table.s32(11, 'c'),
      h: table.s32(12, 'h'),
      w: table.s32(13, 'w'),
      strides: Array.from({ length: STRIDES }, (_, i) => table.u32(FIRST_STRIDE + i, `stride_${i}`)),
    })),
    reloc_list: root.tables(7, 'reloc_list', (table) => ({
      address_id: table.u16(0, 'address_id'),
      write_id: table.u16(1, 'write_id'),
      offset: table.u64(2, 'offset'),
      interface: table.u32(3, 'interface'),
      sub_interface: table.u32(4, 'sub_interface'),
      reloc_type: table.u8(5, 'reloc_type'),
    })),
    submit_list: root.tables(8, 'submit_list', (table) => ({
      id: table.u16(0, 'id'),
      task_id: table.u16Vector(1, 'task_id'),
    })),
  };
}
