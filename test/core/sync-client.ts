// A client of syncobjs, sync_files and sw_sync: the calls as functions, as libdrm has them.
// Not a second implementation: every function is one ioctl on an open file of the test system.
import * as drm from '../../src/abi/drm.js';
import type { Ioctl } from '../../src/abi/ioctl.js';
import * as sync from '../../src/abi/sync-file.js';
import { errno, type AccelError } from '../../src/base/errors.js';
import { POLLIN, Process, type AbortSignalLike, type LocalFile } from '../../src/core/index.js';
import { call, system, type TestSystem } from './system.js';

export const ALL = drm.DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL;
export const FOR_SUBMIT = drm.DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT;
export const AVAILABLE = drm.DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE;
/** Nanoseconds: what "a short time" is. */
export const SHORT = 100_000_000;

const u32s = (values: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
const u64s = (values: readonly bigint[]): Uint8Array => new Uint8Array(BigUint64Array.from(values).buffer);

export interface WaitOptions {
  readonly points?: readonly bigint[];
  readonly flags?: number;
  /** Nanoseconds from now; 0: poll once. */
  readonly within?: number;
  readonly signal?: AbortSignalLike;
}

export class SyncClient {
  readonly system: TestSystem;
  readonly process = new Process({ name: 'client' });
  readonly file: LocalFile;

  constructor(on: TestSystem = system()) {
    this.system = on;
    this.file = on.open(this.process);
  }

  place(bytes: Uint8Array): bigint {
    return this.file.user.place(bytes).pointer;
  }

  async create(flags = 0): Promise<number> {
    return (await call(this.file, drm.DRM_IOCTL_SYNCOBJ_CREATE, { flags })).handle;
  }

  async createMany(count: number, flags = 0): Promise<number[]> {
    const handles: number[] = [];
    while (handles.length < count) handles.push(await this.create(flags));
    return handles;
  }

  async destroy(handle: number): Promise<void> {
    await call(this.file, drm.DRM_IOCTL_SYNCOBJ_DESTROY, { handle });
  }

  async toFd(handle: number, flags = 0, point = 0n): Promise<number> {
    return (await call(this.file, drm.DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, { handle, flags, point })).fd;
  }

  async toHandle(fd: number): Promise<number> {
    return (await call(this.file, drm.DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, { fd })).handle;
  }

  async importSyncFile(handle: number, fd: number, point = 0n): Promise<void> {
    const flags = drm.DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE | (point === 0n ? 0 : 2);
    await call(this.file, drm.DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, { handle, fd, flags, point });
  }

  async reset(...handles: number[]): Promise<void> {
    const fields = { handles: this.place(u32s(handles)), count_handles: handles.length };
    await call(this.file, drm.DRM_IOCTL_SYNCOBJ_RESET, fields);
  }

  async signal(...handles: number[]): Promise<void> {
    const fields = { handles: this.place(u32s(handles)), count_handles: handles.length };
    await call(this.file, drm.DRM_IOCTL_SYNCOBJ_SIGNAL, fields);
  }

  #timeout(within: number): bigint {
    return within === 0 ? 0n : BigInt(this.system.clock.now() + within);
  }

  /** SYNCOBJ_WAIT, or with points TIMELINE_WAIT. Resolves to first_signaled. */
  async wait(
    handles: readonly number[],
    { points, flags = 0, within = 0, signal }: WaitOptions = {},
  ): Promise<number> {
    const common = {
      handles: this.place(u32s(handles)),
      count_handles: handles.length,
      timeout_nsec: this.#timeout(within),
      flags,
    };
    if (points === undefined) {
      return (await call(this.file, drm.DRM_IOCTL_SYNCOBJ_WAIT, common, signal)).first_signaled;
    }
    const fields = { ...common, points: this.place(u64s(points)) };
    return (await call(this.file, drm.DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, fields, signal)).first_signaled;
  }

  /** 0, or the errno with a minus sign, as libdrm's wrappers return it. */
  async waitError(handles: readonly number[], options?: WaitOptions): Promise<string> {
    return outcome(this.wait(handles, options));
  }

  async timelineSignal(handle: number, point: bigint): Promise<void> {
    await call(this.file, drm.DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, {
      handles: this.place(u32s([handle])),
      points: this.place(u64s([point])),
      count_handles: 1,
    });
  }

  async query(handle: number, flags = 0): Promise<bigint> {
    const value = new BigUint64Array(1);
    await call(this.file, drm.DRM_IOCTL_SYNCOBJ_QUERY, {
      handles: this.place(u32s([handle])),
      points: this.place(new Uint8Array(value.buffer)),
      count_handles: 1,
      flags,
    });
    return value[0]!;
  }

  async transfer(
    dst_handle: number,
    dst_point: bigint,
    src_handle: number,
    src_point: bigint,
    flags = 0,
  ): Promise<void> {
    await call(this.file, drm.DRM_IOCTL_SYNCOBJ_TRANSFER, {
      dst_handle,
      dst_point,
      src_handle,
      src_point,
      flags,
    });
  }

  /** A call with an array of one handle, 0 by default, and other fields as given. */
  async withHandle(def: Ioctl, fields: object, handle = 0): Promise<void> {
    const handles = this.place(u32s([handle]));
    await call(this.file, def as Ioctl<Record<string, unknown>>, { handles, count_handles: 1, ...fields });
  }

  /** A call on an array of handles. */
  async withHandles(def: Ioctl, handles: readonly number[], fields: object = {}): Promise<void> {
    await call(this.file, def as Ioctl<Record<string, unknown>>, {
      handles: this.place(u32s(handles)),
      count_handles: handles.length,
      ...fields,
    });
  }

  /** open of sw_sync. */
  timeline(): number {
    return this.system.core.openSwSync(this.process);
  }

  /** A sync_file that signals when the timeline reaches `value`. */
  async fence(timeline: number, value: number): Promise<number> {
    return (await this.fdCall(timeline, sync.SW_SYNC_IOC_CREATE_FENCE, { value })).fence;
  }

  async inc(timeline: number, value = 1): Promise<void> {
    await this.fdCall(timeline, sync.SW_SYNC_IOC_INC, { value });
  }

  async merge(a: number, b: number, name = 'merged'): Promise<number> {
    return (await this.fdCall(a, sync.SYNC_IOC_MERGE, { name, fd2: b })).fence;
  }

  /** Fences of a sync_file by state. */
  async count(fd: number): Promise<{ active: number; signaled: number; error: number }> {
    const { num_fences } = await this.fdCall(fd, sync.SYNC_IOC_FILE_INFO, {});
    const infos = new Uint8Array(num_fences * sync.SyncFenceInfo.size);
    await this.fdCall(fd, sync.SYNC_IOC_FILE_INFO, { num_fences, sync_fence_info: this.place(infos) });
    const count = { active: 0, signaled: 0, error: 0 };
    for (let i = 0; i < num_fences; i++) {
      const { status } = sync.SyncFenceInfo.from(infos, i * sync.SyncFenceInfo.size);
      if (status === 0) count.active++;
      else if (status > 0) count.signaled++;
      else count.error++;
    }
    return count;
  }

  async status(fd: number): Promise<number> {
    return (await this.fdCall(fd, sync.SYNC_IOC_FILE_INFO, {})).status;
  }

  async signalled(fd: number): Promise<boolean> {
    return (await this.file.pollFd(fd)) === POLLIN;
  }

  async close(fd: number): Promise<void> {
    await this.file.closeFd(fd);
  }

  async fdCall<V extends object>(fd: number, def: Ioctl<V>, fields: Partial<V>): Promise<V> {
    const bytes = def.layout!.bytes(fields);
    await this.file.ioctlFd(fd, def.request, bytes);
    return def.layout!.from(bytes);
  }

  /** Gives a syncobj a fence that signals when the returned timeline moves by 1. */
  async attach(handle: number, point = 0n): Promise<number> {
    const timeline = this.timeline();
    const fence = await this.fence(timeline, 1);
    if (point === 0n) await this.importSyncFile(handle, fence);
    else {
      const binary = await this.create();
      await this.importSyncFile(binary, fence);
      await this.transfer(handle, point, binary, 0n);
      await this.destroy(binary);
    }
    await this.close(fence);
    return timeline;
  }

  /** Gives it a fence that has signalled. */
  async trigger(handle: number, point = 0n): Promise<void> {
    const timeline = await this.attach(handle, point);
    await this.inc(timeline);
    await this.close(timeline);
  }

  /** Moves the clock and lets everything run. */
  async pass(ns: number): Promise<void> {
    this.system.clock.advance(ns);
    await this.system.clock.settle();
  }
}

/** `ok` or the errno's name. */
export async function outcome(action: Promise<unknown>): Promise<string> {
  try {
    await action;
    return 'ok';
  } catch (error) {
    const { code } = error as AccelError;
    if (!(code in errno)) throw error;
    return code;
  }
}
