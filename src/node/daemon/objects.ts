// What descriptors in client processes stand for: by number for calls, by inode to recognise them when they come back.
// Not a process's table: descriptors travel; an object lives while anybody holds one.
import { fstatSync, readlinkSync, statSync, type Stats } from 'node:fs';
import { IdTable } from '../../base/id-table.js';
import { AccelError } from '../../base/errors.js';
import { DmaBuf, EventFd, OpenFile, SyncFile } from '../../core/index.js';
import { Kind } from '../wire/messages.js';
import type { Reactor } from '../wire/reactor.js';
import { close, EPOLLOUT, EPOLLRDHUP, eventfdAdd, shutdownWrite, socketPair } from '../wire/sockets.js';
import type { Account } from './account.js';
import type { Buffers } from './buffers.js';
import type { OpenNode } from './node.js';

/** An eventfd of a client: adding to it wakes the client. */
class RemoteEventFd extends EventFd {
  readonly #fd: number;

  constructor(fd: number) {
    super();
    this.#fd = fd;
  }

  override signal(n: number): void {
    eventfdAdd(this.#fd, n);
  }

  protected override release(): void {
    close(this.#fd);
  }
}

/** A descriptor that is none of ours; only what it is called matters. */
class ForeignFile extends OpenFile {
  readonly kind: string;

  constructor(kind: string) {
    super();
    this.kind = kind;
  }

  protected release(): void {
    // Nothing is held.
  }
}

export interface WireObject {
  readonly id: number;
  readonly kind: Kind;
  readonly node?: OpenNode;
  /** Undefined for a node. */
  readonly file?: OpenFile;
  /** Major and minor of the device number, for a node. */
  readonly device?: readonly [number, number];
}

interface Entry extends WireObject {
  /** Socket pairs, or 1 for a buffer. */
  ends: number;
}

const kinds: Readonly<Record<string, Kind>> = {
  dmabuf: Kind.DMA_BUF,
  sync_file: Kind.SYNC_FILE,
  syncobj_file: Kind.SYNCOBJ,
  sw_sync: Kind.SW_SYNC,
};

export interface ObjectsOptions {
  readonly reactor: Reactor;
  readonly buffers: Buffers;
}

export class Objects {
  readonly #reactor: Reactor;
  readonly #buffers: Buffers;
  readonly #entries = new IdTable<Entry>({ first: 1, limit: 2 ** 31 });
  readonly #byInode = new Map<number, Entry>();
  readonly #byFile = new Map<OpenFile, Entry>();
  /** What is undone when the daemon stops, by our end of the pair. */
  readonly #ends = new Map<number, () => void>();
  /** st_dev of every socket. */
  readonly #sockets: number;

  constructor({ reactor, buffers }: ObjectsOptions) {
    this.#reactor = reactor;
    this.#buffers = buffers;
    const [one, other] = socketPair();
    this.#sockets = fstatSync(one).dev;
    close(one);
    close(other);
  }

  /** Descriptors in client processes, buffers counted once each. */
  get count(): number {
    return this.#ends.size + this.#buffers.count;
  }

  get(id: number): WireObject | undefined {
    return this.#entries.get(id);
  }

  /**
   * The node as a descriptor to be sent and closed. `onHangUp` when the last copy of it is closed.
   * @throws AccelError EMFILE
   */
  exportNode(
    node: OpenNode,
    device: readonly [number, number],
    nonblock: boolean,
    holder: Account,
  ): { fd: number; object: WireObject; end: number } {
    const entry = this.#add({ kind: Kind.NODE, node, device });
    const { theirs, mine } = this.#pair(
      entry,
      holder,
      nonblock,
      () => node.hangUp(),
      () => node.writable(),
    );
    return { fd: theirs, object: entry, end: mine };
  }

  /** A file as a descriptor to be sent and closed. Takes a reference of its own. @throws AccelError EMFILE, ENOSPC */
  exportFile(file: OpenFile, flags: number, holder: Account): { fd: number; object: WireObject } {
    if (file instanceof DmaBuf) {
      const { fd } = this.#buffers.handOut(file.gem, flags);
      return { fd, object: this.ofFile(file) };
    }
    const entry = this.#of(file);
    let signalled: Disposable | undefined;
    const { theirs, mine } = this.#pair(entry, holder, false, () => {
      signalled?.[Symbol.dispose]();
      file.put();
    });
    file.get();
    if (file instanceof SyncFile) {
      // Readable for ever after: end of file cannot be taken back by who reads it.
      if (file.fence.signalled) shutdownWrite(mine);
      else signalled = file.fence.onSignal(() => shutdownWrite(mine));
    }
    return { fd: theirs, object: entry };
  }

  /** The object of a file of ours, with a number from now on. */
  ofFile(file: OpenFile): WireObject {
    return this.#of(file);
  }

  /** A buffer that nobody elsewhere has any more needs no number. */
  forgetBuffer(buffer: DmaBuf): void {
    const entry = this.#byFile.get(buffer);
    if (entry === undefined) return;
    this.#byFile.delete(buffer);
    this.#entries.remove(entry.id);
  }

  /** What a descriptor of a client is. Does not own `fd`. */
  find(fd: number): WireObject | undefined {
    return this.#ofInode(fstatSync(fd));
  }

  /** The file that a descriptor of a process stands for, when it is one of ours; undefined too when the process may not be looked at. */
  see(pid: number, fd: number): OpenFile | undefined {
    try {
      const status = statSync(`/proc/${pid}/fd/${fd}`, { throwIfNoEntry: false });
      return status && this.#ofInode(status)?.file;
    } catch {
      return undefined;
    }
  }

  #ofInode({ dev, ino }: Stats): WireObject | undefined {
    if (dev === this.#sockets) return this.#byInode.get(ino);
    if (dev !== this.#buffers.device) return undefined;
    const buffer = this.#buffers.find(ino);
    return buffer === undefined ? undefined : this.ofFile(buffer);
  }

  /** The file a descriptor of a client stands for to the core: ours, an eventfd, or something else. Owns `fd`. */
  identify(fd: number): OpenFile {
    const object = this.find(fd);
    let target = object === undefined ? readlinkSync(`/proc/self/fd/${fd}`) : '';
    if (target === 'anon_inode:[eventfd]') return new RemoteEventFd(fd);
    close(fd);
    if (object?.file !== undefined) return object.file;
    if (object?.node !== undefined) target = 'device file';
    return new ForeignFile(target);
  }

  /** The daemon stops: every end is closed, as if the clients had. */
  closeAll(): void {
    for (const end of [...this.#ends.values()]) end();
  }

  #of(file: OpenFile): Entry {
    const known = this.#byFile.get(file);
    if (known !== undefined) return known;
    const entry = this.#add({ kind: kinds[file.kind] ?? Kind.NONE, file });
    this.#byFile.set(file, entry);
    return entry;
  }

  #add(what: Omit<WireObject, 'id'>): Entry {
    const entry: { id: number; ends: number } & Omit<WireObject, 'id'> = { ...what, id: 0, ends: 0 };
    const id = this.#entries.add(entry);
    if (id === undefined) throw new AccelError('EMFILE', { reason: 'no object number is free' });
    entry.id = id;
    return entry;
  }

  #pair(
    entry: Entry,
    holder: Account,
    nonblock: boolean,
    onClose: () => void,
    onWritable?: () => void,
  ): { mine: number; theirs: number } {
    let charged = false;
    let pair: readonly [number, number] | undefined;
    try {
      holder.addFile();
      charged = true;
      pair = socketPair(nonblock);
      const [mine, theirs] = pair;
      const inode = fstatSync(theirs).ino;
      const end = (): void => {
        this.#ends.delete(mine);
        this.#reactor.remove(mine);
        close(mine);
        this.#byInode.delete(inode);
        holder.dropFile();
        if (--entry.ends === 0) this.#drop(entry);
        onClose();
      };
      const ready = (events: number): void => {
        if ((events & ~EPOLLOUT) !== 0) end();
        else onWritable?.();
      };
      this.#reactor.add(mine, EPOLLRDHUP, ready, { first: true });
      this.#byInode.set(inode, entry);
      this.#ends.set(mine, end);
      entry.ends++;
      return { mine, theirs };
    } catch (error) {
      if (charged) holder.dropFile();
      for (const fd of pair ?? []) close(fd);
      if (entry.ends === 0) this.#drop(entry);
      throw error;
    }
  }

  #drop(entry: Entry): void {
    this.#entries.remove(entry.id);
    if (entry.file !== undefined) this.#byFile.delete(entry.file);
  }
}
