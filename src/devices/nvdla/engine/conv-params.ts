// One convolution layer as the data path takes it: cubes, kernels, padding, conversion, as plain numbers.
// Not registers: minus-one encodings are gone, addresses are DRAM offsets. Fact sheet sections 2.1, 2.2, 3.
import { AccelError } from '../../../base/errors.js';
import { pixelLayout } from './pixels.js';

/** Values of the precision fields. */
export const precision = { int8: 0, int16: 1, fp16: 2 } as const;

/** Fields in the order they travel in an engine command; `u` marks addresses (unsigned), `i` everything else. */
export const convLayout = {
  /** 1: pitch-linear pixels (CDMA DATAIN_FORMAT PIXEL); 0: a feature cube. */
  image: 'i',
  /** CDMA PIXEL_FORMAT, images only. */
  pixelFormat: 'i',
  /** CDMA PIXEL_X_OFFSET: pixels between `inputAddress` and the first pixel, images only. */
  pixelOffset: 'i',
  /** 1: pixels are signed (PIXEL_SIGN_OVERRIDE). Features are always signed. */
  pixelSigned: 'i',
  /** 0 int8, 1 int16, 2 fp16: of the input in memory, and of products and weights. */
  input: 'i',
  precision: 'i',
  /** fp16 input: NaNs become 0. */
  nanToZero: 'i',
  /** First byte of the cube or image. */
  inputAddress: 'u',
  /** Second plane (U and V) of semi-planar images, and what PIXEL_X_OFFSET comes to there. */
  inputAddress1: 'u',
  pixelOffset1: 'i',
  /** Bytes from a line to the next; of the second plane; from a surface to the next; from an input cube to the next. */
  lineStride: 'i',
  lineStride1: 'i',
  surfaceStride: 'i',
  batchStride: 'i',
  /** The input, in pixels and channels as CDMA reads it (not extended). */
  width: 'i',
  height: 'i',
  channels: 'i',
  /** Input cubes that share the kernels. */
  batches: 'i',
  /** CSC WEIGHT_WIDTH_EXT, HEIGHT_EXT, CHANNEL_EXT, plus one. Images: width 1, channels = kernel columns x pixel channels. */
  kernelWidth: 'i',
  kernelHeight: 'i',
  kernelChannels: 'i',
  /** Kernels: output channels. */
  kernels: 'i',
  /** In pixels, both modes. */
  strideX: 'i',
  strideY: 'i',
  /** 1 is dense. Features only. */
  dilationX: 'i',
  dilationY: 'i',
  padLeft: 'i',
  padTop: 'i',
  /** What a position outside the cube holds, after conversion; for int8 the low byte counts. */
  padValue: 'i',
  /**
   * Rows of the convolution buffer that the input is brought to, or is in already (engine/conv-rows.ts); 0: none, lines are
   * taken from memory. The first `rowsKept` lines are a former layer's: copied from `rowsFrom`, or there when it is 0.
   */
  rowsAddress: 'u',
  rowsFrom: 'u',
  rowsKept: 'i',
  /** Where the kernels stay for the next layer; 0: nowhere. */
  weightKeep: 'u',
  /** Packed as in fact sheet section 3.3, uncompressed; compressed ones are expanded to here first. */
  weightAddress: 'u',
  weightBytes: 'i',
  /** Compressed weights (fact sheet section 2.11): a bit per element, bytes kept per kernel group, what is kept. 0: none. */
  weightBits: 'u',
  weightSizes: 'u',
  weightPacked: 'u',
  weightPackedBytes: 'i',
  /** Kernel rows joined into one operation: 1, 2 or 4 (2 to the power of POST_Y_EXTENSION). 1 for features. */
  jointRows: 'i',
  /** Of the configuration, for the precision: channels of a weight block, kernels of a group, results side by side. */
  atomicC: 'i',
  atomicK: 'i',
  atom: 'i',
  /** Channels of a surface of the input. */
  inputAtom: 'i',
  /** CDMA CVT_EN, and the converter: (x - offset) * scale, shifted right by `cvtTruncate`. */
  cvt: 'i',
  cvtOffset: 'i',
  cvtScale: 'i',
  cvtTruncate: 'i',
  /** MEAN_FORMAT: 1 replaces `cvtOffset` by the mean of the element (after reordering: RY, GU, BV, AX). */
  mean: 'i',
  mean0: 'i',
  mean1: 'i',
  mean2: 'i',
  mean3: 'i',
  /** 1: Winograd. Kernels are 4x4 transformed ones, stride and padding those of CDMA; what pre-addition is shifted right by. */
  winograd: 'i',
  praTruncate: 'i',
  /** CACC CLIP_TRUNCATE. */
  clipTruncate: 'i',
  /** The output; right and bottom padding follow from it. */
  outWidth: 'i',
  outHeight: 'i',
} as const;

