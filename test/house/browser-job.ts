// The job that the browser bundle runs: a copy on nv_small through the whole path. Bundled by browser.test.ts.
// Not a test by itself.
import { openBrowserSystem } from '../../src/web/index.js';
import { sdpJob } from '../../src/testing/adapters/nvdla-job.js';

/** Runs one job; returns the bytes it made from 0, 1, 2 ... with 5 added. */
export async function runJob(kernels: Uint8Array): Promise<number[]> {
  const system = openBrowserSystem({ devices: ['nvdla:nv_small'], kernels: { nvdla: kernels } });
  const file = system.open('nvdla:nv_small');
  const job = await sdpJob(file, { atom: 8, width: 2, add: 5 });
  job.source.forEach((_, i) => (job.source[i] = i));
  await job.submit();
  const result = [...job.result];
  await file.close();
  system[Symbol.dispose]();
  return result;
}
