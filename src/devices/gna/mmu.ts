// The device's own address translation: page directory and tables in DRAM, walked as the silicon does. Section 3.
// Not the IOMMU: what comes out are physical addresses, which go through port.dma.
import type { DevicePort, DmaSpan } from '../../bus/port.js';
import { PAGE_SIZE } from '../../base/memory.js';
import { PAGE_TABLE_ENTRIES, PDE_INVALID, VA_SIZE } from '../../hw/gna/config.js';
import { regs } from '../../hw/gna/registers.js';
import { ScoreFault } from './fault.js';

/** Page directory entries without a table: as Linux writes it, as Zephyr writes it. */
const INVALID = [PDE_INVALID, 0xffffffff];

/** Part of a layer: an array that it reads or writes. */
export interface Operand {
  /** Command field that takes its DRAM address. */
  readonly field: string;
  readonly va: number;
  readonly bytes: number;
  readonly access: 'read' | 'write';
}

interface Run {
  readonly physical: number;
  bytes: number;
}

export class Mmu {
  readonly #port: DevicePort;
  #directory: readonly number[] = [];
  #maxAddress = 0;

  constructor(port: DevicePort) {
    this.#port = port;
  }

  /** The tables of the next score. `maxAddress` is the highest valid byte. */
  load(directory: readonly number[], maxAddress: number): void {
    this.#directory = directory;
    this.#maxAddress = maxAddress;
  }

  /**
   * The DRAM behind [va, va + bytes): in place where pages follow each other, else through a gathered copy.
   * @throws ScoreFault when an address is past VAMAXADDR, has no table, or cannot be reached
   */
  map(va: number, bytes: number, access: 'read' | 'write'): DmaSpan {
    const runs = this.#walk(va, bytes);
    if (runs.length === 1) return this.#dma(runs[0]!.physical, bytes, access);
    const memory = this.#port.memory;
    const spans: DmaSpan[] = [];
    let address: number | undefined;
    const release = (): void => {
      for (const span of spans) span.release();
      if (address !== undefined) memory.free(address);
    };
    try {
      for (const run of runs) spans.push(this.#dma(run.physical, run.bytes, access));
      address = memory.allocate(bytes);
    } catch (error) {
      release();
      if (error instanceof ScoreFault) throw error;
      throw new ScoreFault(regs.STS.f.DMA_ERROR, `no memory to gather ${bytes} bytes of scattered pages`);
    }
    const copy = address;
    const each = (move: (span: DmaSpan, at: number) => void): void => {
      let at = copy;
      for (const span of spans) {
        move(span, at);
        at += span.bytes;
      }
    };
    // Written ranges are filled first too: bytes that a layer leaves alone must come back as they were.
    each((span, at) => memory.bytes.copyWithin(at, span.address, span.address + span.bytes));
    return {
      address: copy,
      bytes,
      release: () => {
        if (access === 'write') {
          each((span, at) => memory.bytes.copyWithin(span.address, at, at + span.bytes));
        }
        release();
      },
    };
  }

  /**
   * Maps all operands of a layer and puts their DRAM addresses into `values`. Operands that overlap share one mapping,
   * so that what is written through one is read through the other. Sorts `operands` by address.
   */
  mapAll(operands: Operand[], values: Record<string, number>): DmaSpan[] {
    const spans: DmaSpan[] = [];
    const sorted = operands.sort((a, b) => a.va - b.va);
    try {
      for (let i = 0; i < sorted.length;) {
        const { va } = sorted[i]!;
        let end = va;
        let access: 'read' | 'write' = 'read';
        let next = i;
        for (; next < sorted.length && (next === i || sorted[next]!.va < end); next++) {
          const operand = sorted[next]!;
          end = Math.max(end, operand.va + operand.bytes);
          if (operand.access === 'write') access = 'write';
        }
        const span = this.map(va, end - va, access);
        spans.push(span);
        for (; i < next; i++) values[sorted[i]!.field] = span.address + (sorted[i]!.va - va);
      }
    } catch (error) {
      for (const span of spans) span.release();
      throw error;
    }
    return spans;
  }

  /** Physically contiguous runs of [va, va + bytes). */
  #walk(va: number, bytes: number): Run[] {
    if (va + bytes - 1 > this.#maxAddress || va + bytes > VA_SIZE) {
      const range = `0x${va.toString(16)}+${bytes}`;
      throw new ScoreFault(
        regs.STS.f.VA_OUT_OF_RANGE,
        `${range}: past VAMAXADDR 0x${this.#maxAddress.toString(16)}`,
      );
    }
    const runs: Run[] = [];
    const { words } = this.#port.memory;
    let last: Run | undefined;
    let tableIndex = -1;
    let table: DmaSpan | undefined;
    for (let done = 0; done < bytes;) {
      const page = Math.floor((va + done) / PAGE_SIZE);
      const offset = (va + done) % PAGE_SIZE;
      const length = Math.min(PAGE_SIZE - offset, bytes - done);
      const index = Math.floor(page / PAGE_TABLE_ENTRIES);
      if (index !== tableIndex) {
        table?.release();
        table = this.#table(index);
        tableIndex = index;
      }
      const physical = words[table!.address / 4 + (page % PAGE_TABLE_ENTRIES)]! * PAGE_SIZE + offset;
      if (last !== undefined && last.physical + last.bytes === physical) last.bytes += length;
      else runs.push((last = { physical, bytes: length }));
      done += length;
    }
    table?.release();
    return runs;
  }

  #table(index: number): DmaSpan {
    const entry = this.#directory[index]!;
    if (INVALID.includes(entry)) {
      throw new ScoreFault(regs.STS.f.MMU_ERROR, `page directory entry ${index} is 0x${entry.toString(16)}`);
    }
    return this.#dma(entry * PAGE_SIZE, PAGE_SIZE, 'read');
  }

  #dma(physical: number, bytes: number, access: 'read' | 'write'): DmaSpan {
    const span = this.#port.dma.map(physical, bytes, access);
    if (span === undefined)
      throw new ScoreFault(regs.STS.f.DMA_ERROR, `${access} of 0x${physical.toString(16)}+${bytes}`);
    return span;
  }
}
