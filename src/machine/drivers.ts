// Which driver binds to which device: the table that modalias is on Linux.
// Not policy: whether a driver in staging may load is asked of policy/.
import type { BusDevice, PciDevice, PlatformDevice } from '../bus/device.js';
import type { Core } from '../core/core.js';
import type { BoardDevice } from './boards.js';
import type { AccelDevice } from '../core/device.js';
import type { Manifest } from '../core/manifest.js';
import * as gna from '../drivers/gna/index.js';
import * as nullDriver from '../drivers/null/index.js';
import * as nvdla from '../drivers/nvdla/index.js';
import { admit } from '../policy/index.js';

interface DriverBinding<D extends BusDevice> {
  readonly name: string;
  /** What the driver says about itself: whether it is in staging is read here. */
  readonly manifest: Manifest;
  probe(device: D, core: Core): AccelDevice<unknown>;
}

export interface PlatformDriver extends DriverBinding<PlatformDevice> {
  readonly bus: 'platform';
  readonly compatible: readonly string[];
}

export interface PciDriver extends DriverBinding<PciDevice> {
  readonly bus: 'pci';
  /** Vendor and device ids. */
  readonly ids: readonly { readonly vendor: number; readonly device: number }[];
}

export type DriverEntry = PlatformDriver | PciDriver;

export const drivers: readonly DriverEntry[] = [
  {
    name: 'null',
    manifest: nullDriver.manifest,
    bus: 'platform',
    compatible: nullDriver.match.compatible,
    probe: (device, core) => nullDriver.probe(device, core) as AccelDevice<unknown>,
  },
  {
    name: 'vgem',
    manifest: nullDriver.vgemManifest,
    bus: 'platform',
    compatible: nullDriver.vgemMatch.compatible,
    probe: (device, core) => nullDriver.probeVgem(device, core) as AccelDevice<unknown>,
  },
  {
    name: 'nvdla',
    manifest: nvdla.manifest,
    bus: 'platform',
    compatible: nvdla.match.compatible,
    probe: (device, core) => nvdla.probe(device, core) as AccelDevice<unknown>,
  },
  {
    name: 'gna',
    manifest: gna.manifest,
    bus: 'pci',
    ids: gna.match.ids,
    probe: (device, core) => gna.probe(device, core) as AccelDevice<unknown>,
  },
];

/** The driver of a board's device, without probing it; undefined when there is none. */
export function driverOf(
  device: BoardDevice,
  table: readonly DriverEntry[] = drivers,
): DriverEntry | undefined {
  const matched = device.bus === 'pci' ? { bus: device.bus, ...device.identity } : device;
  return table.find((entry) => takes(entry, matched));
}

/** Which drivers may load. */
export interface Admission {
  /** Drivers in staging too. */
  readonly staging: boolean;
  /** ISO date: a driver past its date in staging loads no more. */
  readonly today: string;
}

/** What a match looks at: a device on its bus, or its description on a board. */
type Matched = Pick<PlatformDevice, 'bus' | 'compatible'> | Pick<PciDevice, 'bus' | 'vendor' | 'device'>;

function takes(entry: DriverEntry, device: Matched): boolean {
  if (entry.bus === 'platform' && device.bus === 'platform')
    return device.compatible.some((name) => entry.compatible.includes(name));
  if (entry.bus === 'pci' && device.bus === 'pci')
    return entry.ids.some(({ vendor, device: id }) => vendor === device.vendor && id === device.device);
  return false;
}

/**
 * Probes the first driver that takes the device; undefined when there is none.
 * @throws AccelError EPERM when that driver is in staging and may not load; what its probe throws
 */
export function bind(
  device: PlatformDevice | PciDevice,
  core: Core,
  table: readonly DriverEntry[],
  admission: Admission,
): AccelDevice<unknown> | undefined {
  const entry = table.find((candidate) => takes(candidate, device));
  if (entry === undefined) return undefined;
  const staging = admit(entry.manifest, admission);
  // `takes` has compared the buses.
  const accel = entry.probe(device as never, core);
  accel.staging = staging;
  return accel;
}
