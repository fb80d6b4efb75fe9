// The core's side of an open file: client id, handles, address of pointers, events, busy time.
// Not the client's side: that is accel-file.ts.
import { AccelError } from '../base/errors.js';
import { IdTable } from '../base/id-table.js';
import { IntMap } from '../base/int-map.js';
import type { AccelDevice } from './device.js';
import { EventQueue } from './events.js';
import type { GemObject } from './gem.js';
import { gemOf } from './prime.js';
import type { Process } from './process.js';
import type { Syncobj } from './syncobj.js';
import { BusyTime } from './usage.js';

/** What an entity is to the file it belongs to. */
export interface FileEntity {
  readonly idle: boolean;
  flush(): Promise<void>;
  kill(): void;
}

/** How long close waits for queued jobs before it kills them (MAX_WAIT_SCHED_ENTITY_Q_EMPTY: 1 s). */
export const CLOSE_WAIT_NS = 1e9;

/** Handles of a file to one object. */
interface Handles {
  readonly gem: GemObject;
  /** The handle that PRIME import answers with. */
  first: number;
  count: number;
}

/** Made by Core.open. */
export class ClientFile<Hw = unknown, Own = unknown> {
  readonly device: AccelDevice<Hw>;
  readonly process: Process;
  /** Unique among all open files of this core: drm-client-id in fdinfo. */
  readonly clientId: number;
  /** The driver's state for this file, from its open(). */
  readonly own: Own;
  readonly events = new EventQueue();
  /** Sync objects by handle, from 1. */
  readonly syncobjs = new IdTable<Syncobj>();
  readonly #handles = new IdTable<GemObject>();
  /** By the object's id. */
  readonly #byObject = new IntMap<Handles>();
  readonly #busy = new Map<string, BusyTime>();
  readonly #entities = new Set<FileEntity>();
  #closed = false;
  #released = false;
  /** Calls that have not returned; the file lives until they do. */
  #calls = 0;

