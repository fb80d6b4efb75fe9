// The GNA driver: name and version of the kernel's, its calls, what happens to files, the device and its power.
// Not the hardware: device.ts and what it uses.
import * as abi from '../../abi/gna.js';
import { on, type Driver } from '../../core/index.js';
import { GnaClient, type GnaFile } from './client.js';
import { compute } from './compute.js';
import type { GnaHw } from './device.js';
import { gemFree, gemNew, getParameter } from './gem.js';
import { wait } from './wait.js';

export const gna: Driver<GnaHw, GnaClient> = {
  name: 'gna',
  description: 'Intel(R) Gaussian & Neural Accelerator (Intel(R) GNA)',
  date: '0',
  version: { major: 1, minor: 0, patch: 0 },
  features: { gem: true, syncobj: false, syncobjTimeline: false },
  ioctls: [
    on(abi.DRM_IOCTL_GNA_GET_PARAMETER, getParameter),
    on(abi.DRM_IOCTL_GNA_GEM_NEW, gemNew),
    on(abi.DRM_IOCTL_GNA_GEM_FREE, gemFree),
    on(abi.DRM_IOCTL_GNA_COMPUTE, compute),
    on(abi.DRM_IOCTL_GNA_WAIT, wait),
  ],
  open: (device, file) => new GnaClient(device, file as GnaFile),
  close: (own) => own.close(),
  unplug: (device) => device.hw.unplug(),
  suspend: (device) => device.hw.suspend(),
  resume: (device) => device.hw.resume(),
  renderNode: true,
  autosuspendNs: 2e9,
};
