// The device's page tables and its configuration descriptor, in memory of the driver's, and the domain it reaches memory by.
// Not an address space: the tables hold one request at a time. Source: fact sheet section 3.
import { PAGE_SIZE } from '../../base/memory.js';
import type { DmaDomain, DmaMaster } from '../../bus/device.js';
import type { AccelDevice, GemObject } from '../../core/index.js';
import {
  CONFIG_LAYERS,
  ConfigDescriptor,
  PAGE_DIRECTORY_ENTRIES,
  PAGE_TABLE_ENTRIES,
  PDE_INVALID,
} from '../../hw/gna/index.js';

/** What the device runs: a list of layers, or in GMM mode one descriptor of 128 bytes. */
export type Work = { readonly labase: number; readonly lacnt: number } | Uint8Array;

/**
 * 64 page tables and one page for the descriptor. Device addresses and tables name physical addresses, and the IOMMU
 * domain maps them to themselves: only what the running request names is in it.
 */
export class Mmu {
  readonly domain: DmaDomain;
  readonly #gem: GemObject;
  /** The page tables, all entries in a row. */
  readonly #entries: Uint32Array;
  readonly #directory: number[] = new Array<number>(PAGE_DIRECTORY_ENTRIES).fill(PDE_INVALID);
  readonly #mapped = new Set<GemObject>();
  #pages = 0;

  /** @throws AccelError ENOMEM */
  constructor(device: AccelDevice<unknown>, dma: DmaMaster) {
    this.#gem = device.createGem((1 + PAGE_DIRECTORY_ENTRIES) * PAGE_SIZE);
    const first = (this.#gem.address + PAGE_SIZE) / 4;
    this.#entries = device.memory.words.subarray(first, first + PAGE_DIRECTORY_ENTRIES * PAGE_TABLE_ENTRIES);
    this.domain = dma.createDomain();
    this.domain.map(this.#gem.address, this.#gem.address, this.#gem.size, 'read');
  }

  /** DESBASE: page number of the configuration descriptor. */
  get descriptorPage(): number {
    return this.#gem.address / PAGE_SIZE;
  }

  /**
   * Places `buffers` back to back from device address 0, whole, and writes the configuration descriptor. They must have
   * 65536 pages at most between them.
   */
  fill(buffers: readonly GemObject[], work: Work): void {
    this.clear();
    for (const gem of buffers) {
      const first = gem.address / PAGE_SIZE;
      const count = gem.size / PAGE_SIZE;
      for (let i = 0; i < count; i++) this.#entries[this.#pages + i] = first + i;
      this.#pages += count;
      if (this.#mapped.has(gem)) continue;
      this.domain.map(gem.address, gem.address, gem.size, 'read-write');
      this.#mapped.add(gem);
    }
    const tables = Math.ceil(this.#pages / PAGE_TABLE_ENTRIES);
    const table = this.descriptorPage + 1;
    for (let i = 0; i < PAGE_DIRECTORY_ENTRIES; i++) {
      this.#directory[i] = i < tables ? table + i : PDE_INVALID;
    }
    const { bytes } = this.#gem;
    bytes.fill(0, 0, ConfigDescriptor.size);
    ConfigDescriptor.put(bytes, {
      vamaxaddr: this.#pages * PAGE_SIZE - 1,
      page_directory: this.#directory,
      ...(work instanceof Uint8Array ? {} : work),
    });
    if (work instanceof Uint8Array) bytes.set(work, CONFIG_LAYERS);
  }

  /** Takes everything back: the device reaches no buffer any more. */
  clear(): void {
    this.#entries.fill(0, 0, this.#pages);
    this.#pages = 0;
    for (const gem of this.#mapped) this.domain.unmap(gem.address, gem.size);
    this.#mapped.clear();
  }

  [Symbol.dispose](): void {
    this.clear();
    this.domain[Symbol.dispose]();
    this.#gem.put();
  }
}
