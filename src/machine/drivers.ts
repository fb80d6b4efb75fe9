// Which driver binds to which device: the table that modalias is on Linux.
// Not policy: staging and rules are asked when a driver registers.
import type { PlatformDevice } from '../bus/device.js';
import type { Core } from '../core/core.js';
import type { AccelDevice } from '../core/device.js';
import * as nullDriver from '../drivers/null/index.js';
import * as nvdla from '../drivers/nvdla/index.js';

export interface PlatformDriver {
  readonly name: string;
  readonly compatible: readonly string[];
  probe(device: PlatformDevice, core: Core): AccelDevice<unknown>;
}

export const platformDrivers: readonly PlatformDriver[] = [
  {
    name: 'null',
    compatible: nullDriver.match.compatible,
    probe: (device, core) => nullDriver.probe(device, core) as AccelDevice<unknown>,
  },
  {
    name: 'nvdla',
    compatible: nvdla.match.compatible,
    probe: (device, core) => nvdla.probe(device, core) as AccelDevice<unknown>,
  },
];

/** The driver for a device, by the first of its compatible strings that one names. */
export function driverFor(
  device: PlatformDevice,
  drivers: readonly PlatformDriver[],
): PlatformDriver | undefined {
  for (const name of device.compatible) {
    const driver = drivers.find((candidate) => candidate.compatible.includes(name));
    if (driver !== undefined) return driver;
  }
  return undefined;
}
