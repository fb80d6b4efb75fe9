// One request of a client while it is worked on: who asks, what interrupts it, what it was told about the caller's memory
// and descriptors. The kernel's `current`.
// Not the request's meaning.
import { AsyncLocalStorage } from 'node:async_hooks';
import { AccelError, errno, errnoName } from '../../base/errors.js';
import type { AbortSignalLike, OpenFile } from '../../core/index.js';
import { FdStatus, MAX_FDS, MAX_PAYLOAD, Reply } from '../wire/messages.js';
import type { Endpoint } from '../wire/endpoint.js';
import { close, COPY_BYTES, readProcess, writeProcess } from '../wire/sockets.js';
import type { Account } from './account.js';

/** The request that the code now running works on. */
export const current = new AsyncLocalStorage<Call>();

/** @throws AccelError ESRCH outside of a request */
export function currentCall(): Call {
  const call = current.getStore();
  if (call === undefined) throw new AccelError('ESRCH', { reason: 'no process is calling' });
  return call;
}

/** A descriptor that a call gives out: its number is not known yet. */
export interface Placed {
  readonly placeholder: number;
  readonly file: OpenFile;
  /** O_CLOEXEC, O_RDWR. */
  readonly flags: number;
}

/** The answer to a question. `payload` is a copy. */
export interface Answer {
  readonly result: number;
  readonly payload: Uint8Array;
  /** Owned by who asked. */
  readonly fds: readonly number[];
}

/** Who calls, over one connection. */
export interface Caller {
  /** Who pays for the buffers that a call makes. */
  readonly charged: Account;
  readonly endpoint: Endpoint;
  /** A process whose memory may be read and written, or 0. */
  readonly pid: number;
  /** Tells whose descriptor of ours, or which other file, `fd` is. Owns it. */
  readonly identify: (fd: number) => OpenFile;
  /** The file of ours that descriptor `fd` of process `pid` stands for, where that can be seen without asking. */
  readonly see: (pid: number, fd: number) => OpenFile | undefined;
}

/** Most bytes that one call reads at a time from one place; the kernel's kmalloc ends at 4 MiB. */
const MAX_COPY = 2 ** 24;

/** Placeholders are numbers that no process has as a descriptor. */
const PLACEHOLDER = 0x7f000000;

export class Call implements AbortSignalLike {
  readonly tag: number;
  readonly #caller: Caller;
  /** Made on first use: most calls never sleep. */
  #listeners: Set<() => void> | undefined;
  #aborted = false;
  #over = false;
  /** Questions are answered in order. */
  #waiting: ((answer: Answer | undefined) => void)[] | undefined;
  #known: Map<number, OpenFile> | undefined;
  placed: Placed[] | undefined;

  constructor(caller: Caller, tag: number) {
    this.#caller = caller;
    this.tag = tag;
  }

