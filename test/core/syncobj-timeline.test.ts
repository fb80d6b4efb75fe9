// Timelines: points, queries, transfer, signal. Core fact sheet section 5; IGT syncobj_timeline beside its wait cases.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as drm from '../../src/abi/drm.js';
import { FenceContext } from '../../src/core/index.js';
import { ALL, AVAILABLE, FOR_SUBMIT, SyncClient } from './sync-client.js';
import { call, fails } from './system.js';

const BAD = 0xdeadbeef;
const LAST_SUBMITTED = drm.DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED;

/** Gives `handle` device points: fences of one sw_sync timeline, the i-th signalling at its value i + 1. */
async function devicePoints(c: SyncClient, handle: number, points: readonly bigint[]): Promise<number> {
  const timeline = c.timeline();
  for (const [i, point] of points.entries()) {
    const binary = await c.create();
    await c.importSyncFile(binary, await c.fence(timeline, i + 1));
    await c.transfer(handle, point, binary, 0n);
    await c.destroy(binary);
  }
  return timeline;
}

describe('arguments of timeline calls', () => {
  const query = drm.DRM_IOCTL_SYNCOBJ_QUERY;
  const signal = drm.DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL;

  for (const [name, def] of [
    ['query', query],
    ['signal', signal],
  ] as const) {
    it(`${name} with no handles is EINVAL (invalid-${name}-zero-handles)`, async () => {
      await fails(new SyncClient().withHandles(def, []), 'EINVAL');
    });

    it(`${name} of handle 0 is ENOENT (invalid-${name}-illegal-handle)`, async () => {
      await fails(new SyncClient().withHandle(def, {}), 'ENOENT');
    });

    it(`${name} with one bad handle is ENOENT (invalid-${name}-one-illegal-handle)`, async () => {
      const c = new SyncClient();
      const [a, b] = (await c.createMany(2)) as [number, number];
      await fails(c.withHandles(def, [a, 0, b]), 'ENOENT');
      assert.deepEqual([await c.query(a, LAST_SUBMITTED), await c.query(b, LAST_SUBMITTED)], [0n, 0n]);
    });

    it(`${name} with unknown flags is EINVAL (invalid-${name}-bad-pad)`, async () => {
      await fails(new SyncClient().withHandle(def, { flags: BAD }), 'EINVAL');
    });
  }

  it('signal of an unknown handle is ENOENT before its point is looked at (invalid-signal-illegal-point)', async () => {
    const c = new SyncClient();
    await fails(c.withHandle(signal, { points: c.place(new Uint8Array(8)) }, 1), 'ENOENT');
  });

  it('query to a bad pointer is EFAULT', async () => {
    const c = new SyncClient();
    await fails(c.withHandle(query, { points: 0x10n }, await c.create()), 'EFAULT');
  });

  it('transfer of unknown handles is ENOENT (invalid-transfer-illegal-handle)', async () => {
    const c = new SyncClient();
    const handle = await c.create(1);
    await fails(c.transfer(BAD, 0n, handle, 0n), 'ENOENT');
    await fails(c.transfer(handle, 0n, BAD, 0n), 'ENOENT');
  });

  it('transfer with a pad is EINVAL (invalid-transfer-bad-pad)', async () => {
    await fails(call(new SyncClient().file, drm.DRM_IOCTL_SYNCOBJ_TRANSFER, { pad: BAD }), 'EINVAL');
  });

  it('transfer of a point that is there goes to a later one (invalid-transfer-non-existent-point)', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    await c.timelineSignal(handle, 63n);
    await c.transfer(handle, 74n, handle, 63n);
    assert.equal(await c.query(handle), 74n);
  });
});

