// The generic calls every accel node answers. Core fact sheet section 3.
// Not the dispatcher (ioctl.ts) and not syncobjs (syncobj-ioctls.ts).
import * as drm from '../abi/drm.js';
import { DRM_TYPE, io, type Ioctl } from '../abi/ioctl.js';
import { AccelError } from '../base/errors.js';
import { on, type IoctlEntry, type IoctlHandler, type Permission } from './driver.js';
import type { AnyFile } from './ioctl.js';
import { DmaBuf } from './prime.js';
import { dumbIoctls } from './dumb-ioctls.js';
import { syncobjIoctls } from './syncobj-ioctls.js';

/* eslint-disable @typescript-eslint/no-explicit-any -- these calls work on files of every driver */
export type CoreEntry = IoctlEntry<any, any>;
export type CoreHandler<V extends object> = IoctlHandler<any, any, V>;
/* eslint-enable @typescript-eslint/no-explicit-any */

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0) & 0xff);
}

/** A call that exists and always fails. */
function refused(
  def: Ioctl,
  code: 'EOPNOTSUPP' | 'EACCES',
  reason: string,
  permission?: Permission,
): CoreEntry {
  const handler = (): never => {
    throw new AccelError(code, { reason });
  };
  return on<unknown, unknown, object>(def, handler, permission);
}

/** Copies min(len, length) bytes without NUL, then reports the real length. A null pointer only asks for it. */
async function copyField(file: AnyFile, text: string, pointer: bigint, length: bigint): Promise<bigint> {
  const bytes = ascii(text);
  const count = length < BigInt(bytes.length) ? Number(length) : bytes.length;
  if (count > 0 && pointer !== 0n) await file.writeUser(pointer, bytes.subarray(0, count));
  return BigInt(bytes.length);
}

const version: CoreHandler<Fields<typeof drm.DrmVersion>> = async (file, args) => {
  const { driver } = file.device;
  args.version_major = driver.version.major;
  args.version_minor = driver.version.minor;
  args.version_patchlevel = driver.version.patch;
  args.name_len = await copyField(file, driver.name, args.name, args.name_len);
  args.date_len = await copyField(file, driver.date, args.date, args.date_len);
  args.desc_len = await copyField(file, driver.description, args.desc, args.desc_len);
  return undefined;
};

const getClient: CoreHandler<Fields<typeof drm.DrmClient>> = (file, { idx }) => {
  if (idx !== 0) throw new AccelError('EINVAL', { field: 'idx', reason: `${idx}; only 0, the caller` });
  const { admin, pid, uid } = file.process;
  return { auth: admin ? 1 : 0, pid: BigInt(pid), uid: BigInt(uid), magic: 0n, iocs: 0n };
};

const getCap: CoreHandler<Fields<typeof drm.DrmGetCap>> = (file, args) => {
  const { features } = file.device.driver;
  args.value = 0n;
  switch (args.capability) {
    case drm.DRM_CAP_PRIME:
      return { value: drm.DRM_PRIME_CAP_IMPORT | drm.DRM_PRIME_CAP_EXPORT };
    case drm.DRM_CAP_TIMESTAMP_MONOTONIC:
      return { value: 1n };
    case drm.DRM_CAP_SYNCOBJ:
      return { value: features.syncobj ? 1n : 0n };
    case drm.DRM_CAP_SYNCOBJ_TIMELINE:
      return { value: features.syncobjTimeline ? 1n : 0n };
    default: {
      const reason = `0x${args.capability.toString(16)} is of mode setting, or unknown`;
      throw new AccelError('EOPNOTSUPP', { field: 'capability', reason });
    }
  }
};

function needGem(file: AnyFile): void {
  if (!file.device.driver.features.gem) {
    throw new AccelError('EOPNOTSUPP', { reason: `${file.device.driver.name} has no GEM objects` });
  }
}

const gemClose: CoreHandler<Fields<typeof drm.DrmGemClose>> = (file, { handle }) => {
  needGem(file);
  file.closeHandle(handle);
  return undefined;
};

const handleToFd: CoreHandler<Fields<typeof drm.DrmPrimeHandle>> = (file, { handle, flags }) => {
  needGem(file);
  if ((flags & ~(drm.DRM_CLOEXEC | drm.DRM_RDWR)) !== 0) {
    throw new AccelError('EINVAL', {
      field: 'flags',
      reason: `0x${flags.toString(16)}; only CLOEXEC and RDWR`,
    });
  }
  return { fd: file.process.fds.install(DmaBuf.of(file.lookup(handle), file.device.clock), flags) };
};

const fdToHandle: CoreHandler<Fields<typeof drm.DrmPrimeHandle>> = async (file, { fd }) => {
  needGem(file);
  await file.process.fds.fetch([fd]);
  const gem = file.dmaBuf(fd);
  return { handle: file.handleOf(gem) ?? file.createHandle(gem) };
};

type Fields<S> = S extends { from(bytes: Uint8Array): infer V extends object } ? V : never;

const noMaster = 'an accel client is never master';

/** By number in the kernel's order. */
export const coreIoctls: readonly CoreEntry[] = [
  on(drm.DRM_IOCTL_VERSION, version),
  on(drm.DRM_IOCTL_GET_UNIQUE, () => ({ unique_len: 0n })),
  refused(drm.DRM_IOCTL_GET_MAGIC, 'EACCES', 'magics belong to a master, accel has none'),
  on(drm.DRM_IOCTL_GET_CLIENT, getClient),
  on(drm.DRM_IOCTL_GET_STATS, () => drm.DrmStats.zero()),
  refused(drm.DRM_IOCTL_SET_VERSION, 'EACCES', noMaster, 'master'),
  on(drm.DRM_IOCTL_GEM_CLOSE, gemClose),
  refused(drm.DRM_IOCTL_GEM_FLINK, 'EOPNOTSUPP', 'global names are left out: use PRIME', 'auth'),
  refused(drm.DRM_IOCTL_GEM_OPEN, 'EOPNOTSUPP', 'global names are left out: use PRIME', 'auth'),
  on(drm.DRM_IOCTL_GET_CAP, getCap),
  refused(drm.DRM_IOCTL_SET_CLIENT_CAP, 'EOPNOTSUPP', 'client capabilities are of mode setting'),
  refused(drm.DRM_IOCTL_AUTH_MAGIC, 'EACCES', noMaster, 'master'),
  refused(drm.DRM_IOCTL_SET_MASTER, 'EACCES', noMaster, 'master'),
  refused(drm.DRM_IOCTL_DROP_MASTER, 'EACCES', noMaster, 'master'),
  on(drm.DRM_IOCTL_PRIME_HANDLE_TO_FD, handleToFd),
  on(drm.DRM_IOCTL_PRIME_FD_TO_HANDLE, fdToHandle),
  ...syncobjIoctls,
  ...dumbIoctls,
  ...drm.MODESET_NRS.map((nr) =>
    refused(io(`DRM_IOCTL 0x${nr.toString(16)}`, DRM_TYPE, nr), 'EOPNOTSUPP', 'no mode setting here'),
  ),
];
