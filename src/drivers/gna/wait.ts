// DRM_IOCTL_GNA_WAIT: waits for a request and takes its result.
// Not a fence: the uAPI has none, a result is given out once.
//
// errno:
//   EINVAL     not a request of this file, or its result was given out already
//   EBUSY      not done in time, or the caller was interrupted: the request stays
//   ECANCELED  the request was cancelled while the caller waited
//   EIO        an error bit is set in hw_status; ENODATA  no answer within the recovery timeout
//   ETIMEDOUT  the device did not take the abort after the request; ENODEV  the device is gone
//   EFAULT, EINVAL  a patch that cannot be written; a GMM descriptor that is not there
import type { GnaWaitOut } from '../../abi/gna.js';
import { AccelError } from '../../base/errors.js';
import type { ValueOf } from '../../base/struct.js';
import { sleep, type AbortSignalLike } from '../../core/index.js';
import type { GnaFile } from './client.js';
import type { Request } from './request.js';

export async function wait(
  file: GnaFile,
  args: ValueOf<typeof GnaWaitOut>,
  signal?: AbortSignalLike,
): Promise<undefined> {
  // The struct is a union: what goes in lies over what comes out.
  const id = args.hw_status + args.pad * 2 ** 32;
  const timeout = Number(args.pre_processing & 0xffffffffn);
  const { requests } = file.own;
  const request = requests.get(id);
  if (request === undefined) return unknown(id);
  if (!request.over) await untilOver(file, request, timeout, signal);
  if (request.cancelled)
    throw new AccelError('ECANCELED', { field: 'request_id', reason: `${id} was cancelled` });
  if (!requests.delete(id)) return unknown(id);
  Object.assign(args, request.result);
  if (request.error !== undefined) throw request.error;
  return undefined;
}

function unknown(id: number): never {
  const reason = `${id} is not a request of this file, or its result was given out`;
  throw new AccelError('EINVAL', { field: 'request_id', reason });
}

/** @throws AccelError EBUSY */
async function untilOver(
  { device: { clock } }: GnaFile,
  { id, waiters }: Request,
  timeout: number,
  signal: AbortSignalLike | undefined,
): Promise<void> {
  const busy = (reason: string): AccelError => new AccelError('EBUSY', { field: 'request_id', reason });
  if (timeout === 0) throw busy(`${id} is not done`);
  const deadline = clock.now() + timeout * 1e6;
  let inTime: boolean;
  try {
    inTime = await sleep((wake) => waiters.add(wake), { signal, clock, deadline });
  } catch (error) {
    if (error instanceof AccelError && error.code === 'EINTR') throw busy('the wait was interrupted');
    throw error;
  }
  if (!inTime) throw busy(`${id} is not done after ${timeout} ms`);
}
