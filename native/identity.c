/* What a descriptor is: ours are recognised by themselves, wherever they came from.
 * Not a table of descriptors: those change hands without our knowing. What is kept is keyed by inode, and asked for by fstat each time.
 */
#include "preload.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOTS 8192
#define SEEN_FDS 65536

/* Read without a lock: a writer makes `version` odd meanwhile. */
struct slot {
  unsigned version;
  uint64_t key;
  struct identity what;
};

static struct slot slots[SLOTS];
static unsigned char seen[SEEN_FDS / 8];

int raw_fstat(int fd, struct stat *out) { return syscall(SYS_fstat, fd, out); }

/* Inodes of sockets and of memory files are counted apart. */
static uint64_t key_of(const struct stat *st) { return (uint64_t)st->st_ino << 1 | S_ISSOCK(st->st_mode); }

static bool look(uint64_t key, struct identity *out) {
  struct slot *s = &slots[key % SLOTS];
  unsigned before = __atomic_load_n(&s->version, __ATOMIC_ACQUIRE);
  if (before & 1) return false;
  bool found = s->key == key && s->what.kind != WIRE_KIND_NONE;
  *out = s->what;
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  return found && __atomic_load_n(&s->version, __ATOMIC_RELAXED) == before;
}

static void keep(uint64_t key, const struct identity *what) {
  struct slot *s = &slots[key % SLOTS];
  unsigned before = __atomic_load_n(&s->version, __ATOMIC_RELAXED);
  /* Somebody writes this very slot: what we know is asked for again. */
  if ((before & 1) || !__atomic_compare_exchange_n(&s->version, &before, before + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
    return;
  s->key = key;
  s->what = *what;
  __atomic_store_n(&s->version, before + 2, __ATOMIC_RELEASE);
}

void identity_reset(void) { memset(slots, 0, sizeof slots); }

bool identity_seen(int fd) {
  return fd >= 0 && fd < SEEN_FDS && (__atomic_load_n(&seen[fd / 8], __ATOMIC_RELAXED) >> (fd % 8) & 1);
}

static void mark(int fd) {
  if (fd < SEEN_FDS) __atomic_fetch_or(&seen[fd / 8], 1 << (fd % 8), __ATOMIC_RELAXED);
}

void identity_put(int fd, const struct identity *what) {
  struct stat st;
  mark(fd);
  if (raw_fstat(fd, &st) == 0) keep(key_of(&st), what);
}

void identity_forget(int fd) {
  struct stat st;
  struct identity none = {0};
  if (raw_fstat(fd, &st) == 0) keep(key_of(&st), &none);
}

/* The other end of our sockets is the daemon's: it made the pair. */
static bool is_of_daemon(int fd) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  return syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == wire_daemon();
}

bool identify(int fd, const struct stat *known, struct identity *out) {
  int kept = errno;
  struct stat st;
  bool ours = false;
  if (!known) {
    if (raw_fstat(fd, &st) < 0) goto done;
    known = &st;
  }
  bool socket = S_ISSOCK(known->st_mode);
  if (!socket && !S_ISREG(known->st_mode)) goto done;
  if (socket ? !wire_up() : !wire_is_up() || known->st_dev != wire_memory_device()) goto done;
  if (look(key_of(known), out)) {
    ours = true;
    goto done;
  }
  if ((socket && !is_of_daemon(fd)) || wire_owns(fd)) goto done;
  struct wire_header request = {.type = WIRE_ATTACH};
  struct wire_answer answer;
  struct iovec none = {NULL, 0};
  if (wire_request(&request, none, fd, none, &answer) < 0 || answer.header.result < 0) goto done;
  if (answer.header.a == WIRE_KIND_NONE) goto done;
  *out = (struct identity){
      .object = answer.header.object,
      .kind = answer.header.a,
      .major = answer.header.b >> 32,
      .minor = (uint32_t)answer.header.b,
  };
  keep(key_of(known), out);
  ours = true;
done:
  if (ours) mark(fd);
  errno = kept;
  return ours;
}
