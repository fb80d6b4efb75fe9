// The generic DRM calls every accel node answers: numbers and layouts of drm.h. Source: core fact sheet, section 2.
// Not the calls of one driver, and no mode setting.
import { array, fd32, s32, s64, struct, u32, u64 } from '../base/struct.js';
import { DRM_TYPE, io, ior, iow, iowr } from './ioctl.js';

export const DRM_CAP_PRIME = 0x5n;
export const DRM_CAP_TIMESTAMP_MONOTONIC = 0x6n;
export const DRM_CAP_SYNCOBJ = 0x13n;
export const DRM_CAP_SYNCOBJ_TIMELINE = 0x14n;
export const DRM_PRIME_CAP_IMPORT = 1n;
export const DRM_PRIME_CAP_EXPORT = 2n;
/** O_RDWR and O_CLOEXEC: the flags of PRIME_HANDLE_TO_FD. */
export const DRM_RDWR = 0x2;
export const DRM_CLOEXEC = 0x80000;

export const DRM_SYNCOBJ_CREATE_SIGNALED = 1;
export const DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE = 1;
export const DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_TIMELINE = 2;
export const DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE = 1;
export const DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_TIMELINE = 2;
export const DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL = 1;
export const DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT = 2;
export const DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE = 4;
export const DRM_SYNCOBJ_WAIT_FLAGS_WAIT_DEADLINE = 8;
export const DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED = 1;

export const DrmVersion = struct(
  'drm_version',
  {
    version_major: s32,
    version_minor: s32,
    version_patchlevel: s32,
    name_len: u64,
    name: u64,
    date_len: u64,
    date: u64,
    desc_len: u64,
    desc: u64,
  },
  { bytes: 64 },
);
export const DrmUnique = struct('drm_unique', { unique_len: u64, unique: u64 }, { bytes: 16 });
export const DrmAuth = struct('drm_auth', { magic: u32 }, { bytes: 4 });
export const DrmClient = struct(
  'drm_client',
  { idx: s32, auth: s32, pid: u64, uid: u64, magic: u64, iocs: u64 },
  { bytes: 40 },
);
const DrmStatsEntry = struct('drm_stats_data', { value: u64, type: u32 }, { bytes: 16 });
export const DrmStats = struct('drm_stats', { count: u64, data: array(DrmStatsEntry, 15) }, { bytes: 248 });
export const DrmSetVersion = struct(
  'drm_set_version',
  { drm_di_major: s32, drm_di_minor: s32, drm_dd_major: s32, drm_dd_minor: s32 },
  { bytes: 16 },
);
export const DrmGemClose = struct('drm_gem_close', { handle: u32, pad: u32 }, { bytes: 8 });
export const DrmGemFlink = struct('drm_gem_flink', { handle: u32, name: u32 }, { bytes: 8 });
export const DrmGemOpen = struct('drm_gem_open', { name: u32, handle: u32, size: u64 }, { bytes: 16 });
export const DrmGetCap = struct('drm_get_cap', { capability: u64, value: u64 }, { bytes: 16 });
export const DrmSetClientCap = struct('drm_set_client_cap', { capability: u64, value: u64 }, { bytes: 16 });
export const DrmPrimeHandle = struct(
  'drm_prime_handle',
  { handle: u32, flags: u32, fd: fd32 },
  { bytes: 12 },
);

