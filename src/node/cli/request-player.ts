// Plays recorded GNA submissions as a program makes them: ioctl, driver, registers, page tables, device and back.
// Not at the registers: machine/vectors has that player.
import type { AccelFile, Mapping } from '../../core/index.js';
import { regs } from '../../hw/gna/index.js';
import { compareOutputs, fillFrom, type GnaCase } from '../../machine/vectors/index.js';
import { call, computeGna, createGnaBuffer, waitGna } from '../../testing/index.js';
import { DRM_IOCTL_GNA_GEM_FREE } from '../../abi/gna.js';
import type { EngineKind, System } from '../system.js';
import { systemFor } from './target.js';
import type { VectorOutcome } from './vector-player.js';

/** How long a request may take; more is a device that hangs. */
const PATIENCE_MS = 20_000;

/** One device and one client, used for one submission after the other. */
export class RequestPlayer implements Disposable {
  readonly #system: System;
  readonly #file: AccelFile;

  /** `board` is a board's name, `gna:2.0`. */
  constructor(board: string, engines: EngineKind = 'inline') {
    this.#system = systemFor(board, { engines });
    this.#file = this.#system.open();
  }

  /** Makes the buffers, submits, waits, compares outputs and saturation, frees the buffers. */
  async play(vector: GnaCase): Promise<VectorOutcome> {
    const file = this.#file;
    const made: { readonly va: number; readonly handle: number; readonly mapping: Mapping }[] = [];
    try {
      const buffers = [];
      for (const { va, size, patches } of vector.buffers) {
        const { handle, offset, size: granted } = await createGnaBuffer(file, size);
        const mapping = await file.mmap(offset, granted);
        made.push({ va, handle, mapping });
        fillFrom(vector.memory, va, mapping.bytes);
        buffers.push({
          handle,
          size: BigInt(size),
          patches: patches.map((patch) => ({
            offset: BigInt(patch.offset),
            size: BigInt(patch.bytes),
            value: BigInt(patch.value),
          })),
        });
      }
      const id = await computeGna(file, buffers, {
        layer_base: vector.layerBase,
        layer_count: vector.layerCount,
        gna_mode: vector.mode,
        active_list_on: vector.activeList ? 1 : 0,
        hw_perf_encoding: vector.statistics,
        flags: vector.flags,
      });
      const { out, error } = await waitGna(file, id, PATIENCE_MS);
      if (error !== undefined) throw error;
      const saturated = regs.STS.f.SATURATE.get(out.hw_status) === 1;
      if (saturated !== vector.expect.saturated)
        return { verdict: 'failed', reason: `saturation is ${saturated}` };
      const [difference] = compareOutputs(vector, (va, bytes) => {
        const { va: start, mapping } = made.findLast((buffer) => buffer.va <= va)!;
        return mapping.bytes.subarray(va - start, va - start + bytes);
      });
      if (difference === undefined) return { verdict: 'passed' };
      const { role, at, actual, wanted } = difference;
      return { verdict: 'failed', reason: `byte ${at} of ${role} is ${actual}, ${wanted} is right` };
    } catch (error) {
      return { verdict: 'failed', reason: error instanceof Error ? error.message : String(error) };
    } finally {
      for (const { handle, mapping } of made) {
        mapping[Symbol.dispose]();
        await call(file, DRM_IOCTL_GNA_GEM_FREE, { handle });
      }
    }
  }

  [Symbol.dispose](): void {
    this.#system[Symbol.dispose]();
  }
}
