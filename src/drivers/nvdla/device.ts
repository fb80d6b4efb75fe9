// One NVDLA under this driver: runs jobs one at a time, answers its interrupt, undoes hangs and faults.
// Not the engine scheduler: how a task's layers go through the processors is engine.ts.
import { AccelError } from '../../base/errors.js';
import { pageAlign } from '../../base/memory.js';
import type { BusDevice, DmaDomain, DmaFault } from '../../bus/device.js';
import {
  FenceContext,
  Scheduler,
  TraceStep,
  type AccelDevice,
  type BusyTime,
  type EngineUsage,
  type Fence,
  type Job,
  type TimeoutAction,
} from '../../core/index.js';
import { interruptBit } from '../../hw/nvdla/index.js';
import { bdma } from './bdma.js';
import { cdp } from './cdp.js';
import { conv } from './conv.js';
import { Engine } from './engine.js';
import type { Hardware } from './hardware.js';
import { pdp } from './pdp.js';
import { rubik } from './rubik.js';
import { sdp } from './sdp.js';
import { TaskReader, type Task } from './task.js';

/** Limit of a task whose client sets none. */
export const DEFAULT_TIMEOUT_NS = 10e9;
/** The longest a client may ask for: while its task hangs, the tasks of others wait. */
export const MAX_TIMEOUT_NS = 600e9;

/** Device addresses: one page is left out so that 0 faults; CACC's output address has 32 bits. */
export const IOVA_START = pageAlign(1);
export const IOVA_SIZE = 0x1_0000_0000 - 2 * IOVA_START;

/** What the scheduler carries. */
export interface TaskJob {
  readonly task: Task;
  readonly domain: DmaDomain;
  /** The client's busy time by op_type. */
  readonly busy: readonly BusyTime[];
  /** Why the job failed, with more to say than its fence's errno. */
  error: AccelError | undefined;
}

/** Fetch events of the convolution's operands, masked unless a task waits for them. */
const FETCH_BITS = (3 << interruptBit.CDMA_DAT) | (3 << interruptBit.CDMA_WT);

export class NvdlaDevice {
  readonly hardware: Hardware;
  readonly reader: TaskReader;
  readonly bus: BusDevice;
  readonly #engine: Engine;
  readonly #glb;
  readonly #fences: FenceContext;
  #accel: AccelDevice<NvdlaDevice> | undefined;
  #scheduler: Scheduler<TaskJob> | undefined;
  #job: Job<TaskJob> | undefined;
  #fence: Fence | undefined;
  #domain: DmaDomain | undefined;
  #mask = 0;
  #faulted: DmaFault | undefined;

  constructor(bus: BusDevice, hardware: Hardware) {
    this.bus = bus;
    this.hardware = hardware;
    this.#glb = hardware.unit('GLB');
    this.#fences = new FenceContext('nvdla', bus.name);
    // By op_type.
    const processors = [bdma, conv, sdp, pdp, cdp, rubik].map((make) => make(hardware));
    this.reader = new TaskReader(hardware, processors);
    this.#engine = new Engine(hardware, processors, (_task, error, dirty) => this.#taskEnded(error, dirty));
  }

