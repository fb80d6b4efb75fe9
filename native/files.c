/* Calls on descriptors: ioctl, mmap, read, write, close.
 * Not dup, fcntl, munmap, lseek: our descriptors are the kernel's own, those work by themselves.
 */
#include "preload.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct iovec none = {NULL, 0};

/* Requests that the kernel answers before any driver. */
static bool is_of_vfs(unsigned long request) {
  return request == FIOCLEX || request == FIONCLEX || request == FIONBIO || request == FIOASYNC;
}

/* The number of a descriptor goes where the daemon says. */
static void place(const struct wire_answer *answer, unsigned char *argument, size_t size) {
  for (int i = 0; i < answer->count; i++) {
    unsigned at = answer->header.a >> (16 * i) & 0xffff;
    int fd = answer->fds[i];
    if (at == WIRE_NO_PLACE || at + sizeof fd > size) {
      syscall(SYS_close, fd);
      continue;
    }
    if (answer->header.b >> i & 1) syscall(SYS_fcntl, fd, F_SETFD, 0);
    __builtin_memcpy(argument + at, &fd, sizeof fd);
  }
}

static int call(int fd, struct identity what, unsigned long request, void *argument) {
  struct iovec in = none, out = none;
  if (_IOC_DIR(request) & _IOC_WRITE) in = (struct iovec){argument, _IOC_SIZE(request)};
  if (_IOC_DIR(request) & _IOC_READ) out = (struct iovec){argument, _IOC_SIZE(request)};
  for (int again = 0;; again++) {
    struct wire_header header = {.type = WIRE_CALL, .object = what.object, .result = (int32_t)request};
    struct wire_answer answer;
    if (wire_request(&header, in, -1, out, &answer) < 0) return -1;
    if (answer.header.result == -ESTALE && again == 0) {
      /* What had this inode is gone; this is something else. */
      identity_forget(fd);
      if (identify(fd, NULL, &what)) continue;
      return syscall(SYS_ioctl, fd, request, argument);
    }
    if (answer.header.result < 0) {
      errno = -answer.header.result;
      return -1;
    }
    place(&answer, argument, out.iov_len);
    return answer.header.result;
  }
}

EXPORT int ioctl(int fd, unsigned long request, ...) {
  va_list more;
  va_start(more, request);
  void *argument = va_arg(more, void *);
  va_end(more);
  struct identity what;
  struct stat st;
  if (!is_of_vfs(request) && raw_fstat(fd, &st) == 0 &&
      /* Of memory files only dma-bufs have calls. */
      (S_ISSOCK(st.st_mode) || (S_ISREG(st.st_mode) && _IOC_TYPE(request) == 'b')) && identify(fd, &st, &what))
    return call(fd, what, request, argument);
  return syscall(SYS_ioctl, fd, request, argument);
}

static void *map(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
  struct stat st;
  struct identity what;
  if (fd < 0 || (flags & MAP_ANONYMOUS) || raw_fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode) || !identify(fd, &st, &what))
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
  if ((flags & MAP_TYPE) == MAP_PRIVATE) {
    /* drm_gem_shmem_mmap: no copies on write of what a device writes. */
    errno = EINVAL;
    return MAP_FAILED;
  }
  struct wire_header header = {.type = WIRE_MMAP, .object = what.object, .a = offset, .b = length};
  struct wire_answer answer;
  if (wire_request(&header, none, -1, none, &answer) < 0) return MAP_FAILED;
  if (answer.header.result < 0) {
    errno = answer.header.result == -ESTALE ? ENODEV : -answer.header.result;
    return MAP_FAILED;
  }
  if (answer.count != 1) {
    errno = EIO;
    return MAP_FAILED;
  }
  void *at = (void *)syscall(SYS_mmap, address, length, protection, flags, answer.fds[0], answer.header.a);
  int kept = errno;
  syscall(SYS_close, answer.fds[0]);
  errno = kept;
  return at;
}

