/* What the parts of the preload library know of each other.
 * Not an interface for programs: they see libc's.
 */
#ifndef ACCEL_PRELOAD_H
#define ACCEL_PRELOAD_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "wire.h"

#define EXPORT __attribute__((visibility("default")))

/* The function behind ours, looked up once. */
#define REAL(type, name, ...)                                    \
  static type (*real_##name)(__VA_ARGS__);                       \
  if (!real_##name) *(void **)&real_##name = dlsym(RTLD_NEXT, #name)

/* Longest path that is asked about. */
#define PATH_ROOM 1024

/* wire.c: requests to the daemon */

struct wire_answer {
  struct wire_header header;
  /* Bytes of payload received. */
  size_t bytes;
  int fds[WIRE_MAX_PLACES];
  int count;
};

/* True when a daemon is there; connects on first use. Keeps errno. */
bool wire_up(void);
/* True when one is already known to be there. */
bool wire_is_up(void);
/* The daemon's process, and st_dev of its memory files. After wire_up. */
int wire_daemon(void);
dev_t wire_memory_device(void);
/* The daemon's prefixes, each with NUL, then an empty one. After wire_up. */
const char *wire_prefixes(void);

/* Sends a request with `payload` and perhaps one descriptor, and receives its reply, the payload into `in`. Answers the daemon's
 * questions meanwhile. 0, or -1 and errno when the daemon is gone or a pointer is bad; what the daemon says is in the header. */
int wire_request(struct wire_header *request, struct iovec payload, int fd, struct iovec in, struct wire_answer *answer);

/* Descriptors of the library's own, which the program must not close. */
bool wire_owns(int fd);
/* Makes room: the library's descriptor moves elsewhere. */
void wire_move(int fd);

/* identity.c: what a descriptor is */

struct identity {
  uint32_t object;
  uint32_t kind;
  uint32_t major, minor;
};

/* True when fd is an object of the daemon. `known` is its fstat, or NULL. Keeps errno. */
bool identify(int fd, const struct stat *known, struct identity *out);
/* The object is gone: it is asked for again. */
void identity_forget(int fd);
void identity_put(int fd, const struct identity *what);
void identity_reset(void);
/* False: fd was never seen to be ours, and calls that happen often need not look. */
bool identity_seen(int fd);
int raw_fstat(int fd, struct stat *out);

/* poll.c */

/* True when fd is a dma-buf. Keeps errno. */
bool poll_is_buffer(int fd);

/* paths.c: the virtual tree */

/* The absolute path without dots that (dirfd, path) means, into out, when it is in the virtual tree. */
bool path_is_ours(int dirfd, const char *path, char out[PATH_ROOM]);
/* As the calls without path_: -1 and errno. */
int path_open(const char *path, int flags);
int path_stat(const char *path, bool follow, struct stat *out, char *resolved);
/* What fd, an object or a file of the tree, looks like: patches `out` of a real fstat. */
void path_fix_fstat(int fd, struct stat *out);

#endif
