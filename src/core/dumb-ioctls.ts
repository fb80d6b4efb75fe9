// Dumb buffers: plain memory by the generic calls, for test devices that ask for it. drm_dumb_buffers.c.
// Not for accelerators: they have a call of their own to make buffers, and answer EOPNOTSUPP here.
import * as drm from '../abi/drm.js';
import { AccelError } from '../base/errors.js';
import { on, type IoctlEntry } from './driver.js';
import type { AnyFile } from './ioctl.js';

const UINT32_MAX = 0xffffffff;

function needDumb(file: AnyFile): void {
  if (file.device.driver.features.dumb !== true)
    throw new AccelError('EOPNOTSUPP', { reason: 'no mode setting and no dumb buffers here' });
}

/* eslint-disable @typescript-eslint/no-explicit-any -- these calls work on files of every driver */
export const dumbIoctls: readonly IoctlEntry<any, any>[] = [
  on<any, any, ReturnType<typeof drm.DrmModeCreateDumb.zero>>(
    drm.DRM_IOCTL_MODE_CREATE_DUMB,
    (file, { width, height, bpp, flags }) => {
      needDumb(file);
      // The kernel's checks: nothing is zero, neither the line nor the whole overflows 32 bits.
      const bytes = Math.ceil(bpp / 8);
      const pitch = width * bytes;
      const wrong =
        width === 0 || height === 0 || bpp === 0 || pitch > UINT32_MAX || pitch * height > UINT32_MAX;
      if (wrong || flags !== 0)
        throw new AccelError('EINVAL', {
          field: 'width',
          reason: `${width}x${height}, ${bpp} bits, flags ${flags}`,
        });
      const gem = file.createGem(pitch * height);
      try {
        return { handle: file.createHandle(gem), pitch, size: BigInt(gem.size) };
      } finally {
        gem.put();
      }
    },
  ),
  on<any, any, ReturnType<typeof drm.DrmModeMapDumb.zero>>(
    drm.DRM_IOCTL_MODE_MAP_DUMB,
    (file, { handle }) => {
      needDumb(file);
      return { offset: file.mmapOffset(file.lookup(handle)) };
    },
  ),
  on<any, any, ReturnType<typeof drm.DrmModeDestroyDumb.zero>>(
    drm.DRM_IOCTL_MODE_DESTROY_DUMB,
    (file, { handle }) => {
      needDumb(file);
      file.closeHandle(handle);
      return undefined;
    },
  ),
];
