/* readv, writev, pread, pwrite, lseek and sendfile of our descriptors, as character devices and anonymous files answer them.
 * Not of dma-bufs: those are memory files to all of these. Not read and write: files.c.
 */
#include "preload.h"
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/types.h>
#include <unistd.h>

/* WIRE_KIND_NONE for all that is none of our sockets. */
static uint32_t kind_of(int fd) {
  struct identity what;
  return identity_seen(fd) && identify(fd, NULL, &what) && what.kind != WIRE_KIND_DMA_BUF ? what.kind : WIRE_KIND_NONE;
}

static ssize_t refused(void) {
  errno = EINVAL;
  return -1;
}

/* One part after the other, as the kernel does for drivers that only have read. */
EXPORT ssize_t readv(int fd, const struct iovec *parts, int count) {
  REAL(ssize_t, readv, int, const struct iovec *, int);
  uint32_t kind = kind_of(fd);
  if (kind == WIRE_KIND_NONE) return real_readv(fd, parts, count);
  if (kind != WIRE_KIND_NODE || count < 0 || count > 1024) return refused();
  ssize_t done = 0;
  for (int i = 0; i < count; i++) {
    ssize_t got = read(fd, parts[i].iov_base, parts[i].iov_len);
    if (got < 0) return done ? done : got;
    done += got;
    if ((size_t)got < parts[i].iov_len) break;
  }
  return done;
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(ssize_t, writev, int, const struct iovec *, int);
  return kind_of(fd) == WIRE_KIND_NONE ? real_writev(fd, parts, count) : refused();
}

/* A device has no position to read at. */
#define PREAD(name, offset_type)                                                        \
  EXPORT ssize_t name(int fd, void *buffer, size_t room, offset_type at) {              \
    REAL(ssize_t, name, int, void *, size_t, offset_type);                              \
    uint32_t kind = kind_of(fd);                                                        \
    if (kind == WIRE_KIND_NONE) return real_##name(fd, buffer, room, at);               \
    return kind == WIRE_KIND_NODE && at >= 0 ? read(fd, buffer, room) : refused();      \
  }
#define PWRITE(name, offset_type)                                                       \
  EXPORT ssize_t name(int fd, const void *buffer, size_t bytes, offset_type at) {       \
    REAL(ssize_t, name, int, const void *, size_t, offset_type);                        \
    return kind_of(fd) == WIRE_KIND_NONE ? real_##name(fd, buffer, bytes, at) : refused(); \
  }
/* noop_llseek: the position is, and stays, 0. */
#define LSEEK(name, offset_type)                                                        \
  EXPORT offset_type name(int fd, offset_type at, int whence) {                         \
    REAL(offset_type, name, int, offset_type, int);                                     \
    return kind_of(fd) == WIRE_KIND_NODE ? 0 : real_##name(fd, at, whence);             \
  }
#define SENDFILE(name, offset_type)                                                     \
  EXPORT ssize_t name(int out, int in, offset_type *at, size_t bytes) {                 \
    REAL(ssize_t, name, int, int, offset_type *, size_t);                               \
    bool ours = kind_of(out) != WIRE_KIND_NONE || kind_of(in) != WIRE_KIND_NONE;        \
    return ours ? refused() : real_##name(out, in, at, bytes);                          \
  }

PREAD(pread, off_t)
PREAD(pread64, off64_t)
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)
LSEEK(lseek, off_t)
LSEEK(lseek64, off64_t)
SENDFILE(sendfile, off_t)
SENDFILE(sendfile64, off64_t)
