/* The virtual tree: /dev/accel, sysfs and debugfs of the daemon's devices, to the calls that take paths.
 * Not its content: the daemon has that; here are names, and folders as directory streams.
 */
#include "preload.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

/* Names of the memory files that stand for files and folders of the tree. */
#define FILE_NAME "/memfd:accel-file:"
#define DIR_NAME "/memfd:accel-dir:"

/* What /proc/self/fd says of fd; 0 when nothing. */
static size_t link_of(int fd, char *out, size_t room) {
  char proc[40];
  snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
  ssize_t got = syscall(SYS_readlink, proc, out, room - 1);
  if (got <= 0) return 0;
  out[got] = 0;
  return got;
}

/* The path of the tree that a memory file stands for. */
static bool tree_path(int fd, char out[PATH_ROOM], bool *folder) {
  char name[PATH_ROOM];
  struct stat st;
  if (!wire_is_up() || raw_fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_dev != wire_memory_device()) return false;
  if (!link_of(fd, name, sizeof name)) return false;
  *folder = !strncmp(name, DIR_NAME, strlen(DIR_NAME));
  if (!*folder && strncmp(name, FILE_NAME, strlen(FILE_NAME))) return false;
  char *end = strstr(name, " (deleted)");
  if (end) *end = 0;
  strcpy(out, name + (*folder ? strlen(DIR_NAME) : strlen(FILE_NAME)));
  return true;
}

/* Removes //, /./ and /../ ; false when it does not fit. */
static bool clean(const char *path, char out[PATH_ROOM]) {
  size_t at = 0;
  while (*path) {
    while (*path == '/') path++;
    size_t length = strcspn(path, "/");
    if (length == 2 && !strncmp(path, "..", 2)) {
      while (at > 0 && out[--at] != '/') continue;
    } else if (length > 0 && !(length == 1 && *path == '.')) {
      if (at + length + 2 > PATH_ROOM) return false;
      out[at++] = '/';
      memcpy(out + at, path, length);
      at += length;
    }
    path += length;
  }
  out[at] = 0;
  return at > 0;
}

static bool has_prefix(const char *path) {
  for (const char *prefix = wire_prefixes(); *prefix; prefix += strlen(prefix) + 1) {
    size_t length = strlen(prefix);
    if (strncmp(path, prefix, length)) continue;
    if (prefix[length - 1] == ':' || path[length] == 0 || path[length] == '/') return true;
  }
  return false;
}

bool path_is_ours(int dirfd, const char *path, char out[PATH_ROOM]) {
  if (!path || !*path) return false;
  int kept = errno;
  bool ours = false;
  if (*path == '/') {
    /* Nothing of ours is elsewhere: other paths cost two comparisons. */
    if (strncmp(path, "/dev/", 5) && strncmp(path, "/sys/", 5) && path[1] != '/' && path[1] != '.') return false;
    ours = clean(path, out) && (!strncmp(out, "/dev/", 5) || !strncmp(out, "/sys/", 5)) && wire_up() && has_prefix(out);
  } else if (dirfd != AT_FDCWD) {
    char base[PATH_ROOM], joined[2 * PATH_ROOM];
    bool folder;
    if (tree_path(dirfd, base, &folder) && folder && strlen(path) < PATH_ROOM) {
      snprintf(joined, sizeof joined, "%s/%s", base, path);
      ours = clean(joined, out);
    }
  }
  errno = kept;
  return ours;
}

/* One request about a path; the answer's result, or -1 and errno. */
static int ask(struct wire_header request, const char *path, struct iovec in, struct wire_answer *answer) {
  if (wire_request(&request, (struct iovec){(void *)path, strlen(path)}, -1, in, answer) < 0) return -1;
  if (answer->header.result < 0) {
    errno = -answer->header.result;
    return -1;
  }
  return answer->header.result;
}

