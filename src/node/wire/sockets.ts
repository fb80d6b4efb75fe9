// Unix sockets that carry descriptors, epoll, inotify: system calls that Node does not make, through koffi.
// Not a protocol: messages are bytes here. Nothing here waits, except epollWait for as long as it is told.
import koffi from 'koffi';
import { AccelError, errno, errnoName } from '../../base/errors.js';
import { MAX_FDS } from './messages.js';

const library = koffi.load(null);

/** Declares a function of the C library. Addresses are numbers: user space ends below 2^53. */
function call(prototype: string): (...args: (number | string)[]) => number {
  return library.func(prototype) as unknown as (...args: (number | string)[]) => number;
}

const c = {
  socket: call('int socket(int, int, int)'),
  socketpair: call('int socketpair(int, int, int, uintptr_t)'),
  bind: call('int bind(int, uintptr_t, uint32_t)'),
  listen: call('int listen(int, int)'),
  connect: call('int connect(int, uintptr_t, uint32_t)'),
  accept4: call('int accept4(int, uintptr_t, uintptr_t, int)'),
  getsockopt: call('int getsockopt(int, int, int, uintptr_t, uintptr_t)'),
  setsockopt: call('int setsockopt(int, int, int, uintptr_t, uint32_t)'),
  shutdown: call('int shutdown(int, int)'),
  // Lengths of packets: an int is quicker than the ssize_t it is.
  send: call('int send(int, uintptr_t, size_t, int)'),
  sendmsg: call('int sendmsg(int, uintptr_t, int)'),
  recvmsg: call('int recvmsg(int, uintptr_t, int)'),
  close: call('int close(int)'),
  read: call('int64_t read(int, uintptr_t, size_t)'),
  write: call('int64_t write(int, uintptr_t, size_t)'),
  eventfd: call('int eventfd(uint32_t, int)'),
  poll: call('int poll(uintptr_t, uint64_t, int)'),
  fcntl: call('int fcntl(int, int, long)'),
  epollCreate: call('int epoll_create1(int)'),
  epollCtl: call('int epoll_ctl(int, int, int, uintptr_t)'),
  epollWait: call('int epoll_wait(int, uintptr_t, int, int)'),
  inotifyInit: call('int inotify_init1(int)'),
  inotifyAddWatch: call('int inotify_add_watch(int, str, uint32_t)'),
  inotifyRmWatch: call('int inotify_rm_watch(int, int)'),
  readv: call('int64_t process_vm_readv(int, uintptr_t, uint64_t, uintptr_t, uint64_t, uint64_t)'),
  writev: call('int64_t process_vm_writev(int, uintptr_t, uint64_t, uintptr_t, uint64_t, uint64_t)'),
};

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0x80000;
const SOCK_NONBLOCK = 0x800;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_PEERCRED = 17;
const SCM_RIGHTS = 1;
const SHUT_WR = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const MSG_CTRUNC = 0x08;
const MSG_TRUNC = 0x20;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
const EFD_CLOEXEC_NONBLOCK = 0x80800;

export const EPOLLIN = 0x1;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;

export const IN_CLOSE = 0x18;

/** The error of the call that just failed in this thread. */
function failed(name: string, reason?: string): AccelError {
  const code = koffi.errno();
  const known = errnoName(code);
  if (known === undefined)
    return new AccelError('EIO', { call: name, reason: `errno ${code} ${reason ?? ''}` });
  return new AccelError(known, { call: name, ...(reason === undefined ? {} : { reason }) });
}

function checked(result: number, name: string, reason?: string): number {
  if (result < 0) throw failed(name, reason);
  return result;
}

/**
 * Memory that the kernel is given addresses in. Large enough that the garbage collector never moves it: what is small may
 * live inside V8's heap.
 */
class Pinned {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  readonly address: number;

  constructor(size: number) {
    this.bytes = new Uint8Array(new ArrayBuffer(Math.max(size, 4096)));
    this.view = new DataView(this.bytes.buffer);
    this.address = Number(koffi.address(this.bytes));
  }

  /** A pointer or a size_t. */
  setLong(at: number, value: number): void {
    this.view.setUint32(at, value >>> 0, true);
    this.view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
  }

  getLong(at: number): number {
    return this.view.getUint32(at, true) + this.view.getUint32(at + 4, true) * 2 ** 32;
  }
}

const scratch = new Pinned(4096);

