// The machine's DRAM as the core and the buses see it: pages by physical address, all in one shared memory.
// Not an address space: clients and devices see it through GEM mappings and IOMMU domains.
import type { WasmMemory } from './wasm.js';

/** Bytes in a page of DRAM, of GEM objects and of IOMMU mappings. */
export const PAGE_SIZE = 4096;

export function pageAlign(bytes: number): number {
  return Math.ceil(bytes / PAGE_SIZE) * PAGE_SIZE;
}

/** Physical memory. A physical address is a byte offset in `memory`. */
export interface SystemMemory {
  readonly memory: WasmMemory;
  /** All of DRAM; `bytes[address]`. */
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly view: DataView;
  /**
   * Contiguous zeroed pages. Returns the physical address, a multiple of PAGE_SIZE. `shareable` are pages that a client in
   * another process may come to map.
   * @throws AccelError ENOMEM
   */
  allocate(bytes: number, shareable?: boolean): number;
  free(address: number): void;
  /** Bytes handed out and not freed. */
  readonly used: number;
  readonly size: number;
}
