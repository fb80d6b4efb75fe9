// One client's view of memory as a device sees it: an IOMMU domain and the addresses in it.
// Not a page table: the bus's IOMMU has it.
import { AccelError } from '../base/errors.js';
import { IntMap } from '../base/int-map.js';
import { PAGE_SIZE } from '../base/memory.js';
import { RangeAllocator } from '../base/range-allocator.js';
import type { GemObject } from './gem.js';

/** What an IOMMU domain does; the buses' domains have this shape. Pages only. */
export interface IommuDomain extends Disposable {
  map(iova: number, physical: number, bytes: number, access: 'read' | 'write' | 'read-write'): void;
  unmap(iova: number, bytes: number): void;
}

export interface AddressSpaceOptions {
  /** Owned: disposed with the address space. */
  readonly domain: IommuDomain;
  /** First address given out and the size of the span, whole pages. Leave out 0: null must fault. */
  readonly start: number;
  readonly size: number;
  /** Greatest common alignment of addresses the hardware asks for. Default one page. */
  readonly align?: number;
}

interface Placed {
  readonly gem: GemObject;
  readonly iova: number;
  users: number;
}

/** Addresses of buffers for one client. A mapped buffer is held until it is unmapped. */
export class AddressSpace implements Disposable {
  readonly domain: IommuDomain;
  readonly #ranges: RangeAllocator;
  readonly #align: number;
  /** By the object's id. */
  readonly #placed = new IntMap<Placed>();

  constructor({ domain, start, size, align = PAGE_SIZE }: AddressSpaceOptions) {
    if (start % PAGE_SIZE !== 0 || size % PAGE_SIZE !== 0) {
      throw new AccelError('EINVAL', {
        reason: `address space at ${start} of ${size} bytes: not whole pages`,
      });
    }
    this.domain = domain;
    this.#ranges = new RangeAllocator(start, size);
    this.#align = align;
  }

  /**
   * The device address of `gem`, mapped on first use; each call wants one unmap. The first caller's access counts.
   * @throws AccelError ENOSPC when no gap fits
   */
  map(gem: GemObject, access: 'read' | 'write' | 'read-write' = 'read-write'): number {
    const placed = this.#placed.get(gem.id);
    if (placed !== undefined) {
      placed.users++;
      return placed.iova;
    }
    const iova = this.#ranges.allocate(gem.size, this.#align);
    if (iova === undefined) {
      throw new AccelError('ENOSPC', { reason: `no ${gem.size} bytes of device addresses are free` });
    }
    try {
      this.domain.map(iova, gem.address, gem.size, access);
    } catch (error) {
      this.#ranges.free(iova);
      throw error;
    }
    this.#placed.set(gem.id, { gem: gem.get(), iova, users: 1 });
    return iova;
  }

  /** Takes back one map. Nothing happens for a buffer that is not mapped. */
  unmap(gem: GemObject): void {
    const placed = this.#placed.get(gem.id);
    if (placed === undefined || --placed.users > 0) return;
    this.#drop(placed);
  }

  iovaOf(gem: GemObject): number | undefined {
    return this.#placed.get(gem.id)?.iova;
  }

  /** Buffers mapped. */
  get count(): number {
    return this.#placed.size;
  }

  /** Unmaps everything. */
  [Symbol.dispose](): void {
    for (const placed of [...this.#placed.values()]) this.#drop(placed);
    this.domain[Symbol.dispose]();
  }

  #drop({ gem, iova }: Placed): void {
    this.#placed.delete(gem.id);
    this.domain.unmap(iova, gem.size);
    this.#ranges.free(iova);
    gem.put();
  }
}
