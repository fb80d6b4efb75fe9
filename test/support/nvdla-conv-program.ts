// Convolution layers of nv_full as register programs with data made from a seed: a vector for the player, layer after layer.
// Not expectations: tests know what must come out. Places in memory are arbitrary.
import { registerMaps, type UnitName } from '../../src/hw/nvdla/config.js';
import type { Register } from '../../src/base/registers.js';
import type { MemoryRegion, Step, Vector } from '../../src/machine/vectors/index.js';

const map = registerMaps.full;
const units = ['SDP', 'CACC', 'CMAC_A', 'CMAC_B', 'CSC', 'CDMA'] as const;
const CONV_DONE = 0x15_0001;
const BANK_BYTES = 32768;
const ENTRIES = 256;

export interface ConvProgram {
  /** 0 int8, 1 int16, 2 fp16. */
  readonly precision: number;
  /** What CDMA reads: width, height, channels. */
  readonly size: readonly [width: number, height: number, channels: number];
  readonly kernels: number;
  readonly out: readonly [width: number, height: number];
  readonly winograd?: boolean;
  /** Direct only. */
  readonly kernel?: readonly [width: number, height: number];
  readonly stride?: readonly [x: number, y: number];
  /** left, right, top, bottom. */
  readonly pad?: readonly [number, number, number, number];
  readonly padValue?: number;
  readonly praTruncate?: number;
  readonly clipTruncate?: number;
  readonly cvtShift?: number;
  /** Device addresses of input and weights. */
  readonly input: number;
  readonly weights: number;
  readonly output: number;
  /** Lines that CSC sees, and how many of them it releases; all that CDMA reads, all that it sees. */
  readonly lines?: number;
  readonly release?: number;
  readonly dataReuse?: boolean;
  readonly weightReuse?: boolean;
  readonly skipDataRelease?: boolean;
  readonly skipWeightRelease?: boolean;
  /** Data and weight banks; as many as it takes. */
  readonly banks?: readonly [number, number];
}

/** What follows from a layer: channels of whole atoms, bytes, entries. */
export function geometry(layer: ConvProgram) {
  const { precision, kernels, winograd = false } = layer;
  const [width, height, channels] = layer.size;
  const [left, right, top, bottom] = layer.pad ?? [0, 0, 0, 0];
  const [strideX, strideY] = layer.stride ?? [1, 1];
  const bytes = precision === 0 ? 1 : 2;
  const atom = 32 / bytes;
  const surfaces = Math.ceil(channels / atom);
  const [kernelWidth, kernelHeight] = winograd ? [4, 4] : (layer.kernel ?? [1, 1]);
  const inWidth = winograd ? (left + width + right) / strideX : width;
  const inHeight = winograd ? (top + height + bottom) / strideY : (layer.lines ?? height);
  const inChannels = winograd ? surfaces * atom * strideX * strideY : channels;
  const atoms = Math.ceil((channels * bytes) / 32);
  const rest = atoms % 4;
  const entries = winograd
    ? (inWidth * bytes * inChannels) / 128
    : Math.floor(atoms / 4) * width + (rest === 3 ? width : Math.ceil((rest * width) / 4));
  const weightElements = kernels * kernelWidth * kernelHeight * inChannels;
  const weightBytes = Math.ceil((weightElements * bytes) / 128) * 128;
  return {
    ...{ bytes, atom, kernelWidth, kernelHeight, inWidth, inHeight, inChannels, entries },
    ...{ weightElements, weightBytes },
    inputBytes: width * height * surfaces * 32,
    outputBytes: layer.out[0] * layer.out[1] * Math.ceil(kernels / atom) * 32,
  };
}

function offset(name: string): number {
  const [unit, register] = name.split('.') as [UnitName, string];
  return map.base[unit]! + (map.units[unit] as unknown as Record<string, Register>)[register]!.at;
}

