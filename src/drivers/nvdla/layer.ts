// One layer while it is checked and encoded: where its descriptors lie, what it may be, and its buffers' addresses.
// Not a copy of the descriptors: they are read in place, once.
import { AccelError } from '../../base/errors.js';
import type { Register } from '../../base/registers.js';
import { DataCube, MemType, Precision, type NvdlaConfig } from '../../hw/nvdla/index.js';
import type { Addresses } from './addresses.js';

/** Greatest width, height and channel count of a cube (DCUBE_MAX_WIDTH and its like). */
const CUBE_MAX = 8192;

/** Live accessors on a dla_data_cube; `at` is moved from cube to cube. */
export type CubeView = ReturnType<typeof DataCube.view>;

const precisionNames = ['int8', 'int16', 'fp16'] as const;

/** RAM_TYPE of an access register: 1 is the DRAM port, 0 the SRAM port (fact sheet section 1.5). */
export function ramType(memType: number): number {
  return memType === MemType.CV ? 0 : 1;
}

/** High and low register words of a device address. */
export const high32 = (address: number): number => Math.floor(address / 0x100000000);
export const low32 = (address: number): number => address >>> 0;

/** Where the input of a dynamic-ROI task comes from. */
export interface RoiInput {
  /** Index of the layer that reads the region. */
  readonly layer: number;
  /** Address list index of the surface. */
  readonly surface: number;
  /** DRAM offset of the dla_roi_desc records. */
  readonly records: number;
}

/** Reused for every layer of every task. Encoders fill the last group of members. */
export class Layer {
  readonly config: NvdlaConfig;
  readonly view: DataView;
  addresses!: Addresses;
  roiInput: RoiInput | undefined;
  name = '';
  index = 0;
  roi = 0;
  /** DRAM offsets of the operation and surface records. */
  op = 0;
  surface = 0;
  /** DRAM offset of the lookup tables, and their number. */
  luts = 0;
  lutCount = 0;

  /** Whether the unit's read DMA takes part. */
  rdma = false;
  /** Lookup table that must be in the unit, -1 for none. */
  lut = -1;
  /** Command slots of BDMA. */
  slots = 0;

  constructor(config: NvdlaConfig, view: DataView) {
    this.config = config;
    this.view = view;
  }

  /** @throws AccelError EINVAL that names layer and field */
  reject(field: string, reason: string): never {
    throw new AccelError('EINVAL', { field: `${this.name}[${this.index}].${field}`, reason });
  }

  /** `value`, which must lie in [min, max]. */
  between(field: string, value: number, min: number, max: number): number {
    if (value < min || value > max) this.reject(field, `${value}, must be ${min} to ${max}`);
    return value;
  }

  /** `value`, whose bits must all have a place in the register: low bits of addresses and strides are not wired. */
  fits(field: string, value: number, register: Register): number {
    if ((value & ~register.writeMask) !== 0) {
      this.reject(field, `0x${value.toString(16)} has bits that ${register.name} does not hold`);
    }
    return value;
  }

  /** A precision that this configuration computes in. */
  precision(field: string, value: number): number {
    const name = precisionNames[value];
    if (name === undefined) this.reject(field, `${value}, must be 0 to ${Precision.FP16}`);
    if (!this.config.precisions.includes(name)) this.reject(field, `${this.config.name} has no ${name}`);
    return value;
  }

  /** Checks extents that go into size registers. */
  extent(field: string, cube: CubeView): void {
    this.between(`${field}.width`, cube.width, 1, CUBE_MAX);
    this.between(`${field}.height`, cube.height, 1, CUBE_MAX);
    this.between(`${field}.channel`, cube.channel, 1, CUBE_MAX);
  }

  /** Checks where a cube may be; `last` is the greatest memory type allowed. */
  memory(field: string, cube: CubeView, last: number): void {
    const type = this.between(`${field}.type`, cube.type, 0, last);
    if (type === MemType.CV && !this.config.cvsram) {
      this.reject(`${field}.type`, `${this.config.name} has no SRAM port`);
    }
  }

  /** The device address of a cube in memory. */
  address(field: string, cube: CubeView): number {
    const address = this.addresses.iova(cube.address, cube.offset, cube.size, this, field);
    if (address % this.config.atom !== 0) {
      this.reject(field, `address is not a multiple of ${this.config.atom} bytes`);
    }
    return address;
  }

  /**
   * The device address of a layer's input: as `address`, or for the input layer of a dynamic-ROI task the place of
   * its region in the surface (kernel: dla_read_input_address). `pixelBytes` is the distance between pixels.
   */
  inputAddress(field: string, cube: CubeView, pixelBytes: number): number {
    const input = this.roiInput;
    if (input === undefined || input.layer !== this.index) return this.address(field, cube);
    if (cube.address !== -1) this.reject(`${field}.address`, 'an input layer with dynamic ROIs has none');
    const roi = input.records + this.roi * 16;
    const left = this.view.getUint32(roi, true);
    const top = this.view.getUint32(roi + 4, true);
    const offset = top * cube.line_stride + left * pixelBytes;
    return this.addresses.iova(input.surface, offset, cube.size, this, field);
  }
}
