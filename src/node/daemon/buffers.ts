// Buffers that other processes hold: which memory file is which buffer, and for how long somebody has it open or mapped.
// Not the files: memory-files.ts makes them, one under each buffer.
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { AccelError } from '../../base/errors.js';
import { DmaBuf, O_CLOEXEC, type GemObject } from '../../core/index.js';
import type { Clock } from '../../base/clock.js';
import { memfdCreate, MFD_CLOEXEC } from '../libc.js';
import type { Reactor } from '../wire/reactor.js';
import type { SharedPages } from '../wire/shared-pages.js';
import { EPOLLIN, IN_CLOSE, Inotify, isOnlyOpenFile } from '../wire/sockets.js';

interface Held {
  readonly buffer: DmaBuf;
  readonly inode: number;
  readonly watch: number;
  /** Open for reading: the kernel grants it a lease when no other file is open on the inode. */
  readonly probe: number;
}

const ignore = (): void => undefined;

/** st_dev of memory files. @throws AccelError EOPNOTSUPP where they have no leases: nothing else tells when the last holder lets go */
function deviceOfMemoryFiles(): number {
  const file = memfdCreate('accel-probe', MFD_CLOEXEC);
  let probe = file;
  try {
    probe = openSync(`/proc/self/fd/${file}`, constants.O_RDONLY);
    closeSync(file);
    if (!isOnlyOpenFile(probe)) throw new AccelError('EBUSY', { reason: 'somebody opened it' });
    return fstatSync(probe).dev;
  } catch (cause) {
    const reason = 'this kernel has no leases on memory files (fcntl F_SETLEASE), which the daemon needs';
    throw new AccelError('EOPNOTSUPP', { reason, cause });
  } finally {
    closeSync(probe);
  }
}

export interface BuffersOptions {
  readonly reactor: Reactor;
  readonly pages: SharedPages;
  readonly clock: Clock;
  /** Nobody elsewhere has it any more. */
  readonly onRelease: (buffer: DmaBuf) => void;
}

export class Buffers implements Disposable {
  readonly #reactor: Reactor;
  readonly #pages: SharedPages;
  readonly #clock: Clock;
  readonly #onRelease: (buffer: DmaBuf) => void;
  readonly #inotify = new Inotify();
  readonly #byWatch = new Map<number, Held>();
  readonly #byInode = new Map<number, Held>();
  readonly #byBuffer = new Map<DmaBuf, Held>();
  /** st_dev of every memory file. */
  readonly device: number;

  constructor({ reactor, pages, clock, onRelease }: BuffersOptions) {
    this.#reactor = reactor;
    this.#pages = pages;
    this.#clock = clock;
    this.#onRelease = onRelease;
    this.device = deviceOfMemoryFiles();
    // A program that opens the file in the instant of a lease would end this process by this signal.
    process.on('SIGIO', ignore);
    reactor.add(this.#inotify.fd, EPOLLIN, () => this.#read(), { first: true });
  }

  /** Buffers that somebody elsewhere has. */
  get count(): number {
    return this.#byWatch.size;
  }

  /**
   * A descriptor of the buffer's memory file, opened anew, to be sent and closed. The buffer is kept until every such file is closed
   * and unmapped. @throws AccelError ENOSPC when too many files are watched, EINVAL when the buffer has no file
   */
  handOut(gem: GemObject, flags: number): { readonly fd: number; readonly offset: number } {
    const { fd, offset } = this.#pages.sharedPages(gem.address, gem.size);
    const buffer = DmaBuf.of(gem, this.#clock);
    const path = `/proc/self/fd/${fd}`;
    let held = this.#byBuffer.get(buffer);
    if (held === undefined) {
      const probe = openSync(path, constants.O_RDONLY);
      let watch: number;
      try {
        watch = this.#inotify.add(path, IN_CLOSE);
      } catch (error) {
        closeSync(probe);
        throw error;
      }
      held = { buffer: buffer.get(), inode: fstatSync(fd).ino, watch, probe };
      this.#byBuffer.set(buffer, held);
      this.#byWatch.set(watch, held);
      this.#byInode.set(held.inode, held);
    }
    try {
      const access = (flags & constants.O_RDWR) === 0 ? constants.O_RDONLY : constants.O_RDWR;
      return { fd: openSync(path, access | O_CLOEXEC), offset };
    } catch (error) {
      this.#look(held);
      throw error;
    }
  }

  /** The buffer whose memory file has this inode. */
  find(inode: number): DmaBuf | undefined {
    return this.#byInode.get(inode)?.buffer;
  }

  [Symbol.dispose](): void {
    this.#reactor.remove(this.#inotify.fd);
    process.off('SIGIO', ignore);
    for (const held of [...this.#byWatch.values()]) this.#forget(held);
    this.#inotify[Symbol.dispose]();
  }

  /** Closes come in one event when there were several, so they cannot be counted: each is a reason to look. */
  #read(): void {
    for (const { watch } of this.#inotify.read()) {
      if (watch < 0) for (const held of [...this.#byWatch.values()]) this.#look(held);
      const held = this.#byWatch.get(watch);
      if (held !== undefined) this.#look(held);
    }
  }

  #look(held: Held): void {
    if (isOnlyOpenFile(held.probe)) this.#forget(held);
  }

  #forget(held: Held): void {
    if (!this.#byWatch.delete(held.watch)) return;
    this.#byInode.delete(held.inode);
    this.#byBuffer.delete(held.buffer);
    this.#inotify.remove(held.watch);
    closeSync(held.probe);
    this.#onRelease(held.buffer);
    held.buffer.put();
  }
}