export const DrmSyncobjCreate = struct('drm_syncobj_create', { handle: u32, flags: u32 }, { bytes: 8 });
export const DrmSyncobjDestroy = struct('drm_syncobj_destroy', { handle: u32, pad: u32 }, { bytes: 8 });
/** With the point of newer kernels; older callers pass the first 16 bytes. */
export const DrmSyncobjHandle = struct(
  'drm_syncobj_handle',
  { handle: u32, flags: u32, fd: fd32, pad: u32, point: u64 },
  { bytes: 24 },
);
export const DrmSyncobjTransfer = struct(
  'drm_syncobj_transfer',
  { src_handle: u32, dst_handle: u32, src_point: u64, dst_point: u64, flags: u32, pad: u32 },
  { bytes: 32 },
);
/** With the deadline of newer kernels; older callers pass the first 32 bytes. */
export const DrmSyncobjWait = struct(
  'drm_syncobj_wait',
  {
    handles: u64,
    timeout_nsec: s64,
    count_handles: u32,
    flags: u32,
    first_signaled: u32,
    pad: u32,
    deadline_nsec: u64,
  },
  { bytes: 40 },
);
/** With the deadline of newer kernels; older callers pass the first 40 bytes. */
export const DrmSyncobjTimelineWait = struct(
  'drm_syncobj_timeline_wait',
  {
    handles: u64,
    points: u64,
    timeout_nsec: s64,
    count_handles: u32,
    flags: u32,
    first_signaled: u32,
    pad: u32,
    deadline_nsec: u64,
  },
  { bytes: 48 },
);
export const DrmSyncobjEventfd = struct(
  'drm_syncobj_eventfd',
  { handle: u32, flags: u32, point: u64, fd: fd32, pad: u32 },
  { bytes: 24 },
);
export const DrmSyncobjArray = struct(
  'drm_syncobj_array',
  { handles: u64, count_handles: u32, pad: u32 },
  { bytes: 16 },
);
export const DrmSyncobjTimelineArray = struct(
  'drm_syncobj_timeline_array',
  { handles: u64, points: u64, count_handles: u32, flags: u32 },
  { bytes: 24 },
);
/** Header of an event; `length` is the whole event's. Driver types start at DRM_EVENT_DRIVER. */
export const DrmEvent = struct('drm_event', { type: u32, length: u32 }, { bytes: 8 });
export const DRM_EVENT_DRIVER = 0x80000000;

export const DRM_IOCTL_VERSION = iowr('DRM_IOCTL_VERSION', DRM_TYPE, 0x00, DrmVersion);
export const DRM_IOCTL_GET_UNIQUE = iowr('DRM_IOCTL_GET_UNIQUE', DRM_TYPE, 0x01, DrmUnique);
export const DRM_IOCTL_GET_MAGIC = ior('DRM_IOCTL_GET_MAGIC', DRM_TYPE, 0x02, DrmAuth);
export const DRM_IOCTL_GET_CLIENT = iowr('DRM_IOCTL_GET_CLIENT', DRM_TYPE, 0x05, DrmClient);
export const DRM_IOCTL_GET_STATS = ior('DRM_IOCTL_GET_STATS', DRM_TYPE, 0x06, DrmStats);
export const DRM_IOCTL_SET_VERSION = iowr('DRM_IOCTL_SET_VERSION', DRM_TYPE, 0x07, DrmSetVersion);
export const DRM_IOCTL_GEM_CLOSE = iow('DRM_IOCTL_GEM_CLOSE', DRM_TYPE, 0x09, DrmGemClose);
export const DRM_IOCTL_GEM_FLINK = iowr('DRM_IOCTL_GEM_FLINK', DRM_TYPE, 0x0a, DrmGemFlink);
export const DRM_IOCTL_GEM_OPEN = iowr('DRM_IOCTL_GEM_OPEN', DRM_TYPE, 0x0b, DrmGemOpen);
export const DRM_IOCTL_GET_CAP = iowr('DRM_IOCTL_GET_CAP', DRM_TYPE, 0x0c, DrmGetCap);
export const DRM_IOCTL_SET_CLIENT_CAP = iow('DRM_IOCTL_SET_CLIENT_CAP', DRM_TYPE, 0x0d, DrmSetClientCap);
export const DRM_IOCTL_AUTH_MAGIC = iow('DRM_IOCTL_AUTH_MAGIC', DRM_TYPE, 0x11, DrmAuth);
export const DRM_IOCTL_SET_MASTER = io('DRM_IOCTL_SET_MASTER', DRM_TYPE, 0x1e);
export const DRM_IOCTL_DROP_MASTER = io('DRM_IOCTL_DROP_MASTER', DRM_TYPE, 0x1f);
export const DRM_IOCTL_PRIME_HANDLE_TO_FD = iowr(
  'DRM_IOCTL_PRIME_HANDLE_TO_FD',
  DRM_TYPE,
  0x2d,
  DrmPrimeHandle,
);
export const DRM_IOCTL_PRIME_FD_TO_HANDLE = iowr(
  'DRM_IOCTL_PRIME_FD_TO_HANDLE',
  DRM_TYPE,
  0x2e,
  DrmPrimeHandle,
);

