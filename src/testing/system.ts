// What the suite runs on: one device with its driver, on a clock it moves, with faults it can arm.
// Not a machine: an outside driver may build this from whatever it has; machineSystem does it for boards.
import type { TestClock } from '../base/clock.js';
import { AccelError } from '../base/errors.js';
import type { FaultKind } from '../bus/port.js';
import type { AccelDevice, Core } from '../core/index.js';
import type { FaultOptions, Machine } from '../machine/index.js';

/** Where engines run. */
export type EngineKind = 'inline' | 'worker';

/** Arms and counts faults of the device. */
export interface SuiteFaults {
  /** @throws AccelError EOPNOTSUPP when the device cannot suffer it */
  arm(kind: FaultKind, options?: FaultOptions): void;
  disarm(kind?: FaultKind): void;
  delivered(kind: FaultKind): number;
}

/** A fresh system; each case gets its own. */
export interface SuiteSystem extends Disposable {
  readonly core: Core;
  /** The device under test. */
  readonly accel: AccelDevice;
  /** A second device of the same core, where there is one: buffers are passed to it. */
  readonly other: AccelDevice | undefined;
  /** The core's clock: nothing but the suite moves it. */
  readonly clock: TestClock;
  readonly faults: SuiteFaults;
  /** Commands that engines are at work on in real time: the clock must not be moved past them. */
  inFlight(): number;
  unplug(): void;
  /** Raises interrupt line 0 without a cause. */
  spurious(): void;
  /** Lets the host's event loop turn once: everything posted has run when it resolves. */
  turn(): Promise<void>;
}

/** Makes a system of a machine whose first device is tested. Owns the machine. @throws AccelError ENODEV without a driver */
export function machineSystem(machine: Machine, clock: TestClock, turn: () => Promise<void>): SuiteSystem {
  const [device, second] = machine.devices;
  if (device?.accel === undefined)
    throw new AccelError('ENODEV', { reason: 'the machine has no device with a driver' });
  return {
    core: machine.core,
    accel: device.accel,
    other: second?.accel,
    clock,
    faults: device.faults,
    inFlight: () => machine.devices.reduce((sum, { inFlight }) => sum + inFlight, 0),
    unplug: () => device.slot.remove(),
    spurious: () => device.slot.line(0).spurious(),
    turn,
    [Symbol.dispose]: () => machine[Symbol.dispose](),
  };
}
