// The calls of sync_file, sw_sync and dma-buf descriptors: sync_file.h, sync_debug.c, dma-buf.h. Core sheet sections 2, 6.
// Not calls of a device file.
import { chars, fd32, s32, struct, u32, u64 } from '../base/struct.js';
import { iow, iowr } from './ioctl.js';

const SYNC_TYPE = 0x3e;
const DMA_BUF_TYPE = 0x62;
const SW_SYNC_TYPE = 0x57;

export const SyncMergeData = struct(
  'sync_merge_data',
  { name: chars(32), fd2: fd32, fence: fd32, flags: u32, pad: u32 },
  { bytes: 48 },
);
export const SyncFileInfo = struct(
  'sync_file_info',
  { name: chars(32), status: s32, flags: u32, num_fences: u32, pad: u32, sync_fence_info: u64 },
  { bytes: 56 },
);
export const SyncFenceInfo = struct(
  'sync_fence_info',
  { obj_name: chars(32), driver_name: chars(32), status: s32, flags: u32, timestamp_ns: u64 },
  { bytes: 80 },
);
export const SyncSetDeadline = struct('sync_set_deadline', { deadline_ns: u64, pad: u64 }, { bytes: 16 });
export const DmaBufSync = struct('dma_buf_sync', { flags: u64 }, { bytes: 8 });
export const DmaBufExportSyncFile = struct(
  'dma_buf_export_sync_file',
  { flags: u32, fd: fd32 },
  { bytes: 8 },
);
export const DmaBufImportSyncFile = struct(
  'dma_buf_import_sync_file',
  { flags: u32, fd: fd32 },
  { bytes: 8 },
);
export const SwSyncCreateFenceData = struct(
  'sw_sync_create_fence_data',
  { value: u32, name: chars(32), fence: fd32 },
  { bytes: 40 },
);
export const SwSyncIncrement = struct('sw_sync_increment', { value: u32 }, { bytes: 4 });

export const DMA_BUF_SYNC_READ = 1;
export const DMA_BUF_SYNC_WRITE = 2;
export const DMA_BUF_SYNC_RW = 3;
export const DMA_BUF_SYNC_END = 4;

export const SYNC_IOC_MERGE = iowr('SYNC_IOC_MERGE', SYNC_TYPE, 3, SyncMergeData);
export const SYNC_IOC_FILE_INFO = iowr('SYNC_IOC_FILE_INFO', SYNC_TYPE, 4, SyncFileInfo);
export const SYNC_IOC_SET_DEADLINE = iow('SYNC_IOC_SET_DEADLINE', SYNC_TYPE, 5, SyncSetDeadline);
export const DMA_BUF_IOCTL_SYNC = iow('DMA_BUF_IOCTL_SYNC', DMA_BUF_TYPE, 0, DmaBufSync);
export const DMA_BUF_IOCTL_EXPORT_SYNC_FILE = iowr(
  'DMA_BUF_IOCTL_EXPORT_SYNC_FILE',
  DMA_BUF_TYPE,
  2,
  DmaBufExportSyncFile,
);
export const DMA_BUF_IOCTL_IMPORT_SYNC_FILE = iow(
  'DMA_BUF_IOCTL_IMPORT_SYNC_FILE',
  DMA_BUF_TYPE,
  3,
  DmaBufImportSyncFile,
);
export const SW_SYNC_IOC_CREATE_FENCE = iowr(
  'SW_SYNC_IOC_CREATE_FENCE',
  SW_SYNC_TYPE,
  0,
  SwSyncCreateFenceData,
);
export const SW_SYNC_IOC_INC = iow('SW_SYNC_IOC_INC', SW_SYNC_TYPE, 1, SwSyncIncrement);
