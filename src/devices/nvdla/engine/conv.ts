// A convolution layer: input fetch, padding and conversion (CDMA), products and sums (CSC, CMAC, CACC), direct.
// Not the planner, which reads registers, and not SDP, which takes the int32 results band by band.
import { AccelError } from '../../../base/errors.js';
import { HalfSums } from './conv-half.js';
import { CONVERTER_BYTES, ConvInput } from './conv-input.js';
import type { ConvKernels } from './conv-kernels.js';
import { checkConv, precision, type ConvParams, type ConvScratch } from './conv-params.js';
import { sourceOf } from './conv-rows.js';
import { WinogradLayer } from './winograd.js';

/** Scratch that lets nearly every layer keep all its kernels packed. Less works as long as one block fits. */
export const CONV_SCRATCH = 16 << 20;

/** Input rows of a block stay within this, so that they stay in the second-level cache while all kernels pass. */
const BLOCK_BYTES = 256 << 10;
/** Outputs of a block at most: their places take 8 bytes each. */
const BLOCK_OUTPUTS = 4096;
/**
 * With so few outputs a kernel is used too seldom to be worth packing: measured break-even with blocks of 32 and more
 * channels, and with shorter ones.
 */
const FEW_OUTPUTS = { long: 10, short: 1 };
const LONG_BLOCK = 32;
/** Products of -128 by -128 whose sum 32 bits hold, with one to spare for rounding. */
const SAFE_PRODUCTS = 131071;
/** Products of int16 whose sum 48 bits hold, and that the wide panels can add up. */
const WIDE_PRODUCTS = 131071;

const align16 = (bytes: number): number => Math.ceil(bytes / 16) * 16;

/** A layer whose kernels are packed. It reads input, kernels and its scratch until it is dropped. */
export class ConvLayer {
  /** Bytes of one output row of all surfaces, int32: bands of (memory / outRowBytes) rows fit a result buffer. */
  readonly outRowBytes: number;
  /** Bands are multiples of this many rows. */
  readonly rowStep = 1;

  readonly #kernels: ConvKernels;
  readonly #params: ConvParams;
  readonly #inputs: ConvInput;
  /** Input pixels and rows that a kernel spans, and how far apart gathered ones are in the input. */
  readonly #spanX: number;
  readonly #spanY: number;
  readonly #everyX: number;
  readonly #everyY: number;
  /** Outputs of a block; bytes of a gathered row. */
  readonly #columns: number;
  readonly #rows: number;
  readonly #rowBytes: number;
  readonly #columnBytes: number;
  readonly #input: number;
  /** How sums are made: packed panels, dot products, dot products in a wide accumulator, or as fp16 is. */
  readonly #path: 'panels' | 'dot' | 'wide' | 'half';
  /** Bytes of a weight. */
  readonly #bytes: 1 | 2;
  readonly #flat: boolean;
  readonly #maxRuns: number;
  readonly #panels: number;
  readonly #panelsPerPass: number;
  readonly #panelTable: number;
  readonly #tiles: number;
  /** The block that the places in #tiles are of. */
  #tileRows = 0;
  #tileColumns = 0;
  #lastTile = 0;
  readonly #packed: number;
  readonly #lengths: number;
  readonly #segmentData: number;
  /** fp16: the block's rows decoded, and the sums. */
  readonly #decoded: number;
  readonly #halfSums: HalfSums | undefined;

  /** @throws AccelError EINVAL, EOPNOTSUPP (checkConv); ENOMEM when scratch does not hold one block */
  constructor(kernels: ConvKernels, params: ConvParams, scratch: ConvScratch) {
    checkConv(params);
    this.#kernels = kernels;
    this.#params = params;
    const { channels, kernelChannels, kernelWidth, kernelHeight, atom, outWidth, outHeight } = params;
    const image = params.image !== 0;
    this.outRowBytes = Math.ceil(params.kernels / atom) * atom * 4 * outWidth;

    this.#spanX = image ? Math.ceil(kernelChannels / channels) : (kernelWidth - 1) * params.dilationX + 1;
    this.#spanY = (kernelHeight - 1) * params.dilationY + 1;
    this.#everyX = this.#spanX === 1 ? params.strideX : 1;
    this.#everyY = this.#spanY === 1 ? params.strideY : 1;
    this.#columnBytes = params.dilationX * channels * 2;

    this.#bytes = params.precision === precision.int8 ? 1 : 2;
    const products = kernelHeight * kernelWidth * kernelChannels;
    const wide = this.#isWide(products);
    const few = Math.min(params.atomicC, kernelChannels) >= LONG_BLOCK ? FEW_OUTPUTS.long : FEW_OUTPUTS.short;
    const fewOutputs = outWidth * outHeight * params.batches <= few;
    // Sums of int16 may need more than 32 bits: panels see to that, dot products of few outputs do not.
    const integer = wide ? 'wide' : fewOutputs && this.#bytes === 1 ? 'dot' : 'panels';
    const half = params.precision === precision.fp16;
    this.#path = half ? 'half' : integer;

    let at = align16(scratch.address);
    const end = scratch.address + scratch.bytes;
    const take = (bytes: number): number => {
      const address = at;
      at = align16(at + bytes);
      return address;
    };

    this.#inputs = new ConvInput(
      kernels,
      sourceOf(params),
      take(CONVERTER_BYTES),
      this.#everyX,
      this.#everyY,
    );

