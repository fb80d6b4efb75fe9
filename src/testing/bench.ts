// One case's bench: a fresh system, its clients, and time that moves exactly as far as something waits for it.
// Not a runner: suite.ts makes one per case.
import type { ErrnoName } from '../base/errors.js';
import {
  Process,
  type AbortSignalLike,
  type AccelDevice,
  type LocalFile,
  type Mapping,
  type ProcessOptions,
} from '../core/index.js';
import type { DriverAdapter, JobRequest, SuiteBuffer, SuiteJob } from './adapter.js';
import { ConformanceError, outcomeOf, same, sameBytes, type Outcome } from './check.js';
import { map } from './calls.js';
import type { EngineKind, SuiteSystem } from './system.js';

/** Steps of time after which a call counts as never ending. */
const STEPS_MAX = 1_000_000;
/** Turns without anything to wait for after which nothing can come any more. */
const IDLE_TURNS = 4;

export class Bench {
  readonly system: SuiteSystem;
  readonly adapter: DriverAdapter;
  readonly engines: EngineKind;
  /** DRAM in use before the first client came. */
  readonly usedAtStart: number;
  readonly #files: LocalFile[] = [];

  constructor(system: SuiteSystem, adapter: DriverAdapter, engines: EngineKind) {
    this.system = system;
    this.adapter = adapter;
    this.engines = engines;
    this.usedAtStart = system.core.memory.used;
  }

  /** What a job that hung ends with. */
  get hang(): ErrnoName {
    return this.adapter.errnos?.hang ?? 'ETIME';
  }

  /** What a call that a signal interrupts ends with. */
  get interrupted(): ErrnoName {
    return this.adapter.errnos?.interrupted ?? 'EINTR';
  }

  get accel(): AccelDevice {
    return this.system.accel;
  }

  get used(): number {
    return this.system.core.memory.used;
  }

  /** A client with a process of its own, or of `process`; closed with the bench. */
  open(process: Process | ProcessOptions = {}, device: AccelDevice = this.accel): LocalFile {
    const owner = process instanceof Process ? process : new Process(process);
    const file = this.system.core.open(device, owner);
    this.#files.push(file);
    return file;
  }

  buffer(file: LocalFile, bytes = 4096): Promise<SuiteBuffer> {
    return this.finish(this.adapter.createBuffer(file, bytes));
  }

  map(file: LocalFile, buffer: SuiteBuffer): Promise<Mapping> {
    return this.finish(map(file, buffer));
  }

  job(file: LocalFile, request: JobRequest = {}): Promise<SuiteJob> {
    return this.finish(this.adapter.aJob(file, { seed: 1, timeoutMs: 500, ...request }));
  }

  /** Runs the job and looks at its result. */
  async done(job: SuiteJob, what = 'the job'): Promise<void> {
    same(await this.outcome(job.run()), 'ok', what);
    sameBytes(job.result, job.expected, `${what}: result`);
  }

  /** Waits for `promise`, moving the clock to the next timer whenever nothing else is left to happen. */
  async finish<T>(promise: Promise<T>): Promise<T> {
    const { system } = this;
    const { clock } = system;
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    for (let steps = 0, idle = 0; steps < STEPS_MAX;) {
      await system.turn();
      if (settled) return promise;
      if (system.inFlight() > 0) continue;
      const { next } = clock;
      if (next === undefined) {
        if (++idle > IDLE_TURNS) throw new ConformanceError('a call never ends: nothing is left to wait for');
        continue;
      }
      idle = 0;
      steps++;
      clock.advance(Math.max(0, next - clock.now()));
    }
    throw new ConformanceError(`a call never ends: ${STEPS_MAX} timers passed`);
  }

  /** How a call ends; the clock moves as in finish. */
  outcome(promise: Promise<unknown>): Promise<Outcome> {
    return this.finish(outcomeOf(promise));
  }

  /** Lets everything happen that needs no time. */
  async rest(): Promise<void> {
    do await this.system.turn();
    while (this.system.inFlight() > 0);
    await this.system.turn();
  }

  /** Every file and thing closed: what the device and the core hold must be what they held at the start. */
  async closeAll(): Promise<void> {
    const files = this.#files.splice(0);
    for (const file of files) await this.finish(file.close());
    // The end of each process closes its descriptors.
    for (const file of files) file.client.process.kill();
    await this.rest();
  }

  /** The end of every case: no defect, nothing left open. Not for cases that keep a mapping. */
  async verify(): Promise<void> {
    await this.closeAll();
    const { health } = this.accel;
    if (health.defects > 0)
      throw new ConformanceError(`${health.defects} exceptions in callbacks: ${String(health.lastDefect)}`);
    same(this.accel.files.size, 0, 'open files after all were closed');
    // A driver whose device is gone has given back memory of its own too.
    if (!this.accel.unplugged || this.used > this.usedAtStart)
      same(this.used, this.usedAtStart, 'bytes of DRAM in use after all files were closed');
  }

  dispose(): void {
    this.system[Symbol.dispose]();
  }
}

/** An AbortSignal that a case fires: no platform type exists here. */
export class Interrupt implements AbortSignalLike {
  aborted = false;
  readonly #listeners = new Set<() => void>();

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.delete(listener);
  }

  fire(): void {
    this.aborted = true;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Nobody listens any more. */
  get quiet(): boolean {
    return this.#listeners.size === 0;
  }
}
