// What layers each generation accepts. Source: fact sheet sections 4, 6 and 7.
// Not what the virtual device checks: that is written from the sheet separately.
import type { GnaConfig } from '../../../hw/gna/index.js';

/** Inputs of a layer, rows of weights and filters come in steps of this. */
export const ELEMENT_STEP = 8;
/** Most inputs or outputs of a layer. */
export const ELEMENTS_MAX = 65528;
/** Operands begin on multiples of this. */
export const ALIGN_BYTES = 64;
export const ALIGN = ALIGN_BYTES / 2;
export const PAGE = 4096;

export const SEGMENTS_MAX = 128;

/** 1D convolution: sizes step 8. */
export const FILTER_SIZE_MAX = 768;
export const FILTERS_MAX = 8192;
export const POOL_MAX = 6;

/** 2D convolution of 3.0, inputs: width, height, depth (step 8), by the width of the kernel. Filters come in eights. */
export const CONV2D = {
  sizeMin: 16,
  widthMax: 240,
  heightMax: 384,
  filtersMax: 1024,
  kernelMax: 7,
  poolMax: 3,
  /** Most channels of 16 bits. */
  depthMax: (kernelWidth: number): number => [384, 384, 120, 120, 80, 64, 48, 48][kernelWidth]!,
} as const;

/** Vectors that transposes take at once, and rows of a copy. */
export const GROUPS_MAX = 8;

/** Recurrent outputs come in steps of this. */
export const RECURRENT_STEP = 32;

/** Device addresses of one request. */
export const MEMORY_MAX = 256 * 1024 * 1024;

export function hasConvolution({ deviceType }: GnaConfig): boolean {
  return deviceType >= 0x10;
}

export function align(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
