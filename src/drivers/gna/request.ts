// One score request: what COMPUTE was given, what became of it, and who waits for it.
// Not how it is run: device.ts.
import { GNA_MODE_GMM, type GnaComputeCfg, type GnaMemoryPatch, type GnaWaitOut } from '../../abi/gna.js';
import { AccelError } from '../../base/errors.js';
import type { ValueOf } from '../../base/struct.js';
import { WaitQueue, type GemObject, type Job } from '../../core/index.js';
import { LAYER_DESCRIPTOR_BYTES } from '../../hw/gna/index.js';
import type { Work } from './mmu.js';

export type ComputeConfig = ValueOf<typeof GnaComputeCfg>;
type Patch = ValueOf<typeof GnaMemoryPatch>;

export interface RequestBuffer {
  /** A reference of the request's own, until it is over. */
  readonly gem: GemObject;
  readonly patches: readonly Patch[];
}

export class Request {
  readonly id: number;
  readonly config: ComputeConfig;
  readonly gems: readonly GemObject[];
  /** What WAIT gives back. */
  readonly result: ValueOf<typeof GnaWaitOut> = {
    hw_status: 0,
    pad: 0,
    pre_processing: 0n,
    processing: 0n,
    hw_completed: 0n,
    completion: 0n,
    total: 0n,
    stall: 0n,
  };
  readonly waiters = new WaitQueue();
  job: Job<Request> | undefined;
  /** Why it failed. */
  error: AccelError | undefined;
  /** Its file was closed, or a buffer of it freed: there will be no result. */
  cancelled = false;
  #buffers: readonly RequestBuffer[];
  #over = false;

  constructor(id: number, config: ComputeConfig, buffers: readonly RequestBuffer[]) {
    this.id = id;
    this.config = config;
    this.gems = buffers.map(({ gem }) => gem);
    this.#buffers = buffers;
  }

  /** True once there is a result, good or bad. */
  get over(): boolean {
    return this.#over;
  }

  /**
   * Writes the patches into the buffers.
   * @throws AccelError EFAULT for a patch of no bytes, EINVAL for one of 3, 5, 6 or 7, as the kernel driver's
   */
  patch(): void {
    for (const [index, { gem, patches }] of this.#buffers.entries()) {
      if (patches.length === 0) continue;
      const view = new DataView(gem.bytes.buffer, gem.bytes.byteOffset, gem.size);
      for (const [at, { offset, size, value }] of patches.entries()) {
        const where = Number(offset);
        switch (size) {
          case 1n:
            view.setUint8(where, Number(value & 0xffn));
            break;
          case 2n:
            view.setUint16(where, Number(value & 0xffffn), true);
            break;
          case 4n:
            view.setUint32(where, Number(value & 0xffffffffn), true);
            break;
          case 8n:
            view.setBigUint64(where, value, true);
            break;
          default:
            throw new AccelError(size === 0n ? 'EFAULT' : 'EINVAL', {
              field: `buffers[${index}].patches[${at}].size`,
              reason: `${size}, must be 1, 2, 4 or 8`,
            });
        }
      }
    }
  }

  /** @throws AccelError EINVAL when layer_base of GMM mode does not lie in a buffer, 128 bytes of it */
  work(): Work {
    const { gna_mode, layer_base, layer_count } = this.config;
    if (gna_mode !== GNA_MODE_GMM) return { labase: layer_base, lacnt: layer_count };
    let start = 0;
    for (const { bytes, size } of this.gems) {
      const at = layer_base - start;
      if (at + LAYER_DESCRIPTOR_BYTES <= size) return bytes.subarray(at, at + LAYER_DESCRIPTOR_BYTES);
      if (at < size) break;
      start += size;
    }
    throw new AccelError('EINVAL', {
      field: 'layer_base',
      reason: `0x${layer_base.toString(16)}: no buffer holds a GMM descriptor there`,
    });
  }

  /** It is off the hardware and out of the queue: its buffers are let go, its waiters woken. */
  end(error: AccelError | undefined): void {
    if (this.#over) return;
    this.error ??= error;
    this.#over = true;
    for (const { gem } of this.#buffers) gem.put();
    this.#buffers = [];
    this.waiters.wakeAll();
  }
}
