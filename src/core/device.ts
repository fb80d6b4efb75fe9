// A registered accelerator: its minor, its driver, its hardware state.
// Not the bus's device: drivers keep that in Hw.

export interface AccelDevice<Hw> {
  readonly hw: Hw;
}
