/* The messages between the daemon and its clients, for C: docs/wire.md. The same numbers as src/node/wire/messages.ts.
 * Not the sockets: wire.c.
 */
#ifndef ACCEL_WIRE_H
#define ACCEL_WIRE_H
#include <stdint.h>

#define WIRE_VERSION 1
#define WIRE_MAX_PAYLOAD 65536
#define WIRE_MAX_FDS 253
#define WIRE_MAX_PLACES 4
#define WIRE_NO_PLACE 0xffff
#define WIRE_KEY_BYTES 16

struct wire_header {
  uint16_t type;
  uint16_t fds;
  uint32_t tag;
  uint32_t object;
  int32_t result;
  uint64_t a;
  uint64_t b;
};
_Static_assert(sizeof(struct wire_header) == 32, "the header has 32 bytes");

enum wire_request {
  WIRE_HELLO = 1,
  WIRE_CALL = 2,
  WIRE_OPEN = 3,
  WIRE_PATH = 4,
  WIRE_ATTACH = 5,
  WIRE_MMAP = 6,
  WIRE_FDINFO = 7,
  WIRE_CANCEL = 8,
  WIRE_BYE = 9,
  WIRE_GOT = 10,
};

enum wire_reply {
  WIRE_REPLY = 64,
  WIRE_WELCOME = 65,
  WIRE_GET = 66,
  WIRE_PUT = 67,
  WIRE_FDS = 68,
};

enum wire_query {
  WIRE_STAT = 0,
  WIRE_LSTAT = 1,
  WIRE_READLINK = 2,
  WIRE_LIST = 3,
};

enum wire_kind {
  WIRE_KIND_NONE = 0,
  WIRE_KIND_NODE = 1,
  WIRE_KIND_SYNCOBJ = 2,
  WIRE_KIND_SYNC_FILE = 3,
  WIRE_KIND_SW_SYNC = 4,
  WIRE_KIND_DMA_BUF = 5,
  WIRE_KIND_DATA = 6,
};

#endif
