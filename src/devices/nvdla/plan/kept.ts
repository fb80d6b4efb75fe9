// Commands that register contents came to: the same layer armed again is looked up, not planned.
// Not a promise about memory: device addresses are translated anew every time, and a different answer plans anew.
import type { Unit } from '../unit.js';
import type { MapRequest, Plan } from './plan.js';

interface Kept {
  readonly units: readonly Unit[];
  readonly words: Uint32Array;
  readonly requests: readonly MapRequest[];
  readonly command: Int32Array;
}

/** Layers kept; when there are more all are forgotten, as a network larger than this gains nothing from the rest. */
const LIMIT = 1024;

export class KeptCommands {
  readonly #byHash = new Map<number, Kept>();
  #key = new Uint32Array(512);
  #length = 0;
  #hash = 0;

  /**
   * The command of `units` as they are programmed now, its memory mapped in `plan`. Undefined when it is not known, or when
   * its addresses lead elsewhere now. @throws Faulted
   */
  find(units: readonly Unit[], plan: Plan): Int32Array | undefined {
    this.#read(units);
    const kept = this.#byHash.get(this.#hash);
    if (kept === undefined || !this.#matches(kept, units)) return undefined;
    for (const { iova, bytes, access, ramType, address } of kept.requests) {
      if (plan.map(iova, bytes, access, ramType) === address) continue;
      plan.release();
      return undefined;
    }
    return kept.command;
  }

  /** Keeps the command of the units that were last looked for. */
  keep(units: readonly Unit[], plan: Plan, command: Int32Array): void {
    if (plan.ownsMemory) return;
    if (this.#byHash.size >= LIMIT) this.#byHash.clear();
    this.#byHash.set(this.#hash, {
      units,
      words: this.#key.slice(0, this.#length),
      requests: plan.requests.slice(),
      command: command.slice(),
    });
  }

  clear(): void {
    this.#byHash.clear();
  }

  #read(units: readonly Unit[]): void {
    let length = 0;
    for (const unit of units) length += unit.programmedWords;
    if (length > this.#key.length) this.#key = new Uint32Array(2 * length);
    this.#length = 0;
    for (const unit of units) this.#length = unit.programmed(this.#key, this.#length);
    // FNV-1a over words.
    let hash = 0x811c9dc5;
    for (let i = 0; i < this.#length; i++) hash = Math.imul(hash ^ this.#key[i], 0x01000193);
    this.#hash = hash;
  }

  #matches(kept: Kept, units: readonly Unit[]): boolean {
    const { words } = kept;
    if (words.length !== this.#length || kept.units.length !== units.length) return false;
    for (let i = 0; i < units.length; i++) if (kept.units[i] !== units[i]) return false;
    for (let i = 0; i < words.length; i++) if (words[i] !== this.#key[i]) return false;
    return true;
  }
}
