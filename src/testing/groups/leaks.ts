// What is taken is given back: after 1000 rounds nothing has grown.
// Not memory of the host: only what the core and the device hold.
import type { LocalFile } from '../../core/index.js';
import type { Bench } from '../bench.js';
import { among, outcomeOf, same } from '../check.js';
import { closeGem, exportGem } from '../calls.js';
import type { Group } from './group.js';

const ROUNDS = 1000;

interface Held {
  readonly dram: number;
  readonly handles: number;
  readonly descriptors: number;
}

function held(bench: Bench, file: LocalFile): Held {
  const { process, handles } = file.client;
  return { dram: bench.used, handles, descriptors: process.fds.size };
}

function sameHeld(actual: Held, expected: Held, when: string): void {
  same(actual.handles, expected.handles, `handles ${when}`);
  same(actual.descriptors, expected.descriptors, `descriptors ${when}`);
  same(actual.dram, expected.dram, `bytes of DRAM ${when}`);
}

export const leaks: Group = {
  name: 'leaks',
  cases: [
    {
      name: `${ROUNDS} rounds of create, map, run, release hold nothing more than the first`,
      async run(bench) {
        const file = bench.open();
        let first: Held | undefined;
        for (let i = 0; i < ROUNDS; i++) {
          const job = await bench.job(file, { seed: i + 1 });
          await bench.done(job, `job ${i}`);
          await bench.finish(job.release());
          await bench.rest();
          first ??= held(bench, file);
        }
        sameHeld(held(bench, file), first!, `after ${ROUNDS} rounds`);
      },
    },
    {
      name: `${ROUNDS} buffers created, exported and closed hold nothing`,
      async run(bench) {
        const file = bench.open();
        const first = held(bench, file);
        for (let i = 0; i < ROUNDS; i++) {
          const buffer = await bench.adapter.createBuffer(file, 4096 * (1 + (i % 5)));
          using mapping = await file.mmap(buffer.offset, buffer.size);
          mapping.bytes[0] = 1;
          const fd = await exportGem(file, buffer.handle);
          await closeGem(file, buffer.handle);
          await file.closeFd(fd);
        }
        sameHeld(held(bench, file), first, 'at the end');
      },
    },
    {
      name: '200 files opened, used and closed without releasing anything hold nothing',
      async run(bench) {
        const { used } = bench;
        for (let i = 0; i < 200; i++) {
          const file = bench.open();
          await bench.done(await bench.job(file, { seed: i + 1 }), `job ${i}`);
          await bench.finish(file.close());
          file.client.process.kill();
          // The job's mapping is the process's: unmapped with it only when the program is another process.
        }
        await bench.rest();
        same(bench.accel.files.size, 0, 'open files');
        same(bench.used, used, 'bytes of DRAM');
      },
    },
    {
      name: 'an open while memory is full works or gives ENOMEM and holds nothing, and works when there is some again',
      async run(bench) {
        const file = bench.open();
        const handles: number[] = [];
        const { size } = bench.system.core.memory;
        for (let bytes = size / 2; bytes >= 4096; bytes /= 2) {
          while ((await bench.outcome(bench.adapter.createBuffer(file, bytes))) === 'ok')
            handles.push(handles.length + 1);
        }
        const { used } = bench;
        const { files } = bench.accel;
        for (let i = 0; i < 10; i++) {
          const outcome = await bench.outcome((async () => bench.finish(bench.open().close()))());
          among(outcome, ['ok', 'ENOMEM'], 'open while memory is full');
          same(files.size, 1, 'open files');
          same(bench.used, used, 'DRAM in use');
        }
        for (const handle of handles) await closeGem(file, handle);
        await bench.done(await bench.job(bench.open()), 'a job of a file opened afterwards');
      },
    },
    {
      name: 'calls that fail hold nothing',
      async run(bench) {
        const file = bench.open();
        const first = held(bench, file);
        for (let i = 0; i < 200; i++) {
          for (const def of bench.accel.driver.ioctls.map((entry) => entry.def)) {
            if (def.layout === undefined) continue;
            await bench.outcome(file.ioctl(def.request, new Uint8Array(def.layout.size).fill(0xff)));
          }
        }
        sameHeld(held(bench, file), first, 'after failed calls');
      },
    },
    {
      name: '50 hangs hold nothing',
      async run(bench) {
        const file = bench.open();
        const { used } = bench;
        for (let i = 0; i < 50; i++) {
          const guilty = bench.open();
          const job = await bench.job(guilty);
          bench.system.faults.arm('hang');
          same(await bench.finish(outcomeOf(job.run())), bench.hang, `hang ${i}`);
          await bench.finish(job.release());
          await bench.finish(guilty.close());
          guilty.client.process.kill();
        }
        await bench.rest();
        same(bench.used, used, 'bytes of DRAM');
        same(bench.accel.files.size, 1, 'open files');
        await bench.done(await bench.job(file), 'a job afterwards');
      },
    },
  ],
};
