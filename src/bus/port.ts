// Seam B, the model's side: DMA through the IOMMU, interrupt lines, engines, time, faults on demand.
// Not a driver's view: nothing here is reached from drivers.
import type { Clock } from '../base/clock.js';
import type { SystemMemory } from '../base/memory.js';
import type { Modelled } from '../base/register-file.js';
import type { Register } from '../base/registers.js';
import type { WasmMemory } from '../base/wasm.js';

/** A run of DRAM that a transfer may use. */
export interface DmaSpan {
  /** Byte offset in DRAM. Valid until release. */
  readonly address: number;
  readonly bytes: number;
  /** Ends the use; a span that was written and is scattered in DRAM is copied back here. */
  release(): void;
}

/** Reads and writes of a device, translated and checked. One translation per transfer, not per word. */
export interface DmaPort {
  /**
   * The DRAM behind [iova, iova + bytes). Contiguous ranges are used in place; scattered ones through a copy.
   * Returns undefined when any byte is not mapped for `access`: the fault has then been reported to the driver's side.
   */
  map(iova: number, bytes: number, access: 'read' | 'write'): DmaSpan | undefined;
  /** One little-endian word; undefined after a fault. For descriptors and rings. */
  read32(iova: number): number | undefined;
  /** False after a fault. */
  write32(iova: number, value: number): boolean;
}

/** An interrupt line. Level; setting the same level twice is nothing. For MSI a rising edge sends the message. */
export interface IrqLine {
  set(level: boolean): void;
}

/** What an engine answers: status first (0 is success), then the unit's counters. The array is only valid in the call. */
export type EngineDone = (result: Int32Array) => void;

/** Where a data path runs: in this thread or a worker. Commands of one engine finish in order. */
export interface EngineHandle {
  /** Words a command may have. */
  readonly commandWords: number;
  /**
   * Runs `command` (copied now) some time after this call returns; `done` is called in the core's thread, never from
   * inside submit.
   */
  submit(command: Int32Array, done: EngineDone): void;
  /**
   * Forgets every command in flight: their `done` is never called, and when this returns nothing of theirs reaches memory any
   * more. May block for as long as the command being executed takes.
   */
  abort(): void;
}

/** The data path itself. Pure computation on DRAM: all addresses in a command are DRAM offsets. */
export interface Engine {
  /** Executes one command; writes status and counters to `result` (zeroed before). Throws only on a defect. */
  execute(command: Int32Array, result: Int32Array): void;
}

export interface EngineContext {
  readonly memory: WasmMemory;
  /** Exports of the kernel module of the same name, instantiated over `memory`; undefined when the model has none. */
  readonly kernels: unknown;
  /** DRAM that this engine alone may use for tiles and packed operands. */
  readonly scratch: { readonly address: number; readonly bytes: number };
}

/** Makes an engine; found by name in a worker, so it closes over nothing. */
export type EngineFactory = (context: EngineContext) => Engine;

/** Faults that can be asked of every model. */
export type FaultKind =
  'hang' | 'lost-irq' | 'spurious-irq' | 'dma-fault' | 'ecc' | 'firmware-crash' | 'unplug';

/**
 * Faults armed for this device. The buses ask for lost-irq and dma-fault, and for ecc unless the model does; engines' handles for
 * hang, spurious-irq and unplug when a command starts; models for what DeviceModel.faults names.
 */
export interface FaultHooks {
  /** True when a fault of that kind is due now; it is then counted as delivered. */
  take(kind: FaultKind): boolean;
}

/** What a model is wired with. */
export interface DevicePort {
  readonly dma: DmaPort;
  /** One per memory port of the device; `dma` is the first. */
  readonly dmaPorts: readonly DmaPort[];
  irq(index: number): IrqLine;
  /** An engine of this device; `name` is the unit's, for traces and busy time. */
  engine(name: string): EngineHandle;
  readonly clock: Clock;
  readonly memory: SystemMemory;
  readonly faults: FaultHooks;
  /** A mistake of the guest: a register that does not exist, an operation that cannot be. Logged once per text. */
  guestError(text: string): void;
}

export interface RegisterStatus {
  readonly unit: string;
  readonly register: Register;
  /** Byte offset in the window. */
  readonly offset: number;
  readonly status: Modelled;
}

/** Bytes through one memory port. */
export interface PortTraffic {
  read: number;
  write: number;
}

/** What one operation of a data path would take on silicon, as far as its model can tell. */
export interface OperationCost {
  /** Name of the engine that ran it. */
  readonly unit: string;
  /** Cycles of its busiest unit when memory never holds it up. */
  readonly compute: number;
  /** By memory port. */
  readonly traffic: readonly [PortTraffic, PortTraffic];
}

/** A device model: the register-level front; engines do its data path. Synchronous, in the core's thread. */
export interface VirtualDevice {
  /** Sizes of its windows in bytes, by index. */
  readonly windows: readonly number[];
  read32(window: number, offset: number): number;
  write32(window: number, offset: number, value: number): void;
  /** The reset line: registers to their reset values, engines aborted, interrupts low. */
  reset(): void;
  /** Every register and what is promised about it. For `accel info`. */
  registers(): RegisterStatus[];
  /** Told about every operation that completed, by models that can say what it would take on silicon. */
  onOperation?: ((cost: OperationCost) => void) | undefined;
}

/** How a large command becomes parts that threads compute side by side, with the same bytes in memory afterwards. */
export interface Parallel {
  /** At most `parts` commands, or undefined when it would not pay. Each has its own scratch. */
  split(engine: string, command: Int32Array, parts: number): readonly Int32Array[] | undefined;
  /** The result of the whole, made in `results[0]`. */
  join(results: readonly Int32Array[]): void;
}

/** How a machine makes a model: the constructor, its engines, and where it sits. */
export interface DeviceModel {
  /** `nvdla`: also the name of its kernel module and of its engine factory. */
  readonly name: string;
  /** Makes the model of one device; `options` come from the board. */
  create(port: DevicePort, options: Readonly<Record<string, unknown>>): VirtualDevice;
  /** Absent when the model has no data path of its own. */
  readonly engine?: EngineFactory;
  /** False when the engine has no kernel module; else dist/kernels/<name>.wasm is instantiated for it. */
  readonly kernels?: boolean;
  /**
   * Faults the model acts out itself. `ecc`: it has registers that report memory errors; without, the bus answers the read with
   * an error. `firmware-crash`: a processor in it runs firmware; without, that fault cannot be asked for.
   */
  readonly faults?: readonly ('ecc' | 'firmware-crash')[];
  /** Bytes of scratch that the engine of this name needs. */
  scratchBytes(engine: string): number;
  /** Absent when commands are always computed by one thread. */
  readonly parallel?: Parallel;
  /**
   * For models of other packages: URL of the module that exports this object as `model`, so that a thread can load its
   * engine. Absent: the model is one of ours, or its engines only run inline.
   */
  readonly module?: string;
}
