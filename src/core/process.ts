// The client process: credentials, memory, descriptors. One may open many device files.
// Not a thread of execution: it says who calls.
import type { AbortSignalLike, ClientMemory, UserMemory } from './accel-file.js';
import { FdTable } from './fd-table.js';
import { JobLimit } from './job-limit.js';
import { PlacedMemory } from './user-memory.js';

export interface ProcessOptions {
  readonly pid?: number;
  readonly uid?: number;
  /** CAP_SYS_ADMIN: counts as authenticated and may call root-only ioctls. Default false. */
  readonly admin?: boolean;
  readonly name?: string;
  /** Default: buffers of this process. */
  readonly user?: ClientMemory | (UserMemory & Partial<ClientMemory>);
  /** Default: a table of this process. */
  readonly fds?: FdTable;
  /** Unfinished jobs of its files, perhaps together with other processes' of the same client. Default: no limit. */
  readonly jobs?: JobLimit;
}

let pids = 1000;

/** Fires when either does: the caller's interrupt, or the death of its process. */
class Interrupt implements AbortSignalLike {
  readonly #process: Process;
  readonly #signal: AbortSignalLike | undefined;
  /** Made on first use: most calls never sleep. */
  #listening: Map<() => void, Disposable> | undefined;

  constructor(process: Process, signal: AbortSignalLike | undefined) {
    this.#process = process;
    this.#signal = signal;
  }

  get aborted(): boolean {
    return this.#process.killed || this.#signal?.aborted === true;
  }

  addEventListener(type: 'abort', listener: () => void): void {
    this.#signal?.addEventListener(type, listener);
    this.#listening ??= new Map();
    this.#listening.set(listener, this.#process.onKill(listener));
  }

  removeEventListener(type: 'abort', listener: () => void): void {
    this.#signal?.removeEventListener(type, listener);
    this.#listening?.get(listener)?.[Symbol.dispose]();
    this.#listening?.delete(listener);
  }
}

export class Process {
  readonly pid: number;
  readonly uid: number;
  readonly admin: boolean;
  readonly name: string;
  readonly user: ClientMemory;
  readonly fds: FdTable;
  readonly jobs: JobLimit;
  readonly #onKill = new Set<() => void>();
  #killed = false;

  constructor({
    pid,
    uid = 1000,
    admin = false,
    name = 'client',
    user,
    fds,
    jobs = new JobLimit(),
  }: ProcessOptions = {}) {
    this.pid = pid ?? ++pids;
    this.uid = uid;
    this.admin = admin;
    this.name = name;
    this.user = (user as ClientMemory | undefined) ?? new PlacedMemory();
    this.fds = fds ?? new FdTable();
    this.jobs = jobs;
  }

  /** True once it was killed: its files do not wait for their jobs when they close. */
  get killed(): boolean {
    return this.#killed;
  }

  /** SIGKILL: every open device file closes without waiting, queued jobs end with ESRCH, descriptors are closed. */
  kill(): void {
    if (this.#killed) return;
    this.#killed = true;
    // Latest first: what sleeps in a file is interrupted before the file goes.
    for (const run of [...this.#onKill].reverse()) run();
    this.fds.closeAll();
  }

  /** What interrupts a call of this process: `signal`, and being killed. */
  interrupt(signal?: AbortSignalLike): AbortSignalLike {
    return new Interrupt(this, signal);
  }

  /** Runs `run` on kill until disposed; those added last run first. */
  onKill(run: () => void): Disposable {
    this.#onKill.add(run);
    return { [Symbol.dispose]: () => void this.#onKill.delete(run) };
  }
}