int path_open(const char *path, int flags) {
  struct wire_answer answer;
  struct wire_header request = {.type = WIRE_OPEN, .a = (uint32_t)flags};
  if (ask(request, path, (struct iovec){NULL, 0}, &answer) < 0) return -1;
  if (answer.count < 1) {
    errno = EIO;
    return -1;
  }
  int fd = answer.fds[0];
  if (!(flags & O_CLOEXEC)) syscall(SYS_fcntl, fd, F_SETFD, 0);
  if (answer.header.a != WIRE_KIND_DATA) {
    struct identity what = {
        .object = answer.header.object,
        .kind = answer.header.a,
        .major = answer.header.b >> 32,
        .minor = (uint32_t)answer.header.b,
    };
    identity_put(fd, &what);
  }
  return fd;
}

/* A node is the same file by its path and by its descriptor: device and inode agree. */
static void fill_node(struct stat *out, unsigned major, unsigned minor) {
  out->st_mode = S_IFCHR | 0666;
  out->st_rdev = makedev(major, minor);
  out->st_dev = 0;
  out->st_ino = out->st_rdev;
}

static void fill(struct stat *out, uint64_t mode, uint64_t number) {
  memset(out, 0, sizeof *out);
  out->st_mode = mode;
  out->st_nlink = S_ISDIR(mode) ? 2 : 1;
  out->st_blksize = 4096;
  if (S_ISCHR(mode)) fill_node(out, number >> 32, number);
  else out->st_size = number;
  clock_gettime(CLOCK_REALTIME, &out->st_mtim);
  out->st_atim = out->st_ctim = out->st_mtim;
}

/* Inodes of the tree: the path's hash. They are on a device of their own, number 0. */
static ino_t inode_of(const char *path) {
  uint64_t hash = 14695981039346656037u;
  for (; *path; path++) hash = (hash ^ (unsigned char)*path) * 1099511628211u;
  return hash >> 16;
}

int path_stat(const char *path, bool follow, struct stat *out, char *resolved) {
  struct wire_answer answer;
  struct wire_header request = {.type = WIRE_PATH, .a = follow ? WIRE_STAT : WIRE_LSTAT};
  char where[PATH_ROOM];
  if (ask(request, path, (struct iovec){where, sizeof where - 1}, &answer) < 0) return -1;
  where[answer.bytes] = 0;
  fill(out, answer.header.a, answer.header.b);
  if (!S_ISCHR(out->st_mode)) out->st_ino = inode_of(follow ? where : path);
  if (resolved) strcpy(resolved, follow ? where : path);
  return 0;
}

void path_fix_fstat(int fd, struct stat *out) {
  struct identity what;
  char path[PATH_ROOM];
  bool folder;
  int kept = errno;
  if (S_ISSOCK(out->st_mode)) {
    if (identify(fd, out, &what) && what.kind == WIRE_KIND_NODE) fill_node(out, what.major, what.minor);
  } else if (S_ISREG(out->st_mode) && wire_is_up() && out->st_dev == wire_memory_device() && tree_path(fd, path, &folder)) {
    struct stat st;
    if (path_stat(path, true, &st, NULL) == 0) *out = st;
  }
  errno = kept;
}

/* Directory streams. libc's begin with a descriptor and a lock; no such pair looks like this number. */
#define MAGIC 0x616363656c646972

struct folder {
  uint64_t magic;
  int fd;
  size_t bytes, at;
  struct dirent64 entry;
  char list[WIRE_MAX_PAYLOAD];
};

static struct folder *is_folder(DIR *dir) {
  struct folder *f = (struct folder *)dir;
  return f && f->magic == MAGIC ? f : NULL;
}

/* Owns fd, which stands for the folder. */
static DIR *open_folder(const char *path, int fd) {
  struct folder *f = malloc(sizeof *f);
  struct wire_answer answer;
  struct wire_header request = {.type = WIRE_PATH, .a = WIRE_LIST};
  if (!f || ask(request, path, (struct iovec){f->list, sizeof f->list}, &answer) < 0) {
    int why = f ? errno : ENOMEM;
    free(f);
    syscall(SYS_close, fd);
    errno = why;
    return NULL;
  }
  f->magic = MAGIC;
  f->fd = fd;
  f->bytes = answer.bytes;
  f->at = 0;
  return (DIR *)f;
}

