// DRM_IOCTL_NVDLA_SUBMIT: makes a job of the first task and waits for it.
// Not the uAPI's layout: that is abi/nvdla.ts.
//
// As in the kernel driver the call returns when the task is done, only the first of `num_tasks` tasks is run, and
// `version` is not looked at: descriptors are read in today's layout, a program with older ones (28-byte data cubes,
// DLA blob 0.11 and before) converts them before it submits.
// Unlike it: `timeout` counts, up to ten minutes; every layer is checked before the first is programmed; and dependency counts are run
// down in a copy, so that a task may be submitted again as it is.
//
// errno:
//   EINVAL  arguments; a descriptor that is wrong (the firmware's DLA_ERR_INVALID_INPUT, _INVALID_TASK,
//           _INVALID_DESC_VER): the message names the field; layers that wait for each other
//   EBADF   an entry of the address list that is used is not a descriptor of the process
//   EFAULT  `tasks` or `address_list` do not point to the client's memory
//   ENOMEM, ENOSPC  no memory, no device addresses (DLA_ERR_NO_MEM)
//   ETIME   the task was not done in time; the hardware was reset
//   EIO     the device touched memory it may not, or a unit did not become ready; the hardware was reset
//   ENODEV  the device is gone
//   EINTR   the caller was interrupted; the task runs on
import { AccelError } from '../../base/errors.js';
import {
  NVDLA_MAX_BUFFERS_PER_TASK,
  NVDLA_MAX_TASKS_PER_SUBMIT,
  NVDLA_NO_TIMEOUT,
  NVDLA_SUBMIT_FLAGS_ATOMIC,
  NvdlaMemHandle,
  NvdlaSubmitArgs,
  NvdlaTask,
} from '../../abi/nvdla.js';
import type { ValueOf } from '../../base/struct.js';
import { TraceStep, type AbortSignalLike } from '../../core/index.js';
import { Addresses } from './addresses.js';
import type { NvdlaFile } from './client.js';
import { DEFAULT_TIMEOUT_NS, MAX_TIMEOUT_NS, type TaskJob } from './device.js';

export async function submit(
  file: NvdlaFile,
  args: ValueOf<typeof NvdlaSubmitArgs>,
  signal?: AbortSignalLike,
): Promise<undefined> {
  if (args.tasks === 0n) throw new AccelError('EINVAL', { field: 'tasks', reason: 'null' });
  between('num_tasks', args.num_tasks, 1, NVDLA_MAX_TASKS_PER_SUBMIT);
  if ((args.flags & ~NVDLA_SUBMIT_FLAGS_ATOMIC) !== 0) {
    throw new AccelError('EINVAL', { field: 'flags', reason: `0x${args.flags.toString(16)}` });
  }
  const { num_addresses, timeout, address_list } = NvdlaTask.from(
    await file.readUser(args.tasks, NvdlaTask.size),
  );
  between('num_addresses', num_addresses, 1, NVDLA_MAX_BUFFERS_PER_TASK);
  const list = await file.readUser(address_list, num_addresses * NvdlaMemHandle.size);
  await file.process.fds.fetch(descriptorsOf(list));

  const { own, device } = file;
  const { trace } = device;
  const mapped = (iova: number, bytes: number): void =>
    trace.emit(TraceStep.bufferMapped, {
      device: device.name,
      client: file.clientId,
      detail: `0x${iova.toString(16)}, ${bytes} bytes`,
    });
  const task = device.hw.reader.read(
    new Addresses(list, own.space, (fd) => file.dmaBuf(fd), trace.enabled ? mapped : undefined),
  );
  const payload: TaskJob = { task, domain: own.domain, busy: own.busy, error: undefined };
  const timeoutNs =
    timeout === 0 || timeout === NVDLA_NO_TIMEOUT
      ? DEFAULT_TIMEOUT_NS
      : Math.min(timeout * 1e6, MAX_TIMEOUT_NS);
  let job;
  try {
    job = own.entity.job(payload, { timeoutNs });
  } catch (error) {
    task[Symbol.dispose]();
    throw error;
  }
  job.arm();
  own.jobStarted();
  // Not in a finally: an interrupted caller leaves, its buffers stay mapped until the hardware is done with them.
  job.finished.onSignal(() => {
    task[Symbol.dispose]();
    own.jobEnded();
  });
  own.entity.push(job);
  await job.finished.wait(signal);
  const { error } = job.finished;
  if (error !== undefined) {
    throw payload.error?.code === error
      ? payload.error
      : new AccelError(error, { reason: 'the task did not run to its end' });
  }
  return undefined;
}

/** The numbers in an address list, each once. */
function descriptorsOf(list: Uint8Array): Set<number> {
  const view = new DataView(list.buffer, list.byteOffset, list.byteLength);
  const fds = new Set<number>();
  for (let at = 0; at < list.length; at += NvdlaMemHandle.size)
    fds.add(view.getInt32(at + NvdlaMemHandle.offsets.handle, true));
  return fds;
}

function between(field: string, value: number, min: number, max: number): void {
  if (value < min || value > max) {
    throw new AccelError('EINVAL', { field, reason: `${value}, must be ${min} to ${max}` });
  }
}
