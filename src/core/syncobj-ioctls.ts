// The syncobj calls: arguments, errno and their order as the kernel checks them. Core fact sheet section 5.
// Not what a syncobj is (syncobj.ts) nor how waiting works (syncobj-wait.ts).
import * as drm from '../abi/drm.js';
import type { Ioctl } from '../abi/ioctl.js';
import { AccelError } from '../base/errors.js';
import { on, type IoctlEntry, type IoctlHandler } from './driver.js';
import { eventFdOf } from './event-fd.js';
import { mergeFences } from './fence-array.js';
import { Fence } from './fence.js';
import type { AnyFile } from './ioctl.js';
import { SyncFile, syncFileOf } from './sync-file.js';
import { findFence, waitSyncobjs } from './syncobj-wait.js';
import { Syncobj, SyncobjFile, syncobjOf } from './syncobj.js';

/* eslint-disable @typescript-eslint/no-explicit-any -- these calls work on files of every driver */
type Entry = IoctlEntry<any, any>;
type Handler<V extends object> = IoctlHandler<any, any, V>;
/* eslint-enable @typescript-eslint/no-explicit-any */
type Fields<S> = S extends { from(bytes: Uint8Array): infer V extends object } ? V : never;

/** How long TRANSFER waits for a point to be submitted (DRM_SYNCOBJ_WAIT_FOR_SUBMIT_TIMEOUT). */
const SUBMIT_WAIT_NS = 5e9;

function wrong(field: string, reason: string): AccelError {
  return new AccelError('EINVAL', { field, reason });
}

function noPad(pad: number): void {
  if (pad !== 0) throw wrong('pad', `${pad}, must be 0`);
}

function onlyFlags(flags: number, known: number): void {
  if ((flags & ~known) !== 0)
    throw wrong('flags', `0x${flags.toString(16)}; known are 0x${known.toString(16)}`);
}

function signalled(file: AnyFile): Fence {
  return Fence.signalled(file.device.clock.now());
}

/** The syncobjs of an array of handles: all of them, or none. @throws AccelError EFAULT, ENOENT */
async function findAll(file: AnyFile, handles: bigint, count: number): Promise<Syncobj[]> {
  const bytes = await file.readUser(handles, count * 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, i) => file.lookupSyncobj(view.getUint32(i * 4, true)));
}

/** Points of an array, one for each handle; all 0 for a null pointer. @throws AccelError EFAULT */
async function readPoints(file: AnyFile, points: bigint, count: number): Promise<bigint[]> {
  if (points === 0n) return new Array<bigint>(count).fill(0n);
  const bytes = await file.readUser(points, count * 8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, i) => view.getBigUint64(i * 8, true));
}

const create: Handler<Fields<typeof drm.DrmSyncobjCreate>> = (file, { flags }) => {
  onlyFlags(flags, drm.DRM_SYNCOBJ_CREATE_SIGNALED);
  const syncobj = new Syncobj(flags === 0 ? undefined : signalled(file));
  return { handle: file.addSyncobj(syncobj) };
};

const destroy: Handler<Fields<typeof drm.DrmSyncobjDestroy>> = (file, { handle, pad }) => {
  noPad(pad);
  file.removeSyncobj(handle);
  return undefined;
};

const handleToFd: Handler<Fields<typeof drm.DrmSyncobjHandle>> = async (file, args) => {
  const { handle, flags, pad, point } = args;
  const { DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE: exportFile } = drm;
  const { DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_TIMELINE: timeline } = drm;
  noPad(pad);
  onlyFlags(flags, exportFile | timeline);
  if (point !== 0n && flags !== (exportFile | timeline))
    throw wrong('point', `${point} without TIMELINE export`);
  const { fds } = file.process;
  if ((flags & exportFile) !== 0) {
    const syncobj = file.lookupSyncobj(handle);
    const fence = (await findFence(syncobj, point, 0, file.device.clock)) ?? signalled(file);
    return { fd: fds.install(new SyncFile(fence)) };
  }
  const syncobj = file.syncobjs.get(handle);
  if (syncobj === undefined) throw wrong('handle', `${handle} is not a syncobj of this file`);
  return { fd: fds.install(new SyncobjFile(syncobj)) };
};

const fdToHandle: Handler<Fields<typeof drm.DrmSyncobjHandle>> = async (
  file,
  { handle, flags, fd, pad, point },
) => {
  const { DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE: importFile } = drm;
  const { DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_TIMELINE: timeline } = drm;
  noPad(pad);
  onlyFlags(flags, importFile | timeline);
  if (point !== 0n && flags !== (importFile | timeline))
    throw wrong('point', `${point} without TIMELINE import`);
  const { fds } = file.process;
  await fds.fetch([fd]);
  if (!fds.has(fd)) throw wrong('fd', `${fd} is not open`);
  if ((flags & importFile) === 0) return { handle: file.addSyncobj(syncobjOf(fds.get(fd)).get()) };
  const { fence } = syncFileOf(fds.get(fd), 'EINVAL');
  const syncobj = file.lookupSyncobj(handle);
  if (point === 0n) syncobj.replace(fence);
  else syncobj.addPoint(point, mergeFences(fence));
  return undefined;
};

const reset: Handler<Fields<typeof drm.DrmSyncobjArray>> = async (file, { handles, count_handles, pad }) => {
  noPad(pad);
  if (count_handles === 0) throw wrong('count_handles', '0');
  for (const syncobj of await findAll(file, handles, count_handles)) syncobj.replace(undefined);
  return undefined;
};

