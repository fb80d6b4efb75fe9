// The null driver: the smallest complete driver, to be read from top to bottom and to start a new one from.
// Not the hardware: registers and the ring are device.ts.
import * as abi from '../../abi/null.js';
import { on, type Driver } from '../../core/index.js';
import { NullClient, type NullFile } from './client.js';
import type { NullHw } from './device.js';
import { gemNew, submit, wait } from './calls.js';

export const nullDriver: Driver<NullHw, NullClient> = {
  name: 'null',
  description: 'Null accelerator',
  date: '20261125',
  version: { major: 1, minor: 0, patch: 0 },
  features: { gem: true, syncobj: true, syncobjTimeline: true },
  ioctls: [
    on(abi.DRM_IOCTL_NULL_GEM_NEW, gemNew),
    on(abi.DRM_IOCTL_NULL_SUBMIT, submit),
    on(abi.DRM_IOCTL_NULL_WAIT, wait),
  ],
  open: (device, file) => new NullClient(device, file as NullFile),
  close: (own) => own.close(),
  unplug: (device) => device.hw.unplug(),
};
