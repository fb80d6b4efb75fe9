// How much of what was sent into a socket has not been received: the fuzzer's way to know that the daemon has seen it.
// Not a queue of ours: the kernel's.
import { addressOf, ioctl } from '../libc.js';

/** linux/sockios.h, SIOCOUTQ. */
const TIOCOUTQ = 0x5411;

// Large enough that the garbage collector never moves it.
const answer = new DataView(new ArrayBuffer(4096));
const pointer = addressOf(new Uint8Array(answer.buffer));

/** Bytes under way, counted as the kernel does: 0 when all was received, or nobody will. */
export function unreceived(fd: number): number {
  return ioctl(fd, TIOCOUTQ, pointer) < 0 ? 0 : answer.getInt32(0, true);
}
