// The scheduler: order, credits, dependencies, errors, hangs, guilt, kill, unplug. Core fact sheet section 7.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestClock } from '../../src/base/clock.js';
import { AccelError, type ErrnoName } from '../../src/base/errors.js';
import {
  FenceContext,
  Process,
  Scheduler,
  type Entity,
  type Fence,
  type Job,
  type JobOptions,
  type LocalFile,
  type TimeoutAction,
} from '../../src/core/index.js';
import { fails, system, type TestSystem } from './system.js';

const MS = 1e6;

interface Ring extends TestSystem {
  readonly scheduler: Scheduler<string>;
  /** Payloads in the order they were run. */
  readonly ran: string[];
  /** Hardware fences by payload. */
  readonly hardware: Map<string, Fence>;
  push(entity: Entity<string>, payload: string, options?: JobOptions & { after?: Fence[] }): Job<string>;
  complete(payload: string, error?: ErrnoName): Promise<void>;
  settle(): Promise<void>;
}

interface RingOptions {
  readonly credits?: number;
  readonly policy?: 'fifo' | 'rr';
  readonly timeoutNs?: number;
  readonly hangLimit?: number;
  readonly timedOut?: (job: Job<string>, ring: Ring) => TimeoutAction | Promise<TimeoutAction>;
  readonly run?: (job: Job<string>) => Fence | undefined;
}

function ring(options: RingOptions = {}): Ring {
  const base = system();
  const context = new FenceContext('test', 'hardware');
  const ran: string[] = [];
  const hardware = new Map<string, Fence>();
  const settle = (): Promise<void> => base.clock.settle();
  const made: Ring = {
    ...base,
    ran,
    hardware,
    settle,
    scheduler: new Scheduler<string>({
      name: 'ring0',
      device: base.device,
      credits: options.credits ?? 1,
      timeoutNs: options.timeoutNs ?? 500 * MS,
      policy: options.policy,
      hangLimit: options.hangLimit,
      run(job) {
        ran.push(job.payload);
        if (options.run !== undefined) return options.run(job);
        const fence = context.create();
        hardware.set(job.payload, fence);
        return fence;
      },
      timedOut: (job) => options.timedOut?.(job, made) ?? 'no-hang',
    }),
    push(entity, payload, { after = [], ...jobOptions } = {}) {
      const job = entity.job(payload, jobOptions);
      for (const fence of after) job.addDependency(fence);
      job.arm();
      entity.push(job);
      return job;
    },
    async complete(payload, error) {
      hardware.get(payload)!.signal(base.clock.now(), error);
      await settle();
    },
  };
  return made;
}

const state = (job: Job<string>): string =>
  job.finished.signalled ? (job.finished.error ?? 'ok') : 'active';
/** The usual handler: stop, reset, blame the job, go on. */
const resetHandler = (job: Job<string>, { scheduler }: Ring): TimeoutAction => {
  scheduler.stop(job);
  job.fail('ETIME');
  scheduler.resubmit();
  scheduler.start();
  return 'reset';
};

