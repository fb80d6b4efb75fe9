/* Requests to the daemon: a connection per thread, and the questions the daemon asks while a call runs.
 * Not what requests mean: files.c and paths.c.
 *
 * System calls are made directly: libc's functions of these names may be our own. Nothing here allocates or takes a lock while a
 * call runs, so that a signal handler may make calls too; it gets a connection of its own.
 */
#include "preload.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef PR_SET_PTRACER
#define PR_SET_PTRACER 0x59616d61
#endif

/* The library's descriptors are put here and above: programs count on low numbers. */
#define FIRST_FD 512
/* A call, a call in a signal handler, one in a handler that interrupted that one... */
#define DEPTH 4

struct connection {
  int fd;
  struct connection *all;  /* Every one of this process. */
  struct connection *free; /* Those that no thread has. */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct connection *all_connections;
static struct connection *free_connections;
static pthread_key_t thread_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static __thread struct connection *mine[DEPTH] __attribute__((tls_model("initial-exec")));
static __thread int depth __attribute__((tls_model("initial-exec")));
static __thread uint32_t tag __attribute__((tls_model("initial-exec")));

static unsigned char key[WIRE_KEY_BYTES];
static int daemon_pid;
static dev_t memory_device;
static char prefixes[16384];
/* 0 not tried, 1 up, -1 there is none. */
static int state;

static void give_back(void *unused) {
  (void)unused;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < DEPTH; i++) {
    if (!mine[i]) continue;
    mine[i]->free = free_connections;
    free_connections = mine[i];
    mine[i] = NULL;
  }
  pthread_mutex_unlock(&lock);
}

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }

/* The child is another client: its parent's connections are not its own. */
static void in_child(void) {
  for (struct connection *c = all_connections; c; c = c->all) {
    if (c->fd >= 0) syscall(SYS_close, c->fd);
    c->fd = -1;
    c->free = c->all;
  }
  free_connections = all_connections;
  memset(mine, 0, sizeof mine);
  depth = 0;
  if (state > 0) state = 0;
  getrandom(key, sizeof key, 0);
  identity_reset();
  pthread_mutex_unlock(&lock);
}

static void start(void) {
  getrandom(key, sizeof key, 0);
  pthread_key_create(&thread_key, give_back);
  pthread_atfork(before_fork, after_fork, in_child);
}

static ssize_t send_message(int fd, struct wire_header *header, struct iovec payload, const int *fds, int count) {
  struct iovec io[2] = {{header, sizeof *header}, payload};
  char control[CMSG_SPACE(WIRE_MAX_FDS * sizeof(int))];
  struct msghdr message = {.msg_iov = io, .msg_iovlen = payload.iov_len ? 2 : 1};
  header->fds = count;
  if (count) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(c), fds, count * sizeof(int));
  }
  ssize_t sent;
  do sent = syscall(SYS_sendmsg, fd, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent;
}

static ssize_t receive(int fd, struct wire_answer *answer, struct iovec in) {
  struct iovec io[2] = {{&answer->header, sizeof answer->header}, in};
  char control[CMSG_SPACE(WIRE_MAX_PLACES * sizeof(int))];
  struct msghdr message = {
      .msg_iov = io, .msg_iovlen = in.iov_len ? 2 : 1, .msg_control = control, .msg_controllen = sizeof control};
  answer->count = 0;
  ssize_t got = syscall(SYS_recvmsg, fd, &message, MSG_CMSG_CLOEXEC);
  if (got < 0) return got;
  struct cmsghdr *c = CMSG_FIRSTHDR(&message);
  if (c && c->cmsg_type == SCM_RIGHTS) {
    answer->count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(answer->fds, CMSG_DATA(c), answer->count * sizeof(int));
  }
  answer->bytes = got > (ssize_t)sizeof answer->header ? got - sizeof answer->header : 0;
  return got;
}

