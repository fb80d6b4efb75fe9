// A PCI function that records register accesses and behaves as far as the GNA driver looks: the test says when it is done.
// Not a model: nothing is computed, and it can misbehave as no good device does.
import assert from 'node:assert/strict';
import { TestClock } from '../../src/base/clock.js';
import { PAGE_SIZE } from '../../src/base/memory.js';
import { registerAt } from '../../src/base/registers.js';
import type { PciDevice } from '../../src/bus/device.js';
import type { PciIdentity } from '../../src/bus/pci-config.js';
import { pciDevice } from '../../src/bus/pci.js';
import { Slot } from '../../src/bus/platform.js';
import type { VirtualDevice } from '../../src/bus/port.js';
import { Core, Process, type LocalFile } from '../../src/core/index.js';
import { probe, type GnaOptions } from '../../src/drivers/gna/index.js';
import {
  BAR_SIZE,
  ConfigDescriptor,
  PAGE_TABLE_ENTRIES,
  PCI_CLASS,
  PCI_VENDOR_INTEL,
  regs,
} from '../../src/hw/gna/index.js';
import { Dram } from '../../src/machine/dram.js';
import { Faults } from '../../src/machine/faults.js';

const CTRL = regs.CTRL.f;

export class Recorder implements VirtualDevice {
  readonly windows = [BAR_SIZE];
  /** `CTRL=0x525`, in order. */
  readonly writes: string[] = [];
  readonly clock = new TestClock(1e9);
  readonly memory = new Dram(64);
  readonly slot: Slot;
  readonly pci: PciDevice;
  readonly core = new Core({ clock: this.clock, memory: this.memory });
  /** An abort clears STS. */
  takesAbort = true;
  resets = 0;
  readonly #words = new Uint32Array(BAR_SIZE / 4);

  constructor(identity: Partial<PciIdentity> = {}, ibuffs = 24) {
    this.slot = new Slot({
      name: '0000:00:08.0',
      clock: this.clock,
      memory: this.memory,
      faults: new Faults(),
      irqs: 1,
      engine: () => assert.fail('no engine'),
      guestError: (text) => assert.fail(text),
    });
    this.slot.plug(this);
    const tigerLake = {
      vendor: PCI_VENDOR_INTEL,
      device: 0x9a11,
      revision: 0,
      classCode: PCI_CLASS,
      bars: [BAR_SIZE],
      vectors: 1,
    };
    this.pci = pciDevice(this.slot, { ...tigerLake, ...identity }, 0xe0000000);
    this.set(regs.IBUFFS.at, ibuffs);
  }

  /** Binds the driver and opens it. */
  open(options?: GnaOptions): LocalFile {
    const accel = probe(this.pci, this.core, options);
    this.writes.length = 0;
    return this.core.open(accel, new Process());
  }

  get(at: number): number {
    return this.#words[at >> 2]!;
  }

  set(at: number, value: number): void {
    this.#words[at >> 2] = value;
  }

  read32(_window: number, offset: number): number {
    return this.get(offset);
  }

  write32(_window: number, offset: number, value: number): void {
    const name = registerAt(regs, offset)?.name ?? `0x${offset.toString(16)}`;
    this.writes.push(`${name}=0x${(value >>> 0).toString(16)}`);
    if (offset === regs.STS.at) {
      this.set(offset, this.get(offset) & ~value);
      return;
    }
    this.set(offset, offset === regs.CTRL.at ? value & ~CTRL.ABORT.mask : value);
    if (offset === regs.CTRL.at && (value & CTRL.ABORT.mask) !== 0 && this.takesAbort) {
      this.set(regs.STS.at, this.get(regs.STS.at) & 0x30000);
      this.slot.line(0).set(false);
    }
  }

  reset(): void {
    this.resets++;
    this.set(regs.STS.at, 0);
    this.slot.line(0).set(false);
  }

  registers(): [] {
    return [];
  }

  /** Ends the score with that status and interrupts. */
  finish(status: number): void {
    this.set(regs.STS.at, status);
    this.slot.line(0).set(true);
  }

  /** Takes the writes until now. */
  taken(): string[] {
    return this.writes.splice(0);
  }

  /** What DESBASE names, as it lies in memory now. */
  get descriptor(): ReturnType<typeof ConfigDescriptor.from> {
    return ConfigDescriptor.from(this.memory.bytes, this.get(regs.DESBASE.at) * PAGE_SIZE);
  }

  get descriptorBytes(): Uint8Array {
    const at = this.get(regs.DESBASE.at) * PAGE_SIZE;
    return this.memory.bytes.slice(at, at + PAGE_SIZE);
  }

  /** Entry of the page tables for a device page, by the directory; undefined without a table. */
  entry(page: number): number | undefined {
    const table = this.descriptor.page_directory[Math.floor(page / PAGE_TABLE_ENTRIES)]!;
    if (table === 1) return undefined;
    return this.memory.view.getUint32(table * PAGE_SIZE + 4 * (page % PAGE_TABLE_ENTRIES), true);
  }

  /** Whether the device could reach that DRAM address. */
  reaches(address: number, access: 'read' | 'write'): boolean {
    const span = this.slot.dma.map(address, 1, access);
    span?.release();
    return span !== undefined;
  }

  /** Lets everything happen that needs no time. */
  async rest(): Promise<void> {
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
  }
}
