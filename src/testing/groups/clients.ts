// Several clients at once: everybody's jobs are done, with everybody's own bytes.
// Not fairness between priorities: the scheduler's own tests have it.
import { same, sameBytes } from '../check.js';
import type { SuiteJob } from '../adapter.js';
import type { Bench } from '../bench.js';
import type { LocalFile } from '../../core/index.js';
import type { Group } from './group.js';

async function jobs(bench: Bench, files: readonly LocalFile[], count: number): Promise<SuiteJob[]> {
  const made: SuiteJob[] = [];
  for (let i = 0; i < count; i++) made.push(await bench.job(files[i % files.length]!, { seed: i + 1 }));
  return made;
}

async function allDone(bench: Bench, made: readonly SuiteJob[]): Promise<void> {
  const outcomes = await Promise.all(made.map((job) => job.run()).map((run) => bench.outcome(run)));
  outcomes.forEach((outcome, i) => same(outcome, 'ok', `job ${i}`));
  made.forEach((job, i) => sameBytes(job.result, job.expected, `result of job ${i}`));
}

export const clients: Group = {
  name: 'jobs and clients',
  cases: [
    {
      name: 'a job changes its result to what it should be, and again when it is run again',
      async run(bench) {
        const job = await bench.job(bench.open());
        same(
          job.result.some((byte, i) => byte !== job.expected[i]),
          true,
          'the result differs before the job',
        );
        await bench.done(job);
        job.result.fill(0);
        await bench.done(job, 'the second run');
      },
    },
    {
      name: 'jobs of different seeds have different results',
      async run(bench) {
        const file = bench.open();
        const [first, second] = [await bench.job(file, { seed: 1 }), await bench.job(file, { seed: 2 })];
        await bench.done(first);
        await bench.done(second);
        same(
          first.result.some((byte, i) => byte !== second.result[i]),
          true,
          'results differ',
        );
      },
    },
    {
      name: '100 jobs of one client submitted at once are all done',
      async run(bench) {
        await allDone(bench, await jobs(bench, [bench.open()], 100));
      },
    },
    {
      name: 'two clients with 100 jobs between them, submitted at once, each get their own results',
      async run(bench) {
        await allDone(bench, await jobs(bench, [bench.open(), bench.open()], 100));
      },
    },
    {
      name: '32 clients with two jobs each get their own results',
      async run(bench) {
        await allDone(
          bench,
          await jobs(
            bench,
            Array.from({ length: 32 }, () => bench.open()),
            64,
          ),
        );
      },
    },
    {
      name: 'a client that closes with jobs queued leaves the others’ jobs alone',
      async run(bench) {
        const [leaver, stayer] = [bench.open(), bench.open()];
        const leaving = await jobs(bench, [leaver], 10);
        const staying = await jobs(bench, [stayer], 10);
        const left = leaving.map((job) => bench.outcome(job.run()));
        const stayed = staying.map((job) => bench.outcome(job.run()));
        await bench.finish(leaver.close());
        (await Promise.all(stayed)).forEach((outcome, i) => same(outcome, 'ok', `job ${i} of the other`));
        staying.forEach((job, i) => sameBytes(job.result, job.expected, `result ${i} of the other`));
        await Promise.all(left);
        leaver.client.process.kill();
      },
    },
    {
      name: 'a client killed with jobs queued leaves the others’ jobs alone and its memory is free',
      async run(bench) {
        const [victim, stayer] = [bench.open(), bench.open()];
        const lost = await jobs(bench, [victim], 10);
        const staying = await jobs(bench, [stayer], 10);
        const ends = lost.map((job) => bench.outcome(job.run()));
        const stayed = staying.map((job) => bench.outcome(job.run()));
        await bench.system.turn();
        victim.client.process.kill();
        (await Promise.all(stayed)).forEach((outcome, i) => same(outcome, 'ok', `job ${i} of the other`));
        staying.forEach((job, i) => sameBytes(job.result, job.expected, `result ${i} of the other`));
        await Promise.all(ends);
      },
    },
  ],
};