describe('a job', () => {
  it('runs after push, not inside it, and its two fences signal in turn', async () => {
    const r = ring();
    const job = r.push(r.scheduler.entity(), 'a');
    assert.deepEqual([r.ran, job.scheduled.signalled], [[], false]);
    await r.settle();
    assert.deepEqual([r.ran, job.scheduled.signalled, state(job)], [['a'], true, 'active']);
    await r.complete('a');
    assert.equal(state(job), 'ok');
    assert.deepEqual([job.finished.driverName, job.finished.timelineName], ['drm_sched', 'ring0']);
  });

  it('without a hardware fence is done at once', async () => {
    const r = ring({ run: () => undefined });
    const jobs = ['a', 'b', 'c'].map((name) => r.push(r.scheduler.entity(), name));
    await r.settle();
    assert.deepEqual(jobs.map(state), ['ok', 'ok', 'ok']);
  });

  it('whose run throws finishes with that errno, and the next one runs', async () => {
    const r = ring({
      run(job) {
        if (job.payload === 'bad') throw new AccelError('ENOSPC');
        return undefined;
      },
    });
    const entity = r.scheduler.entity();
    const [bad, good] = [r.push(entity, 'bad'), r.push(entity, 'good')];
    await r.settle();
    assert.deepEqual([state(bad), state(good)], ['ENOSPC', 'ok']);
  });

  it('whose run has a defect finishes with EIO, and the defect is kept', async () => {
    const defect = new TypeError('undefined is not a function');
    const r = ring({
      run() {
        throw defect;
      },
    });
    const job = r.push(r.scheduler.entity(), 'a');
    await r.settle();
    assert.equal(state(job), 'EIO');
    assert.equal(r.device.health.lastDefect, defect);
  });

  it('carries the error of its hardware fence', async () => {
    const r = ring();
    const job = r.push(r.scheduler.entity(), 'a');
    await r.settle();
    await r.complete('a', 'EIO');
    assert.equal(state(job), 'EIO');
  });

  it('that failed before it ran is not run', async () => {
    const r = ring();
    const job = r.scheduler.entity().job('a');
    job.arm();
    job.fail('EFAULT');
    job.entity.push(job);
    await r.settle();
    assert.deepEqual([r.ran, state(job)], [[], 'EFAULT']);
  });

  it('has no fences before arm; seqnos of an entity follow the order of arming', () => {
    const entity = ring().scheduler.entity();
    const [a, b] = [entity.job('a'), entity.job('b')];
    assert.throws(() => a.finished, /before arm/);
    b.arm();
    a.arm();
    assert.ok(a.finished.isLater(b.finished));
  });
});

describe('the order of jobs', () => {
  it('is kept over a long queue, filled while it drains', async () => {
    const r = ring({ run: () => undefined });
    const entity = r.scheduler.entity();
    const names: string[] = [];
    for (let round = 0; round < 4; round++) {
      const gate = new FenceContext('test', 'gate').create();
      for (let i = 0; i < 200; i++) {
        const name = `${round}.${i}`;
        names.push(name);
        r.push(entity, name, i === 150 ? { after: [gate] } : {});
      }
      await r.settle();
      gate.signal(1);
    }
    await r.settle();
    assert.deepEqual(r.ran, names);
    assert.equal(entity.idle, true);
  });

  it('within an entity is that of pushes', async () => {
    const r = ring();
    const entity = r.scheduler.entity();
    for (const name of ['a', 'b', 'c']) r.push(entity, name);
    for (const name of ['a', 'b', 'c']) {
      await r.settle();
      await r.complete(name);
    }
    assert.deepEqual(r.ran, ['a', 'b', 'c']);
  });

  const interleaved = async (policy: 'fifo' | 'rr'): Promise<string> => {
    const r = ring({ policy, run: () => undefined });
    const [x, y] = [r.scheduler.entity(), r.scheduler.entity()];
    for (const name of ['x1', 'x2', 'x3']) r.push(x, name);
    for (const name of ['y1', 'y2', 'y3']) r.push(y, name);
    await r.settle();
    return r.ran.join(' ');
  };

  it('between entities is the oldest job first with the fifo policy', async () => {
    assert.equal(await interleaved('fifo'), 'x1 x2 x3 y1 y2 y3');
  });

  it('between entities is in turn with the rr policy', async () => {
    assert.equal(await interleaved('rr'), 'x1 y1 x2 y2 x3 y3');
  });

  it('puts a higher priority first: kernel, high, normal, low', async () => {
    const r = ring({ run: () => undefined });
    for (const priority of ['low', 'normal', 'high', 'kernel'] as const)
      r.push(r.scheduler.entity({ priority }), priority);
    await r.settle();
    assert.deepEqual(r.ran, ['kernel', 'high', 'normal', 'low']);
  });
});

