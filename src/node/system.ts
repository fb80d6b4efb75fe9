// A machine on this computer: real clock, engines inline or in threads, kernels from the build.
// Not a daemon: the devices live in this process.
import type { Clock } from '../base/clock.js';
import { AccelError } from '../base/errors.js';
import type { AccelFile } from '../core/accel-file.js';
import { Process } from '../core/process.js';
import {
  InlineEngines,
  Machine,
  type EngineHost,
  type MachineDevice,
  type MachineOptions,
} from '../machine/index.js';
import { RealClock } from './clock.js';
import { loadKernels } from './kernels.js';
import { WorkerEngines } from './worker-engines.js';

export type EngineKind = EngineHost['kind'];

export interface SystemOptions {
  /** Board names, or boards of other packages. Default one `nvdla:nv_large`. */
  readonly devices?: MachineOptions['boards'];
  /** Drivers of other packages. */
  readonly drivers?: MachineOptions['drivers'];
  /** Default inline. */
  readonly engines?: EngineKind;
  /** MiB of DRAM. */
  readonly dram?: number;
  /** `(memory) => new MemoryFiles(memory)` puts each buffer into a file that other processes can map. Default plain DRAM. */
  readonly backing?: MachineOptions['backing'];
  readonly clock?: Clock;
  /** Lets drivers in staging load. Default false. */
  readonly staging?: boolean;
  /** ISO date by which time in staging is judged. Default today's. */
  readonly today?: string;
  readonly bare?: boolean;
  onGuestError?(device: string, text: string): void;
}

/** Today's date, ISO, UTC. */
export const today = (): string => new Date().toISOString().slice(0, 10);

export const DEFAULT_BOARD = 'nvdla:nv_large';

export interface System extends Disposable {
  readonly machine: Machine;
  readonly clock: Clock;
  /**
   * Opens a device by minor name, bus name or board name; default the first.
   * @throws AccelError ENODEV when there is none of that name
   */
  open(device?: string, process?: Process): AccelFile;
  device(name?: string): MachineDevice;
}

/** @throws AccelError ENODEV for a board that is not known, EPERM for a driver in staging without `staging` */
export function openSystem(options: SystemOptions = {}): System {
  const clock = options.clock ?? new RealClock();
  const kernels = loadKernels();
  const machine = new Machine({
    boards: options.devices ?? [DEFAULT_BOARD],
    clock,
    staging: options.staging ?? false,
    today: options.today ?? today(),
    engines: options.engines === 'worker' ? new WorkerEngines(kernels) : new InlineEngines(clock, kernels),
    ...(options.dram === undefined ? {} : { dram: options.dram }),
    ...(options.backing === undefined ? {} : { backing: options.backing }),
    drivers: options.drivers ?? [],
    bare: options.bare ?? false,
    onGuestError: (device, text) => options.onGuestError?.(device, text),
  });
  const device = (name?: string): MachineDevice => {
    const found = name === undefined ? machine.devices[0] : machine.device(name);
    if (found === undefined) throw new AccelError('ENODEV', { reason: `no device ${name ?? ''}` });
    return found;
  };
  return {
    machine,
    clock,
    device,
    open: (name, process = new Process()) => {
      const { accel, slot } = device(name);
      if (accel === undefined)
        throw new AccelError('ENODEV', { reason: `no driver is bound to ${slot.name}` });
      return machine.core.open(accel, process);
    },
    [Symbol.dispose]: () => machine[Symbol.dispose](),
  };
}
