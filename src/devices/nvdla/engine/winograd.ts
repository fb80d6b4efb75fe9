// A convolution layer in Winograd's way: tiles of 4x4 inputs, transformed, times transformed kernels, make 2x2 outputs.
// Not the direct way: conv.ts. Not the arithmetic: kernels/nvdla/winograd.ts, winograd-half.ts. Fact sheet section 2.10.
import { AccelError } from '../../../base/errors.js';
import { CONVERTER_BYTES, ConvInput } from './conv-input.js';
import type { ConvKernels } from './conv-kernels.js';
import { sourceOf } from './conv-rows.js';
import {
  checkConv,
  precision,
  WINOGRAD_STEP,
  winogradChannels,
  type ConvParams,
  type ConvScratch,
} from './conv-params.js';

/** Transformed tiles stay within this, so that they stay in the second-level cache while all kernels pass. */
const TILE_BYTES = 256 << 10;
const PANEL = 8;
const GROUP = 16;
/** Bytes of packed weights of fp16: before a cell operation's 64 elements, and for one. */
const HEADER = 64;
const STRIDE = 304;

const align16 = (bytes: number): number => Math.ceil(bytes / 16) * 16;

/** As ConvLayer, in steps of four rows. */
export class WinogradLayer {
  /** Bytes of one output row of all surfaces. */
  readonly outRowBytes: number;
  readonly rowStep = WINOGRAD_STEP;

  readonly #kernels: ConvKernels;
  readonly #params: ConvParams;
  readonly #inputs: ConvInput;
  readonly #channels: number;
  /** Channels of a pixel as gathered: whole atoms. */
  readonly #pixelChannels: number;
  /** Outputs of a row computed together. */
  readonly #columns: number;
  readonly #rowBytes: number;
  readonly #rows: number;
  readonly #tiles: number;
  readonly #decoded: number;
  readonly #products: number;
  readonly #work: number;
  readonly #packed: number;
  /** Packed kernels: panels of 8 (integers) or groups of 16 (fp16). */
  readonly #panelBytes: number;
  readonly #panels: number;
  readonly #panelsPerPass: number;
  #first = -1;
  readonly #lengths: number;
  readonly #nans: boolean;

