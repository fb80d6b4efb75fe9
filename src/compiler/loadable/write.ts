// A loadable as the bytes of a file, in the vendor's writer's order: its own files come out byte for byte.
// Source: fact sheet section 7 (Loadable.cpp). Not a check: what is written is what is given.
import { Builder, type Ref } from './builder.js';
import { FILE_IDENTIFIER, type Loadable, LOADABLE_VERSION, type Version } from './loadable.js';

function structOf({ major, minor, sub_minor }: Version): readonly number[] {
  return [major, minor, sub_minor];
}

/** Blobs are written in the order given; the vendor's writer sorts them by name. */
export function writeLoadable(loadable: Loadable): Uint8Array {
  const content = loadable.blobs.reduce((sum, { data }) => sum + data.length, 0);
  const out = new Builder(content + 65536);
  const tasks = loadable.task_list.map((task) => {
    const addresses = out.u16Vector(task.address_list);
    const pre = out.u16Vector(task.pre_actions);
    const post = out.u16Vector(task.post_actions);
    out.startTable();
    out.ref(3, addresses);
    out.ref(4, pre);
    out.ref(5, post);
    out.u16(0, task.id);
    out.u32(1, task.interface);
    out.u16(2, task.instance);
    return out.endTable(6);
  });
  const submits = loadable.submit_list.map(({ id, task_id }) => {
    const list = out.u16Vector(task_id);
    out.startTable();
    out.u16(0, id);
    out.ref(1, list);
    return out.endTable(2);
  });
  const memories = loadable.memory_list.map((memory) => {
    const contents = out.refVector(memory.contents.map((name) => out.string(name)));
    const offsets = out.u64Vector(memory.offsets);
    out.startTable();
    out.ref(5, contents);
    out.ref(6, offsets);
    out.u64(3, memory.size);
    out.u32(4, memory.alignment);
    out.u16(7, memory.bind_id);
    out.u16(8, memory.tensor_desc_id);
    out.u16(2, memory.flags);
    out.u16(0, memory.id);
    out.u8(1, memory.domain);
    return out.endTable(9);
  });
  const addresses = loadable.address_list.map(({ id, mem_id, offset, size }) => {
    out.startTable();
    out.u64(3, size);
    out.u64(2, offset);
    out.u16(1, mem_id);
    out.u16(0, id);
    return out.endTable(4);
  });
  const events = loadable.event_list.map(({ id, type, target, val, op }) => {
    out.startTable();
    out.u16(0, id);
    out.u8(4, op);
    out.u16(2, target);
    out.u32(3, val);
    // The vendor's writer leaves the type out; in all of its files it is 0.
    out.u8(1, type);
    return out.endTable(5);
  });
  const blobs = loadable.blobs.map((blob) => {
    const data = out.byteVector(blob.data);
    const name = out.string(blob.name);
    out.startTable();
    out.ref(5, data);
    out.u64(1, blob.data.length);
    out.struct(4, structOf(blob.version));
    out.u32(2, blob.interface);
    out.u32(3, blob.sub_interface);
    out.ref(0, name);
    return out.endTable(6);
  });
  const tensors = loadable.tensor_desc_list.map((tensor) => {
    const name = out.string(tensor.name);
    out.startTable();
    out.ref(0, name);
    out.u16(1, tensor.id);
    out.u16(2, tensor.mem_id);
    out.u64(3, tensor.size);
    out.u64(4, tensor.offset);
    out.u8(5, tensor.data_format);
    out.u8(6, tensor.data_type);
    out.u8(7, tensor.data_category);
    out.u8(8, tensor.pixel_format);
    out.u8(9, tensor.pixel_mapping);
    out.u32(10, tensor.n);
    out.u32(11, tensor.c);
    out.u32(12, tensor.h);
    out.u32(13, tensor.w);
    tensor.strides.forEach((stride, i) => out.u32(14 + i, stride));
    return out.endTable(22);
  });
  const relocs = loadable.reloc_list.map((reloc) => {
    out.startTable();
    out.u16(0, reloc.address_id);
    out.u16(1, reloc.write_id);
    out.u64(2, reloc.offset);
    out.u32(3, reloc.interface);
    out.u32(4, reloc.sub_interface);
    out.u8(5, reloc.reloc_type);
    return out.endTable(6);
  });
  // The lists come last first, as a C++ compiler evaluates the vendor's one call that makes them.
  const lists: readonly (readonly [number, readonly Ref[]])[] = [
    [8, submits],
    [7, relocs],
    [6, tensors],
    [5, blobs],
    [4, events],
    [3, addresses],
    [2, memories],
    [1, tasks],
  ];
  const vectors = lists.map(([field, list]) => [field, out.refVector(list)] as const);
  out.startTable();
  for (const [field, vector] of vectors) out.ref(field, vector);
  out.struct(0, structOf(LOADABLE_VERSION));
  return out.finish(out.endTable(9), FILE_IDENTIFIER);
}
