// A mapping of a device's buffer as a typed array that never points to nothing.
// Not a buffer: several mappings may show the same one.
import type { Mapping } from '../../core/accel-file.js';
import { pageAlign } from '../../base/memory.js';
import {
  bufferAt,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  mmap,
  munmap,
  PROT_READ,
  PROT_WRITE,
} from '../libc.js';

const protection = PROT_READ | PROT_WRITE;

/** Address space is given back once no array over it is left. */
const collected = new FinalizationRegistry<{ at: bigint; length: number }>(({ at, length }) =>
  munmap(at, length),
);

/**
 * mmap(2), shared, readable and writable. When it is disposed the buffer is let go of, and the array shows zeros: V8 has no
 * way to take an array back from who still holds it.
 * @throws AccelError EINVAL, EACCES, ENODEV, ENOMEM
 */
export function mapBuffer(fd: number, offset: bigint, length: number): Mapping {
  const at = mmap({ length, protection, flags: MAP_SHARED, fd, offset });
  const bytes = new Uint8Array(bufferAt(at, length));
  const whole = pageAlign(length);
  collected.register(bytes.buffer, { at, length: whole });
  let mapped = true;
  return {
    bytes,
    [Symbol.dispose]: () => {
      if (!mapped) return;
      mapped = false;
      const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
      mmap({ address: at, length: whole, protection, flags });
    },
  };
}
