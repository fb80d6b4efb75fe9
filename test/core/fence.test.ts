// Fences. Core fact sheet section 4.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestClock } from '../../src/base/clock.js';
import { Fence, FenceContext } from '../../src/core/index.js';
import { fails } from './system.js';

const context = (): FenceContext => new FenceContext('test', 'ring0');

describe('a fence', () => {
  it('carries driver and timeline name, and seqnos of its context grow', () => {
    const timeline = context();
    const [a, b] = [timeline.create(), timeline.create()];
    assert.deepEqual([a.driverName, a.timelineName, a.seqno, b.seqno], ['test', 'ring0', 1, 2]);
    assert.ok(b.isLater(a) && !a.isLater(b) && !a.isLater(a));
    assert.ok(!context().create().isLater(a));
  });

  it('signals once: the first time and error stay', () => {
    const fence = context().create();
    assert.deepEqual([fence.signalled, fence.error, fence.timestamp], [false, undefined, 0]);
    let calls = 0;
    fence.onSignal(() => calls++);
    fence.signal(100, 'ETIME');
    fence.signal(200);
    assert.deepEqual([fence.signalled, fence.error, fence.timestamp, calls], [true, 'ETIME', 100, 1]);
  });

  it('calls back in the order of subscription, not those who took it back, and at once afterwards', () => {
    const fence = context().create();
    const calls: string[] = [];
    fence.onSignal(() => calls.push('a'));
    const b = fence.onSignal(() => calls.push('b'));
    const c = fence.onSignal(() => {
      calls.push('c');
      d[Symbol.dispose]();
    });
    const d = fence.onSignal(() => calls.push('d'));
    b[Symbol.dispose]();
    fence.signal(1);
    fence.onSignal(() => calls.push('late'));
    c[Symbol.dispose]();
    assert.deepEqual(calls, ['a', 'c', 'late']);
  });

  it('wait resolves whatever the error, and rejects with EINTR when its signal fires', async () => {
    const fence = context().create();
    const interrupt = new AbortController();
    const interrupted = fence.wait(interrupt.signal);
    const waited = fence.wait();
    interrupt.abort();
    await fails(interrupted, 'EINTR');
    fence.signal(1, 'EIO');
    await waited;
    await fence.wait();
  });

  it('waitUntil gives up at its deadline and leaves no timer behind', async () => {
    const clock = new TestClock(0);
    const fence = context().create();
    assert.equal(await fence.waitUntil(clock, 0), false);
    const late = fence.waitUntil(clock, 10);
    const met = fence.waitUntil(clock, 30);
    clock.advance(10);
    assert.equal(await late, false);
    fence.signal(clock.now());
    assert.equal(await met, true);
    assert.equal(clock.pending, 0);
    assert.equal(await fence.waitUntil(clock, 0), true);
  });

  it('that has signalled already can be had for nothing', () => {
    assert.deepEqual([Fence.signalled(5).signalled, Fence.signalled(5).timestamp], [true, 5]);
  });
});
