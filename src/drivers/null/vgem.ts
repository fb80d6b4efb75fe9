// The null device as vgem: buffers by the generic calls, fences that a program attaches and signals. For test suites
// that look for that driver.
// Not the null driver: no command reaches the hardware. Source: igt-tests fact sheet section 5, linux vgem_fence.c.
import * as abi from '../../abi/null.js';
import { AccelError } from '../../base/errors.js';
import { IdTable } from '../../base/id-table.js';
import type { ValueOf } from '../../base/struct.js';
import type { BusDevice } from '../../bus/device.js';
import {
  FenceContext,
  on,
  type AccelDevice,
  type ClientFile,
  type Core,
  type Driver,
  type Fence,
} from '../../core/index.js';
import { manifest as nullManifest } from './manifest.js';

/** A fence that its program forgets signals by itself: no fence may wait for a program for ever. */
const FENCE_TIMEOUT_NS = 10e9;

type File = ClientFile<object, VgemClient>;

/** Fences of one file, by id. */
class VgemClient {
  readonly #file: File;
  readonly #fences = new IdTable<Fence>();
  readonly #context = new FenceContext('vgem', 'unbound');

  constructor(file: File) {
    this.#file = file;
  }

  attach(): { id: number; fence: Fence } {
    const { clock } = this.#file.device;
    const fence = this.#context.create();
    const id = this.#fences.add(fence);
    if (id === undefined) throw new AccelError('ENOSPC', { reason: 'no fence id is free' });
    const timer = clock.after(FENCE_TIMEOUT_NS, () => fence.signal(clock.now(), 'ETIMEDOUT'));
    fence.onSignal(() => timer[Symbol.dispose]());
    return { id, fence };
  }

  take(id: number): Fence | undefined {
    return this.#fences.remove(id);
  }

  close(): void {
    const now = this.#file.device.clock.now();
    for (const fence of this.#fences.clear()) fence.signal(now);
  }
}

function fenceAttach(
  file: File,
  { handle, flags, pad }: ValueOf<typeof abi.VgemFenceAttach>,
): Partial<ValueOf<typeof abi.VgemFenceAttach>> {
  if ((flags & ~abi.VGEM_FENCE_WRITE) !== 0)
    throw new AccelError('EINVAL', { field: 'flags', reason: `0x${flags.toString(16)}` });
  if (pad !== 0) throw new AccelError('EINVAL', { field: 'pad', reason: `${pad}, must be 0` });
  const { reservation } = file.lookup(handle);
  const access = flags === abi.VGEM_FENCE_WRITE ? 'write' : 'read';
  if (reservation.fences(access).length > 0) {
    throw new AccelError('EBUSY', {
      field: 'handle',
      reason: 'a fence that excludes this one has not signalled',
    });
  }
  const { id, fence } = file.own.attach();
  reservation.add(fence, access);
  return { out_fence: id };
}

function fenceSignal(file: File, { fence: id, flags }: ValueOf<typeof abi.VgemFenceSignal>): undefined {
  if (flags !== 0) throw new AccelError('EINVAL', { field: 'flags', reason: `0x${flags.toString(16)}` });
  const fence = file.own.take(id);
  if (fence === undefined) throw new AccelError('ENOENT', { field: 'fence', reason: `no fence ${id}` });
  if (fence.signalled)
    throw new AccelError('ETIMEDOUT', { field: 'fence', reason: 'its ten seconds were over' });
  fence.signal(file.device.clock.now());
  return undefined;
}

export const vgem: Driver<object, VgemClient> = {
  name: 'vgem',
  description: 'Virtual GEM provider',
  date: '20120112',
  version: { major: 1, minor: 0, patch: 0 },
  features: { gem: true, syncobj: true, syncobjTimeline: true, dumb: true },
  ioctls: [
    on(abi.DRM_IOCTL_VGEM_FENCE_ATTACH, fenceAttach),
    on(abi.DRM_IOCTL_VGEM_FENCE_SIGNAL, fenceSignal),
  ],
  open: (_device, file) => new VgemClient(file as File),
  close: (own) => own.close(),
  unplug: () => undefined,
};

export const vgemManifest = {
  ...nullManifest,
  driver: 'vgem',
  hardware: 'the null device, as test suites know it',
};

export const vgemMatch: { readonly compatible: readonly string[] } = { compatible: ['accel,null-vgem'] };

export function probeVgem(device: BusDevice, core: Core): AccelDevice<object> {
  const accel = core.register({ driver: vgem, hw: {}, busName: device.name });
  device.onRemove(() => accel.unplug());
  return accel;
}
