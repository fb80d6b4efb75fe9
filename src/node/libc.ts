// Calls of the C library that Node does not make: memory files, mappings, ioctl, poll. Errors become AccelError.
// Not a portability layer: Linux on 64-bit machines, numbers of x86-64 and arm64.
import koffi from 'koffi';
import { AccelError, errno, type ErrnoName } from '../base/errors.js';

/**
 * Symbols are looked up as the dynamic linker does for the program itself, so a preloaded library is in front of libc, as it is
 * for a program in C.
 */
const library = koffi.load(null);

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;
export const MADV_DONTFORK = 10;
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_EXCL = 0o200;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;
export const F_ADD_SEALS = 1033;
export const F_GET_SEALS = 1034;
export const F_SEAL_SEAL = 1;
export const F_SEAL_SHRINK = 2;
export const F_SEAL_GROW = 4;

/** What interrupts a call of another thread. Nobody else here uses it; a program of ours may, since it only ends a sleep. */
const INTERRUPT_SIGNAL = 42;
/** struct sigaction of glibc and musl on 64-bit machines: handler, a mask of 128 bytes, flags, restorer. */
const SIGACTION_BYTES = 152;
/** d_name in struct dirent of 64-bit machines. */
const DIRENT_NAME = 19n;

const MAP_FAILED = 2n ** 64n - 1n;

const calls = {
  memfd_create: library.func('int memfd_create(const char *name, uint flags)') as (
    name: string,
    flags: number,
  ) => number,
  ftruncate: library.func('int ftruncate(int fd, int64_t length)') as (fd: number, length: number) => number,
  fcntl: library.func('int fcntl(int fd, int command, long argument)') as (
    fd: number,
    command: number,
    argument: number,
  ) => number,
  close: library.func('int close(int fd)') as (fd: number) => number,
  mmap: library.func(
    'uintptr_t mmap(uintptr_t address, size_t length, int protection, int flags, int fd, int64_t offset)',
  ) as (
    address: bigint | number,
    length: number,
    protection: number,
    flags: number,
    fd: number,
    offset: bigint | number,
  ) => bigint | number,
  open: library.func('int open(const char *path, int flags, int mode)') as (
    path: string,
    flags: number,
    mode: number,
  ) => number,
  ioctl: library.func('int ioctl(int fd, unsigned long request, uintptr_t argument)') as (
    fd: number,
    request: number,
    argument: bigint,
  ) => number,
  poll: library.func('int poll(uintptr_t fds, unsigned long count, int timeout)') as (
    fds: bigint,
    count: number,
    timeout: number,
  ) => number,
  read: library.func('intptr_t read(int fd, uintptr_t buffer, size_t bytes)') as (
    fd: number,
    buffer: bigint,
    bytes: number,
  ) => number | bigint,
  readlink: library.func('intptr_t readlink(const char *path, uintptr_t buffer, size_t bytes)') as (
    path: string,
    buffer: bigint,
    bytes: number,
  ) => number | bigint,
  opendir: library.func('uintptr_t opendir(const char *path)') as (path: string) => bigint | number,
  readdir: library.func('uintptr_t readdir(uintptr_t folder)') as (folder: bigint) => bigint | number,
  closedir: library.func('int closedir(uintptr_t folder)') as (folder: bigint) => number,
  gettid: library.func('int gettid()') as () => number,
  tgkill: library.func('int tgkill(int process, int thread, int signal)') as (
    process: number,
    thread: number,
    signal: number,
  ) => number,
  sigaction: library.func('int sigaction(int signal, uintptr_t action, uintptr_t old)') as (
    signal: number,
    action: bigint,
    old: bigint,
  ) => number,
  madvise: library.func('int madvise(uintptr_t address, size_t length, int advice)') as (
    address: bigint,
    length: number,
    advice: number,
  ) => number,
  munmap: library.func('int munmap(uintptr_t address, size_t length)') as (
    address: bigint | number,
    length: number,
  ) => number,
};

const names = new Map<number, ErrnoName>(
  Object.entries(errno).map(([name, number]) => [number, name as ErrnoName]),
);

/** The error of the libc call that just failed in this thread. A number we have no name for is EIO, and says so. */
export function lastError(call: string, reason?: string): AccelError {
  return errorOf(koffi.errno(), call, reason);
}

/** The error of an errno. */
export function errorOf(number: number, call: string, reason?: string): AccelError {
  const name = names.get(number);
  if (name !== undefined) return new AccelError(name, { call, ...(reason === undefined ? {} : { reason }) });
  return new AccelError('EIO', { call, reason: `${reason ?? ''} (errno ${number})` });
}

/** A new anonymous file in memory, closed on exec. @throws AccelError EMFILE, ENFILE, ENOMEM */
export function memfdCreate(name: string, flags: number): number {
  const fd = calls.memfd_create(name, flags);
  if (fd < 0) throw lastError('memfd_create');
  return fd;
}

/** @throws AccelError EPERM for a sealed file, EINVAL, ENOMEM */
export function ftruncate(fd: number, length: number): void {
  if (calls.ftruncate(fd, length) < 0) throw lastError('ftruncate', `${length} bytes`);
}

/** @throws AccelError as the command says */
export function fcntl(fd: number, command: number, argument = 0): number {
  const result = calls.fcntl(fd, command, argument);
  if (result < 0) throw lastError('fcntl', `command ${command}`);
  return result;
}

