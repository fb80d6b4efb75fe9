// Runs loadables through the driver and compares the file of their output with the vendor's, by its digest.
// Not a run for its results: that is run-loadable.ts.
import { createHash } from 'node:crypto';
import type { AccelFile } from '../../core/index.js';
import { readLoadable } from '../../compiler/loadable/index.js';
import { dimgOf, LoadedLoadable, takePixels, writeDimg } from '../../runtime/loadable/index.js';
import type { EngineKind, System } from '../system.js';
import { systemFor } from './target.js';
import type { VectorOutcome } from './vector-player.js';

/** A loadable with the digest of what its first output's file must be. Inputs are zero. */
export interface LoadableCase {
  readonly bytes: Uint8Array;
  /** MD5, hexadecimal. */
  readonly md5: string;
}

/** One device and one client, used for one loadable after the other. */
export class LoadablePlayer implements Disposable {
  readonly #system: System;
  readonly #file: AccelFile;

  /** `board` is a board's name, `nvdla:nv_small`. */
  constructor(board: string, engines: EngineKind = 'inline') {
    this.#system = systemFor(board, { engines });
    this.#file = this.#system.open();
  }

  async play({ bytes, md5 }: LoadableCase): Promise<VectorOutcome> {
    const { guestErrors } = this.#system.device();
    guestErrors.clear();
    try {
      await using loaded = await LoadedLoadable.load(this.#file, readLoadable(bytes));
      await loaded.run();
      const [output] = loaded.outputs;
      if (output === undefined) return { verdict: 'failed', reason: 'it has no output' };
      const file = writeDimg(dimgOf(output.desc, takePixels(output.desc, output.bytes), 'old'));
      const made = createHash('md5').update(file).digest('hex');
      if (made === md5) return { verdict: 'passed' };
      return { verdict: 'failed', reason: `the output's file has digest ${made}, ${md5} is right` };
    } catch (error) {
      const complaints = [...guestErrors];
      const lacks = complaints.find((text) => text.includes('not modelled'));
      if (lacks !== undefined) return { verdict: 'not modelled', reason: lacks };
      const reason = [error instanceof Error ? error.message : String(error), ...complaints];
      return { verdict: 'failed', reason: reason.join('; ') };
    }
  }

  [Symbol.dispose](): void {
    this.#system[Symbol.dispose]();
  }
}
