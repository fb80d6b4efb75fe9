// What every part of the driver holds of one NVDLA: its configuration, its units' registers, DRAM for descriptors.
// Not a state machine: what runs is the engine's business.
import type { Clock } from '../../base/clock.js';
import type { SystemMemory } from '../../base/memory.js';
import type { Register, RegisterIo } from '../../base/registers.js';
import { registerMaps, type NvdlaConfig, type RegisterMap, type UnitName } from '../../hw/nvdla/index.js';

/** A unit's registers and where they start in the CSB window. */
export interface Unit<N extends UnitName = UnitName> {
  readonly base: number;
  readonly r: RegisterMap['units'][N];
}

export class Hardware {
  readonly config: NvdlaConfig;
  /** The whole CSB window; offsets are CSB byte addresses. */
  readonly io: RegisterIo;
  readonly memory: SystemMemory;
  readonly clock: Clock;
  readonly #map: RegisterMap;

  constructor(config: NvdlaConfig, io: RegisterIo, memory: SystemMemory, clock: Clock) {
    this.config = config;
    this.io = io;
    this.memory = memory;
    this.clock = clock;
    this.#map = registerMaps[config.family];
  }

  /** A unit of this configuration's register family. */
  unit<N extends UnitName>(name: N): Unit<N> {
    const base = this.#map.base[name];
    if (base === undefined) throw new Error(`the ${this.config.family} register map has no ${name}`);
    return { base, r: this.#map.units[name] };
  }

  read(unit: { readonly base: number }, register: Register): number {
    return this.io.read32(unit.base + register.at);
  }

  write(unit: { readonly base: number }, register: Register, value: number): void {
    this.io.write32(unit.base + register.at, value);
  }
}
