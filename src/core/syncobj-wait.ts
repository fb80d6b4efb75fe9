// Waiting for several syncobjs: any or all, submitted or not, with a deadline. drm_syncobj_array_wait_timeout.
// Not the ioctls: they check arguments and look up handles.
import {
  DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL as ALL,
  DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE as AVAILABLE,
  DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT as FOR_SUBMIT,
} from '../abi/drm.js';
import type { Clock } from '../base/clock.js';
import { AccelError } from '../base/errors.js';
import type { AbortSignalLike } from './accel-file.js';
import type { Fence } from './fence.js';
import type { Syncobj } from './syncobj.js';
import { sleep } from './wait.js';

/** What first_signaled holds when none had signalled on entry. */
export const NONE_SIGNALED = 0xffffffff;

interface Entry {
  readonly syncobj: Syncobj;
  readonly point: bigint;
  /** What was found is a snapshot: a later reset or replace of the syncobj does not change this wait. */
  fence: Fence | 'signalled' | undefined;
}

export interface SyncobjWait {
  readonly syncobjs: readonly Syncobj[];
  /** Absent: all 0. */
  readonly points?: readonly bigint[];
  readonly flags: number;
  /** Absolute clock nanoseconds; past or 0 polls once. */
  readonly timeout: bigint;
  readonly clock: Clock;
  readonly signal?: AbortSignalLike | undefined;
}

/** Absolute int64 nanoseconds as the clock counts them; what it cannot reach is never. */
export function clockTime(ns: bigint): number {
  return ns > BigInt(Number.MAX_SAFE_INTEGER) ? Infinity : Number(ns);
}

function look(entry: Entry): void {
  const found = entry.syncobj.find(entry.point);
  if (found !== 'unsubmitted') entry.fence = found ?? 'signalled';
}

/**
 * Resolves to first_signaled: any: the first done; all: the first that was done on entry, else NONE_SIGNALED.
 * @throws AccelError EINVAL for a point that is not submitted, without a flag to wait for it; ETIME; EINTR
 */
export async function waitSyncobjs(options: SyncobjWait): Promise<number> {
  const { syncobjs, points, flags, timeout, clock, signal } = options;
  const all = (flags & ALL) !== 0;
  const available = (flags & AVAILABLE) !== 0;
  const entries = syncobjs.map((syncobj, i): Entry => {
    const entry: Entry = { syncobj, point: points?.[i] ?? 0n, fence: undefined };
    look(entry);
    if (entry.fence === undefined && (flags & (FOR_SUBMIT | AVAILABLE)) === 0) {
      const reason = `entry ${i}: nothing is submitted for point ${entry.point}`;
      throw new AccelError('EINVAL', { field: 'handles', reason });
    }
    return entry;
  });
  const done = ({ fence }: Entry): boolean =>
    fence !== undefined && (available || fence === 'signalled' || fence.signalled);
  const satisfied = (): boolean => (all ? entries.every(done) : entries.some(done));
  const first = entries.findIndex(done);

  if (!satisfied()) {
    const deadline = clockTime(timeout);
    const late = new AccelError('ETIME', { field: 'timeout_nsec', reason: `at ${timeout} ns` });
    if (deadline <= clock.now()) throw late;
    const subscribe = (wake: () => void): Disposable => {
      const held: Disposable[] = [];
      const check = (): void => {
        if (satisfied()) wake();
      };
      const attach = (entry: Entry): void => {
        if (entry.fence === undefined) {
          const waiting = entry.syncobj.onChange(() => {
            look(entry);
            if (entry.fence === undefined) return;
            waiting[Symbol.dispose]();
            attach(entry);
          });
          held.push(waiting);
        } else if (typeof entry.fence === 'object' && !available) held.push(entry.fence.onSignal(check));
        else check();
      };
      for (const entry of entries) attach(entry);
      return {
        [Symbol.dispose]() {
          for (const one of held) one[Symbol.dispose]();
        },
      };
    };
    if (!(await sleep(subscribe, { signal, clock, deadline }))) throw late;
  }
  const index = all ? first : entries.findIndex(done);
  return index < 0 ? NONE_SIGNALED : index;
}

/**
 * The fence of one point, for transfer and export: waits `forNs` for its submission.
 * @throws AccelError EINVAL when it is not submitted and `forNs` is 0, ETIME, EINTR
 */
export async function findFence(
  syncobj: Syncobj,
  point: bigint,
  forNs: number,
  clock: Clock,
  signal?: AbortSignalLike,
): Promise<Fence | undefined> {
  const found = syncobj.find(point);
  if (found !== 'unsubmitted') return found;
  if (forNs === 0) {
    throw new AccelError('EINVAL', { field: 'handle', reason: `nothing is submitted for point ${point}` });
  }
  let late: Fence | 'unsubmitted' | undefined = found;
  const subscribe = (wake: () => void): Disposable =>
    syncobj.onChange(() => {
      late = syncobj.find(point);
      if (late !== 'unsubmitted') wake();
    });
  const came = await sleep(subscribe, { signal, clock, deadline: clock.now() + forNs });
  if (!came || late === 'unsubmitted')
    throw new AccelError('ETIME', { reason: `point ${point} did not come` });
  return late;
}
