// Where the time of a dispatch goes, by stage.
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
