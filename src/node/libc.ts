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
export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;
export const F_ADD_SEALS = 1033;
export const F_GET_SEALS = 1034;
export const F_SEAL_SEAL = 1;
export const F_SEAL_SHRINK = 2;
export const F_SEAL_GROW = 4;

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
  const number = koffi.errno();
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
