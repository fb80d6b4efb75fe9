// The adder driver's uAPI: two calls beside the generic ones.
// Not the hardware's registers.
import { DRM_COMMAND_BASE, DRM_TYPE, iowr } from 'accel/abi';
import { struct, u32, u64 } from 'accel/base';

/** In: size, flags (0). Out: handle, offset for mmap. */
export const AdderGemNew = struct(
  'drm_adder_gem_new',
  { size: u64, flags: u32, handle: u32, offset: u64 },
  { bytes: 24 },
);

/** Adds `value` to `bytes` bytes of src into dst, from the start of each; returns when it is done. */
export const AdderRun = struct(
  'drm_adder_run',
  { src_handle: u32, dst_handle: u32, bytes: u32, value: u32, timeout_ms: u32, flags: u32 },
  { bytes: 24 },
);

export const DRM_IOCTL_ADDER_GEM_NEW = iowr(
  'DRM_IOCTL_ADDER_GEM_NEW',
  DRM_TYPE,
  DRM_COMMAND_BASE + 0,
  AdderGemNew,
);
export const DRM_IOCTL_ADDER_RUN = iowr('DRM_IOCTL_ADDER_RUN', DRM_TYPE, DRM_COMMAND_BASE + 1, AdderRun);