    // Packed panels: every kernel row is one run when the channels are few, else runs are made of 8 channels each.
    const rounds = kernelHeight * kernelWidth;
    this.#flat = !image && kernelWidth > 1 && params.dilationX === 1 && kernelChannels < 8;
    const pairs = this.#flat
      ? kernelHeight * Math.ceil((kernelWidth * kernelChannels) / 2)
      : rounds * Math.ceil(kernelChannels / 2);
    this.#maxRuns = this.#flat ? kernelHeight : rounds * Math.ceil(kernelChannels / 8);
    const panelBytes = align16(this.#maxRuns * 8) + pairs * 32;
    this.#panels = (Math.ceil(params.kernels / atom) * atom) / 8;
    const panels = this.#path === 'panels';
    this.#panelTable = take(panels ? this.#panels * 16 : 0);

    // Segments in the order of the weights: channel block, rows, column.
    const blocks = Math.ceil(kernelChannels / params.atomicC);
    const segments = panels || half ? 0 : blocks * rounds;
    const longest = params.jointRows * Math.min(params.atomicC, kernelChannels);
    this.#lengths = take(segments * 4);
    this.#segmentData = take(segments * (longest + 8) * 2);

    this.#tiles = take(panels || half ? BLOCK_OUTPUTS * 8 : 0);

    const room = end - at;
    const wanted = panels ? this.#panels * panelBytes : 0;
    const resident = wanted + BLOCK_BYTES <= room || !panels;
    const most = resident ? Math.max(BLOCK_BYTES, room - wanted) : room - Math.min(wanted, room / 2);
    // Rows of fp16 are there twice, decoded ones of double size.
    const limit = half ? Math.min(BLOCK_BYTES / 2, room / 8) : most;
    [this.#columns, this.#rows] = this.#block(limit, resident);
    this.#rowBytes = this.#gatheredRow(this.#columns);
    this.#input = take(this.#blockRows(this.#rows) * this.#rowBytes);
    this.#decoded = take(half ? 2 * this.#blockRows(this.#rows) * this.#rowBytes : 0);
    this.#packed = at;
    this.#panelsPerPass = panels ? Math.min(this.#panels, Math.floor((end - at) / panelBytes)) : 0;
    if (at > end || (panels && this.#panelsPerPass < 1))
      throw new AccelError('ENOMEM', {
        field: 'scratch',
        reason: `${scratch.bytes} bytes, one block of the layer needs ${at - scratch.address + (panels ? panelBytes : 0)}`,
      });
    if (panels && this.#panelsPerPass === this.#panels) this.#pack(0, this.#panels);
    const steps = { row: 2 * params.dilationY * this.#rowBytes, column: 2 * this.#columnBytes };
    this.#halfSums = half ? new HalfSums(kernels, params, steps, at, end) : undefined;
  }

  /**
   * Computes output rows [y0, y1) of input cube `batch` into int32 at `out`: [surface of `atom` kernels][y - y0][x][atom];
   * kernels that do not exist are 0. Returns how many outputs saturated at 32 bits.
   */
  run(y0: number, y1: number, out: number, batch = 0): number {
    const { outWidth, strideX, strideY, padLeft, padTop, atom } = this.#params;
    const pixel = atom * 4;
    let saturated = 0;
    for (let y = y0; y < y1; y += this.#rows) {
      const rows = Math.min(this.#rows, y1 - y);
      for (let x = 0; x < outWidth; x += this.#columns) {
        const columns = Math.min(this.#columns, outWidth - x);
        const window = {
          x: x * strideX - padLeft,
          y: y * strideY - padTop,
          pixels: (columns - 1) * (strideX / this.#everyX) + this.#spanX,
          lines: this.#blockRows(rows),
          batch,
        };
        this.#inputs.gather(window, this.#input, this.#rowBytes);
        const target = out + ((y - y0) * outWidth + x) * pixel;
        const surface = (y1 - y0) * outWidth * pixel;
        if (this.#halfSums !== undefined) {
          const nans = this.#decode(window.lines, window.pixels);
          this.#placeTiles(rows, columns, 2);
          this.#halfSums.sum(this.#decoded, this.#tiles, this.#lastTile, target, surface, nans);
        } else if (this.#path === 'panels') saturated += this.#sumPanels(rows, columns, target, surface);
        else saturated += this.#sumOutputs(rows, columns, target, surface);
      }
    }
    return saturated;
  }

  /** Bytes of a gathered row for `columns` outputs. Its end may be overwritten and read a little past. */
  #gatheredRow(columns: number): number {
    const step = this.#params.strideX / this.#everyX;
    return align16(((columns - 1) * step + this.#spanX) * this.#params.channels * 2 + 16);
  }

  #blockRows(rows: number): number {
    return (rows - 1) * (this.#params.strideY / this.#everyY) + this.#spanY;
  }

  /**
   * Columns and rows of outputs whose input is about BLOCK_BYTES, and never more than `limit` when that can be.
   * Kernels that are not resident are packed again for every block: then the block is as large as it can be.
   */
  #block(limit: number, resident: boolean): [columns: number, rows: number] {
    const { outWidth, outHeight } = this.#params;
    let columns = outWidth;
    const bytes = (n: number): number => this.#spanY * this.#gatheredRow(n);
    if (columns > BLOCK_OUTPUTS) columns = BLOCK_OUTPUTS;
    // A narrow block reads the columns between blocks twice: not below four kernel widths, unless it must be.
    while (
      columns > 1 &&
      (bytes(columns) > limit || (bytes(columns) > BLOCK_BYTES && columns > 4 * this.#spanX))
    )
      columns = Math.ceil(columns / 2);
    const row = this.#gatheredRow(columns);
    let rows = 1;
    const room = resident ? Math.min(limit, BLOCK_BYTES) : limit;
    const mostRows = Math.min(outHeight, Math.floor(BLOCK_OUTPUTS / columns));
    while (rows < mostRows && this.#blockRows(rows + 1) * row <= room) rows++;
    return [columns, rows];
  }

  /** Sums may leave 32 bits (int8), or what the panels hold (int16). */
  #isWide(products: number): boolean {
    const { params, kernels } = { params: this.#params, kernels: this.#kernels };
    if (this.#bytes === 2) return products > WIDE_PRODUCTS;
    if (products <= SAFE_PRODUCTS) return false;
    const largest = kernels.convLargestKernel(
      params.weightAddress,
      params.kernels,
      params.atomicK,
      params.atomicC,
      params.kernelChannels,
      params.kernelHeight,
      params.kernelWidth,
      params.jointRows,
      this.#bytes,
    );
    return largest > SAFE_PRODUCTS * 128;
  }

  #pack(first: number, last: number): void {
    const params = this.#params;
    this.#kernels.convPack(
      this.#packed,
      this.#panelTable + first * 16,
      first,
      last,
      params.weightAddress,
      params.kernels,
      params.atomicK,
      params.atomicC,
      params.kernelChannels,
      params.kernelHeight,
      params.kernelWidth,
      params.jointRows,
      params.dilationY * this.#rowBytes,
      this.#columnBytes,
      this.#flat ? 1 : 0,
      this.#maxRuns,
      this.#bytes,
    );
  }

  /** Decodes the block's rows of fp16. Whether there are NaNs. */
  #decode(lines: number, pixels: number): boolean {
    const count = pixels * this.#params.channels;
    let nans = 0;
    for (let line = 0; line < lines; line++) {
      const at = line * this.#rowBytes;
      nans |= this.#kernels.convDecodeHalf(this.#input + at, this.#decoded + 2 * at, count);
    }
    return nans !== 0;
  }

  /** Where the outputs of a block are and what they see; input rows are `size` times as large as those of int16. */
  #placeTiles(rows: number, columns: number, size: 1 | 2): void {
    if (rows === this.#tileRows && columns === this.#tileColumns) return;
    const { strideX, strideY, channels, outWidth, atom } = this.#params;
    const pixel = atom * 4;
    const stepX = size * (strideX / this.#everyX) * channels * 2;
    const stepY = size * (strideY / this.#everyY) * this.#rowBytes;
    const outRow = outWidth * pixel;
    this.#lastTile = this.#kernels.convTiles(this.#tiles, rows, columns, stepX, stepY, pixel, outRow);
    this.#tileRows = rows;
    this.#tileColumns = columns;
  }

  #sumPanels(rows: number, columns: number, out: number, outSurface: number): number {
    const { atom, clipTruncate } = this.#params;
    this.#placeTiles(rows, columns, 1);
    const pass = this.#panelsPerPass;
    const largest =
      this.#bytes === 2
        ? this.#kernels.convLargest(this.#input, (this.#blockRows(rows) * this.#rowBytes) / 2)
        : 0;
    let saturated = 0;
    for (let first = 0; first < this.#panels; first += pass) {
      const count = Math.min(pass, this.#panels - first);
      if (pass < this.#panels) this.#pack(first, first + count);
      const where = [this.#panelTable + first * 16, first, count, this.#input, this.#tiles] as const;
      const results = [this.#lastTile, out, outSurface, atom, clipTruncate] as const;
      if (this.#bytes === 1) this.#kernels.convPanels(...where, ...results);
      else saturated += this.#kernels.convPanels16(...where, ...results, largest);
    }
    return saturated;
  }

  #sumOutputs(rows: number, columns: number, out: number, outSurface: number): number {
    const params = this.#params;
    const { atom } = params;
    const stepX = (params.strideX / this.#everyX) * params.channels * 2;
    const stepY = (params.strideY / this.#everyY) * this.#rowBytes;
    const unused = Math.ceil(params.kernels / atom) * atom - params.kernels;
    const lastSurface = Math.ceil(params.kernels / atom) - 1;
    let saturated = 0;
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const segments = this.#kernels.convSegments(
          this.#input + y * stepY + x * stepX,
          params.dilationY * this.#rowBytes,
          this.#columnBytes,
          params.atomicC,
          params.kernelChannels,
          params.kernelHeight,
          params.kernelWidth,
          params.jointRows,
          this.#lengths,
          this.#segmentData,
        );
        const target = out + (y * params.outWidth + x) * atom * 4;
        // Zeroes as int16 pairs.
        this.#kernels.convFill(target + lastSurface * outSurface + (atom - unused) * 4, 0, unused * 2);
        const kernels = [params.weightAddress, params.kernels, params.atomicK] as const;
        const data = [segments, this.#lengths, this.#segmentData] as const;
        const results = [target, outSurface, atom, params.clipTruncate] as const;
        if (this.#path === 'wide')
          saturated += this.#kernels.convDotWide(...kernels, ...data, ...results, this.#bytes);
        else this.#kernels.convDot(...kernels, ...data, ...results);
      }
    }
    return saturated;
  }
}

/**
 * Compressed weights to where the layer takes them from; nothing for others.
 * @throws AccelError EINVAL when a kernel group's size is not what its bits say: hardware would wait for weights for ever
 */
export function expandWeights(kernels: ConvKernels, params: ConvParams): void {
  if (params.weightBits === 0) return;
  const group = kernels.convExpand(
    params.weightBits,
    params.weightSizes,
    params.weightPacked,
    params.weightPackedBytes,
    params.weightAddress,
    params.kernels,
    params.kernelHeight * params.kernelWidth * params.kernelChannels,
    params.atomicK,
    params.precision === precision.int8 ? 1 : 2,
  );
  if (group >= 0)
    throw new AccelError('EINVAL', { field: 'WGS', reason: `group ${group} is not the size its bits say` });
}

/**
 * Packs the kernels of a layer into `scratch`, once; bands then only compute.
 * @throws AccelError EINVAL, EOPNOTSUPP with the field at fault; ENOMEM when scratch does not hold one block
 */
export function prepareConv(
  kernels: ConvKernels,
  params: ConvParams,
  scratch: ConvScratch,
): ConvLayer | WinogradLayer {
  if (params.winograd !== 0) return new WinogradLayer(kernels, params, scratch);
  return new ConvLayer(kernels, params, scratch);
}
