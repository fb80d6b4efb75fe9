// A job of the scheduler: payload, dependencies, its two fences. drm_sched_job.
// Not the work itself: that is the payload, which only the driver knows.
import type { ErrnoName } from '../base/errors.js';
import type { Entity } from './entity.js';
import type { Fence } from './fence.js';
import type { GemObject } from './gem.js';

export interface JobOptions {
  /** Room it takes on the ring, at least 1. More than the scheduler has is cut to that. Default 1. */
  readonly credits?: number;
  /** Its own limit, instead of the scheduler's. Infinity: none. */
  readonly timeoutNs?: number;
}

let jobs = 0;

/** Made by Entity.job; then addDependency, arm, push. */
export class Job<P> {
  /** Unique in this process, for traces. */
  readonly id = ++jobs;
  readonly payload: P;
  readonly entity: Entity<P>;
  readonly credits: number;
  /** From when it is the oldest on the ring to when it counts as hung. */
  readonly timeoutNs: number;
  /** For the scheduler: place in the order of pushes. */
  order = 0;
  /** For the scheduler: clock ns of push and of run. */
  pushedAt = 0;
  runAt = 0;
  /** For the scheduler: how far the hardware is. `lost` is cut off by stop and not run again yet. */
  hardware: Fence | 'none' | 'lost' | 'done' = 'none';
  /** For the scheduler: the callback on the hardware fence. */
  subscription: Disposable | undefined;
  readonly #dependencies: Fence[] = [];
  #met = 0;
  #scheduled: Fence | undefined;
  #finished: Fence | undefined;
  #error: ErrnoName | undefined;

  constructor(entity: Entity<P>, payload: P, credits: number, timeoutNs: number) {
    this.entity = entity;
    this.payload = payload;
    this.credits = credits;
    this.timeoutNs = timeoutNs;
  }

  /** Signals when the job is handed to the driver. */
  get scheduled(): Fence {
    return this.#armed(this.#scheduled);
  }

  /** Signals when the job is over, with its error. Fences of one entity are of one context, in push order. */
  get finished(): Fence {
    return this.#armed(this.#finished);
  }

  /** The error it will finish with, set before it is over. */
  get error(): ErrnoName | undefined {
    return this.#error;
  }

  /**
   * The job waits for `fence`, whatever error that signals with. Of one context only the latest is kept; fences of
   * the job's own entity are skipped, as its jobs run in order anyway.
   */
  addDependency(fence: Fence): void {
    if (fence.signalled || this.entity.owns(fence)) return;
    const list = this.#dependencies;
    for (let i = 0; i < list.length; i++) {
      if (list[i]!.context !== fence.context) continue;
      if (fence.isLater(list[i]!)) list[i] = fence;
      return;
    }
    list.push(fence);
  }

  /** The implicit fences of `gem`: a reader waits for writers, a writer for readers too. */
  addImplicitDependencies(gem: GemObject, access: 'read' | 'write'): void {
    for (const fence of gem.reservation.fences(access)) this.addDependency(fence);
  }

  /** Gives the fences their seqno: no going back, the job must be pushed now. */
  arm(): void {
    if (this.#finished !== undefined) return;
    this.#scheduled = this.entity.scheduledContext.create();
    this.#finished = this.entity.finishedContext.create();
  }

  get armed(): boolean {
    return this.#finished !== undefined;
  }

  /** Sets the error the job finishes with; before it runs, it will not run. The first error stays. */
  fail(error: ErrnoName): void {
    this.#error ??= error;
  }

  /** For the entity: the next dependency that has not signalled. */
  unmet(): Fence | undefined {
    const list = this.#dependencies;
    while (this.#met < list.length && list[this.#met]!.signalled) this.#met++;
    return list[this.#met];
  }

  #armed(fence: Fence | undefined): Fence {
    if (fence === undefined) throw new Error(`job ${this.id} has no fences before arm()`);
    return fence;
  }
}
