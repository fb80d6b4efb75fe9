// Binds the driver to a PCI function.
// Not discovery: the machine or the kernel says which functions there are.
import { DisposableStack } from '../../base/disposable.js';
import { AccelError } from '../../base/errors.js';
import type { BusDevice, PciDevice } from '../../bus/device.js';
import type { AccelDevice, Core } from '../../core/index.js';
import { PCI_VENDOR_INTEL, gnaConfigs, gnaPciIds, regs } from '../../hw/gna/index.js';
import { GnaHw, type GnaOptions } from './device.js';
import { gna } from './driver.js';

/** Which functions this driver takes. */
export const match: { readonly ids: readonly { readonly vendor: number; readonly device: number }[] } = {
  ids: gnaPciIds.map(({ device }) => ({ vendor: PCI_VENDOR_INTEL, device })),
};

/**
 * Takes the function into service: it can be opened when this returns.
 * @throws AccelError ENODEV when it is none of ours or does not answer
 */
export function probe(bus: BusDevice, core: Core, options: GnaOptions = {}): AccelDevice<GnaHw> {
  const call = 'probe';
  const device = bus as PciDevice;
  const id =
    bus.bus === 'pci' && device.vendor === PCI_VENDOR_INTEL
      ? gnaPciIds.find((known) => known.device === device.device)
      : undefined;
  if (id === undefined)
    throw new AccelError('ENODEV', { call, field: 'device', reason: `${bus.name} is no GNA we know` });
  const setup = new DisposableStack();
  try {
    device.enable();
    setup.defer(() => device.disable());
    device.setMaster(true);
    const mmio = device.mmio(0);
    if (mmio.read32(regs.IBUFFS.at) === 0xffffffff)
      throw new AccelError('ENODEV', { call, field: 'IBUFFS', reason: 'reads as all ones' });
    const hw = new GnaHw(device, mmio, gnaConfigs[id.generation], options);
    const accel = core.register({ driver: gna, hw, busName: device.name });
    // Undone by remove; when the rest fails, the node must not stay.
    setup.defer(() => accel.unplug());
    hw.attach(accel);
    setup.defer(() => hw.release());
    enableMessage(device);
    setup.use(device.irq(0, () => hw.interrupt()));
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

/** One message vector; a function without any has its interrupt pin. */
function enableMessage(device: PciDevice): void {
  try {
    device.enableVectors(1);
  } catch (error) {
    if (!(error instanceof AccelError) || error.code !== 'ENOSPC') throw error;
  }
}
