// The job scheduler: one per hardware ring. drm_sched's rules, core fact sheet section 7.
// Not a driver: how a job is started and how a hang is undone, the driver's callbacks know.
import { AccelError, type ErrnoName } from '../base/errors.js';
import type { AccelDevice, DeviceScheduler } from './device.js';
import { Entity, type EntityOptions } from './entity.js';
import type { Fence } from './fence.js';
import { Histogram } from './histogram.js';
import type { Job } from './job.js';
import { RunQueue } from './run-queue.js';
import { TraceStep } from './trace.js';
import { BusyTime } from './usage.js';

/** What a hang handler found: handled by a reset, a false alarm, or the device is gone. */
export type TimeoutAction = 'reset' | 'no-hang' | 'gone';

export interface SchedulerOptions<P> {
  /** The engine's name in fdinfo and traces, and the timeline's name of its fences. */
  readonly name: string;
  readonly device: AccelDevice<any>; // eslint-disable-line @typescript-eslint/no-explicit-any -- any driver's
  /** Room on the ring: credits of jobs that run at a time. */
  readonly credits: number;
  /** From when a job is the oldest on the ring to when it counts as hung. Infinity: never. */
  readonly timeoutNs: number;
  /** Between entities of one priority: the oldest job first, or in turn. Default `fifo`. */
  readonly policy?: 'fifo' | 'rr';
  /** Hangs an entity is forgiven before it is guilty. Default 0. */
  readonly hangLimit?: number;
  /**
   * Starts a job. Returns the fence of the hardware, or undefined when the job is done already.
   * @throws AccelError the job failed
   */
  run(job: Job<P>): Fence | undefined;
  /**
   * A job ran past its limit. Usual handler: stop(job), reset the hardware, job.fail, resubmit() perhaps, start().
   * No other timeout is reported until it settles.
   */
  timedOut(job: Job<P>): TimeoutAction | Promise<TimeoutAction>;
}

export interface SchedulerStats {
  /** Jobs pushed and not yet run. */
  readonly queued: number;
  readonly running: number;
  readonly submitted: number;
  readonly finished: number;
  /** Of those finished: with an error. */
  readonly failed: number;
  readonly timeouts: number;
}

/** Jobs of many entities on one ring. Runs jobs only from work it posts to the clock, never inside push or a fence. */
export class Scheduler<P> implements DeviceScheduler {
  readonly name: string;
  readonly device: AccelDevice<any>; // eslint-disable-line @typescript-eslint/no-explicit-any -- as above
  readonly credits: number;
  readonly timeoutNs: number;
  /** Time with at least one job on the ring. */
  readonly busy = new BusyTime();
  /** Nanoseconds from push to finish. */
  readonly latency = new Histogram();
  readonly #policy: 'fifo' | 'rr';
  readonly #hangLimit: number;
  readonly #run: (job: Job<P>) => Fence | undefined;
  readonly #timedOut: (job: Job<P>) => TimeoutAction | Promise<TimeoutAction>;
  readonly #entities = new Set<Entity<P>>();
  readonly #runQueue = new RunQueue<Entity<P>>();
  /** On the ring, oldest first. */
  readonly #ring = new Set<Job<P>>();
  readonly #work = (): void => this.#runReady();
  #free: number;
  #order = 0;
  #turn = 0;
  #queued = 0;
  #submitted = 0;
  #finished = 0;
  #failed = 0;
  #timeouts = 0;
  #posted = false;
  #stopped = false;
  #lost: ErrnoName | undefined;
  #handling = false;
  #deadline = Infinity;
  #armedFor = Infinity;
  #timer: Disposable | undefined;

  constructor(options: SchedulerOptions<P>) {
    this.name = options.name;
    this.device = options.device;
    this.credits = options.credits;
    this.timeoutNs = options.timeoutNs;
    this.#policy = options.policy ?? 'fifo';
    this.#hangLimit = options.hangLimit ?? 0;
    this.#run = (job) => options.run(job);
    this.#timedOut = (job) => options.timedOut(job);
    this.#free = options.credits;
    this.device.addScheduler(this);
  }

  entity(options: EntityOptions<P> = {}): Entity<P> {
    const entity = new Entity(this, options);
    for (const scheduler of entity.schedulers) scheduler.#entities.add(entity);
    return entity;
  }

  get stats(): SchedulerStats {
    return {
      queued: this.#queued,
      running: this.#ring.size,
      submitted: this.#submitted,
      finished: this.#finished,
      failed: this.#failed,
      timeouts: this.#timeouts,
    };
  }

