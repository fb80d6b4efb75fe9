// ioctls as a program makes them, with typed fields instead of bytes.
// Not the dispatcher's view: sizes and directions can be wrong on purpose.
import type { Ioctl } from '../abi/ioctl.js';
import * as drm from '../abi/drm.js';
import type { AbortSignalLike, AccelFile, Mapping } from '../core/index.js';

/** Calls with the struct's own size and returns all fields afterwards. @throws AccelError */
export async function call<V extends object>(
  file: AccelFile,
  def: Ioctl<V>,
  fields: Partial<V> = {},
  signal?: AbortSignalLike,
): Promise<V> {
  const layout = def.layout!;
  const bytes = layout.bytes(fields);
  await file.ioctl(def.request, bytes, signal);
  return layout.from(bytes);
}

/** The request value with another struct size. */
export function resized(request: number, size: number): number {
  return ((request & ~(0x3fff << 16)) | (size << 16)) >>> 0;
}

export const closeGem = (file: AccelFile, handle: number): Promise<unknown> =>
  call(file, drm.DRM_IOCTL_GEM_CLOSE, { handle });

export const exportGem = async (file: AccelFile, handle: number): Promise<number> =>
  (await call(file, drm.DRM_IOCTL_PRIME_HANDLE_TO_FD, { handle, flags: drm.DRM_RDWR | drm.DRM_CLOEXEC })).fd;

export const importGem = async (file: AccelFile, fd: number): Promise<number> =>
  (await call(file, drm.DRM_IOCTL_PRIME_FD_TO_HANDLE, { fd })).handle;

export const map = (
  file: AccelFile,
  buffer: { readonly offset: bigint; readonly size: number },
): Promise<Mapping> => file.mmap(buffer.offset, buffer.size);
