// The planar processor's data path: pooling row by row.
// Not a splitter: strips of a split width give the same result as the whole width. Fact sheet section 2.6.
import type { Cube, PdpValues } from './command.js';
import type { ProcessorKernels } from './kernels.js';

/** Bytes of scratch: the table of padding values. */
export const PDP_SCRATCH = 64;

export function pool(
  kernels: ProcessorKernels,
  scratch: number,
  p: PdpValues,
  source: Cube,
  destination: Cube,
): void {
  const values = [0, p.pad1, p.pad2, p.pad3, p.pad4, p.pad5, p.pad6, p.pad7, 0];
  values.forEach((value, n) => kernels.fill32(scratch + 4 * n, value, 1));
  const surfaces = Math.ceil(p.channels / p.atom);
  for (let surface = 0; surface < surfaces; surface++) {
    const src = source.address + surface * source.surface;
    for (let y = 0; y < p.outHeight; y++) {
      const dst = destination.address + surface * destination.surface + y * destination.line;
      const top = y * p.strideY - p.padTop;
      const { method, width, height, atom, outWidth, kernelWidth, kernelHeight, strideX, padLeft } = p;
      const window = [top, kernelWidth, kernelHeight, strideX, padLeft] as const;
      const cube = [src, source.line, width, height, atom, dst, outWidth] as const;
      const minimum = method === 2 ? 1 : 0;
      const average = [p.recipWidth, p.recipHeight, scratch] as const;
      if (p.precision === 0) {
        if (method === 0) kernels.poolAverage8(...cube, ...window, ...average);
        else kernels.poolExtreme8(...cube, ...window, minimum);
      } else if (p.precision === 1) {
        if (method === 0) kernels.poolAverage16(...cube, ...window, ...average);
        else kernels.poolExtreme16(...cube, ...window, minimum);
      } else {
        if (method === 0) kernels.poolAverageHalf(...cube, ...window, ...average, p.nanToZero);
        else kernels.poolExtremeHalf(...cube, ...window, minimum, p.nanToZero);
      }
    }
  }
}
