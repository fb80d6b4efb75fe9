// The helper thread of a reactor: sleeps in epoll_wait while it is armed, and says when something is ready.
// Not a reader: it never touches what is ready.
import { workerData } from 'node:worker_threads';
import { EpollEvents } from './sockets.js';

/** What the shared word holds. */
export const WatchState = { RESTING: 0, ARMED: 1, READY: 2, STOPPED: 3 } as const;

export interface WatcherData {
  readonly state: SharedArrayBuffer;
  readonly epoll: number;
}

/** Runs until stopped; a stop while it sleeps wants something to become ready too. */
export function watch({ state, epoll }: WatcherData): void {
  const word = new Int32Array(state);
  const events = new EpollEvents(1);
  for (;;) {
    const now = Atomics.load(word, 0);
    if (now === WatchState.STOPPED) return;
    if (now !== WatchState.ARMED) {
      Atomics.wait(word, 0, now);
      continue;
    }
    if (events.wait(epoll, -1) === 0) continue;
    Atomics.compareExchange(word, 0, WatchState.ARMED, WatchState.READY);
    Atomics.notify(word, 0);
  }
}

/* c8 ignore next 2 -- the other half of this file is imported by the reactor */
const data = workerData as { watcher?: WatcherData } | null;
if (data?.watcher !== undefined) watch(data.watcher);
