// GNA segments through the gna driver's uAPI: buffers, one COMPUTE and one WAIT per request.
// Not the driver: it sees ioctls only. Descriptors arrive as bytes from the compiler, device addresses in them.
import {
  DRM_IOCTL_GNA_COMPUTE,
  DRM_IOCTL_GNA_GEM_FREE,
  DRM_IOCTL_GNA_GEM_NEW,
  DRM_IOCTL_GNA_WAIT,
  GNA_MODE_XNN,
  GNA_STS_SATURATE,
  GnaBuffer,
  GnaComputeCfg,
  GnaGemFree,
  GnaGemNew,
  GnaWaitIn,
  GnaWaitOut,
} from '../../abi/gna.js';
import { AccelError } from '../../base/errors.js';
import { elementCount } from '../../compiler/ir/index.js';
import type { DeviceSegment, GnaSegment, ProgramBuffer } from '../../compiler/targets/program.js';
import type { AccelFile } from '../../core/accel-file.js';
import { AsyncStack } from '../async-stack.js';
import { BoundTensor, makeArray } from '../layout.js';
import type { DispatchReport, Ticks } from '../stats.js';
import { wrongSegment, type Backend, type LoadedSegment, type Values } from './backend.js';

/** A GEM object of this file, mapped. */
interface DeviceBuffer {
  readonly program: ProgramBuffer;
  readonly bytes: Uint8Array;
  readonly handle: number;
}

/** Longer than the driver's own limit of a request, 60 s, for each that may be queued before. */
const TIMEOUT_MS = 600_000;

export class GnaBackend implements Backend {
  readonly kind = 'gna';
  readonly #file: AccelFile;
  readonly #ticks: Ticks;

  constructor(file: AccelFile, ticks: Ticks) {
    this.#file = file;
    this.#ticks = ticks;
  }

  async load(segment: DeviceSegment): Promise<LoadedSegment> {
    if (segment.kind !== 'gna') throw wrongSegment(this, segment);
    const setup = new AsyncStack();
    try {
      const buffers: DeviceBuffer[] = [];
      for (const program of segment.buffers) buffers.push(await this.#allocate(program, setup));
      for (const { program, bytes } of buffers)
        for (const { offset, data } of program.contents) bytes.set(data, offset);
      return new LoadedGnaSegment(this.#file, this.#ticks, segment, buffers, setup);
    } catch (error) {
      await setup.dispose();
      throw error;
    }
  }

  async #allocate(program: ProgramBuffer, setup: AsyncStack): Promise<DeviceBuffer> {
    const file = this.#file;
    const args = GnaGemNew.bytes({ handle: program.bytes });
    await file.ioctl(DRM_IOCTL_GNA_GEM_NEW.request, args);
    const { handle, vma_fake_offset } = GnaGemNew.from(args);
    setup.defer(() => freeGem(file, handle));
    const mapping = await file.mmap(vma_fake_offset, program.bytes);
    setup.defer(() => mapping[Symbol.dispose]());
    return { program, bytes: mapping.bytes, handle };
  }
}

async function freeGem(file: AccelFile, handle: number): Promise<void> {
  try {
    await file.ioctl(DRM_IOCTL_GNA_GEM_FREE.request, GnaGemFree.bytes({ handle }));
  } catch (error) {
    // Of a device that is gone, or a file closed early, the handles went with the file.
    if (!(error instanceof AccelError) || !['ENODEV', 'EBADF'].includes(error.code)) throw error;
  }
}

class LoadedGnaSegment implements LoadedSegment {
  readonly #file: AccelFile;
  readonly #ticks: Ticks;
  readonly #inputs: readonly BoundTensor[];
  readonly #outputs: readonly BoundTensor[];
  readonly #owned: AsyncStack;
  /** gna_compute_cfg of each request. */
  readonly #requests: readonly Uint8Array[];

  /** Takes `owned` over once it has not thrown. */
  constructor(
    file: AccelFile,
    ticks: Ticks,
    segment: GnaSegment,
    buffers: readonly DeviceBuffer[],
    owned: AsyncStack,
  ) {
    this.#file = file;
    this.#ticks = ticks;
    this.#owned = owned;
    const bind = (binding: GnaSegment['inputs'][number]): BoundTensor =>
      new BoundTensor(binding, buffers[binding.buffer]!.bytes);
    this.#inputs = segment.inputs.map(bind);
    this.#outputs = segment.outputs.map(bind);
    const list = new Uint8Array(GnaBuffer.size * buffers.length);
    buffers.forEach(({ handle, program }, index) => {
      GnaBuffer.put(list, { handle, size: BigInt(program.bytes) }, index * GnaBuffer.size);
    });
    const place = file.user.place(list);
    owned.defer(() => place[Symbol.dispose]());
    this.#requests = segment.requests.map(({ base, count }) =>
      GnaComputeCfg.bytes({
        layer_base: base,
        layer_count: count,
        buffers_ptr: place.pointer,
        buffer_count: BigInt(buffers.length),
        gna_mode: GNA_MODE_XNN,
      }),
    );
  }

  async run(values: Values, report: DispatchReport): Promise<void> {
    const { times } = report;
    const saturation = (report.saturation ??= { requests: 0, saturated: 0 });
    const start = this.#ticks.now();
    for (const input of this.#inputs) {
      const { name } = input.binding.tensor;
      const elements = values.get(name);
      if (elements === undefined)
        throw new AccelError('EINVAL', { field: name, reason: 'no earlier segment made it' });
      input.pack(elements);
    }
    const packed = this.#ticks.now();
    times.pack += packed - start;
    for (const request of this.#requests) {
      const status = await this.#score(request);
      saturation.requests++;
      if ((status & GNA_STS_SATURATE) !== 0) saturation.saturated++;
    }
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

  /** Resolves to the status that the device ended with. */
  async #score(request: Uint8Array): Promise<number> {
    // The calls copy their arguments back: fresh ones every time.
    const config = request.slice();
    await this.#file.ioctl(DRM_IOCTL_GNA_COMPUTE.request, config);
    const { layer_base, layer_count } = GnaComputeCfg.from(config);
    const wait = new Uint8Array(GnaWaitOut.size);
    const id = BigInt(layer_base) | (BigInt(layer_count) << 32n);
    GnaWaitIn.put(wait, { request_id: id, timeout: TIMEOUT_MS }, 0);
    await this.#file.ioctl(DRM_IOCTL_GNA_WAIT.request, wait);
    return GnaWaitOut.from(wait).hw_status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.dispose();
  }
}