/* Says once why nothing is there. */
static void complain(const char *socket, const char *why) {
  char text[256];
  int length = snprintf(text, sizeof text, "accel: no devices: %s: %s\n", socket, why);
  if (length > 0) syscall(SYS_write, 2, text, length);
}

/* A new connection that has been welcomed, or -1. */
static int make_connection(void) {
  const char *path = getenv("ACCEL_SOCKET");
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (!path || strlen(path) >= sizeof address.sun_path) return -1;
  strcpy(address.sun_path, path);
  int low = syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (low < 0) return -1;
  int fd = syscall(SYS_fcntl, low, F_DUPFD_CLOEXEC, FIRST_FD);
  if (fd < 0) fd = low;
  else syscall(SYS_close, low);
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (syscall(SYS_connect, fd, &address, sizeof address) < 0 ||
      syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
    if (state == 0) complain(path, strerror(errno));
    syscall(SYS_close, fd);
    return -1;
  }
  /* Where Yama guards processes, this lets the daemon read what pointers in arguments point to. */
  prctl(PR_SET_PTRACER, peer.pid, 0, 0, 0);
  unsigned char hello[WIRE_KEY_BYTES + 16] = {0};
  memcpy(hello, key, sizeof key);
  strncpy((char *)hello + WIRE_KEY_BYTES, program_invocation_short_name, 15);
  struct wire_header header = {.type = WIRE_HELLO, .object = WIRE_VERSION, .a = (uintptr_t)key};
  struct wire_answer answer;
  static char welcome[sizeof prefixes];
  struct iovec in = {welcome, sizeof welcome - 1};
  ssize_t got = -1;
  if (send_message(fd, &header, (struct iovec){hello, sizeof hello}, NULL, 0) > 0)
    do got = receive(fd, &answer, in);
    while (got < 0 && errno == EINTR);
  if (got < (ssize_t)sizeof header || answer.header.type != WIRE_WELCOME || answer.header.object != WIRE_VERSION) {
    if (state == 0) complain(path, got > 0 ? "another version of accel" : "the daemon hung up");
    syscall(SYS_close, fd);
    return -1;
  }
  daemon_pid = peer.pid;
  memory_device = answer.header.a;
  welcome[answer.bytes] = 0;
  memcpy(prefixes, welcome, answer.bytes + 1);
  return fd;
}

/* This thread's connection at this depth. Only its first call takes the lock, with signals held back: a handler may call too. */
static struct connection *connection(void) {
  if (depth >= DEPTH) return NULL;
  struct connection *c = mine[depth];
  if (c && c->fd >= 0) return c;
  pthread_once(&once, start);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  pthread_mutex_lock(&lock);
  if (!c && free_connections) {
    c = free_connections;
    free_connections = c->free;
  }
  if (!c && (c = calloc(1, sizeof *c))) {
    c->fd = -1;
    c->all = all_connections;
    all_connections = c;
  }
  if (c) {
    mine[depth] = c;
    pthread_setspecific(thread_key, c);
    if (c->fd < 0) {
      c->fd = make_connection();
      state = c->fd < 0 ? -1 : 1;
    }
  }
  pthread_mutex_unlock(&lock);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return c && c->fd >= 0 ? c : NULL;
}

bool wire_is_up(void) { return state > 0; }

bool wire_up(void) {
  if (state > 0) return true;
  if (state < 0) return false;
  int kept = errno;
  bool up = connection() != NULL;
  errno = kept;
  return up;
}

int wire_daemon(void) { return daemon_pid; }
dev_t wire_memory_device(void) { return memory_device; }
const char *wire_prefixes(void) { return prefixes; }

bool wire_owns(int fd) {
  if (state == 0 || fd < 0) return false;
  for (struct connection *c = all_connections; c; c = c->all)
    if (c->fd == fd) return true;
  return false;
}

void wire_move(int fd) {
  for (struct connection *c = all_connections; c; c = c->all) {
    if (c->fd != fd) continue;
    int other = syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, FIRST_FD);
    if (other >= 0) c->fd = other;
  }
}

