/* A client of the nvdla driver in C: open, version, buffers, mmap, dma-buf descriptors, one submission that returns when the
 * job is done. Not a compiler: buffers' contents and the list of addresses come from files in the folder of the first argument.
 * `job` there has lines "buffer BYTES", "content BUFFER OFFSET BYTES FILE", "address BUFFER OFFSET", "output BUFFER OFFSET BYTES FILE".
 * Says "ok VERSION" when all outputs are as the files say, else what is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECK(what)                                                   \
  do {                                                                \
    if (!(what)) {                                                    \
      printf("line %d: %s (%s)\n", __LINE__, #what, strerror(errno)); \
      exit(1);                                                        \
    }                                                                 \
  } while (0)

struct version {
  int major, minor, patch;
  size_t name_len;
  char *name;
  size_t date_len;
  char *date;
  size_t desc_len;
  char *desc;
};
struct prime {
  uint32_t handle, flags;
  int32_t fd;
};
struct gem_create {
  uint32_t handle, flags;
  uint64_t size;
};
struct gem_mmap {
  uint32_t handle, reserved;
  uint64_t offset;
};
struct address {
  uint32_t fd, reserved;
  uint64_t offset;
};
struct task {
  uint32_t num_addresses, timeout;
  uint64_t address_list;
};
struct submit {
  uint64_t tasks;
  uint16_t num_tasks, flags;
  uint32_t version;
};

#define DRM_VERSION _IOWR('d', 0x00, struct version)
#define PRIME_HANDLE_TO_FD _IOWR('d', 0x2d, struct prime)
#define NVDLA_SUBMIT _IOWR('d', 0x40, struct submit)
#define NVDLA_GEM_CREATE _IOWR('d', 0x41, struct gem_create)
#define NVDLA_GEM_MMAP _IOWR('d', 0x42, struct gem_mmap)
#define NVDLA_GEM_DESTROY _IOWR('d', 0x43, uint32_t)

enum { MOST_BUFFERS = 64, MOST_ADDRESSES = 6144 };
static struct {
  unsigned char *memory;
  size_t bytes;
  uint32_t handle;
  int fd;
} buffers[MOST_BUFFERS];
static struct address addresses[MOST_ADDRESSES];

static unsigned char *contents(const char *folder, const char *name, size_t bytes) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  CHECK(file != NULL);
  unsigned char *data = malloc(bytes);
  CHECK(fread(data, 1, bytes, file) == bytes);
  fclose(file);
  return data;
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  const int node = open(argv[2], O_RDWR | O_CLOEXEC);
  CHECK(node >= 0);
  char name[16] = "";
  struct version version = {.name = name, .name_len = sizeof name - 1};
  CHECK(ioctl(node, DRM_VERSION, &version) == 0 && strcmp(name, "nvdla") == 0);

  char path[4096], line[512], file[256];
  snprintf(path, sizeof path, "%s/job", argv[1]);
  uint32_t count = 0, listed = 0, wrong = 0, outputs = 0;
  /* Outputs stand behind everything else: the job is run before the first is looked at. */
  FILE *job = fopen(path, "r");
  CHECK(job != NULL);
  while (fgets(line, sizeof line, job)) {
    size_t which, offset, bytes;
    if (sscanf(line, "buffer %zu", &bytes) == 1) {
      CHECK(count < MOST_BUFFERS);
      struct gem_create create = {.size = bytes};
      CHECK(ioctl(node, NVDLA_GEM_CREATE, &create) == 0);
      struct gem_mmap map = {.handle = create.handle};
      CHECK(ioctl(node, NVDLA_GEM_MMAP, &map) == 0);
      void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, node, (off_t)map.offset);
      CHECK(memory != MAP_FAILED);
      struct prime prime = {.handle = create.handle, .flags = O_RDWR};
      CHECK(ioctl(node, PRIME_HANDLE_TO_FD, &prime) == 0);
      buffers[count].memory = memory;
      buffers[count].bytes = bytes;
      buffers[count].handle = create.handle;
      buffers[count++].fd = prime.fd;
    } else if (sscanf(line, "content %zu %zu %zu %255s", &which, &offset, &bytes, file) == 4) {
      CHECK(which < count && offset + bytes <= buffers[which].bytes);
      unsigned char *data = contents(argv[1], file, bytes);
      memcpy(buffers[which].memory + offset, data, bytes);
      free(data);
    } else if (sscanf(line, "address %zu %zu", &which, &offset) == 2) {
      CHECK(which < count && listed < MOST_ADDRESSES);
      addresses[listed].fd = (uint32_t)buffers[which].fd;
      addresses[listed++].offset = offset;
    } else if (sscanf(line, "output %zu %zu %zu %255s", &which, &offset, &bytes, file) == 4) {
      CHECK(which < count && offset + bytes <= buffers[which].bytes);
      if (outputs++ == 0) {
        struct task task = {.num_addresses = listed, .timeout = UINT32_MAX, .address_list = (uintptr_t)addresses};
        struct submit submit = {.tasks = (uintptr_t)&task, .num_tasks = 1};
        CHECK(ioctl(node, NVDLA_SUBMIT, &submit) == 0);
      }
      unsigned char *data = contents(argv[1], file, bytes);
      for (size_t i = 0; i < bytes; i++) wrong += data[i] != buffers[which].memory[offset + i];
      free(data);
    }
  }
  fclose(job);
  CHECK(outputs > 0);
  for (uint32_t i = 0; i < count; i++) {
    CHECK(munmap(buffers[i].memory, buffers[i].bytes) == 0 && close(buffers[i].fd) == 0);
    CHECK(ioctl(node, NVDLA_GEM_DESTROY, &buffers[i].handle) == 0);
  }
  CHECK(close(node) == 0);
  if (wrong > 0) {
    printf("%u bytes are others\n", wrong);
    return 1;
  }
  printf("ok %d.%d.%d\n", version.major, version.minor, version.patch);
  return 0;
}
