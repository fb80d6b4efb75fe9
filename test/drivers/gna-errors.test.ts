// What becomes of GNA requests that go wrong: WAIT's errors, hangs, QoS, cancelling, power.
// Not the checks of COMPUTE: gna-uapi.test.ts; not register by register: gna-hardware.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as abi from '../../src/abi/gna.js';
import type { LocalFile } from '../../src/core/index.js';
import { regs } from '../../src/hw/gna/index.js';
import { suiteSystem } from '../../src/node/suite-system.js';
import {
  Bench,
  Interrupt,
  adapterFor,
  call,
  closeGem,
  computeGna,
  gnaJob,
  outcomeOf,
  waitGna,
  type GnaJob,
  type GnaWaited,
} from '../../src/testing/index.js';

const board = 'gna:2.0';
const SECOND = 1e9;

function setup() {
  const bench = new Bench(
    suiteSystem({ board, engines: 'inline', count: 1 }),
    adapterFor(board).adapter,
    'inline',
  );
  const { clock, faults } = bench.system;
  return {
    bench,
    clock,
    hang: () => faults.arm('hang'),
    job: (file: LocalFile, seed = 1, layer = {}) => gnaJob(file, '2.0', seed, layer),
    /** Waits, moving the clock. */
    wait: (file: LocalFile, id: number, timeout?: number) => bench.finish(waitGna(file, id, timeout)),
    async right(file: LocalFile, job: GnaJob) {
      const id = await computeGna(file, [job.buffer]);
      assert.equal((await bench.finish(waitGna(file, id))).error, undefined);
      assert.deepEqual(job.result, job.expected);
    },
    /** Everything given back. */
    end: async () => {
      await bench.verify();
      bench.dispose();
    },
  };
}

const codeOf = ({ error }: GnaWaited): string => error?.code ?? 'ok';

describe('WAIT', () => {
  it('gives status and times of a request once; the second time EINVAL', async () => {
    const { bench, clock, job, wait, end } = setup();
    const file = bench.open();
    const one = await job(file);
    clock.advance(5000);
    const id = await computeGna(file, [one.buffer], { hw_perf_encoding: 1 });
    const { out, error } = await wait(file, id);
    assert.equal(error, undefined);
    assert.equal(out.hw_status, regs.STS.encode({ SCORE_COMPLETED: 1, STATISTICS_VALID: 1 }));
    for (const time of [out.pre_processing, out.processing, out.hw_completed, out.completion])
      assert.equal(time, BigInt(clock.now()));
    assert.ok(out.total > 0n);
    const again = await wait(file, id);
    assert.equal(codeOf(again), 'EINVAL');
    assert.equal(again.out.hw_status, id, 'the struct is as it was');
    await end();
  });

  it('gives no cycles when no statistics were asked for', async () => {
    const { bench, job, wait, end } = setup();
    const file = bench.open();
    const { out } = await wait(file, await computeGna(file, [(await job(file)).buffer]));
    assert.deepEqual([out.total, out.stall], [0n, 0n]);
    await end();
  });

  it('knows no request of another file, and none that never was', async () => {
    const { bench, job, wait, end } = setup();
    const [file, other] = [bench.open(), bench.open()];
    const id = await computeGna(file, [(await job(file)).buffer]);
    for (const unknown of [0, id + 1, id + 2 ** 32])
      assert.equal(codeOf(await wait(file, unknown)), 'EINVAL');
    assert.equal(codeOf(await wait(other, id)), 'EINVAL');
    assert.equal(codeOf(await wait(file, id)), 'ok');
    await end();
  });

  it('is EBUSY when the time is over or a signal comes, and the request stays', async () => {
    const { bench, clock, hang, job, wait, end } = setup();
    const file = bench.open();
    const { buffer } = await job(file);
    hang();
    const id = await computeGna(file, [buffer]);
    const start = clock.now();
    assert.equal(codeOf(await wait(file, id, 0)), 'EBUSY');
    assert.equal(clock.now(), start);
    assert.equal(codeOf(await wait(file, id, 250)), 'EBUSY');
    assert.equal(clock.now() - start, 250e6);
    const interrupt = new Interrupt();
    const waiting = waitGna(file, id, 1000, interrupt);
    await bench.rest();
    interrupt.fire();
    assert.equal(codeOf(await waiting), 'EBUSY');
    assert.ok(interrupt.quiet);
    assert.equal(codeOf(await wait(file, id)), 'ENODATA');
    await end();
  });

  it('gives the result to one of two who wait for it', async () => {
    const { bench, job, end } = setup();
    const file = bench.open();
    const id = await computeGna(file, [(await job(file)).buffer]);
    const both = await bench.finish(Promise.all([waitGna(file, id), waitGna(file, id)]));
    assert.deepEqual(both.map(codeOf).sort(), ['EINVAL', 'ok']);
    await end();
  });
});

