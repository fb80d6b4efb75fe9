// The adder's driver, from top to bottom: what it offers, its files, its calls, its jobs.
// Not the hardware: everything goes through the bus.
import { AccelError, DisposableStack, type ValueOf } from 'accel/base';
import type { BusDevice, Mmio } from 'accel/bus/device';
import {
  AddressSpace,
  FenceContext,
  on,
  Scheduler,
  TraceStep,
  type AbortSignalLike,
  type AccelDevice,
  type ClientFile,
  type Core,
  type Driver,
  type Entity,
  type Fence,
  type GemObject,
  type Job,
  type TimeoutAction,
} from 'accel/core';
import { ADDER_ID, regs } from './hw.js';
import * as uapi from './uapi.js';

type File = ClientFile<AdderHw, Client>;

interface Run {
  readonly client: Client;
  readonly source: number;
  readonly target: number;
  readonly bytes: number;
  readonly value: number;
}

const TIMEOUT_NS = 1e9;
/** Device addresses of one file. 0 stays unmapped: a null address must fault. */
const SPACE_START = 0x10000;
const SPACE_SIZE = 0xfffe0000;

export const adder: Driver<AdderHw, Client> = {
  name: 'adder',
  description: 'Adder, a template',
  date: '20261125',
  version: { major: 1, minor: 0, patch: 0 },
  features: { gem: true, syncobj: false, syncobjTimeline: false },
  ioctls: [on(uapi.DRM_IOCTL_ADDER_GEM_NEW, gemNew), on(uapi.DRM_IOCTL_ADDER_RUN, run)],
  open: (device, file) => new Client(device.hw, file as File),
  close: (own) => own.close(),
  unplug: (device) => device.hw.unplug(),
};

/** An open file: its addresses and its queue. Memory stays mapped until its last job is over. */
class Client {
  readonly space: AddressSpace;
  readonly entity: Entity<Run>;
  #jobs = 0;
  #closed = false;

  constructor(hw: AdderHw, file: File) {
    this.space = new AddressSpace({
      domain: hw.bus.dma.createDomain(),
      start: SPACE_START,
      size: SPACE_SIZE,
    });
    this.entity = hw.scheduler.entity({ file });
  }

  /** `undo` runs when the job is over. */
  holds(job: Job<Run>, undo: () => void): void {
    this.#jobs++;
    job.finished.onSignal(() => {
      undo();
      if (--this.#jobs === 0 && this.#closed) this.space[Symbol.dispose]();
    });
  }

  close(): void {
    this.#closed = true;
    if (this.#jobs === 0) this.space[Symbol.dispose]();
  }
}

function gemNew(
  file: File,
  args: ValueOf<typeof uapi.AdderGemNew>,
): Partial<ValueOf<typeof uapi.AdderGemNew>> {
  if (args.flags !== 0)
    throw new AccelError('EINVAL', { field: 'flags', reason: `${args.flags}, none is known` });
  const gem = file.createGem(Number(args.size));
  try {
    return { handle: file.createHandle(gem), offset: file.mmapOffset(gem) };
  } finally {
    gem.put();
  }
}

async function run(
  file: File,
  args: ValueOf<typeof uapi.AdderRun>,
  signal?: AbortSignalLike,
): Promise<undefined> {
  const { bytes, value, timeout_ms } = args;
  if (args.flags !== 0)
    throw new AccelError('EINVAL', { field: 'flags', reason: `${args.flags}, none is known` });
  if (value > 255) throw new AccelError('EINVAL', { field: 'value', reason: `${value}, at most 255` });
  const operand = (field: 'src_handle' | 'dst_handle'): GemObject => {
    const gem = file.lookup(args[field]);
    if (bytes === 0 || bytes > gem.size) {
      throw new AccelError('EINVAL', { field: 'bytes', reason: `${bytes}, ${field} has ${gem.size}` });
    }
    return gem;
  };
  const source = operand('src_handle');
  const target = operand('dst_handle');
  const { space, entity } = file.own;
  const mapped = new DisposableStack();
  const map = (gem: GemObject): number => {
    const address = space.map(gem);
    mapped.defer(() => space.unmap(gem));
    return address;
  };
  let job: Job<Run>;
  try {
    const payload = { client: file.own, source: map(source), target: map(target), bytes, value };
    job = entity.job(payload, { timeoutNs: timeout_ms === 0 ? TIMEOUT_NS : timeout_ms * 1e6 });
  } catch (error) {
    mapped.dispose();
    throw error;
  }
  job.addImplicitDependencies(source, 'read');
  job.addImplicitDependencies(target, 'write');
  job.arm();
  source.reservation.add(job.finished, 'read');
  target.reservation.add(job.finished, 'write');
  file.own.holds(job, () => mapped.dispose());
  entity.push(job);
  await job.finished.wait(signal);
  if (job.finished.error !== undefined)
    throw new AccelError(job.finished.error, { reason: 'the run failed' });
  return undefined;
}

/** The device: one operation at a time. */
export class AdderHw {
  readonly bus: BusDevice;
  readonly #io: Mmio;
  readonly #fences = new FenceContext('adder', 'adder');
  #device!: AccelDevice<AdderHw>;
  #scheduler!: Scheduler<Run>;
  #running: { readonly job: Job<Run>; readonly fence: Fence } | undefined;

  constructor(bus: BusDevice, io: Mmio) {
    this.bus = bus;
    this.#io = io;
  }

  get scheduler(): Scheduler<Run> {
    return this.#scheduler;
  }

  attach(device: AccelDevice<AdderHw>): void {
    this.#device = device;
    this.#scheduler = new Scheduler<Run>({
      name: 'adder',
      device,
      credits: 1,
      timeoutNs: TIMEOUT_NS,
      run: (job) => this.#run(job),
      timedOut: (job) => this.#timedOut(job),
    });
    this.bus.dma.onFault(({ memoryError }) => {
      if (memoryError === true) device.health.eccUncorrected++;
      else device.health.dmaFaults++;
    });
  }

