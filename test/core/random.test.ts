// Random histories: whatever clients do, every fence signals once, limits hold, nothing leaks, nobody else notices.
// Not the rules one by one: those have tests of their own.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AccelError } from '../../src/base/errors.js';
import { FenceContext, Process, Scheduler, type Fence, type Job } from '../../src/core/index.js';
import { buffer, system } from './system.js';

const CREDITS = 3;
const TIMEOUT = 1000;

type Step =
  | { kind: 'push'; entity: number; credits: number; after: number }
  | { kind: 'complete'; which: number; error: boolean }
  | { kind: 'advance'; ns: number }
  | { kind: 'kill'; entity: number }
  | { kind: 'forgive'; entity: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('push' as const),
      entity: fc.nat(3),
      credits: fc.integer({ min: 1, max: 4 }),
      after: fc.nat(20),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('complete' as const), which: fc.nat(5), error: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('advance' as const), ns: fc.nat(TIMEOUT) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill' as const), entity: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forgive' as const), entity: fc.nat(3) }) },
);

/** Plays a history and checks it; `policy` and how it ends vary. */
async function play(steps: readonly Step[], policy: 'fifo' | 'rr', unplug: boolean): Promise<void> {
  const s = system();
  const hardware = new FenceContext('test', 'hardware');
  const running = new Map<Job<number>, Fence>();
  const ran: Job<number>[] = [];
  const scheduler = new Scheduler<number>({
    name: 'ring0',
    device: s.device,
    credits: CREDITS,
    timeoutNs: TIMEOUT,
    policy,
    run(job) {
      if (job.payload % 7 === 6) throw new AccelError('EFAULT');
      if (job.payload % 5 === 4) return undefined;
      const fence = hardware.create();
      running.set(job, fence);
      ran.push(job);
      return fence;
    },
    timedOut(job) {
      if (job.payload % 3 === 0) return 'no-hang';
      scheduler.stop(job);
      job.fail('ETIME');
      scheduler.resubmit();
      scheduler.start();
      return 'reset';
    },
  });
  const entities = [0, 1, 2, 3].map((i) => scheduler.entity({ priority: i === 0 ? 'high' : 'normal' }));
  const jobs: Job<number>[] = [];
  const signals = new Map<Job<number>, number>();
  const limits = (): void => {
    let used = 0;
    for (const job of scheduler.running) used += job.credits;
    assert.ok(used <= CREDITS, `${used} credits on the ring`);
    const { submitted, finished, queued, running: on } = scheduler.stats;
    assert.equal(submitted, finished + queued + on);
  };
  for (const at of steps) {
    if (at.kind === 'push') {
      const entity = entities[at.entity]!;
      if (entity.killed) continue;
      const job = entity.job(jobs.length, { credits: at.credits });
      const dependency = jobs[jobs.length - 1 - at.after];
      if (dependency !== undefined) job.addDependency(dependency.finished);
      job.arm();
      job.finished.onSignal(() => signals.set(job, (signals.get(job) ?? 0) + 1));
      jobs.push(job);
      entity.push(job);
    } else if (at.kind === 'complete') {
      // Also fences that a reset has cut off: late completions.
      const [, fence] = [...running][at.which] ?? [];
      fence?.signal(s.clock.now(), at.error ? 'EIO' : undefined);
    } else if (at.kind === 'advance') s.clock.advance(at.ns);
    else if (at.kind === 'kill') entities[at.entity]!.kill();
    else entities[at.entity]!.guilty = false;
    await s.clock.settle(4);
    limits();
  }
  if (unplug) s.device.unplug();
  for (let round = 0; scheduler.stats.finished < jobs.length; round++) {
    assert.ok(round < 10 * jobs.length + 10, 'jobs that never finish');
    for (const fence of running.values()) fence.signal(s.clock.now());
    await s.clock.settle(4);
    limits();
  }
  for (const entity of entities) {
    assert.equal(entity.idle, true);
    entity.kill();
    const mine = ran.filter((job) => job.entity === entity).map((job) => job.payload);
    const first = mine.filter((payload, i) => mine.indexOf(payload) === i);
    assert.deepEqual(
      first,
      [...first].sort((a, b) => a - b),
      'the order within an entity',
    );
  }
  for (const job of jobs) assert.equal(signals.get(job), 1);
  assert.equal(scheduler.busy.depth, 0);
  assert.equal(s.device.power.users, 0);
  assert.equal(s.clock.pending, 0);
}

describe('the scheduler under any history', () => {
  it('signals every fence once, within its credits, in the order of each entity', async () => {
    const history = fc.array(step, { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(history, fc.constantFrom('fifo' as const, 'rr' as const), fc.boolean(), play),
      { numRuns: 150 },
    );
  });
});

describe('calls with any number and any bytes', () => {
  it('fail with an errno or work, leak nothing, and leave another client alone', async () => {
    const nr = fc.oneof(
      fc.integer({ min: 0, max: 0xff }),
      // Those that exist, more often: GEM, PRIME, syncobjs, the test driver's.
      fc.constantFrom(
        0x09,
        0x2d,
        0x2e,
        0xbf,
        0xc0,
        0xc1,
        0xc2,
        0xc4,
        0xc5,
        0xcb,
        0xcc,
        0xcd,
        0xcf,
        0x42,
        0x43,
      ),
    );
    const small = fc.oneof({ weight: 4, arbitrary: fc.nat(4) }, { weight: 1, arbitrary: fc.nat(0xffffffff) });
    const words = fc.array(small, { maxLength: 20 });
    const calls = fc.array(fc.tuple(nr, fc.constantFrom(0, 1, 2, 3), words), { maxLength: 80 });
    await fc.assert(
      fc.asyncProperty(calls, async (history) => {
        const s = system();
        const neighbour = s.open();
        const { offset } = await buffer(neighbour);
        using mapping = await neighbour.mmap(offset, 4096);
        mapping.bytes.fill(0x5a);
        const before = s.memory.used;
        const process = new Process();
        const file = s.open(process);
        const sleeping: Promise<unknown>[] = [];
        for (const [number, direction, values] of history) {
          // A wait may sleep for ever, BLOCK does: those end with the process.
          const argument = new Uint8Array(Uint32Array.from(values).buffer);
          const request = ((direction << 30) | (argument.length << 16) | 0x6400 | number) >>> 0;
          const done = file.ioctl(request, argument).catch((error: unknown) => {
            assert.ok(error instanceof AccelError, String(error));
          });
          sleeping.push(done);
          await s.clock.settle(4);
        }
        assert.equal(s.device.health.defects, 0);
        process.kill();
        await Promise.all(sleeping);
        assert.equal(s.memory.used, before);
        assert.equal(s.device.files.size, 1);
        assert.ok(mapping.bytes.every((byte) => byte === 0x5a));
      }),
      { numRuns: 150 },
    );
  });
});
