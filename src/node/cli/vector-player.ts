// Plays register-level vectors on a virtual device of a machine without drivers: registers to memory, seam B only.
// Not the driver's path, and no test: it reports what came out.
import { pageAlign } from '../../base/memory.js';
import { traceNames } from '../../devices/nvdla/index.js';
import type { MachineDevice } from '../../machine/index.js';
import {
  footprint,
  play,
  spaces,
  type PlayTarget,
  type Space,
  type Vector,
} from '../../machine/vectors/index.js';
import type { EngineKind, System } from '../system.js';
import { systemFor } from './target.js';

export type VectorOutcome =
  | { readonly verdict: 'passed' }
  | { readonly verdict: 'failed'; readonly reason: string }
  /** The model said that it lacks what the vector uses. */
  | { readonly verdict: 'not modelled'; readonly reason: string };

/** How addresses are rounded before they are mapped. */
const GRAIN = 1 << 16;
/** Turns of the event loop after which an inline engine has answered, or never will. */
const INLINE_TURNS = 64;
const WORKER_MS = 60_000;

interface Mapped {
  readonly space: Space;
  readonly iova: number;
  readonly end: number;
  readonly physical: number;
}

/** One device, used for one vector after the other. */
export class VectorPlayer implements Disposable {
  readonly #system: System;
  readonly #device: MachineDevice;
  readonly #engines: EngineKind;
  readonly #config: string;
  #waiter: (() => void) | undefined;
  readonly #faults: string[] = [];
  readonly #irq: Disposable;

  /** `board` is a board's name, `nvdla:nv_small`. */
  constructor(board: string, engines: EngineKind = 'inline') {
    this.#engines = engines;
    this.#system = systemFor(board, { engines, bare: true });
    this.#device = this.#system.device();
    this.#config = board.split(':')[1] ?? board;
    const { slot } = this.#device;
    for (const [index, dma] of slot.dmaPorts.entries())
      dma.onFault(({ access, iova, reason }) =>
        this.#faults.push(`${access} ${spaces[index]} 0x${iova.toString(16)}: ${reason}`),
      );
    this.#irq = slot.line(0).connect(() => {
      const waiter = this.#waiter;
      this.#waiter = undefined;
      waiter?.();
    });
  }

  /** Plays one vector; the device is reset and its memory freed again. */
  async play(vector: Vector): Promise<VectorOutcome> {
    const { slot, model, guestErrors } = this.#device;
    const { memory } = this.#system.machine;
    guestErrors.clear();
    this.#faults.length = 0;
    model.reset();
    // Two memories: an address of one says nothing about the other.
    const domains = slot.dmaPorts.map((dma) => {
      const domain = dma.createDomain();
      dma.attach(domain);
      return domain;
    });
    const mapped: Mapped[] = [];
    try {
      for (const { space, start, end } of footprint(vector, GRAIN)) {
        const domain = domains[spaces.indexOf(space)];
        if (domain === undefined)
          return { verdict: 'failed', reason: `${this.#config} has no port to ${space}` };
        const physical = memory.allocate(end - start);
        mapped.push({ space, iova: start, end, physical });
        domain.map(start, physical, pageAlign(end - start), 'read-write');
      }
      const target: PlayTarget = {
        read32: (offset) => model.read32(0, offset),
        write32: (offset, value) => model.write32(0, offset, value),
        memory: (space, address, bytes) => this.#bytes(mapped, space, address, bytes),
        interrupt: () => this.#interrupt(),
        interruptStatus: traceNames(this.#config).interruptStatus,
      };
      for (const { expected, matches, difference } of await play(vector, target))
        if (!matches) {
          const at = `0x${expected.address.toString(16)}`;
          const what =
            difference === undefined
              ? `CRC of ${expected.bytes} bytes at ${at} differs`
              : `byte ${difference.at} of ${expected.bytes} at ${at} is ${difference.actual}, ${difference.wanted} is right`;
          return { verdict: 'failed', reason: what };
        }
      if (this.#faults.length > 0) return { verdict: 'failed', reason: this.#faults.join('; ') };
      return { verdict: 'passed' };
    } catch (error) {
      const complaints = [...guestErrors];
      const lacks = complaints.find((text) => text.includes('not modelled'));
      if (lacks !== undefined) return { verdict: 'not modelled', reason: lacks };
      const reason = [error instanceof Error ? error.message : String(error), ...complaints, ...this.#faults];
      return { verdict: 'failed', reason: reason.join('; ') };
    } finally {
      this.#waiter = undefined;
      model.reset();
      for (const dma of slot.dmaPorts) dma.attach(undefined);
      for (const domain of domains) domain[Symbol.dispose]();
      for (const { physical } of mapped) memory.free(physical);
    }
  }

  [Symbol.dispose](): void {
    this.#irq[Symbol.dispose]();
    this.#system[Symbol.dispose]();
  }

  #bytes(mapped: readonly Mapped[], space: Space, address: number, bytes: number): Uint8Array {
    const run = mapped.find(
      (range) => range.space === space && address >= range.iova && address + bytes <= range.end,
    )!;
    const at = run.physical + (address - run.iova);
    return this.#system.machine.memory.bytes.subarray(at, at + bytes);
  }

  async #interrupt(): Promise<void> {
    if (this.#device.slot.line(0).level) return;
    let raised = false;
    const waiting = new Promise<void>((resolve) => {
      this.#waiter = () => {
        raised = true;
        resolve();
      };
    });
    const { guestErrors } = this.#device;
    const worker = this.#engines === 'worker';
    const end = performance.now() + WORKER_MS;
    for (let turn = 0; !raised; turn++) {
      const over = worker ? performance.now() > end : turn === INLINE_TURNS;
      if (over || guestErrors.size > 0) throw new Error('the awaited interrupt does not come');
      await Promise.race([waiting, worker ? later(5) : later(0)]);
    }
  }
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (ms === 0) setImmediate(resolve);
    else setTimeout(resolve, ms);
  });
}
