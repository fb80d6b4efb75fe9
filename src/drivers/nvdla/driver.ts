// The NVDLA driver: name and versions of the kernel's, its calls, and what happens to files and the device.
// Not the hardware: device.ts and what it uses.
import * as abi from '../../abi/nvdla.js';
import { on, type Driver } from '../../core/index.js';
import { NvdlaClient, type NvdlaFile } from './client.js';
import type { NvdlaDevice } from './device.js';
import { gemCreate, gemDestroy, gemMapOffset } from './gem.js';
import { submit } from './submit.js';

export const nvdla: Driver<NvdlaDevice, NvdlaClient> = {
  name: 'nvdla',
  description: 'NVDLA driver',
  date: '20171017',
  version: { major: 0, minor: 0, patch: 0 },
  features: { gem: true, syncobj: false, syncobjTimeline: false },
  ioctls: [
    on(abi.DRM_IOCTL_NVDLA_SUBMIT, submit),
    on(abi.DRM_IOCTL_NVDLA_GEM_CREATE, gemCreate),
    on(abi.DRM_IOCTL_NVDLA_GEM_MMAP, gemMapOffset),
    on(abi.DRM_IOCTL_NVDLA_GEM_DESTROY, gemDestroy),
  ],
  open: (device, file) => new NvdlaClient(device, file as NvdlaFile),
  close: (own) => own.close(),
  unplug: (device) => device.hw.unplug(),
  renderNode: true,
  usage: (device) => device.hw.usage(),
};
