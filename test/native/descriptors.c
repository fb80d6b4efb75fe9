/* What programs do with descriptors beside calls: pass them, copy them, exec with them, wait for them, read and write them, and what they
 * do with mappings. Run under the preload library by preload.test.ts. Not the calls: client.c.
 * Says "ok", or the line of the first thing that was wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(what)                                                                  \
  do {                                                                               \
    if (!(what)) {                                                                   \
      printf("line %d: %s (%s)\n", __LINE__, #what, strerror(errno));                \
      exit(1);                                                                       \
    }                                                                                \
  } while (0)
#define FAILS(call, code) CHECK((call) == -1 && errno == (code))
#define PAGE 4096

struct gem_new {
  uint64_t size;
  uint32_t flags, handle;
  uint64_t offset;
};
struct prime {
  uint32_t handle, flags;
  int32_t fd;
};
struct syncobj {
  uint32_t handle, flags;
};
struct syncobj_fd {
  uint32_t handle, flags;
  int32_t fd;
  uint32_t pad;
};
struct array {
  uint64_t handles;
  uint32_t count, pad;
};
struct syncobj_wait {
  uint64_t handles;
  int64_t timeout;
  uint32_t count, flags, first, pad;
};
struct fence_new {
  uint32_t value;
  char name[32];
  int32_t fence;
};
struct client {
  int32_t idx, auth;
  uint64_t pid, uid, magic, iocs;
};
struct sync_file {
  uint32_t flags;
  int32_t fd;
};

#define GET_CLIENT _IOWR('d', 5, struct client)
#define TO_FD _IOWR('d', 0x2d, struct prime)
#define TO_HANDLE _IOWR('d', 0x2e, struct prime)
#define SYNCOBJ_CREATE _IOWR('d', 0xbf, struct syncobj)
#define SYNCOBJ_TO_FD _IOWR('d', 0xc1, struct syncobj_fd)
#define SYNCOBJ_TO_HANDLE _IOWR('d', 0xc2, struct syncobj_fd)
#define SYNCOBJ_WAIT _IOWR('d', 0xc3, struct syncobj_wait)
#define SYNCOBJ_SIGNAL _IOWR('d', 0xc5, struct array)
#define GEM_NEW _IOWR('d', 0x40, struct gem_new)
#define CREATE_FENCE _IOWR('W', 0, struct fence_new)
#define INC _IOW('W', 1, uint32_t)
#define IMPORT_SYNC_FILE _IOW('b', 3, struct sync_file)

static int works(int fd) {
  struct client c = {0};
  return ioctl(fd, GET_CLIENT, &c) == 0;
}

static struct gem_new buffer(int node, int pages) {
  struct gem_new gem = {.size = pages * PAGE};
  CHECK(ioctl(node, GEM_NEW, &gem) == 0);
  return gem;
}

static int fence(int timeline, uint32_t value) {
  struct fence_new f = {.value = value, .name = "f"};
  CHECK(ioctl(timeline, CREATE_FENCE, &f) == 0 && f.fence >= 0);
  return f.fence;
}

static void send_fds(int socket, const int *fds, int count) {
  char byte = 'x', control[CMSG_SPACE(4 * sizeof(int))] = {0};
  struct iovec io = {&byte, 1};
  struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(c), fds, count * sizeof(int));
  CHECK(sendmsg(socket, &m, 0) == 1);
}

static void receive_fds(int socket, int *fds, int count) {
  char byte, control[CMSG_SPACE(4 * sizeof(int))];
  struct iovec io = {&byte, 1};
  struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  CHECK(recvmsg(socket, &m, 0) == 1);
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  CHECK(c && c->cmsg_len == CMSG_LEN(count * sizeof(int)));
  memcpy(fds, CMSG_DATA(c), count * sizeof(int));
}

static void ends_well(pid_t child) {
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  if (status) exit(1);
}

/* A process that never had the device gets it, a buffer, a sync object and a fence over a socket. */
static void passing(void) {
  int pair[2], got[4];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    receive_fds(pair[1], got, 4);
    struct stat st;
    CHECK(fstat(got[0], &st) == 0 && S_ISCHR(st.st_mode) && works(got[0]));
    unsigned char *bytes = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, got[1], 0);
    CHECK(bytes != MAP_FAILED && bytes[9] == 77);
    bytes[10] = 78;
    struct prime import = {.fd = got[1]};
    CHECK(ioctl(got[0], TO_HANDLE, &import) == 0 && import.handle > 0);
    struct pollfd p = {.fd = got[3], .events = POLLIN};
    CHECK(poll(&p, 1, 0) == 0);
    struct syncobj_fd sync = {.fd = got[2]};
    CHECK(ioctl(got[0], SYNCOBJ_TO_HANDLE, &sync) == 0);
    struct array signal = {.handles = (uintptr_t)&sync.handle, .count = 1};
    CHECK(ioctl(got[0], SYNCOBJ_SIGNAL, &signal) == 0);
    CHECK(poll(&p, 1, 10000) == 1 && p.revents == POLLIN);
    exit(0);
  }
  int node = open("/dev/accel/accel0", O_RDWR), timeline = open("/dev/sw_sync", O_RDWR);
  CHECK(node >= 0 && timeline >= 0);
  struct gem_new gem = buffer(node, 1);
  struct prime prime = {.handle = gem.handle, .flags = O_RDWR | O_CLOEXEC};
  CHECK(ioctl(node, TO_FD, &prime) == 0);
  unsigned char *bytes = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, node, gem.offset);
  CHECK(bytes != MAP_FAILED);
  bytes[9] = 77;
  struct syncobj sync = {0};
  CHECK(ioctl(node, SYNCOBJ_CREATE, &sync) == 0);
  struct syncobj_fd shared = {.handle = sync.handle};
  CHECK(ioctl(node, SYNCOBJ_TO_FD, &shared) == 0);
  int point = fence(timeline, 1);
  int fds[4] = {node, prime.fd, shared.fd, point};
  send_fds(pair[0], fds, 4);
  struct syncobj_wait wait = {.handles = (uintptr_t)&sync.handle, .count = 1, .timeout = INT64_MAX, .flags = 2};
  CHECK(ioctl(node, SYNCOBJ_WAIT, &wait) == 0);
  CHECK(bytes[10] == 78);
  CHECK(ioctl(timeline, INC, &(uint32_t){1}) == 0);
  ends_well(child);
  CHECK(munmap(bytes, PAGE) == 0 && close(point) == 0 && close(shared.fd) == 0 && close(prime.fd) == 0);
  CHECK(close(timeline) == 0 && close(node) == 0 && close(pair[0]) == 0 && close(pair[1]) == 0);
}

