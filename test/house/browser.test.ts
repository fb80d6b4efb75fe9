// Core, drivers and devices bundled for a browser, running one job there: no platform call is left in them.
// Not a browser: a bare V8 context that has only what every browser has.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createContext, runInContext } from 'node:vm';
import { build } from 'esbuild';
import { root } from '../support/shared.js';

describe('the browser bundle', () => {
  it('holds core, drivers and devices and runs a job without Node', async () => {
    const bundle = await build({
      entryPoints: [join(root, 'dist/test/house/browser-job.js')],
      bundle: true,
      format: 'iife',
      globalName: 'accel',
      platform: 'browser',
      write: false,
      logLevel: 'silent',
    });
    const context = createContext({
      performance: { now: () => performance.now() },
      setTimeout,
      clearTimeout,
    });
    runInContext(bundle.outputFiles[0]!.text, context);
    const kernels = readFileSync(join(root, 'dist/kernels/nvdla.wasm'));
    const run = runInContext('accel.runJob', context) as (kernels: Uint8Array) => Promise<number[]>;
    const expected = Array.from({ length: 16 }, (_, i) => i + 5);
    assert.deepEqual([...(await run(new Uint8Array(kernels)))], expected);
  });
});
