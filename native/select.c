/* select and pselect of dma-bufs, by way of ppoll: poll.c says why.
 * Not of anything else: without a dma-buf in the sets the real ones are called.
 */
#include "preload.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/select.h>
#include <time.h>

static bool has(const fd_set *set, int fd) { return set && FD_ISSET(fd, set); }

static bool has_buffer(int count, const fd_set *in, const fd_set *out) {
  for (int fd = 0; fd < count && fd < FD_SETSIZE; fd++)
    if ((has(in, fd) || has(out, fd)) && poll_is_buffer(fd)) return true;
  return false;
}

static int by_poll(int count, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout, const sigset_t *mask) {
  struct pollfd *all = calloc(count > 0 ? count : 1, sizeof *all);
  if (!all) {
    errno = ENOMEM;
    return -1;
  }
  int used = 0;
  for (int fd = 0; fd < count; fd++) {
    short events = (has(in, fd) ? POLLIN : 0) | (has(out, fd) ? POLLOUT : 0) | (has(except, fd) ? POLLPRI : 0);
    if (events) all[used++] = (struct pollfd){.fd = fd, .events = events};
  }
  int result = ppoll(all, used, timeout, mask);
  int ready = 0;
  for (int i = 0; i < used && result >= 0; i++)
    if (all[i].revents & POLLNVAL) {
      errno = EBADF;
      result = -1;
    }
  /* The sets are left as they are on errors. */
  for (int i = 0; i < used && result >= 0; i++) {
    int fd = all[i].fd;
    short bits = all[i].revents;
    if (has(in, fd) && !(bits & (POLLIN | POLLHUP | POLLERR))) FD_CLR(fd, in);
    if (has(out, fd) && !(bits & (POLLOUT | POLLERR))) FD_CLR(fd, out);
    if (has(except, fd) && !(bits & POLLPRI)) FD_CLR(fd, except);
    ready += has(in, fd) + has(out, fd) + has(except, fd);
  }
  int kept = errno;
  free(all);
  errno = kept;
  return result < 0 ? -1 : ready;
}

EXPORT int select(int count, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout) {
  REAL(int, select, int, fd_set *, fd_set *, fd_set *, struct timeval *);
  if (!has_buffer(count, in, out)) return real_select(count, in, out, except, timeout);
  struct timespec wait;
  if (timeout) wait = (struct timespec){timeout->tv_sec, timeout->tv_usec * 1000};
  return by_poll(count, in, out, except, timeout ? &wait : NULL, NULL);
}

EXPORT int pselect(int count, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout, const sigset_t *mask) {
  REAL(int, pselect, int, fd_set *, fd_set *, fd_set *, const struct timespec *, const sigset_t *);
  if (!has_buffer(count, in, out)) return real_pselect(count, in, out, except, timeout, mask);
  return by_poll(count, in, out, except, timeout, mask);
}