/** Fills scratch with a sockaddr_un. @throws AccelError EINVAL for a path that is too long */
function address(path: string): number {
  const bytes = new TextEncoder().encode(path);
  if (bytes.length > 107)
    throw new AccelError('EINVAL', {
      field: 'socket',
      reason: `${path}: a socket's path has at most 107 bytes`,
    });
  scratch.view.setUint16(0, AF_UNIX, true);
  scratch.bytes.set(bytes, 2);
  scratch.bytes[2 + bytes.length] = 0;
  return 2 + bytes.length + 1;
}

/** A socket that listens at `path`, which must not exist. @throws AccelError EADDRINUSE as EIO, EACCES, ENOENT */
export function listen(path: string): number {
  const fd = checked(c.socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), 'socket');
  const length = address(path);
  if (c.bind(fd, scratch.address, length) < 0 || c.listen(fd, 128) < 0) {
    const error = failed('bind', path);
    c.close(fd);
    throw error;
  }
  return fd;
}

/** A connection to who listens at `path`. @throws AccelError ENOENT, EIO (connection refused), EACCES */
export function connect(path: string): number {
  const fd = checked(c.socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), 'socket');
  const length = address(path);
  if (c.connect(fd, scratch.address, length) < 0) {
    const error = failed('connect', path);
    c.close(fd);
    throw error;
  }
  return fd;
}

/** The next connection, or undefined when none waits. @throws AccelError EMFILE */
export function accept(fd: number): number | undefined {
  const got = c.accept4(fd, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (got >= 0) return got;
  const code = koffi.errno();
  // EAGAIN, ECONNABORTED: nobody is there (any more).
  if (code === errno.EAGAIN || code === 103 || code === errno.EINTR) return undefined;
  throw failed('accept4');
}

/** Two connected sockets, closed on exec. @throws AccelError EMFILE, ENFILE */
export function socketPair(nonblock = false): [number, number] {
  const type = SOCK_SEQPACKET | SOCK_CLOEXEC | (nonblock ? SOCK_NONBLOCK : 0);
  checked(c.socketpair(AF_UNIX, type, 0, scratch.address), 'socketpair');
  return [scratch.view.getInt32(0, true), scratch.view.getInt32(4, true)];
}

export interface Credentials {
  /** 0 for a process of another PID namespace. */
  readonly pid: number;
  readonly uid: number;
}

/** Who is at the other end. @throws AccelError EBADF, EIO (not a socket) */
export function peerCredentials(fd: number): Credentials {
  scratch.view.setUint32(64, 12, true);
  checked(c.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, scratch.address, scratch.address + 64), 'getsockopt');
  return { pid: scratch.view.getInt32(0, true), uid: scratch.view.getUint32(4, true) };
}

/** Bounds what lies unread at the other end. */
export function setSendBuffer(fd: number, bytes: number): void {
  scratch.view.setInt32(0, bytes, true);
  checked(c.setsockopt(fd, SOL_SOCKET, SO_SNDBUF, scratch.address, 4), 'setsockopt');
}

/** The other end reads end of file from now on. */
export function shutdownWrite(fd: number): void {
  c.shutdown(fd, SHUT_WR);
}

/** A failing close leaves nothing to do. */
export function close(fd: number): void {
  c.close(fd);
}

const F_SETLEASE = 1024;
const F_WRLCK = 1;
const F_UNLCK = 2;

/**
 * Whether `fd`, open for reading, is the only open file of its inode; a mapping counts as what it was made of. Asks for a lease, which
 * the kernel grants then only, and gives it back. @throws AccelError where memory files have no leases
 */
export function isOnlyOpenFile(fd: number): boolean {
  if (c.fcntl(fd, F_SETLEASE, F_WRLCK) < 0) {
    if (koffi.errno() === errno.EAGAIN) return false;
    throw failed('fcntl', 'F_SETLEASE');
  }
  c.fcntl(fd, F_SETLEASE, F_UNLCK);
  return true;
}

const F_DUPFD_CLOEXEC = 1030;
const POLLNVAL = 0x20;

/** A second descriptor of the same file, or undefined when there is none of that number. @throws AccelError EMFILE */
export function duplicate(fd: number): number | undefined {
  const copy = c.fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy >= 0) return copy;
  if (koffi.errno() === errno.EBADF) return undefined;
  throw failed('fcntl');
}

/** The bits of poll(2) that are ready now, among `events` and those that always count. @throws AccelError EBADF */
export function pollBits(fd: number, events: number): number {
  scratch.view.setInt32(0, fd, true);
  scratch.view.setInt16(4, events, true);
  scratch.view.setInt16(6, 0, true);
  checked(c.poll(scratch.address, 1, 0), 'poll');
  const bits = scratch.view.getInt16(6, true);
  if ((bits & POLLNVAL) !== 0) throw new AccelError('EBADF', { field: 'fd', reason: `${fd} is not open` });
  return bits;
}

