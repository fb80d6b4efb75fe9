// What went wrong on a device since it was registered, and how often.
// Not a log: counters only grow.

/** Counters of one device. The scheduler counts hangs and resets; drivers the rest. */
export class Health {
  /** Jobs that ran past their limit. */
  hangs = 0;
  /** Times the driver reset the hardware after a hang or a fault. */
  resets = 0;
  /** DMA accesses that the IOMMU or the device's own tables blocked. */
  dmaFaults = 0;
  /** Corrected memory errors. */
  eccCorrected = 0;
  /** Memory errors that lost data. */
  eccUncorrected = 0;
  /** Exceptions a driver's callback threw that were no AccelError: a defect. The last one is kept. */
  defects = 0;
  lastDefect: unknown;

  defect(error: unknown): void {
    this.defects++;
    this.lastDefect = error;
  }
}
