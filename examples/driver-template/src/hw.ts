// The adder: an invented one-shot accelerator that adds a value to each byte of a buffer. Registers, as data.
// Not behaviour: the driver and the model are each written from this table.
import { registers } from 'accel/base';

export const ADDER_ID = 0x52444441;

export const regs = registers({
  ID: { at: 0x00, reset: ADDER_ID, write: 0, fields: { ID: [31, 0] } },
  /** Device addresses of the operands, and how many bytes there are. */
  SOURCE: { at: 0x04, fields: { ADDRESS: [31, 0] } },
  TARGET: { at: 0x08, fields: { ADDRESS: [31, 0] } },
  BYTES: { at: 0x0c, fields: { COUNT: [31, 0] } },
  VALUE: { at: 0x10, write: 0xff, fields: { VALUE: [7, 0] } },
  /** START begins an operation, RESET ends whatever runs. */
  CONTROL: { at: 0x14, write: 0x3, fields: { START: 0, RESET: 1 } },
  STATUS: { at: 0x18, write: 0, fields: { BUSY: 0, FAULT: 1 } },
  /** Set when an operation ends; written with 1 to clear. The line is raised while it is set. */
  INTERRUPT: { at: 0x1c, write: 0x1, fields: { DONE: 0 } },
});

export const WINDOW_SIZE = 0x1000;
