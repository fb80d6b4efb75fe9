// Buffers that other processes hold: which memory file is which buffer, and for how long somebody has it open or mapped.
// Not the files: memory-files.ts makes them, one under each buffer.
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { DmaBuf, O_CLOEXEC, type GemObject } from '../../core/index.js';
import type { Clock } from '../../base/clock.js';
import { memfdCreate, MFD_CLOEXEC } from '../libc.js';
import type { Reactor } from '../wire/reactor.js';
import type { SharedPages } from '../wire/shared-pages.js';
import { EPOLLIN, IN_CLOSE, IN_IGNORED, IN_OPEN, Inotify } from '../wire/sockets.js';

interface Held {
  readonly buffer: DmaBuf;
  readonly inode: number;
  readonly watch: number;
  /** Files open on it elsewhere, mappings included: a mapping keeps its file. */
  open: number;
  /** Opens of our own that inotify has not told of yet. */
  expected: number;
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
    const probe = memfdCreate('accel-probe', MFD_CLOEXEC);
    this.device = fstatSync(probe).dev;
    closeSync(probe);
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
      const watch = this.#inotify.add(path, IN_OPEN | IN_CLOSE);
      held = { buffer: buffer.get(), inode: fstatSync(fd).ino, watch, open: 0, expected: 0 };
      this.#byBuffer.set(buffer, held);
      this.#byWatch.set(watch, held);
      this.#byInode.set(held.inode, held);
    }
    held.open++;
    held.expected++;
    try {
      const access = (flags & constants.O_RDWR) === 0 ? constants.O_RDONLY : constants.O_RDWR;
      return { fd: openSync(path, access | O_CLOEXEC), offset };
    } catch (error) {
      held.expected--;
      this.#closed(held);
      throw error;
    }
  }

  /** The buffer whose memory file has this inode. */
  find(inode: number): DmaBuf | undefined {
    return this.#byInode.get(inode)?.buffer;
  }

  [Symbol.dispose](): void {
    this.#reactor.remove(this.#inotify.fd);
    for (const held of [...this.#byWatch.values()]) this.#forget(held);
    this.#inotify[Symbol.dispose]();
  }

  #read(): void {
    for (const { watch, mask } of this.#inotify.read()) {
      const held = this.#byWatch.get(watch);
      if (held === undefined) continue;
      if ((mask & IN_OPEN) !== 0) {
        // Another one is an open through /proc of somebody who has a descriptor.
        if (held.expected > 0) held.expected--;
        else held.open++;
      }
      if ((mask & IN_CLOSE) !== 0) this.#closed(held);
      if ((mask & IN_IGNORED) !== 0) this.#forget(held);
    }
  }

  #closed(held: Held): void {
    if (--held.open === 0) this.#forget(held);
  }

  #forget(held: Held): void {
    if (!this.#byWatch.delete(held.watch)) return;
    this.#byInode.delete(held.inode);
    this.#byBuffer.delete(held.buffer);
    this.#inotify.remove(held.watch);
    this.#onRelease(held.buffer);
    held.buffer.put();
  }
}
