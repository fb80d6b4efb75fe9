// A GNA without a driver, its DRAM, and a player's view of it.
// Not a machine of our boards: the device sits on a bus of its own.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { disposable } from '../../src/base/disposable.js';
import { pageAlign } from '../../src/base/memory.js';
import type { Domain } from '../../src/bus/iommu.js';
import { gna } from '../../src/devices/gna/index.js';
import type { GnaGeneration } from '../../src/hw/gna/index.js';
import type { Board, MachineDevice } from '../../src/machine/index.js';
import { parseGna, type GnaCase, type GnaTarget } from '../../src/machine/vectors/gna.js';
import { openSystem, type EngineKind, type System } from '../../src/node/system.js';
import { shared } from './shared.js';

function board(generation: GnaGeneration): Board {
  return {
    name: `bare:gna:${generation}`,
    summary: 'a GNA for tests',
    devices: [
      {
        model: gna,
        options: { generation },
        irqs: 1,
        bus: 'platform',
        busName: '10000000.gna',
        compatible: [],
      },
    ],
  };
}

export class GnaRig implements Disposable {
  readonly system: System;
  readonly device: MachineDevice;
  readonly domain: Domain;
  readonly target: GnaTarget;
  /** Milliseconds after which an interrupt counts as lost. */
  readonly patience: number = 20000;

  constructor(generation: GnaGeneration, engines: EngineKind = 'inline') {
    this.system = openSystem({ devices: [board(generation)], engines, bare: true, dram: 256 });
    this.device = this.system.device();
    const { slot } = this.device;
    this.domain = slot.dma.createDomain();
    slot.dma.attach(this.domain);
    this.target = {
      registers: slot.mmio(0),
      memory: this.system.machine.memory,
      map: (address, bytes) => {
        this.domain.map(address, address, pageAlign(bytes), 'read-write');
        return disposable(() => this.domain.unmap(address, pageAlign(bytes)));
      },
      interrupt: () => this.interrupt(),
    };
  }

  /** The next interrupt; the handler leaves at once, since nothing lowers the line before the waiter runs. */
  interrupt(): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        connection[Symbol.dispose]();
        reject(new Error(`no interrupt: ${[...this.device.guestErrors].join('; ')}`));
      }, this.patience);
      const connection = this.device.slot.line(0).connect(() => {
        connection[Symbol.dispose]();
        clearTimeout(late);
        resolve();
      });
    });
  }

  [Symbol.dispose](): void {
    this.system[Symbol.dispose]();
  }
}

/** Device types of the vectors, and which generation they are. */
export const generations: Readonly<Record<number, GnaGeneration>> = {
  0x09: '0.9',
  0x10: '1.0',
  0x20: '2.0',
  0x30: '3.0',
};

/** The vector files, by name: `gna30-conv2d`. */
export function gnaVectors(): { name: string; load(): GnaCase[] }[] {
  const folder = shared('vectors/gna');
  if (folder === undefined) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => ({
      name: file.replace('.json', ''),
      load: () => {
        const json = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { blob: { file: string } };
        return parseGna(json, readFileSync(join(folder, json.blob.file)));
      },
    }));
}