EXPORT DIR *opendir(const char *name) {
  REAL(DIR *, opendir, const char *);
  char path[PATH_ROOM];
  if (!path_is_ours(AT_FDCWD, name, path)) return real_opendir(name);
  int fd = path_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd < 0 ? NULL : open_folder(path, fd);
}

EXPORT DIR *fdopendir(int fd) {
  REAL(DIR *, fdopendir, int);
  char path[PATH_ROOM];
  bool folder;
  if (!tree_path(fd, path, &folder) || !folder) return real_fdopendir(fd);
  return open_folder(path, fd);
}

/* "." and ".." come first, then what the daemon listed. */
EXPORT struct dirent64 *readdir64(DIR *dir) {
  REAL(struct dirent64 *, readdir64, DIR *);
  struct folder *f = is_folder(dir);
  if (!f) return real_readdir64(dir);
  struct dirent64 *e = &f->entry;
  memset(e, 0, offsetof(struct dirent64, d_name));
  e->d_reclen = sizeof *e;
  e->d_ino = f->at + 1;
  if (f->at < 2) {
    e->d_type = DT_DIR;
    strcpy(e->d_name, f->at == 0 ? "." : "..");
    e->d_off = ++f->at;
    return e;
  }
  size_t at = f->at - 2;
  if (at + 1 >= f->bytes) return NULL;
  e->d_type = f->list[at];
  size_t length = strnlen(f->list + at + 1, f->bytes - at - 1);
  if (length >= sizeof e->d_name) length = sizeof e->d_name - 1;
  memcpy(e->d_name, f->list + at + 1, length);
  e->d_name[length] = 0;
  f->at += length + 2;
  e->d_off = f->at;
  return e;
}

EXPORT struct dirent *readdir(DIR *dir) {
  REAL(struct dirent *, readdir, DIR *);
  return is_folder(dir) ? (struct dirent *)readdir64(dir) : real_readdir(dir);
}

EXPORT int closedir(DIR *dir) {
  REAL(int, closedir, DIR *);
  struct folder *f = is_folder(dir);
  if (!f) return real_closedir(dir);
  int result = syscall(SYS_close, f->fd);
  f->magic = 0;
  free(f);
  return result;
}

EXPORT int dirfd(DIR *dir) {
  REAL(int, dirfd, DIR *);
  struct folder *f = is_folder(dir);
  return f ? f->fd : real_dirfd(dir);
}

EXPORT void rewinddir(DIR *dir) {
  REAL(void, rewinddir, DIR *);
  struct folder *f = is_folder(dir);
  if (f) f->at = 0;
  else real_rewinddir(dir);
}

EXPORT long telldir(DIR *dir) {
  REAL(long, telldir, DIR *);
  struct folder *f = is_folder(dir);
  return f ? (long)f->at : real_telldir(dir);
}

EXPORT void seekdir(DIR *dir, long at) {
  REAL(void, seekdir, DIR *, long);
  struct folder *f = is_folder(dir);
  if (f) f->at = at;
  else real_seekdir(dir, at);
}

/* scandir of libc calls its own opendir, not ours. */
static int scan(const char *path, struct dirent64 ***list, int (*filter)(const struct dirent64 *),
                int (*compare)(const struct dirent64 **, const struct dirent64 **)) {
  DIR *dir = opendir(path);
  if (!dir) return -1;
  struct dirent64 **all = NULL, *e;
  int count = 0;
  while ((e = readdir64(dir))) {
    if (filter && !filter(e)) continue;
    struct dirent64 **more = realloc(all, (count + 1) * sizeof *all), *copy = malloc(sizeof *copy);
    if (more) all = more;
    if (!more || !copy) {
      free(copy);
      while (count > 0) free(all[--count]);
      free(all);
      closedir(dir);
      errno = ENOMEM;
      return -1;
    }
    *copy = *e;
    all[count++] = copy;
  }
  closedir(dir);
  if (compare && count > 1) qsort(all, count, sizeof *all, (int (*)(const void *, const void *))compare);
  *list = all;
  return count;
}

