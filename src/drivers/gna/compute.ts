// DRM_IOCTL_GNA_COMPUTE: checks a request in the kernel driver's order and queues it.
// Not running it: device.ts. What is wrong with sizes of patches WAIT reports, as the kernel driver does.
//
// Unlike the kernel driver: nothing past the given buffers is read, an offset that is not 0 gives its references back,
// buffers that are larger than their `size` says may not exceed the device's addresses together, GMM requests run.
//
// errno:
//   EINVAL  gna_mode, layer_count, buffer_count; a buffer's offset, handle, size; a handle named twice; more than 256 MiB;
//           a patch of more than 8 bytes or outside its buffer's `size`
//   EBUSY   with GNA_FLAG_SCORE_QOS: a request is queued or runs
//   EFAULT  buffers_ptr or patches_ptr do not point to the client's memory
import * as abi from '../../abi/gna.js';
import { AccelError } from '../../base/errors.js';
import { PAGE_SIZE } from '../../base/memory.js';
import type { ValueOf } from '../../base/struct.js';
import type { GemObject } from '../../core/index.js';
import { VA_SIZE } from '../../hw/gna/index.js';
import type { GnaFile } from './client.js';
import { Request, type ComputeConfig, type RequestBuffer } from './request.js';

/** Buffers are whole pages: more than this cannot fit. */
const BUFFERS_MAX = VA_SIZE / PAGE_SIZE;
/** Of one buffer: one per byte of a page would be plenty. Ours; the kernel takes what memory holds. */
const PATCHES_MAX = 65536;

type Buffer = ValueOf<typeof abi.GnaBuffer>;
type Patch = ValueOf<typeof abi.GnaMemoryPatch>;

function invalid(field: string, reason: string): never {
  throw new AccelError('EINVAL', { field, reason });
}

/** Returns when the request is queued. */
export async function compute(file: GnaFile, args: ComputeConfig): Promise<Partial<ComputeConfig>> {
  const { hw } = file.device;
  const { layersMax } = hw.config;
  if (args.gna_mode > abi.GNA_MODE_XNN) invalid('gna_mode', `${args.gna_mode}, must be 0 or 1`);
  if (args.layer_count > layersMax) invalid('layer_count', `${args.layer_count}, at most ${layersMax}`);
  if (args.buffer_count === 0n) invalid('buffer_count', '0');
  const quick = (args.flags & abi.GNA_FLAG_SCORE_QOS) !== 0;
  const refuse = (): void => {
    if (quick && hw.scheduler.load > 0)
      throw new AccelError('EBUSY', { field: 'flags', reason: 'QoS, and another request is queued or runs' });
  };
  refuse();
  if (args.buffer_count > BigInt(BUFFERS_MAX))
    invalid('buffer_count', `${args.buffer_count}, ${BUFFERS_MAX} pages can be addressed`);
  const count = Number(args.buffer_count);
  const bytes = await file.readUser(args.buffers_ptr, count * abi.GnaBuffer.size);
  const named = Array.from({ length: count }, (_, i) => abi.GnaBuffer.from(bytes, i * abi.GnaBuffer.size));

  const buffers: RequestBuffer[] = [];
  try {
    await checked(file, named, buffers);
    // Reading the client's memory may have taken its time.
    refuse();
    const request = new Request(hw.nextRequest(), { ...args }, buffers);
    queue(file, request);
    return { layer_base: request.id >>> 0, layer_count: Math.floor(request.id / 2 ** 32) };
  } catch (error) {
    for (const { gem } of buffers) gem.put();
    throw error;
  }
}

/** Adds to `buffers` as it goes: each with a reference, whatever is found wrong later. */
async function checked(file: GnaFile, named: readonly Buffer[], buffers: RequestBuffer[]): Promise<void> {
  const seen = new Set<number>();
  let total = 0;
  let placed = 0;
  for (const [index, { handle, offset, size, patch_count, patches_ptr }] of named.entries()) {
    const field = (name: string): string => `buffers[${index}].${name}`;
    if (offset !== 0n) invalid(field('offset'), `${offset}, must be 0`);
    if (seen.has(handle)) invalid(field('handle'), `${handle} is named twice`);
    seen.add(handle);
    total += Math.ceil(Number(size) / PAGE_SIZE) * PAGE_SIZE;
    if (total > VA_SIZE) invalid(field('size'), `${total} bytes up to here, at most ${VA_SIZE}`);
    const gem = lookup(file, handle, field('handle'));
    if (Number(size) > gem.size) invalid(field('size'), `${size}, the buffer has ${gem.size}`);
    placed += gem.size;
    if (placed > VA_SIZE) invalid(field('size'), `buffers of ${placed} bytes up to here, at most ${VA_SIZE}`);
    const patches: Patch[] = [];
    buffers.push({ gem: gem.get(), patches });
    if (patch_count === 0n) continue;
    if (patch_count > BigInt(PATCHES_MAX))
      invalid(field('patch_count'), `${patch_count}, at most ${PATCHES_MAX}`);
    const bytes = await file.readUser(patches_ptr, Number(patch_count) * abi.GnaMemoryPatch.size);
    for (let i = 0; i < Number(patch_count); i++) {
      const patch = abi.GnaMemoryPatch.from(bytes, i * abi.GnaMemoryPatch.size);
      const at = field(`patches[${i}]`);
      if (patch.size > 8n) invalid(`${at}.size`, `${patch.size}, at most 8`);
      if (patch.offset >= size || patch.offset + patch.size > size)
        invalid(`${at}.offset`, `${patch.offset} and ${patch.size} bytes, the buffer has ${size}`);
      patches.push(patch);
    }
  }
}

function lookup(file: GnaFile, handle: number, field: string): GemObject {
  try {
    return file.lookup(handle);
  } catch (cause) {
    throw new AccelError('EINVAL', { field, reason: `no buffer ${handle}`, cause });
  }
}

/** @throws AccelError ENOENT when the file was closed meanwhile */
function queue(file: GnaFile, request: Request): void {
  const { entity, requests } = file.own;
  const job = entity.job(request);
  request.job = job;
  // What a layer list reads and writes only the device knows.
  for (const gem of request.gems) job.addImplicitDependencies(gem, 'write');
  job.arm();
  for (const gem of request.gems) gem.reservation.add(job.finished, 'write');
  requests.set(request.id, request);
  job.finished.onSignal(({ error }) => {
    request.end(error === undefined ? undefined : new AccelError(error));
  });
  entity.push(job);
}