export const DRM_IOCTL_SYNCOBJ_CREATE = iowr('DRM_IOCTL_SYNCOBJ_CREATE', DRM_TYPE, 0xbf, DrmSyncobjCreate);
export const DRM_IOCTL_SYNCOBJ_DESTROY = iowr('DRM_IOCTL_SYNCOBJ_DESTROY', DRM_TYPE, 0xc0, DrmSyncobjDestroy);
export const DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD = iowr(
  'DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD',
  DRM_TYPE,
  0xc1,
  DrmSyncobjHandle,
);
export const DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE = iowr(
  'DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE',
  DRM_TYPE,
  0xc2,
  DrmSyncobjHandle,
);
export const DRM_IOCTL_SYNCOBJ_WAIT = iowr('DRM_IOCTL_SYNCOBJ_WAIT', DRM_TYPE, 0xc3, DrmSyncobjWait);
export const DRM_IOCTL_SYNCOBJ_RESET = iowr('DRM_IOCTL_SYNCOBJ_RESET', DRM_TYPE, 0xc4, DrmSyncobjArray);
export const DRM_IOCTL_SYNCOBJ_SIGNAL = iowr('DRM_IOCTL_SYNCOBJ_SIGNAL', DRM_TYPE, 0xc5, DrmSyncobjArray);
export const DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT = iowr(
  'DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT',
  DRM_TYPE,
  0xca,
  DrmSyncobjTimelineWait,
);
export const DRM_IOCTL_SYNCOBJ_QUERY = iowr(
  'DRM_IOCTL_SYNCOBJ_QUERY',
  DRM_TYPE,
  0xcb,
  DrmSyncobjTimelineArray,
);
export const DRM_IOCTL_SYNCOBJ_TRANSFER = iowr(
  'DRM_IOCTL_SYNCOBJ_TRANSFER',
  DRM_TYPE,
  0xcc,
  DrmSyncobjTransfer,
);
export const DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL = iowr(
  'DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL',
  DRM_TYPE,
  0xcd,
  DrmSyncobjTimelineArray,
);
export const DRM_IOCTL_SYNCOBJ_EVENTFD = iowr('DRM_IOCTL_SYNCOBJ_EVENTFD', DRM_TYPE, 0xcf, DrmSyncobjEventfd);

export const DrmModeCreateDumb = struct(
  'drm_mode_create_dumb',
  { height: u32, width: u32, bpp: u32, flags: u32, handle: u32, pitch: u32, size: u64 },
  { bytes: 32 },
);
export const DrmModeMapDumb = struct(
  'drm_mode_map_dumb',
  { handle: u32, pad: u32, offset: u64 },
  { bytes: 16 },
);
export const DrmModeDestroyDumb = struct('drm_mode_destroy_dumb', { handle: u32 }, { bytes: 4 });

export const DRM_IOCTL_MODE_CREATE_DUMB = iowr(
  'DRM_IOCTL_MODE_CREATE_DUMB',
  DRM_TYPE,
  0xb2,
  DrmModeCreateDumb,
);
export const DRM_IOCTL_MODE_MAP_DUMB = iowr('DRM_IOCTL_MODE_MAP_DUMB', DRM_TYPE, 0xb3, DrmModeMapDumb);
export const DRM_IOCTL_MODE_DESTROY_DUMB = iowr(
  'DRM_IOCTL_MODE_DESTROY_DUMB',
  DRM_TYPE,
  0xb4,
  DrmModeDestroyDumb,
);

/** Numbers of mode setting, leases and vblank: EOPNOTSUPP on a device without modeset. Dumb buffers have calls of their own. */
export const MODESET_NRS: readonly number[] = [
  0x3a, 0x3b, 0x3c, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae,
  0xaf, 0xb0, 0xb1, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xc6, 0xc7, 0xc8, 0xc9, 0xce,
  0xd0,
];