  /** @throws AccelError what the driver's open throws: EBUSY, EAGAIN, EPERM */
  constructor(device: AccelDevice<Hw>, process: Process, clientId: number) {
    this.device = device;
    this.process = process;
    this.clientId = clientId;
    this.own = device.driver.open(device, this) as Own;
    device.addFile(this);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** A new handle for `gem`: the smallest free number from 1. Takes a reference of its own. @throws AccelError ENOSPC */
  createHandle(gem: GemObject): number {
    this.#alive();
    const handle = this.#handles.add(gem);
    if (handle === undefined)
      throw new AccelError('ENOSPC', { field: 'handle', reason: 'no handle is free' });
    gem.get();
    gem.handles++;
    const known = this.#byObject.get(gem.id);
    if (known === undefined) this.#byObject.set(gem.id, { gem, first: handle, count: 1 });
    else known.count++;
    return handle;
  }

  /** A zeroed buffer. The caller owns its reference: after createHandle, put it. @throws AccelError EINVAL, ENOMEM */
  createGem(bytes: number): GemObject {
    return this.device.createGem(bytes);
  }

  /** The object of a handle; no reference is taken. @throws AccelError ENOENT */
  lookup(handle: number): GemObject {
    const gem = this.#handles.get(handle);
    if (gem === undefined) {
      throw new AccelError('ENOENT', { field: 'handle', reason: `${handle} is not a handle of this file` });
    }
    return gem;
  }

  /**
   * The objects of an array of `count` u32 handles in the client's memory; no references are taken.
   * @throws AccelError EFAULT, ENOENT for any handle that is bad
   */
  async lookupAll(pointer: bigint, count: number): Promise<GemObject[]> {
    const bytes = await this.readUser(pointer, count * 4);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: count }, (_, i) => this.lookup(view.getUint32(i * 4, true)));
  }

  /** A handle this file has to `gem`. */
  handleOf(gem: GemObject): number | undefined {
    return this.#byObject.get(gem.id)?.first;
  }

  /** @throws AccelError EINVAL for a handle this file does not have */
  closeHandle(handle: number): void {
    const gem = this.#handles.remove(handle);
    if (gem === undefined) {
      throw new AccelError('EINVAL', { field: 'handle', reason: `${handle} is not a handle of this file` });
    }
    const known = this.#byObject.get(gem.id)!;
    if (--known.count === 0) {
      this.#byObject.delete(gem.id);
      this.#gemClosed(gem);
    } else if (known.first === handle) known.first = this.#anotherHandle(gem);
    gem.handles--;
    gem.put();
  }

  /** Handles held. */
  get handles(): number {
    return this.#handles.size;
  }

  /** The distinct objects this file has handles to. */
  objects(): GemObject[] {
    return Array.from(this.#byObject.values(), ({ gem }) => gem);
  }

  /** What mmap takes for this object. */
  mmapOffset(gem: GemObject): bigint {
    return BigInt(gem.mmapOffset);
  }

  /**
   * The object that mmap(length, offset) means; no reference is taken.
   * @throws AccelError ENODEV, EINVAL when no object starts there or it is shorter, EACCES when it is not of this file
   */
  mmapTarget(offset: bigint, length: number): GemObject {
    const call = 'mmap';
    if (this.device.unplugged)
      throw new AccelError('ENODEV', { call, reason: `${this.device.name} is gone` });
    const gem = this.device.offsets.find(Number(offset));
    if (gem === undefined) {
      throw new AccelError('EINVAL', {
        call,
        field: 'offset',
        reason: `no buffer at 0x${offset.toString(16)}`,
      });
    }
    if (!this.#byObject.has(gem.id)) {
      throw new AccelError('EACCES', { call, field: 'offset', reason: 'the buffer is not of this file' });
    }
    if (!(length > 0) || length > gem.size) {
      throw new AccelError('EINVAL', {
        call,
        field: 'length',
        reason: `${length} bytes, the buffer has ${gem.size}`,
      });
    }
    return gem;
  }

  /** The buffer of a dma-buf descriptor of the process; no reference is taken. @throws AccelError EBADF, EINVAL */
  dmaBuf(fd: number): GemObject {
    return gemOf(this.process.fds.get(fd));
  }

  /** A handle for `syncobj`, whose reference becomes the table's. @throws AccelError ENOSPC */
  addSyncobj(syncobj: Syncobj): number {
    this.#alive();
    const handle = this.syncobjs.add(syncobj);
    if (handle === undefined)
      throw new AccelError('ENOSPC', { field: 'handle', reason: 'no handle is free' });
    return handle;
  }

  /** No reference is taken. @throws AccelError ENOENT */
  lookupSyncobj(handle: number): Syncobj {
    const syncobj = this.syncobjs.get(handle);
    if (syncobj === undefined) {
      throw new AccelError('ENOENT', { field: 'handle', reason: `${handle} is not a syncobj of this file` });
    }
    return syncobj;
  }

  /** @throws AccelError EINVAL for a handle this file does not have */
  removeSyncobj(handle: number): void {
    const syncobj = this.syncobjs.remove(handle);
    if (syncobj === undefined) {
      throw new AccelError('EINVAL', { field: 'handle', reason: `${handle} is not a syncobj of this file` });
    }
    syncobj.put();
  }

  /** copy_from_user. The bytes may be a view of the client's memory: copy what must not change. @throws AccelError EFAULT */
  async readUser(pointer: bigint, bytes: number): Promise<Uint8Array> {
    return this.process.user.read(pointer, bytes);
  }

  /** copy_to_user. @throws AccelError EFAULT */
  async writeUser(pointer: bigint, bytes: Uint8Array): Promise<void> {
    await this.process.user.write(pointer, bytes);
  }

  /** This client's busy time on `engine`, created on first use. */
  busy(engine: string): BusyTime {
    let time = this.#busy.get(engine);
    if (time === undefined) this.#busy.set(engine, (time = new BusyTime()));
    return time;
  }

  /** Busy times by engine. */
  get busyTimes(): ReadonlyMap<string, BusyTime> {
    return this.#busy;
  }

  /** For the scheduler: an entity that close waits for. */
  addEntity(entity: FileEntity): Disposable {
    this.#entities.add(entity);
    return { [Symbol.dispose]: () => void this.#entities.delete(entity) };
  }

  /**
   * close(2): queued jobs are waited for, 1 s at most and not at all after a kill, then killed; handles and events are
   * dropped; the driver's close runs. Calls that still run keep the file until they return, as in the kernel. Idempotent.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.process.killed && [...this.#entities].some((entity) => !entity.idle)) await this.#flush();
    this.release();
  }

  /** For the client's side: a call begins. Each wants one endCall. */
  beginCall(): void {
    this.#calls++;
  }

  /** For the client's side: a call has returned. The last one on a closed file ends it. */
  endCall(): void {
    if (--this.#calls === 0 && this.#closed) this.release();
  }

  /** The end of close, when no call runs any more; a kill does not wait for them. Idempotent. */
  release(): void {
    this.#closed = true;
    if (this.#released || (this.#calls > 0 && !this.process.killed)) return;
    this.#released = true;
    this.device.removeFile(this);
    this.events.end('EBADF');
    for (const entity of this.#entities) entity.kill();
    this.#entities.clear();
    for (const syncobj of this.syncobjs.clear()) syncobj.put();
    for (const gem of this.#handles.clear()) {
      gem.handles--;
      if (this.#byObject.delete(gem.id)) this.#gemClosed(gem);
      gem.put();
    }
    this.device.guard(() => this.device.driver.close(this.own, this));
  }

  async #flush(): Promise<void> {
    const { clock } = this.device;
    await new Promise<void>((resolve) => {
      const timer = clock.after(CLOSE_WAIT_NS, resolve);
      const killed = this.process.onKill(resolve);
      void Promise.all([...this.#entities].map((entity) => entity.flush())).then(() => {
        timer[Symbol.dispose]();
        killed[Symbol.dispose]();
        resolve();
      });
    });
  }

  #gemClosed(gem: GemObject): void {
    this.device.guard(() => this.device.driver.gemClose?.(this, gem));
  }

  /** A call that outlived its process must not leave anything in tables that have been cleared. */
  #alive(): void {
    if (this.#released) throw new AccelError('EBADF', { reason: 'the file is gone' });
  }

  /** Linear: only when the handle that PRIME answers with is closed before another one to the same object. */
  #anotherHandle(gem: GemObject): number {
    for (const [handle, other] of this.#handles.entries()) if (other === gem) return handle;
    throw new Error('a counted handle is missing');
  }
}
