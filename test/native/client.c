/* A program that knows nothing of accel but the node and its uAPI: run under the preload library by preload.test.ts.
 * Not the library's unit test: everything is done by calls of libc. Says "ok", or the line of the first thing that was wrong.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(what)                                                                  \
  do {                                                                               \
    if (!(what)) {                                                                   \
      printf("line %d: %s (%s)\n", __LINE__, #what, strerror(errno));                \
      exit(1);                                                                       \
    }                                                                                \
  } while (0)
#define FAILS(call, code) CHECK((call) == -1 && errno == (code))

struct version {
  int major, minor, patch;
  size_t name_len;
  char *name;
  size_t date_len;
  char *date;
  size_t desc_len;
  char *desc;
};
struct gem_new {
  uint64_t size;
  uint32_t flags, handle;
  uint64_t offset;
};
struct command {
  uint32_t op, value, src, dst;
  uint64_t src_offset, dst_offset, bytes;
};
struct submit {
  uint64_t commands;
  uint32_t count, size, flags, timeout_ms, in_sync, out_sync;
};
struct null_wait {
  uint32_t handle, pad;
  int64_t timeout;
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
struct syncobj_wait {
  uint64_t handles;
  int64_t timeout;
  uint32_t count, flags, first, pad;
};
struct array {
  uint64_t handles;
  uint32_t count, pad;
};

#define VERSION _IOWR('d', 0, struct version)
#define GEM_CLOSE _IOW('d', 9, struct syncobj)
#define TO_FD _IOWR('d', 0x2d, struct prime)
#define TO_HANDLE _IOWR('d', 0x2e, struct prime)
#define SYNCOBJ_CREATE _IOWR('d', 0xbf, struct syncobj)
#define SYNCOBJ_TO_FD _IOWR('d', 0xc1, struct syncobj_fd)
#define SYNCOBJ_WAIT _IOWR('d', 0xc3, struct syncobj_wait)
#define SYNCOBJ_SIGNAL _IOWR('d', 0xc5, struct array)
#define GEM_NEW _IOWR('d', 0x40, struct gem_new)
#define SUBMIT _IOWR('d', 0x41, struct submit)
#define WAIT _IOWR('d', 0x42, struct null_wait)
enum { COPY = 1, FILL = 2 };
#define PAGE 4096

static int node;

static int64_t in_ms(int ms) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec + ms * 1000000LL;
}

static void check_version(int fd) {
  char name[16] = {0};
  struct version v = {.name = name, .name_len = sizeof name};
  CHECK(ioctl(fd, VERSION, &v) == 0 && !strcmp(name, "null") && v.name_len == 4);
}

static struct gem_new buffer(void) {
  struct gem_new new = {.size = 2 * PAGE};
  CHECK(ioctl(node, GEM_NEW, &new) == 0 && new.handle > 0);
  return new;
}

/* Fills the first page from the CPU, copies it by the device, and looks. */
static void check_job(unsigned char seed) {
  struct gem_new gem = buffer();
  unsigned char *bytes = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, node, gem.offset);
  CHECK(bytes != MAP_FAILED);
  memset(bytes, seed, PAGE);
  struct syncobj done = {0};
  CHECK(ioctl(node, SYNCOBJ_CREATE, &done) == 0);
  struct command commands[2] = {
      {.op = COPY, .src = gem.handle, .dst = gem.handle, .dst_offset = PAGE, .bytes = PAGE / 2},
      {.op = FILL, .value = seed + 1, .dst = gem.handle, .dst_offset = PAGE + PAGE / 2, .bytes = PAGE / 2},
  };
  struct submit submit = {
      .commands = (uintptr_t)commands, .count = 2, .size = sizeof *commands, .timeout_ms = 5000, .out_sync = done.handle};
  CHECK(ioctl(node, SUBMIT, &submit) == 0);
  struct syncobj_wait wait = {.handles = (uintptr_t)&done.handle, .count = 1, .timeout = in_ms(5000)};
  CHECK(ioctl(node, SYNCOBJ_WAIT, &wait) == 0);
  for (int i = 0; i < PAGE; i++) CHECK(bytes[PAGE + i] == (i < PAGE / 2 ? seed : (unsigned char)(seed + 1)));
  CHECK(munmap(bytes, 2 * PAGE) == 0);
  struct syncobj handle = {gem.handle, 0};
  CHECK(ioctl(node, GEM_CLOSE, &handle) == 0);
}

static void *in_thread(void *seed) {
  for (int i = 0; i < 20; i++) check_job((unsigned char)((uintptr_t)seed * 20 + i));
  return NULL;
}

static void on_alarm(int signal) { (void)signal; }

