// What one process of the system holds of the daemon's, and how much of it it may: whichever keys it says HELLO with.
// Not a client: client.ts. A process that closes its connections still holds what it was given.
import { readFileSync } from 'node:fs';
import { AccelError, type ErrnoName } from '../../base/errors.js';
import { JobLimit } from '../../core/index.js';
import type { Credentials } from '../wire/sockets.js';

/** What one process may have at most. */
export interface Limits {
  /** Descriptors of ours: EMFILE. As many connections: more are hung up. */
  readonly files: number;
  /** Bytes of buffers: ENOMEM. */
  readonly bytes: number;
  /** Buffers, each of which costs this process two descriptors and two mappings: ENOMEM. */
  readonly buffers: number;
  /** Unfinished jobs of all its files: EAGAIN. */
  readonly jobs: number;
}

export const DEFAULT_LIMITS: Limits = { files: 8192, bytes: 2 ** 31, buffers: 8192, jobs: 4096 };

export class Account {
  readonly jobs: JobLimit;
  readonly #limits: Limits;
  #connections = 0;
  #files = 0;
  #buffers = 0;
  #bytes = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
    this.jobs = new JobLimit(limits.jobs);
  }

  /** True when it holds nothing. */
  get idle(): boolean {
    return this.#connections + this.#files + this.#buffers + this.jobs.unfinished === 0;
  }

  /** Each wants one dropConnection. @throws AccelError EMFILE */
  addConnection(): void {
    if (this.#connections >= this.#limits.files)
      throw new AccelError('EMFILE', { reason: `this process has ${this.#connections} connections` });
    this.#connections++;
  }

  dropConnection(): void {
    this.#connections--;
  }

  /** A descriptor of ours goes to it. Each wants one dropFile. @throws AccelError EMFILE */
  addFile(): void {
    if (this.#files >= this.#limits.files)
      throw new AccelError('EMFILE', { reason: `this process has ${this.#files} descriptors of ours` });
    this.#files++;
  }

  dropFile(): void {
    this.#files--;
  }

  /** A buffer is made for it. Each wants one dropBuffer. @throws AccelError ENOMEM */
  addBuffer(bytes: number): void {
    const { bytes: mostBytes, buffers: mostBuffers } = this.#limits;
    const reason =
      this.#bytes + bytes > mostBytes
        ? `${bytes} bytes, this process has ${this.#bytes} of at most ${mostBytes}`
        : this.#buffers >= mostBuffers
          ? `this process has ${this.#buffers} buffers`
          : undefined;
    if (reason !== undefined) throw new AccelError('ENOMEM', { field: 'size', reason });
    this.#bytes += bytes;
    this.#buffers++;
  }

  dropBuffer(bytes: number): void {
    this.#bytes -= bytes;
    this.#buffers--;
  }
}

export class Accounts {
  readonly #limits: Limits;
  readonly #accounts = new Map<string, Account>();
  #refused: ErrnoName | undefined;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Processes that hold something. */
  get size(): number {
    return this.#accounts.size;
  }

  /** Jobs of all that are not finished. */
  get unfinished(): number {
    let jobs = 0;
    for (const account of this.#accounts.values()) jobs += account.jobs.unfinished;
    return jobs;
  }

  /** The account of the process at the other end; processes of other PID namespaces have one per user. */
  of({ pid, uid }: Credentials): Account {
    const key = `${uid}:${pid}:${startTime(pid)}`;
    const known = this.#accounts.get(key);
    if (known !== undefined) return known;
    for (const [other, account] of this.#accounts) if (account.idle) this.#accounts.delete(other);
    const account = new Account(this.#limits);
    account.jobs.refused = this.#refused;
    this.#accounts.set(key, account);
    return account;
  }

  /** No job begins any more: `error` to whoever tries. */
  refuseJobs(error: ErrnoName): void {
    this.#refused = error;
    for (const account of this.#accounts.values()) account.jobs.refused = error;
  }
}

/** Clock ticks from boot to when the process began: a number that is used again is another process. '' when it is gone. */
function startTime(pid: number): string {
  if (pid === 0) return '';
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name may hold anything, also parentheses; starttime is the 20th field after it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
