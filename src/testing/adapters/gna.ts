// The GNA driver for the suite: one diagonal layer of 16-bit weights, 32-bit sums.
// Not its tests: what is particular to this driver is in test/drivers.
import * as abi from '../../abi/gna.js';
import { AccelError } from '../../base/errors.js';
import type { AbortSignalLike, AccelFile } from '../../core/index.js';
import { LayerDescriptor, LayerOp, gnaConfigs, type GnaGeneration } from '../../hw/gna/index.js';
import type { Attack, DriverAdapter, JobRequest, SuiteBuffer, SuiteJob, Victim } from '../adapter.js';
import { call, closeGem } from '../calls.js';

const PAGE = 4096;
/** Inputs, weights, biases and sums of the layer. */
const WIDTH = 32;
/** The buffer: a page of descriptors, one of operands, one of results. */
const INPUT = PAGE;
const WEIGHTS = INPUT + 2 * WIDTH;
const BIASES = WEIGHTS + 2 * WIDTH;
const RESULT = 2 * PAGE;
const SIZE = 3 * PAGE;
const FOREVER_MS = 0xffffffff;

type ComputeConfig = Parameters<typeof abi.GnaComputeCfg.bytes>[0];
type Buffer = Parameters<typeof abi.GnaBuffer.bytes>[0];
type Patch = Parameters<typeof abi.GnaMemoryPatch.bytes>[0];
type Layer = Parameters<typeof LayerDescriptor.bytes>[0];

export interface GnaBufferRequest extends Omit<Buffer, 'patch_count' | 'patches_ptr'> {
  readonly patches?: readonly Patch[];
}

/** Queues a request over `buffers`; resolves to its id. Fields in `config` win. @throws AccelError */
export async function computeGna(
  file: AccelFile,
  buffers: readonly GnaBufferRequest[],
  config: ComputeConfig = {},
): Promise<number> {
  const placed: Disposable[] = [];
  const place = (bytes: Uint8Array): bigint => {
    const at = file.user.place(bytes);
    placed.push(at);
    return at.pointer;
  };
  try {
    const bytes = new Uint8Array(buffers.length * abi.GnaBuffer.size);
    for (const [i, { patches = [], ...buffer }] of buffers.entries()) {
      const list = new Uint8Array(patches.length * abi.GnaMemoryPatch.size);
      patches.forEach((patch, at) => abi.GnaMemoryPatch.put(list, patch, at * abi.GnaMemoryPatch.size));
      const pointers =
        patches.length === 0 ? {} : { patch_count: BigInt(patches.length), patches_ptr: place(list) };
      abi.GnaBuffer.put(bytes, { ...buffer, ...pointers }, i * abi.GnaBuffer.size);
    }
    const { layer_base, layer_count } = await call(file, abi.DRM_IOCTL_GNA_COMPUTE, {
      layer_base: 0,
      layer_count: 1,
      buffers_ptr: place(bytes),
      buffer_count: BigInt(buffers.length),
      gna_mode: abi.GNA_MODE_XNN,
      ...config,
    });
    return layer_base + layer_count * 2 ** 32;
  } finally {
    for (const one of placed) one[Symbol.dispose]();
  }
}

/** How a WAIT ended: its struct, and its error. */
export interface GnaWaited {
  readonly out: ReturnType<typeof abi.GnaWaitOut.from>;
  readonly error: AccelError | undefined;
}

/** Waits `timeout` ms for a request. An error does not hide the struct: it is copied out all the same. */
export async function waitGna(
  file: AccelFile,
  id: number,
  timeout = FOREVER_MS,
  signal?: AbortSignalLike,
): Promise<GnaWaited> {
  const bytes = new Uint8Array(abi.GnaWaitOut.size);
  abi.GnaWaitIn.put(bytes, { request_id: BigInt(id), timeout });
  let error: AccelError | undefined;
  try {
    await file.ioctl(abi.DRM_IOCTL_GNA_WAIT.request, bytes, signal);
  } catch (caught) {
    if (!(caught instanceof AccelError)) throw caught;
    error = caught;
  }
  return { out: abi.GnaWaitOut.from(bytes), error };
}

export async function createGnaBuffer(file: AccelFile, bytes: number): Promise<SuiteBuffer> {
  // The size lies over handle and pad.
  const { handle, vma_fake_offset, size_granted } = await call(file, abi.DRM_IOCTL_GNA_GEM_NEW, {
    handle: bytes >>> 0,
    pad: Math.floor(bytes / 2 ** 32),
  });
  return { handle, offset: vma_fake_offset, size: Number(size_granted) };
}

/** The layer of the suite's jobs, for a generation; `fields` win. */
export function gnaLayer(generation: GnaGeneration, fields: Layer = {}): Uint8Array {
  // Codes of 16-bit weights, 16-bit inputs and 32-bit biases on 3.0; before, all of that is 0.
  const format = gnaConfigs[generation].format3 ? { flags: 0x0a, bias_flags: 3 } : {};
  return LayerDescriptor.bytes({
    op: LayerOp.DIAGONAL,
    ...format,
    inputs: WIDTH,
    outputs: WIDTH,
    groups: 1,
    iterations: 1,
    elements_last: WIDTH,
    input: INPUT,
    output: RESULT,
    sum: RESULT,
    weights: WEIGHTS,
    bias: BIASES,
    ...fields,
  });
}

