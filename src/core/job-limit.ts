// How many unfinished jobs the files of one client may have together, and whether a new one may begin at all.
// Not a queue: entity.ts asks before it makes a job, and tells when one is pushed and when it is over.
import { AccelError, type ErrnoName } from '../base/errors.js';

export class JobLimit {
  /** Unfinished jobs that there may be. */
  readonly most: number;
  /** Set when no job may begin any more, whoever asks: what it is refused with. */
  refused: ErrnoName | undefined;
  #unfinished = 0;

  /** Default: no limit. */
  constructor(most = Infinity) {
    this.most = most;
  }

  /** Jobs queued and running. */
  get unfinished(): number {
    return this.#unfinished;
  }

  /** @throws AccelError EAGAIN while there are as many as there may be; `refused` when that is set */
  admit(): void {
    if (this.refused !== undefined)
      throw new AccelError(this.refused, { reason: 'no job may begin any more' });
    if (this.#unfinished >= this.most)
      throw new AccelError('EAGAIN', {
        reason: `${this.#unfinished} jobs are not finished, at most ${this.most}`,
      });
  }

  /** A job was pushed. Each wants one end. */
  begin(): void {
    this.#unfinished++;
  }

  end(): void {
    this.#unfinished--;
  }
}
