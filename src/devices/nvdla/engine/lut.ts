// Puts a look-up table's parameters where the kernels read them.
// Not the look-up itself: kernels/nvdla/lut.ts.
import { lutLayout, type Lut } from './command.js';
import type { ProcessorKernels } from './kernels.js';

/** Bytes of the block in scratch memory. */
export const LUT_BYTES = Object.keys(lutLayout).length * 4;

export function storeLut(kernels: ProcessorKernels, at: number, lut: Lut): void {
  for (const name in lutLayout) {
    kernels.fill32(at, lut[name as keyof Lut], 1);
    at += 4;
  }
}
