// The uAPI of the null driver: our own, in the habits that linux-accel-core asks of a new driver.
// Not Linux's: no kernel has it. It is what a new driver's uAPI can look like.
import { s64, struct, u32, u64 } from '../base/struct.js';
import { DRM_COMMAND_BASE, DRM_TYPE, iow, iowr } from './ioctl.js';

export const NULL_COMMANDS_MAX = 1000;
/** The longest limit a job may ask for: nobody may hold the device for days. */
export const NULL_TIMEOUT_MAX_MS = 10_000;

/** Operations; the hardware's numbers. */
export const NULL_OP_NOP = 0;
export const NULL_OP_COPY = 1;
export const NULL_OP_FILL = 2;
export const NULL_OP_WAIT = 3;
export const NULL_OP_FENCE = 4;

export const NullGemNew = struct(
  'drm_null_gem_new',
  /** size in; handle and the mmap offset out. */
  { size: u64, flags: u32, handle: u32, offset: u64 },
  { bytes: 24 },
);

export const NullCommand = struct(
  'drm_null_command',
  {
    op: u32,
    value: u32,
    src_handle: u32,
    dst_handle: u32,
    src_offset: u64,
    dst_offset: u64,
    bytes: u64,
  },
  { bytes: 40 },
);

export const NullSubmit = struct(
  'drm_null_submit',
  {
    /** Pointer to command_count records of command_size bytes each: records may grow. */
    commands: u64,
    command_count: u32,
    command_size: u32,
    flags: u32,
    timeout_ms: u32,
    /** syncobj to wait for and to signal; 0 for none. */
    in_sync: u32,
    out_sync: u32,
  },
  { bytes: 32 },
);

/** Waits until every job that uses the buffer is done. timeout_ns is an absolute CLOCK_MONOTONIC time. */
export const NullWait = struct('drm_null_wait', { handle: u32, pad: u32, timeout_ns: s64 }, { bytes: 16 });

export const DRM_IOCTL_NULL_GEM_NEW = iowr(
  'DRM_IOCTL_NULL_GEM_NEW',
  DRM_TYPE,
  DRM_COMMAND_BASE + 0,
  NullGemNew,
);
export const DRM_IOCTL_NULL_SUBMIT = iowr(
  'DRM_IOCTL_NULL_SUBMIT',
  DRM_TYPE,
  DRM_COMMAND_BASE + 1,
  NullSubmit,
);
export const DRM_IOCTL_NULL_WAIT = iowr('DRM_IOCTL_NULL_WAIT', DRM_TYPE, DRM_COMMAND_BASE + 2, NullWait);

/** vgem_drm.h: the calls of the device when it reports as vgem. */
export const VGEM_FENCE_WRITE = 1;

export const VgemFenceAttach = struct(
  'drm_vgem_fence_attach',
  { handle: u32, flags: u32, out_fence: u32, pad: u32 },
  { bytes: 16 },
);
export const VgemFenceSignal = struct('drm_vgem_fence_signal', { fence: u32, flags: u32 }, { bytes: 8 });

export const DRM_IOCTL_VGEM_FENCE_ATTACH = iowr(
  'DRM_IOCTL_VGEM_FENCE_ATTACH',
  DRM_TYPE,
  DRM_COMMAND_BASE + 1,
  VgemFenceAttach,
);
export const DRM_IOCTL_VGEM_FENCE_SIGNAL = iow(
  'DRM_IOCTL_VGEM_FENCE_SIGNAL',
  DRM_TYPE,
  DRM_COMMAND_BASE + 2,
  VgemFenceSignal,
);
