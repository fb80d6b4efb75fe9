// The sums of a convolution in fp16: which cell operations there are, packed weights, decoded input.
// Not the arithmetic: kernels/nvdla/conv-half.ts, half-sum.ts. Not the blocks: conv.ts. Fact sheet sections 2.3, 3.3.
import { AccelError } from '../../../base/errors.js';
import type { ConvKernels } from './conv-kernels.js';
import type { ConvParams } from './conv-params.js';

const KERNELS = 16;
/** Bytes of packed weights: before a cell operation's, and for one element of sixteen kernels. */
const HEADER = 64;
const STRIDE = 304;

const align16 = (bytes: number): number => Math.ceil(bytes / 16) * 16;

/** One cell operation: the runs of input elements that it sees, as offsets in decoded rows. */
interface Segment {
  readonly runs: readonly { readonly offset: number; readonly length: number }[];
  readonly length: number;
}

/** Bytes from what a kernel row (column) reads to what the next one reads, in decoded rows. */
export interface DecodedSteps {
  readonly row: number;
  readonly column: number;
}

export class HalfSums {
  /** Bytes of memory it was given and uses. */
  readonly #kernels: ConvKernels;
  readonly #params: ConvParams;
  readonly #segments: readonly Segment[];
  readonly #table: number;
  readonly #lengths: number;
  readonly #work: number;
  readonly #packed: number;
  readonly #groupBytes: number;
  readonly #groups: number;
  /** Groups whose weights fit; all of them stay packed when they do. */
  readonly #groupsPerPass: number;
  #first = -1;
  #nans = 0;

  /**
   * @param at,end memory for tables and packed weights
   * @throws AccelError ENOMEM when not one group fits
   */
  constructor(kernels: ConvKernels, params: ConvParams, steps: DecodedSteps, at: number, end: number) {
    this.#kernels = kernels;
    this.#params = params;
    this.#segments = segmentsOf(params, steps);
    const elements = this.#segments.reduce((sum, { length }) => sum + length, 0);
    this.#groupBytes = this.#segments.length * HEADER + elements * STRIDE;
    this.#groups = Math.ceil(params.kernels / KERNELS);
    this.#lengths = align16(at);
    this.#table = this.#lengths + align16(this.#segments.length * 4);
    const words = this.#segments.reduce((sum, { runs }) => sum + 1 + 2 * runs.length, 0);
    this.#work = this.#table + align16(words * 4);
    this.#packed = align16(this.#work + kernels.convHalfWork());
    this.#groupsPerPass = Math.min(this.#groups, Math.floor((end - this.#packed) / this.#groupBytes));
    if (this.#groupsPerPass < 1)
      throw new AccelError('ENOMEM', {
        field: 'scratch',
        reason: `${end - at} bytes, one group of kernels needs ${this.#packed - at + this.#groupBytes}`,
      });
    this.#writeTables();
    this.#nans = kernels.convNansHalf(params.weightAddress, params.kernels * elements);
  }

  /**
   * Sums for a block of outputs (convTiles) from decoded rows at `input`, as fp32 at `out`, `outSurface` bytes from one
   * group of kernels to the next. `nans`: the input has some.
   */
  sum(input: number, tiles: number, lastTile: number, out: number, outSurface: number, nans: boolean): void {
    const { kernels } = this.#params;
    for (let first = 0; first < this.#groups; first += this.#groupsPerPass) {
      const last = Math.min(first + this.#groupsPerPass, this.#groups);
      if (this.#first !== first) this.#pack(first, last);
      this.#first = first;
      for (let group = first; group < last; group++)
        this.#kernels.convHalf(
          this.#packed + (group - first) * this.#groupBytes,
          this.#segments.length,
          this.#table,
          input,
          tiles,
          lastTile,
          out + group * outSurface,
          Math.min(KERNELS, kernels - group * KERNELS),
          nans ? 1 : this.#nans,
          this.#work,
        );
    }
  }

  #pack(first: number, last: number): void {
    const { kernels, weightAddress } = this.#params;
    const elements = this.#segments.reduce((sum, { length }) => sum + length, 0);
    for (let group = first; group < last; group++)
      this.#kernels.convPackHalf(
        this.#packed + (group - first) * this.#groupBytes,
        weightAddress + group * KERNELS * elements * 2,
        Math.min(KERNELS, kernels - group * KERNELS),
        this.#segments.length,
        this.#lengths,
      );
  }

  #writeTables(): void {
    let at = this.#table;
    const word = (value: number): void => {
      this.#kernels.convWord(at, value);
      at += 4;
    };
    for (const [index, { runs, length }] of this.#segments.entries()) {
      this.#kernels.convWord(this.#lengths + 4 * index, length);
      word(runs.length);
      for (const run of runs) {
        word(run.offset);
        word(run.length);
      }
    }
  }
}

/** Channel block, kernel rows (joint ones together), kernel column: the order of the weights, and of CACC's additions. */
function segmentsOf(params: ConvParams, steps: DecodedSteps): Segment[] {
  const { kernelChannels, kernelWidth, kernelHeight, jointRows, atomicC } = params;
  const segments: Segment[] = [];
  for (let block = 0; block < kernelChannels; block += atomicC) {
    const length = Math.min(atomicC, kernelChannels - block);
    for (let row = 0; row < kernelHeight; row += jointRows)
      for (let column = 0; column < kernelWidth; column++) {
        const rows = Math.min(jointRows, kernelHeight - row);
        const runs = Array.from({ length: rows }, (_, joint) => ({
          offset: (row + joint) * steps.row + column * steps.column + block * 4,
          length,
        }));
        segments.push({ runs, length: rows * length });
      }
  }
  return segments;
}
