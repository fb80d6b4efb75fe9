// Finds the data folder that lies beside the checkout (../shared); tests that need it say so when it is absent.
// Not a loader: callers read files themselves.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The checkout's root folder. */
export const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Absolute path of a file or folder under ../shared, or undefined when that data is not on this machine. */
export function shared(path: string): string | undefined {
  const full = fileURLToPath(new URL(`../../../../shared/${path}`, import.meta.url));
  return existsSync(full) ? full : undefined;
}

/** Test options: skip with a reason when the data is absent. */
export function needsShared(path: string): { skip: string | false } {
  return { skip: shared(path) === undefined ? `needs ../shared/${path}, which is not here` : false };
}
