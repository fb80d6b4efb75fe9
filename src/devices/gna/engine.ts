// The engine of GNA: puts a command where the kernels can read it and runs the one it names.
// Not a front: no registers, no device addresses, no order between layers.
import type { Engine, EngineContext } from '../../bus/port.js';
import { COMMAND_WORDS, operations, resultWord } from './command.js';

type Kernel = (command: number, scratch: number) => number;

/** Exports of the kernel module; each returns 1 when something saturated. */
export interface GnaKernels {
  readonly affine: Kernel;
  readonly diagonal: Kernel;
  readonly recurrent: Kernel;
  readonly conv: Kernel;
  readonly gmm: Kernel;
  copyRows(command: number): number;
  transpose(command: number): number;
}

/** Bytes of scratch: the command, then what kernels/gna/conv.ts lays out, the largest. */
export const SCRATCH_BYTES = 11 << 20;
const COMMAND_BYTES = 256;

export function createGnaEngine({ memory, kernels, scratch }: EngineContext): Engine {
  const all = kernels as GnaKernels;
  const words = new Int32Array(memory.buffer, scratch.address, COMMAND_WORDS);
  const rest = scratch.address + COMMAND_BYTES;
  const byCode: Kernel[] = [];
  byCode[operations.affine.code] = all.affine;
  byCode[operations.diagonal.code] = all.diagonal;
  byCode[operations.recurrent.code] = all.recurrent;
  byCode[operations.conv.code] = all.conv;
  byCode[operations.gmm.code] = all.gmm;
  byCode[operations.copy.code] = all.copyRows;
  byCode[operations.transpose.code] = all.transpose;
  return {
    execute(command, result) {
      const kernel = byCode[command[0]!];
      if (kernel === undefined) throw new Error('unknown engine command');
      words.set(command.length > COMMAND_WORDS ? command.subarray(0, COMMAND_WORDS) : command);
      result[resultWord.saturated] = kernel(scratch.address, rest);
    },
  };
}
