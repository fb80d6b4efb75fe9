// Which driver binds to which device: the table that modalias is on Linux.
// Not policy: staging and rules are asked when a driver registers.
import type { BusDevice, PciDevice, PlatformDevice } from '../bus/device.js';
import type { Core } from '../core/core.js';
import type { AccelDevice } from '../core/device.js';
import * as nullDriver from '../drivers/null/index.js';
import * as nvdla from '../drivers/nvdla/index.js';

interface DriverBinding<D extends BusDevice> {
  readonly name: string;
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
    bus: 'platform',
    compatible: nullDriver.match.compatible,
    probe: (device, core) => nullDriver.probe(device, core) as AccelDevice<unknown>,
  },
  {
    name: 'nvdla',
    bus: 'platform',
    compatible: nvdla.match.compatible,
    probe: (device, core) => nvdla.probe(device, core) as AccelDevice<unknown>,
  },
];

/** Probes the first driver that takes the device; undefined when there is none. @throws what its probe throws */
export function bind(
  device: PlatformDevice | PciDevice,
  core: Core,
  table: readonly DriverEntry[],
): AccelDevice<unknown> | undefined {
  for (const entry of table) {
    if (entry.bus === 'platform' && device.bus === 'platform') {
      if (device.compatible.some((name) => entry.compatible.includes(name))) return entry.probe(device, core);
    } else if (entry.bus === 'pci' && device.bus === 'pci') {
      const match = entry.ids.some(
        ({ vendor, device: id }) => vendor === device.vendor && id === device.device,
      );
      if (match) return entry.probe(device, core);
    }
  }
  return undefined;
}
