// Where the time of a dispatch goes, by stage, and whether the device had to clamp numbers.
// Not the device's own busy time: that is the driver's to report.

/** Nanoseconds per stage of one dispatch, or their sums over many. */
export interface DispatchTimes {
  /** Inputs converted and packed to the device's layout. */
  pack: number;
  /** From submit to the job's end, as the caller waits: scheduling, driver and device. */
  device: number;
  /** Outputs unpacked and converted. */
  unpack: number;
  /** Operators computed on the host. */
  host: number;
}

/** Requests of a device that tells when a sum or a result did not fit its integers, and those of them in which one did not. */
export interface Saturation {
  requests: number;
  /** Their results are those of numbers clamped to the nearest that fits: no error, but not what the model says. */
  saturated: number;
}

/** Of one dispatch; stages add to it. */
export interface DispatchReport {
  readonly times: DispatchTimes;
  /** Undefined where no device of the program tells. */
  saturation?: Saturation;
}

export function noTimes(): DispatchTimes {
  return { pack: 0, device: 0, unpack: 0, host: 0 };
}

/** Nanoseconds of getting a graph ready. */
export interface BuildTimes {
  /** Import, passes, quantisation, target. */
  compile: number;
  /** Buffers allocated, mapped and filled. */
  upload: number;
}

/** The part of a clock used here; without one all times are 0. */
export interface Ticks {
  now(): number;
}

export const noTicks: Ticks = { now: () => 0 };
