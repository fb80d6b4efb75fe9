// The null device as its driver sees it: registers, ring, interrupt, one job at a time.
// Not the files: client.ts.
import { AccelError } from '../../base/errors.js';
import type { BusDevice, Mmio } from '../../bus/device.js';
import {
  FenceContext,
  Scheduler,
  TraceStep,
  type AccelDevice,
  type Fence,
  type GemObject,
  type Job,
  type TimeoutAction,
} from '../../core/index.js';
import { Command, RING_COMMANDS_MAX, Status, regs } from '../../hw/null/index.js';
import type { NullClient } from './client.js';

/** Limit of a job that names none. */
export const TIMEOUT_NS = 2e9;

export interface NullJob {
  readonly client: NullClient;
  /** Commands with device addresses, as the hardware reads them. */
  readonly words: { op: number; value: number; src: bigint; dst: bigint; bytes: bigint }[];
  readonly buffers: ReadonlyMap<GemObject, 'read' | 'write'>;
  /** Why it failed, for the message. */
  error: AccelError | undefined;
}

export class NullHw {
  readonly bus: BusDevice;
  readonly #mmio: Mmio;
  readonly #fences = new FenceContext('null', 'ring');
  #device!: AccelDevice<NullHw>;
  #scheduler!: Scheduler<NullJob>;
  #running: { readonly job: Job<NullJob>; readonly fence: Fence } | undefined;

  constructor(bus: BusDevice, mmio: Mmio) {
    this.bus = bus;
    this.#mmio = mmio;
  }

  get scheduler(): Scheduler<NullJob> {
    return this.#scheduler;
  }

  /** Called once, when the core has given the device its minor. */
  attach(device: AccelDevice<NullHw>): void {
    this.#device = device;
    this.#scheduler = new Scheduler<NullJob>({
      name: 'ring',
      device,
      credits: 1,
      timeoutNs: TIMEOUT_NS,
      run: (job) => this.#run(job),
      timedOut: (job) => this.#timedOut(job),
    });
    this.bus.dma.onFault(() => void device.health.dmaFaults++);
    regs.INTR_MASK.write(this.#mmio, {});
  }

  #run(job: Job<NullJob>): Fence {
    const { client, words } = job.payload;
    const io = this.#mmio;
    words.forEach((word, i) => Command.put(client.ring.bytes, word, i * Command.size));
    this.bus.dma.attach(client.space.domain as Parameters<BusDevice['dma']['attach']>[0]);
    // The ring starts anew with each job: RESET puts HEAD to 0.
    regs.RESET.write(io, { RESET: 1 });
    regs.INTR_MASK.write(io, {});
    io.write32(regs.RING_BASE_LOW.at, client.ringAddress);
    io.write32(regs.RING_BASE_HIGH.at, 0);
    io.write32(regs.RING_SIZE.at, RING_COMMANDS_MAX);
    const fence = this.#fences.create();
    this.#running = { job, fence };
    const { trace, name } = this.#device;
    if (trace.enabled) trace.emit(TraceStep.doorbell, { device: name, job: job.id, name: 'TAIL' });
    io.write32(regs.TAIL.at, words.length);
    return fence;
  }

  /** The interrupt handler: reads and acknowledges status, signals the job's fence. Spurious ones find nothing to do. */
  interrupt(): void {
    const io = this.#mmio;
    const pending = io.read32(regs.INTR_STATUS.at);
    io.write32(regs.INTR_STATUS.at, pending);
    const running = this.#running;
    if (running === undefined || pending === 0) return;
    const { trace, name, clock, health } = this.#device;
    if (trace.enabled) trace.emit(TraceStep.irqHandler, { device: name, job: running.job.id, name: 'ring' });
    const { ERROR } = regs.STATUS.decode(io.read32(regs.STATUS.at));
    if (ERROR === Status.ECC) health.eccUncorrected++;
    this.#running = undefined;
    running.fence.signal(clock.now(), ERROR === Status.NONE ? undefined : 'EIO');
  }

  #timedOut(job: Job<NullJob>): TimeoutAction {
    // The work may be done and only its interrupt lost.
    this.interrupt();
    if (this.#running === undefined) return 'no-hang';
    this.scheduler.stop(job);
    this.#reset();
    job.fail('ETIME');
    this.scheduler.start();
    return 'reset';
  }

  #reset(): void {
    this.#running = undefined;
    regs.RESET.write(this.#mmio, { RESET: 1 });
    regs.INTR_MASK.write(this.#mmio, {});
    this.bus.dma.attach(undefined);
  }

  unplug(): void {
    this.#running = undefined;
    this.bus.dma.onFault(undefined);
  }
}
