// The platform bus: joins a model to the device a driver is probed with. The common part serves the other buses too.
// Not a board: who sits where is the machine's data.
import type { Clock } from '../base/clock.js';
import { disposable } from '../base/disposable.js';
import { AccelError } from '../base/errors.js';
import type { SystemMemory } from '../base/memory.js';
import type { BusDevice, Mmio, PlatformDevice } from './device.js';
import { DmaPath } from './iommu.js';
import { Irq } from './irq.js';
import { ModelMmio, type MmioTap, type MmioTarget } from './mmio.js';
import type { DevicePort, EngineHandle, FaultHooks, VirtualDevice } from './port.js';

export interface SlotOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly memory: SystemMemory;
  readonly faults: FaultHooks;
  readonly irqs: number;
  /** Memory ports of the device: 1 when not given. */
  readonly dmaPorts?: number;
  /** The bus acts out memory errors: the model has no registers of its own for them. */
  readonly ecc?: boolean;
  engine(name: string): EngineHandle;
  guestError(text: string): void;
  /** Told when an interrupt line rises, for traces. */
  onIrq?(index: number): void;
}

/** One place on a bus: the wires between a model and its driver. */
export class Slot {
  readonly dma: DmaPath;
  readonly dmaPorts: readonly DmaPath[];
  readonly irqs: readonly Irq[];
  readonly port: DevicePort;
  readonly name: string;
  readonly #removals = new Set<() => void>();
  #target: MmioTarget | undefined;

  constructor(options: SlotOptions) {
    const { clock, memory, faults } = options;
    this.name = options.name;
    this.dma = new DmaPath(memory, faults, options.ecc);
    const others = (options.dmaPorts ?? 1) - 1;
    this.dmaPorts = [
      this.dma,
      ...Array.from({ length: others }, () => new DmaPath(memory, faults, options.ecc)),
    ];
    this.irqs = Array.from(
      { length: options.irqs },
      (_, i) =>
        new Irq(
          clock,
          faults,
          () => options.onIrq?.(i),
          () => options.guestError(`irq ${i}: nobody cared, disabled`),
        ),
    );
    this.port = {
      dma: this.dma,
      dmaPorts: this.dmaPorts,
      irq: (index) => this.line(index),
      engine: options.engine,
      clock,
      memory,
      faults,
      guestError: options.guestError,
    };
  }

  /** Puts the model in. Once. */
  plug(model: VirtualDevice): void {
    this.#target = { model, removed: false, decoded: true, tap: undefined };
  }

  get model(): VirtualDevice {
    return this.#plugged.model;
  }

  get removed(): boolean {
    return this.#plugged.removed;
  }

  set tap(tap: MmioTap | undefined) {
    this.#plugged.tap = tap;
  }

  /** Whether accesses reach the model: PCI's memory space enable. Off, reads give all ones. */
  decode(on: boolean): void {
    this.#plugged.decoded = on;
  }

  line(index: number): Irq {
    const line = this.irqs[index];
    if (line === undefined)
      throw new AccelError('ENODEV', { reason: `${this.name} has no interrupt ${index}` });
    return line;
  }

  mmio(index: number): Mmio {
    const size = this.#plugged.model.windows[index];
    if (size === undefined) throw new AccelError('ENODEV', { reason: `${this.name} has no window ${index}` });
    return new ModelMmio(this.#plugged, index, 0, size);
  }

  /** The reset line. Nothing on a removed device. */
  reset(): void {
    if (!this.#plugged.removed) this.#plugged.model.reset();
  }

  onRemove(handler: () => void): Disposable {
    this.#removals.add(handler);
    return disposable(() => this.#removals.delete(handler));
  }

  /** Unplug: registers read as all ones from now on, DMA and interrupts stop, the driver is told. */
  remove(): void {
    if (this.#plugged.removed) return;
    this.#plugged.removed = true;
    for (const dma of this.dmaPorts) dma.enabled = false;
    // Without power nothing runs on: what the model and its engines held is given back before the driver frees buffers.
    this.#plugged.model.reset();
    for (const irq of this.irqs) irq.set(false);
    for (const handler of [...this.#removals]) handler();
  }

  get #plugged(): MmioTarget {
    if (this.#target === undefined)
      throw new AccelError('ENODEV', { reason: `nothing is plugged into ${this.name}` });
    return this.#target;
  }
}

/** The part of BusDevice that is the same on every bus. */
export function busDevice<B extends BusDevice['bus']>(slot: Slot, bus: B): BusDevice & { readonly bus: B } {
  return {
    bus,
    name: slot.name,
    mmio: (index) => slot.mmio(index),
    irq: (index, handler) => slot.line(index).connect(handler),
    dma: slot.dma,
    dmaPorts: slot.dmaPorts,
    reset: () => slot.reset(),
    onRemove: (handler) => slot.onRemove(handler),
    get removed() {
      return slot.removed;
    },
  };
}

export function platformDevice(slot: Slot, compatible: readonly string[]): PlatformDevice {
  // Not a spread: `removed` is a getter.
  return Object.assign(busDevice(slot, 'platform'), { compatible });
}
