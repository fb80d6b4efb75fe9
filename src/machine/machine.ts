// A system: DRAM, buses with models, the core with drivers. The only place that knows all of them.
// Not a platform: clock, engine host and kernels are handed in, so the same system runs in Node and in a browser.
import type { Clock } from '../base/clock.js';
import { DisposableStack } from '../base/disposable.js';
import { AccelError } from '../base/errors.js';
import type { WasmMemory } from '../base/wasm.js';
import type { PciDevice, PlatformDevice } from '../bus/device.js';
import { pciDevice } from '../bus/pci.js';
import { platformDevice, Slot } from '../bus/platform.js';
import type { VirtualDevice } from '../bus/port.js';
import { Core } from '../core/core.js';
import type { AccelDevice } from '../core/device.js';
import { TraceStep } from '../core/trace.js';
import { boardByName, boards, type Board, type BoardDevice } from './boards.js';
import { Dram, type PageBacking } from './dram.js';
import { bind, drivers, type Admission, type DriverEntry } from './drivers.js';
import { faultyHandle, type EngineHost, type FaultyHandle } from './engines.js';
import { Faults } from './faults.js';

export interface MachineOptions {
  /** Names of our boards, `nvdla:nv_large`, or boards of other packages. Several, and the same one twice, are fine. */
  readonly boards: readonly (string | Board)[];
  /** Drivers of other packages; asked before ours. */
  readonly drivers?: readonly DriverEntry[];
  /** Lets drivers in staging load. Default false. */
  readonly staging?: boolean;
  /** ISO date, for drivers in staging: past its date one is refused. */
  readonly today: string;
  readonly clock: Clock;
  /** Owned by the machine from now on. */
  readonly engines: EngineHost;
  /** MiB of DRAM. Default 1024; costs nothing until touched. */
  readonly dram?: number;
  /** Where buffers lie when other processes are to map them. Owned by the machine. Default plain DRAM. */
  readonly backing?: (memory: WasmMemory) => PageBacking;
  /** Told about mistakes of drivers and programs towards a device, once per text. */
  onGuestError?(device: string, text: string): void;
  /** Binds no driver: for tools that play register traces. */
  readonly bare?: boolean;
}

/** One virtual device in its slot, with the driver's node where one is bound. */
export interface MachineDevice {
  readonly board: Board;
  readonly spec: BoardDevice;
  readonly slot: Slot;
  readonly model: VirtualDevice;
  readonly faults: Faults;
  /** Undefined on a bare machine. */
  readonly accel: AccelDevice<unknown> | undefined;
  /** Mistakes reported so far, each once; clear it to hear of the same again. */
  readonly guestErrors: Set<string>;
  /** Commands its engines are at work on now. */
  readonly inFlight: number;
}

/** Spacing of device windows on one machine, so that bus names stay unique. */
const WINDOW_SPACING = 0x100000;

/** Where BARs are assigned from. */
const PCI_WINDOW = 0xe0000000;

export class Machine implements Disposable {
  readonly memory: Dram;
  readonly core: Core;
  readonly clock: Clock;
  readonly engines: EngineHost;
  readonly devices: MachineDevice[] = [];
  readonly #owned = new DisposableStack();
  readonly #onGuestError: MachineOptions['onGuestError'];
  readonly #drivers: readonly DriverEntry[];
  readonly #admission: Admission;

  /**
   * @throws AccelError ENODEV for a board that is not known, EPERM for a driver in staging that may not load, ENOMEM when scratch
   * does not fit
   */
  constructor(options: MachineOptions) {
    this.clock = options.clock;
    // Before the engines, so that it goes after them.
    const { backing } = options;
    this.memory = new Dram(
      options.dram ?? 1024,
      backing === undefined ? undefined : (memory) => this.#owned.use(backing(memory)),
    );
    this.engines = this.#owned.use(options.engines);
    this.#onGuestError = options.onGuestError;
    this.#drivers = [...(options.drivers ?? []), ...drivers];
    this.#admission = { staging: options.staging ?? false, today: options.today };
    this.core = new Core({ clock: options.clock, memory: this.memory });
    try {
      for (const name of options.boards) {
        const board = typeof name === 'string' ? boardByName(name) : name;
        if (board === undefined) {
          const known = boards.map((candidate) => candidate.name).join(', ');
          throw new AccelError('ENODEV', { field: 'board', reason: `${String(name)} is none of ${known}` });
        }
        for (const spec of board.devices) this.#plug(board, spec, options.bare ?? false);
      }
    } catch (error) {
      this.#owned.dispose();
      throw error;
    }
  }