describe('credits', () => {
  it('limit what is on the ring', async () => {
    const r = ring({ credits: 2 });
    for (const name of ['a', 'b', 'c']) r.push(r.scheduler.entity(), name);
    await r.settle();
    assert.deepEqual(r.ran, ['a', 'b']);
    await r.complete('b');
    assert.deepEqual(r.ran, ['a', 'b', 'c']);
  });

  it('are asked for by the first job: a smaller one behind it does not overtake', async () => {
    const r = ring({ credits: 3 });
    r.push(r.scheduler.entity(), 'a', { credits: 2 });
    r.push(r.scheduler.entity(), 'large', { credits: 2 });
    r.push(r.scheduler.entity(), 'small', { credits: 1 });
    await r.settle();
    assert.deepEqual(r.ran, ['a']);
    await r.complete('a');
    assert.deepEqual(r.ran, ['a', 'large', 'small']);
  });

  it('beyond what the scheduler has are cut to that', async () => {
    const r = ring({ credits: 2 });
    r.push(r.scheduler.entity(), 'a', { credits: 100 });
    await r.settle();
    assert.deepEqual(r.ran, ['a']);
  });
});

describe('dependencies', () => {
  it('are all waited for, whatever their order and error', async () => {
    const r = ring();
    const fences = ['p', 'q', 'r'].map((name) => new FenceContext('test', name).create());
    const job = r.push(r.scheduler.entity(), 'a', { after: fences });
    await r.settle();
    fences[2]!.signal(1);
    fences[0]!.signal(1, 'EIO');
    await r.settle();
    assert.deepEqual(r.ran, []);
    fences[1]!.signal(1);
    await r.settle();
    assert.deepEqual(r.ran, ['a']);
    await r.complete('a');
    assert.equal(state(job), 'ok');
  });

  it('hold up their own entity only', async () => {
    const r = ring({ run: () => undefined });
    const never = new FenceContext('test', 'never').create();
    const held = r.scheduler.entity();
    r.push(held, 'held', { after: [never] });
    r.push(held, 'behind');
    r.push(r.scheduler.entity(), 'other');
    await r.settle();
    assert.deepEqual(r.ran, ['other']);
  });

  it('on jobs of the same entity are skipped, on those of another waited for', async () => {
    const r = ring({ credits: 4 });
    const [x, y] = [r.scheduler.entity(), r.scheduler.entity()];
    const first = r.push(x, 'x1');
    r.push(x, 'x2', { after: [first.finished] });
    r.push(y, 'y1', { after: [first.finished] });
    await r.settle();
    assert.deepEqual(r.ran, ['x1', 'x2']);
    await r.complete('x1');
    assert.deepEqual(r.ran, ['x1', 'x2', 'y1']);
  });

  it('of one context shrink to the latest', async () => {
    const r = ring({ run: () => undefined });
    const context = new FenceContext('test', 'one');
    const [early, late] = [context.create(), context.create()];
    r.push(r.scheduler.entity(), 'a', { after: [late, early] });
    late.signal(1);
    await r.settle();
    assert.deepEqual(r.ran, ['a']);
    assert.equal(early.signalled, false);
  });

  it('come from the implicit fences of buffers', async () => {
    const r = ring();
    const gem = r.device.createGem(4096);
    const writer = r.push(r.scheduler.entity(), 'writer');
    gem.reservation.add(writer.finished, 'write');
    const entity = r.scheduler.entity();
    const reader = entity.job('reader');
    reader.addImplicitDependencies(gem, 'read');
    reader.arm();
    entity.push(reader);
    await r.settle();
    assert.deepEqual(r.ran, ['writer']);
    await r.complete('writer');
    assert.deepEqual(r.ran, ['writer', 'reader']);
  });
});

