// Loadables of older compilers in today's layout: data cubes without an offset, operations of the emulator without scales.
// Source: fact sheet sections 5 and 8. The driver, like the kernel's, reads today's layout only. Not a check of what it converts.
import { AccelError } from '../../base/errors.js';
import { DataCube, DataCubeV0, SURFACE_BYTES, surfaceCubes } from '../../hw/nvdla/index.js';
import { type Content, Contents } from './contents.js';
import {
  EMU_BUFFER_BYTES,
  EMU_BUFFERS_PER_OP,
  EMU_SOFTMAX_AXIS,
  EmuBufferDesc,
  EmuBufferDescV0,
  EmuOpDesc,
  EmuOpDescV0,
  EmuOpType,
  OLD_EMU_OP_BYTES,
  oldEmuFormats,
} from './emu.js';
import { Interface, type Loadable, type RelocListEntry, type TaskListEntry } from './loadable.js';
import { versionText } from './read.js';
import { dlaTask, emuTask } from './tasks.js';

/** Of today's DLA descriptors (dla_fw_version.h). */
export const DLA_VERSION = { major: 0, minor: 12, sub_minor: 3 } as const;
/** Minor versions of the first and last descriptors with short cubes that are known. */
const FIRST_OLD = 10;
const LAST_OLD = 11;

/** A run of memory that was rewritten: where a byte of it is now, relative to the run's new start. */
interface Moved {
  readonly memory: number;
  readonly at: number;
  readonly bytes: number;
  place(offset: number): number;
}

/**
 * The same network with every descriptor in today's layout; the loadable itself when it has none but those.
 * @throws AccelError EINVAL for descriptors that are not where they should be; EOPNOTSUPP for an unknown version
 */
export function inTodaysLayout(loadable: Loadable): Loadable {
  const contents = new Contents(loadable);
  const rewritten = new Rewriter(loadable);
  for (const task of loadable.task_list) {
    if (task.interface === Interface.DLA1) convertDla(contents, task, rewritten);
    else if (task.interface === Interface.EMU1) convertEmu(contents, task, rewritten);
  }
  return rewritten.result();
}

class Rewriter {
  readonly #loadable: Loadable;
  readonly #data = new Map<string, Uint8Array>();
  readonly #versions = new Set<string>();
  readonly #moved: Moved[] = [];

  constructor(loadable: Loadable) {
    this.#loadable = loadable;
  }