/* Copies, flags, and what is left of them after exec. */
static void copies(const char *self) {
  int node = open("/dev/accel/accel0", O_RDWR | O_CLOEXEC);
  CHECK(node >= 0 && (fcntl(node, F_GETFL) & O_ACCMODE) == O_RDWR && !(fcntl(node, F_GETFL) & O_NONBLOCK));
  CHECK(fcntl(node, F_SETFL, fcntl(node, F_GETFL) | O_NONBLOCK) == 0 && (fcntl(node, F_GETFL) & O_NONBLOCK));
  char event[32];
  FAILS(read(node, event, sizeof event), EAGAIN);
  int file = open("/dev/null", O_RDWR);
  CHECK(file >= 0 && dup2(node, file) == file && works(file) && !(fcntl(file, F_GETFD) & FD_CLOEXEC));
  CHECK(dup2(node, node) == node && works(node));
  int high = fcntl(node, F_DUPFD_CLOEXEC, 100);
  CHECK(high >= 100 && works(high) && (fcntl(high, F_GETFD) & FD_CLOEXEC));
  int third = dup3(node, high, O_CLOEXEC);
  CHECK(third == high && works(third));
  FAILS(dup3(node, node, 0), EINVAL);
  /* One description: the flag is of all copies. */
  CHECK(fcntl(file, F_GETFL) & O_NONBLOCK);
  CHECK(close(node) == 0 && works(file) && works(high));
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    char kept[16], closed[16];
    snprintf(kept, sizeof kept, "%d", file);
    snprintf(closed, sizeof closed, "%d", high);
    execl(self, self, kept, closed, (char *)NULL);
    exit(2);
  }
  ends_well(child);
  CHECK(close(file) == 0 && close(high) == 0);
}

