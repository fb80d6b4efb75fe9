// The null device: a small accelerator of our own with a command ring. Registers and commands, as data.
// Not silicon: the contract is ours, written down here, and kept small on purpose.
import { registers } from '../../base/registers.js';
import { struct, u32, u64 } from '../../base/struct.js';

/** Value of ID: "NULL" in ASCII, little-endian. */
export const NULL_ID = 0x4c4c554e;
export const NULL_VERSION = 0x00010000;

/**
 * One window. Work is a ring of commands in memory: the driver writes commands, moves TAIL, the device moves HEAD. A command that
 * faults or is not valid stops the ring: STATUS.ERROR says why, HEAD stays on it, until RESET.
 */
export const regs = registers({
  ID: { at: 0x00, reset: NULL_ID, write: 0, fields: { ID: [31, 0] } },
  VERSION: { at: 0x04, reset: NULL_VERSION, write: 0, fields: { MINOR: [15, 0], MAJOR: [31, 16] } },
  RESET: { at: 0x08, write: 1, fields: { RESET: 0 } },
  STATUS: {
    at: 0x0c,
    write: 0,
    fields: { BUSY: 0, ERROR: { bits: [7, 4], values: { NONE: 0, OPCODE: 1, FAULT: 2, LENGTH: 3, ECC: 4 } } },
  },
  RING_BASE_LOW: { at: 0x10, write: 0xffffffc0, fields: { ADDRESS: [31, 0] } },
  RING_BASE_HIGH: { at: 0x14, fields: { ADDRESS: [31, 0] } },
  /** Commands the ring holds. */
  RING_SIZE: { at: 0x18, write: 0xffff, fields: { COMMANDS: [15, 0] } },
  HEAD: { at: 0x1c, write: 0, fields: { INDEX: [15, 0] } },
  /** Doorbell. */
  TAIL: { at: 0x20, write: 0xffff, fields: { INDEX: [15, 0] } },
  INTR_STATUS: { at: 0x24, write: 0x3, fields: { DONE: 0, ERROR: 1 } },
  /** 1 = masked. */
  INTR_MASK: { at: 0x28, reset: 0x3, write: 0x3, fields: { DONE: 0, ERROR: 1 } },
});

export const WINDOW_SIZE = 0x1000;
export const RING_COMMANDS_MAX = 1024;

export const Op = {
  NOP: 0,
  /** bytes from src to dst; ranges may overlap. */
  COPY: 1,
  /** bytes at dst become the low byte of value. */
  FILL: 2,
  /** Goes on when the word at src is at least value (unsigned). The word is looked at again every WAIT_PERIOD_NS. */
  WAIT: 3,
  /** The word at dst becomes value. */
  FENCE: 4,
} as const;

export const WAIT_PERIOD_NS = 10_000;

export const Status = { NONE: 0, OPCODE: 1, FAULT: 2, LENGTH: 3, ECC: 4 } as const;

/** A command as the device reads it. Addresses are device addresses; words must be 4-byte aligned. */
export const Command = struct(
  'null_command',
  { op: u32, value: u32, src: u64, dst: u64, bytes: u64 },
  { bytes: 32 },
);

/** Most bytes of one COPY or FILL. */
export const BYTES_MAX = 0x40000000;
