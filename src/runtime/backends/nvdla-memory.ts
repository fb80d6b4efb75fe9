// Memory of the nvdla driver for a client: GEM objects, mapped, with dma-buf descriptors, and lists of their addresses for SUBMIT.
// Not what is in the memory, and not the driver: it sees ioctls only.
import { DRM_CLOEXEC, DRM_IOCTL_PRIME_HANDLE_TO_FD, DRM_RDWR, DrmPrimeHandle } from '../../abi/drm.js';
import {
  DRM_IOCTL_NVDLA_GEM_CREATE,
  DRM_IOCTL_NVDLA_GEM_DESTROY,
  DRM_IOCTL_NVDLA_GEM_MMAP,
  DRM_IOCTL_NVDLA_SUBMIT,
  NvdlaGemCreateArgs,
  NvdlaGemDestroyArgs,
  NvdlaGemMapOffsetArgs,
  NvdlaMemHandle,
  NvdlaSubmitArgs,
  NvdlaTask,
} from '../../abi/nvdla.js';
import { AccelError } from '../../base/errors.js';
import type { AccelFile, Mapping } from '../../core/accel-file.js';
import type { AsyncStack } from '../async-stack.js';

/** A GEM object of this file, mapped, with its dma-buf descriptor. Zeroed. */
export interface NvdlaMemory {
  readonly bytes: Uint8Array;
  readonly fd: number;
}

/** A task that takes longer hangs: the driver resets the device and the call ends with ETIME. */
const TIMEOUT_MS = 60_000;

/** Allocates `bytes`, a multiple of the page; `owned` lets go of it. @throws AccelError as the driver's calls */
export async function allocate(file: AccelFile, bytes: number, owned: AsyncStack): Promise<NvdlaMemory> {
  const created = NvdlaGemCreateArgs.bytes({ size: BigInt(bytes) });
  await file.ioctl(DRM_IOCTL_NVDLA_GEM_CREATE.request, created);
  const { handle } = NvdlaGemCreateArgs.from(created);
  owned.defer(() => destroy(file, handle));
  const mapped = NvdlaGemMapOffsetArgs.bytes({ handle });
  await file.ioctl(DRM_IOCTL_NVDLA_GEM_MMAP.request, mapped);
  const mapping: Mapping = await file.mmap(NvdlaGemMapOffsetArgs.from(mapped).offset, bytes);
  owned.defer(() => mapping[Symbol.dispose]());
  const exported = DrmPrimeHandle.bytes({ handle, flags: DRM_CLOEXEC | DRM_RDWR });
  await file.ioctl(DRM_IOCTL_PRIME_HANDLE_TO_FD.request, exported);
  const { fd } = DrmPrimeHandle.from(exported);
  owned.defer(() => file.closeFd(fd));
  return { bytes: mapping.bytes, fd };
}

async function destroy(file: AccelFile, handle: number): Promise<void> {
  try {
    await file.ioctl(DRM_IOCTL_NVDLA_GEM_DESTROY.request, NvdlaGemDestroyArgs.bytes({ handle }));
  } catch (error) {
    // Of a device that is gone, or a file closed early, the handles went with the file.
    if (!(error instanceof AccelError) || !['ENODEV', 'EBADF'].includes(error.code)) throw error;
  }
}

/** One task with its address list, ready to be submitted again and again. */
export class NvdlaSubmission {
  readonly #file: AccelFile;
  readonly #arguments: Uint8Array;

  /** `owned` lets go of the list. */
  constructor(
    file: AccelFile,
    addresses: readonly { readonly memory: NvdlaMemory; readonly offset: number }[],
    owned: AsyncStack,
  ) {
    this.#file = file;
    const list = new Uint8Array(NvdlaMemHandle.size * addresses.length);
    addresses.forEach(({ memory, offset }, index) => {
      NvdlaMemHandle.put(list, { handle: memory.fd, offset: BigInt(offset) }, index * NvdlaMemHandle.size);
    });
    const placed = file.user.place(list);
    owned.defer(() => placed[Symbol.dispose]());
    const task = file.user.place(
      NvdlaTask.bytes({
        num_addresses: addresses.length,
        timeout: TIMEOUT_MS,
        address_list: placed.pointer,
      }),
    );
    owned.defer(() => task[Symbol.dispose]());
    this.#arguments = NvdlaSubmitArgs.bytes({ tasks: task.pointer, num_tasks: 1 });
  }

  /** Resolves when the task is done. @throws AccelError as the driver's call */
  async run(): Promise<void> {
    // The call copies its argument back: a fresh one per submission.
    await this.#file.ioctl(DRM_IOCTL_NVDLA_SUBMIT.request, this.#arguments.slice());
  }
}
