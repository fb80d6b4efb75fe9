// A registered accelerator: its minor, its driver, its hardware state, its open files.
// Not the bus's device: drivers keep that in Hw.
import type { Clock } from '../base/clock.js';
import type { SystemMemory } from '../base/memory.js';
import type { Driver } from './driver.js';
import type { ErrnoName } from '../base/errors.js';
import type { ClientFile } from './file.js';
import { GemObject, type MmapOffsets } from './gem.js';
import { Health } from './health.js';
import { ioctlTable, type IoctlTable } from './ioctl.js';
import { RuntimePower } from './power.js';
import type { SchedulerStats } from './scheduler.js';
import type { Histogram } from './histogram.js';
import type { StagingState } from './manifest.js';
import type { Trace } from './trace.js';
import type { BusyTime } from './usage.js';

/** What a scheduler is to its device. */
export interface DeviceScheduler {
  readonly name: string;
  readonly stats: SchedulerStats;
  readonly latency: Histogram;
  readonly busy: BusyTime;
  /** The hardware is gone: every job ends with `error`, now and from now on. */
  gone(error: ErrnoName): void;
}

/** What the core gives to a device it registers. */
export interface DeviceWiring<Hw> {
  readonly minor: number;
  readonly busName: string;
  readonly driver: Driver<Hw, any>; // eslint-disable-line @typescript-eslint/no-explicit-any -- files know their own state
  readonly hw: Hw;
  readonly memory: SystemMemory;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly offsets: MmapOffsets;
  /** Frees the minor. */
  readonly onUnplug: () => void;
}

/** Made by Core.register. */
export class AccelDevice<Hw = unknown> {
  readonly minor: number;
  /** `accel0`; its node is /dev/accel/accel0. */
  readonly name: string;
  /** Where it sits: `10000000.nvdla`, `0000:00:08.0`. */
  readonly busName: string;
  readonly driver: Driver<Hw, any>; // eslint-disable-line @typescript-eslint/no-explicit-any -- as above
  readonly hw: Hw;
  readonly memory: SystemMemory;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly health = new Health();
  /** Runtime suspend. The scheduler holds it while jobs run; handlers that touch registers get() and put() it. */
  readonly power: RuntimePower;
  readonly offsets: MmapOffsets;
  /** Set by who binds a driver that is in staging: files, traces and tools say so. */
  staging: StagingState | undefined;
  /** Calls by number: the generic ones and the driver's. */
  readonly ioctls: IoctlTable;
  readonly #files = new Set<ClientFile<Hw, any>>(); // eslint-disable-line @typescript-eslint/no-explicit-any -- as above
  readonly #schedulers = new Set<DeviceScheduler>();
  readonly #onUnplug: () => void;
  #unplugged = false;

  constructor(wiring: DeviceWiring<Hw>) {
    this.minor = wiring.minor;
    this.name = `accel${wiring.minor}`;
    this.busName = wiring.busName;
    this.driver = wiring.driver;
    this.hw = wiring.hw;
    this.memory = wiring.memory;
    this.clock = wiring.clock;
    this.trace = wiring.trace;
    this.offsets = wiring.offsets;
    this.#onUnplug = wiring.onUnplug;
    this.ioctls = ioctlTable(wiring.driver.ioctls);
    const { driver, clock } = wiring;
    this.power = new RuntimePower({
      clock,
      autosuspendNs: driver.autosuspendNs,
      suspend: driver.suspend && (() => driver.suspend!(this)),
      resume: driver.resume && (() => driver.resume!(this)),
    });
  }

  /** A buffer of the driver's own, in no file. The caller owns its reference. @throws AccelError EINVAL, ENOMEM */
  createGem(bytes: number): GemObject {
    return new GemObject({ memory: this.memory, offsets: this.offsets, bytes });
  }

  /** Files open now. */
  get files(): ReadonlySet<ClientFile<Hw>> {
    return this.#files;
  }

  get schedulers(): ReadonlySet<DeviceScheduler> {
    return this.#schedulers;
  }

  get unplugged(): boolean {
    return this.#unplugged;
  }

  /**
   * The device is gone: calls, mmap and open give ENODEV from now on, every fence signals, the minor is free again.
   * Open files stay until closed. Idempotent.
   */
  unplug(): void {
    if (this.#unplugged) return;
    this.#unplugged = true;
    this.power.end();
    this.#onUnplug();
    this.guard(() => this.driver.unplug(this));
    for (const scheduler of this.#schedulers) scheduler.gone('ENODEV');
    for (const file of this.#files) file.events.end('ENODEV');
  }

  /** Runs a callback of the driver that must not fail: what it throws is counted as a defect and goes no further. */
  guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.health.defect(error);
    }
  }

  /** For the scheduler's constructor. */
  addScheduler(scheduler: DeviceScheduler): void {
    this.#schedulers.add(scheduler);
  }

  /** For ClientFile. */
  addFile(file: ClientFile<Hw>): void {
    this.#files.add(file);
  }

  /** For ClientFile. */
  removeFile(file: ClientFile<Hw>): void {
    this.#files.delete(file);
  }
}
