// Estimated cycles of a score, for PTC and PSC, by the formula of hw/gna/cost.ts.
// Not a timing model: nothing waits for it.
//
// The selected event is the part of it that fits its name; selections without a counterpart here read 0.
import type { GnaConfig } from '../../hw/gna/config.js';
import { BYTES_PER_CYCLE, DESCRIPTOR_CYCLES, gnaComputeCycles, gnaCycles } from '../../hw/gna/cost.js';
import type { LayerPlan } from './plan/plan.js';

/** Of a page table walk. */
const PAGE_CYCLES = 2;
const PAGE = 4096;

/** CTRL.STATISTICS. Selections 4 to 7 exist from 2.0. Section 2. */
const Select = { STALL: 1, DMA: 2, MMU: 3, DESCRIPTOR: 4, INPUT_FILL: 5 } as const;
const LAST_BEFORE_2 = 3;

export class Cycles {
  #compute = 0;
  #inputBytes = 0;
  #bytes = 0;
  #layers = 0;
  readonly #config: GnaConfig;

  constructor(config: GnaConfig) {
    this.#config = config;
  }

  clear(): void {
    this.#compute = this.#inputBytes = this.#bytes = this.#layers = 0;
  }

  add(plan: LayerPlan): void {
    this.#compute += gnaComputeCycles(this.#config, plan.macs, plan.inputBytes);
    for (const { field, bytes } of plan.operands) {
      this.#bytes += bytes;
      if (field === 'input' || field === 'features') this.#inputBytes += bytes;
    }
    this.#layers++;
  }

  get total(): number {
    return word(gnaCycles(this.#compute, this.#bytes, this.#layers));
  }

  /** The event that `select` counts. */
  event(select: number): number {
    if (select > LAST_BEFORE_2 && this.#config.deviceType < 0x20) return 0;
    switch (select) {
      case Select.STALL:
      case Select.DMA:
        return word(this.#bytes / BYTES_PER_CYCLE);
      case Select.MMU:
        return word((this.#bytes / PAGE) * PAGE_CYCLES);
      case Select.DESCRIPTOR:
        return word(this.#layers * DESCRIPTOR_CYCLES);
      case Select.INPUT_FILL:
        return word(this.#inputBytes / BYTES_PER_CYCLE);
      default:
        return 0;
    }
  }
}

function word(cycles: number): number {
  return Math.min(Math.ceil(cycles), 0xffffffff);
}