describe('a timeout', () => {
  it('is reported for the oldest job, and begins anew when one finishes', async () => {
    const hung: string[] = [];
    const r = ring({
      credits: 2,
      timedOut: (job) => {
        hung.push(job.payload);
        return 'no-hang';
      },
    });
    r.push(r.scheduler.entity(), 'a');
    r.push(r.scheduler.entity(), 'b');
    await r.settle();
    r.clock.advance(400 * MS);
    await r.complete('a');
    r.clock.advance(499 * MS);
    assert.deepEqual(hung, []);
    r.clock.advance(1 * MS);
    assert.deepEqual(hung, ['b']);
  });

  it('answered with reset, after the usual handling, ends the job with the error of the driver', async () => {
    const r = ring({ timedOut: resetHandler });
    const job = r.push(r.scheduler.entity(), 'a');
    const next = r.push(r.scheduler.entity(), 'b');
    await r.settle();
    r.clock.advance(500 * MS);
    await r.settle();
    assert.deepEqual([state(job), r.ran], ['ETIME', ['a', 'b']]);
    await r.complete('b');
    assert.equal(state(next), 'ok');
    assert.deepEqual([r.device.health.hangs, r.device.health.resets], [1, 1]);
  });

  it('answered with no-hang puts the job back: it may finish, or time out again', async () => {
    let asked = 0;
    const r = ring({
      timedOut: () => {
        asked++;
        return 'no-hang';
      },
    });
    const job = r.push(r.scheduler.entity(), 'a');
    await r.settle();
    r.clock.advance(1500 * MS);
    assert.deepEqual([asked, state(job), r.device.health.hangs], [3, 'active', 0]);
    await r.complete('a');
    assert.equal(state(job), 'ok');
  });

  it('answered with gone ends every job with ENODEV, now and later', async () => {
    const r = ring({ timedOut: () => 'gone' });
    const entity = r.scheduler.entity();
    const jobs = ['a', 'b'].map((name) => r.push(entity, name));
    await r.settle();
    r.clock.advance(500 * MS);
    jobs.push(r.push(entity, 'c'));
    assert.deepEqual(jobs.map(state), ['ENODEV', 'ENODEV', 'ENODEV']);
    assert.deepEqual(r.ran, ['a']);
    assert.equal(r.clock.pending, 0);
  });

  it('may be handled asynchronously; no second one is reported meanwhile', async () => {
    let release: ((action: TimeoutAction) => void) | undefined;
    let asked = 0;
    const r = ring({
      timedOut: (job, { scheduler }) => {
        asked++;
        scheduler.stop(job);
        job.fail('ETIMEDOUT');
        return new Promise((resolve) => (release = resolve));
      },
    });
    const job = r.push(r.scheduler.entity(), 'a');
    await r.settle();
    r.clock.advance(5000 * MS);
    assert.deepEqual([asked, state(job)], [1, 'active']);
    r.scheduler.start();
    release!('reset');
    await r.settle();
    assert.deepEqual([asked, state(job)], [1, 'ETIMEDOUT']);
  });

  it('whose handler fails ends every job with EIO: no fence stays behind', async () => {
    const r = ring({ timedOut: () => Promise.reject(new Error('reset did not come')) });
    const entity = r.scheduler.entity();
    const jobs = ['a', 'b'].map((name) => r.push(entity, name));
    await r.settle();
    r.clock.advance(500 * MS);
    await r.settle();
    assert.deepEqual(jobs.map(state), ['EIO', 'EIO']);
  });

  it('of a job of its own counts for that job only; Infinity is never', async () => {
    const hung: string[] = [];
    const r = ring({
      timedOut: (job, made) => {
        hung.push(job.payload);
        return resetHandler(job, made);
      },
    });
    r.push(r.scheduler.entity(), 'endless', { timeoutNs: Infinity });
    r.push(r.scheduler.entity(), 'short', { timeoutNs: 10 * MS });
    r.push(r.scheduler.entity(), 'usual');
    await r.settle();
    r.clock.advance(1e12);
    await r.complete('endless');
    r.clock.advance(10 * MS);
    await r.settle();
    assert.deepEqual(hung, ['short']);
    r.clock.advance(499 * MS);
    assert.deepEqual(hung, ['short']);
    r.clock.advance(1 * MS);
    assert.deepEqual(hung, ['short', 'usual']);
  });

  it('leaves a late completion without effect: the fence signals once', async () => {
    const r = ring({ timedOut: resetHandler });
    const job = r.push(r.scheduler.entity(), 'a');
    r.push(r.scheduler.entity(), 'b');
    await r.settle();
    let signals = 0;
    job.finished.onSignal(() => signals++);
    r.clock.advance(500 * MS);
    await r.settle();
    await r.complete('a');
    assert.deepEqual([signals, state(job), r.scheduler.stats.running], [1, 'ETIME', 1]);
  });

  it('whose handler only fails the job, without stopping the scheduler, ends that job', async () => {
    const r = ring({
      timedOut(job) {
        job.fail('ETIME');
        return 'reset';
      },
    });
    const job = r.push(r.scheduler.entity(), 'a');
    const next = r.push(r.scheduler.entity(), 'b');
    await r.settle();
    r.clock.advance(500 * MS);
    await r.settle();
    await r.complete('a');
    assert.deepEqual([state(job), state(next), r.ran], ['ETIME', 'active', ['a', 'b']]);
  });

  it('that the job beats by finishing while it is handled does no harm', async () => {
    let release: ((action: TimeoutAction) => void) | undefined;
    const r = ring({ timedOut: () => new Promise((resolve) => (release = resolve)) });
    const job = r.push(r.scheduler.entity(), 'a');
    const next = r.push(r.scheduler.entity(), 'b');
    await r.settle();
    r.clock.advance(500 * MS);
    await r.complete('a');
    release!('no-hang');
    await r.settle();
    r.clock.advance(499 * MS);
    await r.complete('b');
    assert.deepEqual([state(job), state(next), r.device.health.hangs], ['ok', 'ok', 0]);
  });

  it('needs no timer once the scheduler is idle and its clients are gone', async () => {
    const r = ring();
    const entity = r.scheduler.entity();
    r.push(entity, 'a');
    await r.settle();
    await r.complete('a');
    entity.kill();
    assert.equal(r.clock.pending, 0);
  });
});