/** @throws AccelError EBADF */
export function close(fd: number): void {
  if (calls.close(fd) < 0) throw lastError('close');
}

export interface MapRequest {
  /** Where, with MAP_FIXED. Default anywhere. */
  readonly address?: bigint;
  readonly length: number;
  readonly protection: number;
  readonly flags: number;
  /** Default -1, for anonymous memory. */
  readonly fd?: number;
  readonly offset?: bigint | number;
}

/** The address of the mapping. @throws AccelError as mmap(2) */
export function mmap({ address = 0n, length, protection, flags, fd = -1, offset = 0 }: MapRequest): bigint {
  const at = BigInt(calls.mmap(address, length, protection, flags, fd, offset));
  if (at === MAP_FAILED) throw lastError('mmap', `${length} bytes`);
  return at;
}

/** @throws AccelError EINVAL, ENOMEM */
export function madvise(address: bigint, length: number, advice: number): void {
  if (calls.madvise(address, length, advice) < 0) throw lastError('madvise');
}

/** @throws AccelError EINVAL */
export function munmap(address: bigint, length: number): void {
  if (calls.munmap(address, length) < 0) throw lastError('munmap');
}

/** @throws AccelError ENOENT, EACCES, ENODEV, EBUSY ... */
export function open(path: string, flags: number): number {
  const fd = calls.open(path, flags, 0);
  if (fd < 0) throw lastError('open', path);
  return fd;
}

/** The call's result, or minus errno: who calls may want to try again. `argument` is an address. */
export function ioctl(fd: number, request: number, argument: bigint): number {
  const result = calls.ioctl(fd, request >>> 0, argument);
  return result < 0 ? -koffi.errno() : result;
}

/** Waits at most `timeout` ms, -1 for ever; `pollfd` is the address of one struct pollfd. The number ready, or minus errno. */
export function poll(pollfd: bigint, timeout: number): number {
  const result = calls.poll(pollfd, 1, timeout);
  return result < 0 ? -koffi.errno() : result;
}

/** Bytes read, or minus errno. */
export function read(fd: number, buffer: bigint, bytes: number): number {
  const result = Number(calls.read(fd, buffer, bytes));
  return result < 0 ? -koffi.errno() : result;
}

/** The whole of a small file, as sysfs and procfs have them. @throws AccelError */
export function readText(path: string): string {
  const fd = open(path, O_RDONLY | O_CLOEXEC);
  try {
    const chunk = new Uint8Array(65536);
    const at = addressOf(chunk);
    let text = '';
    for (;;) {
      const bytes = read(fd, at, chunk.length);
      if (bytes < 0) throw errorOf(-bytes, 'read', path);
      if (bytes === 0) return text;
      text += Buffer.from(chunk.buffer, 0, bytes).toString('latin1');
    }
  } finally {
    close(fd);
  }
}

/** Names in a folder but `.` and `..`, sorted. @throws AccelError ENOENT, ENOTDIR */
export function readFolder(path: string): string[] {
  const folder = BigInt(calls.opendir(path));
  if (folder === 0n) throw lastError('opendir', path);
  try {
    const found: string[] = [];
    for (;;) {
      const entry = BigInt(calls.readdir(folder));
      if (entry === 0n) return found.sort();
      const name = koffi.decode.string(entry + DIRENT_NAME);
      if (name !== '.' && name !== '..') found.push(name);
    }
  } finally {
    calls.closedir(folder);
  }
}

/** @throws AccelError ENOENT, EINVAL when it is no link */
export function readLink(path: string): string {
  const target = new Uint8Array(4096);
  const bytes = Number(calls.readlink(path, addressOf(target), target.length));
  if (bytes < 0) throw lastError('readlink', path);
  return Buffer.from(target.buffer, 0, bytes).toString();
}

/** The kernel's number of the calling thread. */
export function threadId(): number {
  return calls.gettid();
}

/** Makes interruptThread possible: from now on its signal ends what a thread sleeps in with EINTR, and does nothing else. */
export function allowInterrupts(): void {
  const action = new DataView(new ArrayBuffer(SIGACTION_BYTES));
  // A handler must be native code that is harmless: abs(signal) is. Without SA_RESTART, so that the call ends.
  action.setBigUint64(0, BigInt(library.symbol('abs') as bigint | number), true);
  if (calls.sigaction(INTERRUPT_SIGNAL, addressOf(new Uint8Array(action.buffer)), 0n) < 0)
    throw lastError('sigaction');
}

/** Ends the call that a thread of this process sleeps in. A thread that is about to sleep misses it: say it until it is heard. */
export function interruptThread(thread: number): void {
  calls.tgkill(process.pid, thread, INTERRUPT_SIGNAL);
}

/**
 * Where `bytes` lie in this process. For memory that stays where it is: the `buffer` of the view is taken first, which moves small
 * arrays out of the heap that the garbage collector compacts.
 */
export function addressOf(bytes: Uint8Array): bigint {
  return BigInt(koffi.address(new Uint8Array(bytes.buffer))) + BigInt(bytes.byteOffset);
}

/** Memory at `address` as a buffer. Nothing keeps it mapped: that is the caller's business. */
export function bufferAt(address: bigint, length: number): ArrayBuffer {
  return koffi.view(address, length);
}
