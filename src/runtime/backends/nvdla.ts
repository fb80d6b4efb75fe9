// NVDLA segments through the nvdla driver's uAPI: buffers, address lists by dma-buf, one submit per run.
// Not the driver: it sees ioctls only. Descriptors arrive as bytes from the compiler.
import { AccelError } from '../../base/errors.js';
import { elementCount } from '../../compiler/ir/index.js';
import type { DeviceSegment, NvdlaSegment, ProgramBuffer } from '../../compiler/targets/program.js';
import type { AccelFile } from '../../core/accel-file.js';
import { BoundTensor, makeArray } from '../layout.js';
import type { DispatchReport, Ticks } from '../stats.js';
import { AsyncStack } from '../async-stack.js';
import { wrongSegment, type Backend, type LoadedSegment, type Values } from './backend.js';
import { allocate, type NvdlaMemory, NvdlaSubmission } from './nvdla-memory.js';

interface DeviceBuffer {
  readonly program: ProgramBuffer;
  readonly memory: NvdlaMemory;
}

export class NvdlaBackend implements Backend {
  readonly kind = 'nvdla';
  readonly #file: AccelFile;
  readonly #ticks: Ticks;

  constructor(file: AccelFile, ticks: Ticks) {
    this.#file = file;
    this.#ticks = ticks;
  }

  async load(segment: DeviceSegment): Promise<LoadedSegment> {
    if (segment.kind !== 'nvdla') throw wrongSegment(this, segment);
    const setup = new AsyncStack();
    try {
      const buffers: DeviceBuffer[] = [];
      for (const program of segment.buffers)
        buffers.push({ program, memory: await allocate(this.#file, program.bytes, setup) });
      buffers.forEach(writeContents);
      return new LoadedNvdlaSegment(this.#file, this.#ticks, segment, buffers, setup);
    } catch (error) {
      await setup.dispose();
      throw error;
    }
  }
}

function writeContents({ program, memory }: DeviceBuffer): void {
  for (const { offset, data } of program.contents) memory.bytes.set(data, offset);
}

class LoadedNvdlaSegment implements LoadedSegment {
  readonly #ticks: Ticks;
  readonly #inputs: readonly BoundTensor[];
  readonly #outputs: readonly BoundTensor[];
  /** Buffers that the driver writes to: filled anew before every submission. */
  readonly #descriptors: readonly DeviceBuffer[];
  readonly #owned: AsyncStack;
  readonly #submission: NvdlaSubmission;

  /** Takes `owned` over once it has not thrown. */
  constructor(
    file: AccelFile,
    ticks: Ticks,
    segment: NvdlaSegment,
    buffers: readonly DeviceBuffer[],
    owned: AsyncStack,
  ) {
    this.#ticks = ticks;
    this.#owned = owned;
    this.#descriptors = buffers.filter(({ program }) => program.role === 'descriptor');
    const bind = (binding: NvdlaSegment['inputs'][number]): BoundTensor =>
      new BoundTensor(binding, buffers[binding.buffer]!.memory.bytes);
    this.#inputs = segment.inputs.map(bind);
    this.#outputs = segment.outputs.map(bind);
    const addresses = segment.addresses.map(({ buffer, offset }) => ({
      memory: buffers[buffer]!.memory,
      offset,
    }));
    this.#submission = new NvdlaSubmission(file, addresses, owned);
  }

  async run(values: Values, { times }: DispatchReport): Promise<void> {
    const start = this.#ticks.now();
    this.#descriptors.forEach(writeContents);
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
    await this.#submission.run();
    const done = this.#ticks.now();
    times.device += done - packed;
    for (const output of this.#outputs) {
      const { tensor, part } = output.binding;
      const { name, type, shape } = tensor;
      // The images of a batch come one after the other, the first one first.
      const begun = part === undefined || part.from === 0 ? undefined : values.get(name);
      const elements = begun ?? makeArray(type, elementCount(shape));
      output.unpack(elements);
      values.set(name, elements);
    }
    times.unpack += this.#ticks.now() - done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.dispose();
  }
}