EXPORT void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  return map(address, length, protection, flags, fd, offset);
}

EXPORT void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
  return map(address, length, protection, flags, fd, offset);
}

/* drm_read: as many whole events as fit, which are packets; 0 when the first does not. */
static ssize_t read_events(int fd, void *buffer, size_t room) {
  size_t done = 0;
  for (;;) {
    char probe;
    /* The length of the next packet; only the first is waited for. */
    ssize_t length = syscall(SYS_recvfrom, fd, &probe, 1, MSG_PEEK | MSG_TRUNC | (done ? MSG_DONTWAIT : 0), NULL, NULL);
    if (length <= 0) {
      if (done) return done;
      if (length == 0) errno = ENODEV;
      return -1;
    }
    if (done + length > room) return done;
    /* Another thread may have taken it meanwhile: then there is another, or none. */
    ssize_t got = syscall(SYS_recvfrom, fd, (char *)buffer + done, room - done, MSG_DONTWAIT, NULL, NULL);
    if (got > 0) done += got;
    else if (got < 0 && errno == EFAULT) return done ? (ssize_t)done : -1;
  }
}

EXPORT ssize_t read(int fd, void *buffer, size_t room) {
  REAL(ssize_t, read, int, void *, size_t);
  struct identity what;
  if (!identity_seen(fd) || !identify(fd, NULL, &what) || what.kind == WIRE_KIND_DMA_BUF) return real_read(fd, buffer, room);
  if (what.kind == WIRE_KIND_NODE) return read_events(fd, buffer, room);
  errno = EINVAL;
  return -1;
}

EXPORT ssize_t __read_chk(int fd, void *buffer, size_t room, size_t size) {
  if (room > size) __builtin_trap();
  return read(fd, buffer, room);
}

EXPORT ssize_t write(int fd, const void *buffer, size_t room) {
  REAL(ssize_t, write, int, const void *, size_t);
  struct identity what;
  if (!identity_seen(fd) || !identify(fd, NULL, &what) || what.kind == WIRE_KIND_DMA_BUF) return real_write(fd, buffer, room);
  errno = EINVAL;
  return -1;
}

/* Programs that close everything must not close what is not theirs. */

EXPORT int close(int fd) {
  if (wire_owns(fd)) {
    errno = EBADF;
    return -1;
  }
  REAL(int, close, int);
  struct identity what;
  bool timeline = identity_seen(fd) && identify(fd, NULL, &what) && what.kind == WIRE_KIND_SW_SYNC;
  int result = real_close(fd);
  if (timeline) {
    /* Its fences have signalled when close returns: the daemon sees the hang-up before it answers anything else. */
    int kept = errno;
    struct wire_header barrier = {.type = WIRE_ATTACH};
    struct wire_answer answer;
    wire_request(&barrier, none, -1, none, &answer);
    errno = kept;
  }
  return result;
}

EXPORT int dup2(int from, int to) {
  REAL(int, dup2, int, int);
  if (from != to && wire_owns(to)) wire_move(to);
  return real_dup2(from, to);
}

EXPORT int dup3(int from, int to, int flags) {
  REAL(int, dup3, int, int, int);
  if (from != to && wire_owns(to)) wire_move(to);
  return real_dup3(from, to, flags);
}

EXPORT int close_range(unsigned first, unsigned last, int flags) {
  /* The parts between ours. */
  unsigned from = first;
  for (unsigned fd = first; fd <= last && fd < 65536; fd++) {
    if (!wire_owns(fd)) continue;
    if (fd > from && syscall(SYS_close_range, from, fd - 1, flags) < 0) return -1;
    from = fd + 1;
  }
  return from > last ? 0 : syscall(SYS_close_range, from, last, flags);
}

EXPORT void closefrom(int first) { close_range(first < 0 ? 0 : first, ~0u, 0); }