  /** Puts `bytes` where `content` is; `place` says where its bytes went. `content.bytes` is as long as what is replaced. */
  replace(content: Content, bytes: Uint8Array, place: Moved['place']): void {
    const { blob, memory, at, offset } = content;
    if (this.#data.has(blob.name))
      throw new AccelError('EOPNOTSUPP', {
        field: `blob "${blob.name}"`,
        reason: 'descriptors of an old layout that two tasks share',
      });
    const old = this.#data.get(blob.name) ?? blob.data;
    const end = offset + content.bytes.length;
    if (bytes.length !== content.bytes.length && end !== old.length)
      throw new AccelError('EOPNOTSUPP', {
        field: `blob "${blob.name}"`,
        reason: 'operations of an old layout with something behind them',
      });
    const data = new Uint8Array(offset + bytes.length + old.length - end);
    data.set(old.subarray(0, offset));
    data.set(bytes, offset);
    data.set(old.subarray(end), offset + bytes.length);
    this.#data.set(blob.name, data);
    this.#moved.push({ memory, at, bytes: content.bytes.length, place });
  }

  /** From now on a blob of today's version. */
  raise(content: Content): void {
    this.#versions.add(content.blob.name);
  }

  result(): Loadable {
    const loadable = this.#loadable;
    if (this.#data.size === 0) return loadable;
    return {
      ...loadable,
      blobs: loadable.blobs.map((blob) => ({
        ...blob,
        data: this.#data.get(blob.name) ?? blob.data,
        version: this.#versions.has(blob.name) ? DLA_VERSION : blob.version,
      })),
      memory_list: loadable.memory_list.map((memory) => {
        const grown = memory.contents.map(
          (name, i) => memory.offsets[i]! + (this.#data.get(name)?.length ?? 0),
        );
        return { ...memory, size: Math.max(memory.size, ...grown) };
      }),
      reloc_list: loadable.reloc_list.map((reloc) => this.#relocated(reloc)),
    };
  }

  #relocated(reloc: RelocListEntry): RelocListEntry {
    const run = this.#moved.find(
      ({ memory, at, bytes }) => memory === reloc.write_id && reloc.offset >= at && reloc.offset < at + bytes,
    );
    return run === undefined ? reloc : { ...reloc, offset: run.at + run.place(reloc.offset - run.at) };
  }
}

function convertDla(contents: Contents, task: TaskListEntry, rewritten: Rewriter): void {
  const { network, surfaces, types } = dlaTask(contents, task);
  const { version } = network.blob;
  const { major, minor } = DLA_VERSION;
  if (version.major !== major || version.minor < FIRST_OLD || version.minor > minor)
    throw new AccelError('EOPNOTSUPP', {
      field: `blob "${network.blob.name}": version`,
      reason: `${versionText(version)} of DLA descriptors; ${major}.${FIRST_OLD} to ${major}.${minor} are known`,
    });
  if (version.minor > LAST_OLD || types.length === 0) return;
  const old = surfaces.bytes;
  const bytes = new Uint8Array(old.length);
  types.forEach((type, i) => {
    const record = old.subarray(i * SURFACE_BYTES, (i + 1) * SURFACE_BYTES);
    const target = i * SURFACE_BYTES;
    const count = surfaceCubes[type]!;
    for (let cube = 0; cube < count; cube++) {
      const value = DataCubeV0.from(record, cube * DataCubeV0.size);
      DataCube.put(bytes, { ...value, offset: 0 }, target + cube * DataCube.size);
    }
    const rest = record.subarray(
      count * DataCubeV0.size,
      SURFACE_BYTES - count * (DataCube.size - DataCubeV0.size),
    );
    bytes.set(rest, target + count * DataCube.size);
  });
  rewritten.replace(surfaces, bytes, (offset) => {
    const within = offset % SURFACE_BYTES;
    return (
      offset - within + movedInSurface(within, surfaceCubes[types[Math.floor(offset / SURFACE_BYTES)]!]!)
    );
  });
  rewritten.raise(network);
  rewritten.raise(surfaces);
}

/** Where a byte of an old surface descriptor is in today's: every cube has grown by its offset. */
function movedInSurface(at: number, count: number): number {
  const grown = DataCube.size - DataCubeV0.size;
  const cube = Math.min(Math.floor(at / DataCubeV0.size), count);
  const behindOffset = cube < count && at - cube * DataCubeV0.size >= DataCubeV0.offsets.size;
  return at + grown * (cube + (behindOffset ? 1 : 0));
}

function convertEmu(contents: Contents, task: TaskListEntry, rewritten: Rewriter): void {
  const { count, operations, buffers } = emuTask(contents, task, OLD_EMU_OP_BYTES);
  // Both layouts call themselves 0.0.1; the length of the list tells.
  if (count === 0 || operations.bytes.length >= count * EmuOpDesc.size) return;
  const old = operations.bytes.subarray(0, count * OLD_EMU_OP_BYTES);
  const bytes = new Uint8Array(count * EmuOpDesc.size);
  for (let i = 0; i < count; i++) {
    const from = i * OLD_EMU_OP_BYTES;
    const to = i * EmuOpDesc.size;
    const { op_type, power, scale, shift } = EmuOpDescV0.from(old, from);
    const common = { op_type, input_scale_factor: 1, output_scale_factor: 1 };
    EmuOpDesc.put(bytes, op_type === EmuOpType.POWER ? { ...common, power, scale, shift } : common, to);
    if (op_type !== EmuOpType.POWER) bytes[to + EMU_SOFTMAX_AXIS] = old[from + EmuOpDescV0.offsets.power]!;
  }
  rewritten.replace({ ...operations, bytes: old }, bytes, (offset) => offset);

  const oldBuffers = buffers.bytes.subarray(0, count * EMU_BUFFERS_PER_OP * EMU_BUFFER_BYTES);
  const newBuffers = new Uint8Array(oldBuffers.length);
  for (let at = 0; at < oldBuffers.length; at += EMU_BUFFER_BYTES) {
    const value = EmuBufferDescV0.from(oldBuffers, at);
    const format = oldEmuFormats[value.format];
    if (format === undefined) {
      const reason = `${value.format}; 0 to ${oldEmuFormats.length - 1} are known`;
      throw new AccelError('EINVAL', { field: `task_list[${task.id}]: buffer format`, reason });
    }
    EmuBufferDesc.put(newBuffers, { ...value, format, addressIndexOffset: 0 }, at);
  }
  const grown = EmuBufferDesc.offsets.size - EmuBufferDescV0.offsets.size;
  rewritten.replace({ ...buffers, bytes: oldBuffers }, newBuffers, (offset) =>
    offset % EMU_BUFFER_BYTES >= EmuBufferDescV0.offsets.size ? offset + grown : offset,
  );
}
