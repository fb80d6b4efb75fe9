// One GNA under this driver: runs requests one at a time, answers its interrupt, aborts what hangs, powers it down.
// Not the calls: gem.ts, compute.ts and wait.ts.
import { AccelError, type ErrnoName } from '../../base/errors.js';
import type { Mmio, PciDevice } from '../../bus/device.js';
import {
  FenceContext,
  Scheduler,
  TraceStep,
  type AccelDevice,
  type Fence,
  type Job,
  type TimeoutAction,
} from '../../core/index.js';
import { STS_ERRORS, regs, type GnaConfig } from '../../hw/gna/index.js';
import { Mmu } from './mmu.js';
import type { Request } from './request.js';

/** Time without interrupt after which a request counts as lost: module parameter recovery_timeout, seconds. */
export const RECOVERY_TIMEOUT_S = 60;

/** Device type from which CTRL.ABORT is known to clear itself. */
const ABORT_CLEARS_FROM = 0x35;
/** Reads of STS until an abort must have taken effect. */
const ABORT_READS = 100;

const STS = regs.STS.f;
/** Warnings: they stay until software writes them. */
const WARNINGS = STS.SATURATE.mask | STS.OUTPUT_BUFFER_FULL.mask;
/** Fields of CTRL that a start sets anew; the others keep what they have. */
const CTRL = regs.CTRL.f;
const START_FIELDS = CTRL.STATISTICS.mask | CTRL.ACTIVE_LIST.mask | CTRL.MODE.mask | CTRL.ABORT.mask;

export interface GnaOptions {
  /** Seconds. Default 60. */
  readonly recoveryTimeout?: number;
}

export class GnaHw {
  readonly config: GnaConfig;
  readonly recoveryTimeout: number;
  /** IBUFFS as the device reports it, kilobytes. */
  readonly inputBufferKb: number;
  readonly bus: PciDevice;
  readonly #mmio: Mmio;
  readonly #fences = new FenceContext('gna', 'score');
  #device!: AccelDevice<GnaHw>;
  #scheduler!: Scheduler<Request>;
  #mmu!: Mmu;
  #running: { readonly job: Job<Request>; readonly fence: Fence } | undefined;
  #requests = 0;

  constructor(bus: PciDevice, mmio: Mmio, config: GnaConfig, options: GnaOptions = {}) {
    this.bus = bus;
    this.#mmio = mmio;
    this.config = config;
    this.recoveryTimeout = options.recoveryTimeout ?? RECOVERY_TIMEOUT_S;
    this.inputBufferKb = regs.IBUFFS.f.KILOBYTES.get(mmio.read32(regs.IBUFFS.at));
  }