  #run(job: Job<Run>): Fence {
    const { client, source, target, bytes, value } = job.payload;
    const io = this.#io;
    this.bus.dma.attach(client.space.domain as Parameters<BusDevice['dma']['attach']>[0]);
    io.write32(regs.SOURCE.at, source);
    io.write32(regs.TARGET.at, target);
    io.write32(regs.BYTES.at, bytes);
    io.write32(regs.VALUE.at, value);
    const fence = this.#fences.create();
    this.#running = { job, fence };
    const { trace, name } = this.#device;
    if (trace.enabled) trace.emit(TraceStep.doorbell, { device: name, job: job.id, name: 'CONTROL' });
    regs.CONTROL.write(io, { START: 1 });
    return fence;
  }

  interrupt(): void {
    const io = this.#io;
    const pending = io.read32(regs.INTERRUPT.at);
    io.write32(regs.INTERRUPT.at, pending);
    const running = this.#running;
    if (running === undefined || pending === 0) return;
    const { trace, name, clock } = this.#device;
    if (trace.enabled) trace.emit(TraceStep.irqHandler, { device: name, job: running.job.id, name: 'adder' });
    this.#running = undefined;
    const { FAULT } = regs.STATUS.read(io);
    running.fence.signal(clock.now(), FAULT === 0 ? undefined : 'EIO');
  }

  #timedOut(job: Job<Run>): TimeoutAction {
    // The work may be done and only its interrupt lost.
    this.interrupt();
    if (this.#running === undefined) return 'no-hang';
    this.scheduler.stop(job);
    this.#running = undefined;
    regs.CONTROL.write(this.#io, { RESET: 1 });
    this.bus.dma.attach(undefined);
    job.fail('ETIME');
    // The client may go on: a hang is not held against its next job.
    job.entity.guilty = false;
    this.scheduler.start();
    return 'reset';
  }

  unplug(): void {
    this.#running = undefined;
    this.bus.dma.onFault(undefined);
  }
}

export const compatible = ['example,adder'] as const;

/** @throws AccelError ENODEV when the device does not answer with its ID */
export function probe(bus: BusDevice, core: Core): AccelDevice<AdderHw> {
  const io = bus.mmio(0);
  const { ID } = regs.ID.read(io);
  if (ID !== ADDER_ID)
    throw new AccelError('ENODEV', { call: 'probe', field: 'ID', reason: `0x${ID.toString(16)}` });
  const owned = new DisposableStack();
  const hw = new AdderHw(bus, io);
  owned.use(bus.irq(0, () => hw.interrupt()));
  try {
    const device = core.register({ driver: adder, hw, busName: bus.name });
    hw.attach(device);
    bus.onRemove(() => {
      device.unplug();
      owned.dispose();
    });
    return device;
  } catch (error) {
    owned.dispose();
    throw error;
  }
}