EXPORT int scandir64(const char *name, struct dirent64 ***list, int (*filter)(const struct dirent64 *),
                     int (*compare)(const struct dirent64 **, const struct dirent64 **)) {
  REAL(int, scandir64, const char *, struct dirent64 ***, int (*)(const struct dirent64 *),
       int (*)(const struct dirent64 **, const struct dirent64 **));
  char path[PATH_ROOM];
  if (!path_is_ours(AT_FDCWD, name, path)) return real_scandir64(name, list, filter, compare);
  return scan(path, list, filter, compare);
}

EXPORT int scandir(const char *name, struct dirent ***list, int (*filter)(const struct dirent *),
                   int (*compare)(const struct dirent **, const struct dirent **)) {
  REAL(int, scandir, const char *, struct dirent ***, int (*)(const struct dirent *),
       int (*)(const struct dirent **, const struct dirent **));
  char path[PATH_ROOM];
  if (!path_is_ours(AT_FDCWD, name, path)) return real_scandir(name, list, filter, compare);
  /* On 64-bit machines the two structs are one. */
  return scan(path, (struct dirent64 ***)list, (int (*)(const struct dirent64 *))filter,
              (int (*)(const struct dirent64 **, const struct dirent64 **))compare);
}

/* /proc/self/fd/N or /proc/PID/fd/N of this process: N, else -1. `what` is fd or fdinfo. */
static int proc_number(const char *path, const char *what) {
  char own[32], rest[32];
  snprintf(own, sizeof own, "/proc/%d/", (int)getpid());
  size_t skip = !strncmp(path, "/proc/self/", 11) ? 11 : !strncmp(path, own, strlen(own)) ? strlen(own) : 0;
  int length = snprintf(rest, sizeof rest, "%s/", what);
  if (!skip || strncmp(path + skip, rest, length)) return -1;
  char *end;
  long n = strtol(path + skip + length, &end, 10);
  return end > path + skip + length && !*end ? (int)n : -1;
}

/* The text of /proc/self/fdinfo/N of a node, as a file; -1 when that is not what path is. */
static int open_fdinfo(const char *path, int flags) {
  struct identity what;
  int fd = strncmp(path, "/proc/", 6) ? -1 : proc_number(path, "fdinfo");
  if (fd < 0 || !identify(fd, NULL, &what) || what.kind != WIRE_KIND_NODE) return -1;
  char text[4096];
  struct wire_answer answer;
  struct wire_header request = {.type = WIRE_FDINFO, .object = what.object};
  if (wire_request(&request, (struct iovec){NULL, 0}, -1, (struct iovec){text, sizeof text}, &answer) < 0) return -1;
  if (answer.header.result < 0) return -1;
  int file = syscall(SYS_memfd_create, "fdinfo", flags & O_CLOEXEC ? 1u : 0u);
  if (file < 0) return -1;
  char first[64];
  int length = snprintf(first, sizeof first, "pos:\t0\nflags:\t0%lo\nmnt_id:\t0\n", syscall(SYS_fcntl, fd, F_GETFL, 0));
  if (syscall(SYS_write, file, first, length) < 0 || syscall(SYS_write, file, text, answer.bytes) < 0) {
    syscall(SYS_close, file);
    return -1;
  }
  syscall(SYS_lseek, file, 0, SEEK_SET);
  return file;
}

/* The node that what is an open file of, as the path it was opened by. */
static size_t node_path(const struct identity *what, char *out, size_t room) {
  const char *form = what->major == 261 ? "/dev/accel/accel%u" : what->minor >= 128 ? "/dev/dri/renderD%u" : "/dev/dri/card%u";
  return snprintf(out, room, form, what->minor);
}

