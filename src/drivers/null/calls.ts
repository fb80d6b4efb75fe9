// The null driver's ioctls: create a buffer, submit commands, wait for a buffer.
// Not their layouts: abi/null.ts.
//
// errno:
//   EINVAL  unknown flags, pads, operations; ranges outside a buffer; more commands than NULL_COMMANDS_MAX; an in_sync
//           that holds no fence
//   ENOENT  no such handle of a buffer or a syncobj
//   EFAULT  `commands` does not point to the client's memory
//   ETIME   a wait or a job was not done in time; after a job's the hardware was reset
//   EIO     the device could not reach memory it should reach, or reported an error
import * as abi from '../../abi/null.js';
import { AccelError } from '../../base/errors.js';
import type { ValueOf } from '../../base/struct.js';
import { sleep, type AbortSignalLike, type GemObject } from '../../core/index.js';
import { BYTES_MAX, Op } from '../../hw/null/index.js';
import type { NullFile } from './client.js';
import { TIMEOUT_NS, type NullJob } from './device.js';

type Command = ValueOf<typeof abi.NullCommand>;

function invalid(field: string, reason: string): never {
  throw new AccelError('EINVAL', { field, reason });
}

export function gemNew(
  file: NullFile,
  args: ValueOf<typeof abi.NullGemNew>,
): Partial<ValueOf<typeof abi.NullGemNew>> {
  if (args.flags !== 0) invalid('flags', `0x${args.flags.toString(16)}, none is known`);
  if (args.size === 0n) invalid('size', '0');
  const gem = file.createGem(Number(args.size));
  try {
    const handle = file.createHandle(gem);
    return { handle, offset: file.mmapOffset(gem) };
  } finally {
    gem.put();
  }
}

/** Returns when the commands are queued; DRM_IOCTL_NULL_WAIT on a buffer waits for them. */
export async function submit(file: NullFile, args: ValueOf<typeof abi.NullSubmit>): Promise<undefined> {
  const { command_count: count, command_size: size, flags, in_sync, out_sync } = args;
  if (flags !== 0) invalid('flags', `0x${flags.toString(16)}, none is known`);
  if (count === 0 || count > abi.NULL_COMMANDS_MAX)
    invalid('command_count', `${count}, must be 1 to ${abi.NULL_COMMANDS_MAX}`);
  if (size < abi.NullCommand.size || size > 256)
    invalid('command_size', `${size}, must be ${abi.NullCommand.size} to 256`);
  if (args.timeout_ms > abi.NULL_TIMEOUT_MAX_MS)
    invalid('timeout_ms', `${args.timeout_ms}, at most ${abi.NULL_TIMEOUT_MAX_MS}`);
  const bytes = await file.readUser(args.commands, count * size);
  const own = file.own;
  const before = in_sync === 0 ? undefined : file.lookupSyncobj(in_sync).find(0n);
  if (before === 'unsubmitted') invalid('in_sync', `${in_sync} holds no fence`);
  const after = out_sync === 0 ? undefined : file.lookupSyncobj(out_sync);
  const buffers = new Map<GemObject, 'read' | 'write'>();
  const payload: NullJob = { client: own, words: [], buffers, error: undefined };

  const commands = Array.from({ length: count }, (_, i) =>
    checked(file, abi.NullCommand.from(bytes, i * size), i),
  );
  for (const { source, target } of commands) {
    if (source !== undefined && !buffers.has(source)) buffers.set(source, 'read');
    if (target !== undefined) buffers.set(target, 'write');
  }
  const job = own.entity.job(payload, {
    timeoutNs: args.timeout_ms === 0 ? TIMEOUT_NS : args.timeout_ms * 1e6,
  });
  // Nothing below fails but for want of addresses; what was mapped until then is given back.
  const mapped: GemObject[] = [];
  try {
    for (const gem of buffers.keys()) {
      own.space.map(gem);
      mapped.push(gem);
    }
  } catch (error) {
    for (const gem of mapped) own.space.unmap(gem);
    throw error;
  }
  for (const { command, source, target } of commands) {
    payload.words.push({
      op: command.op,
      value: command.value,
      src: source === undefined ? 0n : BigInt(own.space.iovaOf(source)!) + command.src_offset,
      dst: target === undefined ? 0n : BigInt(own.space.iovaOf(target)!) + command.dst_offset,
      bytes: command.bytes,
    });
  }
  for (const [gem, access] of buffers) job.addImplicitDependencies(gem, access);
  if (before !== undefined) job.addDependency(before);
  job.arm();
  after?.replace(job.finished);
  for (const [gem, access] of buffers) gem.reservation.add(job.finished, access);
  own.jobStarted();
  job.finished.onSignal(({ error }) => {
    for (const gem of mapped) {
      if (error === undefined) own.failures.delete(gem);
      else own.failures.set(gem, error);
      own.space.unmap(gem);
    }
    own.jobEnded();
  });
  own.entity.push(job);
  return undefined;
}

