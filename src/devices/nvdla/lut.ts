// The look-up tables of SDP and CDP behind their access registers.
// Not the look-up: engine/lut.ts. Fact sheet sections 1.5, 2.5.
import type { SystemMemory } from '../../base/memory.js';
import type { Register } from '../../base/registers.js';
import type { smallUnits } from '../../hw/nvdla/registers.gen.js';
import type { UnitHandler } from './unit.js';

const LE_ENTRIES = 65;
const LO_ENTRIES = 257;

/** Two tables of int16 in DRAM of the device's own, made at the first access: 65 LE entries, then 257 LO entries. */
export class LutTables {
  readonly #memory: SystemMemory;
  readonly #cfg: Register<
    (typeof smallUnits)['SDP']['S_LUT_ACCESS_CFG'] extends Register<infer S> ? S : never
  >;
  #address = 0;
  #access = 0;

  constructor(memory: SystemMemory, table: (typeof smallUnits)['SDP' | 'CDP']) {
    this.#memory = memory;
    this.#cfg = table.S_LUT_ACCESS_CFG;
  }

  readonly handlers: Partial<Record<string, UnitHandler>> = {
    S_LUT_ACCESS_CFG: {
      read: () => this.#access,
      write: (value) => {
        this.#access = value & this.#cfg.writeMask;
      },
    },
    S_LUT_ACCESS_DATA: {
      read: () => {
        if (this.#cfg.f.LUT_ACCESS_TYPE.get(this.#access) !== 0) return 0;
        const at = this.#next();
        return at === undefined ? 0 : this.#memory.view.getUint16(at, true);
      },
      write: (value) => {
        if (this.#cfg.f.LUT_ACCESS_TYPE.get(this.#access) === 0) return;
        const at = this.#next();
        if (at !== undefined) this.#memory.view.setUint16(at, value & 0xffff, true);
      },
    },
  };

  /** DRAM offset of the tables. */
  get address(): number {
    if (this.#address === 0) this.#address = this.#memory.allocate((LE_ENTRIES + LO_ENTRIES) * 2);
    return this.#address;
  }

  reset(): void {
    this.#access = 0;
    if (this.#address === 0) return;
    this.#memory.bytes.fill(0, this.#address, this.#address + (LE_ENTRIES + LO_ENTRIES) * 2);
  }

  /** The entry addressed now; the address moves on. Undefined past the table's end. */
  #next(): number | undefined {
    const lo = this.#cfg.f.LUT_TABLE_ID.get(this.#access) !== 0;
    const index = this.#cfg.f.LUT_ADDR.get(this.#access);
    this.#access = this.#cfg.f.LUT_ADDR.set(this.#access, index + 1);
    if (index >= (lo ? LO_ENTRIES : LE_ENTRIES)) return undefined;
    return this.address + ((lo ? LE_ENTRIES : 0) + index) * 2;
  }
}
