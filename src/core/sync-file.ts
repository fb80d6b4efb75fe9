// sync_files: a descriptor over one fence, to pass, merge, poll and inspect. Core fact sheet section 6.
// Not a syncobj: what it holds never changes.
import {
  SyncFenceInfo,
  SYNC_IOC_FILE_INFO,
  SYNC_IOC_MERGE,
  SYNC_IOC_SET_DEADLINE,
  type SyncFileInfo,
  type SyncMergeData,
  type SyncSetDeadline,
} from '../abi/sync-file.js';
import { AccelError, errno } from '../base/errors.js';
import type { StructValue } from '../base/struct.js';
import { POLLIN, type AbortSignalLike } from './accel-file.js';
import { fdDispatch, onFd, type FdEntry, type FdHandler } from './fd-ioctl.js';
import { OpenFile } from './fd-table.js';
import { mergeFences, unwrap } from './fence-array.js';
import type { Fence } from './fence.js';
import type { Process } from './process.js';

type Fields<S extends { fields: object }> = StructValue<S['fields']>;

/** As dma_fence_get_status: 0 active, 1 signalled, negative errno. */
export function fenceStatus(fence: Fence): number {
  if (!fence.signalled) return 0;
  return fence.error === undefined ? 1 : -errno[fence.error];
}

export class SyncFile extends OpenFile {
  readonly kind = 'sync_file';
  readonly fence: Fence;
  /** As FILE_INFO shows it: what MERGE was given, else made of the fence. At most 31 characters are shown. */
  readonly name: string;

  constructor(fence: Fence, name?: string) {
    super();
    this.fence = fence;
    const { driverName, timelineName, context, seqno } = fence;
    this.name = name ?? `${driverName}-${timelineName}${context.id}-${seqno}`;
  }

  override poll(): number {
    return this.fence.signalled ? POLLIN : 0;
  }

  override async ready(events: number, signal?: AbortSignalLike): Promise<number> {
    if ((events & POLLIN) === 0) return super.ready(events, signal);
    await this.fence.wait(signal);
    return POLLIN;
  }

  override ioctl(
    process: Process,
    request: number,
    argument: Uint8Array | undefined,
    signal?: AbortSignalLike,
  ): number | Promise<number> {
    return fdDispatch(table, this, request, argument, process, signal);
  }

  protected release(): void {
    // Fences are collected when nobody refers to them.
  }
}

/** @throws AccelError `code` when it is not a sync_file */
export function syncFileOf(file: OpenFile, code: 'EINVAL' | 'ENOENT'): SyncFile {
  if (file instanceof SyncFile) return file;
  throw new AccelError(code, { field: 'fd', reason: `a ${file.kind}, not a sync_file` });
}

function noFlags({ flags, pad }: { readonly flags: number; readonly pad: number }): void {
  if (flags !== 0) throw new AccelError('EINVAL', { field: 'flags', reason: `${flags}, must be 0` });
  if (pad !== 0) throw new AccelError('EINVAL', { field: 'pad', reason: `${pad}, must be 0` });
}

const merge: FdHandler<SyncFile, Fields<typeof SyncMergeData>> = async (file, args, process) => {
  noFlags(args);
  const { fds } = process;
  await fds.fetch([args.fd2]);
  if (!fds.has(args.fd2)) throw new AccelError('ENOENT', { field: 'fd2', reason: `${args.fd2} is not open` });
  const other = syncFileOf(fds.get(args.fd2), 'ENOENT');
  const merged = new SyncFile(mergeFences(file.fence, other.fence), args.name.slice(0, 31));
  return { fence: fds.install(merged) };
};

const fileInfo: FdHandler<SyncFile, Fields<typeof SyncFileInfo>> = async (file, args, process) => {
  noFlags(args);
  const fences = unwrap(file.fence);
  const name = file.name.slice(0, 31);
  if (args.num_fences === 0) return { name, status: fenceStatus(file.fence), num_fences: fences.length };
  if (args.num_fences < fences.length) {
    const reason = `room for ${args.num_fences}, there are ${fences.length}`;
    throw new AccelError('EINVAL', { field: 'num_fences', reason });
  }
  let status = 1;
  const infos = new Uint8Array(fences.length * SyncFenceInfo.size);
  for (const [i, fence] of fences.entries()) {
    const own = fenceStatus(fence);
    if (status > 0) status = own;
    SyncFenceInfo.put(
      infos,
      {
        obj_name: fence.timelineName.slice(0, 31),
        driver_name: fence.driverName.slice(0, 31),
        status: own,
        timestamp_ns: BigInt(Math.floor(fence.timestamp)),
      },
      i * SyncFenceInfo.size,
    );
  }
  await process.user.write(args.sync_fence_info, infos);
  return { name, status, num_fences: fences.length };
};

/** A hint, which no scheduler here takes: jobs run in the order of their queues. */
const setDeadline: FdHandler<SyncFile, Fields<typeof SyncSetDeadline>> = (_, { pad }) => {
  if (pad !== 0n) throw new AccelError('EINVAL', { field: 'pad', reason: `${pad}, must be 0` });
  return undefined;
};

const table: readonly FdEntry<SyncFile>[] = [
  onFd(SYNC_IOC_MERGE, merge),
  onFd(SYNC_IOC_FILE_INFO, fileInfo),
  onFd(SYNC_IOC_SET_DEADLINE, setDeadline),
];
