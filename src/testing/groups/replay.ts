// The same sequence twice on the movable clock: the same bytes and the same trace.
// Not a comparison of engines inline and in threads: their bytes are compared by every case's expected result.
import { TraceStep, type TraceEvent } from '../../core/index.js';
import { ensure, same, sameBytes } from '../check.js';
import type { Bench } from '../bench.js';
import type { Group } from './group.js';

interface Recording {
  readonly bytes: Uint8Array[];
  readonly trace: string[];
  readonly end: number;
}

/** Jobs one after the other, of two clients, a hang and a DMA fault among them. */
async function record(bench: Bench): Promise<Recording> {
  const { core, clock, faults } = bench.system;
  const events: TraceEvent[] = [];
  using subscription = core.trace.subscribe((event) => events.push(event));
  void subscription;
  const bytes: Uint8Array[] = [];
  const files = [bench.open(), bench.open()];
  for (let i = 0; i < 12; i++) {
    if (i === 4) faults.arm('hang');
    if (i === 7) faults.arm('dma-fault');
    const job = await bench.job(files[i % 2]!, { seed: i + 1 });
    await bench.outcome(job.run());
    bytes.push(job.result.slice());
    await bench.finish(job.release());
  }
  const end = clock.now();
  await bench.closeAll();
  // A thread's answer and the client's next call race; each step's own order does not.
  if (bench.engines === 'worker') events.sort((a, b) => a.step - b.step);
  return { bytes, trace: normalised(events), end };
}

/** Job numbers are of the process, not of the system: counted from the first one here. */
function normalised(events: readonly TraceEvent[]): string[] {
  const first = events.find(({ job }) => job !== undefined)?.job ?? 0;
  return events.map(({ step, at, device, client, job, name, detail }) =>
    [step, at, device, client, job === undefined ? '' : job - first, name, detail].join(' '),
  );
}

export const replay: Group = {
  name: 'replay',
  cases: [
    {
      name: 'the same calls on a fresh system give the same bytes, the same trace and the same time',
      async run(bench, another) {
        const first = await record(bench);
        const second = another();
        try {
          const again = await record(second);
          first.bytes.forEach((bytes, i) => sameBytes(again.bytes[i]!, bytes, `result ${i}`));
          same(again.trace.length, first.trace.length, 'trace events');
          first.trace.forEach((event, i) => same(again.trace[i], event, `trace event ${i}`));
          same(again.end, first.end, 'the clock at the end');
        } finally {
          second.dispose();
        }
      },
    },
    {
      name: 'a job’s trace shows its steps from ioctl to end, in order',
      async run(bench) {
        const events: TraceEvent[] = [];
        const job = await bench.job(bench.open());
        using subscription = bench.system.core.trace.subscribe((event) => events.push(event));
        void subscription;
        await bench.done(job);
        const steps = [
          TraceStep.ioctl,
          TraceStep.dispatch,
          TraceStep.jobPushed,
          TraceStep.jobRun,
          TraceStep.doorbell,
          TraceStep.interrupt,
          TraceStep.irqHandler,
          TraceStep.jobDone,
        ];
        let at = -1;
        for (const step of steps) {
          const found = events.findIndex((event, index) => index > at && event.step === step);
          ensure(found > at, `step ${step} is missing or out of order`);
          at = found;
        }
      },
    },
  ],
};
