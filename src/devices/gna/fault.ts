// What ends a score early: the STS bit that reports it, and why.
// Not an AccelError: hardware knows no errno.
import { regs } from '../../hw/gna/registers.js';
import type { BitField } from '../../base/registers.js';

export class ScoreFault extends Error {
  readonly bit: BitField;

  constructor(bit: BitField, reason: string) {
    super(reason);
    this.bit = bit;
  }
}

/** A descriptor that asks for what this generation cannot do. Which checks silicon makes is not public: these are ours. */
export function parameterFault(reason: string): ScoreFault {
  return new ScoreFault(regs.STS.f.PARAMETER_OUT_OF_RANGE, reason);
}
