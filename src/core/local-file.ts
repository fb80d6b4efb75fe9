// An open device file for a client in this process: AccelFile over the core's ClientFile.
// Not the daemon's or the kernel's: those are in node/.
import { AccelError } from '../base/errors.js';
import {
  POLLHUP,
  POLLIN,
  POLLRDNORM,
  type AbortSignalLike,
  type AccelFile,
  type ClientMemory,
  type Mapping,
} from './accel-file.js';
import { fdinfo } from './fdinfo.js';
import { dispatch, type AnyFile } from './ioctl.js';
import { sleep } from './wait.js';

export class LocalFile implements AccelFile {
  readonly #file: AnyFile;
  readonly #nonblock: boolean;
  readonly #onKill: Disposable;

  constructor(file: AnyFile, nonblock: boolean) {
    this.#file = file;
    this.#nonblock = nonblock;
    this.#onKill = file.process.onKill(() => file.release());
  }

  /** The core's side, for those who hold the core. */
  get client(): AnyFile {
    return this.#file;
  }

  get user(): ClientMemory {
    return this.#file.process.user;
  }

  async ioctl(request: number, argument?: Uint8Array, signal?: AbortSignalLike): Promise<number> {
    const file = this.#open('ioctl');
    file.beginCall();
    try {
      // Awaited only when the handler sleeps: most calls are over by now.
      const result = dispatch(file, request, argument, file.process.interrupt(signal));
      return typeof result === 'number' ? result : await result;
    } finally {
      file.endCall();
    }
  }

  async mmap(offset: bigint, length: number): Promise<Mapping> {
    const file = this.#open('mmap');
    const gem = file.mmapTarget(offset, length).get();
    let mapped = true;
    const unmap = (): void => {
      if (!mapped) return;
      mapped = false;
      atExit[Symbol.dispose]();
      gem.put();
    };
    // A mapping outlives the file, not the process.
    const atExit = file.process.onKill(unmap);
    return { bytes: gem.bytes.subarray(0, length), [Symbol.dispose]: unmap };
  }

  poll(): number {
    const { events, device } = this.#open('poll');
    return (events.pending > 0 ? POLLIN | POLLRDNORM : 0) | (device.unplugged ? POLLHUP : 0);
  }

  async ready(events: number, signal?: AbortSignalLike): Promise<number> {
    for (;;) {
      const bits = this.poll() & (events | POLLHUP);
      if (bits !== 0) return bits;
      const interrupt = this.#file.process.interrupt(signal);
      await sleep((wake) => this.#file.events.onChange(wake), { signal: interrupt });
    }
  }

  async read(
    buffer: Uint8Array,
    options: { nonblock?: boolean; signal?: AbortSignalLike } = {},
  ): Promise<number> {
    const { nonblock = this.#nonblock, signal } = options;
    const { events, process } = this.#open('read');
    return events.read(buffer, nonblock, process.interrupt(signal));
  }

  async ioctlFd(
    fd: number,
    request: number,
    argument?: Uint8Array,
    signal?: AbortSignalLike,
  ): Promise<number> {
    const { process } = this.#file;
    return process.fds.get(fd).ioctl(process, request, argument, process.interrupt(signal));
  }

  async pollFd(fd: number): Promise<number> {
    return this.#file.process.fds.get(fd).poll();
  }

  async readyFd(fd: number, events: number, signal?: AbortSignalLike): Promise<number> {
    const { process } = this.#file;
    return process.fds.get(fd).ready(events, process.interrupt(signal));
  }

  async fdinfo(): Promise<string> {
    return fdinfo(this.#open('fdinfo'));
  }

  async closeFd(fd: number): Promise<void> {
    this.#file.process.fds.close(fd);
  }

  async close(): Promise<void> {
    this.#onKill[Symbol.dispose]();
    await this.#file.close();
  }

  #open(call: string): AnyFile {
    if (this.#file.closed) throw new AccelError('EBADF', { call, reason: 'the file is closed' });
    return this.#file;
  }
}
