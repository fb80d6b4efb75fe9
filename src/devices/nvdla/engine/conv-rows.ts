// Lines in the convolution buffer that outlive their layer: rows of int16 pixels, converted, all channels side by side.
// Not which ones: plan/conv-buffer.ts. Not the rows of a block: conv.ts gathers those from here.
import { ConvInput } from './conv-input.js';
import type { ConvKernels } from './conv-kernels.js';
import { precision, type ConvParams, type ConvScratch } from './conv-params.js';
import type { ProcessorKernels } from './kernels.js';

/** Channels of a pixel there: Winograd takes whole atoms. */
function channelsOf({ channels, inputAtom, winograd }: ConvParams): number {
  return winograd === 0 ? channels : Math.ceil(channels / inputAtom) * inputAtom;
}

/** Bytes of a row. Its end may be overwritten. */
export function rowBytes(params: ConvParams): number {
  return Math.ceil((params.width * channelsOf(params) * 2 + 16) / 16) * 16;
}

/** The input as convolutions gather it: from memory, or from the rows. */
export function sourceOf(params: ConvParams): ConvParams {
  const channels = channelsOf(params);
  if (params.rowsAddress === 0) return { ...params, channels };
  return {
    ...params,
    ...{ image: 0, input: precision.int16, nanToZero: 0, cvt: 0, channels, inputAtom: channels },
    ...{ inputAddress: params.rowsAddress, lineStride: rowBytes(params), surfaceStride: 0 },
  };
}

/** Brings the lines of a layer that leaves some to their rows; kernels that stay to their place. Nothing for other layers. */
export function fillBuffer(
  kernels: ConvKernels & ProcessorKernels,
  params: ConvParams,
  scratch: ConvScratch,
): void {
  const { rowsAddress, rowsFrom, rowsKept, weightKeep, weightAddress, weightBytes } = params;
  const copy = (from: number, to: number, bytes: number): void =>
    kernels.copyCube(from, 0, 0, to, 0, 0, bytes, 1, 1);
  if (weightKeep !== 0 && weightKeep !== weightAddress) copy(weightAddress, weightKeep, weightBytes);
  if (rowsAddress === 0) return;
  const bytes = rowBytes(params);
  if (rowsFrom !== 0) copy(rowsFrom, rowsAddress, rowsKept * bytes);
  const lines = params.height - rowsKept;
  if (lines === 0) return;
  const memory = { ...params, channels: channelsOf(params), height: lines };
  const input = new ConvInput(kernels, memory, Math.ceil(scratch.address / 16) * 16, 1, 1);
  input.gather({ x: 0, y: 0, pixels: params.width, lines, batch: 0 }, rowsAddress + rowsKept * bytes, bytes);
}