describe('stop and start', () => {
  it('keep jobs off the ring meanwhile', async () => {
    const r = ring();
    r.scheduler.stop();
    r.push(r.scheduler.entity(), 'a');
    await r.settle();
    assert.deepEqual(r.ran, []);
    r.scheduler.start();
    await r.settle();
    assert.deepEqual(r.ran, ['a']);
  });

  it('with resubmit run innocent jobs of the ring again, in order, and not the guilty one', async () => {
    const r = ring({ credits: 3, timedOut: resetHandler });
    const [bad, one, two] = ['bad', 'one', 'two'].map((name) => r.push(r.scheduler.entity(), name));
    await r.settle();
    r.clock.advance(500 * MS);
    await r.settle();
    assert.deepEqual(r.ran, ['bad', 'one', 'two', 'one', 'two']);
    await r.complete('one');
    await r.complete('two');
    assert.deepEqual(
      [bad, one, two].map((job) => state(job!)),
      ['ETIME', 'ok', 'ok'],
    );
  });

  it('without resubmit end the jobs of the ring with the errno given to start, by default ECANCELED', async () => {
    for (const error of [undefined, 'EIO'] as const) {
      const r = ring({ credits: 2 });
      const jobs = ['a', 'b'].map((name) => r.push(r.scheduler.entity(), name));
      await r.settle();
      r.scheduler.stop();
      r.scheduler.start(error);
      const expected = error ?? 'ECANCELED';
      assert.deepEqual(jobs.map(state), [expected, expected]);
    }
  });
});

describe('run that finds the device dead', () => {
  it('and stops the scheduler leaves its job to start, which ends it', async () => {
    const r = ring({
      run() {
        r.scheduler.stop();
        return undefined;
      },
    });
    const jobs = ['a', 'b'].map((name) => r.push(r.scheduler.entity(), name));
    await r.settle();
    assert.deepEqual([jobs.map(state), r.ran], [['active', 'active'], ['a']]);
    r.scheduler.start('EIO');
    assert.equal(state(jobs[0]!), 'EIO');
  });

  it('and says so ends every job', async () => {
    const r = ring({
      run() {
        r.scheduler.gone('ENODEV');
        return undefined;
      },
    });
    const jobs = ['a', 'b'].map((name) => r.push(r.scheduler.entity(), name));
    await r.settle();
    assert.deepEqual(jobs.map(state), ['ENODEV', 'ENODEV']);
  });
});

