// A connection to a daemon for this process: requests with their answers, and the daemon's questions meanwhile.
// Not a file: remote-file.ts.
import { randomBytes } from 'node:crypto';
import { fstatSync } from 'node:fs';
import { AccelError, errno, errnoName } from '../../base/errors.js';
import type { AbortSignalLike } from '../../core/accel-file.js';
import { addressOf } from '../libc.js';
import { NativeMemory } from '../linux/native-memory.js';
import { Endpoint, type Header, type Message } from '../wire/endpoint.js';
import {
  FdStatus,
  HELLO_DETAILS,
  KEY_BYTES,
  Kind,
  PathQuery,
  Reply,
  Request,
  WIRE_VERSION,
} from '../wire/messages.js';
import { Reactor } from '../wire/reactor.js';
import { close, connect, duplicate, EPOLLIN, EPOLLOUT, EPOLLRDHUP, pollBits } from '../wire/sockets.js';

/** What a request came to. `payload` is a copy. */
export interface Answer {
  readonly object: number;
  readonly result: number;
  readonly a: bigint;
  readonly b: bigint;
  readonly payload: Uint8Array;
  /** Owned by who asked. */
  readonly fds: readonly number[];
}

interface Pending {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** Waiters for a descriptor to become ready. */
interface Watch {
  events: number;
  readonly wake: Set<() => void>;
}

export interface ConnectionOptions {
  /** False: the daemon must ask for memory by messages. Default true: it may look where the system lets it. */
  readonly direct?: boolean;
}

export class Connection implements AsyncDisposable {
  /** What pointers in arguments point to. */
  readonly memory = new NativeMemory();
  readonly #reactor = new Reactor({ linger: false });
  readonly #endpoint: Endpoint;
  readonly #pending = new Map<number, Pending>();
  readonly #watches = new Map<number, Watch>();
  /** Objects of descriptors, by inode. */
  readonly #objects = new Map<number, number>();
  readonly #key: Uint8Array;
  #tag = 0;
  #why = 'the daemon hung up';

