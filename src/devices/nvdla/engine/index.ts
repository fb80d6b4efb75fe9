// The engine of NVDLA: decodes a command and runs the units it names.
// Not a front: no registers, no device addresses, no order between operations.
import type { Engine, EngineContext } from '../../../bus/port.js';
import {
  CommandReader,
  cubeLayout,
  operation,
  pdpLayout,
  sdpLayout,
  stageLayout,
  type Cube,
} from './command.js';
import type { ProcessorKernels } from './kernels.js';
import { PDP_SCRATCH, pool } from './pdp.js';
import { SDP_SCRATCH, SdpPath, type SdpProgram } from './sdp.js';

/** Words of a result: status (0), saturated accumulator outputs, SDP's comparison found a difference. */
export const resultWord = { status: 0, saturated: 1, unequal: 2 } as const;

export function engine(context: EngineContext): Engine {
  const kernels = context.kernels as ProcessorKernels;
  const sdpScratch = context.scratch.address;
  const pdpScratch = sdpScratch + SDP_SCRATCH;

  function readSdp(command: CommandReader): SdpProgram {
    const sdp = command.block(sdpLayout);
    const stages = [
      command.block(stageLayout),
      command.block(stageLayout),
      command.block(stageLayout),
    ] as const;
    return { sdp, stages, destination: command.block(cubeLayout) };
  }

  function runPdp(command: CommandReader, source: Cube): void {
    const values = command.block(pdpLayout);
    pool(kernels, pdpScratch, values, source, command.block(cubeLayout));
  }

  function runSdp(command: CommandReader, result: Int32Array): void {
    const program = readSdp(command);
    const source = command.block(cubeLayout);
    const path = new SdpPath(kernels, sdpScratch, program);
    path.rows({ ...source, bytes: 1 }, 0, program.sdp.height);
    result[resultWord.unequal] = path.unequal;
    if (command.word() !== 0) runPdp(command, program.destination);
  }

  return {
    execute(words: Int32Array, result: Int32Array): void {
      const command = new CommandReader(words);
      switch (command.word()) {
        case operation.sdp:
          runSdp(command, result);
          break;
        case operation.pdp:
          runPdp(command, command.block(cubeLayout));
          break;
        default:
          throw new Error('unknown engine command');
      }
    },
  };
}

/** Scratch bytes an engine needs. */
export const SCRATCH_BYTES = 4 << 20;
void PDP_SCRATCH;
