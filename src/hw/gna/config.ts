// The generations of Intel GNA: PCI ids, device types, sizes. Data only. Source: fact sheet sections 1, 6 and 7.

export type GnaGeneration = '0.9' | '1.0' | '2.0' | '3.0' | '3.5';

export interface GnaConfig {
  readonly generation: GnaGeneration;
  /** DEVICE_TYPE of the uAPI. */
  readonly deviceType: number;
  /** PCI device id of the part that a board of this generation carries, and its SoC. */
  readonly pciDevice: number;
  readonly soc: string;
  /** Most layers of one request. */
  readonly layersMax: number;
  /** IBUFFS: kilobytes. */
  readonly inputBufferKb: number;
  readonly computeEngines: number;
  readonly activationEngines: number;
  /** Multiply-accumulates per cycle and engine, for 2-byte and 1-byte inputs. */
  readonly macsPerCycle: { readonly int16: number; readonly int8: number };
  /** Layer descriptors have the 3.0 layout: precision codes, convolution fields. */
  readonly format3: boolean;
}

export const PCI_VENDOR_INTEL = 0x8086;
/** System peripheral. */
export const PCI_CLASS = 0x088000;

const legacy = {
  inputBufferKb: 24,
  computeEngines: 6,
  activationEngines: 1,
  macsPerCycle: { int16: 8, int8: 8 },
  format3: false,
} as const;

const third = {
  inputBufferKb: 32,
  computeEngines: 8,
  activationEngines: 16,
  macsPerCycle: { int16: 8, int8: 16 },
  format3: true,
} as const;

export const gnaConfigs: Readonly<Record<GnaGeneration, GnaConfig>> = {
  '0.9': {
    ...legacy,
    generation: '0.9',
    deviceType: 0x09,
    pciDevice: 0x5a11,
    soc: 'Cannon Lake',
    layersMax: 1024,
  },
  '1.0': {
    ...legacy,
    generation: '1.0',
    deviceType: 0x10,
    pciDevice: 0x3190,
    soc: 'Gemini Lake',
    layersMax: 1024,
  },
  '2.0': {
    ...legacy,
    generation: '2.0',
    deviceType: 0x20,
    pciDevice: 0x9a11,
    soc: 'Tiger Lake',
    layersMax: 4096,
  },
  '3.0': {
    ...third,
    generation: '3.0',
    deviceType: 0x30,
    pciDevice: 0x464f,
    soc: 'Alder Lake',
    layersMax: 4096,
  },
  '3.5': {
    ...third,
    generation: '3.5',
    deviceType: 0x35,
    pciDevice: 0x7e4c,
    soc: 'Meteor Lake',
    layersMax: 4096,
  },
};

/** Every PCI device id that the driver takes, with its generation. */
export const gnaPciIds: readonly { readonly device: number; readonly generation: GnaGeneration }[] = [
  { device: 0x5a11, generation: '0.9' },
  { device: 0x3190, generation: '1.0' },
  { device: 0x4511, generation: '1.0' },
  { device: 0x8a11, generation: '1.0' },
  { device: 0x4e11, generation: '2.0' },
  { device: 0x9a11, generation: '2.0' },
  { device: 0x4c11, generation: '2.0' },
  { device: 0x464f, generation: '3.0' },
  { device: 0xa74f, generation: '3.0' },
  { device: 0x467e, generation: '3.0' },
  { device: 0x7e4c, generation: '3.5' },
  { device: 0x774c, generation: '3.5' },
  { device: 0xae4c, generation: '3.5' },
];

/** Device virtual addresses: 28 bits. */
export const VA_BITS = 28;
export const VA_SIZE = 2 ** VA_BITS;
export const PAGE_DIRECTORY_ENTRIES = 64;
export const PAGE_TABLE_ENTRIES = 1024;
/** A page directory entry that holds no table, as Linux writes it. */
export const PDE_INVALID = 1;

/** Input buffer elements for groups N = 1..8: where the running sum saturates. 16-bit elements. Section 6. */
const legacyElements = [12288, 12288, 12096, 12288, 12000, 12096, 12096, 12288];

/**
 * Elements of all groups that fit the input buffer; the sum of one output saturates after every floor(elements / groups)
 * inputs. `inputBytes` is 1 only on 3.0 with 8-bit inputs and 8-bit weights.
 */
export function inputBufferElements(format3: boolean, groups: number, inputBytes: 1 | 2): number {
  if (!format3) return legacyElements[groups - 1]!;
  return Math.floor(4096 / (16 * groups)) * 8 * (16 / inputBytes) * groups;
}
