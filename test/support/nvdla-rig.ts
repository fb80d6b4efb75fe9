// An NVDLA model on a slot of its own, with DRAM, engines inline, and a player's view of it.
// Not a machine: no driver, no core.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { TestClock } from '../../src/base/clock.js';
import { pageAlign, type SystemMemory } from '../../src/base/memory.js';
import { compileModule, instantiate, sharedMemory, type WasmModule } from '../../src/base/wasm.js';
import type { Domain } from '../../src/bus/iommu.js';
import { Slot } from '../../src/bus/platform.js';
import type { EngineHandle, FaultHooks } from '../../src/bus/port.js';
import { nvdla, traceNames } from '../../src/devices/nvdla/index.js';
import {
  footprint,
  parseCmod,
  parseTrace,
  parseTxn,
  play,
  spaces,
  type CheckResult,
  type PlayTarget,
  type Space,
  type Vector,
} from '../../src/machine/vectors/index.js';
import { root, shared } from './shared.js';

let compiled: WasmModule | undefined;

export function kernelModule(): WasmModule {
  compiled ??= compileModule(readFileSync(join(root, 'dist/kernels/nvdla.wasm')));
  return compiled;
}

/** Pages handed out upwards and taken back only when they were the last. */
class BumpMemory implements SystemMemory {
  readonly memory;
  readonly bytes;
  readonly words;
  readonly view;
  readonly size: number;
  used = 0;
  #next = 1 << 20;
  readonly #sizes = new Map<number, number>();

  constructor(mebibytes: number) {
    this.size = mebibytes * 1048576;
    this.memory = sharedMemory(this.size);
    this.bytes = new Uint8Array(this.memory.buffer);
    this.words = new Uint32Array(this.memory.buffer);
    this.view = new DataView(this.memory.buffer);
  }

  allocate(bytes: number): number {
    const address = this.#next;
    this.#next += pageAlign(bytes);
    this.used += pageAlign(bytes);
    this.#sizes.set(address, pageAlign(bytes));
    return address;
  }

  free(address: number): void {
    const size = this.#sizes.get(address) ?? 0;
    this.#sizes.delete(address);
    this.used -= size;
    this.bytes.fill(0, address, address + size);
    if (address + size === this.#next) this.#next = address;
  }
}

const noFaults: FaultHooks = { take: () => false };

/** One NVDLA with DRAM behind it. */
export class NvdlaRig {
  readonly clock = new TestClock();
  readonly memory: SystemMemory;
  readonly slot: Slot;
  readonly domain: Domain;
  /** By memory port. */
  readonly #domains: readonly Domain[];
  readonly guestErrors: string[] = [];
  readonly faults: string[] = [];
  readonly config: string;
  readonly #mapped: { space: Space; iova: number; end: number; physical: number }[] = [];

