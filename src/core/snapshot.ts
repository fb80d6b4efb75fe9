// One look at everything: devices, engines, queues, clients, health. What `top`, `ls` and metrics show.
// Not live: plain data, taken at one time.
import type { Core } from './core.js';
import type { AccelDevice } from './device.js';
import { memoryUsage, type MemoryUsage } from './fdinfo.js';
import type { StagingState } from './manifest.js';
import type { AnyFile } from './ioctl.js';
import type { SchedulerStats } from './scheduler.js';
import type { EngineUsage } from './usage.js';

export interface QueueSnapshot extends SchedulerStats {
  readonly name: string;
  /** Nanoseconds from push to finish, of finished jobs. */
  readonly latency: {
    readonly count: number;
    readonly sumNs: number;
    readonly p50Ns: number;
    readonly p99Ns: number;
    readonly buckets: readonly { readonly below: number; readonly count: number }[];
  };
}

export interface ClientSnapshot {
  readonly clientId: number;
  readonly pid: number;
  readonly process: string;
  readonly handles: number;
  readonly memory: MemoryUsage;
  readonly engines: readonly EngineUsage[];
}

export interface HealthSnapshot {
  readonly hangs: number;
  readonly resets: number;
  readonly dmaFaults: number;
  readonly eccCorrected: number;
  readonly eccUncorrected: number;
  readonly defects: number;
}

export interface DeviceSnapshot {
  readonly minor: number;
  readonly name: string;
  readonly busName: string;
  readonly driver: string;
  /** `1.0.0`. */
  readonly version: string;
  /** Of a driver in staging; else null. */
  readonly staging: StagingState | null;
  readonly power: {
    readonly suspended: boolean;
    readonly users: number;
    readonly suspends: number;
    readonly resumes: number;
  };
  readonly health: HealthSnapshot;
  readonly engines: readonly EngineUsage[];
  readonly queues: readonly QueueSnapshot[];
  readonly clients: readonly ClientSnapshot[];
}

export interface Snapshot {
  /** Clock nanoseconds. */
  readonly at: number;
  readonly memory: { readonly size: number; readonly used: number };
  readonly devices: readonly DeviceSnapshot[];
}

function client(file: AnyFile, now: number): ClientSnapshot {
  return {
    clientId: file.clientId,
    pid: file.process.pid,
    process: file.process.name,
    handles: file.handles,
    memory: memoryUsage(file),
    engines: [...file.busyTimes].map(([engine, time]) => time.usage(engine, now)),
  };
}

function device(of: AccelDevice, now: number): DeviceSnapshot {
  const { driver, health, power } = of;
  const { major, minor, patch } = driver.version;
  const schedulers = [...of.schedulers];
  return {
    minor: of.minor,
    name: of.name,
    busName: of.busName,
    driver: driver.name,
    version: `${major}.${minor}.${patch}`,
    staging: of.staging ?? null,
    power: {
      suspended: power.suspended,
      users: power.users,
      suspends: power.suspends,
      resumes: power.resumes,
    },
    health: {
      hangs: health.hangs,
      resets: health.resets,
      dmaFaults: health.dmaFaults,
      eccCorrected: health.eccCorrected,
      eccUncorrected: health.eccUncorrected,
      defects: health.defects,
    },
    engines: driver.usage?.(of) ?? schedulers.map(({ name, busy }) => busy.usage(name, now)),
    queues: schedulers.map(({ name, stats, latency }) => ({
      name,
      ...stats,
      latency: {
        count: latency.count,
        sumNs: latency.sum,
        p50Ns: latency.quantile(0.5),
        p99Ns: latency.quantile(0.99),
        buckets: latency.buckets(),
      },
    })),
    clients: [...of.files].map((file) => client(file, now)),
  };
}

export function snapshot(core: Core): Snapshot {
  const now = core.clock.now();
  return {
    at: now,
    memory: { size: core.memory.size, used: core.memory.used },
    devices: core.devices().map((one) => device(one, now)),
  };
}
