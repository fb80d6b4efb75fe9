// A client's queue on a scheduler, FIFO inside. drm_sched_entity.
// Not a hardware queue: several entities share one ring, or one entity several rings.
import { AccelError, type ErrnoName } from '../base/errors.js';
import { FenceContext, type Fence } from './fence.js';
import type { FileEntity } from './file.js';
import type { AnyFile } from './ioctl.js';
import { Job, type JobOptions } from './job.js';
import type { JobLimit } from './job-limit.js';
import type { Priority } from './run-queue.js';
import type { Scheduler } from './scheduler.js';
import { TraceStep } from './trace.js';
import { WaitQueue } from './wait.js';

export interface EntityOptions<P> {
  /** The client it belongs to: close waits for it, busy time is accounted to it. */
  readonly file?: AnyFile;
  /** Default `normal`. */
  readonly priority?: Priority;
  /** Other schedulers it may run on (equal cores): the least loaded is chosen while nothing of it is queued or runs. */
  readonly schedulers?: readonly Scheduler<P>[];
}

/** Made by Scheduler.entity. */
export class Entity<P> implements FileEntity {
  readonly file: AnyFile | undefined;
  readonly priority: Priority;
  readonly scheduledContext: FenceContext;
  readonly finishedContext: FenceContext;
  /** Its jobs end with ECANCELED instead of running. Set when one of them hung the hardware; a driver may clear it. */
  guilty = false;
  /** For the scheduler: in its run queue. */
  queued = false;
  /** For the scheduler: jobs of it that hung. */
  karma = 0;
  /** For the scheduler: the finished fence of the job that was run last. */
  lastScheduled: Fence | undefined;
  readonly #schedulers: readonly Scheduler<P>[];
  readonly #fromFile: Disposable | undefined;
  readonly #idle = new WaitQueue();
  readonly #limit: JobLimit | undefined;
  #scheduler: Scheduler<P>;
  #jobs: Job<P>[] = [];
  #first = 0;
  #unfinished = 0;
  #killed = false;
  #waiting: Disposable | undefined;

  constructor(scheduler: Scheduler<P>, { file, priority = 'normal', schedulers = [] }: EntityOptions<P>) {
    this.#scheduler = scheduler;
    this.#schedulers = [scheduler, ...schedulers.filter((other) => other !== scheduler)];
    this.file = file;
    this.#limit = file?.process.jobs;
    this.priority = priority;
    this.scheduledContext = new FenceContext('drm_sched', scheduler.name);
    this.finishedContext = new FenceContext('drm_sched', scheduler.name);
    this.#fromFile = file?.addEntity(this);
  }

  /** The scheduler its jobs go to now. */
  get scheduler(): Scheduler<P> {
    return this.#scheduler;
  }

  get schedulers(): readonly Scheduler<P>[] {
    return this.#schedulers;
  }

  get killed(): boolean {
    return this.#killed;
  }

  /** True when no job of it is queued or runs. */
  get idle(): boolean {
    return this.#unfinished === 0;
  }

  /** Jobs that have not been run. */
  get depth(): number {
    return this.#jobs.length - this.#first;
  }