/** A counter that never blocks. @throws AccelError EMFILE */
export function eventfd(): number {
  return checked(c.eventfd(0, EFD_CLOEXEC_NONBLOCK), 'eventfd');
}

/** Adds `n` to an eventfd; one that is full stays full. */
export function eventfdAdd(fd: number, n: number): void {
  scratch.setLong(0, n);
  c.write(fd, scratch.address, 8);
}

/** @throws AccelError EMFILE */
export function epollCreate(): number {
  return checked(c.epollCreate(SOCK_CLOEXEC), 'epoll_create1');
}

/** struct epoll_event is packed on x86-64 only. */
const EVENT_BYTES = process.arch === 'x64' ? 12 : 16;
const EVENT_DATA = process.arch === 'x64' ? 4 : 8;

function control(epoll: number, operation: number, fd: number, events: number): void {
  scratch.view.setUint32(0, events, true);
  scratch.setLong(EVENT_DATA, fd);
  checked(c.epollCtl(epoll, operation, fd, scratch.address), 'epoll_ctl');
}

/** @throws AccelError EPERM for a file that has no poll, ENOSPC */
export const epollAdd = (epoll: number, fd: number, events: number): void =>
  control(epoll, EPOLL_CTL_ADD, fd, events);
export const epollModify = (epoll: number, fd: number, events: number): void =>
  control(epoll, EPOLL_CTL_MOD, fd, events);
export function epollRemove(epoll: number, fd: number): void {
  c.epollCtl(epoll, EPOLL_CTL_DEL, fd, scratch.address);
}

/** Room for the events of one wait. */
export class EpollEvents {
  readonly #room: number;
  readonly #pinned: Pinned;

  constructor(room: number) {
    this.#room = room;
    this.#pinned = new Pinned(room * EVENT_BYTES);
  }

