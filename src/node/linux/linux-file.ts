// A device node of the kernel below: AccelFile over open, ioctl, mmap, poll, read and close of the C library.
// Not a driver of any device: bytes go through as they are.
import { setMaxListeners } from 'node:events';
import {
  DRM_COMMAND_BASE,
  DRM_COMMAND_END,
  DRM_TYPE,
  requestNr,
  requestSize,
  requestType,
} from '../../abi/ioctl.js';
import {
  DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT,
  DRM_IOCTL_SYNCOBJ_TRANSFER,
  DRM_IOCTL_SYNCOBJ_WAIT,
} from '../../abi/drm.js';
import { AccelError, errno } from '../../base/errors.js';
import {
  POLLHUP,
  POLLIN,
  POLLRDNORM,
  type AbortSignalLike,
  type AccelFile,
  type ClientMemory,
  type Mapping,
} from '../../core/accel-file.js';
import {
  addressOf,
  close,
  errorOf,
  ioctl,
  O_CLOEXEC,
  O_EXCL,
  O_NONBLOCK,
  O_RDWR,
  open,
  poll,
  read,
  readText,
} from '../libc.js';
import { callInThread } from './call-threads.js';
import { mapBuffer } from './mapped-buffer.js';
import { Operation } from './mailbox.js';
import { NativeMemory } from './native-memory.js';

export interface LinuxOpenOptions {
  /** O_EXCL. */
  readonly exclusive?: boolean;
  /** What read() without options does when no event is there: EAGAIN instead of sleeping. */
  readonly nonblock?: boolean;
}

/** Generic calls that sleep. A driver's may all; of the generic ones these alone, so that the others need no other thread. */
const sleepers = new Set(
  [DRM_IOCTL_SYNCOBJ_WAIT, DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, DRM_IOCTL_SYNCOBJ_TRANSFER].map(({ nr }) => nr),
);

function maySleep(request: number): boolean {
  if (requestType(request) !== DRM_TYPE) return true;
  const nr = requestNr(request);
  return (nr >= DRM_COMMAND_BASE && nr < DRM_COMMAND_END) || sleepers.has(nr);
}

/** Fires when either does. */
class EitherSignal implements AbortSignalLike {
  readonly #signals: readonly AbortSignalLike[];

  constructor(...signals: (AbortSignalLike | undefined)[]) {
    this.#signals = signals.filter((signal) => signal !== undefined);
  }

  get aborted(): boolean {
    return this.#signals.some((signal) => signal.aborted);
  }

