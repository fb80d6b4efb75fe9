// The uAPI of Intel's gna driver, version 5: numbers and layouts of gna_drm.h. Source: fact sheet section 8.
// Not the hardware's descriptors: those are hw/gna.
import { array, struct, u32, u64, u8 } from '../base/struct.js';
import { DRM_COMMAND_BASE, DRM_TYPE, iowr } from './ioctl.js';

export const GNA_PARAM_RECOVERY_TIMEOUT = 1;
export const GNA_PARAM_DEVICE_TYPE = 2;
export const GNA_PARAM_INPUT_BUFFER_S = 3;
export const GNA_PARAM_DDI_VERSION = 4;

export const GNA_DDI_VERSION_CURRENT = 3;

/** gna_mode of a compute config. */
export const GNA_MODE_GMM = 0;
export const GNA_MODE_XNN = 1;

/** flags of a compute config: fail with EBUSY instead of queueing behind another request. */
export const GNA_FLAG_SCORE_QOS = 1;

/** hw_status of a request: a warning, something was clamped. */
export const GNA_STS_SATURATE = 1 << 17;

/** In: id; out: value. The same eight bytes. */
export const GnaParameter = struct('gna_parameter', { value: u64 }, { bytes: 8 });

/** In: size in the first eight bytes; out: handle, mmap offset and the size granted. */
export const GnaGemNew = struct(
  'gna_gem_new',
  { handle: u32, pad: u32, vma_fake_offset: u64, size_granted: u64 },
  { bytes: 24 },
);

export const GnaGemFree = struct('gna_gem_free', { handle: u32 }, { bytes: 4 });

/** DRM_IOCTL_GNA_COMPUTE: 32 bytes in, the request id out in the first eight. */
export const GnaComputeCfg = struct(
  'gna_compute_cfg',
  {
    layer_base: u32,
    layer_count: u32,
    buffers_ptr: u64,
    buffer_count: u64,
    active_list_on: u8,
    gna_mode: u8,
    hw_perf_encoding: u8,
    flags: u8,
    pad: array(u8, 4),
  },
  { bytes: 32 },
);

export const GnaBuffer = struct(
  'gna_buffer',
  { handle: u32, pad: u32, offset: u64, size: u64, patch_count: u64, patches_ptr: u64 },
  { bytes: 40 },
);

export const GnaMemoryPatch = struct(
  'gna_memory_patch',
  { offset: u64, size: u64, value: u64 },
  { bytes: 24 },
);

/** In: request_id, timeout (ms). Out: the rest over the same bytes. */
export const GnaWaitIn = struct('gna_wait (in)', { request_id: u64, timeout: u32, pad: u32 }, { bytes: 16 });

export const GnaWaitOut = struct(
  'gna_wait (out)',
  {
    hw_status: u32,
    pad: u32,
    /** Nanoseconds of the driver's steps. */
    pre_processing: u64,
    processing: u64,
    hw_completed: u64,
    completion: u64,
    /** Hardware cycles. */
    total: u64,
    stall: u64,
  },
  { bytes: 56 },
);

export const DRM_IOCTL_GNA_GET_PARAMETER = iowr(
  'DRM_IOCTL_GNA_GET_PARAMETER',
  DRM_TYPE,
  DRM_COMMAND_BASE + 0,
  GnaParameter,
);
export const DRM_IOCTL_GNA_GEM_NEW = iowr('DRM_IOCTL_GNA_GEM_NEW', DRM_TYPE, DRM_COMMAND_BASE + 1, GnaGemNew);
export const DRM_IOCTL_GNA_GEM_FREE = iowr(
  'DRM_IOCTL_GNA_GEM_FREE',
  DRM_TYPE,
  DRM_COMMAND_BASE + 2,
  GnaGemFree,
);
export const DRM_IOCTL_GNA_COMPUTE = iowr(
  'DRM_IOCTL_GNA_COMPUTE',
  DRM_TYPE,
  DRM_COMMAND_BASE + 3,
  GnaComputeCfg,
);
export const DRM_IOCTL_GNA_WAIT = iowr('DRM_IOCTL_GNA_WAIT', DRM_TYPE, DRM_COMMAND_BASE + 4, GnaWaitOut);