  /** Called once the core knows the device. */
  attach(accel: AccelDevice<NvdlaDevice>): void {
    this.#accel = accel;
    this.#scheduler = new Scheduler<TaskJob>({
      name: 'nvdla',
      device: accel,
      credits: 1,
      timeoutNs: DEFAULT_TIMEOUT_NS,
      run: (job) => this.#run(job),
      timedOut: (job) => this.#timedOut(job),
    });
    for (const dma of this.bus.dmaPorts) dma.onFault((fault) => this.#fault(fault));
    this.#initialise();
  }

  get scheduler(): Scheduler<TaskJob> {
    if (this.#scheduler === undefined) throw new Error('the device is not registered');
    return this.#scheduler;
  }

  /** The interrupt handler. */
  interrupt(): void {
    if (this.bus.removed) return;
    const status = this.#acknowledge();
    if (status === 0) return;
    const accel = this.#accel;
    if (accel?.trace.enabled === true) {
      accel.trace.emit(TraceStep.irqHandler, {
        device: accel.name,
        job: this.#job?.id,
        detail: `S_INTR_STATUS=0x${status.toString(16)}`,
      });
    }
    this.#engine.interrupt(status);
  }

  /** No register is touched any more; the core ends the jobs. */
  unplug(): void {
    for (const dma of this.bus.dmaPorts) dma.onFault(undefined);
    this.#engine.abort();
    this.#job = undefined;
    this.#fence = undefined;
  }

  /** Names of the processors by op_type. */
  get engines(): string[] {
    return this.#engine.names;
  }

  usage(): EngineUsage[] {
    return this.#engine.usage();
  }

  /** A domain is about to be disposed: it must not stay attached. */
  detach(domain: DmaDomain): void {
    if (this.#domain !== domain) return;
    this.#attachDomain(undefined);
  }

  /** One IOMMU context serves both memory ports: a buffer has one device address, whichever port a layer reads it through. */
  #attachDomain(domain: DmaDomain | undefined): void {
    this.#domain = domain;
    for (const dma of this.bus.dmaPorts) dma.attach(domain);
  }

  #run(job: Job<TaskJob>): Fence {
    const { task, domain, busy } = job.payload;
    if (this.#domain !== domain) this.#attachDomain(domain);
    this.#job = job;
    this.#faulted = undefined;
    const fence = this.#fences.create();
    this.#fence = fence;
    const accel = this.#accel!;
    if (accel.trace.enabled)
      accel.trace.emit(TraceStep.doorbell, { device: accel.name, job: job.id, name: 'nvdla' });
    this.#setMask(task.encoding?.graph.usesFetchEvents === true ? 0 : FETCH_BITS);
    // Masked fetch bits of the last task are still up; a group armed now must not take them for its own.
    this.#acknowledge();
    this.#engine.start(task, busy);
    return fence;
  }

  #taskEnded(error: AccelError | undefined, dirty: boolean): void {
    if (dirty) {
      this.#accel!.health.resets++;
      if (!this.#reset()) this.scheduler.gone('EIO');
    }
    const fence = this.#fence;
    if (error !== undefined && this.#job !== undefined) this.#job.payload.error = error;
    this.#job = undefined;
    this.#fence = undefined;
    fence?.signal(this.hardware.clock.now(), error?.code);
  }

  /**
   * A job ran past its limit. When its interrupt was lost the work goes on from the status register; otherwise the
   * hardware is reset and this job alone ends, with ETIME: nothing else was on the hardware.
   */
  #timedOut(job: Job<TaskJob>): TimeoutAction {
    if (this.bus.removed) return 'gone';
    if (this.#engine.interrupt(this.#acknowledge())) return 'no-hang';
    const { scheduler } = this;
    const where = this.#engine.describe();
    scheduler.stop(job);
    this.#engine.abort();
    this.#job = undefined;
    this.#fence = undefined;
    if (!this.#reset()) return 'gone';
    job.payload.error = new AccelError('ETIME', {
      field: 'timeout',
      reason: `not done after ${job.timeoutNs / 1e6} ms: ${where}`,
    });
    job.fail('ETIME');
    // The client may try again: a task that takes too long says nothing about its next one.
    job.entity.guilty = false;
    scheduler.start();
    return 'reset';
  }

  /** A blocked access ends the job. Reported from inside a register access, so the work is put off. */
  #fault(fault: DmaFault): void {
    const accel = this.#accel;
    if (accel !== undefined) {
      if (fault.memoryError) accel.health.eccUncorrected++;
      else accel.health.dmaFaults++;
    }
    if (this.#faulted !== undefined || this.#job === undefined) return;
    this.#faulted = fault;
    const job = this.#job;
    this.hardware.clock.post(() => {
      if (this.#job !== job || this.bus.removed) return;
      this.#engine.abort();
      this.#taskEnded(
        new AccelError('EIO', {
          field: 'iova',
          reason: `${fault.access} of 0x${fault.iova.toString(16)}: ${fault.reason}`,
        }),
        true,
      );
    });
  }

  /** Reads and clears the interrupt status. */
  #acknowledge(): number {
    const { S_INTR_STATUS } = this.#glb.r;
    const status = this.hardware.read(this.#glb, S_INTR_STATUS);
    if (status !== 0) this.hardware.write(this.#glb, S_INTR_STATUS, status);
    return status;
  }

  /** Pulses the reset line. False when the board has none: the device cannot be used any more. */
  #reset(): boolean {
    if (this.bus.reset === undefined) return false;
    this.bus.reset();
    this.#initialise();
    return true;
  }

  #initialise(): void {
    this.#mask = FETCH_BITS;
    this.hardware.write(this.#glb, this.#glb.r.S_INTR_MASK, FETCH_BITS);
  }

  #setMask(mask: number): void {
    if (mask === this.#mask) return;
    this.#mask = mask;
    this.hardware.write(this.#glb, this.#glb.r.S_INTR_MASK, mask);
  }
}