describe('a guilty entity', () => {
  it('has its queued jobs end with ECANCELED, while other clients go on', async () => {
    const r = ring({ timedOut: resetHandler });
    const [guilty, innocent] = [r.scheduler.entity(), r.scheduler.entity()];
    const bad = r.push(guilty, 'bad');
    const good = r.push(innocent, 'good');
    const queued = [r.push(guilty, 'q1'), r.push(guilty, 'q2')];
    await r.settle();
    r.clock.advance(500 * MS);
    await r.settle();
    await r.complete('good');
    assert.deepEqual([bad, good, ...queued].map(state), ['ETIME', 'ok', 'ECANCELED', 'ECANCELED']);
    assert.deepEqual(r.ran, ['bad', 'good']);
    assert.deepEqual([guilty.guilty, innocent.guilty], [true, false]);
  });

  it('may be forgiven by the driver', async () => {
    const r = ring({ timedOut: resetHandler });
    const entity = r.scheduler.entity();
    r.push(entity, 'bad');
    await r.settle();
    r.clock.advance(500 * MS);
    entity.guilty = false;
    r.push(entity, 'again');
    await r.settle();
    assert.deepEqual(r.ran, ['bad', 'again']);
  });

  it('is guilty only past the hang limit, and the kernel never is', async () => {
    const r = ring({ timedOut: resetHandler, hangLimit: 1 });
    const [entity, kernel] = [r.scheduler.entity(), r.scheduler.entity({ priority: 'kernel' })];
    const hang = async (of: Entity<string>): Promise<boolean> => {
      r.push(of, 'bad');
      await r.settle();
      r.clock.advance(500 * MS);
      await r.settle();
      return of.guilty;
    };
    assert.deepEqual([await hang(entity), await hang(entity)], [false, true]);
    assert.deepEqual([await hang(kernel), await hang(kernel)], [false, false]);
  });
});

describe('a killed entity', () => {
  it('finishes its queue with ESRCH, in order, behind what runs and after its dependencies', async () => {
    const r = ring();
    const entity = r.scheduler.entity();
    const gate = new FenceContext('test', 'gate').create();
    const running = r.push(entity, 'running');
    const [held, last] = [r.push(entity, 'held', { after: [gate] }), r.push(entity, 'last')];
    await r.settle();
    entity.kill();
    assert.deepEqual([running, held, last].map(state), ['active', 'active', 'active']);
    gate.signal(1);
    assert.equal(state(held), 'active');
    await r.complete('running');
    assert.deepEqual([running, held, last].map(state), ['ok', 'ESRCH', 'ESRCH']);
    assert.deepEqual(r.ran, ['running']);
  });

  it('takes no new job, and one that was armed before finishes with ESRCH', async () => {
    const r = ring();
    const entity = r.scheduler.entity();
    const job = entity.job('a');
    job.arm();
    entity.kill();
    await fails(() => entity.job('b'), 'ENOENT');
    entity.push(job);
    assert.equal(state(job), 'ESRCH');
  });

  it('does not disturb others on the ring', async () => {
    const r = ring();
    const [dead, alive] = [r.scheduler.entity(), r.scheduler.entity()];
    r.push(dead, 'd1');
    r.push(dead, 'd2');
    r.push(alive, 'a1');
    await r.settle();
    dead.kill();
    await r.complete('d1');
    assert.deepEqual(r.ran, ['d1', 'a1']);
  });
});

describe('closing a file', () => {
  const busyFile = async (
    process = new Process(),
  ): Promise<{ r: Ring; file: LocalFile; jobs: Job<string>[] }> => {
    const r = ring();
    const file = r.open(process);
    const entity = r.scheduler.entity({ file: file.client });
    const jobs = ['a', 'b'].map((name) => r.push(entity, name));
    await r.settle();
    return { r, file, jobs };
  };

  it('waits for its queued jobs', async () => {
    const { r, file, jobs } = await busyFile();
    let closed = false;
    const closing = file.close().then(() => (closed = true));
    await r.complete('a');
    assert.equal(closed, false);
    await r.complete('b');
    await closing;
    assert.deepEqual(jobs.map(state), ['ok', 'ok']);
    assert.equal(r.clock.pending, 0);
  });

  it('waits 1 s at most, then what is queued ends with ESRCH', async () => {
    const { r, file, jobs } = await busyFile();
    const closing = file.close();
    r.clock.advance(1e9);
    await closing;
    await r.complete('a');
    assert.deepEqual(jobs.map(state), ['ok', 'ESRCH']);
  });

  it('of a killed process does not wait', async () => {
    const process = new Process();
    const { r, jobs } = await busyFile(process);
    process.kill();
    await r.complete('a');
    assert.deepEqual(jobs.map(state), ['ok', 'ESRCH']);
  });
});

