// The engine of NVDLA: decodes a command and runs the units it names.
// Not a front: no registers, no device addresses, no order between operations.
import { AccelError } from '../../../base/errors.js';
import type { Engine, EngineContext } from '../../../bus/port.js';
import { CDP_TILE_BYTES, normalise } from './cdp.js';
import {
  cdpLayout,
  CommandReader,
  cubeLayout,
  lutLayout,
  noLut,
  noStage,
  operation,
  pdpLayout,
  resultWord,
  sdpLayout,
  stageLayout,
  type Cube,
} from './command.js';
import type { ConvKernels } from './conv-kernels.js';
import { CONV_SCRATCH, expandWeights, prepareConv } from './conv.js';
import { convLayout } from './conv-params.js';
import { fillBuffer } from './conv-rows.js';
import type { ProcessorKernels } from './kernels.js';
import { LUT_BYTES } from './lut.js';
import { copy, reshape } from './move.js';
import { PDP_SCRATCH, pool } from './pdp.js';
import { SDP_SCRATCH, SdpPath, type SdpProgram } from './sdp.js';

/** Rows of accumulator output that pass from the convolution to SDP at a time stay within this, when one row does. */
export const BAND_BYTES = 1 << 20;

/** Rows are taken together up to this: what the second-level cache holds beside the packed kernels. */
const BAND_TARGET = 1 << 17;

/** Where each user's part of the scratch begins. */
const place = {
  sdp: 0,
  pdp: SDP_SCRATCH,
  cdpLut: SDP_SCRATCH + PDP_SCRATCH,
  cdpTile: SDP_SCRATCH + PDP_SCRATCH + LUT_BYTES,
  band: Math.ceil((SDP_SCRATCH + PDP_SCRATCH + LUT_BYTES + CDP_TILE_BYTES) / 64) * 64,
} as const;

/** Bytes of scratch of an engine; only the convolution's has bands and packed kernels. */
export function scratchBytes(engine: string): number {
  if (engine === 'bdma' || engine === 'rubik') return 0;
  return engine === 'conv' ? place.band + BAND_BYTES + CONV_SCRATCH : place.band;
}

export function engine(context: EngineContext): Engine {
  const kernels = context.kernels as ProcessorKernels;
  const convKernels = context.kernels as ConvKernels;
  const scratch = context.scratch.address;
  const convScratch = {
    address: scratch + place.band + BAND_BYTES,
    bytes: context.scratch.bytes - place.band - BAND_BYTES,
  };

  function readSdp(command: CommandReader): SdpProgram {
    const sdp = command.block(sdpLayout);
    const stages = [
      command.optional(stageLayout, noStage),
      command.optional(stageLayout, noStage),
      command.optional(stageLayout, noStage),
    ] as const;
    return { sdp, stages, lut: command.optional(lutLayout, noLut), destination: command.block(cubeLayout) };
  }

  function runPdp(command: CommandReader, source: Cube): void {
    const values = command.block(pdpLayout);
    pool(kernels, scratch + place.pdp, values, source, command.block(cubeLayout));
  }

  function runSdp(command: CommandReader, result: Int32Array): void {
    const program = readSdp(command);
    const source = command.block(cubeLayout);
    const path = new SdpPath(kernels, scratch + place.sdp, program);
    path.rows({ ...source, bytes: program.sdp.source === 0 ? 1 : 2 }, 0, program.sdp.height);
    result[resultWord.unequal] = path.unequal;
    if (command.word() !== 0) runPdp(command, program.destination);
  }

  /** Convolution, SDP and PDP behind it, a band of rows after the other. */
  function runConv(command: CommandReader, result: Int32Array): void {
    const pdp = command.word() !== 0;
    const params = command.block(convLayout);
    let layer;
    try {
      expandWeights(convKernels, params);
      fillBuffer(convKernels as ConvKernels & ProcessorKernels, params, convScratch);
      layer = prepareConv(convKernels, params, convScratch);
    } catch (error) {
      if (!(error instanceof AccelError)) throw error;
      result[resultWord.status] = error.errno;
      return;
    }
    const own = command.word() >>> 0;
    const first = command.word();
    const last = command.word();
    const program = readSdp(command);
    const { atom, width } = program.sdp;
    const band = own === 0 ? scratch + place.band : own;
    // One row (four of Winograd) at least: what does not fit the band has a buffer of its own.
    const step = layer.rowStep;
    const rows = own === 0 ? Math.max(step, Math.floor(BAND_TARGET / layer.outRowBytes / step) * step) : step;
    const { kernels: live } = params;
    const line = width * atom * 4;
    for (let batch = 0; batch < params.batches; batch++) {
      const at = program.destination.address + batch * program.sdp.batchStride;
      const destination = { ...program.destination, address: at };
      const path = new SdpPath(kernels, scratch + place.sdp, { ...program, destination });
      for (let y = first; y < last; y += rows) {
        const end = Math.min(y + rows, last);
        result[resultWord.saturated] += layer.run(y, end, band, batch);
        path.rows({ address: band, line, surface: (end - y) * line, bytes: 4, kernels: live }, y, end);
      }
      result[resultWord.unequal] |= path.unequal;
    }
    if (pdp) runPdp(command, program.destination);
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
        case operation.convolution:
          runConv(command, result);
          break;
        case operation.sdp:
          runSdp(command, result);
          break;
        case operation.pdp:
          runPdp(command, command.block(cubeLayout));
          break;
        case operation.cdp:
          runCdp(command);
          break;
        case operation.copy:
          copy(kernels, command);
          break;
        case operation.rubik:
          reshape(kernels, command);
          break;
        default:
          throw new Error('unknown engine command');
      }
    },
  };
}