  /** Sleeps up to `ms` milliseconds, -1 for ever. Returns how many are ready; 0 too when a signal came. */
  wait(epoll: number, ms: number): number {
    return Math.max(0, c.epollWait(epoll, this.#pinned.address, this.#room, ms));
  }

  fd(index: number): number {
    return this.#pinned.view.getInt32(index * EVENT_BYTES + EVENT_DATA, true);
  }

  events(index: number): number {
    return this.#pinned.view.getUint32(index * EVENT_BYTES, true);
  }
}

/**
 * Calls `run` from Node's event loop, again and again, while `fd` is readable. Keeps the process alive until disposed of. Node does not
 * know of the call: microtasks run when it does something else next.
 */
export function whileReadable(fd: number, run: () => void): Disposable {
  const handle = koffi.node.poll(fd, { readable: true }, run);
  return { [Symbol.dispose]: () => handle.close() };
}

const IOV = 64;
const CONTROL = 128;
const CMSG_HEADER = 16;
const CONTROL_BYTES = CMSG_HEADER + 4 * (MAX_FDS + 1);
const DATA = 2048;

/** A message to be sent or just received: bytes and descriptors. One of each per thread is enough: calls do not wait. */
export class Packet {
  /** Where the bytes are put and found. */
  readonly data: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  /** Descriptors that came along; whoever looks at the packet owns them. */
  fds: number[] = [];
  readonly #pinned: Pinned;

  constructor(bytes: number) {
    const pinned = new Pinned(DATA + bytes);
    this.#pinned = pinned;
    this.data = pinned.bytes.subarray(DATA, DATA + bytes);
    this.view = new DataView(pinned.bytes.buffer, DATA, bytes);
    pinned.setLong(16, pinned.address + IOV);
    pinned.setLong(24, 1);
    pinned.setLong(IOV, pinned.address + DATA);
  }

  /**
   * Receives the next packet. Returns its bytes; 0 when the other end is gone; -1 when nothing waits. A packet that does not
   * fit, bytes or descriptors, counts as gone: nobody of ours sends one.
   */
  receive(fd: number): number {
    const { view, address } = this.#pinned;
    const pinned = this.#pinned;
    pinned.setLong(IOV + 8, this.data.length);
    pinned.setLong(32, address + CONTROL);
    pinned.setLong(40, CONTROL_BYTES);
    const got = c.recvmsg(fd, address, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (this.fds.length > 0) this.fds = [];
    if (got < 0) {
      const code = koffi.errno();
      return code === errno.EAGAIN || code === errno.EINTR ? -1 : 0;
    }
    if (view.getUint32(40, true) >= CMSG_HEADER && view.getInt32(CONTROL + 12, true) === SCM_RIGHTS) {
      const count = (view.getUint32(CONTROL, true) - CMSG_HEADER) >> 2;
      this.fds = Array.from({ length: count }, (_, i) => view.getInt32(CONTROL + CMSG_HEADER + 4 * i, true));
    }
    if ((view.getInt32(48, true) & (MSG_TRUNC | MSG_CTRUNC)) !== 0) {
      for (const extra of this.fds) c.close(extra);
      this.fds = [];
      return 0;
    }
    return got;
  }

  /**
   * Sends the first `bytes` of data with `fds`. Returns 1 when it is on its way, -1 when there is no room now, 0 when the other
   * end is gone.
   */
  send(fd: number, bytes: number, fds: readonly number[] = []): number {
    const { address } = this.#pinned;
    const sent =
      fds.length === 0
        ? c.send(fd, address + DATA, bytes, MSG_DONTWAIT | MSG_NOSIGNAL)
        : this.#sendWith(fd, bytes, fds);
    if (sent >= 0) return 1;
    const code = koffi.errno();
    // ETOOMANYREFS: too many descriptors under way to this user; it goes by itself.
    return code === errno.EAGAIN || code === errno.EINTR || code === errno.ENOBUFS || code === 109 ? -1 : 0;
  }

  #sendWith(fd: number, bytes: number, fds: readonly number[]): number {
    const { view, address } = this.#pinned;
    const pinned = this.#pinned;
    const length = CMSG_HEADER + 4 * fds.length;
    pinned.setLong(IOV + 8, bytes);
    pinned.setLong(32, address + CONTROL);
    pinned.setLong(40, Math.ceil(length / 8) * 8);
    pinned.setLong(CONTROL, length);
    view.setInt32(CONTROL + 8, SOL_SOCKET, true);
    view.setInt32(CONTROL + 12, SCM_RIGHTS, true);
    for (const [i, one] of fds.entries()) view.setInt32(CONTROL + CMSG_HEADER + 4 * i, one, true);
    return c.sendmsg(fd, address, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

/** `watch` is -1 when events were lost. */
export interface InotifyEvent {
  readonly watch: number;
}

/** Tells of what happens to files that are watched. */
export class Inotify implements Disposable {
  readonly fd = checked(c.inotifyInit(EFD_CLOEXEC_NONBLOCK), 'inotify_init1');
  readonly #pinned = new Pinned(16384);

  /** @throws AccelError ENOSPC when this user watches too much */
  add(path: string, mask: number): number {
    return checked(c.inotifyAddWatch(this.fd, path, mask), 'inotify_add_watch', path);
  }

  remove(watch: number): void {
    c.inotifyRmWatch(this.fd, watch);
  }

  /** What has happened since the last read. */
  read(): InotifyEvent[] {
    const events: InotifyEvent[] = [];
    for (;;) {
      const got = c.read(this.fd, this.#pinned.address, this.#pinned.bytes.length);
      if (got <= 0) return events;
      const { view } = this.#pinned;
      for (let at = 0; at < got; at += 16 + view.getUint32(at + 12, true))
        events.push({ watch: view.getInt32(at, true) });
    }
  }

  [Symbol.dispose](): void {
    c.close(this.fd);
  }
}

const copying = new Pinned(65536 + 64);

function vectors(bytes: number, pointer: number): void {
  copying.setLong(0, copying.address + 64);
  copying.setLong(8, bytes);
  copying.setLong(16, pointer);
  copying.setLong(24, bytes);
}

/** Most bytes of one readProcess or writeProcess. */
export const COPY_BYTES = 65536;

/** process_vm_readv of at most COPY_BYTES: a copy, or the errno. */
export function readProcess(pid: number, pointer: number, bytes: number): Uint8Array | number {
  vectors(bytes, pointer);
  const got = c.readv(pid, copying.address, 1, copying.address + 16, 1, 0);
  if (got === bytes) return copying.bytes.slice(64, 64 + bytes);
  return got < 0 ? koffi.errno() : errno.EFAULT;
}

/** process_vm_writev of at most COPY_BYTES: 0, or the errno. */
export function writeProcess(pid: number, pointer: number, bytes: Uint8Array): number {
  copying.bytes.set(bytes, 64);
  vectors(bytes.length, pointer);
  const got = c.writev(pid, copying.address, 1, copying.address + 16, 1, 0);
  if (got === bytes.length) return 0;
  return got < 0 ? koffi.errno() : errno.EFAULT;
}