/* A descriptor when path is ours, -1 when opening it failed, -2 when it is none of ours. */
static int try_open(int at, const char *name, int flags) {
  char path[PATH_ROOM];
  if (path_is_ours(at, name, path)) return path_open(path, flags);
  if (!name || !wire_is_up()) return -2;
  struct identity what;
  int again = strncmp(name, "/proc/", 6) ? -1 : proc_number(name, "fd");
  /* What the kernel does with a device file: the node is opened a second time. */
  if (again >= 0 && identify(again, NULL, &what) && what.kind == WIRE_KIND_NODE) {
    node_path(&what, path, sizeof path);
    return path_open(path, flags);
  }
  int kept = errno;
  int fd = open_fdinfo(name, flags);
  errno = kept;
  return fd < 0 ? -2 : fd;
}

#define OPEN_MODE(flags)                              \
  mode_t mode = 0;                                    \
  if ((flags) & (O_CREAT | __O_TMPFILE)) {            \
    va_list more;                                     \
    va_start(more, flags);                            \
    mode = va_arg(more, mode_t);                      \
    va_end(more);                                     \
  }

#define OPEN(name)                                                          \
  EXPORT int name(const char *path, int flags, ...) {                       \
    REAL(int, name, const char *, int, ...);                                \
    OPEN_MODE(flags)                                                        \
    int fd = try_open(AT_FDCWD, path, flags);                               \
    return fd == -2 ? real_##name(path, flags, mode) : fd;                  \
  }
#define OPENAT(name)                                                        \
  EXPORT int name(int at, const char *path, int flags, ...) {               \
    REAL(int, name, int, const char *, int, ...);                           \
    OPEN_MODE(flags)                                                        \
    int fd = try_open(at, path, flags);                                     \
    return fd == -2 ? real_##name(at, path, flags, mode) : fd;              \
  }
#define OPEN_2(name)                                                        \
  EXPORT int name(const char *path, int flags) {                            \
    REAL(int, name, const char *, int);                                     \
    int fd = try_open(AT_FDCWD, path, flags);                               \
    return fd == -2 ? real_##name(path, flags) : fd;                        \
  }
#define OPENAT_2(name)                                                      \
  EXPORT int name(int at, const char *path, int flags) {                    \
    REAL(int, name, int, const char *, int);                                \
    int fd = try_open(at, path, flags);                                     \
    return fd == -2 ? real_##name(at, path, flags) : fd;                    \
  }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
OPEN_2(__open_2)
OPEN_2(__open64_2)
OPENAT_2(__openat_2)
OPENAT_2(__openat64_2)

static FILE *open_stream(const char *name, const char *mode, FILE *(*real)(const char *, const char *)) {
  int flags = strchr(mode, '+') ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY;
  if (strchr(mode, 'e')) flags |= O_CLOEXEC;
  int fd = try_open(AT_FDCWD, name, flags);
  if (fd == -2) return real(name, mode);
  return fd < 0 ? NULL : fdopen(fd, mode);
}

EXPORT FILE *fopen(const char *name, const char *mode) {
  REAL(FILE *, fopen, const char *, const char *);
  return open_stream(name, mode, real_fopen);
}

EXPORT FILE *fopen64(const char *name, const char *mode) {
  REAL(FILE *, fopen64, const char *, const char *);
  return open_stream(name, mode, real_fopen64);
}

/* stat in all its forms. On 64-bit machines struct stat64 is struct stat. */

static int stat_at(int at, const char *name, struct stat *out, int flags, bool *ours) {
  char path[PATH_ROOM];
  *ours = path_is_ours(at, name, path);
  return *ours ? path_stat(path, !(flags & AT_SYMLINK_NOFOLLOW), out, NULL) : 0;
}

#define STAT(name, flags)                                                   \
  EXPORT int name(const char *path, struct stat *out) {                     \
    REAL(int, name, const char *, struct stat *);                           \
    bool ours;                                                              \
    int result = stat_at(AT_FDCWD, path, out, flags, &ours);                \
    return ours ? result : real_##name(path, out);                          \
  }
