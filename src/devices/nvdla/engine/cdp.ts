// The cross-channel processor's data path: local response normalisation over groups of pixels.
// Not a register view: it runs what a command says. Fact sheet section 2.7.
import type { CdpValues, Cube, Lut } from './command.js';
import type { ProcessorKernels } from './kernels.js';
import { storeLut } from './lut.js';

/** Most numbers of 32 bits that a group of pixels takes with all its channels. fp16 takes twice as many for a pixel. */
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
  const half = p.precision === 2;
  const pixelBytes = p.atom * (p.precision === 0 ? 1 : 2);
  const group = Math.max(1, Math.floor(GROUP / (surfaces * p.atom * (half ? 2 : 1))));
  for (let y = 0; y < p.height; y++) {
    for (let x = 0; x < p.width; x += group) {
      const pixels = Math.min(group, p.width - x);
      const from = source.address + y * source.line + x * pixelBytes;
      const to = destination.address + y * destination.line + x * pixelBytes;
      const groupOf = half ? halfGroup : integerGroup;
      groupOf(kernels, scratch, p, pixels, { ...source, address: from }, { ...destination, address: to });
    }
  }
}

function integerGroup(
  kernels: ProcessorKernels,
  scratch: CdpScratch,
  p: CdpValues,
  pixels: number,
  source: Cube,
  destination: Cube,
): void {
  const { atom, channels, precision } = p;
  const surfaces = Math.ceil(channels / atom);
  const count = pixels * atom;
  for (let surface = 0; surface < surfaces; surface++) {
    const from = source.address + surface * source.surface;
    const tile = scratch.tile + surface * count * 4;
    const lanes = Math.min(atom, channels - surface * atom);
    if (precision === 0) kernels.widen8(from, tile, count);
    else kernels.widen16(from, tile, count);
    const bits = precision === 0 ? 9 : 17;
    kernels.cdpConvert(tile, pixels, atom, lanes, p.inOffset, p.inScale, p.inShift, bits);
  }
  const surfaceOf = precision === 0 ? kernels.cdpSurface8 : kernels.cdpSurface16;
  for (let surface = 0; surface < surfaces; surface++) {
    surfaceOf(
      scratch.tile,
      surface,
      surfaces,
      pixels,
      atom,
      p.reach,
      p.sumBypass,
      p.mulBypass,
      scratch.lut,
      p.outOffset,
      p.outScale,
      p.outShift,
      destination.address + surface * destination.surface,
    );
  }
}

function halfGroup(
  kernels: ProcessorKernels,
  scratch: CdpScratch,
  p: CdpValues,
  pixels: number,
  source: Cube,
  destination: Cube,
): void {
  const { atom, channels, sumBypass, mulBypass, reach, nanToZero } = p;
  const surfaces = Math.ceil(channels / atom);
  const count = pixels * atom;
  const squares = scratch.tile + surfaces * count * 4;
  const square = sumBypass === 0 ? 1 : 0;
  for (let surface = 0; surface < surfaces; surface++) {
    const from = source.address + surface * source.surface;
    const at = surface * count * 4;
    const lanes = Math.min(atom, channels - surface * atom);
    kernels.cdpSquareHalf(from, scratch.tile + at, squares + at, pixels, atom, lanes, square, nanToZero);
  }
  for (let surface = 0; surface < surfaces; surface++) {
    const to = destination.address + surface * destination.surface;
    const { lut, tile } = scratch;
    kernels.cdpSurfaceHalf(
      tile,
      squares,
      surface,
      surfaces,
      pixels,
      atom,
      reach,
      sumBypass,
      mulBypass,
      lut,
      to,
    );
  }
}
