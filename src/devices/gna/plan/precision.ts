// Element sizes of a layer: the flags byte and the bias byte, whose codes differ between generations. Section 4.
// Not layouts of arrays.
import type { GnaConfig } from '../../../hw/gna/config.js';
import { parameterFault } from '../fault.js';

/** A descriptor's fields are read where they lie: no object per layer. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export interface Precision {
  /** Bytes per element; outputBytes 0: int32 sums without activation; biasBytes 0: no bias. */
  readonly inputBytes: 1 | 2;
  readonly weightBytes: 1 | 2;
  readonly outputBytes: 0 | 1 | 2 | 4;
  readonly biasBytes: 0 | 1 | 2 | 4;
  /** Bias entries of 8 bytes with a multiplier for the row's weights. */
  readonly compound: boolean;
}

/** Bits of the flags byte, 3.0: 1:0 weights, 3:2 input, 5:4 output; 7:6 external memory. */
const OUTPUT_BYTES = [0, 1, 2, 4] as const;
const BIAS_COMPOUND = 7;
const BIAS_BYTES = [0, 1, 2, 4] as const;

/** @throws ScoreFault a code that is not defined for the generation */
export function precisionOf(config: GnaConfig, flags: number, biasFlags: number): Precision {
  if (config.format3) {
    const biasCode = biasFlags & 7;
    if (biasCode > 3 && biasCode !== BIAS_COMPOUND) throw parameterFault(`bias precision ${biasCode}`);
    return {
      weightBytes: bytesOf(flags & 3, 'weight'),
      inputBytes: inputBytesOf(config, flags),
      outputBytes: OUTPUT_BYTES[(flags >> 4) & 3]!,
      biasBytes: biasCode === BIAS_COMPOUND ? 4 : BIAS_BYTES[biasCode]!,
      compound: biasCode === BIAS_COMPOUND,
    };
  }
  const code = flags & 3;
  if (code > 1) throw parameterFault(`weight size ${code}`);
  return {
    weightBytes: code === 1 ? 1 : 2,
    inputBytes: 2,
    outputBytes: flags & 4 ? 2 : 0,
    biasBytes: 4,
    compound: code === 1,
  };
}

/** Of layers that only move elements. @throws ScoreFault */
export function inputBytesOf(config: GnaConfig, flags: number): 1 | 2 {
  if (!config.format3) return 2;
  if (flags & 0xc0) throw parameterFault('external input or output: embedded parts only');
  return bytesOf((flags >> 2) & 3, 'input');
}

function bytesOf(code: number, what: string): 1 | 2 {
  if (code !== 1 && code !== 2) throw parameterFault(`${what} precision ${code}`);
  return code;
}

const SEGMENTS_MAX = 128;

/** Number of activation segments; before 3.0 the field has 8 bits. @throws ScoreFault */
export function segmentsOf(config: GnaConfig, field: number): number {
  const count = config.format3 ? field : field & 0xff;
  if (count < 1 || count > SEGMENTS_MAX) throw parameterFault(`${count} activation segments`);
  return count;
}