describe('unplug', () => {
  it('ends running and queued jobs with ENODEV at once; late completions do nothing', async () => {
    const r = ring();
    const entity = r.scheduler.entity();
    const gate = new FenceContext('test', 'gate').create();
    const jobs = [r.push(entity, 'a'), r.push(entity, 'b', { after: [gate] }), r.push(entity, 'c')];
    await r.settle();
    r.device.unplug();
    assert.deepEqual(jobs.map(state), ['ENODEV', 'ENODEV', 'ENODEV']);
    await r.complete('a');
    gate.signal(1);
    await r.settle();
    assert.deepEqual(r.ran, ['a']);
    assert.equal(r.clock.pending, 0);
  });
});

describe('an entity on several schedulers', () => {
  it('goes to the least loaded, and stays there while it has jobs', async () => {
    const r = ring();
    const other: string[] = [];
    const context = new FenceContext('test', 'ring1');
    const second = new Scheduler<string>({
      name: 'ring1',
      device: r.device,
      credits: 1,
      timeoutNs: Infinity,
      run(job) {
        other.push(job.payload);
        return context.create();
      },
      timedOut: () => 'no-hang',
    });
    r.push(r.scheduler.entity(), 'load');
    const entity = r.scheduler.entity({ schedulers: [second] });
    r.push(entity, 'a');
    await r.settle();
    r.push(second.entity(), 'more');
    r.push(second.entity(), 'more');
    r.push(entity, 'b');
    await r.settle();
    assert.deepEqual([r.ran, other], [['load'], ['a']]);
    assert.equal(entity.scheduler, second);
  });
});

describe('accounting', () => {
  it('gives busy time to the engine and to each client', async () => {
    const r = ring({ credits: 2 });
    const files = [r.open(), r.open()];
    const entities = files.map((file) => r.scheduler.entity({ file: file.client }));
    r.push(entities[0]!, 'a');
    r.push(entities[1]!, 'b');
    await r.settle();
    const step = (clock: TestClock): void => clock.advance(100);
    step(r.clock);
    await r.complete('a');
    step(r.clock);
    await r.complete('b');
    step(r.clock);
    const now = r.clock.now();
    assert.deepEqual(r.scheduler.busy.usage('ring0', now), { engine: 'ring0', busyNs: 200, jobs: 2 });
    const clients = files.map((file) => file.client.busy('ring0').busyNs(now));
    assert.deepEqual(clients, [100, 200]);
  });

  it('counts jobs by what became of them, and their latency', async () => {
    const r = ring();
    const entity = r.scheduler.entity();
    for (const name of ['a', 'b', 'c']) r.push(entity, name);
    await r.settle();
    r.clock.advance(1000);
    await r.complete('a', 'EIO');
    const { stats } = r.scheduler;
    assert.deepEqual(stats, {
      queued: 1,
      running: 1,
      submitted: 3,
      finished: 1,
      failed: 1,
      timeouts: 0,
    });
    assert.deepEqual(r.scheduler.latency.buckets(), [{ below: 1024, count: 1 }]);
  });

  it('traces a job from push to end', async () => {
    const r = ring();
    const file = r.open();
    const steps: string[] = [];
    using _ = r.core.trace.subscribe(({ step, job, client, detail }) =>
      steps.push([step, job === undefined ? '' : 'job', client, detail].join(' ')),
    );
    r.push(r.scheduler.entity({ file: file.client }), 'a');
    await r.settle();
    await r.complete('a', 'EIO');
    const { clientId } = file.client;
    assert.deepEqual(steps, [`4 job ${clientId} `, `5 job ${clientId} `, `11 job ${clientId} EIO`]);
  });
});
