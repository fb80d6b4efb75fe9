// What a loadable's blobs put behind the addresses of a task: descriptors before anything runs.
// Not device memory: what a task writes is not here.
import { AccelError } from '../../base/errors.js';
import { type Blob, type Loadable, MemoryFlags, type TaskListEntry } from './loadable.js';

/** A run of bytes that one blob fills. */
export interface Content {
  readonly blob: Blob;
  /** Id of the memory, and where in it `bytes` begins. */
  readonly memory: number;
  readonly at: number;
  /** Where in the blob `bytes` begins. */
  readonly offset: number;
  /** To the end of the blob. */
  readonly bytes: Uint8Array;
}

export class Contents {
  readonly #loadable: Loadable;
  readonly #blobs: ReadonlyMap<string, Blob>;

  constructor(loadable: Loadable) {
    this.#loadable = loadable;
    this.#blobs = new Map(loadable.blobs.map((blob) => [blob.name, blob]));
  }

  /**
   * At least `count` bytes behind entry `index` of a task's address list.
   * @throws AccelError EINVAL naming `field` when the index is none, or no blob has put that much there
   */
  behind(task: TaskListEntry, index: number, count: number, field: string): Content {
    const where = `task_list[${task.id}]: ${field}`;
    if (index < 0 || index >= task.address_list.length)
      throw new AccelError('EINVAL', {
        field: where,
        reason: `${index}, the list has ${task.address_list.length}`,
      });
    const { mem_id, offset } = this.#loadable.address_list[task.address_list[index]!]!;
    const memory = this.#loadable.memory_list[mem_id]!;
    const set = (memory.flags & MemoryFlags.SET) !== 0;
    for (const [i, name] of set ? memory.contents.entries() : []) {
      const blob = this.#blobs.get(name)!;
      const start = offset - memory.offsets[i]!;
      if (start < 0 || start >= blob.data.length) continue;
      const bytes = blob.data.subarray(start);
      if (bytes.length < count) {
        const reason = `${count} bytes are needed, blob "${name}" has ${bytes.length}`;
        throw new AccelError('EINVAL', { field: where, reason });
      }
      return { blob, memory: mem_id, at: offset, offset: start, bytes };
    }
    throw new AccelError('EINVAL', { field: where, reason: `no blob fills memory ${mem_id} at ${offset}` });
  }
}