describe('TIMELINE_SIGNAL', () => {
  it('works on an array with points of its own (signal-array)', async () => {
    const c = new SyncClient();
    const handles = await c.createMany(4);
    const points = new BigUint64Array([1n, 1n, 1n, 0n]);
    await c.withHandles(drm.DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, handles, {
      points: c.place(new Uint8Array(points.buffer)),
    });
    assert.equal(await c.waitError(handles.slice(0, 3), { points: [1n, 1n, 1n] }), 'ok');
    assert.equal(await c.waitError([handles[3]!]), 'ok');
  });

  it('of point 0 satisfies timeline and binary waits (signal-point-0)', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    await c.timelineSignal(handle, 0n);
    assert.equal(await c.waitError([handle], { points: [0n] }), 'ok');
    assert.equal(await c.waitError([handle], { flags: FOR_SUBMIT }), 'ok');
  });

  it('moves the value to each point (host-signal-points)', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    let value = 0n;
    for (let i = 0; i < 100; i++) {
      value += BigInt(1 + ((i * 7919) % 1000) * 2 ** 21);
      await c.timelineSignal(handle, value);
      assert.equal(await c.query(handle), value);
      assert.equal(await c.waitError([handle], { points: [value], flags: FOR_SUBMIT }), 'ok');
      assert.equal(await c.waitError([handle], { points: [value - 1n], flags: ALL }), 'ok');
    }
  });

  it('on top of device points counts once those have signalled (host-signal-ordered)', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    const timeline = await devicePoints(c, handle, [1n, 2n, 3n, 4n, 5n]);
    await c.inc(timeline, 3);
    assert.equal(await c.query(handle), 3n);
    await c.timelineSignal(handle, 8n);
    assert.equal(await c.query(handle), 3n);
    assert.equal(await c.query(handle, LAST_SUBMITTED), 8n);
    await c.inc(timeline, 5);
    assert.equal(await c.query(handle), 8n);
  });
});

describe('device points', () => {
  it('that signal out of order keep the value in order (device-signal-unordered)', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    const timeline = c.timeline();
    // Point p signals at step at[p - 1].
    const at = [1, 3, 2, 5, 4];
    for (const [i, step] of at.entries()) {
      const binary = await c.create();
      await c.importSyncFile(binary, await c.fence(timeline, step));
      await c.transfer(handle, BigInt(i + 1), binary, 0n);
    }
    const values: bigint[] = [];
    for (let step = 1; step <= 5; step++) {
      await c.inc(timeline);
      const value = await c.query(handle);
      values.push(value);
      assert.equal(await c.waitError([handle], { points: [value], flags: FOR_SUBMIT }), 'ok');
      assert.equal(await c.waitError([handle], { points: [value], flags: ALL }), 'ok');
    }
    assert.deepEqual(values, [1n, 1n, 3n, 3n, 5n]);
  });

  it('submitted out of order do not break the timeline (device-submit-unordered)', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    const timeline = await devicePoints(c, handle, [1n, 5n, 3n, 6n, 7n]);
    await c.inc(timeline, 3);
    assert.equal(await c.query(handle), 5n);
    assert.equal(await c.waitError([handle], { points: [5n], flags: FOR_SUBMIT }), 'ok');
    assert.equal(await c.waitError([handle], { points: [5n], flags: ALL }), 'ok');
    assert.equal(await c.waitError([handle], { points: [6n], flags: ALL }), 'ETIME');
  });

  it('beyond 31 bits never make the value go back (32bits-limit)', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    const limit = 2n ** 31n - 1n;
    const timeline = await devicePoints(c, handle, [1n, 5n, limit + 5n, limit + 6n, limit * 2n]);
    const values = [await c.query(handle)];
    for (let i = 0; i < 5; i++) {
      await c.inc(timeline);
      values.push(await c.query(handle));
    }
    assert.deepEqual(values, [0n, 1n, 5n, limit + 5n, limit + 6n, limit * 2n]);
  });

  it('are transferred between binary and timeline (transfer-timeline-point)', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    const timeline = await devicePoints(c, handle, [1n]);
    assert.equal(await c.query(handle), 0n);
    assert.equal(await c.waitError([handle], { points: [1n], flags: ALL }), 'ETIME');
    await c.inc(timeline);
    assert.equal(await c.query(handle), 1n);
    assert.equal(await c.waitError([handle], { points: [1n], flags: ALL }), 'ok');
    await c.timelineSignal(handle, 2n);
    await c.transfer(handle, 3n, handle, 2n);
    assert.equal(await c.query(handle), 3n);
  });

  it('up to the 64-bit end are points like others', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    await c.timelineSignal(handle, 2n ** 64n - 2n);
    await c.timelineSignal(handle, 2n ** 64n - 1n);
    assert.equal(await c.query(handle), 2n ** 64n - 1n);
  });
});