function registers(layer: ConvProgram): Record<string, number> {
  const { precision, kernels, winograd = false } = layer;
  const [width, height, channels] = layer.size;
  const [outWidth, outHeight] = layer.out;
  const [left, right, top, bottom] = layer.pad ?? [0, 0, 0, 0];
  const [strideX, strideY] = layer.stride ?? [1, 1];
  const g = geometry(layer);
  const pair = (low: number, high: number): number => low | (high << 16);
  const mode = winograd ? 1 : 0;
  const flag = (set: boolean | undefined, bit: number): number => (set === true ? 2 ** bit : 0);
  const misc =
    mode +
    precision * 0x1100 +
    flag(layer.dataReuse, 16) +
    flag(layer.weightReuse, 20) +
    flag(layer.skipDataRelease, 24) +
    flag(layer.skipWeightRelease, 28);
  const [dataBanks, weightBanks] = layer.banks ?? [
    Math.ceil((g.entries * g.inHeight) / ENTRIES),
    Math.ceil(g.weightBytes / BANK_BYTES),
  ];
  const bank = pair(dataBanks - 1, weightBanks - 1);
  const outSize = pair(outWidth - 1, outHeight - 1);
  const inSize = pair(g.inWidth - 1, g.inHeight - 1);
  return {
    'SDP.D_DATA_CUBE_WIDTH': outWidth - 1,
    'SDP.D_DATA_CUBE_HEIGHT': outHeight - 1,
    'SDP.D_DATA_CUBE_CHANNEL': kernels - 1,
    'SDP.D_DST_BASE_ADDR_LOW': layer.output,
    'SDP.D_DST_LINE_STRIDE': outWidth * 32,
    'SDP.D_DST_SURFACE_STRIDE': outWidth * outHeight * 32,
    'SDP.D_DP_BS_CFG': 0x53,
    'SDP.D_DP_BN_CFG': 0x53,
    'SDP.D_DP_EW_CFG': 0x53,
    'SDP.D_FEATURE_MODE_CFG': 1 | (mode << 2),
    'SDP.D_DST_DMA_CFG': 1,
    'SDP.D_DATA_FORMAT': precision * 5,
    'SDP.D_CVT_OFFSET': 0,
    'SDP.D_CVT_SCALE': 1,
    'SDP.D_CVT_SHIFT': layer.cvtShift ?? 0,
    'CACC.D_MISC_CFG': mode | (precision << 12),
    'CACC.D_DATAOUT_SIZE_0': outSize,
    'CACC.D_DATAOUT_SIZE_1': kernels - 1,
    'CACC.D_DATAOUT_ADDR': layer.output,
    'CACC.D_LINE_STRIDE': outWidth * 32,
    'CACC.D_SURF_STRIDE': outWidth * outHeight * 32,
    'CACC.D_DATAOUT_MAP': outWidth * outHeight === 1 ? 0x1_0001 : 0,
    'CACC.D_CLIP_CFG': layer.clipTruncate ?? 0,
    'CMAC_A.D_MISC_CFG': mode | (precision << 12),
    'CMAC_B.D_MISC_CFG': mode | (precision << 12),
    'CSC.D_MISC_CFG': misc,
    'CSC.D_DATAIN_FORMAT': 0,
    'CSC.D_DATAIN_SIZE_EXT_0': inSize,
    'CSC.D_DATAIN_SIZE_EXT_1': g.inChannels - 1,
    'CSC.D_ENTRY_PER_SLICE': g.entries - 1,
    'CSC.D_WEIGHT_SIZE_EXT_0': pair(g.kernelWidth - 1, g.kernelHeight - 1),
    'CSC.D_WEIGHT_SIZE_EXT_1': pair(g.inChannels - 1, kernels - 1),
    'CSC.D_WEIGHT_BYTES': g.weightBytes,
    'CSC.D_DATAOUT_SIZE_0': outSize,
    'CSC.D_DATAOUT_SIZE_1': kernels - 1,
    'CSC.D_ATOMICS': outWidth * outHeight - 1,
    'CSC.D_RELEASE': (layer.release ?? g.inHeight) - 1,
    'CSC.D_CONV_STRIDE_EXT': winograd ? 0 : pair(strideX - 1, strideY - 1),
    'CSC.D_ZERO_PADDING': winograd ? 0 : pair(left, top),
    'CSC.D_ZERO_PADDING_VALUE': layer.padValue ?? 0,
    'CSC.D_BANK': bank,
    'CSC.D_PRA_CFG': layer.praTruncate ?? 0,
    'CDMA.S_ARBITER': 0x3000f,
    'CDMA.D_MISC_CFG': misc,
    'CDMA.D_DATAIN_FORMAT': 0,
    'CDMA.D_DATAIN_SIZE_0': pair(width - 1, height - 1),
    'CDMA.D_DATAIN_SIZE_1': channels - 1,
    'CDMA.D_DATAIN_SIZE_EXT_0': inSize,
    'CDMA.D_DAIN_RAM_TYPE': 1,
    'CDMA.D_DAIN_ADDR_LOW_0': layer.input,
    'CDMA.D_LINE_STRIDE': width * 32,
    'CDMA.D_SURF_STRIDE': width * height * 32,
    'CDMA.D_DAIN_MAP': 0x1_0001,
    'CDMA.D_ENTRY_PER_SLICE': g.entries - 1,
    'CDMA.D_WEIGHT_SIZE_0': (g.weightElements / kernels) * g.bytes - 1,
    'CDMA.D_WEIGHT_SIZE_1': kernels - 1,
    'CDMA.D_WEIGHT_RAM_TYPE': 1,
    'CDMA.D_WEIGHT_ADDR_LOW': layer.weights,
    'CDMA.D_WEIGHT_BYTES': g.weightBytes,
    'CDMA.D_CVT_CFG': 0,
    'CDMA.D_CVT_SCALE': 1,
    'CDMA.D_CONV_STRIDE': pair(strideX - 1, strideY - 1),
    'CDMA.D_ZERO_PADDING': (left | (right << 8) | (top << 16) | (bottom << 24)) >>> 0,
    'CDMA.D_ZERO_PADDING_VALUE': layer.padValue ?? 0,
    'CDMA.D_BANK': bank,
  };
}

