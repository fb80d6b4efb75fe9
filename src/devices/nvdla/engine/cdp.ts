// The cross-channel processor's data path, int8: local response normalisation over groups of pixels.
// Not a register view: it runs what a command says. Fact sheet section 2.7.
import type { CdpValues, Cube, Lut } from './command.js';
import type { ProcessorKernels } from './kernels.js';
import { storeLut } from './lut.js';

/** Most int32 that a group of pixels takes with all its channels. */
const GROUP = 65536;

/** Scratch: `lut` for the table's parameters, `tile` for GROUP int32. */
export interface CdpScratch {
  readonly lut: number;
  readonly tile: number;
}

export const CDP_TILE_BYTES = GROUP * 4;

export function normalise(
  kernels: ProcessorKernels,
  scratch: CdpScratch,
  p: CdpValues,
  lut: Lut,
  source: Cube,
  destination: Cube,
): void {
  storeLut(kernels, scratch.lut, lut);
  const surfaces = Math.ceil(p.channels / p.atom);
  const group = Math.max(1, Math.floor(GROUP / (surfaces * p.atom)));
  for (let y = 0; y < p.height; y++) {
    for (let x = 0; x < p.width; x += group) {
      const pixels = Math.min(group, p.width - x);
      const count = pixels * p.atom;
      const at = y * source.line + x * p.atom;
      for (let surface = 0; surface < surfaces; surface++) {
        const from = source.address + surface * source.surface + at;
        const tile = scratch.tile + surface * count * 4;
        const lanes = Math.min(p.atom, p.channels - surface * p.atom);
        kernels.widen8(from, tile, count);
        kernels.cdpConvert(tile, pixels, p.atom, lanes, p.inOffset, p.inScale, p.inShift);
      }
      for (let surface = 0; surface < surfaces; surface++) {
        kernels.cdpSurface8(
          scratch.tile,
          surface,
          surfaces,
          pixels,
          p.atom,
          p.reach,
          p.sumBypass,
          p.mulBypass,
          scratch.lut,
          p.outOffset,
          p.outScale,
          p.outShift,
          destination.address + surface * destination.surface + y * destination.line + x * p.atom,
        );
      }
    }
  }
}
