// The PCI bus: a function with its config space in a slot; what a PCI driver is probed with.
// Not a root complex: addresses of BARs are assigned by the machine, and nobody but the driver holds a window.
import { AccelError } from '../base/errors.js';
import type { PciDevice } from './device.js';
import { PciConfig, header, type PciIdentity } from './pci-config.js';
import { busDevice, type Slot } from './platform.js';

/**
 * Joins a model's slot to a PCI device. Until `enable` registers read as all ones, until `setMaster` every DMA access
 * faults, as on hardware after reset. With vectors enabled interrupt i is message i; else all are INTx.
 */
export function pciDevice(slot: Slot, identity: PciIdentity, barBase: number): PciDevice {
  const config = new PciConfig(identity, ({ memory, master }) => {
    slot.decode(memory);
    for (const dma of slot.dmaPorts) dma.enabled = master;
  });
  let at = barBase;
  identity.bars.forEach((size, i) => {
    if (size === 0) return;
    at = Math.ceil(at / size) * size;
    config.write(header.BAR0.at + 4 * i, 4, at);
    at += size;
  });
  const command = (set: number, clear: number): void => {
    const now = config.read(header.COMMAND_STATUS.at, 2);
    config.write(header.COMMAND_STATUS.at, 2, (now & ~clear) | set);
  };
  const { MEMORY, MASTER } = header.COMMAND_STATUS.f;
  return Object.assign(busDevice(slot, 'pci'), {
    vendor: identity.vendor,
    device: identity.device,
    revision: identity.revision,
    classCode: identity.classCode,
    readConfig: (offset: number, bytes: 1 | 2 | 4) =>
      slot.removed ? 2 ** (8 * bytes) - 1 : config.read(offset, bytes),
    writeConfig: (offset: number, bytes: 1 | 2 | 4, value: number) => {
      if (!slot.removed) config.write(offset, bytes, value);
    },
    enable: () => command(MEMORY.mask, 0),
    disable: () => command(0, MEMORY.mask | MASTER.mask),
    setMaster: (on: boolean) => (on ? command(MASTER.mask, 0) : command(0, MASTER.mask)),
    enableVectors: (count: number) => {
      if (count < 1 || count > identity.vectors) {
        throw new AccelError('ENOSPC', {
          call: 'pci_alloc_irq_vectors',
          field: 'count',
          reason: `${count} of ${identity.vectors} message vectors`,
        });
      }
      const word = config.read(header.MSI.at, 4);
      const log = Math.ceil(Math.log2(count));
      config.write(header.MSI.at, 4, header.MSI.f.ENABLED.set(word, log) | header.MSI.f.ENABLE.mask);
    },
  });
}
