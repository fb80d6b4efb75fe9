// A bus device that records register writes and behaves as far as the NVDLA driver looks: pointers, status, interrupts.
// Not a model: nothing is computed, the test says when a unit is done.
import type { Clock } from '../../src/base/clock.js';
import { disposable } from '../../src/base/disposable.js';
import { registerAt, type Register } from '../../src/base/registers.js';
import type { DmaDomain, DmaFault, Mmio, PlatformDevice } from '../../src/bus/device.js';
import {
  CSB_SIZE,
  interruptBit,
  registerMaps,
  type NvdlaConfig,
  type UnitName,
} from '../../src/hw/nvdla/index.js';

export interface Write {
  /** `SDP.D_OP_ENABLE`. */
  readonly name: string;
  readonly value: number;
}

/** Units whose consumer pointer moves when a processor completes. */
const pipelines = {
  CACC: ['CACC', 'CMAC_A', 'CMAC_B', 'CSC', 'CDMA'],
  SDP: ['SDP'],
  PDP: ['PDP'],
  CDP: ['CDP'],
  RUBIK: ['RBK'],
  BDMA: [],
} as const satisfies Record<string, readonly UnitName[]>;

export type Done = keyof typeof pipelines;

export class Recorder implements PlatformDevice {
  readonly bus = 'platform';
  readonly name = '10000000.nvdla';
  readonly compatible: readonly string[];
  readonly writes: Write[] = [];
  removed = false;
  resets = 0;
  /** What S_CBUF_FLUSH_STATUS, FREE_SLOT and the S_STATUS registers read as. */
  flushed = 1;
  freeSlots = 20;
  status = 0;
  /** The domain accesses go through. */
  domain: DmaDomain | undefined;
  readonly #config: NvdlaConfig;
  readonly #clock: Clock;
  readonly #consumers = new Map<UnitName, number>();
  #interrupts = 0;
  #mask = 0;
  #handler: (() => void) | undefined;
  #onFault: ((fault: DmaFault) => void) | undefined;
  #onRemove: (() => void) | undefined;

  constructor(config: NvdlaConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
    this.compatible = [config.compatible];
  }

  readonly dma = {
    createDomain: (): DmaDomain => ({
      map() {
        // Nothing reads through it.
      },
      unmap() {
        // As above.
      },
      [Symbol.dispose]() {
        // As above.
      },
    }),
    attach: (domain: DmaDomain | undefined): void => {
      this.domain = domain;
    },
    onFault: (handler: ((fault: DmaFault) => void) | undefined): void => {
      this.#onFault = handler;
    },
  };
  readonly dmaPorts = [this.dma];

  mmio(): Mmio {
    const io: Mmio = {
      size: CSB_SIZE,
      read32: (offset) => this.#read(offset),
      write32: (offset, value) => this.#write(offset, value >>> 0),
      window: () => io,
    };
    return io;
  }

  irq(_index: number, handler: () => void): Disposable {
    this.#handler = handler;
    return disposable(() => (this.#handler = undefined));
  }

  reset(): void {
    this.resets++;
    this.#interrupts = 0;
    this.#mask = 0;
    this.#consumers.clear();
  }

  onRemove(handler: () => void): Disposable {
    this.#onRemove = handler;
    return disposable(() => (this.#onRemove = undefined));
  }

  unplug(): void {
    this.removed = true;
    this.#onRemove?.();
  }

  fault(fault: DmaFault): void {
    this.#onFault?.(fault);
  }

  /** Sets status bits, and the line follows: status & ~mask. With `lost` the line's edge does not get through. */
  raise(bits: number, { lost = false } = {}): void {
    this.#interrupts |= bits;
    if (!lost) this.#line();
  }

  /** A processor has finished the layer in `group`. */
  done(unit: Done, group: number, options?: { lost?: boolean }): void {
    this.#advance(unit, group);
    this.raise(1 << (interruptBit[unit] + group), options);
  }

  /** As `done` for all processors whose bits are set, in one interrupt. */
  interrupt(status: number): void {
    for (const unit of Object.keys(pipelines) as Done[]) {
      for (const group of [0, 1])
        if (((status >>> (interruptBit[unit] + group)) & 1) === 1) this.#advance(unit, group);
    }
    this.raise(status);
  }

  #advance(unit: Done, group: number): void {
    for (const name of pipelines[unit]) this.#consumers.set(name, 1 - group);
    if (unit === 'SDP' || unit === 'PDP' || unit === 'CDP') {
      const rdma = `${unit}_RDMA` as const;
      const armed = this.writes.findLast(({ name }) => name === `${rdma}.S_POINTER`);
      if (armed !== undefined) this.#consumers.set(rdma, 1 - armed.value);
    }
  }

  /** Names of the registers written since the last call, perhaps of some units only; takes them out of the list. */
  take(...units: UnitName[]): string[] {
    const names = this.writes.splice(0).map(({ name }) => name);
    return units.length === 0
      ? names
      : names.filter((name) => units.some((unit) => name.startsWith(`${unit}.`)));
  }

  /** The value last written to a register, `CACC.D_MISC_CFG`. */
  last(name: string): number | undefined {
    return this.writes.findLast((write) => write.name === name)?.value;
  }

  #line(): void {
    this.#clock.post(() => {
      if ((this.#interrupts & ~this.#mask) !== 0) this.#handler?.();
    });
  }

  #find(offset: number): { unit: UnitName; register: Register } {
    const { base, units } = registerMaps[this.#config.family];
    for (const [unit, start] of Object.entries(base) as [UnitName, number][]) {
      if (offset < start || offset >= start + 0x1000) continue;
      const register = registerAt(units[unit], offset - start);
      if (register !== undefined) return { unit, register };
    }
    throw new Error(`no register at 0x${offset.toString(16)}`);
  }

  #read(offset: number): number {
    if (this.removed) return 0xffffffff;
    const { unit, register } = this.#find(offset);
    if (unit === 'GLB' && register.name === 'S_INTR_STATUS') return this.#interrupts;
    if (unit === 'BDMA' && register.name === 'STATUS') return 0x100 | this.freeSlots;
    if (register.name === 'S_CBUF_FLUSH_STATUS') return this.flushed;
    if (register.name === 'S_STATUS') return this.status;
    if (register.name === 'S_POINTER') return (this.#consumers.get(unit) ?? 0) << 16;
    return register.reset;
  }

  #write(offset: number, value: number): void {
    const { unit, register } = this.#find(offset);
    this.writes.push({ name: `${unit}.${register.name}`, value });
    if (unit !== 'GLB') return;
    if (register.name === 'S_INTR_STATUS') this.#interrupts &= ~value;
    if (register.name === 'S_INTR_MASK') this.#mask = value;
  }
}
