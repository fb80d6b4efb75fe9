// Pages of DRAM that other processes can map: a memory file of its own under each buffer.
// Not a protocol: who gets which file is for the daemon to say; it hands out descriptors, this makes them.
import { fstatSync, readFileSync } from 'node:fs';
import { AccelError } from '../base/errors.js';
import type { WasmMemory } from '../base/wasm.js';
import type { PageBacking } from '../machine/dram.js';
import {
  addressOf,
  close,
  F_ADD_SEALS,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  fcntl,
  ftruncate,
  MADV_DONTFORK,
  madvise,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  memfdCreate,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  mmap,
  PROT_READ,
  PROT_WRITE,
} from './libc.js';
import type { SharedPages, SharedRange } from './wire/shared-pages.js';

/** What `/proc/PID/fd` shows for a buffer: `/memfd:accel-buffer (deleted)`. */
export const BUFFER_FILE = 'accel-buffer';

/** Mappings left to the rest of the process: the heap, threads, libraries. Without them the engine of JavaScript aborts. */
const SPARE_MAPPINGS = 8192;
/** Descriptors left to sockets and everything else. */
const SPARE_DESCRIPTORS = 1024;

/** A file whose whole content is one buffer. Its descriptor is to pass on, not to close. */
export interface MemoryFile extends SharedRange {
  /** Whole pages. */
  readonly bytes: number;
  /** Tells the file again when its descriptor comes back over another way. */
  readonly inode: number;
}

interface Overlay {
  readonly fd: number;
  readonly bytes: number;
  inode: number | undefined;
}

/** Buffers with a file of their own in this process, over all machines: the limits are the process's. */
let live = 0;
let most: number | undefined;

/** A buffer splits the mapping around it: two more each. */
function limit(): number {
  most ??= Math.max(
    0,
    Math.min(
      Math.floor((numberIn('/proc/sys/vm/max_map_count', /(\d+)/, 65530) - SPARE_MAPPINGS) / 2),
      numberIn('/proc/self/limits', /^Max open files\s+(\d+)/m, 1024) - SPARE_DESCRIPTORS,
    ),
  );
  return most;
}

function numberIn(path: string, pattern: RegExp, otherwise: number): number {
  return Number(pattern.exec(readFileSync(path, 'utf8'))?.[1] ?? otherwise);
}

/**
 * Each buffer gets a fresh file, so it is zeroed, and whoever holds the file reaches this buffer and no other. The file cannot change
 * its size: one that was cut short would kill every process that touches the lost pages. A buffer that is freed here lives on,
 * detached from DRAM, for as long as another process has it mapped.
 */
export class MemoryFiles implements PageBacking, SharedPages {
  readonly #base: bigint;
  readonly #overlays = new Map<number, Overlay>();
  readonly #byInode = new Map<number, number>();

  constructor(memory: WasmMemory) {
    this.#base = addressOf(new Uint8Array(memory.buffer));
  }

  /** Buffers with a file. */
  get count(): number {
    return this.#overlays.size;
  }

  back(address: number, bytes: number): void {
    if (live >= limit()) {
      const reason = `${live} buffers are shared with other processes; mappings and descriptors of this process allow no more`;
      throw new AccelError('ENOMEM', { field: 'size', reason });
    }
    const fd = this.#file(bytes);
    try {
      mmap({
        address: this.#base + BigInt(address),
        length: bytes,
        protection: PROT_READ | PROT_WRITE,
        flags: MAP_SHARED | MAP_FIXED,
        fd,
      });
    } catch (error) {
      close(fd);
      throw error;
    }
    this.#overlays.set(address, { fd, bytes, inode: undefined });
    live++;
  }

  release(address: number): boolean {
    const overlay = this.#overlays.get(address);
    if (overlay === undefined) return false;
    this.#overlays.delete(address);
    if (overlay.inode !== undefined) this.#byInode.delete(overlay.inode);
    live--;
    const at = mmap({
      address: this.#base + BigInt(address),
      length: overlay.bytes,
      protection: PROT_READ | PROT_WRITE,
      flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
    });
    // As V8 has it for the rest of the memory: only equal neighbours become one mapping again.
    madvise(at, overlay.bytes, MADV_DONTFORK);
    close(overlay.fd);
    return true;
  }

  sharedPages(address: number, bytes: number): MemoryFile {
    const overlay = this.#overlays.get(address);
    if (overlay === undefined || overlay.bytes < bytes) {
      const reason = `no buffer of ${bytes} bytes with a file starts at 0x${address.toString(16)}`;
      throw new AccelError('EINVAL', { reason });
    }
    if (overlay.inode === undefined) {
      overlay.inode = fstatSync(overlay.fd).ino;
      this.#byInode.set(overlay.inode, address);
    }
    return { fd: overlay.fd, offset: 0, bytes: overlay.bytes, inode: overlay.inode };
  }

  /** The physical address of the buffer whose file has this inode; undefined when it was never handed out, or is freed. */
  addressOf(inode: number): number | undefined {
    return this.#byInode.get(inode);
  }

  [Symbol.dispose](): void {
    for (const address of [...this.#overlays.keys()]) this.release(address);
  }

  #file(bytes: number): number {
    let fd: number;
    try {
      fd = memfdCreate(BUFFER_FILE, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    } catch (error) {
      // The client asked for memory: running out of descriptors to make it from is the same to it.
      throw new AccelError('ENOMEM', { field: 'size', reason: 'no descriptor is free', cause: error });
    }
    try {
      ftruncate(fd, bytes);
      fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
      return fd;
    } catch (error) {
      close(fd);
      throw error;
    }
  }
}