  private constructor(fd: number) {
    // In memory that stays where it is: the daemon looks there.
    this.#key = new Uint8Array(new ArrayBuffer(4096), 0, KEY_BYTES);
    this.#key.set(randomBytes(KEY_BYTES));
    this.#endpoint = new Endpoint({
      reactor: this.#reactor,
      fd,
      onMessage: (message) => this.#message(message),
      onEnd: () => this.#ended(),
    });
  }

  /** @throws AccelError ENOENT, EIO when nobody listens, EACCES; EPROTO for a daemon of another version */
  static async open(socket: string, { direct = true }: ConnectionOptions = {}): Promise<Connection> {
    const connection = new Connection(connect(socket));
    try {
      const name = Buffer.from('accel\0');
      const { object } = await connection.request(
        {
          type: Request.HELLO,
          object: WIRE_VERSION,
          a: direct ? addressOf(connection.#key) : 0n,
          b: HELLO_DETAILS,
        },
        Buffer.concat([connection.#key, name]),
      );
      if (object !== WIRE_VERSION)
        throw new AccelError('EPROTO', { field: 'socket', reason: `the daemon speaks version ${object}` });
      return connection;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** @throws AccelError as the daemon says; ENODEV when it is gone; EINTR when `signal` ended it */
  async request(
    header: Omit<Header, 'tag'>,
    payload?: Uint8Array,
    { signal, fds }: { signal?: AbortSignalLike | undefined; fds?: readonly number[] } = {},
  ): Promise<Answer> {
    if (this.#endpoint.ended) {
      for (const fd of fds ?? []) close(fd);
      throw this.#gone();
    }
    const tag = (this.#tag = (this.#tag + 1) >>> 0);
    const cancel = (): void => this.#endpoint.send({ type: Request.CANCEL, tag });
    const answered = new Promise<Answer>((resolve, reject) => {
      this.#pending.set(tag, { resolve, reject });
    });
    this.#endpoint.send({ ...header, tag }, payload, fds);
    if (signal === undefined) return answered;
    if (signal.aborted) cancel();
    else signal.addEventListener('abort', cancel);
    try {
      return await answered;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  /** The object that a descriptor of this process stands for. @throws AccelError EBADF, ENOTTY when it is none of the daemon's */
  async objectOf(fd: number): Promise<number> {
    const inode = inodeOf(fd);
    const known = this.#objects.get(inode);
    if (known !== undefined) return known;
    const copy = duplicate(fd);
    if (copy === undefined) throw new AccelError('EBADF', { field: 'fd', reason: `${fd} is not open` });
    const { object, a } = await this.request({ type: Request.ATTACH }, undefined, { fds: [copy] });
    if (Number(a) === Kind.NONE)
      throw new AccelError('ENOTTY', { field: 'fd', reason: `${fd} is no descriptor of the daemon's` });
    this.#objects.set(inode, object);
    return object;
  }

  /** An object is gone, and its inode may be another's. */
  forget(fd: number): void {
    this.#objects.delete(inodeOf(fd));
  }

  /** Resolves when one of `events` (POLL*) may be ready. @throws AccelError EINTR, EBADF */
  async ready(fd: number, events: number, signal?: AbortSignalLike): Promise<number> {
    for (;;) {
      const bits = pollBits(fd, events);
      if (bits !== 0) return bits;
      if (signal?.aborted === true) throw new AccelError('EINTR', { call: 'poll' });
      await this.#wait(fd, events, signal);
    }
  }

  /** Who waits for a descriptor looks again: it is about to be closed. */
  wake(fd: number): void {
    for (const one of [...(this.#watches.get(fd)?.wake ?? [])]) one();
  }

  /** The names in a folder of the virtual tree. @throws AccelError ENOENT, ENOTDIR */
  async names(path: string): Promise<string[]> {
    const { payload } = await this.request({ type: Request.PATH, a: PathQuery.LIST }, Buffer.from(path));
    return Buffer.from(payload)
      .toString('latin1')
      .split('\0')
      .filter((entry) => entry !== '')
      .map((entry) => entry.slice(1));
  }

  /** The target of a link. @throws AccelError ENOENT, EINVAL when it is none */
  async link(path: string): Promise<string> {
    const { payload } = await this.request({ type: Request.PATH, a: PathQuery.READLINK }, Buffer.from(path));
    return Buffer.from(payload).toString();
  }

  /** open(2) of a path of the virtual tree: the descriptor and its object. @throws AccelError as open(2) */
  async openPath(path: string, flags: number): Promise<{ fd: number; object: number }> {
    const { fds, object } = await this.request({ type: Request.OPEN, a: flags }, Buffer.from(path));
    return { fd: fds[0]!, object };
  }

  /** Says that this process leaves in good order. Files stay open, but no call reaches them. */
  async close(): Promise<void> {
    this.#why = 'the connection is closed';
    if (!this.#endpoint.ended) {
      this.#endpoint.send({ type: Request.BYE });
      this.#endpoint.end();
    }
    this.#reactor.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #gone(): AccelError {
    return new AccelError('ENODEV', { reason: this.#why });
  }

  #ended(): void {
    for (const { reject } of this.#pending.values()) reject(this.#gone());
    this.#pending.clear();
    // Who waits for descriptors finds out by polling them: their other ends are gone too, or soon.
  }

  #wait(fd: number, events: number, signal: AbortSignalLike | undefined): Promise<void> {
    return new Promise((resolve) => {
      let watch = this.#watches.get(fd);
      const wake = (): void => {
        signal?.removeEventListener('abort', wake);
        const known = this.#watches.get(fd);
        if (known?.wake.delete(wake) === true && known.wake.size === 0) {
          this.#watches.delete(fd);
          this.#reactor.remove(fd);
        }
        resolve();
      };
      const interest = (bits: number): number => bits & (EPOLLIN | EPOLLOUT | EPOLLRDHUP);
      if (watch === undefined) {
        watch = { events, wake: new Set() };
        this.#watches.set(fd, watch);
        this.#reactor.add(fd, interest(events), () => this.wake(fd));
      } else if ((watch.events | events) !== watch.events) {
        watch.events |= events;
        this.#reactor.modify(fd, interest(watch.events));
      }
      watch.wake.add(wake);
      signal?.addEventListener('abort', wake);
    });
  }

  #message({ type, tag, object, result, a, b, payload, fds }: Message): void {
    switch (type) {
      case Reply.REPLY:
      case Reply.WELCOME: {
        const pending = this.#pending.get(tag);
        if (pending === undefined) throw new Error('nobody asked');
        this.#pending.delete(tag);
        if (result < 0) {
          for (const fd of fds) close(fd);
          pending.reject(new RemoteError(result, payload, Number(a)));
        } else pending.resolve({ object, result, a, b, payload: payload.slice(), fds });
        return;
      }
      case Reply.GET:
        try {
          const bytes = this.memory.read(a, Number(b)).slice();
          this.#endpoint.send({ type: Request.GOT, tag }, bytes);
        } catch {
          this.#endpoint.send({ type: Request.GOT, tag, result: -errno.EFAULT });
        }
        return;
      case Reply.PUT:
        this.#endpoint.expectRaw((bytes) => {
          let code = 0;
          try {
            this.memory.write(a, bytes);
          } catch {
            code = -errno.EFAULT;
          }
          this.#endpoint.send({ type: Request.GOT, tag, result: code });
        });
        return;
      case Reply.FDS:
        this.#endpoint.expectRaw((bytes) => {
          const numbers = new Int32Array(bytes.buffer, 0, Number(b));
          const copies = Array.from(numbers, (fd) => duplicate(fd));
          const status = Uint8Array.from(copies, (copy) =>
            copy === undefined ? FdStatus.CLOSED : FdStatus.HERE,
          );
          const here = copies.filter((copy) => copy !== undefined);
          this.#endpoint.send({ type: Request.GOT, tag }, status, here);
        });
        return;
      default:
        throw new Error(`message ${type}`);
    }
  }
}

/** What the daemon answered, with its words. Holds the argument as the call left it. */
export class RemoteError extends AccelError {
  readonly argument: Uint8Array;

  constructor(result: number, payload: Uint8Array, length: number) {
    const text = Buffer.from(payload.subarray(length)).toString();
    const { call, field, reason } = (text === '' ? {} : JSON.parse(text)) as {
      call?: string;
      field?: string;
      reason?: string;
    };
    super(errnoName(-result) ?? 'EIO', {
      ...(call === undefined ? {} : { call }),
      ...(field === undefined ? {} : { field }),
      ...(reason === undefined ? {} : { reason }),
    });
    this.argument = payload.slice(0, length);
  }
}

/** @throws AccelError EBADF */
function inodeOf(fd: number): number {
  try {
    const status = fstatSync(fd);
    // Inodes of sockets and of memory files are counted apart.
    return status.ino * 2 + (status.isSocket() ? 1 : 0);
  } catch (error) {
    throw new AccelError('EBADF', { field: 'fd', reason: `${fd} is not open`, cause: error });
  }
}
