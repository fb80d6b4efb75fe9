// When the layers of a segment would begin and end: each waits for the layers it needs and for its units; layers that run at the
// same time share the memory ports.
// Not a simulation of hardware: what a layer costs by itself is the target's estimate, this only lays the layers side by side.
import type { LayerReport } from '../targets/program.js';

/** In cycles. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Bytes per cycle: DRAM for reads and writes together, SRAM for each. */
export interface MemoryRates {
  readonly dram: number;
  readonly sramRead: number;
  readonly sramWrite: number;
}

/** What a running layer has yet to do: cycles of its units, bytes of DRAM, of SRAM reads, of SRAM writes. */
type Rest = [compute: number, dram: number, sramRead: number, sramWrite: number];

/** Work below this is done: sums of fractions of cycles. */
const NOTHING = 1e-6;

/** Names of the units of a layer, in the order of its pipe. */
export function unitsOf({ unit }: Pick<LayerReport, 'unit'>): string[] {
  return unit.split('+');
}

/** Spans of the layers, by index. */
export function timeline(layers: readonly LayerReport[], rates: MemoryRates): Span[] {
  const start = new Array<number>(layers.length).fill(-1);
  const end = new Array<number>(layers.length).fill(-1);
  const waiting = layers.map((_, index) => index);
  const running = new Map<number, Rest>();
  let now = 0;
  while (waiting.length > 0 || running.size > 0) {
    begin();
    const speeds = shares(running, rates);
    let step = Infinity;
    for (const rest of running.values()) {
      // One without any work ends at once.
      if (rest.every((left) => left <= NOTHING)) step = 0;
      rest.forEach((left, i) => {
        if (left > NOTHING) step = Math.min(step, left / speeds[i]!);
      });
    }
    now += step;
    for (const [index, rest] of running) {
      for (let i = 0; i < rest.length; i++) rest[i] = Math.max(0, rest[i]! - step * speeds[i]!);
      if (rest.some((left) => left > NOTHING)) continue;
      end[index] = now;
      running.delete(index);
    }
  }
  return layers.map((_, i) => ({ start: start[i]!, end: end[i]! }));

  /** Starts every layer whose needs are complete and whose units have come to it. */
  function begin(): void {
    const busy = new Set([...running.keys()].flatMap((index) => unitsOf(layers[index]!)));
    for (let i = 0; i < waiting.length; i++) {
      const layer = layers[waiting[i]!]!;
      const units = unitsOf(layer);
      const ready = layer.after.every((index) => end[index]! >= 0) && !units.some((unit) => busy.has(unit));
      // Units take their layers in order: who waits keeps them from later ones.
      for (const unit of units) busy.add(unit);
      if (!ready) continue;
      const [dram, sram] = layer.cost.traffic;
      start[layer.index] = now;
      running.set(layer.index, [layer.cost.compute, dram.read + dram.write, sram.read, sram.write]);
      waiting.splice(i--, 1);
    }
  }
}

/** Progress per cycle of each kind of work: a memory port is shared evenly by who still needs it. */
function shares(running: ReadonlyMap<number, Rest>, rates: MemoryRates): Rest {
  const users = [0, 0, 0, 0];
  for (const rest of running.values())
    rest.forEach((left, i) => {
      if (left > NOTHING) users[i]!++;
    });
  const share = (rate: number, i: number): number => rate / Math.max(1, users[i]!);
  return [1, share(rates.dram, 1), share(rates.sramRead, 2), share(rates.sramWrite, 3)];
}
