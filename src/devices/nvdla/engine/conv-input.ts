// The input side of a convolution (CDMA): feature lines and image lines to rows of 16-bit pixels, padded and converted.
// Not products: conv.ts decides which rows and columns a block of outputs needs. Fact sheet sections 2.1, 3.1, 3.5.
import type { ConvKernels } from './conv-kernels.js';
import { precision, type ConvParams } from './conv-params.js';
import { packedBits, pixelLayout, type PixelLayout } from './pixels.js';

const TABLE_BYTES = 512;

/** Bytes that the converter's tables take: one for each element of a pixel, and its parameters. */
export const CONVERTER_BYTES = 4 * TABLE_BYTES + 48;

/** A part of the input: `pixels` pixels of `lines` lines from (x, y) on, maybe outside the cube. */
export interface InputWindow {
  readonly x: number;
  readonly y: number;
  readonly pixels: number;
  readonly lines: number;
  readonly batch: number;
}

export class ConvInput {
  readonly #kernels: ConvKernels;
  readonly #params: ConvParams;
  readonly #pixel: PixelLayout | undefined;
  readonly #tables: number;
  /** Parameters of the converter of 16-bit elements; 0 when they are taken as they are. */
  readonly #converter: number;
  /** The converter's offset per element, and whether they differ. */
  readonly #offsets: readonly number[];
  readonly #ownTables: boolean;
  /** Byte of each element in a pixel, two bits each; -1 when pixels must be converted one by one. */
  readonly #order: number;
  /** How far apart gathered pixels and lines are in the input. */
  readonly #everyX: number;
  readonly #everyY: number;

