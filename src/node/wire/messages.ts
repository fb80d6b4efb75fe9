// The messages between the daemon and its clients: numbers, the header, who may send what. docs/wire.md has the prose.
// Not sockets: reactor.ts and endpoint.ts carry these. native/wire.h holds the same for C; a test compares the two.
import { s32, struct, u16, u32, u64 } from '../../base/struct.js';

/** Changes whenever an old client and a new daemon would misunderstand each other. */
export const WIRE_VERSION = 1;

/** Longest payload of one message. ioctl arguments are at most 16,383 bytes; copies from and to user are cut to this. */
export const MAX_PAYLOAD = 65536;

/** Most descriptors in one message (the kernel's SCM_MAX_FD). */
export const MAX_FDS = 253;

/** Most descriptors in one reply to a call: `a` has room for that many places. */
export const MAX_PLACES = 4;

/** Client to daemon. Each wants a REPLY with its tag, except CANCEL, BYE and the answers GOT. */
export const Request = {
  /** First on every connection. `object` WIRE_VERSION, `a` address of the 16-byte process key, payload: key, then name. */
  HELLO: 1,
  /** ioctl(2). `object`, `result` the request's 32 bits, payload the argument when it is written to the kernel. */
  CALL: 2,
  /** open(2) of a virtual path. `a` O_* flags, payload path. */
  OPEN: 3,
  /** `a` one of PathQuery, payload path. */
  PATH: 4,
  /** What is this descriptor? One descriptor comes along. */
  ATTACH: 5,
  /** mmap(2) of a node. `object`, `a` offset, `b` length. */
  MMAP: 6,
  /** The text of fdinfo of `object`. */
  FDINFO: 7,
  /** A signal came while the call with this tag waits: it is to end with EINTR. */
  CANCEL: 8,
  /** The process ends in good order. */
  BYE: 9,
  /** Answer to GET, PUT or FDS, with its tag. */
  GOT: 10,
} as const;

/** Daemon to client. */
export const Reply = {
  REPLY: 64,
  /** Answer to HELLO. `object` WIRE_VERSION, `a` st_dev of buffers, `b` client id, payload: prefixes, each with NUL. */
  WELCOME: 65,
  /** copy_from_user: `a` pointer, `b` bytes. */
  GET: 66,
  /** copy_to_user: `a` pointer, `b` bytes; the bytes are the next message. */
  PUT: 67,
  /** Which descriptors are these? `b` of them; their numbers (s32) are the next message. */
  FDS: 68,
} as const;

/**
 * 32 bytes that every message begins with. What follows in the same message is its payload; only REPLY and WELCOME have
 * one among the daemon's, so that a caller may receive the payload of a reply right into the argument of its ioctl.
 */
export const WireHeader = struct(
  'wire_header',
  {
    type: u16,
    /** Descriptors that come along (SCM_RIGHTS). */
    fds: u16,
    /** Chosen by who asks; the answer carries it. */
    tag: u32,
    object: u32,
    /** Replies: the call's result, or a negative errno. */
    result: s32,
    a: u64,
    b: u64,
  },
  { bytes: 32 },
);
export const HEADER = WireHeader.size;

export const PathQuery = {
  /** stat(2): symbolic links are followed. Payload of the reply: the path they lead to, no NUL. */
  STAT: 0,
  LSTAT: 1,
  /** Payload of the reply: the link's target, no NUL. */
  READLINK: 2,
  /** Payload of the reply: per entry its d_type (one byte), its name and NUL. */
  LIST: 3,
} as const;

/** What a descriptor is: `a` of the reply to ATTACH and OPEN. 0: none of ours. */
export const Kind = {
  NONE: 0,
  NODE: 1,
  SYNCOBJ: 2,
  SYNC_FILE: 3,
  SW_SYNC: 4,
  DMA_BUF: 5,
  /** A file or directory of the virtual tree: a memfd, nothing for the daemon. */
  DATA: 6,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** Per descriptor asked for by FDS: a u8 in the payload of GOT. Those with HERE come along, in order. */
export const FdStatus = { CLOSED: 0, HERE: 1 } as const;

/** d_type of readdir(3). */
export const DirentType = { CHR: 2, DIR: 4, REG: 8, LNK: 10 } as const;

/** Bytes of a client process's key. */
export const KEY_BYTES = 16;

/**
 * Flag in `b` of HELLO: the payload of a failed request's REPLY ends with JSON, the error's call, field and reason; `a` bytes of
 * argument come before it.
 */
export const HELLO_DETAILS = 1n;
