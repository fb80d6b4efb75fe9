// An open device file for a client in this process: AccelFile over the core's ClientFile.
// Not the daemon's or the kernel's: those are in node/.
import { AccelError } from '../base/errors.js';
import {
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
    return dispatch(this.#open('ioctl'), request, argument, signal);
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
    return this.#open('poll').events.pending > 0 ? POLLIN | POLLRDNORM : 0;
  }

  async ready(events: number, signal?: AbortSignalLike): Promise<number> {
    for (;;) {
      const bits = this.poll() & events;
      if (bits !== 0) return bits;
      await sleep((wake) => this.#file.events.onChange(wake), { signal });
    }
  }

  async read(
    buffer: Uint8Array,
    options: { nonblock?: boolean; signal?: AbortSignalLike } = {},
  ): Promise<number> {
    const { nonblock = this.#nonblock, signal } = options;
    return this.#open('read').events.read(buffer, nonblock, signal);
  }

  async ioctlFd(
    fd: number,
    request: number,
    argument?: Uint8Array,
    signal?: AbortSignalLike,
  ): Promise<number> {
    const { process } = this.#file;
    return process.fds.get(fd).ioctl(process, request, argument, signal);
  }

  async pollFd(fd: number): Promise<number> {
    return this.#file.process.fds.get(fd).poll();
  }

  async readyFd(fd: number, events: number, signal?: AbortSignalLike): Promise<number> {
    return this.#file.process.fds.get(fd).ready(events, signal);
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
