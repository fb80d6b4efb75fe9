// Boards as data: which models sit where, with which options. `nvdla:nv_large` is a board.
// Not wiring: machine.ts reads this and does it.
import { gna } from '../devices/gna/index.js';
import { nullDevice } from '../devices/null/index.js';
import { nvdla } from '../devices/nvdla/index.js';
import type { PciIdentity } from '../bus/pci-config.js';
import type { DeviceModel } from '../bus/port.js';
import { BAR_SIZE, PCI_CLASS, PCI_VENDOR_INTEL, gnaConfigs, type GnaGeneration } from '../hw/gna/index.js';
import { configs as nvdlaConfigs, type ConfigName } from '../hw/nvdla/index.js';

interface BoardDeviceBase {
  readonly model: DeviceModel;
  readonly options: Readonly<Record<string, unknown>>;
  readonly irqs: number;
  /** Memory ports: 1 when not given. */
  readonly dmaPorts?: number;
}

/** A device with device-tree compatible strings, most specific first. */
export interface PlatformBoardDevice extends BoardDeviceBase {
  readonly bus: 'platform';
  /** Name on its bus: address and node name, as Linux names platform devices. */
  readonly busName: string;
  readonly compatible: readonly string[];
}

/** A PCI function. */
export interface PciBoardDevice extends BoardDeviceBase {
  readonly bus: 'pci';
  /** Domain, bus, device and function: `0000:00:08.0`. */
  readonly busName: string;
  readonly identity: PciIdentity;
}

export type BoardDevice = PlatformBoardDevice | PciBoardDevice;

export interface Board {
  /** `nvdla:nv_large`. */
  readonly name: string;
  readonly summary: string;
  readonly devices: readonly BoardDevice[];
}

function nvdlaBoard(config: ConfigName, summary: string): Board {
  const { compatible, cvsram } = nvdlaConfigs[config];
  const device: BoardDevice = {
    model: nvdla,
    options: { config },
    bus: 'platform',
    busName: '10200000.nvdla',
    compatible: [compatible],
    irqs: 1,
    // DRAM, and CV-SRAM where there is a port for it.
    dmaPorts: cvsram ? 2 : 1,
  };
  return { name: `nvdla:${config}`, summary, devices: [device] };
}

function gnaBoard(generation: GnaGeneration): Board {
  const { pciDevice, soc, computeEngines, inputBufferKb } = gnaConfigs[generation];
  const device: BoardDevice = {
    model: gna,
    options: { generation },
    bus: 'pci',
    busName: '0000:00:08.0',
    identity: {
      vendor: PCI_VENDOR_INTEL,
      device: pciDevice,
      revision: 0,
      classCode: PCI_CLASS,
      bars: [BAR_SIZE],
      vectors: 1,
    },
    irqs: 1,
  };
  const summary = `Intel GNA as in ${soc}: ${computeEngines} engines, ${inputBufferKb} KiB input buffer`;
  return { name: `gna:${generation}`, summary, devices: [device] };
}

function nullBoard(name: string, compatible: string, summary: string): Board {
  const device: BoardDevice = {
    model: nullDevice,
    options: {},
    bus: 'platform',
    busName: '10000000.null',
    compatible: [compatible],
    irqs: 1,
  };
  return { name, summary, devices: [device] };
}

export const boards: readonly Board[] = [
  nvdlaBoard('nv_small', '64 MACs, int8, 8-byte atoms'),
  nvdlaBoard('nv_small_256', '256 MACs, int8, 8-byte atoms'),
  nvdlaBoard('nv_small_256_full', '256 MACs, int8, element-wise stage and tables'),
  nvdlaBoard('nv_medium_512', '512 MACs, int8, 16-byte atoms'),
  nvdlaBoard('nv_medium_1024_full', '1024 MACs, int8, element-wise stage and tables'),
  nvdlaBoard('nv_large', '2048 MACs, int8, element-wise stage and tables'),
  nullBoard('null', 'accel,null', 'copies, fills, waits: for tests of the core, and to start a driver from'),
  nullBoard('vgem', 'accel,null-vgem', 'the null device reporting as vgem, for test suites that look for it'),
  nvdlaBoard('nv_full', '2048 MACs, int8, BDMA, RUBIK; int16 and fp16 are not modelled yet'),
  ...(Object.keys(gnaConfigs) as GnaGeneration[]).map(gnaBoard),
];

/** What a bare device name stands for: the first device of that kind, as a kernel would number it. */
const firstOfKind: Readonly<Record<string, string>> = {
  nvdla: 'nvdla:nv_large',
  gna: 'gna:3.0',
  null: 'null',
};

/** A board by its name, or by a device's: `nvdla0`, `gna0` and `null0` are the usual board of that kind. */
export function boardByName(name: string): Board | undefined {
  const kind = /^([a-z]+)0?$/.exec(name)?.[1];
  const wanted = (kind === undefined ? undefined : firstOfKind[kind]) ?? name;
  return boards.find((board) => board.name === wanted);
}
