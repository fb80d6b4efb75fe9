// Sync objects: a box that holds zero or one fence, for clients to name, share and wait on. Core fact sheet section 5.
// Not a fence: what it holds is replaced, waiters keep what they found.
import { AccelError } from '../base/errors.js';
import type { EventFd } from './event-fd.js';
import { OpenFile } from './fd-table.js';
import { FenceChain, findPoint, signalledPoint } from './fence-chain.js';
import type { Fence } from './fence.js';
import { WaitQueue } from './wait.js';

/** A binary syncobj holds any fence, a timeline a FenceChain; the same box may be used as either. Reference counted. */
export class Syncobj {
  #fence: Fence | undefined;
  #references = 1;
  readonly #changed = new WaitQueue();
  /** What dies with the syncobj: events that have not come. */
  readonly #pending = new Set<Disposable>();

  constructor(fence?: Fence) {
    this.#fence = fence;
  }

  get(): this {
    this.#references++;
    return this;
  }

  put(): void {
    if (--this.#references > 0) return;
    this.#fence = undefined;
    for (const one of this.#pending) one[Symbol.dispose]();
    this.#pending.clear();
  }

  get fence(): Fence | undefined {
    return this.#fence;
  }

  /** Puts `fence` in, or empties the box. */
  replace(fence: Fence | undefined): void {
    if (fence === this.#fence) return;
    this.#fence = fence;
    this.#changed.wakeAll();
  }

  /** Adds a point of the timeline. */
  addPoint(point: bigint, fence: Fence): void {
    this.#fence = FenceChain.on(this.#fence, point, fence);
    this.#changed.wakeAll();
  }

  /** As findPoint, of what it holds now. Point 0 is the content itself. */
  find(point: bigint): Fence | 'unsubmitted' | undefined {
    return findPoint(this.#fence, point);
  }

  /** What QUERY reports: with `submitted` the last point added, else the last one that has signalled. */
  query(submitted: boolean): bigint {
    if (!(this.#fence instanceof FenceChain)) return 0n;
    return submitted ? this.#fence.point : signalledPoint(this.#fence);
  }

  /** Calls `wake` whenever the content changes, until disposed. */
  onChange(wake: () => void): Disposable {
    return this.#changed.add(wake);
  }

  /** Adds 1 to `event` once: when `point` has signalled, or with `available` when it exists. */
  notify(event: EventFd, point: bigint, available: boolean): void {
    let held: Disposable | undefined;
    event.get();
    const entry: Disposable = {
      [Symbol.dispose]: () => {
        held?.[Symbol.dispose]();
        this.#pending.delete(entry);
        event.put();
      },
    };
    const fire = (): void => {
      event.signal(1);
      entry[Symbol.dispose]();
    };
    const look = (): boolean => {
      const found = this.find(point);
      if (found === 'unsubmitted') return false;
      held?.[Symbol.dispose]();
      held = undefined;
      if (available || found === undefined || found.signalled) fire();
      else held = found.onSignal(fire);
      return true;
    };
    this.#pending.add(entry);
    if (!look()) held = this.onChange(look);
  }
}

/** A descriptor of the box itself: whoever imports it shares it. */
export class SyncobjFile extends OpenFile {
  readonly kind = 'syncobj_file';
  readonly syncobj: Syncobj;

  constructor(syncobj: Syncobj) {
    super();
    this.syncobj = syncobj.get();
  }

  protected release(): void {
    this.syncobj.put();
  }
}

/** @throws AccelError EINVAL when it is not a syncobj descriptor */
export function syncobjOf(file: OpenFile): Syncobj {
  if (file instanceof SyncobjFile) return file.syncobj;
  throw new AccelError('EINVAL', { field: 'fd', reason: `a ${file.kind}, not a syncobj` });
}
