// What a driver is: an object to be read from top to bottom. The core does copying, permissions, references, fences.
// Not a base class: nothing is inherited, absent members have the meaning their comment gives.
import type { Ioctl } from '../abi/ioctl.js';
import type { AbortSignalLike } from './accel-file.js';
import type { AccelDevice } from './device.js';
import type { ClientFile } from './file.js';
import type { GemObject } from './gem.js';
import type { EngineUsage } from './usage.js';

/** Who may call. Accel clients are never master; only clients with `admin` are authenticated (CAP_SYS_ADMIN). */
export type Permission = 'any' | 'auth' | 'master' | 'root';

/**
 * Handles one call. Gets the decoded arguments (a fresh object) and returns the fields to change in it, or nothing.
 * What it writes to `args` itself is copied back too, also when it throws: the kernel copies out on errors as well.
 * Runs without interruption until its first await; a call that blocks passes `signal` on, so that it ends with EINTR.
 * Errors: AccelError.
 */
export type IoctlHandler<Hw, Own, V extends object> = (
  file: ClientFile<Hw, Own>,
  args: V,
  signal?: AbortSignalLike,
) => Partial<V> | undefined | Promise<Partial<V> | undefined>;

export interface IoctlEntry<Hw, Own> {
  readonly def: Ioctl;
  readonly permission: Permission;
  readonly handler: IoctlHandler<Hw, Own, never>;
}

/** One row of a driver's table, with its types tied together. */
export function on<Hw, Own, V extends object>(
  def: Ioctl<V>,
  handler: IoctlHandler<Hw, Own, V>,
  permission: Permission = 'any',
): IoctlEntry<Hw, Own> {
  return { def: def as Ioctl, handler: handler as IoctlHandler<Hw, Own, never>, permission };
}

export interface Features {
  /** GEM objects, handles and mmap. */
  readonly gem: boolean;
  readonly syncobj: boolean;
  readonly syncobjTimeline: boolean;
  /** CREATE_DUMB, MAP_DUMB, DESTROY_DUMB: plain buffers by the generic calls. Only test devices; default no. */
  readonly dumb?: boolean;
}

/**
 * A driver. `Hw` is its state per device, made by probe; `Own` its state per open file.
 */
export interface Driver<Hw = unknown, Own = unknown> {
  /** As VERSION reports it. */
  readonly name: string;
  readonly description: string;
  /** yyyymmdd, or "0" where the kernel driver reports none. */
  readonly date: string;
  readonly version: { readonly major: number; readonly minor: number; readonly patch: number };
  readonly features: Features;
  /** Calls numbered from 0x40 up; holes are EINVAL. */
  readonly ioctls: readonly IoctlEntry<Hw, Own>[];
  /** A file was opened: per-file state. Throwing refuses the open: EBUSY, EAGAIN, EPERM. */
  open(device: AccelDevice<Hw>, file: ClientFile<Hw, Own>): Own;
  /** The file is gone; its handles, syncobjs and events have been dropped. Jobs in flight are the driver's to end. */
  close(own: Own, file: ClientFile<Hw, Own>): void;
  /** The device is gone: every job must end (ENODEV), no register is touched any more. */
  unplug(device: AccelDevice<Hw>): void;
  /** The last handle this file had to `gem` is gone (drm_gem_object_funcs.close). Absent: nothing to undo. */
  gemClose?(file: ClientFile<Hw, Own>, gem: GemObject): void;
  /** Powers the hardware down; absent: it stays on. Called when nothing used it for `autosuspendNs`. @throws AccelError EBUSY */
  suspend?(device: AccelDevice<Hw>): void;
  /** Powers it up again and restores its state, before the next job or power.get(). @throws AccelError its jobs fail */
  resume?(device: AccelDevice<Hw>): void;
  /** Its programs open a DRM render node (DRIVER_RENDER in the posted driver): /dev/dri/renderDN is shown beside accelN. */
  readonly renderNode?: boolean;
  /** Idle time before suspend, nanoseconds. Default 50 ms. */
  readonly autosuspendNs?: number;
  /** Busy time per engine, of the device; absent: that of its schedulers. */
  usage?(device: AccelDevice<Hw>): EngineUsage[];
}