export type ConvParams = { [K in keyof typeof convLayout]: number };

/** DRAM that a layer may use while it lives. `address` is a multiple of 16. */
export interface ConvScratch {
  readonly address: number;
  readonly bytes: number;
}

const names = ['int8', 'int16', 'fp16'];

function refuse(field: string, reason: string): never {
  throw new AccelError('EINVAL', { field, reason });
}

/**
 * Refuses a layer that the hardware could not run or the model does not.
 * @throws AccelError EINVAL, EOPNOTSUPP with the field
 */
export function checkConv(params: ConvParams): void {
  const positive = [
    'width',
    'height',
    'channels',
    'batches',
    'kernelWidth',
    'kernelHeight',
    'kernelChannels',
    'kernels',
    'strideX',
    'strideY',
    'dilationX',
    'dilationY',
    'outWidth',
    'outHeight',
  ] as const;
  for (const field of positive)
    if (!(params[field] > 0)) refuse(field, `${params[field]}, must be at least 1`);
  const { image, channels, kernelChannels, jointRows } = params;
  if (image !== 0) {
    const { elements, elementBytes, float } = pixelLayout(params.pixelFormat);
    const own = float ? precision.fp16 : elementBytes === 2 ? precision.int16 : precision.int8;
    if (own !== params.input)
      refuse('input', `${names[params.input]}, pixel format ${params.pixelFormat} is ${names[own]}`);
    if (channels > elements)
      refuse('channels', `${channels}, pixel format ${params.pixelFormat} has ${elements}`);
    if (params.kernelWidth !== 1) refuse('kernelWidth', `${params.kernelWidth}, must be 1 for images`);
    if (params.dilationX !== 1 || params.dilationY !== 1)
      refuse('dilation', 'only feature cubes can be dilated');
  } else if (params.winograd !== 0) {
    checkWinograd(params);
  } else if (channels !== kernelChannels) {
    refuse('kernelChannels', `${kernelChannels}, the input has ${channels}`);
  }
  if (![1, 2, 4].includes(jointRows)) refuse('jointRows', `${jointRows}, must be 1, 2 or 4`);
  if (image === 0 && jointRows !== 1) refuse('jointRows', `${jointRows}, must be 1 for features`);
  const { input } = params;
  const elements = params.kernels * params.kernelHeight * params.kernelWidth * kernelChannels;
  const weights = elements * (params.precision === precision.int8 ? 1 : 2);
  if (input !== params.precision && (params.cvt === 0 || input === precision.fp16))
    refuse('precision', `${names[input]} input, ${names[params.precision]} arithmetic, no conversion`);
  if (params.weightBytes < weights)
    refuse('weightBytes', `${params.weightBytes}, the kernels take ${weights}`);
}

/** Outputs that Winograd computes together, in each direction: 2x2 tiles of 2x2. */
export const WINOGRAD_STEP = 4;

/** Channels of Winograd's tiles: whole atoms of the input, once for each place within a stride. */
export function winogradChannels({ channels, inputAtom, strideX, strideY }: ConvParams): number {
  return Math.ceil(channels / inputAtom) * inputAtom * strideX * strideY;
}

function checkWinograd(params: ConvParams): void {
  const { kernelWidth, kernelHeight, kernelChannels, outWidth, outHeight } = params;
  if (kernelWidth !== 4 || kernelHeight !== 4)
    refuse('kernelWidth', `${kernelWidth}x${kernelHeight} kernel, Winograd's are 4x4`);
  if (params.dilationX !== 1 || params.dilationY !== 1) refuse('dilation', 'Winograd has none');
  if (params.batches !== 1) refuse('batches', `${params.batches}, Winograd takes one cube`);
  if (params.input !== params.precision || params.cvt !== 0)
    refuse('cvt', 'the C model and the RTL differ on conversion in Winograd');
  const extended = winogradChannels(params);
  if (kernelChannels !== extended)
    refuse('kernelChannels', `${kernelChannels}, the extended input has ${extended}`);
  if (outWidth % WINOGRAD_STEP !== 0 || outHeight % WINOGRAD_STEP !== 0)
    refuse('outWidth', `${outWidth}x${outHeight} outputs, Winograd computes multiples of ${WINOGRAD_STEP}`);
}
