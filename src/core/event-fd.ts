// eventfd(2): a counter to wait on. SYNCOBJ_EVENTFD adds to it.
// Not the host's: behind the daemon a subclass passes signal() on to the client's real one.
import { AccelError } from '../base/errors.js';
import { POLLIN, POLLOUT } from './accel-file.js';
import { OpenFile } from './fd-table.js';

export class EventFd extends OpenFile {
  readonly kind = 'eventfd';
  #count: number;

  constructor(count = 0) {
    super();
    this.#count = count;
  }

  get count(): number {
    return this.#count;
  }

  /** eventfd_signal: adds `n`. */
  signal(n: number): void {
    this.#count += n;
    this.changed();
  }

  /** read(2): the count, which is 0 afterwards. @throws AccelError EAGAIN when it is 0 */
  take(): number {
    if (this.#count === 0) throw new AccelError('EAGAIN', { call: 'read', reason: 'the counter is 0' });
    const count = this.#count;
    this.#count = 0;
    return count;
  }

  override poll(): number {
    return POLLOUT | (this.#count > 0 ? POLLIN : 0);
  }

  protected release(): void {
    // Nothing is held.
  }
}

/** @throws AccelError EINVAL when it is not an eventfd */
export function eventFdOf(file: OpenFile): EventFd {
  if (file instanceof EventFd) return file;
  throw new AccelError('EINVAL', { field: 'fd', reason: `a ${file.kind}, not an eventfd` });
}
