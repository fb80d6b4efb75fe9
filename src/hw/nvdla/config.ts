// The configurations of NVDLA: sizes and units of each, and the register family it belongs to. Data only.
// Source: fact sheet section 1.1 (spec/defs of the public hardware repository).
import { fullBase, fullUnits, smallBase, smallUnits } from './registers.gen.js';

export type ConfigName =
  | 'nv_full'
  | 'nv_large'
  | 'nv_medium_1024_full'
  | 'nv_medium_512'
  | 'nv_small_256_full'
  | 'nv_small_256'
  | 'nv_small';

/** Unit names, as the register headers spell them. RBK is Rubik. */
export type UnitName = keyof typeof smallBase;

export interface NvdlaConfig {
  readonly name: ConfigName;
  /** Which register map: offsets of the units, and widths of the address and stride fields. */
  readonly family: 'full' | 'small';
  /** MAC inputs per cycle: channels of a weight block (int8). */
  readonly atomicC: number;
  /** Kernels computed at once: size of a kernel group (int8). */
  readonly atomicK: number;
  /** Bytes of one memory atom: channels of a feature surface (int8). */
  readonly atom: number;
  readonly cbuf: {
    readonly banks: number;
    readonly entriesPerBank: number;
    readonly bytesPerEntry: number;
  };
  readonly precisions: readonly ('int8' | 'int16' | 'fp16')[];
  readonly bdma: boolean;
  readonly rubik: boolean;
  /** Element-wise stage (SDP Y) and its table. */
  readonly sdpEw: boolean;
  readonly sdpLut: boolean;
  readonly weightCompression: boolean;
  readonly winograd: boolean;
  /** Most input cubes that one convolution takes. */
  readonly maxBatch: number;
  /** Second memory port (CV-SRAM). */
  readonly cvsram: boolean;
  /** Device-tree compatible of the board node, by which a driver knows the configuration. */
  readonly compatible: string;
}

const int8Only = {
  family: 'small',
  precisions: ['int8'],
  bdma: false,
  rubik: false,
  weightCompression: false,
  winograd: false,
  maxBatch: 1,
} as const;

export const configs: Readonly<Record<ConfigName, NvdlaConfig>> = {
  nv_full: {
    name: 'nv_full',
    family: 'full',
    atomicC: 64,
    atomicK: 32,
    atom: 32,
    cbuf: { banks: 16, entriesPerBank: 256, bytesPerEntry: 128 },
    precisions: ['int8', 'int16', 'fp16'],
    bdma: true,
    rubik: true,
    sdpEw: true,
    sdpLut: true,
    weightCompression: true,
    winograd: true,
    maxBatch: 32,
    cvsram: true,
    compatible: 'nvidia,nvdla_os_initial',
  },
  nv_large: {
    ...int8Only,
    name: 'nv_large',
    atomicC: 64,
    atomicK: 32,
    atom: 32,
    cbuf: { banks: 16, entriesPerBank: 512, bytesPerEntry: 64 },
    sdpEw: true,
    sdpLut: true,
    cvsram: true,
    compatible: 'nvidia,nv_large',
  },
  nv_medium_1024_full: {
    ...int8Only,
    name: 'nv_medium_1024_full',
    atomicC: 32,
    atomicK: 32,
    atom: 32,
    cbuf: { banks: 32, entriesPerBank: 512, bytesPerEntry: 32 },
    sdpEw: true,
    sdpLut: true,
    cvsram: true,
    compatible: 'nvidia,nv_medium_1024_full',
  },
  nv_medium_512: {
    ...int8Only,
    name: 'nv_medium_512',
    atomicC: 32,
    atomicK: 16,
    atom: 16,
    cbuf: { banks: 32, entriesPerBank: 512, bytesPerEntry: 32 },
    sdpEw: false,
    sdpLut: false,
    cvsram: false,
    compatible: 'nvidia,nv_medium_512',
  },
  nv_small_256_full: {
    ...int8Only,
    name: 'nv_small_256_full',
    atomicC: 32,
    atomicK: 8,
    atom: 8,
    cbuf: { banks: 32, entriesPerBank: 128, bytesPerEntry: 32 },
    sdpEw: true,
    sdpLut: true,
    cvsram: true,
    compatible: 'nvidia,nv_small_256_full',
  },
  nv_small_256: {
    ...int8Only,
    name: 'nv_small_256',
    atomicC: 32,
    atomicK: 8,
    atom: 8,
    cbuf: { banks: 32, entriesPerBank: 128, bytesPerEntry: 32 },
    sdpEw: false,
    sdpLut: false,
    cvsram: false,
    compatible: 'nvidia,nv_small_256',
  },
  nv_small: {
    ...int8Only,
    name: 'nv_small',
    atomicC: 8,
    atomicK: 8,
    atom: 8,
    cbuf: { banks: 32, entriesPerBank: 512, bytesPerEntry: 8 },
    sdpEw: false,
    sdpLut: false,
    cvsram: false,
    compatible: 'nvidia,nv_small',
  },
};

export function configByCompatible(compatible: string): NvdlaConfig | undefined {
  return Object.values(configs).find((config) => config.compatible === compatible);
}

/** Register map of one family: unit tables and where each unit starts in the CSB window. */
export interface RegisterMap {
  readonly base: Readonly<Partial<Record<UnitName, number>>>;
  readonly units: typeof smallUnits;
}

/**
 * The two families have the same registers and field names at the same offsets inside a unit; only unit bases and
 * some field widths differ, so one type serves both. CFGROM and GEC exist in the small family only.
 */
export const registerMaps: Readonly<Record<'full' | 'small', RegisterMap>> = {
  full: { base: fullBase, units: fullUnits as unknown as typeof smallUnits },
  small: { base: smallBase, units: smallUnits },
};

/** Bytes of the CSB window. */
export const CSB_SIZE = 0x20000;

/** GLB interrupt bits of group 0; group 1 is the next bit. Fact sheet section 1.4. */
export const interruptBit = {
  SDP: 0,
  CDP: 2,
  PDP: 4,
  BDMA: 6,
  RUBIK: 8,
  CDMA_DAT: 16,
  CDMA_WT: 18,
  CACC: 20,
} as const;
