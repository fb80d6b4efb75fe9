// Trace points: the eleven steps of a job, for whoever subscribes. Costs one comparison while nobody does.
// Not a recorder: subscribers keep what they want.
import type { Clock } from '../base/clock.js';

/** The steps of one job, end to end. Numbers are the design's. */
export const TraceStep = {
  /** A file of a device whose driver is in staging is opened: no step of a job, a mark on the system. */
  staging: 0,
  /** A buffer is mapped in the client's address space. */
  bufferMapped: 1,
  /** An ioctl arrives. */
  ioctl: 2,
  /** Arguments are copied in, the handler runs. */
  dispatch: 3,
  /** A job is pushed to its entity. */
  jobPushed: 4,
  /** Dependencies are met and there is room: the scheduler hands the job to the driver. */
  jobRun: 5,
  /** The driver has written descriptors and rings the doorbell. */
  doorbell: 6,
  /** The model takes the start. */
  deviceStart: 7,
  /** The engine computes. */
  engine: 8,
  /** The model raises its interrupt. */
  interrupt: 9,
  /** The driver's interrupt handler. */
  irqHandler: 10,
  /** The job's finished fence signals. */
  jobDone: 11,
} as const;
export type TraceStep = (typeof TraceStep)[keyof typeof TraceStep];

export interface TraceInfo {
  /** `accel0`, or the bus name before a device is registered. */
  readonly device: string;
  /** Client id of the file. */
  readonly client?: number | undefined;
  readonly job?: number | undefined;
  /** Engine, scheduler or call. */
  readonly name?: string;
  /** For people: register and value, errno, size. */
  readonly detail?: string | undefined;
}

export interface TraceEvent extends TraceInfo {
  readonly step: TraceStep;
  /** Clock nanoseconds. */
  readonly at: number;
}

/** Where trace points go. Check `enabled` before building the info. */
export class Trace {
  /** True while somebody listens. */
  enabled = false;
  readonly #clock: Clock;
  readonly #listeners = new Set<(event: TraceEvent) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  emit(step: TraceStep, info: TraceInfo): void {
    if (!this.enabled) return;
    const event: TraceEvent = { step, at: this.#clock.now(), ...info };
    for (const listener of this.#listeners) listener(event);
  }

  /** Calls `listener` with every event until disposed. */
  subscribe(listener: (event: TraceEvent) => void): Disposable {
    // Wrapped: the same function may subscribe twice.
    const own = (event: TraceEvent): void => listener(event);
    this.#listeners.add(own);
    this.enabled = true;
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(own);
        this.enabled = this.#listeners.size > 0;
      },
    };
  }
}
