// Waiting on syncobjs, binary and timeline. Core fact sheet section 5; IGT syncobj_wait (69 cases) and the wait
// and reset cases of syncobj_timeline. Generated names are IGT's.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as drm from '../../src/abi/drm.js';
import { ALL, AVAILABLE, FOR_SUBMIT, SHORT, SyncClient, type WaitOptions } from './sync-client.js';
import { call, fails } from './system.js';

const BAD = 0xdeadbeef;
const NONE = 0xffffffff;

describe('arguments of syncobj waits', () => {
  const waits = [drm.DRM_IOCTL_SYNCOBJ_WAIT, drm.DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT];

  it('with unknown flags are EINVAL (syncobj_wait, syncobj_timeline invalid-wait-bad-flags)', async () => {
    const c = new SyncClient();
    for (const def of waits) await fails(c.withHandles(def, [], { flags: BAD }), 'EINVAL');
    await fails(c.wait([1], { flags: AVAILABLE }), 'EINVAL');
  });

  it('with no handles return 0 (syncobj_wait, syncobj_timeline wait-zero-handles)', async () => {
    const c = new SyncClient();
    for (const def of waits) await c.withHandles(def, []);
  });

  it('with handle 0 are ENOENT (syncobj_wait, syncobj_timeline invalid-wait-illegal-handle)', async () => {
    const c = new SyncClient();
    for (const def of waits) await fails(c.withHandle(def, {}), 'ENOENT');
  });

  it('with bad pointers are EFAULT', async () => {
    const c = new SyncClient();
    const handle = await c.create(1);
    for (const def of waits) await fails(c.withHandles(def, [handle], { handles: 0x10n }), 'EFAULT');
    await fails(c.withHandles(waits[0]!, [handle], { count_handles: 0xffffffff }), 'EFAULT');
    await fails(c.withHandles(waits[1]!, [handle], { points: 0x10n }), 'EFAULT');
  });
});

describe('arguments of RESET and SIGNAL', () => {
  for (const [name, def] of [
    ['reset', drm.DRM_IOCTL_SYNCOBJ_RESET],
    ['signal', drm.DRM_IOCTL_SYNCOBJ_SIGNAL],
  ] as const) {
    const initial = name === 'reset' ? 1 : 0;
    const before = name === 'reset' ? 'ok' : 'EINVAL';

    it(`with no handles are EINVAL (syncobj_wait invalid-${name}-zero-handles)`, async () => {
      await fails(new SyncClient().withHandles(def, []), 'EINVAL');
    });

    it(`with handle 0 are ENOENT (syncobj_wait invalid-${name}-illegal-handle)`, async () => {
      await fails(new SyncClient().withHandle(def, {}), 'ENOENT');
    });

    it(`with one bad handle change none (syncobj_wait invalid-${name}-one-illegal-handle)`, async () => {
      const c = new SyncClient();
      const [a, b] = await c.createMany(2, initial);
      await fails(c.withHandles(def, [a!, 0, b!]), 'ENOENT');
      assert.deepEqual([await c.waitError([a!]), await c.waitError([b!])], [before, before]);
    });

    it(`with a pad are EINVAL (syncobj_wait invalid-${name}-bad-pad)`, async () => {
      await fails(new SyncClient().withHandle(def, { pad: BAD }), 'EINVAL');
    });

    it('with a bad pointer are EFAULT', async () => {
      await fails(new SyncClient().withHandle(def, { handles: 0x10n }), 'EFAULT');
    });
  }
});

type Stage = 'unsubmitted' | 'submitted' | 'signaled';
interface Case {
  readonly all: boolean;
  readonly forSubmit: boolean;
  readonly available: boolean;
  readonly stages: readonly Stage[];
}

/** What IGT expects of each combination. */
function expected({ all, forSubmit, available, stages }: Case): string {
  const missing = stages.includes('unsubmitted');
  const done = (stage: Stage): boolean => stage === 'signaled' || (stage === 'submitted' && available);
  if (missing && !forSubmit && !available) return 'EINVAL';
  return (all ? stages.every(done) : stages.some(done)) ? 'ok' : 'ETIME';
}

function nameOf({ all, forSubmit, available, stages }: Case): string {
  const flags = `${all ? '-all' : ''}${forSubmit ? '-for-submit' : ''}${available ? '-available' : ''}`;
  return `${flags}-${stages.join('-')}`;
}

