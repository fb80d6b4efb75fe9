// Whether the parts of a loadable refer to parts that exist and fit: ids, blobs, sizes, bindings.
// Not of descriptors: what the blobs hold is the reader's of descriptors and the driver's business.
import { AccelError } from '../../base/errors.js';
import { type Loadable, MemoryFlags, type MemoryListEntry } from './loadable.js';

function wrong(field: string, reason: string): never {
  throw new AccelError('EINVAL', { field, reason });
}

/** `id` is an index into a list of `count`. */
function inside(field: string, id: number, list: string, count: number): void {
  if (id >= count) wrong(field, `${id}, ${list} has ${count}`);
}

/** @throws AccelError EINVAL with the field at fault */
export function check(loadable: Loadable): void {
  const { task_list, memory_list, address_list, event_list, blobs, tensor_desc_list } = loadable;
  for (const name of [
    'task_list',
    'memory_list',
    'address_list',
    'event_list',
    'tensor_desc_list',
    'submit_list',
  ] as const)
    loadable[name].forEach(({ id }, i) => {
      if (id !== i) wrong(`${name}[${i}].id`, `${id}, ids are positions`);
    });

  const sizes = new Map<string, number>();
  blobs.forEach(({ name, data }, i) => {
    if (sizes.has(name)) wrong(`blobs[${i}].name`, `a second "${name}"`);
    sizes.set(name, data.length);
  });
  memory_list.forEach((memory, i) => {
    if ((memory.flags & MemoryFlags.SET) !== 0) checkContents(memory, `memory_list[${i}]`, sizes);
  });
  address_list.forEach(({ mem_id, offset, size }, i) => {
    inside(`address_list[${i}].mem_id`, mem_id, 'memory_list', memory_list.length);
    const memory = memory_list[mem_id]!;
    // A size beyond the end is clipped, the schema says.
    if (offset > memory.size || (offset === memory.size && size > 0))
      wrong(`address_list[${i}].offset`, `${offset} of a memory of ${memory.size} bytes`);
  });
  task_list.forEach(({ address_list: own, pre_actions, post_actions }, i) => {
    for (const [name, list] of Object.entries({ pre_actions, post_actions }))
      list.forEach((id, j) => inside(`task_list[${i}].${name}[${j}]`, id, 'event_list', event_list.length));
    own.forEach((id, j) =>
      inside(`task_list[${i}].address_list[${j}]`, id, 'address_list', address_list.length),
    );
  });
  loadable.submit_list.forEach(({ task_id }, i) => {
    task_id.forEach((id, j) => inside(`submit_list[${i}].task_id[${j}]`, id, 'task_list', task_list.length));
  });
  tensor_desc_list.forEach(({ mem_id, size, offset, n, c, h, w }, i) => {
    inside(`tensor_desc_list[${i}].mem_id`, mem_id, 'memory_list', memory_list.length);
    const bytes = memory_list[mem_id]!.size;
    if (offset + size > bytes)
      wrong(`tensor_desc_list[${i}].size`, `${size} bytes at ${offset} of a memory of ${bytes}`);
    for (const [name, extent] of Object.entries({ n, c, h, w }))
      if (extent < 1) wrong(`tensor_desc_list[${i}].${name}`, `${extent}, at least 1`);
  });
  for (const flag of [MemoryFlags.INPUT, MemoryFlags.OUTPUT]) checkBindings(loadable, flag);
  loadable.reloc_list.forEach(({ address_id, write_id, offset }, i) => {
    inside(`reloc_list[${i}].address_id`, address_id, 'address_list', address_list.length);
    inside(`reloc_list[${i}].write_id`, write_id, 'memory_list', memory_list.length);
    const bytes = memory_list[write_id]!.size;
    if (offset + 4 > bytes) wrong(`reloc_list[${i}].offset`, `${offset} of a memory of ${bytes} bytes`);
  });
}

function checkContents(
  { contents, offsets, size }: MemoryListEntry,
  field: string,
  blobs: ReadonlyMap<string, number>,
): void {
  if (contents.length !== offsets.length)
    wrong(`${field}.offsets`, `${offsets.length} for ${contents.length} contents`);
  contents.forEach((name, i) => {
    const bytes = blobs.get(name);
    if (bytes === undefined) wrong(`${field}.contents[${i}]`, `there is no blob "${name}"`);
    if (offsets[i]! + bytes > size)
      wrong(`${field}.offsets[${i}]`, `${bytes} bytes at ${offsets[i]!} of a memory of ${size}`);
  });
}

/** bind_id counts inputs and outputs from 0, each on one memory, and each has a tensor. */
function checkBindings({ memory_list, tensor_desc_list }: Loadable, flag: number): void {
  const bound = memory_list.filter(({ flags }) => (flags & flag) !== 0);
  const seen = new Set<number>();
  for (const { id, bind_id, tensor_desc_id } of bound) {
    const field = `memory_list[${id}]`;
    if (bind_id >= bound.length) wrong(`${field}.bind_id`, `${bind_id}, there are ${bound.length} to bind`);
    if (seen.has(bind_id)) wrong(`${field}.bind_id`, `a second ${bind_id}`);
    seen.add(bind_id);
    inside(`${field}.tensor_desc_id`, tensor_desc_id, 'tensor_desc_list', tensor_desc_list.length);
  }
}
