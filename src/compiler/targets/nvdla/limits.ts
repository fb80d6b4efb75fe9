// What a configuration can take in one hardware layer: sizes of register fields and of buffers.
// Not a decision: cbuf.ts and tiles.ts split what is larger, support.ts refuses what cannot be split.

/** Width, height and channels of a cube, and kernels of a layer (13-bit fields, minus-one). */
export const MAX_CUBE = 8192;

/** Convolution: 5-bit minus-one kernel and dilation, 3-bit stride, 5-bit left and top pads, 18 bits of bytes per kernel. */
export const MAX_KERNEL = 32;
export const MAX_STRIDE = 8;
export const MAX_DILATION = 32;
export const MAX_PAD = 31;
export const MAX_KERNEL_BYTES = 1 << 18;

/** Pooling: kernel and stride up to 8, pads are 3-bit fields. */
export const MAX_POOL_KERNEL = 8;
export const MAX_POOL_STRIDE = 8;
export const MAX_POOL_PAD = 7;

/**
 * The pooling unit keeps a partial line per output row that its windows overlap; the buffer holds 128 outputs of one such line.
 * The count is rounded up to a power of two (fact sheet part D; vendor compiler PDPNode).
 */
export function maxPoolWidth(kernelHeight: number, strideY: number): number {
  const overlap = Math.ceil(kernelHeight / strideY);
  let lines = 1;
  while (lines < overlap) lines *= 2;
  return 128 / lines;
}

/** Weight bytes are fetched in units of this (fact sheet section 3.3; the driver checks it). */
export const WEIGHT_ALIGN = 128;

export const PAGE = 4096;

/** `value` rounded up to a multiple of `unit`. */
export function align(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
