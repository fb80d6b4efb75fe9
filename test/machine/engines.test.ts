// Engines inline and in threads: same bytes, commands in order, abort, full rings.
// Not a data path: jobs are copies.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openSystem, type EngineKind } from '../../src/node/system.js';
import { sdpJob } from '../../src/testing/adapters/nvdla-job.js';

async function bytesWith(engines: EngineKind): Promise<number[]> {
  const system = openSystem({ devices: ['nvdla:nv_large'], engines });
  const file = system.open();
  const job = await sdpJob(file, { atom: 32, width: 100, add: 100 });
  job.source.forEach((_, i) => (job.source[i] = i * 7));
  await job.submit();
  const result = [...job.result];
  await file.close();
  system[Symbol.dispose]();
  return result;
}

describe('engines', () => {
  it('give the same bytes inline and in a thread, saturation included', async () => {
    const inline = await bytesWith('inline');
    assert.deepEqual(await bytesWith('worker'), inline);
    const saturating = (i: number): number => Math.min(127, (((i * 7) << 24) >> 24) + 100) & 0xff;
    assert.deepEqual(
      inline,
      inline.map((_, i) => saturating(i)),
    );
  });

  it('serve 200 jobs submitted at once, from two files', async () => {
    const system = openSystem({ devices: ['nvdla:nv_small'], engines: 'worker' });
    const files = [system.open(), system.open()];
    const jobs = await Promise.all(
      Array.from({ length: 200 }, (_, i) => sdpJob(files[i % 2]!, { atom: 8, add: i % 100 })),
    );
    await Promise.all(jobs.map((job) => job.submit()));
    jobs.forEach((job, i) =>
      assert.ok(
        job.result.every((byte) => byte === i % 100),
        `job ${i}`,
      ),
    );
    for (const file of files) await file.close();
    system[Symbol.dispose]();
  });
});