  constructor(config: string, options: { mebibytes?: number } = {}) {
    this.config = config;
    this.memory = new BumpMemory(options.mebibytes ?? 256);
    this.slot = new Slot({
      name: 'nvdla',
      clock: this.clock,
      memory: this.memory,
      faults: noFaults,
      irqs: 1,
      dmaPorts: spaces.length,
      engine: (name) => this.#engine(name),
      guestError: (text) => {
        if (!this.guestErrors.includes(text)) this.guestErrors.push(text);
      },
    });
    this.slot.plug(nvdla.create(this.slot.port, { config }));
    this.#domains = this.slot.dmaPorts.map((dma) => {
      const domain = dma.createDomain();
      dma.attach(domain);
      dma.onFault((fault) =>
        this.faults.push(`${fault.access} 0x${fault.iova.toString(16)}: ${fault.reason}`),
      );
      return domain;
    });
    this.domain = this.#domains[0]!;
  }

  read32(offset: number): number {
    return this.slot.model.read32(0, offset);
  }

  write32(offset: number, value: number): void {
    this.slot.model.write32(0, offset, value);
  }

  /** Maps device addresses to fresh DRAM. */
  map(
    iova: number,
    bytes: number,
    access: 'read' | 'write' | 'read-write' = 'read-write',
    space: Space = 'dbb',
  ): void {
    const physical = this.memory.allocate(bytes);
    this.#domains[spaces.indexOf(space)]!.map(iova, physical, pageAlign(bytes), access);
    this.#mapped.push({ space, iova, end: iova + pageAlign(bytes), physical });
  }

  /** The memory behind device addresses. */
  bytes(iova: number, bytes: number, space: Space = 'dbb'): Uint8Array {
    const run = this.#mapped.find(
      (mapping) => mapping.space === space && iova >= mapping.iova && iova + bytes <= mapping.end,
    );
    if (run === undefined) throw new RangeError(`0x${iova.toString(16)}+${bytes} is not mapped`);
    const at = run.physical + (iova - run.iova);
    return this.memory.bytes.subarray(at, at + bytes);
  }

  /** Maps and plays a vector. The results of its checks. */
  async play(vector: Vector): Promise<CheckResult[]> {
    for (const { space, start, end } of footprint(vector, 1 << 16))
      this.map(start, end - start, 'read-write', space);
    const target: PlayTarget = {
      read32: (offset) => this.read32(offset),
      write32: (offset, value) => this.write32(offset, value),
      memory: (space, address, bytes) => this.bytes(address, bytes, space),
      interrupt: () => this.#interrupt(),
      interruptStatus: traceNames(this.config).interruptStatus,
    };
    return play(vector, target);
  }

  /** Connected only while someone waits: a level that nobody lowers would be delivered for ever. */
  async #interrupt(): Promise<void> {
    let raised = false;
    const waiting = new Promise<void>((resolve) => {
      const connection = this.slot.line(0).connect(() => {
        raised = true;
        connection[Symbol.dispose]();
        resolve();
      });
    });
    // Engines run inline, so an interrupt that does not come within a few turns never comes.
    await Promise.race([waiting, this.clock.settle(1000)]);
    if (!raised) {
      throw new Error(
        `no interrupt: ${[...this.guestErrors, ...this.faults].join('; ') || 'nothing was said'}`,
      );
    }
  }

  #engine(name: string): EngineHandle {
    const bytes = nvdla.scratchBytes(name);
    const engine = nvdla.engine!({
      memory: this.memory.memory,
      kernels: instantiate(kernelModule(), this.memory.memory),
      scratch: { address: this.memory.allocate(bytes), bytes },
    });
    const result = new Int32Array(16);
    let generation = 0;
    return {
      commandWords: 512,
      submit: (command, done) => {
        const copy = command.slice();
        const mine = generation;
        this.clock.post(() => {
          if (mine !== generation) return;
          result.fill(0);
          engine.execute(copy, result);
          done(result);
        });
      },
      abort: () => {
        generation++;
      },
    };
  }
}

/** The single-layer vectors of one configuration, by name. */
export function cmodVectors(config: string): { name: string; load(): Vector }[] {
  const folder = shared(`vectors/nvdla-cmod/${config}`);
  if (folder === undefined) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => ({
      name: file.replace('.json', ''),
      load: () =>
        parseCmod(JSON.parse(readFileSync(join(folder, file), 'utf8')), (name) =>
          gunzipSync(readFileSync(join(folder, name))),
        ),
    }));
}

/** The vendor's register traces of one configuration, by name. */
export function traceVectors(config: string): { name: string; load(): Vector }[] {
  const folder = shared(`vectors/nvdla/traces/${config}`);
  if (folder === undefined) return [];
  const text = (path: string): string => gunzipSync(readFileSync(path)).toString('latin1');
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
    .map((name) => ({
      name,
      load: () =>
        parseTrace({
          name,
          config,
          text: text(join(folder, name, `${name}.cfg.gz`)),
          names: traceNames(config),
          readData: (file) => readTraceData(join(folder, name), file),
        }),
    }));

  function readTraceData(place: string, file: string): string {
    const candidates = [
      join(place, `${file}.gz`),
      join(place, '../../memory_surface_warehouse', `${file}.gz`),
      // The image tests share one picture, kept once.
      ...(/^img_.*_dt\.dat$/.test(file) ? [join(place, '../../nv_small/img_51x96x4_common_dt.dat.gz')] : []),
    ];
    for (const candidate of candidates) {
      try {
        return text(candidate);
      } catch (error) {
        if ((error as { code?: string }).code !== 'ENOENT') throw error;
      }
    }
    throw new Error(`${file} is nowhere`);
  }
}

/** The trace-player tests, all recorded on nv_full, by name. */
export function txnVectors(): { name: string; load(): Vector }[] {
  const folder = shared('vectors/nvdla/traceplayer');
  if (folder === undefined) return [];
  const text = (path: string): string => gunzipSync(readFileSync(path)).toString('latin1');
  return readdirSync(folder)
    .sort()
    .map((name) => ({
      name,
      load: () =>
        parseTxn({
          name,
          config: 'nv_full',
          text: text(join(folder, name, 'input.txn.gz')),
          readData: (file) => text(join(folder, name, `${file}.gz`)),
        }),
    }));
}