#define FSTATAT(name)                                                       \
  EXPORT int name(int at, const char *path, struct stat *out, int flags) {  \
    REAL(int, name, int, const char *, struct stat *, int);                 \
    bool ours;                                                              \
    int result = stat_at(at, path, out, flags, &ours);                      \
    if (ours) return result;                                                \
    result = real_##name(at, path, out, flags);                             \
    if (result == 0 && path && !*path && (flags & AT_EMPTY_PATH)) path_fix_fstat(at, out); \
    return result;                                                          \
  }
#define FSTAT(name)                                                         \
  EXPORT int name(int fd, struct stat *out) {                               \
    REAL(int, name, int, struct stat *);                                    \
    int result = real_##name(fd, out);                                      \
    if (result == 0) path_fix_fstat(fd, out);                               \
    return result;                                                          \
  }
#define XSTAT(name, flags)                                                  \
  EXPORT int name(int version, const char *path, struct stat *out) {        \
    REAL(int, name, int, const char *, struct stat *);                      \
    bool ours;                                                              \
    int result = stat_at(AT_FDCWD, path, out, flags, &ours);                \
    return ours ? result : real_##name(version, path, out);                 \
  }
#define FXSTAT(name)                                                        \
  EXPORT int name(int version, int fd, struct stat *out) {                  \
    REAL(int, name, int, int, struct stat *);                               \
    int result = real_##name(version, fd, out);                             \
    if (result == 0) path_fix_fstat(fd, out);                               \
    return result;                                                          \
  }
#define FXSTATAT(name)                                                      \
  EXPORT int name(int version, int at, const char *path, struct stat *out, int flags) { \
    REAL(int, name, int, int, const char *, struct stat *, int);            \
    bool ours;                                                              \
    int result = stat_at(at, path, out, flags, &ours);                      \
    return ours ? result : real_##name(version, at, path, out, flags);      \
  }

STAT(stat, 0)
STAT(lstat, AT_SYMLINK_NOFOLLOW)
FSTAT(fstat)
FSTATAT(fstatat)
XSTAT(__xstat, 0)
XSTAT(__lxstat, AT_SYMLINK_NOFOLLOW)
XSTAT(__xstat64, 0)
XSTAT(__lxstat64, AT_SYMLINK_NOFOLLOW)
FXSTAT(__fxstat)
FXSTAT(__fxstat64)
FXSTATAT(__fxstatat)
FXSTATAT(__fxstatat64)

EXPORT int stat64(const char *path, struct stat64 *out) { return stat(path, (struct stat *)out); }
EXPORT int lstat64(const char *path, struct stat64 *out) { return lstat(path, (struct stat *)out); }
EXPORT int fstat64(int fd, struct stat64 *out) { return fstat(fd, (struct stat *)out); }
EXPORT int fstatat64(int at, const char *path, struct stat64 *out, int flags) {
  return fstatat(at, path, (struct stat *)out, flags);
}

static void fill_statx(struct statx *out, const struct stat *st) {
  memset(out, 0, sizeof *out);
  out->stx_mask = STATX_BASIC_STATS;
  out->stx_mode = st->st_mode;
  out->stx_nlink = st->st_nlink;
  out->stx_uid = st->st_uid;
  out->stx_gid = st->st_gid;
  out->stx_ino = st->st_ino;
  out->stx_size = st->st_size;
  out->stx_blksize = st->st_blksize;
  out->stx_rdev_major = major(st->st_rdev);
  out->stx_rdev_minor = minor(st->st_rdev);
  out->stx_dev_major = major(st->st_dev);
  out->stx_dev_minor = minor(st->st_dev);
  out->stx_mtime.tv_sec = out->stx_atime.tv_sec = out->stx_ctime.tv_sec = st->st_mtim.tv_sec;
}