/* select, epoll and poll of nodes, fences and buffers. */
static void waiting(void) {
  int node = open("/dev/accel/accel0", O_RDWR), timeline = open("/dev/sw_sync", O_RDWR);
  CHECK(node >= 0 && timeline >= 0);
  int point = fence(timeline, 1), epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event e = {.events = EPOLLIN, .data = {.fd = node}}, got[4];
  CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, node, &e) == 0);
  e.data.fd = point;
  CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, point, &e) == 0);
  CHECK(epoll_wait(epoll, got, 4, 0) == 0);
  struct gem_new gem = buffer(node, 1);
  struct prime prime = {.handle = gem.handle, .flags = O_RDWR};
  CHECK(ioctl(node, TO_FD, &prime) == 0);
  fd_set in, out;
  struct timeval now = {0};
  FD_ZERO(&in);
  FD_ZERO(&out);
  FD_SET(node, &in);
  FD_SET(point, &in);
  FD_SET(prime.fd, &in);
  FD_SET(prime.fd, &out);
  int most = (prime.fd > point ? prime.fd : point) + 1;
  /* Nobody uses the buffer yet: it is ready for both. */
  CHECK(select(most, &in, &out, NULL, &now) == 2 && FD_ISSET(prime.fd, &in) && FD_ISSET(prime.fd, &out));
  CHECK(!FD_ISSET(node, &in) && !FD_ISSET(point, &in));
  /* Somebody writes it, until the fence signals. */
  struct sync_file writer = {.flags = 2, .fd = point};
  CHECK(ioctl(prime.fd, IMPORT_SYNC_FILE, &writer) == 0);
  FD_ZERO(&in);
  FD_SET(prime.fd, &in);
  CHECK(select(most, &in, NULL, NULL, &now) == 0 && !FD_ISSET(prime.fd, &in));
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    usleep(20000);
    CHECK(ioctl(timeline, INC, &(uint32_t){1}) == 0);
    _exit(0);
  }
  struct timespec ten = {.tv_sec = 10};
  FD_ZERO(&in);
  FD_SET(prime.fd, &in);
  CHECK(pselect(most, &in, NULL, NULL, &ten, NULL) == 1 && FD_ISSET(prime.fd, &in));
  CHECK(epoll_wait(epoll, got, 4, 10000) == 1 && got[0].data.fd == point && got[0].events == EPOLLIN);
  ends_well(child);
  FD_ZERO(&in);
  FD_SET(prime.fd, &in);
  FD_SET(900, &in);
  FAILS(select(901, &in, NULL, NULL, &now), EBADF);
  CHECK(close(epoll) == 0 && close(point) == 0 && close(prime.fd) == 0 && close(timeline) == 0 && close(node) == 0);
}

