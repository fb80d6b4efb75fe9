// The GEM calls: create, mmap offset, destroy.
// Not export: dma-buf descriptors for address lists come from DRM_IOCTL_PRIME_HANDLE_TO_FD, which the core serves.
import { AccelError } from '../../base/errors.js';
import type { NvdlaGemCreateArgs, NvdlaGemDestroyArgs, NvdlaGemMapOffsetArgs } from '../../abi/nvdla.js';
import type { ValueOf } from '../../base/struct.js';
import type { NvdlaFile } from './client.js';

/** Sizes are rounded up to pages; `flags` means nothing to the kernel driver either. @throws AccelError EINVAL, ENOMEM */
export function gemCreate(file: NvdlaFile, args: ValueOf<typeof NvdlaGemCreateArgs>): { handle: number } {
  const gem = file.createGem(Number(args.size));
  try {
    return { handle: file.createHandle(gem) };
  } finally {
    gem.put();
  }
}

/** @throws AccelError EINVAL, not ENOENT, for an unknown handle: as nvdla_gem_map_offset */
export function gemMapOffset(
  file: NvdlaFile,
  args: ValueOf<typeof NvdlaGemMapOffsetArgs>,
): { offset: bigint } {
  try {
    return { offset: file.mmapOffset(file.lookup(args.handle)) };
  } catch (error) {
    if (error instanceof AccelError && error.code === 'ENOENT') {
      throw new AccelError('EINVAL', { field: error.field, reason: error.reason });
    }
    throw error;
  }
}

/** @throws AccelError EINVAL */
export function gemDestroy(file: NvdlaFile, args: ValueOf<typeof NvdlaGemDestroyArgs>): undefined {
  file.closeHandle(args.handle);
}
