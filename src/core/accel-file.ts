// Seam A: one open file of /dev/accel/accelN, whoever serves it: this process, our daemon, or the Linux kernel.
// Not a driver interface: no byte of the uAPI changes here, and nothing is known of any device.

/** Bits of poll(2). */
export const POLLIN = 0x1;
export const POLLOUT = 0x4;
export const POLLERR = 0x8;
export const POLLHUP = 0x10;
export const POLLRDNORM = 0x40;

/** A mapping of a buffer. `bytes` is the buffer itself, not a copy. */
export interface Mapping extends Disposable {
  readonly bytes: Uint8Array;
}

/**
 * The client's memory: what pointers inside ioctl structs point to. In this process it hands out buffers with made-up
 * addresses; behind the daemon it is the other process's memory.
 */
export interface UserMemory {
  /** The bytes at `pointer`, a copy or a view. @throws AccelError EFAULT */
  read(pointer: bigint, bytes: number): Uint8Array | Promise<Uint8Array>;
  /** @throws AccelError EFAULT, with nothing written */
  write(pointer: bigint, bytes: Uint8Array): void | Promise<void>;
}

/** User memory that a client can put buffers into. */
export interface ClientMemory extends UserMemory {
  /** Makes `bytes` reachable by pointer until disposed. The buffer is shared, not copied. */
  place(bytes: Uint8Array): Disposable & { readonly pointer: bigint };
}

/** An open device file. Errors are AccelError with Linux's errno. */
export interface AccelFile {
  /** Memory in which pointers of this file's ioctl arguments live. */
  readonly user: ClientMemory;
  /**
   * ioctl(2): `argument` is the struct, read and written in place. Resolves to the call's return value, 0 or more.
   * @throws AccelError as the kernel's errno; EINTR when `signal` fires while the call blocks
   */
  ioctl(request: number, argument?: Uint8Array, signal?: AbortSignalLike): Promise<number>;
  /** mmap(2) of a GEM object by its fake offset. @throws AccelError EINVAL, EACCES, ENODEV */
  mmap(offset: bigint, length: number): Promise<Mapping>;
  /** The bits of poll(2) that are ready now; POLLHUP once the device is gone. */
  poll(): number;
  /** Resolves when one of `events` is ready, or with POLLHUP. @throws AccelError EINTR */
  ready(events: number, signal?: AbortSignalLike): Promise<number>;
  /** read(2): whole events. With `nonblock` EAGAIN when there is none. */
  read(buffer: Uint8Array, options?: { nonblock?: boolean; signal?: AbortSignalLike }): Promise<number>;
  /**
   * ioctl(2) on a descriptor that an ioctl of this file gave out (dma-buf, sync_file).
   * @throws AccelError EBADF; ENOTTY for a request it does not know; EINTR
   */
  ioctlFd(fd: number, request: number, argument?: Uint8Array, signal?: AbortSignalLike): Promise<number>;
  /** The bits of poll(2) ready on such a descriptor: POLLIN of a sync_file once signalled. @throws AccelError EBADF */
  pollFd(fd: number): Promise<number>;
  /** Resolves when one of `events` is ready on such a descriptor. @throws AccelError EBADF, EINTR */
  readyFd(fd: number, events: number, signal?: AbortSignalLike): Promise<number>;
  /** close(2) of such a descriptor. @throws AccelError EBADF */
  closeFd(fd: number): Promise<void>;
  /** The text of /proc/PID/fdinfo/FD for this file. */
  fdinfo(): Promise<string>;
  /** close(2). Idempotent. */
  close(): Promise<void>;
}

/** The part of AbortSignal used here: no platform type exists in this layer. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}
