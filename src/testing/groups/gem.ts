// Buffers: handles, mapping, life time. Core fact sheet section 3.
// Not who may see them: isolation.ts; not descriptors: prime.ts.
import { among, ensure, filled, outcomeOf, same, sameBytes, type Outcome } from '../check.js';
import { closeGem } from '../calls.js';
import type { Group } from './group.js';

const PAGE = 4096;

export const gem: Group = {
  name: 'buffers',
  cases: [
    {
      name: 'handles are the smallest free numbers from 1, per file',
      async run(bench) {
        const [file, other] = [bench.open(), bench.open()];
        for (const expected of [1, 2, 3]) same((await bench.buffer(file)).handle, expected, 'handle');
        same((await bench.buffer(other)).handle, 1, 'first handle of another file');
        await closeGem(file, 2);
        same((await bench.buffer(file)).handle, 2, 'handle after 2 was closed');
        same((await bench.buffer(file)).handle, 4, 'next handle');
      },
    },
    {
      name: 'GEM_CLOSE of a handle that is not there gives EINVAL, twice the same too, 0 always',
      async run(bench) {
        const file = bench.open();
        const { handle } = await bench.buffer(file);
        for (const unknown of [0, handle + 1, 0xffffffff])
          same(await bench.outcome(closeGem(file, unknown)), 'EINVAL', `GEM_CLOSE ${unknown}`);
        same(await bench.outcome(closeGem(file, handle)), 'ok', 'GEM_CLOSE');
        same(await bench.outcome(closeGem(file, handle)), 'EINVAL', 'GEM_CLOSE again');
      },
    },
    {
      name: 'a new buffer is zero, whole pages long and its own',
      async run(bench) {
        const file = bench.open();
        const buffers = [];
        for (const bytes of [1, PAGE - 1, PAGE, PAGE + 1, 5 * PAGE])
          buffers.push({ bytes, ...(await bench.buffer(file, bytes)) });
        for (const buffer of buffers) {
          using mapping = await bench.finish(file.mmap(buffer.offset, buffer.bytes));
          ensure(filled(mapping.bytes, 0), `a buffer of ${buffer.bytes} bytes is not zero`);
          mapping.bytes.fill(buffer.handle);
        }
        for (const buffer of buffers) {
          using mapping = await bench.finish(file.mmap(buffer.offset, buffer.bytes));
          ensure(filled(mapping.bytes, buffer.handle), 'two buffers share memory');
          const pages = Math.ceil(buffer.bytes / PAGE) * PAGE;
          using whole = await bench.finish(file.mmap(buffer.offset, pages));
          same(whole.bytes.length, pages, 'mapping of whole pages');
        }
      },
    },
    {
      name: 'a buffer of no bytes gives EINVAL, one larger than memory ENOMEM, and neither takes anything',
      async run(bench) {
        const file = bench.open();
        const { used } = bench;
        same(await bench.outcome(bench.adapter.createBuffer(file, 0)), 'EINVAL', 'no bytes');
        for (const bytes of [bench.system.core.memory.size, 2 ** 40, 2 ** 52])
          same(await bench.outcome(bench.adapter.createBuffer(file, bytes)), 'ENOMEM', `${bytes} bytes`);
        same(bench.used, used, 'DRAM in use');
        same((await bench.buffer(file)).handle, 1, 'the next handle');
      },
    },
    {
      name: 'when memory is full a new buffer gives ENOMEM, and after one is closed it fits',
      async run(bench) {
        const file = bench.open();
        const { memory } = bench.system.core;
        const size = Math.floor(memory.size / 8 / PAGE) * PAGE;
        let outcome;
        let made = 0;
        while ((outcome = await bench.outcome(bench.adapter.createBuffer(file, size))) === 'ok') made++;
        same(outcome, 'ENOMEM', 'one buffer too many');
        ensure(made > 0, 'not even one eighth of memory could be had');
        await closeGem(file, 1);
        same((await bench.buffer(file, size)).handle, 1, 'handle of the buffer that fits again');
      },
    },
    {
      name: 'mmap offsets are page aligned, above 4 GiB and the buffer’s own',
      async run(bench) {
        const file = bench.open();
        const [first, second] = [await bench.buffer(file, 3 * PAGE), await bench.buffer(file)];
        for (const { offset } of [first, second]) {
          same(offset % BigInt(PAGE), 0n, 'offset within a page');
          ensure(offset >= 1n << 32n, `offset 0x${offset.toString(16)} is below 4 GiB`);
        }
        const [low, high] = first.offset < second.offset ? [first, second] : [second, first];
        ensure(low.offset + BigInt(low.size) <= high.offset, 'offsets of two buffers overlap');
      },
    },
    {
      name: 'mmap takes the exact start and at most the whole length: else EINVAL',
      async run(bench) {
        const file = bench.open();
        const buffer = await bench.buffer(file, 3 * PAGE);
        const map = (offset: bigint, length: number): Promise<Outcome> =>
          bench.outcome(
            file.mmap(offset, length).then((mapping) => {
              same(mapping.bytes.length, length, 'length of the mapping');
              mapping[Symbol.dispose]();
            }),
          );
        same(await map(buffer.offset, 3 * PAGE), 'ok', 'the whole buffer');
        same(await map(buffer.offset, PAGE), 'ok', 'its first page');
        same(await map(buffer.offset, 3 * PAGE + 1), 'EINVAL', 'one byte more');
        same(await map(buffer.offset, 0), 'EINVAL', 'no bytes');
        for (const by of [1n, BigInt(PAGE), -BigInt(PAGE)])
          same(await map(buffer.offset + by, PAGE), 'EINVAL', `offset off by ${by}`);
        for (const offset of [0n, 1n << 62n, (1n << 64n) - 1n])
          same(await map(offset, PAGE), 'EINVAL', `offset 0x${offset.toString(16)}`);
      },
    },
    {
      name: 'mappings of one buffer show the same bytes',
      async run(bench) {
        const file = bench.open();
        const buffer = await bench.buffer(file);
        using first = await bench.map(file, buffer);
        using second = await bench.map(file, buffer);
        first.bytes.forEach((_, i) => (first.bytes[i] = i));
        sameBytes(second.bytes, first.bytes, 'the second mapping');
      },
    },
    {
      name: 'a mapping survives GEM_CLOSE and close, and the memory is free when it ends',
      async run(bench) {
        const file = bench.open();
        const before = bench.used;
        const buffer = await bench.buffer(file, 4 * PAGE);
        const mapping = await bench.map(file, buffer);
        mapping.bytes.fill(0x77);
        await closeGem(file, buffer.handle);
        same(bench.used - before, 4 * PAGE, 'DRAM the mapping keeps');
        const later = await bench.buffer(file, 4 * PAGE);
        using other = await bench.map(file, later);
        ensure(filled(other.bytes, 0), 'the new buffer shows bytes of the mapped one');
        ensure(filled(mapping.bytes, 0x77), 'the mapping changed');
        await bench.finish(file.close());
        ensure(filled(mapping.bytes, 0x77), 'the mapping changed with close');
        mapping[Symbol.dispose]();
        mapping[Symbol.dispose]();
      },
    },
    {
      name: 'a closed buffer’s offset gives EINVAL, also when a new buffer has its memory',
      async run(bench) {
        const file = bench.open();
        const old = await bench.buffer(file);
        await closeGem(file, old.handle);
        same(await bench.outcome(file.mmap(old.offset, PAGE)), 'EINVAL', 'mmap of a closed buffer');
        await bench.buffer(file);
        same(await bench.outcome(file.mmap(old.offset, PAGE)), 'EINVAL', 'mmap of the old offset');
      },
    },
    {
      name: 'buffers closed while a job works on them stay until it ends',
      async run(bench) {
        const file = bench.open();
        const job = await bench.job(file);
        // With its interrupt lost the job is on the hardware until its limit, its work done or not.
        bench.system.faults.arm('lost-irq');
        const running = outcomeOf(job.run());
        await bench.rest();
        for (const handle of job.handles) await closeGem(file, handle);
        const fresh = await bench.buffer(file, 2 * PAGE);
        using mapping = await bench.map(file, fresh);
        const outcome = await bench.finish(running);
        among(outcome, ['ok', bench.hang], 'the job');
        if (outcome === 'ok') sameBytes(job.result, job.expected, 'its result');
        ensure(filled(mapping.bytes, 0), 'the job wrote into a buffer made after');
        await bench.outcome(job.release());
      },
    },
  ],
};