  addEventListener(type: 'abort', listener: () => void): void {
    for (const signal of this.#signals) signal.addEventListener(type, listener);
  }

  removeEventListener(type: 'abort', listener: () => void): void {
    for (const signal of this.#signals) signal.removeEventListener(type, listener);
  }
}

export class LinuxFile implements AccelFile {
  readonly user: ClientMemory = new NativeMemory();
  readonly path: string;
  readonly #fd: number;
  readonly #nonblock: boolean;
  /** Ends waits for events when the file closes. */
  readonly #closing = new AbortController();
  /** Calls that have not returned: the descriptor is theirs until they do. */
  #calls = 0;

  private constructor(path: string, fd: number, nonblock: boolean) {
    this.path = path;
    this.#fd = fd;
    this.#nonblock = nonblock;
    setMaxListeners(0, this.#closing.signal);
  }

  /**
   * open(2). The descriptor itself never blocks in read: sleeping is done where it can be interrupted.
   * @throws AccelError ENOENT, EACCES, ENODEV, EBUSY and what the driver's open says
   */
  static open(path: string, { exclusive = false, nonblock = false }: LinuxOpenOptions = {}): LinuxFile {
    const flags = O_RDWR | O_CLOEXEC | O_NONBLOCK | (exclusive ? O_EXCL : 0);
    return new LinuxFile(path, open(path, flags), nonblock);
  }

  async ioctl(request: number, argument?: Uint8Array, signal?: AbortSignalLike): Promise<number> {
    return this.#during(() => ioctlOn(this.#opened('ioctl'), request, argument, signal));
  }

  async mmap(offset: bigint, length: number): Promise<Mapping> {
    return mapBuffer(this.#opened('mmap'), offset, length);
  }

  poll(): number {
    return pollNow(this.#opened('poll'), POLLIN | POLLRDNORM);
  }

  async ready(events: number, signal?: AbortSignalLike): Promise<number> {
    return this.#during(async () => {
      const fd = this.#opened('poll');
      try {
        return await pollOn(fd, events, new EitherSignal(signal, this.#closing.signal));
      } catch (error) {
        this.#opened('poll');
        throw error;
      }
    });
  }

  async read(
    buffer: Uint8Array,
    { nonblock = this.#nonblock, signal }: { nonblock?: boolean; signal?: AbortSignalLike } = {},
  ): Promise<number> {
    for (;;) {
      const bytes = read(this.#opened('read'), addressOf(buffer), buffer.length);
      if (bytes >= 0) return bytes;
      if (bytes === -errno.EINTR) continue;
      if (bytes !== -errno.EAGAIN || nonblock) throw errorOf(-bytes, 'read');
      await this.ready(POLLIN, signal);
    }
  }

  async ioctlFd(
    fd: number,
    request: number,
    argument?: Uint8Array,
    signal?: AbortSignalLike,
  ): Promise<number> {
    return ioctlOn(fd, request, argument, signal);
  }

  async pollFd(fd: number): Promise<number> {
    return pollNow(fd, 0x7fff);
  }

  async readyFd(fd: number, events: number, signal?: AbortSignalLike): Promise<number> {
    return pollOn(fd, events, signal);
  }

  async closeFd(fd: number): Promise<void> {
    close(fd);
  }

  /** What /proc shows of any open file comes first; the driver's lines follow. */
  async fdinfo(): Promise<string> {
    return readText(`/proc/self/fdinfo/${this.#opened('fdinfo')}`);
  }

  /** Calls that still run go on, and keep the file until they return; waits for events end with EBADF. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    if (this.#calls === 0) close(this.#fd);
  }

  #opened(call: string): number {
    if (this.#closing.signal.aborted) throw new AccelError('EBADF', { call, reason: 'the file is closed' });
    return this.#fd;
  }

  async #during<T>(run: () => Promise<T>): Promise<T> {
    this.#opened('ioctl');
    this.#calls++;
    try {
      return await run();
    } finally {
      if (--this.#calls === 0 && this.#closing.signal.aborted) close(this.#fd);
    }
  }
}

/** @throws AccelError what the kernel says; EINTR when `signal` fired */
async function ioctlOn(
  fd: number,
  request: number,
  argument: Uint8Array | undefined,
  signal: AbortSignalLike | undefined,
): Promise<number> {
  // The kernel takes the size from the request: an array that is shorter must not be shown to it. It answers EFAULT, in its order.
  const enough = argument !== undefined && argument.length >= requestSize(request);
  const address = enough ? addressOf(argument) : 0n;
  for (;;) {
    const result = maySleep(request)
      ? await callInThread({ operation: Operation.ioctl, fd, request, address }, signal)
      : ioctl(fd, request, address);
    if (result >= 0) return result;
    if (result === -errno.EINTR && signal?.aborted !== true) continue;
    throw errorOf(-result, 'ioctl', `request 0x${(request >>> 0).toString(16)}`);
  }
}

/** struct pollfd: fd, events, revents. */
function pollfd(fd: number, events: number): DataView {
  const view = new DataView(new ArrayBuffer(8));
  view.setInt32(0, fd, true);
  view.setInt16(4, events, true);
  return view;
}

const POLLNVAL = 0x20;

/** The bits that are ready. @throws AccelError EBADF */
function bitsOf(view: DataView, fd: number): number {
  const bits = view.getInt16(6, true);
  if ((bits & POLLNVAL) !== 0) throw new AccelError('EBADF', { field: 'fd', reason: `${fd} is not open` });
  return bits;
}

function pollNow(fd: number, events: number): number {
  const view = pollfd(fd, events);
  const result = poll(addressOf(new Uint8Array(view.buffer)), 0);
  if (result < 0 && result !== -errno.EINTR) throw errorOf(-result, 'poll');
  return bitsOf(view, fd);
}

async function pollOn(fd: number, events: number, signal: AbortSignalLike | undefined): Promise<number> {
  const now = pollNow(fd, events) & (events | POLLHUP);
  if (now !== 0) return now;
  const view = pollfd(fd, events);
  const address = addressOf(new Uint8Array(view.buffer));
  for (;;) {
    const result = await callInThread({ operation: Operation.poll, fd, request: -1, address }, signal);
    if (result > 0) return bitsOf(view, fd);
    if (result === -errno.EINTR && signal?.aborted !== true) continue;
    throw errorOf(-result, 'poll');
  }
}