  get charged(): Account {
    return this.#caller.charged;
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    (this.#listeners ??= new Set()).add(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners?.delete(listener);
  }

  /** A signal came, or the caller died: what sleeps ends with EINTR. */
  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    for (const listener of [...(this.#listeners ?? [])]) listener();
  }

  /** The connection is gone: nothing is answered any more. */
  lost(): void {
    this.abort();
    for (const resolve of this.#waiting?.splice(0) ?? []) resolve(undefined);
  }

  /** The reply has gone out. Late users of its memory get EFAULT. */
  finish(): void {
    this.#over = true;
    if (this.#known !== undefined) for (const file of this.#known.values()) file.put();
    this.#known = undefined;
    if (this.placed !== undefined) for (const { file } of this.placed) file.put();
    this.placed = undefined;
  }

  /** @throws AccelError EFAULT, ENOMEM for more than MAX_COPY */
  read(pointer: bigint, bytes: number): Uint8Array | Promise<Uint8Array> {
    if (bytes === 0) return new Uint8Array(0);
    if (bytes > MAX_COPY)
      throw new AccelError('ENOMEM', {
        reason: `${bytes} bytes of the caller's memory, at most ${MAX_COPY}`,
      });
    const at = this.#range(pointer, bytes);
    if (this.#caller.pid === 0) return this.#ask(at, bytes);
    if (bytes <= COPY_BYTES) {
      const got = readProcess(this.#caller.pid, at, bytes);
      if (typeof got !== 'number') return got;
      if (got === errno.EPERM) return this.#ask(at, bytes);
      throw fault(got, at, bytes);
    }
    const parts: Uint8Array[] = [];
    for (let done = 0; done < bytes; done += COPY_BYTES) {
      const part = Math.min(COPY_BYTES, bytes - done);
      const got = readProcess(this.#caller.pid, at + done, part);
      if (typeof got === 'number') throw fault(got, at + done, part);
      parts.push(got);
    }
    return joined(parts, bytes);
  }

  /** @throws AccelError EFAULT */
  write(pointer: bigint, bytes: Uint8Array): void | Promise<void> {
    if (bytes.length === 0) return undefined;
    const at = this.#range(pointer, bytes.length);
    if (this.#caller.pid === 0) return this.#tell(at, bytes);
    for (let done = 0; done < bytes.length; done += COPY_BYTES) {
      const part = bytes.subarray(done, done + COPY_BYTES);
      const code = writeProcess(this.#caller.pid, at + done, part);
      if (code === errno.EPERM) return this.#tell(at + done, bytes.subarray(done));
      if (code !== 0) throw fault(code, at + done, part.length);
    }
    return undefined;
  }

  /** Learns what these descriptors of the caller are; get() and has() know afterwards. */
  async fetch(numbers: Iterable<number>): Promise<void> {
    const wanted = [...numbers].filter((fd) => fd >= 0 && !this.has(fd) && !this.#seen(fd));
    for (let from = 0; from < wanted.length; from += MAX_FDS) {
      const part = Int32Array.from(wanted.slice(from, from + MAX_FDS));
      this.#caller.endpoint.send({ type: Reply.FDS, tag: this.tag, b: part.length });
      this.#caller.endpoint.sendRaw(new Uint8Array(part.buffer));
      const { payload, fds } = await this.#answer();
      this.#known ??= new Map();
      let next = 0;
      for (const [i, number] of part.entries()) {
        const fd = payload[i] === FdStatus.HERE ? fds[next++] : undefined;
        if (fd !== undefined) this.#known.set(number, this.#caller.identify(fd).get());
      }
      for (const fd of fds.slice(next)) close(fd);
    }
  }

  /** True when the descriptor is known now. A round trip less, of some 200 us when the caller must be woken. */
  #seen(fd: number): boolean {
    const { pid, see } = this.#caller;
    const file = pid === 0 ? undefined : see(pid, fd);
    if (file !== undefined) (this.#known ??= new Map()).set(fd, file.get());
    return file !== undefined;
  }

  has(fd: number): boolean {
    return this.#known?.has(fd) ?? false;
  }

  /** @throws AccelError EBADF */
  get(fd: number): OpenFile {
    const file = this.#known?.get(fd);
    if (file === undefined) throw new AccelError('EBADF', { field: 'fd', reason: `${fd} is not open` });
    return file;
  }

  /** A number that stands for `file` until the reply says what it became. @throws AccelError ESRCH after the reply */
  place(file: OpenFile, flags: number): number {
    if (this.#over) throw new AccelError('ESRCH', { reason: 'the call is over' });
    this.placed ??= [];
    const placeholder = PLACEHOLDER + this.placed.length;
    this.placed.push({ placeholder, file: file.get(), flags });
    return placeholder;
  }

  /** The client's answer to the question asked first. False when none was asked. */
  answered(answer: Answer): boolean {
    const resolve = this.#waiting?.shift();
    resolve?.(answer);
    return resolve !== undefined;
  }

  async #ask(at: number, bytes: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (let done = 0; done < bytes; done += MAX_PAYLOAD) {
      const part = Math.min(MAX_PAYLOAD, bytes - done);
      this.#caller.endpoint.send({ type: Reply.GET, tag: this.tag, a: at + done, b: part });
      const { result, payload } = await this.#answerWithoutFds();
      if (result !== 0 || payload.length !== part) throw fault(-result, at + done, part);
      parts.push(payload);
    }
    return joined(parts, bytes);
  }

  async #tell(at: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; done += MAX_PAYLOAD) {
      const part = bytes.subarray(done, done + MAX_PAYLOAD);
      this.#caller.endpoint.send({ type: Reply.PUT, tag: this.tag, a: at + done, b: part.length });
      this.#caller.endpoint.sendRaw(part);
      const { result } = await this.#answerWithoutFds();
      if (result !== 0) throw fault(-result, at + done, part.length);
    }
  }

  async #answer(): Promise<Answer> {
    if (this.#caller.endpoint.ended) throw new AccelError('EINTR', { reason: 'the caller is gone' });
    const answer = await new Promise<Answer | undefined>((resolve) => {
      (this.#waiting ??= []).push(resolve);
    });
    if (answer === undefined) throw new AccelError('EINTR', { reason: 'the caller is gone' });
    return answer;
  }

  async #answerWithoutFds(): Promise<Answer> {
    const answer = await this.#answer();
    for (const fd of answer.fds) close(fd);
    return answer;
  }

  #range(pointer: bigint, bytes: number): number {
    const at = Number(BigInt.asUintN(64, pointer));
    if (this.#over || at + bytes > 2 ** 47) throw fault(errno.EFAULT, at, bytes);
    return at;
  }
}

/** Room is made only for what came: sizes are the caller's word. */
function joined(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function fault(code: number, at: number, bytes: number): AccelError {
  const why = errnoName(code) ?? `errno ${code}`;
  const detail = why === 'EFAULT' ? '' : ` (${why})`;
  return new AccelError('EFAULT', {
    reason: `0x${at.toString(16)}+${bytes} is not the caller's memory${detail}`,
  });
}
