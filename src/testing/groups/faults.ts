// Every fault that can be asked of a device: each ends as documented, and the device serves the next job.
// Not hangs at length: timeouts.ts.
import type { FaultKind } from '../../bus/port.js';
import { AccelError } from '../../base/errors.js';
import type { DriverAdapter } from '../adapter.js';
import type { Bench } from '../bench.js';
import { among, ensure, outcomeOf, same, sameBytes, type Outcome } from '../check.js';
import type { CaseBody, Group } from './group.js';

/** How the job that meets the fault may end, in the words of most drivers: endsOf has a driver's own. */
export const faultEnds: Readonly<Record<FaultKind, readonly Outcome[]>> = {
  hang: ['ETIME'],
  // The driver looks at the status when the limit is reached and finds the work done, or it resets.
  'lost-irq': ['ok', 'ETIME'],
  'spurious-irq': ['ok'],
  'dma-fault': ['EIO'],
  ecc: ['EIO'],
  'firmware-crash': ['EIO', 'ETIME', 'ECANCELED'],
  unplug: ['ENODEV'],
};

/** How the job that meets the fault may end, by the driver's errno for a hang. */
export function endsOf(kind: FaultKind, { errnos = {} }: DriverAdapter): Outcome[] {
  const { hang = 'ETIME' } = errnos;
  return faultEnds[kind].map((end) => (end === 'ETIME' ? hang : end));
}

/** What must have been counted after one fault. */
function counted({ accel }: Bench, kind: FaultKind): void {
  const { health } = accel;
  if (kind === 'hang') same(health.hangs, 1, 'hangs counted');
  if (kind === 'dma-fault') ensure(health.dmaFaults > 0, 'the DMA fault was not counted');
  if (kind === 'ecc') ensure(health.eccUncorrected > 0, 'the memory error was not counted');
}

/** Arms a fault; false when the device cannot suffer it and says so. */
function arm({ system }: Bench, kind: FaultKind): boolean {
  try {
    system.faults.arm(kind);
    return true;
  } catch (error) {
    ensure(
      error instanceof AccelError && error.code === 'EOPNOTSUPP' && error.reason !== undefined,
      `${kind}: refused by ${String(error)} instead of EOPNOTSUPP with a reason`,
    );
    return false;
  }
}

function one(kind: FaultKind): CaseBody {
  return {
    name: `${kind}: the job ends with ${faultEnds[kind].join(' or ')}, the other client’s job and the next ones are done`,
    async run(bench) {
      const [first, second] = [bench.open(), bench.open()];
      const hit = await bench.job(first, { seed: 1 });
      const spared = await bench.job(second, { seed: 2 });
      if (!arm(bench, kind)) {
        await bench.done(hit);
        return;
      }
      const ends = [outcomeOf(hit.run()), outcomeOf(spared.run())];
      const [outcome, other] = [await bench.finish(ends[0]!), await bench.finish(ends[1]!)];
      among(outcome, endsOf(kind, bench.adapter), 'the job');
      if (outcome === 'ok') sameBytes(hit.result, hit.expected, 'its result');
      same(bench.system.faults.delivered(kind), 1, 'faults delivered');
      counted(bench, kind);
      if (kind === 'unplug') {
        same(other, 'ENODEV', 'the other client’s job');
        return;
      }
      same(other, 'ok', 'the other client’s job');
      sameBytes(spared.result, spared.expected, 'the other client’s result');
      await bench.done(await bench.job(second, { seed: 3 }), 'the other client’s next job');
      await bench.finish(first.close());
      await bench.done(await bench.job(bench.open(), { seed: 4 }), 'a new client’s job');
    },
  };
}

/** Faults at random over many jobs: each job is right or ends as its fault says. */
function storm(kind: FaultKind): CaseBody {
  return {
    name: `${kind} at random over 60 jobs of two clients: each is right or ends as documented`,
    async run(bench) {
      const other = bench.open();
      bench.system.faults.arm(kind, { every: 4, seed: 7 });
      let failed = 0;
      for (let i = 0; i < 30; i++) {
        const file = bench.open();
        const pair = [await bench.job(file, { seed: i + 1 }), await bench.job(other, { seed: i + 50 })];
        const ends = pair.map((job) => outcomeOf(job.run()));
        for (const [at, end] of ends.entries()) {
          const outcome = await bench.finish(end);
          among(outcome, ['ok', ...endsOf(kind, bench.adapter), 'ECANCELED'], `job ${i}`);
          if (outcome === 'ok') sameBytes(pair[at]!.result, pair[at]!.expected, `result ${i}`);
          else failed++;
        }
        await bench.finish(pair[1]!.release());
        await bench.finish(file.close());
        file.client.process.kill();
      }
      ensure(bench.system.faults.delivered(kind) > 0, 'no fault was delivered');
      if (!faultEnds[kind].includes('ok')) ensure(failed > 0, 'no job met a fault');
      bench.system.faults.disarm();
      await bench.done(await bench.job(bench.open()), 'a job after the storm');
    },
  };
}

export const faults: Group = {
  name: 'faults',
  cases: [
    ...(Object.keys(faultEnds) as FaultKind[]).map(one),
    ...(['hang', 'lost-irq', 'spurious-irq', 'dma-fault', 'ecc'] as const).map(storm),
    {
      name: 'a spurious interrupt on an idle device is nothing',
      async run(bench) {
        bench.system.spurious();
        await bench.rest();
        const job = await bench.job(bench.open());
        await bench.done(job);
        for (let i = 0; i < 5; i++) bench.system.spurious();
        await bench.rest();
        await bench.done(job, 'a job after five');
      },
    },
  ],
};