  /** @throws AccelError ENOENT after kill; EAGAIN when its client has as many unfinished jobs as it may (job-limit.ts) */
  job(payload: P, { credits = 1, timeoutNs = this.#scheduler.timeoutNs }: JobOptions = {}): Job<P> {
    if (this.#killed) throw new AccelError('ENOENT', { reason: 'the entity is gone' });
    this.#limit?.admit();
    const room = Math.max(1, Math.min(credits, this.#scheduler.credits));
    return new Job(this, payload, room, timeoutNs);
  }

  /** Queues an armed job. It always finishes: with ESRCH when the entity was killed meanwhile. */
  push(job: Job<P>): void {
    if (!job.armed) throw new Error(`job ${job.id} is pushed before arm()`);
    if (this.idle && this.#schedulers.length > 1) this.#choose();
    const scheduler = this.#scheduler;
    const { device } = scheduler;
    this.#unfinished++;
    this.#limit?.begin();
    scheduler.accept(job);
    if (device.trace.enabled) {
      const { name } = scheduler;
      device.trace.emit(TraceStep.jobPushed, {
        device: device.name,
        client: this.file?.clientId,
        job: job.id,
        name,
      });
    }
    if (scheduler.lost !== undefined) {
      scheduler.finishUnrun(job, scheduler.lost);
      return;
    }
    this.#jobs.push(job);
    if (this.#killed) {
      if (this.depth === 1) this.#drain();
    } else if (this.depth === 1) this.#prepare();
  }

  /** Resolves when every job pushed has finished. */
  async flush(): Promise<void> {
    if (this.idle) return;
    await new Promise<void>((resolve) => {
      const subscription = this.#idle.add(() => {
        subscription[Symbol.dispose]();
        resolve();
      });
    });
  }

  /** No more jobs: what has not been run finishes with ESRCH, each after its dependencies. What runs, runs on. */
  kill(): void {
    if (this.#killed) return;
    this.#killed = true;
    this.#fromFile?.[Symbol.dispose]();
    this.#waiting?.[Symbol.dispose]();
    this.#waiting = undefined;
    this.#drain();
    for (const scheduler of this.#schedulers) scheduler.remove(this);
  }

  /** True for the finished and scheduled fences of its own jobs. */
  owns(fence: Fence): boolean {
    return fence.context === this.finishedContext || fence.context === this.scheduledContext;
  }

  /** For the scheduler: the job that runs next, when nothing holds it back. */
  get head(): Job<P> | undefined {
    return this.#killed ? undefined : this.#jobs[this.#first];
  }

  /** For the scheduler: takes the head out; the one after it is prepared. */
  take(): Job<P> {
    const job = this.#shift();
    if (this.depth > 0) this.#prepare();
    return job;
  }

  /** For the scheduler: a job of it has finished. */
  finished(): void {
    this.#limit?.end();
    if (--this.#unfinished === 0) this.#idle.wakeAll();
  }

  /** For the scheduler: the hardware is gone, what is queued ends with `error` now. */
  abandon(error: ErrnoName): void {
    this.#waiting?.[Symbol.dispose]();
    this.#waiting = undefined;
    while (this.depth > 0) this.#scheduler.finishUnrun(this.#shift(), error);
  }

  #shift(): Job<P> {
    const job = this.#jobs[this.#first]!;
    this.#first++;
    if (this.#first === this.#jobs.length) {
      this.#jobs.length = 0;
      this.#first = 0;
    } else if (this.#first >= 64 && this.#first * 2 > this.#jobs.length) {
      this.#jobs = this.#jobs.slice(this.#first);
      this.#first = 0;
    }
    return job;
  }

  /** Waits for the head's dependencies one by one; with none left the entity is ready. */
  #prepare(): void {
    const fence = this.#jobs[this.#first]!.unmet();
    if (fence === undefined) this.#scheduler.ready(this);
    else {
      this.#waiting = fence.onSignal(() => {
        this.#waiting = undefined;
        this.#prepare();
      });
    }
  }

  /** After kill: ends what is queued in order, behind what still runs. */
  #drain(): void {
    while (this.depth > 0) {
      const job = this.#jobs[this.#first]!;
      const last = this.lastScheduled;
      const fence = job.unmet() ?? (last?.signalled === false ? last : undefined);
      if (fence !== undefined) {
        this.#waiting = fence.onSignal(() => {
          this.#waiting = undefined;
          this.#drain();
        });
        return;
      }
      this.#scheduler.finishUnrun(this.#shift(), 'ESRCH');
    }
  }

  #choose(): void {
    for (const scheduler of this.#schedulers) {
      if (
        scheduler.lost === undefined &&
        (this.#scheduler.lost !== undefined || scheduler.load < this.#scheduler.load)
      )
        this.#scheduler = scheduler;
    }
  }
}
