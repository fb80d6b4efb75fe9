// Jobs that take too long, and callers that do not want to wait.
// Not the other faults: faults.ts.
import { among, ensure, outcomeOf, same, sameBytes } from '../check.js';
import { Interrupt } from '../bench.js';
import type { Group } from './group.js';

const MS = 1e6;

export const timeouts: Group = {
  name: 'timeouts and reset',
  cases: [
    {
      name: 'a hanging job ends at its limit, not before and not much after',
      async run(bench) {
        const { clock, faults } = bench.system;
        const { limitMs = 300 } = bench.adapter;
        const job = await bench.job(bench.open(), { timeoutMs: limitMs });
        faults.arm('hang');
        const start = clock.now();
        same(await bench.outcome(job.run()), bench.hang, 'the job');
        const took = (clock.now() - start) / MS;
        ensure(took >= limitMs && took < 2 * limitMs, `it ended after ${took} ms, its limit is ${limitMs}`);
        same(faults.delivered('hang'), 1, 'hangs delivered');
      },
    },
    {
      name: 'a hang costs one reset, and the next client’s job is done',
      async run(bench) {
        const { faults } = bench.system;
        const [guilty, other] = [bench.open(), bench.open()];
        const job = await bench.job(guilty);
        faults.arm('hang');
        same(await bench.outcome(job.run()), bench.hang, 'the job');
        same(bench.accel.health.hangs, 1, 'hangs counted');
        same(bench.accel.health.resets, 1, 'resets counted');
        await bench.done(await bench.job(other), 'the other client’s job');
        await bench.finish(guilty.close());
        await bench.done(await bench.job(bench.open()), 'a job of a file opened anew');
      },
    },
    {
      name: 'jobs that wait behind a hang are done, with the right bytes: a reset loses nobody else’s job',
      async run(bench) {
        const [guilty, other] = [bench.open(), bench.open()];
        const job = await bench.job(guilty);
        const waiting = [];
        for (let i = 0; i < 8; i++) waiting.push(await bench.job(other, { seed: i + 2 }));
        bench.system.faults.arm('hang');
        const hung = outcomeOf(job.run());
        await bench.rest();
        const behind = waiting.map((one) => outcomeOf(one.run()));
        same(await bench.finish(hung), bench.hang, 'the hanging job');
        for (const end of behind) same(await bench.finish(end), 'ok', 'a job behind it');
        waiting.forEach((one, i) => sameBytes(one.result, one.expected, `result ${i}`));
      },
    },
    {
      name: 'the guilty client’s queued jobs end with ECANCELED or are done, never silently wrong',
      async run(bench) {
        const file = bench.open();
        const jobs = [];
        for (let i = 0; i < 5; i++) jobs.push(await bench.job(file, { seed: i + 1 }));
        bench.system.faults.arm('hang');
        const ends = [];
        for (const job of jobs) ends.push(outcomeOf(job.run()));
        same(await bench.finish(ends[0]!), bench.hang, 'the hanging job');
        for (let i = 1; i < jobs.length; i++) {
          const outcome = await bench.finish(ends[i]!);
          among(outcome, ['ok', 'ECANCELED'], `queued job ${i}`);
          if (outcome === 'ok') sameBytes(jobs[i]!.result, jobs[i]!.expected, `result ${i}`);
        }
      },
    },
    {
      name: 'ten hangs in a row are ten resets, with a good job of another client after each',
      async run(bench) {
        const other = bench.open();
        for (let i = 0; i < 10; i++) {
          const guilty = bench.open();
          bench.system.faults.arm('hang');
          same(await bench.outcome((await bench.job(guilty)).run()), bench.hang, `hang ${i}`);
          await bench.finish(guilty.close());
          const job = await bench.job(other, { seed: i + 1 });
          await bench.done(job, `the good job after hang ${i}`);
          await bench.finish(job.release());
        }
        same(bench.accel.health.resets, 10, 'resets');
      },
    },
    {
      name: 'a waiter that is interrupted is told so at once, and its job goes on',
      async run(bench) {
        const file = bench.open();
        const job = await bench.job(file);
        const interrupt = new Interrupt();
        // The interrupt of the device is lost, so that the call is still waiting when the signal comes.
        bench.system.faults.arm('lost-irq');
        const { clock } = bench.system;
        const start = clock.now();
        const waiting = outcomeOf(job.run(interrupt));
        await bench.rest();
        interrupt.fire();
        await bench.system.turn();
        same(await bench.finish(waiting), bench.interrupted, 'the interrupted call');
        same(clock.now(), start, 'the clock after the interrupt');
        ensure(interrupt.quiet, 'the call still listens to the signal');
        await bench.done(await bench.job(file, { seed: 2 }), 'the next job');
      },
    },
    {
      name: 'a signal that fired before the call blocks interrupts it, or the job is done',
      async run(bench) {
        const interrupt = new Interrupt();
        interrupt.fire();
        const job = await bench.job(bench.open());
        among(await bench.outcome(job.run(interrupt)), [bench.interrupted, 'ok'], 'the call');
        await bench.rest();
      },
    },
    {
      name: 'a close with a hanging job returns within its second, and the device serves the next client',
      async run(bench) {
        const { clock, faults } = bench.system;
        const file = bench.open();
        const job = await bench.job(file, { timeoutMs: 10_000 });
        faults.arm('hang');
        const hung = outcomeOf(job.run());
        await bench.rest();
        const start = clock.now();
        await bench.finish(file.close());
        ensure(clock.now() - start <= 1.1e9, `close took ${(clock.now() - start) / MS} ms`);
        await bench.done(await bench.job(bench.open()), 'the next client’s job');
        await bench.finish(hung);
      },
    },
  ],
};