describe('a GNA request that fails', () => {
  it('is EIO with VA out of range in hw_status for an address beyond VAMAXADDR, and the next one runs', async () => {
    const { bench, job, wait, right, end } = setup();
    const file = bench.open();
    const wild = await job(file, 1, { input: 3 * 4096 });
    const { out, error } = await wait(file, await computeGna(file, [wild.buffer]));
    assert.equal(error?.code, 'EIO');
    assert.match(error.reason!, /VA_OUT_OF_RANGE=1/);
    assert.equal(out.hw_status, 0x80);
    await right(file, await job(file, 2));
    await end();
  });

  it('is EIO with DMA error for a transfer that the IOMMU blocks', async () => {
    const { bench, job, wait, right, end } = setup();
    const file = bench.open();
    bench.system.faults.arm('dma-fault');
    const { out, error } = await wait(file, await computeGna(file, [(await job(file)).buffer]));
    assert.equal(error?.code, 'EIO');
    assert.equal(out.hw_status, 0x20);
    assert.equal(bench.accel.health.dmaFaults, 1);
    await right(file, await job(file));
    await end();
  });

  it('is EIO with parameter out of range for an operation that does not exist', async () => {
    const { bench, job, wait, end } = setup();
    const file = bench.open();
    const { out, error } = await wait(
      file,
      await computeGna(file, [(await job(file, 1, { op: 0x7f })).buffer]),
    );
    assert.equal(error?.code, 'EIO');
    assert.equal(out.hw_status, 0x100);
    await end();
  });

  it('is ENODATA after the recovery timeout when the device hangs, and the next job runs', async () => {
    const { bench, clock, hang, job, wait, right, end } = setup();
    const [file, other] = [bench.open(), bench.open()];
    const [hung, next, mine] = [await job(file), await job(other, 2), await job(file, 3)];
    hang();
    const start = clock.now();
    const ids = [await computeGna(file, [hung.buffer]), await computeGna(other, [next.buffer])];
    const third = await computeGna(file, [mine.buffer]);
    const { out, error } = await wait(file, ids[0]!);
    assert.equal(error?.code, 'ENODATA');
    assert.equal(out.hw_status, 0);
    assert.equal(clock.now() - start, 60 * SECOND);
    assert.equal(codeOf(await wait(other, ids[1]!)), 'ok');
    assert.deepEqual(next.result, next.expected);
    // What waits behind it of the same file runs too.
    assert.equal(codeOf(await wait(file, third)), 'ok');
    assert.deepEqual(mine.result, mine.expected);
    await right(file, await job(file, 4));
    await end();
  });

  it('is done when only its interrupt was lost: the status is looked at after the recovery timeout', async () => {
    const { bench, clock, job, wait, end } = setup();
    const file = bench.open();
    const one = await job(file);
    bench.system.faults.arm('lost-irq');
    const start = clock.now();
    const { error } = await wait(file, await computeGna(file, [one.buffer]));
    assert.equal(error, undefined);
    assert.equal(clock.now() - start, 60 * SECOND);
    assert.deepEqual(one.result, one.expected);
    assert.equal(bench.accel.health.resets, 0);
    await end();
  });

  it('says nothing about saturation to the next one: the warning is cleared', async () => {
    const { bench, job, wait, end } = setup();
    const file = bench.open();
    const [hot, cool] = [await job(file), await job(file)];
    const view = new DataView(hot.bytes.buffer, hot.bytes.byteOffset);
    view.setInt32(4096 + 128, 0x7fffffff, true);
    view.setInt16(4096, 100, true);
    view.setInt16(4096 + 64, 100, true);
    const saturated = async ({ buffer }: GnaJob): Promise<number> =>
      regs.STS.f.SATURATE.get((await wait(file, await computeGna(file, [buffer]))).out.hw_status);
    assert.equal(await saturated(hot), 1);
    assert.equal(view.getInt32(2 * 4096, true), 0x7fffffff);
    assert.equal(await saturated(cool), 0);
    await end();
  });

  it('is EINVAL when the GMM descriptor does not lie in a buffer', async () => {
    const { bench, job, wait, right, end } = setup();
    const file = bench.open();
    const one = await job(file);
    for (const layer_base of [3 * 4096, 3 * 4096 - 127, 0xffffffff]) {
      const id = await computeGna(file, [one.buffer], { gna_mode: abi.GNA_MODE_GMM, layer_base });
      assert.equal(codeOf(await wait(file, id)), 'EINVAL');
    }
    await right(file, one);
    await end();
  });
});

