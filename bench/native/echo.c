/* A server that echoes SEQPACKET messages, and a client that times round trips: the least that a wire can cost.
 * Not the wire: bench/wire.ts runs our daemon beside it.
 *
 * echo serve SOCKET          one client, until it hangs up
 * echo call SOCKET N BYTES   prints the round trip of N messages in ns: p50 p99
 * echo ioctl NODE N          the same of N calls of the node that do nothing (GET_CLIENT), under the preload library
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int by_value(const void *a, const void *b) {
  long x = *(const long *)a, y = *(const long *)b;
  return (x > y) - (x < y);
}

static long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000L + t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  strncpy(at.sun_path, argv[2], sizeof at.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  static char buffer[65536];
  if (!strcmp(argv[1], "serve")) {
    unlink(argv[2]);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 1)) return 1;
    puts("ready");
    fflush(stdout);
    int peer = accept(fd, NULL, NULL);
    struct iovec io = {buffer, sizeof buffer};
    for (;;) {
      char control[CMSG_SPACE(253 * sizeof(int))];
      struct msghdr in = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
      io.iov_len = sizeof buffer;
      ssize_t got = recvmsg(peer, &in, 0);
      if (got <= 0) return 0;
      io.iov_len = got;
      struct msghdr out = {.msg_iov = &io, .msg_iovlen = 1};
      if (sendmsg(peer, &out, 0) != got) return 1;
    }
  }
  int calls = !strcmp(argv[1], "ioctl");
  if (argc < (calls ? 4 : 5)) return 2;
  if (calls ? (fd = open(argv[2], O_RDWR)) < 0 : connect(fd, (struct sockaddr *)&at, sizeof at)) return 1;
  int count = atoi(argv[3]), bytes = calls ? 0 : atoi(argv[4]);
  /* struct drm_client: idx, auth, pid, uid, magic, iocs */
  uint64_t client[5] = {0};
  long *ns = calloc(count, sizeof *ns);
  for (int i = -1000; i < count; i++) {
    long start = now();
    if (calls) {
      client[0] = 0;
      if (ioctl(fd, _IOC(_IOC_READ | _IOC_WRITE, 'd', 5, sizeof client), client)) return 1;
    } else if (send(fd, buffer, bytes, 0) != bytes || recv(fd, buffer, sizeof buffer, 0) != bytes) return 1;
    if (i >= 0) ns[i] = now() - start;
  }
  qsort(ns, count, sizeof *ns, by_value);
  printf("%ld %ld\n", ns[count / 2], ns[count * 99 / 100]);
  return 0;
}
