// The dispatcher: from a request number and bytes to a handler's typed arguments and back. Core fact sheet section 2.
// Not the handlers: generic ones are in core-ioctls.ts, the others in drivers.
import { DRM_COMMAND_BASE, DRM_COMMAND_END, DRM_TYPE, requestDirection, requestSize } from '../abi/ioctl.js';
import { AccelError } from '../base/errors.js';
import type { AbortSignalLike } from './accel-file.js';
import { coreIoctls } from './core-ioctls.js';
import type { IoctlEntry, Permission } from './driver.js';
import type { ClientFile } from './file.js';
import { TraceStep } from './trace.js';

/* eslint-disable @typescript-eslint/no-explicit-any -- one table holds the calls of every driver */
type AnyEntry = IoctlEntry<any, any>;
export type AnyFile = ClientFile<any, any>;
/* eslint-enable @typescript-eslint/no-explicit-any */

/** Entries by nr; holes are EINVAL. */
export type IoctlTable = readonly (AnyEntry | undefined)[];

/** The generic calls and a driver's, by number. @throws Error when a driver's number is taken or out of range */
export function ioctlTable(driver: readonly AnyEntry[]): IoctlTable {
  const table = new Array<AnyEntry | undefined>(256).fill(undefined);
  for (const entry of coreIoctls) table[entry.def.nr] = entry;
  for (const entry of driver) {
    const { nr, name } = entry.def;
    if (nr < DRM_COMMAND_BASE || nr >= DRM_COMMAND_END)
      throw new Error(`${name}: number ${nr} is not a driver's`);
    if (table[nr] !== undefined) throw new Error(`${name}: number ${nr} is ${table[nr].def.name}`);
    table[nr] = entry;
  }
  return table;
}

/** drm_ioctl_permit: accel clients are never master, only administrators are authenticated. */
function permit(permission: Permission, file: AnyFile, call: string): void {
  if (permission === 'any') return;
  if (permission !== 'master' && file.process.admin) return;
  const reason = permission === 'master' ? 'an accel client is never master' : `wants ${permission} rights`;
  throw new AccelError('EACCES', { call, reason });
}

/**
 * ioctl(2) on a device file. Matched by nr alone: caller and kernel may know different sizes of a struct. The smaller
 * part is copied in, the rest is zero, and the caller's size is copied back, also when the handler failed.
 * @throws AccelError
 */
export function dispatch(
  file: AnyFile,
  request: number,
  argument: Uint8Array | undefined,
  signal: AbortSignalLike | undefined,
): number | Promise<number> {
  const { device } = file;
  const { trace } = device;
  if (trace.enabled) {
    const name = device.ioctls[request & 0xff]?.def.name ?? `0x${(request >>> 0).toString(16)}`;
    trace.emit(TraceStep.ioctl, { device: device.name, client: file.clientId, name });
  }
  if (device.unplugged) throw new AccelError('ENODEV', { reason: `${device.name} is gone` });
  if (((request >>> 8) & 0xff) !== DRM_TYPE) {
    throw new AccelError('ENOTTY', { reason: `0x${(request >>> 0).toString(16)} is not a DRM request` });
  }
  const nr = request & 0xff;
  const entry = device.ioctls[nr];
  if (entry === undefined) {
    throw new AccelError('EINVAL', { reason: `${device.driver.name} has no call 0x${nr.toString(16)}` });
  }
  const { def } = entry;
  const { layout } = def;
  const size = requestSize(request);
  const caller = requestDirection(request);
  const kernel = requestDirection(def.request);
  const copyIn = size > 0 && caller.write && kernel.write;
  const copyOut = size > 0 && caller.read && kernel.read;
  if ((copyIn || copyOut) && (argument === undefined || argument.length < size)) {
    const reason = `${argument?.length ?? 0} bytes of argument, the request says ${size}`;
    throw new AccelError('EFAULT', { call: def.name, reason });
  }
  // The whole struct with both directions is by far the usual case: it needs no buffer in between.
  const direct = layout !== undefined && size >= layout.size && copyIn;
  let bytes: Uint8Array | undefined;
  if (layout !== undefined) {
    if (direct) bytes = argument!;
    else {
      bytes = new Uint8Array(Math.max(layout.size, size));
      if (copyIn) bytes.set(argument!.subarray(0, size));
    }
  }
  permit(entry.permission, file, def.name);
  if (trace.enabled)
    trace.emit(TraceStep.dispatch, { device: device.name, client: file.clientId, name: def.name });

  const args = layout === undefined ? {} : layout.from(bytes!);
  const finish = (result: object | undefined): number => {
    if (layout === undefined || !copyOut) return 0;
    if (result !== undefined) Object.assign(args, result);
    layout.put(bytes!, args);
    if (!direct) argument!.set(bytes!.subarray(0, size));
    return 0;
  };
  const fail = (error: unknown): never => {
    finish(undefined);
    if (error instanceof AccelError) throw error.in(def.name);
    device.health.defect(error);
    throw new AccelError('EIO', { call: def.name, reason: 'the driver has a defect', cause: error });
  };
  let result: object | undefined | Promise<object | undefined>;
  try {
    result = entry.handler(file, args as never, signal);
  } catch (error) {
    return fail(error);
  }
  if (result instanceof Promise) return result.then(finish, fail);
  return finish(result);
}
