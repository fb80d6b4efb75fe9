// MMIO registers of Intel GNA (BAR0), as data. Source: fact sheet section 2.
import { registers } from '../../base/registers.js';

export const BAR_SIZE = 0x1000;

export const regs = registers({
  STS: {
    at: 0x80,
    // Bits 16 and 17 are cleared by writing one; nothing is stored.
    write: 0,
    fields: {
      SCORE_COMPLETED: 0,
      BREAKPOINT: 1,
      PAUSED: 2,
      STATISTICS_VALID: 3,
      MMU_ERROR: 4,
      DMA_ERROR: 5,
      UNEXPECTED_COMPLETION: 6,
      VA_OUT_OF_RANGE: 7,
      PARAMETER_OUT_OF_RANGE: 8,
      OUTPUT_BUFFER_FULL: 16,
      SATURATE: 17,
    },
  },
  CTRL: {
    at: 0x84,
    fields: {
      START: 0,
      ACTIVE_LIST: 1,
      ABORT: 2,
      PAUSE: 3,
      RESUME: 4,
      MODE: { bits: [6, 5], values: { GMM: 0, XNN: 1 } },
      COMPLETION_INTERRUPT: 8,
      BREAKPOINT_INTERRUPT: 9,
      ERROR_INTERRUPT: 10,
      STATISTICS: [15, 12],
      FORCE_POWER_ON: 16,
      FORCE_CLOCK_ON: 17,
      QUIET_IDLE_DISABLE: 18,
    },
  },
  MCTL: { at: 0x88, fields: { VALUE: [31, 0] } },
  PTC: { at: 0x8c, write: 0, fields: { TOTAL_CYCLES: [31, 0] } },
  PSC: { at: 0x90, write: 0, fields: { STALL_CYCLES: [31, 0] } },
  ISI: { at: 0x94, fields: { INDEX: [31, 0] } },
  ISV_LOW: { at: 0x98, write: 0, fields: { VALUE: [31, 0] } },
  ISV_HIGH: { at: 0x9c, write: 0, fields: { VALUE: [31, 0] } },
  BP_LOW: { at: 0xa0, fields: { VALUE: [31, 0] } },
  BP_HIGH: { at: 0xa4, fields: { VALUE: [31, 0] } },
  D0I3C: { at: 0xa8, fields: { POWER_OFF: 2 } },
  DESBASE: { at: 0xb0, fields: { PAGE: [31, 0] } },
  IBUFFS: { at: 0xb4, write: 0, fields: { KILOBYTES: [7, 0], VERSION: [31, 24] } },
});

/** STS bits that are errors: 4 to 8. */
export const STS_ERRORS = 0x1f0;
/** STS bits that an abort clears: 0 to 16. */
export const STS_ABORT_CLEARS = 0x1ffff;
/** STS bits cleared by writing one: warnings. Section 2: software must clear them before the next score. */
export const STS_WRITE_CLEARS = 0x30000;

/** ISI values: what of the current layer descriptor ISV shows. */
export const Isi = {
  LAYER: 0x80,
  DESCRIPTOR_0: 0x82,
  DESCRIPTOR_8: 0x83,
  DESCRIPTOR_16: 0x84,
  IN_OUT: 0x86,
  SUM_FEEDBACK: 0x87,
  WEIGHTS_BIAS: 0x88,
  ACTIVE_LIST_PWL: 0x89,
} as const;
