// No byte of another file's memory by ioctl, mmap, job, or after it was freed.
// Not sharing that both sides want: prime.ts.
import type { LocalFile, Mapping } from '../../core/index.js';
import type { SuiteBuffer } from '../adapter.js';
import type { Bench } from '../bench.js';
import { ensure, filled, same } from '../check.js';
import { closeGem, exportGem, importGem } from '../calls.js';
import type { Group } from './group.js';

const PAGE = 4096;
const SECRET = 0xc5;

interface Secret extends SuiteBuffer {
  readonly mapping: Mapping;
}

async function secret(bench: Bench, file: LocalFile, bytes: number): Promise<Secret> {
  const buffer = await bench.buffer(file, bytes);
  const mapping = await bench.map(file, buffer);
  mapping.bytes.fill(SECRET);
  return { ...buffer, mapping };
}

export const isolation: Group = {
  name: 'isolation',
  cases: [
    {
      name: 'another file’s handles mean nothing: EINVAL on close, ENOENT on export',
      async run(bench) {
        const [owner, thief] = [bench.open(), bench.open()];
        const handles = [];
        for (let i = 0; i < 3; i++) handles.push((await bench.buffer(owner)).handle);
        for (const handle of handles) {
          same(await bench.outcome(closeGem(thief, handle)), 'EINVAL', `GEM_CLOSE ${handle}`);
          same(await bench.outcome(exportGem(thief, handle)), 'ENOENT', `export of ${handle}`);
        }
        for (const handle of handles)
          same(await bench.outcome(closeGem(owner, handle)), 'ok', 'the owner’s close');
      },
    },
    {
      name: 'another file’s mmap offset gives EACCES',
      async run(bench) {
        const [owner, thief] = [bench.open(), bench.open()];
        const buffer = await secret(bench, owner, 2 * PAGE);
        same(await bench.outcome(thief.mmap(buffer.offset, PAGE)), 'EACCES', 'mmap of another file’s buffer');
        same(await bench.outcome(thief.mmap(buffer.offset, 9 * PAGE)), 'EACCES', 'the same, too long');
        // A handle of the same process's other file is another file's too.
        const sibling = bench.open(owner.client.process);
        same(
          await bench.outcome(sibling.mmap(buffer.offset, PAGE)),
          'EACCES',
          'mmap by a file of the process',
        );
        buffer.mapping[Symbol.dispose]();
      },
    },
    {
      name: 'another process’s descriptors mean nothing',
      async run(bench) {
        const [owner, thief] = [bench.open(), bench.open()];
        const buffer = await secret(bench, owner, PAGE);
        const fd = await exportGem(owner, buffer.handle);
        same(await bench.outcome(importGem(thief, fd)), 'EBADF', 'import of another process’s descriptor');
        buffer.mapping[Symbol.dispose]();
      },
    },
    {
      name: 'freed memory is zero when another client gets it, whatever its size',
      async run(bench) {
        const [owner, thief] = [bench.open(), bench.open()];
        const total = 16 * PAGE;
        const buffer = await secret(bench, owner, total);
        buffer.mapping[Symbol.dispose]();
        await closeGem(owner, buffer.handle);
        for (const pages of [1, 2, 4, 9]) {
          const fresh = await bench.buffer(thief, pages * PAGE);
          using mapping = await bench.map(thief, fresh);
          ensure(filled(mapping.bytes, 0), `a new buffer of ${pages} pages shows another client’s bytes`);
        }
      },
    },
    {
      name: 'memory of a closed and of a killed client is zero when another gets it',
      async run(bench) {
        for (const end of ['close', 'kill'] as const) {
          const owner = bench.open();
          const thief = bench.open();
          const buffer = await secret(bench, owner, 8 * PAGE);
          buffer.mapping[Symbol.dispose]();
          await exportGem(owner, buffer.handle);
          if (end === 'close') await bench.finish(owner.close());
          owner.client.process.kill();
          const fresh = await bench.buffer(thief, 8 * PAGE);
          using mapping = await bench.map(thief, fresh);
          ensure(filled(mapping.bytes, 0), `a new buffer shows bytes of a client that ended by ${end}`);
        }
      },
    },
    {
      name: 'a job leaves nothing of its client behind in memory that another client gets',
      async run(bench) {
        const [owner, thief] = [bench.open(), bench.open()];
        const before = bench.used;
        const job = await bench.job(owner);
        await bench.done(job);
        const taken = bench.used - before;
        await bench.finish(job.release());
        const fresh = await bench.buffer(thief, taken);
        using mapping = await bench.map(thief, fresh);
        ensure(filled(mapping.bytes, 0), 'a new buffer shows bytes of a finished job');
      },
    },
    {
      name: 'jobs that try to reach another client’s memory fail or see none of it',
      async run(bench) {
        const [owner, thief] = [bench.open(), bench.open()];
        const buffer = await secret(bench, owner, 4 * PAGE);
        const fd = await exportGem(owner, buffer.handle);
        const attacks = await bench.finish(bench.adapter.attacks(thief, { buffer, fd }));
        ensure(attacks.length > 0, 'the adapter knows no attack');
        for (const { what, run, result } of attacks) {
          await bench.outcome(run());
          ensure(!result.includes(SECRET), `${what}: bytes of the other client are in the result`);
          ensure(filled(buffer.mapping.bytes, SECRET), `${what}: the other client’s buffer was written`);
        }
        buffer.mapping[Symbol.dispose]();
        const other = bench.open();
        await bench.done(await bench.job(other), 'a third client’s job afterwards');
      },
    },
    {
      name: 'a job writes its own result and nothing around it',
      async run(bench) {
        const [owner, neighbour] = [bench.open(), bench.open()];
        const below = await secret(bench, neighbour, 4 * PAGE);
        const job = await bench.job(owner);
        const above = await secret(bench, neighbour, 4 * PAGE);
        await bench.done(job);
        for (const { mapping } of [below, above]) {
          ensure(filled(mapping.bytes, SECRET), 'a neighbour’s buffer was written');
          mapping[Symbol.dispose]();
        }
      },
    },
  ],
};
