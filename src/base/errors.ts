// Errors with Linux's errno names, the call, the field and the reason.
// Not a logger: nothing here prints; only the outer edge of the device interface turns an error into -1/errno.

/** Linux errno values (x86-64, asm-generic/errno*.h). */
export const errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EPIPE: 32,
  EDOM: 33,
  ERANGE: 34,
  ENOSYS: 38,
  ENODATA: 61,
  ETIME: 62,
  EPROTO: 71,
  EBADMSG: 74,
  EOVERFLOW: 75,
  EOPNOTSUPP: 95,
  ENOBUFS: 105,
  ETIMEDOUT: 110,
  EALREADY: 114,
  EINPROGRESS: 115,
  ESTALE: 116,
  ECANCELED: 125,
} as const;

export type ErrnoName = keyof typeof errno;

/** Where an error happened. All parts are for people; programs decide on the code. */
export interface ErrorContext {
  /** The call that failed, by its name in the uAPI header: `DRM_IOCTL_NVDLA_SUBMIT`. */
  readonly call?: string;
  /** The argument at fault, by its name in the uAPI struct: `num_addresses`. */
  readonly field?: string;
  /** What was wrong and what would have been right: `70000 buffers, at most 6144`. */
  readonly reason?: string;
  readonly cause?: unknown;
}

/** The one error class of every layer below the runtime. `code` is Linux's errno name. */
export class AccelError extends Error {
  readonly code: ErrnoName;
  readonly call: string | undefined;
  readonly field: string | undefined;
  readonly reason: string | undefined;

  constructor(code: ErrnoName, context: ErrorContext = {}) {
    const { call, field, reason, cause } = context;
    const where = call === undefined ? '' : ` in ${call}`;
    const what = [field, reason].filter((part) => part !== undefined).join(': ');
    super(`${code}${where}${what === '' ? '' : `: ${what}`}`, cause === undefined ? undefined : { cause });
    this.name = 'AccelError';
    this.code = code;
    this.call = call;
    this.field = field;
    this.reason = reason;
  }

  /** The positive errno number. */
  get errno(): number {
    return errno[this.code];
  }

  /** The same error with a call name filled in where it had none. */
  in(call: string): AccelError {
    if (this.call !== undefined) return this;
    return new AccelError(this.code, { call, field: this.field, reason: this.reason, cause: this.cause });
  }
}

const names = new Map<number, ErrnoName>(
  Object.entries(errno).map(([name, value]) => [value, name as ErrnoName]),
);

/** The errno name of a positive number, or undefined when it is none we know. */
export function errnoName(value: number): ErrnoName | undefined {
  return names.get(value);
}
