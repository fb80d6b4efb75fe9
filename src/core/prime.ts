// dma-bufs: a buffer as a descriptor, so that it can go to another file, device or process. DRM's PRIME.
// Not a copy: the descriptor holds the GEM object itself.
import {
  DMA_BUF_IOCTL_EXPORT_SYNC_FILE,
  DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
  DMA_BUF_IOCTL_SYNC,
  DMA_BUF_SYNC_END,
  DMA_BUF_SYNC_RW,
  DMA_BUF_SYNC_WRITE,
  type DmaBufExportSyncFile,
  type DmaBufImportSyncFile,
  type DmaBufSync,
} from '../abi/sync-file.js';
import type { Clock } from '../base/clock.js';
import { AccelError } from '../base/errors.js';
import type { StructValue } from '../base/struct.js';
import { POLLIN, POLLOUT, type AbortSignalLike } from './accel-file.js';
import { fdDispatch, onFd, type FdEntry, type FdHandler } from './fd-ioctl.js';
import { OpenFile } from './fd-table.js';
import { mergeFences, unwrap } from './fence-array.js';
import { Fence } from './fence.js';
import type { GemObject } from './gem.js';
import type { Process } from './process.js';
import { SyncFile, syncFileOf } from './sync-file.js';

type Fields<S extends { fields: object }> = StructValue<S['fields']>;

/** The dma-buf of a GEM object. One per object for its whole life, however often it is exported. */
export class DmaBuf extends OpenFile {
  readonly kind = 'dmabuf';
  readonly gem: GemObject;
  readonly clock: Clock;

  private constructor(gem: GemObject, clock: Clock) {
    super();
    this.gem = gem;
    this.clock = clock;
  }

  /** The dma-buf of `gem`, made on first use. */
  static of(gem: GemObject, clock: Clock): DmaBuf {
    return (gem.dmaBuf ??= new DmaBuf(gem, clock)) as DmaBuf;
  }

  override get(): this {
    if (this.references === 0) this.gem.get();
    return super.get();
  }

  /** POLLIN when it may be read: nobody writes it. POLLOUT when it may be written: nobody uses it. */
  override poll(): number {
    const { reservation } = this.gem;
    return (
      (reservation.fences('read').length === 0 ? POLLIN : 0) |
      (reservation.fences('write').length === 0 ? POLLOUT : 0)
    );
  }

  override async ready(events: number, signal?: AbortSignalLike): Promise<number> {
    for (;;) {
      const bits = this.poll() & events;
      if (bits !== 0) return bits;
      const fences = this.gem.reservation.fences((events & POLLIN) === 0 ? 'write' : 'read');
      if (fences.length === 0) return super.ready(events, signal);
      await fences[0]!.wait(signal);
    }
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
    this.gem.put();
  }
}

/** The buffer behind a descriptor's file. @throws AccelError EINVAL when it is not a dma-buf */
export function gemOf(file: OpenFile): GemObject {
  if (file instanceof DmaBuf) return file.gem;
  throw new AccelError('EINVAL', { field: 'fd', reason: `a ${file.kind}, not a dma-buf` });
}

/** @throws AccelError EINVAL unless at least one of read and write is asked for, and nothing unknown */
function accessOf(flags: number, known = DMA_BUF_SYNC_RW): 'read' | 'write' {
  if ((flags & ~known) !== 0 || (flags & DMA_BUF_SYNC_RW) === 0) {
    throw new AccelError('EINVAL', { field: 'flags', reason: `0x${flags.toString(16)}` });
  }
  return (flags & DMA_BUF_SYNC_WRITE) === 0 ? 'read' : 'write';
}

/** Begin of CPU access waits for the implicit fences; its end has nothing to do on coherent memory. */
const sync: FdHandler<DmaBuf, Fields<typeof DmaBufSync>> = async ({ gem }, { flags }, _, signal) => {
  if (flags > 0xffffffffn)
    throw new AccelError('EINVAL', { field: 'flags', reason: `0x${flags.toString(16)}` });
  const access = accessOf(Number(flags), DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END);
  if ((Number(flags) & DMA_BUF_SYNC_END) !== 0) return undefined;
  for (const fence of gem.reservation.fences(access)) await fence.wait(signal);
  return undefined;
};

const exportSyncFile: FdHandler<DmaBuf, Fields<typeof DmaBufExportSyncFile>> = (file, { flags }, process) => {
  const fences = file.gem.reservation.fences(accessOf(flags));
  const fence = fences.length === 0 ? Fence.signalled(file.clock.now()) : mergeFences(...fences);
  return { fd: process.fds.install(new SyncFile(fence)) };
};

const importSyncFile: FdHandler<DmaBuf, Fields<typeof DmaBufImportSyncFile>> = async (
  { gem },
  args,
  process,
) => {
  const access = accessOf(args.flags);
  await process.fds.fetch([args.fd]);
  if (!process.fds.has(args.fd))
    throw new AccelError('EINVAL', { field: 'fd', reason: `${args.fd} is not open` });
  const { fence } = syncFileOf(process.fds.get(args.fd), 'EINVAL');
  for (const part of unwrap(fence)) gem.reservation.add(part, access);
  return undefined;
};

const table: readonly FdEntry<DmaBuf>[] = [
  onFd(DMA_BUF_IOCTL_SYNC, sync),
  onFd(DMA_BUF_IOCTL_EXPORT_SYNC_FILE, exportSyncFile),
  onFd(DMA_BUF_IOCTL_IMPORT_SYNC_FILE, importSyncFile),
];