const stageSets: readonly Stage[][] = [
  ['unsubmitted'],
  ['submitted'],
  ['signaled'],
  ['unsubmitted', 'submitted'],
  ['unsubmitted', 'signaled'],
  ['submitted', 'signaled'],
  ['unsubmitted', 'submitted', 'signaled'],
];
const bools = [false, true];
const cases = bools.flatMap((all) =>
  bools.flatMap((forSubmit) =>
    bools.flatMap((available) => stageSets.map((stages) => ({ all, forSubmit, available, stages }))),
  ),
);

/** The syncobjs in the given stages, waited on with the flags of `each`, at once and for a while. */
async function check(each: Case, points: readonly bigint[], timeline: boolean): Promise<void> {
  const flags = (each.all ? ALL : 0) | (each.forSubmit ? FOR_SUBMIT : 0) | (each.available ? AVAILABLE : 0);
  const outcome = expected(each);
  const stages = points.map((_, i) => each.stages[Math.min(i, each.stages.length - 1)]!);
  const c = new SyncClient();
  const handles = await c.createMany(points.length);
  for (const [i, stage] of stages.entries()) {
    if (stage === 'submitted') await c.attach(handles[i]!, points[i]);
    if (stage === 'signaled') await c.trigger(handles[i]!, points[i]);
  }
  const options: WaitOptions = { flags, points: timeline ? points : undefined };
  assert.equal(await c.waitError(handles, options), outcome);
  const timed = c.waitError(handles, { ...options, within: SHORT });
  await c.pass(SHORT);
  assert.equal(await timed, outcome);
  if (outcome === 'ok' && !each.all) {
    const done = (stage: Stage): boolean => stage === 'signaled' || (stage === 'submitted' && each.available);
    assert.equal(await c.wait(handles, options), stages.findIndex(done));
  }
  assert.equal(c.system.clock.pending, 0);
}

