// MMIO windows onto a model, with a tap for traces. No access allocates.
// Not a map of physical addresses: a driver holds its window.
import type { Mmio } from './device.js';
import type { VirtualDevice } from './port.js';

/** Called for each access when tracing is on. Offsets are the window's. */
export type MmioTap = (window: number, offset: number, value: number, write: boolean) => void;

/** What windows of one device share. */
export interface MmioTarget {
  readonly model: VirtualDevice;
  removed: boolean;
  /** False while the bus does not decode the device's addresses. */
  decoded: boolean;
  tap: MmioTap | undefined;
}

export class ModelMmio implements Mmio {
  readonly size: number;
  readonly #target: MmioTarget;
  readonly #index: number;
  readonly #base: number;

  constructor(target: MmioTarget, index: number, base: number, size: number) {
    this.#target = target;
    this.#index = index;
    this.#base = base;
    this.size = size;
  }

  read32(offset: number): number {
    const target = this.#target;
    if (target.removed || !target.decoded) return 0xffffffff;
    const at = this.#base + offset;
    const value = target.model.read32(this.#index, at);
    if (target.tap !== undefined) target.tap(this.#index, at, value, false);
    return value;
  }

  write32(offset: number, value: number): void {
    const target = this.#target;
    if (target.removed || !target.decoded) return;
    const at = this.#base + offset;
    if (target.tap !== undefined) target.tap(this.#index, at, value >>> 0, true);
    target.model.write32(this.#index, at, value >>> 0);
  }

  window(offset: number, size: number): Mmio {
    if (offset < 0 || offset + size > this.size)
      throw new RangeError(`window ${offset}+${size} of ${this.size}`);
    return new ModelMmio(this.#target, this.#index, this.#base + offset, size);
  }
}
