// NVDLA segments through the nvdla driver's uAPI: buffers, address lists by dma-buf, one submit per run.
// Not the driver: it sees ioctls only. Descriptors arrive as bytes from the compiler.
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
import { elementCount } from '../../compiler/ir/index.js';
import type { DeviceSegment, NvdlaSegment, ProgramBuffer } from '../../compiler/targets/program.js';
import type { AccelFile, Mapping } from '../../core/accel-file.js';
import { BoundTensor, makeArray } from '../layout.js';
import type { DispatchTimes, Ticks } from '../stats.js';
import { AsyncStack } from '../async-stack.js';
import type { Backend, LoadedSegment, Values } from './backend.js';

/** A GEM object of this file, mapped, with its dma-buf descriptor. */
interface DeviceBuffer {
  readonly program: ProgramBuffer;
  readonly bytes: Uint8Array;
  readonly fd: number;
}

/** A task that takes longer hangs: the driver resets the device and the dispatch ends with ETIME. */
const TIMEOUT_MS = 60_000;

export class NvdlaBackend implements Backend {
  readonly kind = 'nvdla';
  readonly #file: AccelFile;
  readonly #ticks: Ticks;

  constructor(file: AccelFile, ticks: Ticks) {
    this.#file = file;
    this.#ticks = ticks;
  }

  async load(segment: DeviceSegment): Promise<LoadedSegment> {
    const setup = new AsyncStack();
    try {
      const buffers: DeviceBuffer[] = [];
      for (const program of segment.buffers) buffers.push(await this.#allocate(program, setup));
      for (const { program, bytes } of buffers) writeContents(program, bytes);
      return new LoadedNvdlaSegment(this.#file, this.#ticks, segment, buffers, setup);
    } catch (error) {
      await setup.dispose();
      throw error;
    }
  }

  async #allocate(program: ProgramBuffer, setup: AsyncStack): Promise<DeviceBuffer> {
    const file = this.#file;
    const created = NvdlaGemCreateArgs.bytes({ size: BigInt(program.bytes) });
    await file.ioctl(DRM_IOCTL_NVDLA_GEM_CREATE.request, created);
    const { handle } = NvdlaGemCreateArgs.from(created);
    setup.defer(() => destroyGem(file, handle));
    const mapped = NvdlaGemMapOffsetArgs.bytes({ handle });
    await file.ioctl(DRM_IOCTL_NVDLA_GEM_MMAP.request, mapped);
    const mapping: Mapping = await file.mmap(NvdlaGemMapOffsetArgs.from(mapped).offset, program.bytes);
    setup.defer(() => mapping[Symbol.dispose]());
    const exported = DrmPrimeHandle.bytes({ handle, flags: DRM_CLOEXEC | DRM_RDWR });
    await file.ioctl(DRM_IOCTL_PRIME_HANDLE_TO_FD.request, exported);
    const { fd } = DrmPrimeHandle.from(exported);
    setup.defer(() => file.closeFd(fd));
    return { program, bytes: mapping.bytes, fd };
  }
}

async function destroyGem(file: AccelFile, handle: number): Promise<void> {
  try {
    await file.ioctl(DRM_IOCTL_NVDLA_GEM_DESTROY.request, NvdlaGemDestroyArgs.bytes({ handle }));
  } catch (error) {
    // Of a device that is gone, or a file closed early, the handles went with the file.
    if (!(error instanceof AccelError) || !['ENODEV', 'EBADF'].includes(error.code)) throw error;
  }
}

function writeContents(program: ProgramBuffer, bytes: Uint8Array): void {
  for (const { offset, data } of program.contents) bytes.set(data, offset);
}

class LoadedNvdlaSegment implements LoadedSegment {
  readonly #file: AccelFile;
  readonly #ticks: Ticks;
  readonly #inputs: readonly BoundTensor[];
  readonly #outputs: readonly BoundTensor[];
  /** Buffers that the driver writes to: filled anew before every submission. */
  readonly #descriptors: readonly DeviceBuffer[];
  readonly #owned: AsyncStack;
  readonly #submit: Uint8Array;

  /** Takes `owned` over once it has not thrown. */
  constructor(
    file: AccelFile,
    ticks: Ticks,
    segment: NvdlaSegment,
    buffers: readonly DeviceBuffer[],
    owned: AsyncStack,
  ) {
    this.#file = file;
    this.#ticks = ticks;
    this.#owned = owned;
    this.#descriptors = buffers.filter(({ program }) => program.role === 'descriptor');
    const bind = (binding: NvdlaSegment['inputs'][number]): BoundTensor =>
      new BoundTensor(binding, buffers[binding.buffer]!.bytes);
    this.#inputs = segment.inputs.map(bind);
    this.#outputs = segment.outputs.map(bind);

    const list = new Uint8Array(NvdlaMemHandle.size * segment.addresses.length);
    segment.addresses.forEach(({ buffer, offset }, index) => {
      const entry = { handle: buffers[buffer]!.fd, offset: BigInt(offset) };
      NvdlaMemHandle.put(list, entry, index * NvdlaMemHandle.size);
    });
    const addresses = file.user.place(list);
    owned.defer(() => addresses[Symbol.dispose]());
    const task = file.user.place(
      NvdlaTask.bytes({
        num_addresses: segment.addresses.length,
        timeout: TIMEOUT_MS,
        address_list: addresses.pointer,
      }),
    );
    owned.defer(() => task[Symbol.dispose]());
    this.#submit = NvdlaSubmitArgs.bytes({ tasks: task.pointer, num_tasks: 1 });
  }

  async run(values: Values, times: DispatchTimes): Promise<void> {
    const start = this.#ticks.now();
    for (const { program, bytes } of this.#descriptors) writeContents(program, bytes);
    for (const input of this.#inputs) {
      const elements = values.get(input.binding.tensor.name);
      if (elements === undefined)
        throw new AccelError('EINVAL', {
          field: input.binding.tensor.name,
          reason: 'no earlier segment made it',
        });
      input.pack(elements);
    }
    const packed = this.#ticks.now();
    times.pack += packed - start;
    // The call copies its argument back: a fresh one per submission.
    await this.#file.ioctl(DRM_IOCTL_NVDLA_SUBMIT.request, this.#submit.slice());
    const done = this.#ticks.now();
    times.device += done - packed;
    for (const output of this.#outputs) {
      const { name, type, shape } = output.binding.tensor;
      const elements = makeArray(type, elementCount(shape));
      output.unpack(elements);
      values.set(name, elements);
    }
    times.unpack += this.#ticks.now() - done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.dispose();
  }
}
