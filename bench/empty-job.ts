// The smallest job there is: the null device writes one word. For benchmarks of what surrounds the work.
// Not a benchmark.
import * as abi from '../src/abi/null.js';
import type { AccelFile } from '../src/core/accel-file.js';

/** One page; returns its handle. */
export async function newBuffer(file: AccelFile): Promise<number> {
  const create = abi.NullGemNew.bytes({ size: 4096n });
  await file.ioctl(abi.DRM_IOCTL_NULL_GEM_NEW.request, create);
  return abi.NullGemNew.from(create).handle;
}

/** A function that submits that many jobs, default one, and waits for the last. */
export async function emptyJob(file: AccelFile): Promise<(count?: number) => Promise<void>> {
  const handle = await newBuffer(file);
  const command = file.user.place(
    abi.NullCommand.bytes({ op: abi.NULL_OP_FENCE, dst_handle: handle, value: 1 }),
  );
  const submit = abi.NullSubmit.bytes({
    commands: command.pointer,
    command_count: 1,
    command_size: abi.NullCommand.size,
  });
  const wait = abi.NullWait.bytes({ handle, timeout_ns: 2n ** 62n });
  return async (count = 1) => {
    for (let i = 0; i < count; i++) await file.ioctl(abi.DRM_IOCTL_NULL_SUBMIT.request, submit);
    await file.ioctl(abi.DRM_IOCTL_NULL_WAIT.request, wait);
  };
}