for (const timeline of bools) {
  const igt = timeline ? 'syncobj_timeline' : 'syncobj_wait';

  describe(`${igt} waits`, () => {
    for (const each of cases) {
      if (each.available && !timeline) continue;
      const outcome = expected(each);
      const prefix = outcome === 'ok' ? '' : outcome === 'EINVAL' ? 'invalid-' : 'etime-';
      if (each.stages.length === 1) {
        it(`${prefix}single-wait${nameOf(each)}`, () => check(each, [timeline ? 1n : 0n], timeline));
      }
      const points = timeline ? [17n, 0n, 400n, 3n, 0n] : [0n, 0n, 0n];
      it(`${prefix}multi-wait${nameOf(each)}`, () => check(each, points, timeline));
    }
  });

  const point = timeline ? 1n : 0n;
  const opts = (options: WaitOptions = {}, count = 1): WaitOptions => ({
    ...options,
    points: timeline ? new Array<bigint>(count).fill(point) : undefined,
  });

  describe(`${igt} over time`, () => {
    for (const [name, flags] of [
      ['wait-delayed-signal', 0],
      ['wait-all-delayed-signal', ALL],
      ['wait-for-submit-delayed-submit', FOR_SUBMIT],
      ['wait-all-for-submit-delayed-submit', ALL | FOR_SUBMIT],
    ] as const) {
      it(name, async () => {
        const c = new SyncClient();
        const handle = await c.create();
        const submitted = (flags & FOR_SUBMIT) !== 0;
        const fence = submitted ? undefined : await c.attach(handle, point);
        let done = false;
        const waiting = c.wait([handle], opts({ flags, within: 2 * SHORT })).then(() => (done = true));
        await c.pass(SHORT);
        assert.equal(done, false);
        if (fence === undefined) await c.trigger(handle, point);
        else await c.inc(fence);
        await waiting;
        assert.equal(c.system.clock.pending, 0);
      });
    }

    it('reset-unsignaled', async () => {
      const c = new SyncClient();
      const handle = await c.create();
      assert.equal(await c.waitError([handle], opts()), 'EINVAL');
      await c.reset(handle);
      assert.equal(await c.waitError([handle], opts()), 'EINVAL');
    });

    it('reset-signaled', async () => {
      const c = new SyncClient();
      const handle = await c.create();
      await c.trigger(handle, point);
      assert.equal(await c.waitError([handle], opts()), 'ok');
      await c.reset(handle);
      assert.equal(await c.waitError([handle], opts()), 'EINVAL');
    });

    it('reset-multiple-signaled', async () => {
      const c = new SyncClient();
      const handles = await c.createMany(3);
      for (const handle of handles) await c.trigger(handle, point);
      assert.equal(await c.waitError(handles, opts({}, 3)), 'ok');
      await c.reset(...handles);
      for (const handle of handles) assert.equal(await c.waitError([handle], opts()), 'EINVAL');
    });

    it('reset-during-wait-for-submit', async () => {
      const c = new SyncClient();
      const handle = await c.create();
      const waiting = c.waitError([handle], opts({ flags: FOR_SUBMIT, within: 2 * SHORT }));
      await c.pass(SHORT);
      await c.reset(handle);
      await c.trigger(handle, point);
      assert.equal(await waiting, 'ok');
    });

    it('signal', async () => {
      const c = new SyncClient();
      const handle = await c.create();
      assert.equal(await c.waitError([handle], opts()), 'EINVAL');
      assert.equal(await c.waitError([handle], opts({ flags: FOR_SUBMIT })), 'ETIME');
      if (timeline) await c.timelineSignal(handle, point);
      else await c.signal(handle);
      assert.equal(await c.waitError([handle], opts()), 'ok');
      assert.equal(await c.waitError([handle], opts({ flags: FOR_SUBMIT })), 'ok');
    });

    for (const [name, flags] of [
      ['wait-any-snapshot', 0],
      ['wait-all-snapshot', ALL],
      ['wait-for-submit-snapshot', FOR_SUBMIT],
      ['wait-all-for-submit-snapshot', ALL | FOR_SUBMIT],
    ] as const) {
      it(`${name}: what was found is kept, whatever happens to the syncobj`, async () => {
        const c = new SyncClient();
        const [a, b] = (await c.createMany(2)) as [number, number];
        const upFront = (flags & FOR_SUBMIT) === 0;
        const first = upFront ? await c.attach(a, point) : undefined;
        const second = upFront ? await c.attach(b, point) : undefined;
        const waiting = c.wait([a, b], opts({ flags, within: SHORT }, 2));
        await c.pass(SHORT / 5);
        if ((flags & ALL) !== 0) {
          if (first === undefined) await c.trigger(a, point);
          else await c.inc(first);
        } else if (!upFront) await c.attach(a, point);
        await c.pass(SHORT / 5);
        await c.reset(a);
        await c.attach(a, point);
        await c.pass(SHORT / 5);
        if (second === undefined) await c.trigger(b, point);
        else await c.inc(second);
        const index = await waiting;
        if ((flags & ALL) === 0) assert.equal(index, 1);
      });
    }

    for (const [name, flags] of [
      ['wait-any-complex', 0],
      ['wait-all-complex', ALL],
      ['wait-for-submit-complex', FOR_SUBMIT],
      ['wait-all-for-submit-complex', ALL | FOR_SUBMIT],
    ] as const) {
      it(`${name}: eight syncobjs submitted, signalled, reset and submitted again in turn`, async () => {
        const c = new SyncClient();
        const handles = await c.createMany(8);
        const upFront = (flags & FOR_SUBMIT) === 0;
        const fences = new Map<number, number>();
        if (upFront) for (const handle of handles) fences.set(handle, await c.attach(handle, point));
        const waiting = c.wait(handles, opts({ flags, within: 1e9 }, 8));
        await c.pass(SHORT / 10);
        const stage = new Map(handles.map((handle) => [handle, 0]));
        let firstSignaled = -1;
        let signaled = 0;
        // Each index four times, in an order without pattern.
        for (const i of [5, 0, 3, 3, 7, 1, 5, 6, 2, 2, 0, 4, 6, 1, 7, 4, 3, 5, 0, 2, 1, 6, 7, 4]) {
          const handle = handles[i]!;
          const at = stage.get(handle)!;
          stage.set(handle, at + 1);
          if (at === 0 && !upFront) fences.set(handle, await c.attach(handle, point));
          if (at === 1) {
            await c.inc(fences.get(handle)!);
            await c.close(fences.get(handle)!);
            if (signaled++ === 0) firstSignaled = i;
          }
          if (at === 2) {
            await c.reset(handle);
            await c.attach(handle, point);
          }
          if ((flags & ALL) === 0 ? signaled > 0 : signaled === 8) break;
          await c.pass(1000);
        }
        const index = await waiting;
        if ((flags & ALL) === 0) assert.equal(index, firstSignaled);
        else assert.equal(signaled, 8);
      });
    }

    for (const [name, flags] of [
      ['wait-any-interrupted', 0],
      ['wait-all-interrupted', ALL],
    ] as const) {
      it(`${name}: EINTR at once, and ETIME in the end when restarted with the same deadline`, async () => {
        const c = new SyncClient();
        const handle = await c.create();
        await c.attach(handle, point);
        const deadline = c.system.clock.now() + SHORT;
        for (let i = 0; i < 3; i++) {
          const interrupt = new AbortController();
          const within = deadline - c.system.clock.now();
          const waiting = c.waitError([handle], opts({ flags, within, signal: interrupt.signal }));
          await c.pass(SHORT / 10);
          interrupt.abort();
          assert.equal(await waiting, 'EINTR');
        }
        const last = c.waitError([handle], opts({ flags, within: deadline - c.system.clock.now() }));
        await c.pass(SHORT);
        assert.equal(await last, 'ETIME');
        assert.equal(c.system.clock.pending, 0);
      });
    }
  });
}

