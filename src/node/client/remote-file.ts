// A device file of a daemon: AccelFile over a connection. The same bytes and errno as in the daemon's process.
// Not the preload library: that is for programs that call the C library.
import { requestDirection, requestSize } from '../../abi/ioctl.js';
import { AccelError } from '../../base/errors.js';
import {
  POLLHUP,
  POLLIN,
  POLLRDNORM,
  type AbortSignalLike,
  type AccelFile,
  type ClientMemory,
  type Mapping,
} from '../../core/accel-file.js';
import { mapBuffer } from '../linux/mapped-buffer.js';
import { MAX_PLACES, Request } from '../wire/messages.js';
import { close, Packet, pollBits } from '../wire/sockets.js';
import { RemoteError, type Connection } from './connection.js';

/** As poll(2) has it: the other end writes no more. */
const POLLRDHUP = 0x2000;
/** Longer than any event. */
const packet = new Packet(4096);

export interface RemoteOpenOptions {
  /** O_EXCL. */
  readonly exclusive?: boolean;
  /** What read() without options does when no event is there: EAGAIN instead of sleeping. */
  readonly nonblock?: boolean;
}

const O_RDWR = 0o2;
const O_EXCL = 0o200;

export class RemoteFile implements AccelFile {
  readonly path: string;
  readonly #connection: Connection;
  readonly #fd: number;
  readonly #object: number;
  readonly #nonblock: boolean;
  #closed = false;
  /** Events taken out of the socket and not read. */
  #events: Uint8Array[] = [];

  private constructor(connection: Connection, path: string, fd: number, object: number, nonblock: boolean) {
    this.#connection = connection;
    this.path = path;
    this.#fd = fd;
    this.#object = object;
    this.#nonblock = nonblock;
  }

  /** @throws AccelError as open(2) */
  static async open(
    connection: Connection,
    path: string,
    { exclusive = false, nonblock = false }: RemoteOpenOptions = {},
  ): Promise<RemoteFile> {
    const { fd, object } = await connection.openPath(path, O_RDWR | (exclusive ? O_EXCL : 0));
    return new RemoteFile(connection, path, fd, object, nonblock);
  }

  get user(): ClientMemory {
    return this.#connection.memory;
  }

  async ioctl(request: number, argument?: Uint8Array, signal?: AbortSignalLike): Promise<number> {
    this.#open('ioctl');
    return this.#call(this.#object, request, argument, signal);
  }

  async mmap(offset: bigint, length: number): Promise<Mapping> {
    this.#open('mmap');
    const { a, fds } = await this.#connection.request({
      type: Request.MMAP,
      object: this.#object,
      a: offset,
      b: length,
    });
    const [fd] = fds as [number];
    try {
      return mapBuffer(fd, a, length);
    } finally {
      close(fd);
    }
  }

  poll(): number {
    const bits = pollBits(this.#open('poll'), POLLIN | POLLRDHUP);
    this.#take();
    return (this.#events.length > 0 ? POLLIN | POLLRDNORM : 0) | ((bits & POLLRDHUP) === 0 ? 0 : POLLHUP);
  }

  async ready(events: number, signal?: AbortSignalLike): Promise<number> {
    for (;;) {
      const bits = this.poll() & (events | POLLHUP);
      if (bits !== 0) return bits;
      await this.#connection.ready(this.#fd, POLLIN | POLLRDHUP, signal);
    }
  }

  async read(
    buffer: Uint8Array,
    { nonblock = this.#nonblock, signal }: { nonblock?: boolean; signal?: AbortSignalLike } = {},
  ): Promise<number> {
    for (;;) {
      const bits = this.poll();
      if (this.#events.length > 0) break;
      if (nonblock) throw new AccelError('EAGAIN', { call: 'read', reason: 'no event is pending' });
      if ((bits & POLLHUP) !== 0)
        throw new AccelError('ENODEV', { call: 'read', reason: 'no event can come any more' });
      await this.ready(POLLIN, signal);
    }
    let done = 0;
    while (this.#events.length > 0 && done + this.#events[0]!.length <= buffer.length) {
      const event = this.#events.shift()!;
      buffer.set(event, done);
      done += event.length;
    }
    return done;
  }

  async ioctlFd(
    fd: number,
    request: number,
    argument?: Uint8Array,
    signal?: AbortSignalLike,
  ): Promise<number> {
    try {
      return await this.#call(await this.#connection.objectOf(fd), request, argument, signal);
    } catch (error) {
      if (!(error instanceof AccelError) || error.code !== 'ESTALE') throw error;
      this.#connection.forget(fd);
      return this.#call(await this.#connection.objectOf(fd), request, argument, signal);
    }
  }

  async pollFd(fd: number): Promise<number> {
    return pollBits(fd, POLLIN);
  }

  async readyFd(fd: number, events: number, signal?: AbortSignalLike): Promise<number> {
    return (await this.#connection.ready(fd, events, signal)) & events;
  }

  async closeFd(fd: number): Promise<void> {
    pollBits(fd, 0);
    close(fd);
  }

  async fdinfo(): Promise<string> {
    this.#open('fdinfo');
    const { payload } = await this.#connection.request({ type: Request.FDINFO, object: this.#object });
    return Buffer.from(payload).toString();
  }

  /** Calls that still run go on. The daemon lets queued jobs finish. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.wake(this.#fd);
    close(this.#fd);
  }

  #open(call: string): number {
    if (this.#closed) throw new AccelError('EBADF', { call, reason: 'the file is closed' });
    return this.#fd;
  }

  async #call(
    object: number,
    request: number,
    argument: Uint8Array | undefined,
    signal: AbortSignalLike | undefined,
  ): Promise<number> {
    const size = requestSize(request);
    const { read, write } = requestDirection(request);
    const payload = write ? argument?.subarray(0, size) : undefined;
    try {
      const answer = await this.#connection.request(
        { type: Request.CALL, object, result: request | 0 },
        payload,
        { signal },
      );
      if (read) argument?.set(answer.payload.subarray(0, size));
      if (answer.fds.length > 0) placeNumbers(argument, answer.a, answer.fds);
      return answer.result;
    } catch (error) {
      if (error instanceof RemoteError && read) argument?.set(error.argument);
      throw error;
    }
  }

  #take(): void {
    while (packet.receive(this.#fd) > 0) {
      const length = new DataView(packet.data.buffer, packet.data.byteOffset).getUint32(4, true);
      this.#events.push(packet.data.slice(0, length));
    }
  }
}

/** Writes the numbers of descriptors that came where the daemon says. */
function placeNumbers(argument: Uint8Array | undefined, places: bigint, fds: readonly number[]): void {
  const view = argument && new DataView(argument.buffer, argument.byteOffset, argument.byteLength);
  for (const [i, fd] of fds.entries()) {
    const at = Number((places >> BigInt(16 * i)) & 0xffffn);
    if (view !== undefined && i < MAX_PLACES && at + 4 <= view.byteLength) view.setInt32(at, fd, true);
    else close(fd);
  }
}