/* The daemon asks: memory or descriptors of this process. The kernel checks the pointers. */
static int answer_question(int fd, const struct wire_header *question) {
  struct wire_header header = {.type = WIRE_GOT, .tag = question->tag};
  struct iovec none = {NULL, 0};
  struct iovec memory = {(void *)(uintptr_t)question->a, question->b};
  if (question->type == WIRE_GET) {
    if (send_message(fd, &header, memory, NULL, 0) >= 0) return 0;
    if (errno != EFAULT) return -1;
    header.result = -EFAULT;
    return send_message(fd, &header, none, NULL, 0) < 0 ? -1 : 0;
  }
  if (question->type == WIRE_PUT) {
    struct msghdr message = {.msg_iov = &memory, .msg_iovlen = 1};
    ssize_t got;
    do got = syscall(SYS_recvmsg, fd, &message, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno != EFAULT) return -1;
    header.result = got < 0 ? -EFAULT : 0;
    return send_message(fd, &header, none, NULL, 0) < 0 ? -1 : 0;
  }
  int32_t numbers[WIRE_MAX_FDS];
  int here[WIRE_MAX_FDS], count = 0;
  unsigned char status[WIRE_MAX_FDS];
  struct iovec io = {numbers, sizeof numbers};
  struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1};
  ssize_t got;
  do got = syscall(SYS_recvmsg, fd, &message, 0);
  while (got < 0 && errno == EINTR);
  if (got < 0) return -1;
  int asked = got / sizeof(int32_t);
  for (int i = 0; i < asked; i++) {
    status[i] = syscall(SYS_fcntl, numbers[i], F_GETFD, 0) >= 0;
    if (status[i]) here[count++] = numbers[i];
  }
  return send_message(fd, &header, (struct iovec){status, asked}, here, count) < 0 ? -1 : 0;
}

int wire_request(struct wire_header *request, struct iovec payload, int fd, struct iovec in, struct wire_answer *answer) {
  struct connection *c = connection();
  if (!c) {
    errno = ENODEV;
    return -1;
  }
  int socket = c->fd;
  bool cancelled = false;
  request->tag = ++tag;
  depth++;
  if (send_message(socket, request, payload, &fd, fd >= 0) < 0) {
    /* A bad pointer is the caller's mistake; anything else means that the connection is of no use any more. */
    if (errno != EFAULT) goto lost;
    depth--;
    return -1;
  }
  for (;;) {
    ssize_t got = receive(socket, answer, in);
    if (got < 0 && errno == EINTR) {
      /* A handler ran, and not with SA_RESTART. The call ends, with EINTR or because it was over. */
      if (cancelled) continue;
      cancelled = true;
      struct wire_header cancel = {.type = WIRE_CANCEL, .tag = request->tag};
      if (send_message(socket, &cancel, (struct iovec){NULL, 0}, NULL, 0) < 0) goto lost;
      continue;
    }
    if (got < 0 && errno == EFAULT) {
      depth--;
      return -1;
    }
    if (got < (ssize_t)sizeof answer->header) goto lost;
    if (answer->header.type != WIRE_REPLY) {
      if (answer_question(socket, &answer->header) < 0) goto lost;
      continue;
    }
    if (answer->header.tag == request->tag) break;
  }
  depth--;
  return 0;

lost:
  depth--;
  if (!wire_owns(socket)) {
    errno = EIO;
    return -1;
  }
  pthread_mutex_lock(&lock);
  syscall(SYS_close, c->fd);
  c->fd = -1;
  pthread_mutex_unlock(&lock);
  errno = ENODEV;
  return -1;
}

/* The end in good order: the daemon lets queued jobs finish. */
__attribute__((destructor)) static void leave(void) {
  struct connection *c = mine[0] ? mine[0] : all_connections;
  if (state <= 0 || !c || c->fd < 0) return;
  struct wire_header bye = {.type = WIRE_BYE};
  send_message(c->fd, &bye, (struct iovec){NULL, 0}, NULL, 0);
}
