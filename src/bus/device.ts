// Seam B, the driver's side: MMIO windows, interrupts, DMA mappings, rpmsg messages.
// Not a device: who is behind it, a model or silicon, cannot be told here.
import type { RegisterIo } from '../base/registers.js';

/** A window of registers. Offsets in bytes, 32-bit accesses. After removal reads give 0xffffffff, writes are lost. */
export interface Mmio extends RegisterIo {
  /** Bytes. */
  readonly size: number;
  /** A part of this window with its own offset 0. */
  window(offset: number, size: number): Mmio;
}

/** What a DMA mapping lets the device do. */
export type DmaAccess = 'read' | 'write' | 'read-write';

/**
 * One IOMMU address space. Addresses are device virtual (iova); physical ones are offsets in DRAM.
 * Pages are PAGE_SIZE. A device that walks page tables of its own is attached to an identity domain.
 */
export interface DmaDomain extends Disposable {
  /** Maps [iova, iova + bytes) to [physical, physical + bytes). @throws AccelError EINVAL alignment, EEXIST overlap */
  map(iova: number, physical: number, bytes: number, access: DmaAccess): void;
  /** Unmaps exactly that range. @throws AccelError EINVAL when nothing was mapped so */
  unmap(iova: number, bytes: number): void;
}

export interface DmaFault {
  readonly iova: number;
  readonly access: 'read' | 'write';
  /** The address was right, but memory could not give its contents back: an uncorrectable error. */
  readonly memoryError?: boolean;
  readonly reason: string;
}

/** The device as a DMA master. */
export interface DmaMaster {
  createDomain(): DmaDomain;
  /** The domain the device's accesses go through from now on; undefined blocks all of them. */
  attach(domain: DmaDomain | undefined): void;
  /** Called for each access that was blocked or met a memory error; at most one handler. */
  onFault(handler: ((fault: DmaFault) => void) | undefined): void;
}

/** What every driver is probed with. */
export interface BusDevice {
  readonly bus: 'platform' | 'pci' | 'rpmsg';
  /** Name on its bus: `10000000.nvdla`, `0000:00:08.0`. */
  readonly name: string;
  /** Registers window by index: for PCI the BAR. @throws AccelError ENODEV for a window that does not exist */
  mmio(index: number): Mmio;
  /** Calls `handler` while the line (or the message vector) is raised. Level: again after it returns if still raised. */
  irq(index: number, handler: () => void): Disposable;
  readonly dma: DmaMaster;
  /** All masters of a device with several memory ports, each behind an IOMMU context of its own; `dma` is the first. */
  readonly dmaPorts: readonly DmaMaster[];
  /**
   * Pulses the device's reset line (Linux: reset_control_reset): registers as after power-on, whatever ran is forgotten.
   * Absent where the board gives the device no such line.
   */
  reset?(): void;
  /** Called once when the device goes away (unplug). */
  onRemove(handler: () => void): Disposable;
  readonly removed: boolean;
}

/** A device on the platform bus, found by its device-tree compatible strings. */
export interface PlatformDevice extends BusDevice {
  readonly bus: 'platform';
  readonly compatible: readonly string[];
}

/** A PCI function. Interrupt indices are MSI vectors once enabled, else 0 is INTx. */
export interface PciDevice extends BusDevice {
  readonly bus: 'pci';
  readonly vendor: number;
  readonly device: number;
  readonly revision: number;
  readonly classCode: number;
  readConfig(offset: number, bytes: 1 | 2 | 4): number;
  writeConfig(offset: number, bytes: 1 | 2 | 4, value: number): void;
  /** Memory space enable; without it BARs read as 0xffffffff. */
  enable(): void;
  disable(): void;
  /** Bus mastering; without it every DMA access faults. */
  setMaster(on: boolean): void;
  /** Enables `count` MSI vectors. @throws AccelError ENOSPC */
  enableVectors(count: number): void;
}

/** An endpoint on an rpmsg channel. It has no registers and no interrupts; memory is shared as with the others. */
export interface RpmsgDevice extends BusDevice {
  readonly bus: 'rpmsg';
  /** Channel name announced by the remote, `apu-mt8183`-like. */
  readonly channel: string;
  /** @throws AccelError ENOMEM when the ring has no free buffer, E2BIG when the message does not fit one */
  send(message: Uint8Array): void;
  onMessage(handler: (message: Uint8Array) => void): Disposable;
}
