// A machine for the conformance suite and the fuzzer: two of a board, on a clock that the caller moves.
// Not the machine programs use: openSystem, whose clock is the real one.
import { TestClock } from '../base/clock.js';
import type { Board, DriverEntry } from '../machine/index.js';
import { machineSystem, type EngineKind, type SuiteSystem } from '../testing/index.js';
import { openSystem } from './system.js';

/** MiB of DRAM: small enough that a case can fill it. */
const DRAM = 64;
/** Nanoseconds the clock shows at first: 0 would make absolute times of the past negative. */
const START = 1e9;

/** The day of these systems, as fixed as their clock: a driver past its date must still be testable. */
export const SUITE_TODAY = '2026-11-25';

export interface SuiteMachineOptions {
  /** A board's name, or a board of another package. */
  readonly board: string | Board;
  /** Drivers of other packages. */
  readonly drivers?: readonly DriverEntry[];
  readonly engines: EngineKind;
  /** Devices of that board. Default 2. */
  readonly count?: number;
}

/** @throws AccelError ENODEV for an unknown board */
export function suiteSystem({ board, drivers = [], engines, count = 2 }: SuiteMachineOptions): SuiteSystem {
  const clock = new TestClock(START);
  const devices = Array.from({ length: count }, () => board);
  const { machine } = openSystem({
    devices,
    drivers,
    engines,
    clock,
    dram: DRAM,
    staging: true,
    today: SUITE_TODAY,
  });
  return machineSystem(machine, clock, turn);
}

/** Posted work is microtasks: all of it has run when an immediate does. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