const signal: Handler<Fields<typeof drm.DrmSyncobjArray>> = async (file, { handles, count_handles, pad }) => {
  noPad(pad);
  if (count_handles === 0) throw wrong('count_handles', '0');
  for (const syncobj of await findAll(file, handles, count_handles)) syncobj.replace(signalled(file));
  return undefined;
};

const WAIT_FLAGS =
  drm.DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL |
  drm.DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT |
  drm.DRM_SYNCOBJ_WAIT_FLAGS_WAIT_DEADLINE;

const wait: Handler<Fields<typeof drm.DrmSyncobjWait>> = async (file, args, interrupt) => {
  const { handles, count_handles, flags, timeout_nsec } = args;
  onlyFlags(flags, WAIT_FLAGS);
  if (count_handles === 0) return undefined;
  const syncobjs = await findAll(file, handles, count_handles);
  const { clock } = file.device;
  return {
    first_signaled: await waitSyncobjs({ syncobjs, flags, timeout: timeout_nsec, clock, signal: interrupt }),
  };
};

const timelineWait: Handler<Fields<typeof drm.DrmSyncobjTimelineWait>> = async (file, args, interrupt) => {
  const { handles, count_handles, flags, timeout_nsec } = args;
  onlyFlags(flags, WAIT_FLAGS | drm.DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE);
  if (count_handles === 0) return undefined;
  const syncobjs = await findAll(file, handles, count_handles);
  const points = await readPoints(file, args.points, count_handles);
  const { clock } = file.device;
  return {
    first_signaled: await waitSyncobjs({
      syncobjs,
      points,
      flags,
      timeout: timeout_nsec,
      clock,
      signal: interrupt,
    }),
  };
};

const timelineSignal: Handler<Fields<typeof drm.DrmSyncobjTimelineArray>> = async (file, args) => {
  const { handles, count_handles, flags } = args;
  if (flags !== 0) throw wrong('flags', `0x${flags.toString(16)}, must be 0`);
  if (count_handles === 0) throw wrong('count_handles', '0');
  const syncobjs = await findAll(file, handles, count_handles);
  const points = await readPoints(file, args.points, count_handles);
  for (const [i, syncobj] of syncobjs.entries()) syncobj.addPoint(points[i]!, signalled(file));
  return undefined;
};

const query: Handler<Fields<typeof drm.DrmSyncobjTimelineArray>> = async (file, args) => {
  const { handles, points, count_handles, flags } = args;
  onlyFlags(flags, drm.DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED);
  if (count_handles === 0) throw wrong('count_handles', '0');
  const syncobjs = await findAll(file, handles, count_handles);
  const values = BigUint64Array.from(syncobjs, (syncobj) => syncobj.query(flags !== 0));
  await file.writeUser(points, new Uint8Array(values.buffer));
  return undefined;
};

const transfer: Handler<Fields<typeof drm.DrmSyncobjTransfer>> = async (file, args, interrupt) => {
  const { src_handle, dst_handle, src_point, dst_point, flags, pad } = args;
  noPad(pad);
  const target = file.lookupSyncobj(dst_handle);
  const source = file.lookupSyncobj(src_handle);
  onlyFlags(flags, drm.DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT);
  const patience = flags === 0 ? 0 : SUBMIT_WAIT_NS;
  const fence =
    (await findFence(source, src_point, patience, file.device.clock, interrupt)) ?? signalled(file);
  if (dst_point === 0n) target.replace(fence);
  else target.addPoint(dst_point, mergeFences(fence));
  return undefined;
};

const eventfd: Handler<Fields<typeof drm.DrmSyncobjEventfd>> = async (
  file,
  { handle, flags, point, fd, pad },
) => {
  const { DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE: available } = drm;
  onlyFlags(flags, available);
  noPad(pad);
  const syncobj = file.lookupSyncobj(handle);
  const { fds } = file.process;
  await fds.fetch([fd]);
  syncobj.notify(eventFdOf(fds.get(fd)), point, flags === available);
  return undefined;
};

/** A row that needs a feature bit: without it every call is EOPNOTSUPP, whatever its arguments. */
function row<V extends object>(
  feature: 'syncobj' | 'syncobjTimeline',
  def: Ioctl<V>,
  handler: Handler<V>,
): Entry {
  const checked: Handler<V> = (file, args, interrupt) => {
    const { driver } = file.device;
    if (!driver.features[feature]) {
      throw new AccelError('EOPNOTSUPP', { reason: `${driver.name} has no ${feature}` });
    }
    return handler(file, args, interrupt);
  };
  return on(def, checked);
}

export const syncobjIoctls: readonly Entry[] = [
  row('syncobj', drm.DRM_IOCTL_SYNCOBJ_CREATE, create),
  row('syncobj', drm.DRM_IOCTL_SYNCOBJ_DESTROY, destroy),
  row('syncobj', drm.DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, handleToFd),
  row('syncobj', drm.DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, fdToHandle),
  row('syncobj', drm.DRM_IOCTL_SYNCOBJ_WAIT, wait),
  row('syncobj', drm.DRM_IOCTL_SYNCOBJ_RESET, reset),
  row('syncobj', drm.DRM_IOCTL_SYNCOBJ_SIGNAL, signal),
  row('syncobjTimeline', drm.DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, timelineWait),
  row('syncobjTimeline', drm.DRM_IOCTL_SYNCOBJ_QUERY, query),
  row('syncobjTimeline', drm.DRM_IOCTL_SYNCOBJ_TRANSFER, transfer),
  row('syncobjTimeline', drm.DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, timelineSignal),
  row('syncobjTimeline', drm.DRM_IOCTL_SYNCOBJ_EVENTFD, eventfd),
];
