// Where daemon and clients meet unless told otherwise.
// Not the daemon.
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where a daemon listens unless told: $XDG_RUNTIME_DIR/accel.sock, or one per user in the temporary folder. */
export function defaultSocket(): string {
  const { XDG_RUNTIME_DIR: runtime } = process.env;
  return runtime === undefined || runtime === ''
    ? join(tmpdir(), `accel-${process.getuid?.() ?? 0}.sock`)
    : join(runtime, 'accel.sock');
}
