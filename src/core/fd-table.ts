// Open file descriptions and the descriptor table of a process: what dma-bufs, sync_files and syncobj fds are entries of.
// Not the host's descriptors: numbers here mean something only to calls of this process on our devices.
import { AccelError } from '../base/errors.js';
import { IdTable } from '../base/id-table.js';
import type { AbortSignalLike } from './accel-file.js';
import type { Process } from './process.js';
import { sleep, WaitQueue } from './wait.js';

/** Flags of open(2) that a descriptor is installed with. */
export const O_RDWR = 0x2;
export const O_CLOEXEC = 0x80000;

/** Something a descriptor stands for. Shared by its descriptors (dup, passing to another process): counted. */
export abstract class OpenFile {
  #references = 0;
  readonly #waiters = new WaitQueue();
  /** `dmabuf`, `sync_file`, `syncobj_file`: as /proc shows it. */
  abstract readonly kind: string;

  /** Descriptors and other holders. */
  get references(): number {
    return this.#references;
  }

  get(): this {
    this.#references++;
    return this;
  }

  /** Drops one reference; with the last one, release() runs. */
  put(): void {
    if (--this.#references === 0) this.release();
  }

  /** ioctl(2) on the descriptor. @throws AccelError ENOTTY for kinds that have none */
  ioctl(
    _process: Process,
    _request: number,
    _argument: Uint8Array | undefined,
    _signal?: AbortSignalLike,
  ): number | Promise<number> {
    throw new AccelError('ENOTTY', { reason: `${this.kind} has no ioctl` });
  }

  /** Bits of poll(2) that are ready. */
  poll(): number {
    return 0;
  }

  /** Resolves to the ready bits among `events`. @throws AccelError EINTR */
  async ready(events: number, signal?: AbortSignalLike): Promise<number> {
    for (;;) {
      const bits = this.poll() & events;
      if (bits !== 0) return bits;
      await sleep((wake) => this.#waiters.add(wake), { signal });
    }
  }

  /** For subclasses: what poll answers has changed. */
  protected changed(): void {
    this.#waiters.wakeAll();
  }

  /** The last descriptor is closed. */
  protected abstract release(): void;
}

/** Descriptors of one process: the smallest free number from 3, as 0 to 2 are taken in every program. */
export class FdTable {
  readonly #files = new IdTable<OpenFile>({ first: 3, limit: 1 << 20 });
  #closed = false;

  /**
   * Takes a reference to `file` and returns its number. `_flags` O_CLOEXEC and O_RDWR mean something to a process elsewhere.
   * @throws AccelError EMFILE, ESRCH once the process is gone
   */
  install(file: OpenFile, _flags = O_CLOEXEC | O_RDWR): number {
    if (this.#closed) throw new AccelError('ESRCH', { reason: 'the process is gone' });
    const fd = this.#files.add(file);
    if (fd === undefined) throw new AccelError('EMFILE', { reason: 'no descriptor is free' });
    file.get();
    return fd;
  }

  /**
   * Before get() and has() in a call: a table of a process elsewhere finds out now what these numbers are. They stay what they are
   * until the call is over.
   */
  async fetch(_fds: Iterable<number>): Promise<void> {
    // All of them are here.
  }

  /** @throws AccelError EBADF */
  get(fd: number): OpenFile {
    const file = this.#files.get(fd);
    if (file === undefined) throw new AccelError('EBADF', { field: 'fd', reason: `${fd} is not open` });
    return file;
  }

  has(fd: number): boolean {
    return this.#files.get(fd) !== undefined;
  }

  /** A second number for the same description. @throws AccelError EBADF, EMFILE */
  dup(fd: number): number {
    return this.install(this.get(fd));
  }

  /** @throws AccelError EBADF */
  close(fd: number): void {
    const file = this.get(fd);
    this.#files.remove(fd);
    file.put();
  }

  get size(): number {
    return this.#files.size;
  }

  /** The end of the process. */
  closeAll(): void {
    this.#closed = true;
    for (const file of this.#files.clear()) file.put();
  }
}