  /** @param tables CONVERTER_BYTES of memory */
  constructor(kernels: ConvKernels, params: ConvParams, tables: number, everyX: number, everyY: number) {
    this.#kernels = kernels;
    this.#params = params;
    this.#everyX = everyX;
    this.#everyY = everyY;
    this.#tables = tables;
    const { channels, cvt, cvtOffset, cvtScale, cvtTruncate, mean } = params;
    const image = params.image !== 0;
    this.#pixel = image ? pixelLayout(params.pixelFormat) : undefined;
    this.#ownTables = image && cvt !== 0 && mean !== 0;
    const common = cvt === 0 ? 0 : this.#ownTables ? params.mean0 : cvtOffset;
    this.#offsets =
      this.#ownTables && this.#pixel!.elements > 1
        ? [params.mean0, params.mean1, params.mean2, params.mean3]
        : [common, common, common, common];
    const largest = (255 + Math.max(...this.#offsets.map(Math.abs))) * Math.abs(cvtScale);
    const vectors =
      this.#pixel?.planes === 1 &&
      this.#pixel.elementBytes === 1 &&
      params.precision === precision.int8 &&
      everyX === 1 &&
      [1, 3, 4].includes(channels) &&
      channels >= this.#pixel.elements - 1 &&
      (cvt === 0 || (largest < 2 ** 30 && cvtTruncate < 32));
    this.#order = vectors
      ? this.#pixel!.order.reduce((bits, byte, element) => bits | (byte << (2 * element)), 0)
      : -1;
    this.#writeTables();
    this.#converter = this.#writeConverter();
  }

  /** Brings a window to rows `rowBytes` apart at `to`. Writes up to 7 elements past a row. */
  gather(window: InputWindow, to: number, rowBytes: number): void {
    const params = this.#params;
    const { x, y, pixels, lines, batch } = window;
    const { width, height, channels } = params;
    const pad = params.precision === precision.int8 ? (params.padValue << 24) >> 24 : params.padValue;
    const clamp = (n: number): number => Math.max(0, Math.min(pixels, n));
    const left = clamp(Math.ceil(-x / this.#everyX));
    const right = Math.max(left, clamp(Math.ceil((width - x) / this.#everyX)));
    const first = x + left * this.#everyX;
    if (this.#pixel === undefined) {
      const bytes = params.input === precision.int8 ? 1 : 2;
      const pixel = params.inputAtom * bytes;
      const features = bytes === 1 ? this.#kernels.convFeatures : this.#kernels.convFeatures16;
      features(
        params.inputAddress + batch * params.batchStride + first * pixel,
        params.lineStride,
        params.surfaceStride,
        this.#everyX * pixel,
        params.inputAtom,
        channels,
        bytes === 2 ? this.#converter : params.cvt === 0 ? 0 : this.#table(0),
        y,
        this.#everyY,
        height,
        to,
        rowBytes,
        lines,
        pixels,
        left,
        right,
        pad,
      );
      return;
    }
    for (let line = 0; line < lines; line++) {
      const row = to + line * rowBytes;
      const from = y + line * this.#everyY;
      if (from < 0 || from >= height || right === left) {
        this.#kernels.convFill(row, pad, pixels * channels);
        continue;
      }
      this.#fetch(this.#pixel, first, from, right - left, row + left * channels * 2, batch);
      if (left > 0) this.#kernels.convFill(row, pad, left * channels);
      if (right < pixels)
        this.#kernels.convFill(row + right * channels * 2, pad, (pixels - right) * channels);
    }
  }

  /** Features that are not converted need no table; elements without means of their own share one. */
  #writeTables(): void {
    const { cvt, cvtScale, cvtTruncate, image, channels, pixelSigned } = this.#params;
    const count = image === 0 && cvt === 0 ? 0 : this.#ownTables ? channels : 1;
    const signed = image === 0 ? 1 : pixelSigned;
    for (let element = 0; element < count; element++)
      this.#kernels.convTable(
        this.#table(element),
        cvt,
        signed,
        this.#offsets[element],
        cvtScale,
        cvtTruncate,
        this.#params.precision,
      );
  }

  #writeConverter(): number {
    const { cvt, cvtScale, cvtTruncate, image, input, nanToZero } = this.#params;
    const elementBytes = image === 0 ? (input === precision.int8 ? 1 : 2) : this.#pixel!.elementBytes;
    if (elementBytes === 1) return 0;
    const half = input === precision.fp16;
    if (half ? nanToZero === 0 : cvt === 0) return 0;
    const signed = image === 0 || this.#params.pixelSigned !== 0;
    const at = this.#tables + 4 * TABLE_BYTES;
    this.#kernels.convConverter(
      at,
      half ? 1 : 0,
      signed ? 1 : 0,
      cvtScale,
      cvtTruncate,
      this.#params.precision,
      ...(this.#offsets as [number, number, number, number]),
    );
    return at;
  }

  #table(element: number): number {
    return this.#tables + (this.#ownTables ? element * TABLE_BYTES : 0);
  }

  /** Reads and converts `count` pixels of image line y from x on. */
  #fetch(pixel: PixelLayout, x: number, y: number, count: number, to: number, batch: number): void {
    const params = this.#params;
    const { channels } = params;
    const at = params.pixelOffset + x;
    const at1 = params.pixelOffset1 + x;
    const base = params.inputAddress + batch * params.batchStride + y * params.lineStride;
    const base1 = params.inputAddress1 + batch * params.batchStride + y * params.lineStride1;
    const done = this.#order < 0 ? 0 : this.#convertPixels(base + at * pixel.pixelBytes, to, count);
    for (let element = 0; element < channels && done < count; element++) {
      const second = pixel.planes === 2 && element > 0;
      const bytes = second ? 2 * pixel.elementBytes : pixel.pixelBytes;
      const first = second ? base1 + at1 * bytes : base + at * bytes;
      const source = first + done * this.#everyX * bytes + pixel.order[element];
      const target = to + (done * channels + element) * 2;
      const step = this.#everyX * bytes;
      if (pixel.bits !== undefined)
        this.#kernels.convElement10(
          source,
          step,
          pixel.bits[element],
          packedBits(element),
          channels,
          target,
          count - done,
        );
      else if (pixel.elementBytes === 2)
        this.#kernels.convElement16(source, step, channels, target, count - done);
      else this.#kernels.convElement(source, step, this.#table(element), channels, target, count - done);
    }
    if (this.#converter !== 0) this.#kernels.convConvert(to, count * channels, this.#converter, channels);
  }

  /** Converts as many of `count` adjacent pixels as whole vectors hold. Returns how many. */
  #convertPixels(source: number, to: number, count: number): number {
    const { channels, cvt, pixelSigned, cvtScale, cvtTruncate } = this.#params;
    const [offset0, offset1, offset2, offset3] = this.#offsets;
    return this.#kernels.convPixels(
      source,
      this.#pixel!.elements,
      channels,
      this.#order,
      to,
      count,
      cvt === 0 ? 1 : pixelSigned,
      offset0,
      offset1,
      offset2,
      offset3,
      cvt === 0 ? 1 : cvtScale,
      cvt === 0 ? 0 : cvtTruncate,
    );
  }
}