EXPORT int statx(int at, const char *name, int flags, unsigned mask, struct statx *out) {
  REAL(int, statx, int, const char *, int, unsigned, struct statx *);
  struct stat st;
  bool ours;
  int result = stat_at(at, name, &st, flags, &ours);
  if (ours) {
    if (result == 0) fill_statx(out, &st);
    return result;
  }
  result = real_statx(at, name, flags, mask, out);
  if (result == 0 && (!name || !*name) && (flags & AT_EMPTY_PATH) && raw_fstat(at, &st) == 0) {
    mode_t before = st.st_mode;
    path_fix_fstat(at, &st);
    if (st.st_mode != before) fill_statx(out, &st);
  }
  return result;
}

/* Everybody may read what is there, and write to what the mode says. */
static int access_ours(const char *path, int wanted) {
  struct stat st;
  if (path_stat(path, true, &st, NULL) < 0) return -1;
  if (((wanted & W_OK) && !(st.st_mode & 0222)) || ((wanted & X_OK) && !S_ISDIR(st.st_mode))) {
    errno = EACCES;
    return -1;
  }
  return 0;
}

#define ACCESS(name)                                                        \
  EXPORT int name(const char *at, int wanted) {                             \
    REAL(int, name, const char *, int);                                     \
    char path[PATH_ROOM];                                                   \
    return path_is_ours(AT_FDCWD, at, path) ? access_ours(path, wanted) : real_##name(at, wanted); \
  }
ACCESS(access)
ACCESS(eaccess)
ACCESS(euidaccess)

EXPORT int faccessat(int at, const char *name, int wanted, int flags) {
  REAL(int, faccessat, int, const char *, int, int);
  char path[PATH_ROOM];
  return path_is_ours(at, name, path) ? access_ours(path, wanted) : real_faccessat(at, name, wanted, flags);
}

/* The target of a link of the tree, or what /proc says of a descriptor of ours; -2 when it is neither. */
static ssize_t read_link(int at, const char *name, char *out, size_t room) {
  char path[PATH_ROOM], target[PATH_ROOM];
  size_t length;
  if (path_is_ours(at, name, path)) {
    struct wire_answer answer;
    struct wire_header request = {.type = WIRE_PATH, .a = WIRE_READLINK};
    if (ask(request, path, (struct iovec){target, sizeof target}, &answer) < 0) return -1;
    length = answer.bytes;
  } else {
    struct identity what;
    bool folder;
    int fd = name && wire_is_up() && !strncmp(name, "/proc/", 6) ? proc_number(name, "fd") : -1;
    if (fd < 0) return -2;
    if (tree_path(fd, target, &folder)) length = strlen(target);
    else if (identify(fd, NULL, &what) && what.kind == WIRE_KIND_NODE) length = node_path(&what, target, sizeof target);
    else return -2;
  }
  if (length > room) length = room;
  memcpy(out, target, length);
  return length;
}

EXPORT ssize_t readlink(const char *path, char *out, size_t room) {
  REAL(ssize_t, readlink, const char *, char *, size_t);
  ssize_t got = read_link(AT_FDCWD, path, out, room);
  return got == -2 ? real_readlink(path, out, room) : got;
}

EXPORT ssize_t readlinkat(int at, const char *path, char *out, size_t room) {
  REAL(ssize_t, readlinkat, int, const char *, char *, size_t);
  ssize_t got = read_link(at, path, out, room);
  return got == -2 ? real_readlinkat(at, path, out, room) : got;
}

EXPORT char *realpath(const char *name, char *out) {
  REAL(char *, realpath, const char *, char *);
  char path[PATH_ROOM], resolved[PATH_ROOM];
  struct stat st;
  if (!path_is_ours(AT_FDCWD, name, path)) return real_realpath(name, out);
  if (path_stat(path, true, &st, resolved) < 0) return NULL;
  return out ? strcpy(out, resolved) : strdup(resolved);
}

EXPORT char *canonicalize_file_name(const char *name) { return realpath(name, NULL); }
