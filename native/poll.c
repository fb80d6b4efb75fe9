/* poll and ppoll of dma-bufs: their descriptors are memory files, which the kernel holds to be always ready.
 * Not of our sockets: those the kernel polls itself. Not select: select.c. Not epoll, which refuses memory files.
 */
#include "preload.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* dma_buf_poll: readable when nobody writes it any more, writable when nobody uses it at all. */
#define READABLE (POLLIN | POLLRDNORM)
#define WRITABLE (POLLOUT | POLLWRNORM)
/* linux/dma-buf.h */
#define SYNC_READ 1u
#define SYNC_WRITE 2u
#define EXPORT_SYNC_FILE 0xc0086202u

/* Polled without allocating. */
#define FEW 16

/* A sync_file of what a reader (or writer) has to wait for: readable when it may go on. -1 when the buffer cannot say. */
static int fence_of(int fd, uint32_t access) {
  struct {
    uint32_t flags;
    int32_t fd;
  } argument = {access, -1};
  return ioctl(fd, EXPORT_SYNC_FILE, &argument) < 0 ? -1 : argument.fd;
}

/* Asked of every descriptor each time: a buffer may have come by fork, exec or a socket. Few programs poll files that are none. */
bool poll_is_buffer(int fd) {
  struct identity what;
  struct stat st;
  int kept = errno;
  bool buffer = fd >= 0 && raw_fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && wire_up() && identify(fd, &st, &what) &&
                what.kind == WIRE_KIND_DMA_BUF;
  errno = kept;
  return buffer;
}

/* ppoll with each buffer of fds replaced by the fences it waits for. */
static int poll_buffers(struct pollfd *fds, nfds_t count, struct timespec *timeout, const sigset_t *mask) {
  struct pollfd few[FEW * 3];
  struct pollfd *all = count <= FEW ? few : malloc(count * 3 * sizeof *all);
  if (!all) {
    errno = ENOMEM;
    return -1;
  }
  /* Entry i of fds is i here; the fence of its readers is count + 2 * i, that of its writers the next one. */
  nfds_t whole = count * 3;
  for (nfds_t i = 0; i < whole; i++) all[i] = (struct pollfd){.fd = -1, .events = POLLIN};
  for (nfds_t i = 0; i < count; i++) {
    all[i] = fds[i];
    if (!poll_is_buffer(fds[i].fd)) continue;
    all[i].fd = -1;
    if (fds[i].events & READABLE) all[count + 2 * i].fd = fence_of(fds[i].fd, SYNC_READ);
    if (fds[i].events & WRITABLE) all[count + 2 * i + 1].fd = fence_of(fds[i].fd, SYNC_WRITE);
  }
  int result = syscall(SYS_ppoll, all, whole, timeout, mask, _NSIG / 8);
  int kept = errno;
  int ready = 0;
  for (nfds_t i = 0; i < count; i++) {
    struct pollfd *reader = &all[count + 2 * i], *writer = reader + 1;
    short bits = all[i].fd < 0 ? 0 : all[i].revents;
    if (result > 0 && reader->fd >= 0 && reader->revents) bits |= fds[i].events & READABLE;
    if (result > 0 && writer->fd >= 0 && writer->revents) bits |= fds[i].events & WRITABLE;
    if (reader->fd >= 0) syscall(SYS_close, reader->fd);
    if (writer->fd >= 0) syscall(SYS_close, writer->fd);
    if (result < 0) continue;
    fds[i].revents = bits;
    if (bits) ready++;
  }
  if (all != few) free(all);
  errno = kept;
  return result < 0 ? result : ready;
}

static bool has_buffer(const struct pollfd *fds, nfds_t count) {
  for (nfds_t i = 0; fds && i < count; i++)
    if (poll_is_buffer(fds[i].fd)) return true;
  return false;
}

EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout) {
  REAL(int, poll, struct pollfd *, nfds_t, int);
  struct timespec wait = {timeout / 1000, timeout % 1000 * 1000000L};
  if (!has_buffer(fds, count)) return real_poll(fds, count, timeout);
  return poll_buffers(fds, count, timeout < 0 ? NULL : &wait, NULL);
}

EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask) {
  REAL(int, ppoll, struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
  if (!has_buffer(fds, count)) return real_ppoll(fds, count, timeout, mask);
  /* The system call counts it down; the function must not. */
  struct timespec wait;
  if (timeout) wait = *timeout;
  return poll_buffers(fds, count, timeout ? &wait : NULL, mask);
}

EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room) {
  if (room / sizeof *fds < count) __builtin_trap();
  return poll(fds, count, timeout);
}

EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask, size_t room) {
  if (room / sizeof *fds < count) __builtin_trap();
  return ppoll(fds, count, timeout, mask);
}