interface Checked {
  readonly command: Command;
  readonly source: GemObject | undefined;
  readonly target: GemObject | undefined;
}

/** What a command reads and writes, or why it cannot be. */
function checked(file: NullFile, command: Command, index: number): Checked {
  const at = (field: string): string => `commands[${index}].${field}`;
  const range = (gem: GemObject, offset: bigint, bytes: number, field: string): GemObject => {
    const end = offset + BigInt(bytes);
    if (end > BigInt(gem.size))
      invalid(at(field), `${offset} and ${bytes} bytes, the buffer has ${gem.size}`);
    return gem;
  };
  const lookup = (handle: number, field: string): GemObject => {
    try {
      return file.lookup(handle);
    } catch (cause) {
      throw new AccelError('ENOENT', { field: at(field), reason: `no buffer ${handle}`, cause });
    }
  };
  const { op, src_handle, dst_handle, src_offset, dst_offset } = command;
  const word = (handle: number, offset: bigint, side: 'src' | 'dst'): GemObject => {
    if (offset % 4n !== 0n) invalid(at(`${side}_offset`), `${offset}, must be a multiple of 4`);
    return range(lookup(handle, `${side}_handle`), offset, 4, `${side}_offset`);
  };
  if (command.bytes > BigInt(BYTES_MAX)) invalid(at('bytes'), `${command.bytes}, at most ${BYTES_MAX}`);
  const bytes = Number(command.bytes);
  switch (op) {
    case Op.NOP:
      return { command, source: undefined, target: undefined };
    case Op.COPY: {
      const source = range(lookup(src_handle, 'src_handle'), src_offset, bytes, 'src_offset');
      return {
        command,
        source,
        target: range(lookup(dst_handle, 'dst_handle'), dst_offset, bytes, 'dst_offset'),
      };
    }
    case Op.FILL:
      return {
        command,
        source: undefined,
        target: range(lookup(dst_handle, 'dst_handle'), dst_offset, bytes, 'dst_offset'),
      };
    case Op.WAIT:
      return { command, source: word(src_handle, src_offset, 'src'), target: undefined };
    case Op.FENCE:
      return { command, source: undefined, target: word(dst_handle, dst_offset, 'dst') };
    default:
      return invalid(at('op'), `${op}, at most ${Op.FENCE}`);
  }
}

/**
 * A job's error is told also to one who asks after its end: the reservation has forgotten its fence by then.
 * @throws AccelError ETIME, EINTR, and what this file's last job on the buffer ended with
 */
export async function wait(
  file: NullFile,
  args: ValueOf<typeof abi.NullWait>,
  signal?: AbortSignalLike,
): Promise<undefined> {
  if (args.pad !== 0) invalid('pad', `${args.pad}, must be 0`);
  const gem = file.lookup(args.handle);
  const fences = gem.reservation.fences('write');
  const deadline = Number(args.timeout_ns);
  for (const fence of fences) {
    if (fence.signalled) continue;
    const { clock } = file.device;
    if (deadline <= clock.now()) throw new AccelError('ETIME', { field: 'timeout_ns' });
    const inTime = await sleep((wake) => fence.onSignal(wake), { signal, clock, deadline });
    if (!inTime) throw new AccelError('ETIME', { field: 'timeout_ns' });
  }
  const error = file.own.failures.get(gem);
  if (error !== undefined)
    throw new AccelError(error, { reason: 'the last job that used the buffer failed' });
  return undefined;
}