const write = (name: string, value: number): Step => ({ kind: 'write', offset: offset(name), value, name });

/** Programs and runs a layer in register group `group`, to its completion. */
export function layerSteps(layer: ConvProgram, group: number): Step[] {
  return [
    ...units.map((unit) => write(`${unit}.S_POINTER`, group)),
    ...Object.entries(registers(layer)).map(([name, value]) => write(name, value)),
    {
      kind: 'poll',
      offset: offset('CDMA.S_CBUF_FLUSH_STATUS'),
      mask: 1,
      value: 1,
      name: 'CDMA.S_CBUF_FLUSH_STATUS',
    },
    ...units.map((unit) => write(`${unit}.D_OP_ENABLE`, 1)),
    { kind: 'interrupt', mask: CONV_DONE << group },
  ];
}

/** Numbers from 0 to 2^32 - 1, the same for the same seed. */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    // The low bits of such a generator repeat soon.
    return (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) ^ (state >>> 13)) >>> 0;
  };
}

/**
 * `count` elements of a precision. Integers are at most `most` away from 0; fp16 have `exponents` different exponents below
 * 2^2 (infinities, denormals and NaNs too when `special`).
 */
export function elements(
  precision: number,
  count: number,
  seed: number,
  options: { readonly most?: number; readonly exponents?: number; readonly special?: boolean } = {},
): Uint8Array {
  const next = numbers(seed);
  if (precision === 2) {
    const { exponents = 6, special = false } = options;
    return new Uint8Array(
      Uint16Array.from({ length: count }, () => {
        const n = next();
        if (special && n % 61 === 0) return [0x7c00, 0xfc00, 0x8000, 0x0003, 0x7bff, 0x83ff][(n >>> 8) % 6]!;
        if (special && n % 997 === 0) return 0x7d2a | ((n >>> 16) & 0x8000);
        return ((n >>> 16) & 0x83ff) | ((16 - ((n >>> 4) % exponents)) << 10);
      }).buffer,
    );
  }
  const most = options.most ?? (precision === 0 ? 127 : 32767);
  const values = Array.from({ length: count }, () => (next() % (2 * most + 1)) - most);
  return precision === 0
    ? new Uint8Array(Int8Array.from(values).buffer)
    : new Uint8Array(Int16Array.from(values).buffer);
}

export const region = (address: number, contents: Uint8Array): MemoryRegion => ({
  space: 'dbb',
  address,
  bytes: contents.length,
  contents,
});

/** Output memory as it is before: a byte that must not be written is seen. */
export const untouched = (layer: ConvProgram): MemoryRegion => ({
  space: 'dbb',
  address: layer.output,
  bytes: geometry(layer).outputBytes,
  contents: 0xa5,
});

export const vector = (name: string, memory: readonly MemoryRegion[], steps: readonly Step[]): Vector => ({
  name,
  config: 'nv_full',
  unit: 'conv',
  memory,
  steps,
});
