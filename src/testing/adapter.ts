// What the suite must know of a driver: how a buffer is made, and one small job whose result is known.
// Not a driver: adapters speak its uAPI as a program would.
import type { ErrnoName } from '../base/errors.js';
import type { AbortSignalLike, AccelFile } from '../core/index.js';

/** A buffer, by its handle. */
export interface SuiteBuffer {
  readonly handle: number;
  /** What mmap takes. */
  readonly offset: bigint;
  readonly size: number;
}

export interface JobRequest {
  /** Chooses what is computed: jobs of different seeds have different results. Default 1. */
  readonly seed?: number;
  /** The job's own limit, where jobs have such; 500 when not given. */
  readonly timeoutMs?: number;
}

/** A prepared job: its buffers hold the inputs, its result is not yet right. */
export interface SuiteJob {
  /** Its buffers. */
  readonly handles: readonly number[];
  /** The bytes the job writes, mapped, and what they must become. */
  readonly result: Uint8Array;
  readonly expected: Uint8Array;
  /** Submits and waits for the end. Can be called again. @throws AccelError what the job ended with; when interrupted, as `errnos` says */
  run(signal?: AbortSignalLike): Promise<void>;
  /** Gives back all it took: handles, descriptors, mappings, places in user memory. */
  release(): Promise<void>;
}

/** A job whose end its out-fence tells. */
export type FencedJob = Omit<SuiteJob, 'run'> & {
  /** Submits without waiting. @throws AccelError */
  submit(): Promise<void>;
};

/** Another client's buffer, as an attacker knows it. */
export interface Victim {
  readonly buffer: SuiteBuffer;
  /** Its dma-buf descriptor in the victim's process. */
  readonly fd: number;
}

/** A job that tries to reach memory that is not its client's. It must fail, or see none of it. */
export interface Attack {
  readonly what: string;
  run(): Promise<void>;
  /** Where the loot would be. */
  readonly result: Uint8Array;
}

export interface DriverAdapter {
  /** As VERSION reports it. */
  readonly driver: string;
  /** Where the uAPI has errnos of its own: for a job that hung (default ETIME), for a call interrupted (default EINTR). */
  readonly errnos?: { readonly hang?: ErrnoName; readonly interrupted?: ErrnoName };
  /** The limit of every job, milliseconds, for drivers whose jobs have none of their own: they ignore timeoutMs. */
  readonly limitMs?: number;
  createBuffer(file: AccelFile, bytes: number): Promise<SuiteBuffer>;
  aJob(file: AccelFile, request?: JobRequest): Promise<SuiteJob>;
  /** A job with fences, for drivers whose submit takes syncobjs: queued when this resolves. Absent: it takes none. */
  fencedJob?(
    file: AccelFile,
    request: JobRequest & { readonly inSync?: number; readonly outSync?: number },
  ): Promise<FencedJob>;
  /** Jobs of `file` against `victim`: foreign handles and descriptors, offsets past the end, wild addresses. */
  attacks(file: AccelFile, victim: Victim): Promise<readonly Attack[]>;
}