  /** Jobs queued and running: what a new job would stand behind. */
  get load(): number {
    return this.#queued + this.#ring.size;
  }

  /** Jobs on the ring, oldest first. */
  get running(): ReadonlySet<Job<P>> {
    return this.#ring;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Set once the hardware is gone: what every job ends with. */
  get lost(): ErrnoName | undefined {
    return this.#lost;
  }

  /**
   * No job is run any more, and those on the ring are cut off from the hardware: its late completions do nothing.
   * `bad` is the job that hung: its entity's karma rises, past the limit the entity is guilty.
   */
  stop(bad?: Job<P>): void {
    this.#stopped = true;
    this.#deadline = Infinity;
    for (const job of this.#ring) {
      job.subscription?.[Symbol.dispose]();
      job.subscription = undefined;
      job.hardware = 'lost';
    }
    if (bad === undefined || bad.entity.priority === 'kernel') return;
    if (++bad.entity.karma > this.#hangLimit) bad.entity.guilty = true;
  }

  /** Between stop and start: runs the jobs on the ring again, in order. Not those of a guilty entity, and not failed ones. */
  resubmit(): void {
    for (const job of this.#ring) {
      if (job.entity.guilty) job.fail('ECANCELED');
      if (job.error === undefined) job.hardware = this.#handOver(job) ?? 'done';
    }
  }

  /** Goes on after stop. Jobs on the ring that were not resubmitted end with their own error, else with `error`. */
  start(error: ErrnoName = 'ECANCELED'): void {
    if (this.#lost !== undefined) return;
    this.#stopped = false;
    for (const job of [...this.#ring]) {
      if (job.hardware === 'lost') this.#finish(job, error);
      else this.#attach(job);
    }
    this.#restartTimer();
    this.#kick();
  }

  /** The hardware is gone: every job ends with `error`, queued or running, now and from now on. */
  gone(error: ErrnoName): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.stop();
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#runQueue.clear();
    for (const job of [...this.#ring]) this.#finish(job, error);
    for (const entity of this.#entities) if (entity.scheduler === this) entity.abandon(error);
  }

  /** For the entity: counts a pushed job. */
  accept(job: Job<P>): void {
    job.order = ++this.#order;
    job.pushedAt = this.device.clock.now();
    this.#submitted++;
    this.#queued++;
  }

  /** For the entity: its head has no dependency left. */
  ready(entity: Entity<P>): void {
    if (entity.queued) return;
    entity.queued = true;
    const key = this.#policy === 'fifo' ? entity.head!.order : ++this.#turn;
    this.#runQueue.push(entity.priority, key, entity);
    this.#kick();
  }

  /** For the entity: ends a job that has not been run. */
  finishUnrun(job: Job<P>, error: ErrnoName): void {
    this.#queued--;
    job.fail(error);
    const now = this.device.clock.now();
    job.scheduled.signal(now, error);
    this.#conclude(job, job.error, now);
  }

  /** For the entity: it has no more jobs to come. */
  remove(entity: Entity<P>): void {
    this.#entities.delete(entity);
    if (this.#ring.size === 0) this.#disarm();
  }

  #kick(): void {
    if (this.#posted || this.#stopped) return;
    this.#posted = true;
    this.device.clock.post(this.#work);
  }

  #runReady(): void {
    // Stays posted meanwhile: what becomes ready in the loop is found by the loop.
    while (!this.#stopped) {
      const entity = this.#runQueue.first;
      if (entity === undefined) break;
      const job = entity.head;
      if (job !== undefined && job.credits > this.#free) break;
      this.#runQueue.pop();
      entity.queued = false;
      if (job === undefined) continue;
      // The entity's next job is queued behind this one before anything can run in between.
      entity.take();
      this.#queued--;
      this.#begin(job);
    }
    this.#posted = false;
  }

  #begin(job: Job<P>): void {
    const { clock, trace, name } = this.device;
    const now = clock.now();
    const { entity } = job;
    job.scheduled.signal(now, job.error);
    if (entity.guilty) job.fail('ECANCELED');
    entity.lastScheduled = job.finished;
    if (job.error !== undefined) {
      this.#conclude(job, job.error, now);
      return;
    }
    job.runAt = now;
    this.#free -= job.credits;
    this.#ring.add(job);
    this.busy.start(now);
    entity.file?.busy(this.name).start(now);
    if (trace.enabled) {
      trace.emit(TraceStep.jobRun, {
        device: name,
        client: entity.file?.clientId,
        job: job.id,
        name: this.name,
      });
    }
    if (this.#ring.size === 1) this.#restartTimer();
    try {
      this.device.power.get();
    } catch (error) {
      job.fail(this.#errorOf(error));
    }
    job.hardware = job.error === undefined ? (this.#handOver(job) ?? 'done') : 'done';
    // The driver may have found the device dead and stopped the scheduler: then start or gone ends the job.
    if (this.#stopped) {
      if (this.#ring.has(job)) job.hardware = 'lost';
      return;
    }
    this.#attach(job);
  }

  /** The driver's run; an error becomes the job's. */
  #handOver(job: Job<P>): Fence | undefined {
    try {
      return this.#run(job);
    } catch (error) {
      job.fail(this.#errorOf(error));
      return undefined;
    }
  }

  #errorOf(error: unknown): ErrnoName {
    if (error instanceof AccelError) return error.code;
    this.device.health.defect(error);
    return 'EIO';
  }

  #attach(job: Job<P>): void {
    const { hardware } = job;
    if (typeof hardware === 'string') {
      this.#finish(job, undefined);
      return;
    }
    job.subscription = hardware.onSignal((fence) => {
      job.subscription = undefined;
      this.#finish(job, fence.error);
    });
  }

  /** A job leaves the ring. */
  #finish(job: Job<P>, error: ErrnoName | undefined): void {
    if (!this.#ring.delete(job)) return;
    const now = this.device.clock.now();
    this.#free += job.credits;
    this.busy.stop(now);
    job.entity.file?.busy(this.name).stop(now);
    this.device.power.put();
    this.#conclude(job, job.error ?? error, now);
    if (this.#stopped) return;
    this.#restartTimer();
    this.#kick();
  }

  #conclude(job: Job<P>, error: ErrnoName | undefined, now: number): void {
    const { trace, name } = this.device;
    this.#finished++;
    if (error !== undefined) this.#failed++;
    this.latency.add(now - job.pushedAt);
    if (trace.enabled) {
      const client = job.entity.file?.clientId;
      trace.emit(TraceStep.jobDone, { device: name, client, job: job.id, name: this.name, detail: error });
    }
    job.finished.signal(now, error);
    job.entity.finished();
  }

  /** The limit of the oldest job begins anew. The clock's timer is left as it is when it fires early enough. */
  #restartTimer(): void {
    this.#deadline = Infinity;
    if (this.#handling) return;
    for (const job of this.#ring) {
      if (job.timeoutNs === Infinity) return;
      this.#deadline = this.device.clock.now() + job.timeoutNs;
      break;
    }
    if (this.#deadline < this.#armedFor) this.#arm();
    else if (this.#ring.size === 0 && this.#entities.size === 0) this.#disarm();
  }

  #arm(): void {
    const { clock } = this.device;
    this.#timer?.[Symbol.dispose]();
    this.#armedFor = this.#deadline;
    this.#timer = clock.after(this.#deadline - clock.now(), () => {
      this.#timer = undefined;
      this.#armedFor = Infinity;
      if (this.#deadline > clock.now()) {
        if (this.#deadline !== Infinity) this.#arm();
      } else this.#timeout();
    });
  }

  #disarm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#armedFor = Infinity;
    this.#deadline = Infinity;
  }

  #timeout(): void {
    const [job] = this.#ring;
    if (job === undefined || this.#stopped) return;
    this.#timeouts++;
    this.#handling = true;
    this.#deadline = Infinity;
    const failed = (error: unknown): void => {
      this.device.health.defect(error);
      this.#handling = false;
      this.gone('EIO');
    };
    try {
      const action = this.#timedOut(job);
      if (action instanceof Promise) action.then((settled) => this.#handled(job, settled), failed);
      else this.#handled(job, action);
    } catch (error) {
      failed(error);
    }
  }

  #handled(job: Job<P>, action: TimeoutAction): void {
    this.#handling = false;
    const { health } = this.device;
    if (action !== 'no-hang') health.hangs++;
    if (action === 'gone') {
      this.gone('ENODEV');
      return;
    }
    if (action === 'reset') health.resets++;
    if (this.#stopped) return;
    // A handler that did not stop the scheduler but failed the job: it is over.
    if (job.error !== undefined && this.#ring.has(job)) {
      job.subscription?.[Symbol.dispose]();
      this.#finish(job, job.error);
    }
    this.#restartTimer();
  }
}
