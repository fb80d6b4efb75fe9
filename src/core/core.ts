// The core: devices by minor number, and opening them. What drivers/accel/drm_accel.c and drm_drv.c are to Linux.
// Not a singleton: a machine makes its own, a test makes as many as it likes.
import type { Clock } from '../base/clock.js';
import { AccelError } from '../base/errors.js';
import { IdTable } from '../base/id-table.js';
import type { SystemMemory } from '../base/memory.js';
import { AccelDevice } from './device.js';
import type { Driver } from './driver.js';
import { ClientFile } from './file.js';
import { MmapOffsets } from './gem.js';
import { LocalFile } from './local-file.js';
import type { Process } from './process.js';
import { snapshot, type Snapshot } from './snapshot.js';
import { SwSyncTimeline } from './sw-sync.js';
import { Trace, TraceStep } from './trace.js';

/** Character major of the accel class (ACCEL_MAJOR). */
export const ACCEL_MAJOR = 261;
/** Most devices at a time (ACCEL_MAX_MINORS). */
export const ACCEL_MAX_MINORS = 256;

export interface CoreOptions {
  readonly clock: Clock;
  readonly memory: SystemMemory;
}

export interface RegisterOptions<Hw, Own> {
  readonly driver: Driver<Hw, Own>;
  readonly hw: Hw;
  readonly busName: string;
}

export interface OpenOptions {
  /** O_EXCL. */
  readonly exclusive?: boolean;
  /** O_NONBLOCK: read gives EAGAIN instead of sleeping. */
  readonly nonblock?: boolean;
}

interface Minor {
  device: AccelDevice | undefined;
}

export class Core {
  readonly clock: Clock;
  readonly memory: SystemMemory;
  readonly trace: Trace;
  readonly #minors = new IdTable<Minor>({ first: 0, limit: ACCEL_MAX_MINORS });
  readonly #offsets = new MmapOffsets();
  #clients = 0;

  constructor({ clock, memory }: CoreOptions) {
    this.clock = clock;
    this.memory = memory;
    this.trace = new Trace(clock);
  }

  /** Gives a device the lowest free minor; it can be opened from now on. @throws AccelError ENOSPC when all are taken */
  register<Hw, Own>({ driver, hw, busName }: RegisterOptions<Hw, Own>): AccelDevice<Hw> {
    // The number is part of the device, so it is taken first.
    const slot: Minor = { device: undefined };
    const minor = this.#minors.add(slot);
    if (minor === undefined) {
      throw new AccelError('ENOSPC', { reason: `all ${ACCEL_MAX_MINORS} minors are taken` });
    }
    try {
      const device = new AccelDevice<Hw>({
        minor,
        busName,
        driver,
        hw,
        memory: this.memory,
        clock: this.clock,
        trace: this.trace,
        offsets: this.#offsets,
        onUnplug: () => this.#minors.remove(minor),
      });
      slot.device = device as AccelDevice;
      return device;
    } catch (error) {
      this.#minors.remove(minor);
      throw error;
    }
  }

  /** By minor (0), name (`accel0`) or node (`/dev/accel/accel0`). @throws AccelError ENODEV */
  device(minorOrName: number | string): AccelDevice {
    const minor =
      typeof minorOrName === 'number'
        ? minorOrName
        : Number(/^(?:\/dev\/accel\/)?accel(\d+)$/.exec(minorOrName)?.[1] ?? NaN);
    const device = this.#minors.get(minor)?.device;
    if (device === undefined) throw new AccelError('ENODEV', { reason: `no device ${minorOrName}` });
    return device;
  }

  /** All devices, by minor. */
  devices(): AccelDevice[] {
    return [...this.#minors.values()].flatMap(({ device }) => device ?? []);
  }

  /** open(2) of sw_sync: a test timeline, as a descriptor of `process`. @throws AccelError EMFILE */
  openSwSync(process: Process): number {
    return process.fds.install(new SwSyncTimeline(this.clock, process.name));
  }

  /** Everything there is to see, at one time: plain data. */
  snapshot(): Snapshot {
    return snapshot(this);
  }

  /**
   * open(2) of a node.
   * @throws AccelError ENODEV, EBUSY with `exclusive`, and what the driver's open throws
   */
  open(
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a device of any driver
    device: AccelDevice<any> | number | string,
    process: Process,
    { exclusive = false, nonblock = false }: OpenOptions = {},
  ): LocalFile {
    const call = 'open';
    const target: AccelDevice = typeof device === 'object' ? device : this.device(device);
    if (target.unplugged) throw new AccelError('ENODEV', { call, reason: `${target.name} is gone` });
    if (exclusive) throw new AccelError('EBUSY', { call, reason: 'an accel node is never exclusive' });
    const file = new ClientFile(target, process, ++this.#clients);
    const { staging, name } = target;
    if (staging !== undefined && this.trace.enabled) {
      const detail = `in staging until ${staging.until}, open rules: ${staging.failing.join(', ')}`;
      this.trace.emit(TraceStep.staging, {
        device: name,
        client: file.clientId,
        name: staging.driver,
        detail,
      });
    }
    return new LocalFile(file, nonblock);
  }
}
