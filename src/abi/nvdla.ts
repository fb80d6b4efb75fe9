// The uAPI of the nvdla driver: numbers and layouts of nvdla_ioctl.h. Source: fact sheet part B, section 4.
// Not the descriptors that tasks point to: those are hw/nvdla.
import { struct, u16, u32, u64 } from '../base/struct.js';
import { DRM_COMMAND_BASE, DRM_TYPE, iowr } from './ioctl.js';

export const NVDLA_MAX_BUFFERS_PER_TASK = 6144;
export const NVDLA_MAX_TASKS_PER_SUBMIT = 24;
export const NVDLA_NO_TIMEOUT = 0xffffffff;
export const NVDLA_SUBMIT_FLAGS_ATOMIC = 1;

/** An address of a task: a dma-buf descriptor (not a GEM handle) and a byte offset into it. */
export const NvdlaMemHandle = struct(
  'nvdla_mem_handle',
  { handle: u32, reserved: u32, offset: u64 },
  { bytes: 16 },
);

export const NvdlaTask = struct(
  'nvdla_ioctl_submit_task',
  { num_addresses: u32, timeout: u32, address_list: u64 },
  { bytes: 16 },
);

export const NvdlaSubmitArgs = struct(
  'nvdla_submit_args',
  { tasks: u64, num_tasks: u16, flags: u16, version: u32 },
  { bytes: 16 },
);

export const NvdlaGemCreateArgs = struct(
  'nvdla_gem_create_args',
  { handle: u32, flags: u32, size: u64 },
  { bytes: 16 },
);

export const NvdlaGemMapOffsetArgs = struct(
  'nvdla_gem_map_offset_args',
  { handle: u32, reserved: u32, offset: u64 },
  { bytes: 16 },
);

export const NvdlaGemDestroyArgs = struct('nvdla_gem_destroy_args', { handle: u32 }, { bytes: 4 });

export const DRM_IOCTL_NVDLA_SUBMIT = iowr(
  'DRM_IOCTL_NVDLA_SUBMIT',
  DRM_TYPE,
  DRM_COMMAND_BASE + 0,
  NvdlaSubmitArgs,
);
export const DRM_IOCTL_NVDLA_GEM_CREATE = iowr(
  'DRM_IOCTL_NVDLA_GEM_CREATE',
  DRM_TYPE,
  DRM_COMMAND_BASE + 1,
  NvdlaGemCreateArgs,
);
export const DRM_IOCTL_NVDLA_GEM_MMAP = iowr(
  'DRM_IOCTL_NVDLA_GEM_MMAP',
  DRM_TYPE,
  DRM_COMMAND_BASE + 2,
  NvdlaGemMapOffsetArgs,
);
export const DRM_IOCTL_NVDLA_GEM_DESTROY = iowr(
  'DRM_IOCTL_NVDLA_GEM_DESTROY',
  DRM_TYPE,
  DRM_COMMAND_BASE + 3,
  NvdlaGemDestroyArgs,
);