  /** Called once, when the core has given the device its minor. @throws AccelError ENOMEM */
  attach(device: AccelDevice<GnaHw>): void {
    this.#device = device;
    this.#mmu = new Mmu(device as AccelDevice<unknown>, this.bus.dma);
    this.#scheduler = new Scheduler<Request>({
      name: 'gna',
      device,
      credits: 1,
      timeoutNs: this.recoveryTimeout * 1e9,
      run: (job) => this.#run(job),
      timedOut: (job) => this.#timedOut(job),
    });
    this.bus.dma.attach(this.#mmu.domain);
    this.bus.dma.onFault(({ memoryError }) => {
      if (memoryError === true) device.health.eccUncorrected++;
      else device.health.dmaFaults++;
    });
    // Whoever had the device before us may have left a score or a warning.
    this.#abort(this.#mmio.read32(regs.STS.at));
  }

  get scheduler(): Scheduler<Request> {
    return this.#scheduler;
  }

  /** The next id: they count up from 1 over all files. */
  nextRequest(): number {
    return ++this.#requests;
  }

  /** The interrupt handler. Spurious ones find nothing to do. */
  interrupt(): void {
    if (this.bus.removed) return;
    const running = this.#running;
    const status = this.#mmio.read32(regs.STS.at);
    if (!isOver(status)) return;
    const { trace, name } = this.#device;
    if (trace.enabled) {
      const detail = `STS=0x${status.toString(16)}`;
      trace.emit(TraceStep.irqHandler, { device: name, job: running?.job.id, name: 'gna', detail });
    }
    if (running === undefined) this.#abort(status);
    else this.#complete(status);
  }

  /** The request will have no result. On the hardware it is aborted, in the queue it is not run. */
  cancel(request: Request): void {
    request.cancelled = true;
    request.job?.fail('ECANCELED');
    request.waiters.wakeAll();
    const running = this.#running;
    if (running === undefined || running.job !== request.job) return;
    this.#running = undefined;
    this.#stop(this.#mmio.read32(regs.STS.at));
    running.fence.signal(this.#device.clock.now(), 'ECANCELED');
  }

  suspend(): void {
    regs.D0I3C.write(this.#mmio, { POWER_OFF: 1 });
  }

  /** @throws AccelError ENODEV when the device does not answer */
  resume(): void {
    regs.D0I3C.write(this.#mmio, {});
    if (this.#mmio.read32(regs.D0I3C.at) === 0xffffffff)
      throw new AccelError('ENODEV', { field: 'D0I3C', reason: 'reads as all ones' });
  }

  /** No register is touched any more; the core ends the jobs. */
  unplug(): void {
    this.#running = undefined;
    this.bus.dma.onFault(undefined);
  }

  /** Gives memory back. Nothing runs any more. */
  release(): void {
    this.bus.dma.attach(undefined);
    this.#mmu[Symbol.dispose]();
  }

  #run(job: Job<Request>): Fence {
    const request = job.payload;
    const { clock, trace, name } = this.#device;
    request.result.pre_processing = time(clock.now());
    const { config } = request;
    try {
      request.patch();
      this.#mmu.fill(request.gems, request.work());
    } catch (error) {
      if (error instanceof AccelError) request.error = error;
      request.result.completion = time(clock.now());
      throw error;
    }
    if (trace.enabled) {
      let at = 0;
      const client = job.entity.file?.clientId;
      for (const { size } of request.gems) {
        const detail = `0x${at.toString(16)}, ${size} bytes`;
        trace.emit(TraceStep.bufferMapped, { device: name, client, job: job.id, detail });
        at += size;
      }
      trace.emit(TraceStep.doorbell, { device: name, job: job.id, name: 'CTRL' });
    }
    const io = this.#mmio;
    const fence = this.#fences.create();
    this.#running = { job, fence };
    regs.DESBASE.write(io, { PAGE: this.#mmu.descriptorPage });
    const control = regs.CTRL.encode(
      {
        START: 1,
        COMPLETION_INTERRUPT: 1,
        ERROR_INTERRUPT: 1,
        STATISTICS: config.hw_perf_encoding,
        ACTIVE_LIST: config.active_list_on,
        MODE: config.gna_mode,
      },
      io.read32(regs.CTRL.at) & ~START_FIELDS,
    );
    io.write32(regs.CTRL.at, control);
    request.result.processing = time(clock.now());
    return fence;
  }

  /** The device has something to say about the request it runs. */
  #complete(status: number): void {
    const { job, fence } = this.#running!;
    this.#running = undefined;
    const error = this.#conclude(job.payload, status);
    fence.signal(this.#device.clock.now(), error);
  }

  /** Status, statistics and abort, in the order of the kernel driver's worker. */
  #conclude(request: Request, status: number): ErrnoName | undefined {
    const { result, config } = request;
    const { clock } = this.#device;
    result.hw_completed = time(clock.now());
    result.hw_status = status;
    if ((config.hw_perf_encoding & 0xf) !== 0 && (status & STS.STATISTICS_VALID.mask) !== 0) {
      result.total = BigInt(this.#mmio.read32(regs.PTC.at));
      result.stall = BigInt(this.#mmio.read32(regs.PSC.at));
    }
    if ((status & STS_ERRORS) !== 0) {
      request.error = new AccelError('EIO', { field: 'hw_status', reason: regs.STS.describe(status) });
    } else if ((status & STS.SCORE_COMPLETED.mask) === 0) {
      request.error = new AccelError('ENODATA', {
        reason: `no answer in ${this.recoveryTimeout} s, the request was aborted`,
      });
    }
    if (!this.#stop(status))
      request.error ??= new AccelError('ETIMEDOUT', { reason: 'the device did not take the abort' });
    result.completion = time(clock.now());
    return request.error?.code;
  }

  /** Only of use when its interrupt was lost: then the status has the answer. Else the score is aborted, and others go on. */
  #timedOut(job: Job<Request>): TimeoutAction {
    if (this.bus.removed) return 'gone';
    const status = this.#mmio.read32(regs.STS.at);
    if (isOver(status)) {
      this.#complete(status);
      return 'no-hang';
    }
    this.#scheduler.stop(job);
    this.#running = undefined;
    job.fail(this.#conclude(job.payload, status)!);
    // A request that takes too long says nothing about the client's next one.
    job.entity.guilty = false;
    this.#scheduler.start();
    return 'reset';
  }

  /** Ends what runs; false when the device did not take the abort and had to be reset. */
  #stop(status: number): boolean {
    const taken = this.#abort(status);
    if (!taken) {
      this.#device.health.resets++;
      this.bus.reset?.();
    }
    this.#mmu.clear();
    return taken;
  }

  /**
   * Clears STS, warnings by hand, and forgets the score. False when completion is still up afterwards; since 3.5 also when
   * the abort itself is, which the Windows driver waits for.
   */
  #abort(status: number): boolean {
    const io = this.#mmio;
    if ((status & WARNINGS) !== 0) io.write32(regs.STS.at, status & WARNINGS);
    io.write32(regs.CTRL.at, (io.read32(regs.CTRL.at) | CTRL.ABORT.mask) & ~CTRL.START.mask);
    const clears = this.config.deviceType >= ABORT_CLEARS_FROM;
    for (let i = 0; i < ABORT_READS; i++) {
      if ((io.read32(regs.STS.at) & STS.SCORE_COMPLETED.mask) !== 0) continue;
      if (!clears || CTRL.ABORT.get(io.read32(regs.CTRL.at)) === 0) return true;
    }
    return false;
  }
}

/** The score has ended, well or not. */
function isOver(status: number): boolean {
  return (status & (STS.SCORE_COMPLETED.mask | STS_ERRORS)) !== 0;
}

/** Nanoseconds as the uAPI has them. */
function time(now: number): bigint {
  return BigInt(Math.floor(now));
}