  /** The device with that minor name (`accel0`), bus name, or board name (`nvdla0` too); the first of several. */
  device(name: string): MachineDevice | undefined {
    const board = boardByName(name);
    return this.devices.find(
      (device) =>
        device.accel?.name === name ||
        device.slot.name === name ||
        device.board === board ||
        device.board.name === name,
    );
  }

  [Symbol.dispose](): void {
    for (const device of this.devices) device.slot.remove();
    this.#owned.dispose();
  }

  #plug(board: Board, spec: BoardDevice, bare: boolean): void {
    const busName = uniqueName(spec, this.devices.length);
    const { faults: own = [] } = spec.model;
    const faults = new Faults(
      own.includes('firmware-crash')
        ? {}
        : { 'firmware-crash': `${board.name} runs no firmware: all of it is hardware and host driver` },
    );
    const handles: FaultyHandle[] = [];
    const guestErrors = new Set<string>();
    const guestError = (text: string): void => {
      if (guestErrors.has(text)) return;
      guestErrors.add(text);
      this.#onGuestError?.(busName, text);
    };
    const slot: Slot = new Slot({
      name: busName,
      clock: this.clock,
      memory: this.memory,
      faults,
      irqs: spec.irqs,
      dmaPorts: spec.dmaPorts,
      ecc: !own.includes('ecc'),
      engine: (unit) => {
        const handle = this.#engine(spec, slot, unit, faults);
        handles.push(handle);
        return handle;
      },
      guestError,
      onIrq: (index) => this.#trace(TraceStep.interrupt, busName, `irq ${index}`),
    });
    const model = spec.model.create(slot.port, spec.options);
    slot.plug(model);
    let accel: AccelDevice<unknown> | undefined;
    if (!bare) {
      accel = bind(this.#busDevice(spec, slot), this.core, this.#drivers, this.#admission);
    }
    this.devices.push({
      board,
      spec,
      slot,
      model,
      faults,
      accel,
      guestErrors,
      get inFlight() {
        return handles.reduce((sum, handle) => sum + handle.inFlight, 0);
      },
    });
  }

  #busDevice(spec: BoardDevice, slot: Slot): PlatformDevice | PciDevice {
    if (spec.bus === 'platform') return platformDevice(slot, spec.compatible);
    return pciDevice(slot, spec.identity, PCI_WINDOW + this.devices.length * WINDOW_SPACING);
  }

  #engine(spec: BoardDevice, slot: Slot, unit: string, faults: Faults): FaultyHandle {
    const busName = slot.name;
    const bytes = spec.model.scratchBytes(unit);
    const address = bytes > 0 ? this.memory.allocate(bytes) : 0;
    if (bytes > 0) this.#owned.defer(() => this.memory.free(address));
    const handle = this.engines.start({
      model: spec.model,
      name: `${busName}/${unit}`,
      memory: this.memory,
      scratch: { address, bytes },
    });
    return faultyHandle(handle, faults, {
      started: () => this.#trace(TraceStep.deviceStart, busName, unit),
      finished: () => this.#trace(TraceStep.engine, busName, unit),
      spurious: () => slot.line(0).spurious(),
      // Pulled out while the command runs, not in the middle of the register write that started it.
      unplug: () => this.clock.post(() => slot.remove()),
    });
  }

  #trace(step: TraceStep, device: string, name: string): void {
    if (this.core.trace.enabled) this.core.trace.emit(step, { device, name });
  }
}

/** The board's name for the first device; the address or device number moved on for others, so that names stay unique. */
function uniqueName(spec: BoardDevice, index: number): string {
  if (spec.bus === 'platform') {
    const [address, node] = spec.busName.split('.');
    return `${(parseInt(address!, 16) + index * WINDOW_SPACING).toString(16)}.${node}`;
  }
  const [, prefix, device, rest] = /^(.*:)([0-9a-f]{2})(\.\d)$/.exec(spec.busName)!;
  return `${prefix}${(parseInt(device!, 16) + index).toString(16).padStart(2, '0')}${rest}`;
}
