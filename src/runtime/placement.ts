// Which operator of a graph runs where, and why; and how much of the work that is.
// Not a decision: the compiler made it.
import type { CompiledProgram, Placement } from '../compiler/targets/program.js';

export interface MLPlacement {
  /** Every operator of the model, in the order they run. */
  readonly operators: readonly Placement[];
  /** Multiply-accumulates of the whole graph, and of those on the device. */
  readonly macs: number;
  readonly deviceMacs: number;
  /** deviceMacs / macs, from 0 to 1; 1 for a graph without any. */
  readonly share: number;
}

export function placementOf({ placement }: CompiledProgram): MLPlacement {
  let macs = 0;
  let deviceMacs = 0;
  for (const entry of placement) {
    macs += entry.macs;
    if (entry.device !== 'host' && entry.device !== 'none') deviceMacs += entry.macs;
  }
  return { operators: placement, macs, deviceMacs, share: macs === 0 ? 1 : deviceMacs / macs };
}