describe('syncobj waits', () => {
  it('of all report the first that had signalled on entry, or none', async () => {
    const c = new SyncClient();
    const [a, b] = (await c.createMany(2)) as [number, number];
    await c.signal(b);
    const timeline = await c.attach(a);
    const waiting = c.wait([a, b], { flags: ALL, within: SHORT });
    await c.pass(1);
    await c.inc(timeline);
    assert.equal(await waiting, 1);
    const [x, y] = [await c.create(), await c.create()];
    const fence = await c.attach(x);
    const none = c.wait([x, y], { flags: ALL | FOR_SUBMIT, within: SHORT });
    await c.pass(1);
    await c.inc(fence);
    await c.signal(y);
    assert.equal(await none, NONE);
  });

  it('are EINVAL for something unsubmitted even when another entry has signalled', async () => {
    const c = new SyncClient();
    const signalled = await c.create(1);
    assert.equal(await c.waitError([signalled, await c.create()]), 'EINVAL');
  });

  it('wait forever with a timeout beyond what a clock can say', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    const timeline = await c.attach(handle);
    const fields = { timeout_nsec: 0x7fff_ffff_ffff_ffffn };
    let done = false;
    const waiting = c.withHandles(drm.DRM_IOCTL_SYNCOBJ_WAIT, [handle], fields).then(() => (done = true));
    await c.pass(1e15);
    assert.equal(done, false);
    await c.inc(timeline);
    await waiting;
  });

  it('take the DEADLINE flag as a hint, and structs with and without its field', async () => {
    const c = new SyncClient();
    const handle = await c.create(1);
    assert.equal(await c.waitError([handle], { flags: 8 }), 'ok');
    const short = drm.DrmSyncobjWait.bytes({
      handles: c.place(Uint8Array.of(handle, 0, 0, 0)),
      count_handles: 1,
    }).subarray(0, 32);
    assert.equal(await c.file.ioctl(0xc02064c3, short), 0);
    const timeline = drm.DrmSyncobjTimelineWait.bytes({
      handles: c.place(Uint8Array.of(handle, 0, 0, 0)),
      count_handles: 1,
    }).subarray(0, 40);
    assert.equal(await c.file.ioctl(0xc02864ca, timeline), 0);
  });

  it('with a null points pointer mean point 0 everywhere', async () => {
    const c = new SyncClient();
    const handle = await c.create(1);
    await call(c.file, drm.DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, {
      handles: c.place(Uint8Array.of(handle, 0, 0, 0)),
      count_handles: 1,
    });
  });

  it('end when the device is unplugged and its fences signal', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    const { hw } = c.system.device;
    c.file.client.lookupSyncobj(handle).replace(hw.fence);
    const waiting = c.waitError([handle], { within: SHORT });
    await c.system.clock.settle();
    c.system.device.unplug();
    hw.fence.signal(c.system.clock.now(), 'ENODEV');
    assert.equal(await waiting, 'ok');
  });
});