  /** @throws AccelError EINVAL (checkConv); ENOMEM when scratch does not hold four columns and a panel */
  constructor(kernels: ConvKernels, params: ConvParams, scratch: ConvScratch) {
    checkConv(params);
    this.#kernels = kernels;
    this.#params = params;
    const { atom, outWidth, strideX, strideY } = params;
    this.outRowBytes = Math.ceil(params.kernels / atom) * atom * 4 * outWidth;
    this.#channels = winogradChannels(params);
    this.#pixelChannels = this.#channels / strideX / strideY;
    const half = params.precision === precision.fp16;

    let at = align16(scratch.address);
    const end = scratch.address + scratch.bytes;
    const take = (bytes: number): number => {
      const address = at;
      at = align16(at + bytes);
      return address;
    };
    this.#inputs = new ConvInput(kernels, sourceOf(params), take(CONVERTER_BYTES), strideX, strideY);
    this.#work = take(half ? Math.max(256, kernels.convWinogradWork()) : 256);

    // Two rows of tiles, 16 positions each; fp16 is there a second time, decoded, with 4 bytes each.
    const tileBytes = 16 * this.#channels * (half ? 6 : 2);
    let columns = outWidth;
    while (columns > WINOGRAD_STEP && columns * tileBytes > TILE_BYTES)
      columns = Math.ceil(columns / 2 / WINOGRAD_STEP) * WINOGRAD_STEP;
    this.#columns = columns;
    this.#rowBytes = align16((columns + 2) * this.#pixelChannels * 2 + 16);
    this.#rows = take((WINOGRAD_STEP + 2) * this.#rowBytes);
    this.#tiles = take(columns * 16 * this.#channels * 2);
    this.#decoded = take(half ? columns * 16 * this.#channels * 4 : 0);
    this.#products = take(half ? 0 : 16 * columns * PANEL * 8);

    const blocks = this.#channels / 4;
    this.#lengths = take(half ? blocks * 4 : 0);
    this.#panelBytes = half ? blocks * (HEADER + 64 * STRIDE) : 16 * this.#channels * PANEL * 2;
    this.#panels = Math.ceil(params.kernels / (half ? GROUP : PANEL));
    this.#packed = at;
    this.#panelsPerPass = Math.min(this.#panels, Math.floor((end - at) / this.#panelBytes));
    if (at > end || this.#panelsPerPass < 1)
      throw new AccelError('ENOMEM', {
        field: 'scratch',
        reason: `${scratch.bytes} bytes, four columns and a panel need ${at - scratch.address + this.#panelBytes}`,
      });
    if (half) for (let block = 0; block < blocks; block++) kernels.convWord(this.#lengths + 4 * block, 64);
    this.#nans =
      half && kernels.convNansHalf(params.weightAddress, params.kernels * 16 * this.#channels) !== 0;
  }

  /**
   * Computes output rows [y0, y1), multiples of four, into int32 (fp16: fp32) at `out`: [surface of `atom` kernels][y - y0]
   * [x][atom]; kernels that do not exist are 0. Returns how many outputs saturated at 32 bits.
   */
  run(y0: number, y1: number, out: number): number {
    const { outWidth, atom } = this.#params;
    const surface = (y1 - y0) * outWidth * atom * 4;
    this.#clearLast(y1 - y0, out, surface);
    let saturated = 0;
    for (let y = y0; y < y1; y += WINOGRAD_STEP) {
      for (let x = 0; x < outWidth; x += this.#columns) {
        const columns = Math.min(this.#columns, outWidth - x);
        this.#transform(x, y, columns);
        const target = out + ((y - y0) * outWidth + x) * atom * 4;
        saturated += this.#sum(columns, target, surface);
      }
    }
    return saturated;
  }

  /** Panels end where kernels do; the last surface may go on. */
  #clearLast(rows: number, out: number, surface: number): void {
    const { kernels, atom, outWidth, precision: own } = this.#params;
    const last = Math.ceil(kernels / atom) - 1;
    if (own !== precision.fp16 && kernels % atom !== 0)
      this.#kernels.convFill(out + last * surface, 0, rows * outWidth * atom * 2);
  }

  /** Two rows of tiles from output (x, y) on: gathered, a place within the stride after the other, and pre-added. */
  #transform(x: number, y: number, columns: number): void {
    const { strideX, strideY, padLeft, padTop, praTruncate, precision: own } = this.#params;
    const kernels = this.#kernels;
    const pixel = this.#pixelChannels * 2;
    const tile = this.#channels * 2;
    const tiles = columns / 2;
    const plane = columns * tile;
    for (let phase = 0; phase < strideX * strideY; phase++) {
      const window = {
        x: x * strideX + (phase % strideX) - padLeft,
        y: y * strideY + Math.floor(phase / strideX) - padTop,
        pixels: columns + 2,
        lines: WINOGRAD_STEP + 2,
        batch: 0,
      };
      this.#inputs.gather(window, this.#rows, this.#rowBytes);
      for (let row = 0; row < 2; row++) {
        const from = [
          this.#rows + 2 * row * this.#rowBytes,
          this.#rowBytes,
          pixel,
          this.#pixelChannels,
          tiles,
        ] as const;
        const to = [this.#tiles + row * tiles * tile + phase * pixel, plane, tile] as const;
        if (own === precision.fp16) kernels.convPreAddHalf(...from, ...to, this.#work);
        else
          kernels.convPreAdd(...from, ...to, praTruncate, own === precision.int8 ? 127 : 32767, this.#work);
      }
    }
  }

  #sum(columns: number, out: number, surface: number): number {
    const { atom, outWidth, kernels: count, clipTruncate, precision: own } = this.#params;
    const kernels = this.#kernels;
    const tile = this.#channels * 2;
    const plane = columns * tile;
    const pixel = atom * 4;
    const row = outWidth * pixel;
    const tiles = columns / 2;
    const half = own === precision.fp16;
    const nans =
      half && kernels.convDecodeHalf(this.#tiles, this.#decoded, 16 * columns * this.#channels) !== 0;
    const perSurface = atom / (half ? GROUP : PANEL);
    let saturated = 0;
    for (let first = 0; first < this.#panels; first += this.#panelsPerPass) {
      const last = Math.min(first + this.#panelsPerPass, this.#panels);
      if (this.#first !== first) this.#pack(first, last);
      this.#first = first;
      for (let panel = first; panel < last; panel++) {
        const packed = this.#packed + (panel - first) * this.#panelBytes;
        const target =
          out + Math.floor(panel / perSurface) * surface + (panel % perSurface) * (half ? GROUP : PANEL) * 4;
        if (!half) {
          const products = own === precision.int8 ? kernels.convProducts : kernels.convProductsWide;
          products(this.#tiles, plane, tile, columns, packed, this.#channels, this.#products);
        }
        for (let upper = 0; upper < 2; upper++) {
          const at = target + upper * 2 * row;
          if (half)
            kernels.convWinogradHalf(
              packed,
              this.#channels / 4,
              this.#decoded + upper * tiles * tile * 2,
              plane * 2,
              tile * 2,
              tiles,
              at,
              pixel,
              row,
              Math.min(GROUP, count - panel * GROUP),
              nans || this.#nans ? 1 : 0,
              this.#work,
            );
          else if (own === precision.int8)
            kernels.convPostAdd(
              this.#products + upper * tiles * 32,
              columns * 32,
              tiles,
              at,
              pixel,
              row,
              clipTruncate,
            );
          else
            saturated += kernels.convPostAddWide(
              this.#products + upper * tiles * 64,
              columns * 64,
              tiles,
              at,
              pixel,
              row,
              clipTruncate,
            );
        }
      }
    }
    return saturated;
  }

  #pack(first: number, last: number): void {
    const { weightAddress, kernels, atomicK, precision: own } = this.#params;
    if (own !== precision.fp16) {
      this.#kernels.convPackWinograd(
        this.#packed,
        first,
        last,
        weightAddress,
        kernels,
        atomicK,
        this.#channels,
        own === precision.int8 ? 1 : 2,
      );
      return;
    }
    for (let group = first; group < last; group++)
      this.#kernels.convPackHalf(
        this.#packed + (group - first) * this.#panelBytes,
        weightAddress + group * GROUP * 16 * this.#channels * 2,
        Math.min(GROUP, kernels - group * GROUP),
        this.#channels / 4,
        this.#lengths,
      );
  }
}
