// What a run's operations would take on silicon: collected from the device model, added up, and shown.
// Not a measurement, and not the estimate itself: that is the model's.
import type { OperationCost } from '../../bus/port.js';
import { memorySystem, silicon } from '../../hw/nvdla/index.js';
import { columns } from './columns.js';
import { bytes, count, percent, time } from './format.js';
import type { CommandIo } from './io.js';
import type { TargetOptions } from './target.js';

/** Per inference. */
export interface CostReport {
  readonly clockMhz: number;
  readonly operations: number;
  readonly cycles: number;
  /** Cycles by what they wait for. */
  readonly bound: Readonly<Record<string, number>>;
  readonly ns: number;
  readonly engines: readonly {
    readonly unit: string;
    readonly operations: number;
    readonly cycles: number;
    readonly read: number;
    readonly write: number;
  }[];
}

export class Costs {
  readonly #operations: OperationCost[] = [];

  /** `hooks` that count what the device they are told about completes. */
  hooks({ onSystem }: Pick<TargetOptions, 'onSystem'>): Pick<TargetOptions, 'onSystem'> {
    return {
      onSystem: (system, device) => {
        onSystem?.(system, device);
        device.model.onOperation = (cost) => this.#operations.push(cost);
      },
    };
  }

  report(clockMhz: number, inferences: number): CostReport {
    const bound: Record<string, number> = {};
    const engines = new Map<
      string,
      { unit: string; operations: number; cycles: number; read: number; write: number }
    >();
    for (const operation of this.#operations) {
      const { unit, traffic } = operation;
      const { cycles, bound: by } = silicon(operation, clockMhz);
      bound[by] = (bound[by] ?? 0) + cycles / inferences;
      const sum = engines.get(unit) ?? { unit, operations: 0, cycles: 0, read: 0, write: 0 };
      engines.set(unit, sum);
      sum.operations += 1 / inferences;
      sum.cycles += cycles / inferences;
      sum.read += (traffic[0].read + traffic[1].read) / inferences;
      sum.write += (traffic[0].write + traffic[1].write) / inferences;
    }
    const cycles = [...engines.values()].reduce((sum, engine) => sum + engine.cycles, 0);
    const operations = this.#operations.length / inferences;
    const ns = (cycles * 1000) / clockMhz;
    return { clockMhz, operations, cycles, bound, ns, engines: [...engines.values()] };
  }

  text(clockMhz: number, inferences: number, io: CommandIo): string {
    const { operations, cycles, bound, ns, engines } = this.report(clockMhz, inferences);
    if (operations === 0) return 'nothing ran on a device whose model knows its cycles\n';
    const rows = engines.map((engine) => [
      engine.unit,
      count(engine.operations),
      count(Math.round(engine.cycles)),
      percent(engine.cycles / cycles),
      bytes(Math.round(engine.read)),
      bytes(Math.round(engine.write)),
    ]);
    const head = ['on silicon', 'operations', 'cycles', '', 'read', 'written'];
    const waits = Object.entries(bound).map(([by, part]) => `${by} ${percent(part / cycles)}`);
    const { dram, sramRead } = memorySystem;
    return `${columns(head, rows, { right: [1, 2, 3, 4, 5], colours: io.colours })}${io.colours.bold(
      time(ns),
    )} per inference at ${clockMhz} MHz with ${dram} GB/s of DRAM, ${sramRead} of SRAM; bound by ${waits.join(', ')}. One operation after the other, without software: an estimate.\n`;
  }
}