export interface GnaJob extends SuiteJob {
  readonly handle: number;
  /** The whole buffer, mapped. */
  readonly bytes: Uint8Array;
  /** As the request names the buffer. */
  readonly buffer: GnaBufferRequest & { readonly size: bigint };
}

/** The suite's job. Its descriptor can be wrong on purpose. */
export async function gnaJob(
  file: AccelFile,
  generation: GnaGeneration,
  seed = 1,
  fields: Layer = {},
): Promise<GnaJob> {
  const { handle, offset, size } = await createGnaBuffer(file, SIZE);
  const mapping = await file.mmap(offset, size);
  const { bytes } = mapping;
  bytes.set(gnaLayer(generation, fields));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const expected = new Uint8Array(4 * WIDTH);
  const sums = new DataView(expected.buffer);
  for (let i = 0; i < WIDTH; i++) {
    const [input, weight, bias] = [100 * i - 900 + seed, 3 * i + seed, 1000 * seed - i];
    view.setInt16(INPUT + 2 * i, input, true);
    view.setInt16(WEIGHTS + 2 * i, weight, true);
    view.setInt32(BIASES + 4 * i, bias, true);
    sums.setInt32(4 * i, bias + weight * input, true);
  }
  const buffer = { handle, size: BigInt(SIZE) };
  return {
    handle,
    handles: [handle],
    bytes,
    buffer,
    result: bytes.subarray(RESULT, RESULT + expected.length),
    expected,
    async run(signal) {
      const { error } = await waitGna(file, await computeGna(file, [buffer]), FOREVER_MS, signal);
      if (error !== undefined) throw error;
    },
    async release() {
      mapping[Symbol.dispose]();
      await closeGem(file, handle);
    },
  };
}

/** @throws AccelError ENODEV for a generation that does not exist */
export function gnaAdapter(generation: string): DriverAdapter {
  if (!Object.hasOwn(gnaConfigs, generation))
    throw new AccelError('ENODEV', { field: 'generation', reason: `${generation} is no GNA generation` });
  const of = generation as GnaGeneration;

  async function attacks(file: AccelFile, { buffer: victim }: Victim): Promise<Attack[]> {
    const wild = { size: BigInt(SIZE) };
    const patch = (fields: Patch): GnaBufferRequest['patches'] => [{ size: 8n, value: 0n, ...fields }];
    const attempts: [string, { layer?: Layer; config?: ComputeConfig; buffers?: GnaBufferRequest[] }][] = [
      ['a handle above the victim’s', { buffers: [{ ...wild, handle: victim.handle + 100 }] }],
      ['a handle that was never given', { buffers: [{ ...wild, handle: 0xffffffff }] }],
      ['an input past the end', { layer: { input: SIZE } }],
      ['an input that ends outside', { layer: { input: SIZE - 2 } }],
      ['an input beyond 28 bits', { layer: { input: 0xfffff000 } }],
      ['an output past the end', { layer: { output: SIZE, sum: SIZE } }],
      ['an output far above', { layer: { output: 0x0ffff000, sum: 0x0ffff000 } }],
      ['layers past the end', { config: { layer_base: SIZE } }],
      ['layers that run out of the buffer', { config: { layer_base: SIZE - 128, layer_count: 1000 } }],
      ['a GMM descriptor past the end', { config: { layer_base: SIZE - 64, gna_mode: abi.GNA_MODE_GMM } }],
    ];
    const made: Attack[] = [];
    for (const [what, { layer, config, buffers }] of attempts) {
      const job = await gnaJob(file, of, 1, layer);
      made.push(attack(what, job, buffers ?? [job.buffer], config));
    }
    const job = await gnaJob(file, of);
    const { buffer } = job;
    made.push(
      attack('a size larger than the buffer', job, [{ ...buffer, size: BigInt(SIZE + PAGE) }]),
      attack('an offset', job, [{ ...buffer, offset: BigInt(PAGE) }]),
      attack('a patch past the end', job, [{ ...buffer, patches: patch({ offset: BigInt(SIZE) }) }]),
      attack('a patch that wraps', job, [{ ...buffer, patches: patch({ offset: (1n << 64n) - 8n }) }]),
    );
    return made;

    function attack(
      name: string,
      { result }: GnaJob,
      buffers: readonly GnaBufferRequest[],
      config?: ComputeConfig,
    ): Attack {
      return {
        what: name,
        result,
        async run() {
          const { error } = await waitGna(file, await computeGna(file, buffers, config));
          if (error !== undefined) throw error;
        },
      };
    }
  }

  return {
    driver: 'gna',
    errnos: { hang: 'ENODATA', interrupted: 'EBUSY' },
    limitMs: 60_000,
    createBuffer: createGnaBuffer,
    aJob: (file, { seed }: JobRequest = {}) => gnaJob(file, of, seed),
    attacks,
  };
}
