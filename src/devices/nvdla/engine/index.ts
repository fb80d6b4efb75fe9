// The engine of NVDLA: decodes a command and runs the units it names.
// Not a front: no registers, no device addresses, no order between operations.
import type { Engine, EngineContext } from '../../../bus/port.js';
import { CDP_TILE_BYTES, normalise } from './cdp.js';
import {
  cdpLayout,
  CommandReader,
  cubeLayout,
  lutLayout,
  operation,
  pdpLayout,
  sdpLayout,
  stageLayout,
  type Cube,
} from './command.js';
import type { ProcessorKernels } from './kernels.js';
import { LUT_BYTES } from './lut.js';
import { PDP_SCRATCH, pool } from './pdp.js';
import { SDP_SCRATCH, SdpPath, type SdpProgram } from './sdp.js';

/** Words of a result: status (0), saturated accumulator outputs, SDP's comparison found a difference. */
export const resultWord = { status: 0, saturated: 1, unequal: 2 } as const;

/** Bytes of scratch per engine. */
export const SCRATCH_BYTES = 4 << 20;

/** Where each user's part of the scratch begins. */
const place = {
  sdp: 0,
  pdp: SDP_SCRATCH,
  cdpLut: SDP_SCRATCH + PDP_SCRATCH,
  cdpTile: SDP_SCRATCH + PDP_SCRATCH + LUT_BYTES,
  conv: Math.ceil((SDP_SCRATCH + PDP_SCRATCH + LUT_BYTES + CDP_TILE_BYTES) / 64) * 64,
} as const;

export function engine(context: EngineContext): Engine {
  const kernels = context.kernels as ProcessorKernels;
  const scratch = context.scratch.address;

  function readSdp(command: CommandReader): SdpProgram {
    const sdp = command.block(sdpLayout);
    const stages = [
      command.block(stageLayout),
      command.block(stageLayout),
      command.block(stageLayout),
    ] as const;
    return { sdp, stages, lut: command.block(lutLayout), destination: command.block(cubeLayout) };
  }

  function runPdp(command: CommandReader, source: Cube): void {
    const values = command.block(pdpLayout);
    pool(kernels, scratch + place.pdp, values, source, command.block(cubeLayout));
  }

  function runSdp(command: CommandReader, result: Int32Array): void {
    const program = readSdp(command);
    const source = command.block(cubeLayout);
    const path = new SdpPath(kernels, scratch + place.sdp, program);
    path.rows({ ...source, bytes: 1 }, 0, program.sdp.height);
    result[resultWord.unequal] = path.unequal;
    if (command.word() !== 0) runPdp(command, program.destination);
  }

  function runCdp(command: CommandReader): void {
    const source = command.block(cubeLayout);
    const values = command.block(cdpLayout);
    const lut = command.block(lutLayout);
    const parts = { lut: scratch + place.cdpLut, tile: scratch + place.cdpTile };
    normalise(kernels, parts, values, lut, source, command.block(cubeLayout));
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
        case operation.cdp:
          runCdp(command);
          break;
        default:
          throw new Error('unknown engine command');
      }
    },
  };
}
