// Calls on descriptors other than a device file: matched by the full request value, unlike DRM's.
// Not the device dispatcher (ioctl.ts): nothing is copied back from a call that failed.
import type { Ioctl } from '../abi/ioctl.js';
import { AccelError } from '../base/errors.js';
import type { AbortSignalLike } from './accel-file.js';
import type { OpenFile } from './fd-table.js';
import type { Process } from './process.js';

/** Handles one call of `file`, made by `process`. Returns the fields to change, or nothing. */
export type FdHandler<F, V> = (
  file: F,
  args: V,
  process: Process,
  signal: AbortSignalLike | undefined,
) => Partial<V> | undefined | Promise<Partial<V> | undefined>;

export interface FdEntry<F> {
  readonly def: Ioctl;
  readonly handler: FdHandler<F, never>;
}

export function onFd<F, V extends object>(def: Ioctl<V>, handler: FdHandler<F, V>): FdEntry<F> {
  return { def: def as Ioctl, handler: handler as FdHandler<F, never> };
}

/** @throws AccelError ENOTTY for a request not in the table, EFAULT, and the handler's */
export function fdDispatch<F extends OpenFile>(
  table: readonly FdEntry<F>[],
  file: F,
  request: number,
  argument: Uint8Array | undefined,
  process: Process,
  signal: AbortSignalLike | undefined,
): number | Promise<number> {
  const entry = table.find(({ def }) => def.request === request >>> 0);
  if (entry === undefined) {
    throw new AccelError('ENOTTY', {
      reason: `0x${(request >>> 0).toString(16)} is no call of a ${file.kind}`,
    });
  }
  const { name } = entry.def;
  const layout = entry.def.layout!;
  if (argument === undefined || argument.length < layout.size) {
    throw new AccelError('EFAULT', { call: name, reason: `${argument?.length ?? 0} bytes of argument` });
  }
  const finish = (result: object | undefined): number => {
    if (result !== undefined) layout.put(argument, result);
    return 0;
  };
  const fail = (error: unknown): never => {
    throw error instanceof AccelError ? error.in(name) : error;
  };
  try {
    const result = entry.handler(file, layout.from(argument) as never, process, signal);
    return result instanceof Promise ? result.then(finish, fail) : finish(result);
  } catch (error) {
    return fail(error);
  }
}