describe('the QoS flag', () => {
  it('is EBUSY while any client’s request runs or is queued, and lets the request in when none does', async () => {
    const { bench, hang, job, wait, end } = setup();
    const [file, other] = [bench.open(), bench.open()];
    const [mine, theirs] = [await job(file), await job(other)];
    const quick = { flags: abi.GNA_FLAG_SCORE_QOS };
    hang();
    const running = await computeGna(other, [theirs.buffer]);
    await assert.rejects(computeGna(file, [mine.buffer], quick), { code: 'EBUSY', field: 'flags' });
    await bench.rest();
    await assert.rejects(computeGna(file, [mine.buffer], quick), { code: 'EBUSY' });
    // It comes before the look at the buffers, after that at mode and counts.
    await assert.rejects(computeGna(file, [{ handle: 99 }], quick), { code: 'EBUSY' });
    await assert.rejects(computeGna(file, [], { ...quick, buffer_count: 0n }), { code: 'EINVAL' });
    assert.equal(codeOf(await wait(other, running)), 'ENODATA');
    const id = await computeGna(file, [mine.buffer], quick);
    // A result that nobody has asked for is no request any more.
    await bench.rest();
    const second = await computeGna(file, [mine.buffer], quick);
    assert.deepEqual([codeOf(await wait(file, id)), codeOf(await wait(file, second))], ['ok', 'ok']);
    await end();
  });
});

describe('cancelling', () => {
  it('frees all requests of a file that closes, the one on the hardware too: the next client does not wait', async () => {
    const { bench, clock, hang, job, right, end } = setup();
    const [file, other] = [bench.open(), bench.open()];
    const jobs = [await job(file), await job(file), await job(file)];
    hang();
    for (const { buffer } of jobs) await computeGna(file, [buffer]);
    await bench.rest();
    const start = clock.now();
    await bench.finish(file.close());
    await right(other, await job(other));
    assert.ok(clock.now() - start <= SECOND, 'close waits a second at most');
    // None of the others has run: their results are what they were.
    for (const { result } of jobs) assert.ok(result.every((byte) => byte === 0));
    file.client.process.kill();
    await end();
  });

  it('ends requests that use a buffer with GEM_FREE, also while somebody waits for them', async () => {
    const { bench, clock, hang, job, wait, right, end } = setup();
    const file = bench.open();
    const [running, queued, kept] = [await job(file), await job(file), await job(file, 3)];
    hang();
    const ids = [];
    for (const { buffer } of [running, queued, kept]) ids.push(await computeGna(file, [buffer]));
    await bench.rest();
    const start = clock.now();
    const waiting = [waitGna(file, ids[0]!), waitGna(file, ids[1]!)];
    for (const { handle } of [queued, running]) await call(file, abi.DRM_IOCTL_GNA_GEM_FREE, { handle });
    for (const end of waiting) assert.equal(codeOf(await bench.finish(end)), 'ECANCELED');
    for (const id of ids.slice(0, 2)) assert.equal(codeOf(await wait(file, id)), 'EINVAL');
    assert.equal(codeOf(await wait(file, ids[2]!)), 'ok');
    assert.deepEqual(kept.result, kept.expected);
    assert.equal(clock.now(), start);
    await right(file, await job(file));
    await end();
  });

  it('leaves requests of other files alone, whose handles have the same numbers', async () => {
    const { bench, hang, job, wait, end } = setup();
    const [file, other] = [bench.open(), bench.open()];
    const [theirs, mine] = [await job(other), await job(file)];
    assert.equal(theirs.handle, mine.handle);
    hang();
    await computeGna(file, [(await job(file)).buffer]);
    const id = await computeGna(other, [theirs.buffer]);
    await call(file, abi.DRM_IOCTL_GNA_GEM_FREE, { handle: mine.handle });
    assert.equal(codeOf(await wait(other, id)), 'ok');
    assert.deepEqual(theirs.result, theirs.expected);
    await end();
  });

  it('is not what GEM_CLOSE does: the request keeps its buffer', async () => {
    const { bench, job, wait, end } = setup();
    const file = bench.open();
    const one = await job(file);
    const id = await computeGna(file, [one.buffer]);
    await closeGem(file, one.handle);
    assert.equal(codeOf(await wait(file, id)), 'ok');
    assert.deepEqual(one.result, one.expected);
    await bench.finish(outcomeOf(one.release()));
    await end();
  });
});

describe('power', () => {
  it('goes off two seconds after the last request and comes back for the next', async () => {
    const { bench, clock, job, right, end } = setup();
    const { power } = bench.accel;
    const file = bench.open();
    const one = await job(file);
    await right(file, one);
    clock.advance(1.9 * SECOND);
    assert.equal(power.suspended, false);
    clock.advance(0.2 * SECOND);
    assert.equal(power.suspended, true);
    one.result.fill(0);
    await right(file, one);
    assert.equal(power.suspended, false);
    assert.equal(power.resumes, 1);
    await end();
  });

  it('stays on while a request runs, however long', async () => {
    const { bench, clock, hang, job, wait, end } = setup();
    const file = bench.open();
    hang();
    const id = await computeGna(file, [(await job(file)).buffer]);
    await bench.rest();
    clock.advance(50 * SECOND);
    assert.equal(bench.accel.power.suspended, false);
    assert.equal(codeOf(await wait(file, id)), 'ENODATA');
    await end();
  });
});