describe('TRANSFER', () => {
  it('of a point not submitted is EINVAL, or with WAIT_FOR_SUBMIT waits 5 s for it, then ETIME', async () => {
    const c = new SyncClient();
    const [source, target] = (await c.createMany(2)) as [number, number];
    await fails(c.transfer(target, 1n, source, 4n), 'EINVAL');
    const late = c.transfer(target, 1n, source, 4n, FOR_SUBMIT);
    const caught = fails(late, 'ETIME');
    await c.pass(5e9);
    await caught;
    const comes = c.transfer(target, 1n, source, 4n, FOR_SUBMIT);
    await c.pass(4.9e9);
    await c.timelineSignal(source, 4n);
    await comes;
    assert.equal(await c.query(target), 1n);
  });

  it('to point 0 replaces the box', async () => {
    const c = new SyncClient();
    const [source, target] = (await c.createMany(2)) as [number, number];
    await c.timelineSignal(target, 9n);
    const timeline = await c.attach(source);
    await c.transfer(target, 0n, source, 0n);
    assert.equal(await c.query(target), 0n);
    assert.equal(await c.waitError([target]), 'ETIME');
    await c.inc(timeline);
    assert.equal(await c.waitError([target]), 'ok');
  });

  it('with unknown flags is EINVAL', async () => {
    const c = new SyncClient();
    const handle = await c.create(1);
    await fails(c.transfer(handle, 0n, handle, 0n, ALL), 'EINVAL');
  });
});

describe('a query', () => {
  it('of an empty or a binary syncobj is 0', async () => {
    const c = new SyncClient();
    assert.equal(await c.query(await c.create()), 0n);
    assert.equal(await c.query(await c.create(1), LAST_SUBMITTED), 0n);
  });
});

describe('waiting for points', () => {
  it('that exist is enough with AVAILABLE, also when they come later', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    const waiting = c.wait([handle], { points: [2n], flags: AVAILABLE, within: 1000 });
    await c.pass(1);
    await devicePoints(c, handle, [1n]);
    await c.pass(1);
    await devicePoints(c, handle, [2n]);
    assert.equal(await waiting, 0);
  });

  it('between two points waits for the later', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    const timeline = await devicePoints(c, handle, [4n, 8n]);
    await c.inc(timeline);
    assert.equal(await c.waitError([handle], { points: [4n] }), 'ok');
    assert.equal(await c.waitError([handle], { points: [5n] }), 'ETIME');
    await c.inc(timeline);
    assert.equal(await c.waitError([handle], { points: [5n] }), 'ok');
  });
});

describe('a very long timeline', () => {
  it('signals in whatever order its fences do, without recursion', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    const syncobj = c.file.client.lookupSyncobj(handle);
    const context = new FenceContext('test', 'ring');
    const fences = Array.from({ length: 20_000 }, () => context.create());
    for (const [i, fence] of fences.entries()) syncobj.addPoint(BigInt(i + 1), fence);
    for (let i = fences.length - 1; i > 0; i--) fences[i]!.signal(1);
    assert.equal(await c.query(handle), 0n);
    fences[0]!.signal(2);
    assert.equal(await c.query(handle), 20_000n);
    assert.equal(syncobj.fence!.signalled, true);
  });
});
