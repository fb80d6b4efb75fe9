// One open file of the null driver: its address space, its command ring, its queue of jobs.
// Not shared: no other file's commands or buffers can be named by what is here.
import type { ErrnoName } from '../../base/errors.js';
import {
  AddressSpace,
  type AccelDevice,
  type ClientFile,
  type Entity,
  type GemObject,
} from '../../core/index.js';
import { Command, RING_COMMANDS_MAX } from '../../hw/null/index.js';
import type { NullHw, NullJob } from './device.js';

export type NullFile = ClientFile<NullHw, NullClient>;

/** Device addresses of one file. 0 stays unmapped, so that a null address faults. */
const SPACE_START = 0x10000;
const SPACE_SIZE = 0xfffe0000;

export class NullClient {
  readonly space: AddressSpace;
  readonly entity: Entity<NullJob>;
  readonly ring: GemObject;
  readonly ringAddress: number;
  /** What this file's last job on a buffer ended with; no entry after success. */
  readonly failures = new WeakMap<GemObject, ErrnoName>();
  #jobs = 0;
  #closed = false;

  constructor(device: AccelDevice<NullHw>, file: NullFile) {
    const { hw } = device;
    const domain = hw.bus.dma.createDomain();
    this.space = new AddressSpace({ domain, start: SPACE_START, size: SPACE_SIZE });
    this.ring = device.createGem(RING_COMMANDS_MAX * Command.size);
    // The device reads its commands and can never change them.
    this.ringAddress = this.space.map(this.ring, 'read');
    this.entity = hw.scheduler.entity({ file });
  }

  jobStarted(): void {
    this.#jobs++;
  }

  jobEnded(): void {
    if (--this.#jobs === 0 && this.#closed) this.#release();
  }

  /** Memory stays mapped while a job still runs. */
  close(): void {
    this.#closed = true;
    if (this.#jobs === 0) this.#release();
  }

  #release(): void {
    this.space[Symbol.dispose]();
    this.ring.put();
  }
}
