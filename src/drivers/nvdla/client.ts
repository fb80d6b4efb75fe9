// What the driver keeps per open file: its device addresses and its queue.
// Not its handles: those are the core's.
import type { DmaDomain } from '../../bus/device.js';
import {
  AddressSpace,
  type AccelDevice,
  type BusyTime,
  type ClientFile,
  type Entity,
} from '../../core/index.js';
import { IOVA_SIZE, IOVA_START, type NvdlaDevice, type TaskJob } from './device.js';

export type NvdlaFile = ClientFile<NvdlaDevice, NvdlaClient>;

export class NvdlaClient {
  readonly domain: DmaDomain;
  readonly space: AddressSpace;
  readonly entity: Entity<TaskJob>;
  /** By op_type. */
  readonly busy: readonly BusyTime[];
  readonly #hw: NvdlaDevice;
  #jobs = 0;
  #closed = false;

  constructor(device: AccelDevice<NvdlaDevice>, file: NvdlaFile) {
    this.#hw = device.hw;
    this.domain = device.hw.bus.dma.createDomain();
    this.space = new AddressSpace({ domain: this.domain, start: IOVA_START, size: IOVA_SIZE });
    this.busy = device.hw.engines.map((engine) => file.busy(engine));
    this.entity = device.hw.scheduler.entity({ file });
  }

  /** A job of this client exists from now on until `jobEnded`. */
  jobStarted(): void {
    this.#jobs++;
  }

  jobEnded(): void {
    this.#jobs--;
    this.#release();
  }

  /** The file is closed. A job on the hardware keeps its addresses until it ends. */
  close(): void {
    this.#closed = true;
    this.entity.kill();
    this.#release();
  }

  #release(): void {
    if (!this.#closed || this.#jobs > 0) return;
    this.#hw.detach(this.domain);
    this.space[Symbol.dispose]();
  }
}