int main(void) {
  struct stat by_path, by_fd;
  CHECK((node = open("/dev/accel/accel0", O_RDWR | O_NONBLOCK | O_CLOEXEC)) >= 0);
  FAILS(open("/dev/accel/accel9", O_RDWR), ENOENT);
  CHECK(stat("/dev/accel/accel0", &by_path) == 0 && fstat(node, &by_fd) == 0);
  CHECK(S_ISCHR(by_fd.st_mode) && major(by_fd.st_rdev) == 261 && minor(by_fd.st_rdev) == 0);
  CHECK(by_path.st_rdev == by_fd.st_rdev && by_path.st_ino == by_fd.st_ino && by_path.st_dev == by_fd.st_dev);
  CHECK(access("/sys/class/accel/accel0/dev", R_OK) == 0);
  FAILS(access("/sys/class/accel/accel0/dev", W_OK), EACCES);

  /* The errno of the kernel, also for pointers that lead nowhere. */
  check_version(node);
  FAILS(ioctl(node, _IO('d', 0x99)), EINVAL);
  FAILS(ioctl(node, _IO('T', 1)), ENOTTY);
  FAILS(ioctl(node, VERSION, (void *)16), EFAULT);
  struct version bad = {.name = (char *)32, .name_len = 4};
  FAILS(ioctl(node, VERSION, &bad), EFAULT);
  char event[64];
  FAILS(read(node, event, sizeof event), EAGAIN);
  FAILS(write(node, event, sizeof event), EINVAL);

  /* Jobs, from this thread and from four at once. */
  check_job(7);
  pthread_t threads[4];
  for (uintptr_t i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, in_thread, (void *)i) == 0);
  for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);

  /* A buffer as a descriptor: sized, mapped, imported, of a size that stays. */
  struct gem_new gem = buffer();
  struct prime prime = {.handle = gem.handle, .flags = O_RDWR | O_CLOEXEC};
  CHECK(ioctl(node, TO_FD, &prime) == 0 && prime.fd > 2);
  CHECK(lseek(prime.fd, 0, SEEK_END) == 2 * PAGE && (fcntl(prime.fd, F_GETFD) & FD_CLOEXEC));
  FAILS(ftruncate(prime.fd, 0), EPERM);
  unsigned char *one = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, prime.fd, 0);
  unsigned char *two = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, node, gem.offset);
  CHECK(one != MAP_FAILED && two != MAP_FAILED);
  one[100] = 42;
  CHECK(two[100] == 42);
  struct prime again = {.fd = prime.fd};
  CHECK(ioctl(node, TO_HANDLE, &again) == 0 && again.handle == gem.handle);
  again.fd = node;
  FAILS(ioctl(node, TO_HANDLE, &again), EINVAL);
  again.fd = 1000;
  FAILS(ioctl(node, TO_HANDLE, &again), EBADF);
  CHECK(mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, node, gem.offset) == MAP_FAILED && errno == EINVAL);

  struct syncobj none = {999, 0};
  FAILS(ioctl(node, GEM_CLOSE, &none), EINVAL);

  /* The number of a closed descriptor, used again for another file. */
  int reused = prime.fd;
  CHECK(close(reused) == 0 && open("/dev/null", O_RDWR) == reused);
  FAILS(ioctl(reused, _IOW('b', 0, uint64_t), &(uint64_t){1}), ENOTTY);
  CHECK(close(reused) == 0);

  /* A wait that a signal ends, and one that its time ends. */
  struct syncobj never = {0};
  CHECK(ioctl(node, SYNCOBJ_CREATE, &never) == 0);
  struct syncobj_wait wait = {
      .handles = (uintptr_t)&never.handle, .count = 1, .timeout = in_ms(10000), .flags = 2 /* for submit */};
  struct sigaction action = {.sa_handler = on_alarm};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval timer = {.it_value = {.tv_usec = 50000}, .it_interval = {.tv_usec = 50000}};
  setitimer(ITIMER_REAL, &timer, NULL);
  FAILS(ioctl(node, SYNCOBJ_WAIT, &wait), EINTR);
  timer = (struct itimerval){0};
  setitimer(ITIMER_REAL, &timer, NULL);
  wait.timeout = in_ms(20);
  FAILS(ioctl(node, SYNCOBJ_WAIT, &wait), ETIME);

  /* A child has the file, and memory of its own. A sync object reaches it as a descriptor. */
  struct syncobj_fd shared = {.handle = never.handle};
  CHECK(ioctl(node, SYNCOBJ_TO_FD, &shared) == 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    char *mine = malloc(1 << 20);
    memset(mine, 1, 1 << 20);
    check_version(node);
    struct syncobj_fd import = {.fd = shared.fd};
    CHECK(ioctl(node, _IOWR('d', 0xc2, struct syncobj_fd), &import) == 0);
    struct array signal = {.handles = (uintptr_t)&import.handle, .count = 1};
    CHECK(ioctl(node, SYNCOBJ_SIGNAL, &signal) == 0);
    check_job(90);
    exit(0);
  }
  wait.timeout = in_ms(10000);
  int result;
  do result = ioctl(node, SYNCOBJ_WAIT, &wait);
  while (result < 0 && errno == EINTR);
  CHECK(result == 0);
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  check_version(node);

  /* Copies of the descriptor; and closing everything, which does not take the library's own. */
  int copy = dup(node);
  CHECK(copy >= 0 && close(node) == 0);
  check_version(copy);
  node = copy;
  check_job(1);
  close_range(node + 1, ~0u, 0);
  check_version(node);
  CHECK(close(node) == 0);
  FAILS(ioctl(node, VERSION, &bad), EBADF);
  puts("ok");
  return 0;
}
