// IOMMU domains: device addresses to DRAM, page-granular, with access rights.
// Not a page-table walker: devices with tables of their own walk them in their model.
import { AccelError } from '../base/errors.js';
import { PAGE_SIZE, type SystemMemory } from '../base/memory.js';
import type { DmaAccess, DmaDomain, DmaFault } from './device.js';
import type { DmaPort, DmaSpan, FaultHooks } from './port.js';

interface Mapping {
  readonly iova: number;
  readonly end: number;
  readonly physical: number;
  readonly read: boolean;
  readonly write: boolean;
}

export class Domain implements DmaDomain {
  /** Sorted by iova, never overlapping. */
  readonly #mappings: Mapping[] = [];
  #last: Mapping | undefined;

  map(iova: number, physical: number, bytes: number, access: DmaAccess): void {
    if (iova % PAGE_SIZE !== 0 || physical % PAGE_SIZE !== 0 || bytes % PAGE_SIZE !== 0 || bytes <= 0) {
      const reason = `0x${iova.toString(16)} -> 0x${physical.toString(16)}, ${bytes} bytes: not whole pages`;
      throw new AccelError('EINVAL', { call: 'iommu_map', reason });
    }
    const at = this.#firstAfter(iova);
    const before = this.#mappings[at - 1];
    const after = this.#mappings[at];
    if ((before !== undefined && before.end > iova) || (after !== undefined && after.iova < iova + bytes)) {
      throw new AccelError('EEXIST', {
        call: 'iommu_map',
        reason: `0x${iova.toString(16)} is mapped already`,
      });
    }
    const mapping = { iova, end: iova + bytes, physical, read: access !== 'write', write: access !== 'read' };
    this.#mappings.splice(at, 0, mapping);
  }

  unmap(iova: number, bytes: number): void {
    const at = this.#firstAfter(iova) - 1;
    const mapping = this.#mappings[at];
    if (mapping === undefined || mapping.iova !== iova || mapping.end !== iova + bytes) {
      throw new AccelError('EINVAL', {
        call: 'iommu_unmap',
        reason: `0x${iova.toString(16)} is not mapped so`,
      });
    }
    this.#mappings.splice(at, 1);
    this.#last = undefined;
  }

  get count(): number {
    return this.#mappings.length;
  }

  /** The mapping that holds `iova`, or undefined. Consecutive hits of one mapping cost one comparison. */
  find(iova: number): Mapping | undefined {
    const last = this.#last;
    if (last !== undefined && iova >= last.iova && iova < last.end) return last;
    const mapping = this.#mappings[this.#firstAfter(iova) - 1];
    if (mapping === undefined || iova >= mapping.end) return undefined;
    this.#last = mapping;
    return mapping;
  }

  [Symbol.dispose](): void {
    this.#mappings.length = 0;
    this.#last = undefined;
  }

  #firstAfter(iova: number): number {
    let low = 0;
    let high = this.#mappings.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#mappings[middle]!.iova <= iova) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The DMA path of one device. */
export class DmaPath implements DmaPort {
  #domain: Domain | undefined;
  #onFault: ((fault: DmaFault) => void) | undefined;
  /** A PCI function whose bus mastering is off reaches nothing. */
  enabled = true;
  readonly #memory: SystemMemory;
  readonly #faults: FaultHooks;
  readonly #ecc: boolean;

  /** With `ecc` memory errors are the bus's to act out; otherwise the model reports them itself. */
  constructor(memory: SystemMemory, faults: FaultHooks, ecc = false) {
    this.#memory = memory;
    this.#faults = faults;
    this.#ecc = ecc;
  }

  createDomain(): Domain {
    return new Domain();
  }

  attach(domain: DmaDomain | undefined): void {
    if (domain !== undefined && !(domain instanceof Domain)) {
      throw new AccelError('EINVAL', { call: 'iommu_attach', reason: 'a domain of another kind of bus' });
    }
    this.#domain = domain;
  }

  onFault(handler: ((fault: DmaFault) => void) | undefined): void {
    this.#onFault = handler;
  }

  map(iova: number, bytes: number, access: 'read' | 'write'): DmaSpan | undefined {
    if (this.#faults.take('dma-fault')) return this.#fault(iova, access, 'injected');
    if (this.#ecc && access === 'read' && this.#faults.take('ecc'))
      return this.#fault(iova, access, 'uncorrectable memory error (injected)', true);
    const first = this.#check(iova, access);
    if (first === undefined) return undefined;
    const physical = first.physical + (iova - first.iova);
    let end = first.end;
    let last = first;
    // Neighbours that are neighbours in DRAM too extend the run.
    while (end < iova + bytes) {
      const next = this.#check(end, access);
      if (next === undefined) return undefined;
      if (next.physical !== last.physical + (last.end - last.iova))
        return this.#scattered(iova, bytes, access);
      last = next;
      end = next.end;
    }
    return { address: physical, bytes, release: nothing };
  }

  read32(iova: number): number | undefined {
    const mapping = this.#check(iova, 'read');
    if (mapping === undefined) return undefined;
    return this.#memory.view.getUint32(mapping.physical + (iova - mapping.iova), true);
  }

  write32(iova: number, value: number): boolean {
    const mapping = this.#check(iova, 'write');
    if (mapping === undefined) return false;
    this.#memory.view.setUint32(mapping.physical + (iova - mapping.iova), value, true);
    return true;
  }

  #check(iova: number, access: 'read' | 'write'): Mapping | undefined {
    if (!this.enabled) return this.#fault(iova, access, 'bus mastering is off');
    if (this.#domain === undefined) return this.#fault(iova, access, 'no domain is attached');
    const mapping = this.#domain.find(iova);
    if (mapping === undefined) return this.#fault(iova, access, 'not mapped');
    if (!mapping[access]) return this.#fault(iova, access, `no ${access} access`);
    return mapping;
  }

  #fault(iova: number, access: 'read' | 'write', reason: string, memoryError = false): undefined {
    this.#onFault?.({ iova, access, memoryError, reason });
  }

  /** Through a bounce buffer, as swiotlb does. */
  #scattered(iova: number, bytes: number, access: 'read' | 'write'): DmaSpan | undefined {
    const runs: { at: number; physical: number; bytes: number }[] = [];
    for (let done = 0; done < bytes;) {
      const mapping = this.#check(iova + done, access);
      if (mapping === undefined) return undefined;
      const length = Math.min(bytes - done, mapping.end - (iova + done));
      runs.push({ at: done, physical: mapping.physical + (iova + done - mapping.iova), bytes: length });
      done += length;
    }
    const dram = this.#memory.bytes;
    let address: number;
    try {
      address = this.#memory.allocate(bytes);
    } catch (error) {
      if (error instanceof AccelError && error.code === 'ENOMEM') {
        return this.#fault(iova, access, `no memory for a bounce buffer of ${bytes} bytes`);
      }
      throw error;
    }
    // Written spans are filled first too: bytes between strided lines must come back as they were.
    for (const run of runs) dram.copyWithin(address + run.at, run.physical, run.physical + run.bytes);
    const release = (): void => {
      if (access === 'write') {
        for (const run of runs) dram.copyWithin(run.physical, address + run.at, address + run.at + run.bytes);
      }
      this.#memory.free(address);
    };
    return { address, bytes, release };
  }
}

function nothing(): void {
  // A span used in place has nothing to give back.
}
