// Binds the driver to a device on the platform bus.
// Not discovery: the machine or the kernel says which devices there are.
import { DisposableStack } from '../../base/disposable.js';
import { AccelError } from '../../base/errors.js';
import type { BusDevice, PlatformDevice } from '../../bus/device.js';
import type { AccelDevice, Core } from '../../core/index.js';
import { configByCompatible, configs, type NvdlaConfig } from '../../hw/nvdla/index.js';
import { NvdlaDevice } from './device.js';
import { nvdla } from './driver.js';
import { Hardware } from './hardware.js';

/** Which devices this driver takes: device-tree compatible strings, one per configuration. */
export const match: { readonly compatible: readonly string[] } = {
  compatible: Object.values(configs).map((config) => config.compatible),
};

/**
 * Takes the device into service: it can be opened when this returns.
 * @throws AccelError ENODEV when it is none of ours or does not answer
 */
export function probe(device: BusDevice, core: Core): AccelDevice<NvdlaDevice> {
  const call = 'probe';
  const config = configOf(device);
  if (config === undefined) {
    throw new AccelError('ENODEV', {
      call,
      field: 'compatible',
      reason: `${device.name} is no NVDLA we know`,
    });
  }
  const setup = new DisposableStack();
  try {
    const hardware = new Hardware(config, device.mmio(0), core.memory, core.clock);
    const glb = hardware.unit('GLB');
    const version = hardware.read(glb, glb.r.S_NVDLA_HW_VERSION);
    if (version === 0 || version === 0xffffffff) {
      throw new AccelError('ENODEV', {
        call,
        field: 'S_NVDLA_HW_VERSION',
        reason: `0x${version.toString(16)}`,
      });
    }
    const hw = new NvdlaDevice(device, hardware);
    setup.use(device.irq(0, () => hw.interrupt()));
    const accel = core.register({ driver: nvdla, hw, busName: device.name });
    hw.attach(accel);
    setup.use(
      device.onRemove(() => {
        accel.unplug();
        owned.dispose();
      }),
    );
    const owned = setup.move();
    return accel;
  } finally {
    setup.dispose();
  }
}

function configOf(device: BusDevice): NvdlaConfig | undefined {
  if (device.bus !== 'platform') return undefined;
  for (const compatible of (device as PlatformDevice).compatible) {
    const config = configByCompatible(compatible);
    if (config !== undefined) return config;
  }
  return undefined;
}
