// Two clients of one NVDLA: a hang, a lost interrupt, a bad DMA of one, and the other's jobs. On a clock the test moves.
// Not the driver's unit tests: everything here goes ioctl, scheduler, driver, MMIO, model, interrupt.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestClock } from '../../src/base/clock.js';
import type { FaultKind } from '../../src/bus/port.js';
import { openSystem } from '../../src/node/system.js';
import { createBuffer, sdpJob } from '../../src/testing/adapters/nvdla-job.js';

const SECOND = 1e9;
const ATOM = 8;

function bench() {
  const clock = new TestClock(SECOND);
  const system = openSystem({ devices: ['nvdla:nv_small'], clock });
  const { faults, accel } = system.device();
  return { clock, system, faults, accel: accel! };
}

/** How a promise ended, or 'pending'. */
function outcome(promise: Promise<unknown>): { state: string } {
  const result = { state: 'pending' };
  promise.then(
    () => (result.state = 'done'),
    (error: { code?: string }) => (result.state = error.code ?? String(error)),
  );
  return result;
}

describe('two clients of one NVDLA', () => {
  it('a hanging job ends with ETIME after its timeout, and the other client’s jobs all complete', async () => {
    const { clock, system, faults, accel } = bench();
    const [first, second] = [system.open(), system.open()];
    const hanging = await sdpJob(first, { atom: ATOM, add: 1, timeout: 500 });
    const others = await Promise.all(
      Array.from({ length: 5 }, (_, i) => sdpJob(second, { atom: ATOM, add: i, timeout: 500 })),
    );
    for (const other of others) other.source.fill(10);

    faults.arm('hang');
    const lost = outcome(hanging.submit());
    await clock.settle();
    const kept = others.map((other) => outcome(other.submit()));
    await clock.settle();
    assert.equal(lost.state, 'pending');
    assert.deepEqual(
      kept.map(({ state }) => state),
      Array(5).fill('pending'),
      'they wait behind the hang',
    );

    clock.advance(499e6);
    await clock.settle();
    assert.equal(lost.state, 'pending', 'the timeout is not over');
    clock.advance(2e6);
    await clock.settle(512);
    assert.equal(lost.state, 'ETIME');
    assert.deepEqual(
      kept.map(({ state }) => state),
      Array(5).fill('done'),
    );
    others.forEach((other, i) => assert.ok(other.result.every((byte) => byte === 10 + i)));
    assert.equal(accel.health.resets, 1);
    assert.equal(accel.health.hangs, 1);

    // The guilty client is served again once it opens the device anew.
    await first.close();
    const again = system.open();
    const job = await sdpJob(again, { atom: ATOM, add: 2, timeout: 500 });
    job.source.fill(1);
    await job.submit();
    assert.ok(job.result.every((byte) => byte === 3));
    await second.close();
    await again.close();
  });

  for (const [kind, code] of [
    // The driver finds the finished work when it looks at the timeout.
    ['lost-irq', 'done'],
    ['dma-fault', 'EIO'],
  ] as [FaultKind, string][]) {
    it(`a job with ${kind} ends with ${code} and the next one is served`, async () => {
      const { clock, system, faults } = bench();
      const [first, second] = [system.open(), system.open()];
      const bad = await sdpJob(first, { atom: ATOM, timeout: 100 });
      const good = await sdpJob(second, { atom: ATOM, add: 7, timeout: 100 });
      faults.arm(kind);
      const ended = outcome(bad.submit());
      const served = outcome(good.submit());
      await clock.settle();
      clock.advance(101e6);
      await clock.settle(512);
      assert.equal(ended.state, code);
      assert.equal(served.state, 'done');
      assert.ok(good.result.every((byte) => byte === 7));
      await first.close();
      await second.close();
    });
  }

  it('an unplug ends what runs and what waits with ENODEV, and every later call', async () => {
    const { clock, system, faults } = bench();
    const file = system.open();
    const job = await sdpJob(file, { atom: ATOM });
    faults.arm('hang');
    const running = outcome(job.submit());
    const waiting = outcome(job.submit());
    await clock.settle();
    system.device().slot.remove();
    await clock.settle(512);
    assert.equal(running.state, 'ENODEV');
    assert.equal(waiting.state, 'ENODEV');
    await assert.rejects(createBuffer(file, 4096), { code: 'ENODEV' });
    assert.throws(() => system.open(), { code: 'ENODEV' });
    await file.close();
  });

  it('a job reads and writes its own file’s memory only', async () => {
    const { clock, system } = bench();
    const [first, second] = [system.open(), system.open()];
    const secret = await sdpJob(first, { atom: ATOM });
    secret.source.fill(0x55);
    const job = await sdpJob(second, { atom: ATOM });
    // The first file's descriptor number means nothing in the second's process.
    assert.notEqual(secret.buffer.bytes, job.buffer.bytes);
    await job.submit();
    await clock.settle();
    assert.ok(job.result.every((byte) => byte === 0));
    assert.ok(secret.source.every((byte) => byte === 0x55));
    await first.close();
    await second.close();
  });
});
