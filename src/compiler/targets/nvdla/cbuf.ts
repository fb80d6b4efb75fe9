// Shares the convolution buffer between input lines and weights. Fact sheet sections 3.4 and 11.
// Not the split itself: it says how many input lines and kernels fit at once; tiles.ts cuts.
import type { NvdlaConfig } from '../../../hw/nvdla/index.js';
import { align, WEIGHT_ALIGN } from './limits.js';

/** The configuration for elements of this size: half as many kernels are computed at once in fp16. */
export function precisionConfig(config: NvdlaConfig, elementBytes: 1 | 2): NvdlaConfig {
  return elementBytes === 1 ? config : { ...config, atomicK: config.atomicK / elementBytes };
}

/** Entries that one line of a feature cube takes. `channels` are bytes (int8). */
export function entriesPerSlice(config: NvdlaConfig, width: number, channels: number): number {
  const atoms = Math.ceil(channels / config.atom);
  const perEntry = config.cbuf.bytesPerEntry / config.atom;
  const rest = atoms % perEntry;
  const tail = rest === 3 ? width : Math.ceil((rest * width) / perEntry);
  return Math.floor(atoms / perEntry) * width + tail;
}

/** Banks for `lines` lines of input. */
export function dataBanks(config: NvdlaConfig, entries: number, lines: number): number {
  return Math.ceil((entries * lines) / config.cbuf.entriesPerBank);
}

/** Banks for `bytes` bytes of weights. */
export function weightBanks(config: NvdlaConfig, bytes: number): number {
  const { bytesPerEntry, entriesPerBank } = config.cbuf;
  return Math.ceil(align(bytes, WEIGHT_ALIGN) / bytesPerEntry / entriesPerBank);
}

/** The convolution that has to fit, one image. */
export interface ConvFootprint {
  /** Of the input cube, padding not counted. */
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly kernels: number;
  /** Bytes of one kernel over all input channels. */
  readonly bytesPerKernel: number;
}

/** How weights stay in the buffer: all of them, two kernel groups (one is fetched while the other is used), or one group. */
export type WeightResidence = 'all' | 'two groups' | 'one group';

export interface BankPlan {
  readonly entriesPerSlice: number;
  readonly dataBank: number;
  readonly weightBank: number;
  readonly weights: WeightResidence;
}

/**
 * Banks for a layer that keeps all its input lines in the buffer; undefined when it does not fit, even with the weights of
 * one kernel group. Preference as in fact sheet section 11: all weights, then two groups, then one.
 */
export function planBanks(config: NvdlaConfig, conv: ConvFootprint): BankPlan | undefined {
  const entries = entriesPerSlice(config, conv.width, conv.channels);
  const dataBank = dataBanks(config, entries, conv.height);
  const free = config.cbuf.banks - dataBank;
  if (free < 1 || entries > entryLimit(config)) return undefined;
  const all = weightBanks(config, conv.kernels * conv.bytesPerKernel);
  if (all <= free) return { entriesPerSlice: entries, dataBank, weightBank: all, weights: 'all' };
  for (const groups of [2, 1]) {
    const kernels = Math.min(conv.kernels, groups * config.atomicK);
    // What is over serves as prefetch.
    if (weightBanks(config, kernels * conv.bytesPerKernel) <= free)
      return {
        entriesPerSlice: entries,
        dataBank,
        weightBank: free,
        weights: groups === 2 ? 'two groups' : 'one group',
      };
  }
  return undefined;
}

/** Most lines of input that fit beside the weights that `planBanks` would settle for at worst (one kernel group). 0: none. */
export function maxLines(config: NvdlaConfig, conv: Omit<ConvFootprint, 'height'>): number {
  const entries = entriesPerSlice(config, conv.width, conv.channels);
  if (entries > entryLimit(config)) return 0;
  const { banks, entriesPerBank } = config.cbuf;
  const group = Math.min(conv.kernels, config.atomicK);
  const free = banks - weightBanks(config, group * conv.bytesPerKernel);
  return free < 1 ? 0 : Math.floor((free * entriesPerBank) / entries);
}

/** ENTRY_PER_SLICE is a minus-one field of 12 (full) or 14 bits. */
function entryLimit(config: NvdlaConfig): number {
  return config.family === 'full' ? 1 << 12 : 1 << 14;
}
