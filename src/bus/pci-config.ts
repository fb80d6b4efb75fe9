// PCI configuration space of one function: the type 0 header, BARs that can be sized, the MSI capability.
// Not a bus: pci.ts puts functions in slots.
import { registers } from '../base/registers.js';

/** Type 0 header and the MSI capability at 0x50, as 32-bit words. PCI Local Bus Specification 3.0, chapters 6.1 and 6.8.1. */
export const header = registers({
  ID: { at: 0x00, write: 0, fields: { VENDOR: [15, 0], DEVICE: [31, 16] } },
  COMMAND_STATUS: {
    at: 0x04,
    // Memory space, bus master, INTx disable; error bits are not modelled.
    write: 0x0406,
    reset: 0x00100000,
    fields: { MEMORY: 1, MASTER: 2, INTX_DISABLE: 10, INTERRUPT: 19, CAPABILITIES: 20 },
  },
  CLASS_REVISION: { at: 0x08, write: 0, fields: { REVISION: [7, 0], CLASS: [31, 8] } },
  MISC: { at: 0x0c, write: 0x000000ff, fields: { CACHE_LINE: [7, 0], HEADER_TYPE: [23, 16] } },
  BAR0: { at: 0x10, fields: { ADDRESS: [31, 0] } },
  BAR1: { at: 0x14, fields: { ADDRESS: [31, 0] } },
  BAR2: { at: 0x18, fields: { ADDRESS: [31, 0] } },
  BAR3: { at: 0x1c, fields: { ADDRESS: [31, 0] } },
  BAR4: { at: 0x20, fields: { ADDRESS: [31, 0] } },
  BAR5: { at: 0x24, fields: { ADDRESS: [31, 0] } },
  SUBSYSTEM: { at: 0x2c, write: 0, fields: { VENDOR: [15, 0], DEVICE: [31, 16] } },
  CAPABILITIES: { at: 0x34, write: 0, fields: { POINTER: [7, 0] } },
  INTERRUPT: { at: 0x3c, write: 0x000000ff, fields: { LINE: [7, 0], PIN: [15, 8] } },
  MSI: {
    at: 0x50,
    write: 0x00710000,
    fields: { ID: [7, 0], NEXT: [15, 8], ENABLE: 16, CAPABLE: [19, 17], ENABLED: [22, 20], ADDRESS_64: 23 },
  },
  MSI_ADDRESS: { at: 0x54, write: 0xfffffffc },
  MSI_ADDRESS_HIGH: { at: 0x58 },
  MSI_DATA: { at: 0x5c, write: 0xffff },
});

/** Capability id of MSI. */
const CAP_MSI = 0x05;
const CONFIG_WORDS = 64;

/** What a function is; from its data sheet. */
export interface PciIdentity {
  readonly vendor: number;
  readonly device: number;
  readonly revision: number;
  /** 24 bits: base class, subclass, interface. */
  readonly classCode: number;
  readonly subsystemVendor?: number;
  readonly subsystemDevice?: number;
  /** Bytes of each memory BAR, powers of two from 16; 0 for none. 32-bit, not prefetchable. */
  readonly bars: readonly number[];
  /** MSI vectors it can use: 1, 2, 4 ... 32. 0: no MSI capability. */
  readonly vectors: number;
  /** Config words of its own, by offset (multiples of 4 from 0x40), beside the standard ones. */
  readonly own?: Readonly<Record<number, { readonly reset: number; readonly write: number }>>;
}

export class PciConfig {
  readonly identity: PciIdentity;
  readonly #words = new Uint32Array(CONFIG_WORDS);
  readonly #masks = new Uint32Array(CONFIG_WORDS);
  readonly #onCommand: (command: { memory: boolean; master: boolean }) => void;

  constructor(identity: PciIdentity, onCommand: (command: { memory: boolean; master: boolean }) => void) {
    this.identity = identity;
    this.#onCommand = onCommand;
    this.reset();
  }

  /** Conventional reset: command cleared, BARs unassigned. */
  reset(): void {
    const { vendor, device, revision, classCode, bars, vectors, own = {} } = this.identity;
    for (const register of Object.values(header)) {
      this.#words[register.at >> 2] = register.reset;
      this.#masks[register.at >> 2] = register.writeMask;
    }
    const set = (at: number, word: number): void => void (this.#words[at >> 2] = word);
    set(header.ID.at, header.ID.encode({ VENDOR: vendor, DEVICE: device }));
    set(header.CLASS_REVISION.at, header.CLASS_REVISION.encode({ REVISION: revision, CLASS: classCode }));
    const { subsystemVendor = vendor, subsystemDevice = device } = this.identity;
    set(header.SUBSYSTEM.at, header.SUBSYSTEM.encode({ VENDOR: subsystemVendor, DEVICE: subsystemDevice }));
    set(header.INTERRUPT.at, header.INTERRUPT.encode({ PIN: 1 }));
    for (let i = 0; i < 6; i++) {
      const size = bars[i] ?? 0;
      // Bits below the size read as zero whatever is written: that is how software learns the size.
      this.#masks[(header.BAR0.at >> 2) + i] = size === 0 ? 0 : -size;
    }
    const msi = header.MSI.at >> 2;
    if (vectors === 0) {
      set(header.COMMAND_STATUS.at, 0);
      this.#masks.fill(0, msi, msi + 4);
    } else {
      set(header.CAPABILITIES.at, header.MSI.at);
      set(header.MSI.at, header.MSI.encode({ ID: CAP_MSI, CAPABLE: Math.log2(vectors), ADDRESS_64: 1 }));
    }
    for (const [at, { reset, write }] of Object.entries(own)) {
      this.#words[Number(at) >> 2] = reset;
      this.#masks[Number(at) >> 2] = write;
    }
    this.#onCommand({ memory: false, master: false });
  }

  /** Little-endian; reads past the space give all ones, as an absent function would. */
  read(offset: number, bytes: 1 | 2 | 4): number {
    if (!inside(offset, bytes)) return 2 ** (8 * bytes) - 1;
    const word = this.#words[offset >> 2]! >>> (8 * (offset & 3));
    return bytes === 4 ? word >>> 0 : word & (2 ** (8 * bytes) - 1);
  }

  write(offset: number, bytes: 1 | 2 | 4, value: number): void {
    if (!inside(offset, bytes)) return;
    const index = offset >> 2;
    const shift = 8 * (offset & 3);
    const lanes = bytes === 4 ? 0xffffffff : (2 ** (8 * bytes) - 1) << shift;
    const mask = this.#masks[index]! & lanes;
    this.#words[index] = (this.#words[index]! & ~mask) | ((value << shift) & mask);
    if (index === header.COMMAND_STATUS.at >> 2) this.#onCommand(this.command);
  }

  get command(): { memory: boolean; master: boolean } {
    const { MEMORY, MASTER } = header.COMMAND_STATUS.decode(this.#words[header.COMMAND_STATUS.at >> 2]!);
    return { memory: MEMORY === 1, master: MASTER === 1 };
  }

  /** Vectors that software enabled; 0 while MSI is off. */
  get enabledVectors(): number {
    const { ENABLE, ENABLED } = header.MSI.decode(this.#words[header.MSI.at >> 2]!);
    return this.identity.vectors > 0 && ENABLE === 1 ? 2 ** ENABLED : 0;
  }
}

function inside(offset: number, bytes: number): boolean {
  return offset >= 0 && offset % bytes === 0 && offset + bytes <= 4 * CONFIG_WORDS;
}