/* Reading and writing in all ways: a device has events only, and no position. */
static void transfers(void) {
  int node = open("/dev/accel/accel0", O_RDWR | O_NONBLOCK), timeline = open("/dev/sw_sync", O_RDWR);
  CHECK(node >= 0 && timeline >= 0);
  int point = fence(timeline, 1), file = open("/proc/self/exe", O_RDONLY), null = open("/dev/null", O_WRONLY);
  char bytes[64] = {0};
  struct iovec parts[2] = {{bytes, 32}, {bytes + 32, 32}};
  FAILS(read(node, bytes, 64), EAGAIN);
  FAILS(readv(node, parts, 2), EAGAIN);
  FAILS(pread(node, bytes, 64, 0), EAGAIN);
  int of[2] = {node, point};
  for (int i = 0; i < 2; i++) {
    FAILS(write(of[i], bytes, 64), EINVAL);
    FAILS(writev(of[i], parts, 2), EINVAL);
    FAILS(pwrite(of[i], bytes, 64, 0), EINVAL);
    FAILS(sendfile(of[i], file, NULL, 64), EINVAL);
    FAILS(sendfile(null, of[i], NULL, 64), EINVAL);
  }
  FAILS(read(point, bytes, 64), EINVAL);
  FAILS(readv(point, parts, 2), EINVAL);
  CHECK(lseek(node, 100, SEEK_SET) == 0);
  FAILS(ftruncate(node, 0), EINVAL);
  /* All of it left nothing behind. */
  CHECK(works(node));
  struct pollfd p = {.fd = point, .events = POLLIN};
  CHECK(poll(&p, 1, 0) == 0 && ioctl(timeline, INC, &(uint32_t){1}) == 0 && poll(&p, 1, 10000) == 1);
  char path[64], text[4096] = {0};
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", node);
  int info = open(path, O_RDONLY);
  CHECK(info >= 0 && read(info, text, sizeof text - 1) > 0);
  CHECK(strstr(text, "flags:\t04002\n") && strstr(text, "drm-driver:\tnull\n") && strstr(text, "drm-client-id:\t"));
  CHECK(close(info) == 0 && close(file) == 0 && close(null) == 0 && close(point) == 0);
  CHECK(close(timeline) == 0 && close(node) == 0);
}

/* Mappings are pages of a file: placed, cut, moved and protected as any. */
static void mappings(void) {
  int node = open("/dev/accel/accel0", O_RDWR);
  CHECK(node >= 0);
  struct gem_new gem = buffer(node, 4), other = buffer(node, 4);
  unsigned char *room = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(room != MAP_FAILED);
  unsigned char *one = mmap(room, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, node, gem.offset);
  CHECK(one == room);
  unsigned char *two = mmap(room + 4 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, node, other.offset);
  CHECK(two == room + 4 * PAGE);
  for (int i = 0; i < 4; i++) one[i * PAGE] = 1 + i, two[i * PAGE] = 11 + i;
  /* A second mapping of less than all, an offset in the middle of a buffer, one that is too long, a private one. */
  unsigned char *again = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, node, gem.offset);
  CHECK(again != MAP_FAILED && again[PAGE] == 2);
  CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, node, gem.offset + PAGE) == MAP_FAILED && errno == EINVAL);
  CHECK(mmap(NULL, 5 * PAGE, PROT_READ, MAP_SHARED, node, gem.offset) == MAP_FAILED && errno == EINVAL);
  CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, node, gem.offset) == MAP_FAILED && errno == EINVAL);
  CHECK(mmap(NULL, 0, PROT_READ, MAP_SHARED, node, gem.offset) == MAP_FAILED && errno == EINVAL);
  /* A hole in the middle, and one mapping placed over another. */
  CHECK(munmap(one + PAGE, 2 * PAGE) == 0 && one[0] == 1 && one[3 * PAGE] == 4 && again[PAGE] == 2);
  CHECK(mmap(one, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, node, other.offset) == one && one[2 * PAGE] == 13);
  CHECK(mprotect(one, PAGE, PROT_READ) == 0 && one[0] == 11 && mprotect(one, PAGE, PROT_READ | PROT_WRITE) == 0);
  one[0] = 99;
  CHECK(two[0] == 99);
  /* Moved and shrunk, it is the same pages. */
  unsigned char *moved = mremap(two, 4 * PAGE, 2 * PAGE, MREMAP_MAYMOVE);
  CHECK(moved != MAP_FAILED && moved[PAGE] == 12);
  one[PAGE] = 55;
  CHECK(moved[PAGE] == 55);
  /* The buffer lives as long as one mapping of it. */
  CHECK(close(node) == 0 && moved[PAGE] == 55 && again[PAGE] == 2);
  CHECK(munmap(room, 8 * PAGE) == 0 && munmap(again, 2 * PAGE) == 0);
}

int main(int count, char **words) {
  if (count == 3) {
    /* After exec: the first is still the device, the second is closed. */
    CHECK(works(atoi(words[1])));
    FAILS(fcntl(atoi(words[2]), F_GETFD), EBADF);
    return 0;
  }
  passing();
  copies(words[0]);
  waiting();
  transfers();
  mappings();
  puts("ok");
  return 0;
}
