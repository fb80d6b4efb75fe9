// sync_files and sw_sync timelines. Core fact sheet section 6; IGT sw_sync, its 18 cases.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as sync from '../../src/abi/sync-file.js';
import { errno } from '../../src/base/errors.js';
import { EventFd, FenceContext, POLLIN, SyncFile } from '../../src/core/index.js';
import { SyncClient } from './sync-client.js';
import { fails } from './system.js';

const ACTIVE = (active: number, signaled = 0): object => ({ active, signaled, error: 0 });

describe('a sw_sync timeline', () => {
  it('is made by opening it, and gives fences (alloc_timeline, alloc_fence)', async () => {
    const c = new SyncClient();
    const timeline = c.timeline();
    const fence = await c.fence(timeline, 0);
    assert.equal(await c.signalled(fence), true);
    await c.close(fence);
    await c.close(timeline);
    assert.equal(c.process.fds.size, 0);
  });

  it('that is not open gives no fence (alloc_fence_invalid_timeline)', async () => {
    const c = new SyncClient();
    await fails(c.fence(-1, 0), 'EBADF');
    const fence = await c.fence(c.timeline(), 1);
    await fails(c.fence(fence, 0), 'ENOTTY');
  });

  it('ends its fences with ENOENT when closed (timeline_closed)', async () => {
    const c = new SyncClient();
    const timeline = c.timeline();
    const fence = await c.fence(timeline, 1);
    await c.close(timeline);
    assert.equal(await c.signalled(fence), true);
    assert.equal(await c.status(fence), -errno.ENOENT);
  });

  it('leaves fences that had signalled as they are when closed (timeline_closed_signaled)', async () => {
    const c = new SyncClient();
    const timeline = c.timeline();
    const fence = await c.fence(timeline, 1);
    await c.inc(timeline);
    await c.close(timeline);
    assert.equal(await c.status(fence), 1);
  });

  it('signals a fence when it reaches its value, not before (sync_busy)', async () => {
    const c = new SyncClient();
    const timeline = c.timeline();
    const fence = await c.fence(timeline, 5);
    assert.equal(await c.signalled(fence), false);
    await c.inc(timeline, 1);
    assert.equal(await c.signalled(fence), false);
    await c.inc(timeline, 4);
    assert.equal(await c.signalled(fence), true);
    await c.inc(timeline, 5);
    assert.equal(await c.signalled(fence), true);
    let at = 10;
    for (const prime of [2, 3, 5, 7, 11, 13, 89, 97]) {
      at += prime;
      const next = await c.fence(timeline, at);
      await c.inc(timeline, prime);
      assert.equal(await c.signalled(next), true);
    }
  });

  it('may be moved by another process that has its descriptor (sync_busy_fork, sync_busy_fork_unixsocket)', async () => {
    const parent = new SyncClient();
    const child = new SyncClient(parent.system);
    const timeline = parent.timeline();
    const fence = await parent.fence(timeline, 1);
    const passed = child.process.fds.install(parent.process.fds.get(timeline));
    const ready = parent.file.readyFd(fence, POLLIN);
    assert.equal(await parent.signalled(fence), false);
    await child.inc(passed);
    assert.equal(await ready, POLLIN);
    child.process.kill();
    assert.equal(await parent.signalled(await parent.fence(timeline, 2)), false);
  });

  it('compares values as signed 32-bit differences, and large steps signal on their way', async () => {
    const c = new SyncClient();
    const timeline = c.timeline();
    await c.inc(timeline, 0xfffffff0);
    const wrapped = await c.fence(timeline, 5);
    const past = await c.fence(timeline, 0x80000000);
    assert.deepEqual([await c.signalled(wrapped), await c.signalled(past)], [false, true]);
    await c.inc(timeline, 0xfffffffe);
    assert.equal(await c.signalled(wrapped), true);
  });

  it('shares one fence among equal values that are active', async () => {
    const c = new SyncClient();
    const timeline = c.timeline();
    const fences = [await c.fence(timeline, 3), await c.fence(timeline, 3)].map(
      (fd) => (c.process.fds.get(fd) as SyncFile).fence,
    );
    assert.equal(fences[0], fences[1]);
  });
});

describe('MERGE', () => {
  it('of two timelines gives a fence of both (alloc_merge_fence)', async () => {
    const c = new SyncClient();
    const fences = [await c.fence(c.timeline(), 1), await c.fence(c.timeline(), 1)] as const;
    const merged = await c.merge(fences[1], fences[0]);
    for (const fd of fences) await c.close(fd);
    assert.deepEqual(await c.count(merged), ACTIVE(2));
  });

  it('with what is no sync_file is ENOENT (sync_merge_invalid)', async () => {
    const c = new SyncClient();
    const timeline = c.timeline();
    const fence = await c.fence(timeline, 1);
    await fails(c.merge(fence, -1), 'ENOENT');
    await fails(c.merge(fence, c.process.fds.install(new EventFd())), 'ENOENT');
    await fails(c.merge(fence, timeline), 'ENOENT');
  });

  it('with flags or pad is EINVAL', async () => {
    const c = new SyncClient();
    const fd = await c.fence(c.timeline(), 1);
    await fails(c.fdCall(fd, sync.SYNC_IOC_MERGE, { fd2: fd, flags: 1 }), 'EINVAL');
    await fails(c.fdCall(fd, sync.SYNC_IOC_MERGE, { fd2: fd, pad: 1 }), 'EINVAL');
  });

  it('of three fences of one timeline shows one, the latest (sync_merge)', async () => {
    const c = new SyncClient();
    const timeline = c.timeline();
    const fences = [
      await c.fence(timeline, 1),
      await c.fence(timeline, 2),
      await c.fence(timeline, 3),
    ] as const;
    const merged = await c.merge(fences[2], await c.merge(fences[0], fences[1]));
    for (const fd of [...fences, merged]) assert.deepEqual(await c.count(fd), ACTIVE(1));
    for (const fd of fences) {
      assert.deepEqual(await c.count(merged), ACTIVE(1));
      await c.inc(timeline);
      assert.deepEqual(await c.count(fd), ACTIVE(0, 1));
    }
    assert.deepEqual(await c.count(merged), ACTIVE(0, 1));
  });

  it('of a fence with itself signals with it (sync_merge_same)', async () => {
    const c = new SyncClient();
    const timeline = c.timeline();
    const fence = await c.fence(timeline, 1);
    const merged = await c.merge(fence, fence);
    assert.deepEqual(await c.count(fence), ACTIVE(1));
    await c.inc(timeline);
    assert.deepEqual([await c.count(fence), await c.signalled(merged)], [ACTIVE(0, 1), true]);
  });

  it('of several timelines counts each as it signals (sync_multi_timeline_wait)', async () => {
    const c = new SyncClient();
    const timelines = [c.timeline(), c.timeline(), c.timeline()] as const;
    const fences = [
      await c.fence(timelines[0], 5),
      await c.fence(timelines[1], 5),
      await c.fence(timelines[2], 5),
    ] as const;
    const merged = await c.merge(fences[2], await c.merge(fences[0], fences[1]));
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(await c.count(merged), ACTIVE(3 - i, i));
      assert.equal(await c.signalled(merged), false);
      await c.inc(timelines[i]!, 5);
    }
    assert.deepEqual(await c.count(merged), ACTIVE(0, 3));
    assert.equal(await c.signalled(merged), true);
  });

  it('of expired fences has signalled, with the latest time of theirs (sync_expired_merge)', async () => {
    const c = new SyncClient();
    const timeline = c.timeline();
    await c.inc(timeline, 100);
    const early = await c.fence(timeline, 1);
    c.system.clock.advance(50);
    const late = await c.fence(timeline, 2);
    const merged = await c.merge(late, early);
    assert.equal(await c.signalled(merged), true);
    const { fence } = c.process.fds.get(merged) as SyncFile;
    assert.equal(fence.timestamp, c.system.clock.now());
  });

  it('a thousand times at random waits for the latest of every timeline (sync_random_merge)', async () => {
    const c = new SyncClient();
    const timelines = Array.from({ length: 32 }, () => c.timeline());
    const latest = new Map<number, number>();
    let seed = 1;
    const random = (below: number): number => (seed = (seed * 48271) % 0x7fffffff) % below;
    const first = 1 + random(1 << 30);
    let merged = await c.fence(timelines[0]!, first);
    latest.set(timelines[0]!, first);
    for (let i = 0; i < 1024; i++) {
      const timeline = timelines[random(32)]!;
      const value = 1 + random(1 << 30);
      latest.set(timeline, Math.max(latest.get(timeline) ?? 0, value));
      const fence = await c.fence(timeline, value);
      const next = await c.merge(fence, merged);
      await c.close(fence);
      await c.close(merged);
      merged = next;
    }
    assert.deepEqual(await c.count(merged), ACTIVE(latest.size));
    for (const [timeline, value] of latest) {
      assert.equal(await c.signalled(merged), false);
      await c.inc(timeline, value);
    }
    assert.equal(await c.signalled(merged), true);
  });
});

describe('many users of sw_sync', () => {
  const rounds = 200;

  it('consume in the order of one producer (sync_multi_consumer)', async () => {
    const c = new SyncClient();
    const timeline = c.timeline();
    let counter = 0;
    const consumer = async (id: number): Promise<void> => {
      for (let i = 0; i < rounds; i++) {
        const point = i * 8 + id;
        const fence = await c.fence(timeline, point);
        await c.file.readyFd(fence, POLLIN);
        assert.ok(counter >= point);
        await c.close(fence);
      }
    };
    const consumers = Array.from({ length: 8 }, (_, id) => consumer(id));
    for (let i = 0; i < 8 * rounds; i++) {
      counter++;
      await c.inc(timeline);
    }
    await Promise.all(consumers);
  });

  it('hand on to each other in turn (sync_multi_consumer_producer)', async () => {
    const c = new SyncClient();
    const timeline = c.timeline();
    let counter = 0;
    const thread = async (id: number): Promise<void> => {
      for (let i = 0; i < rounds; i++) {
        const point = i * 8 + id;
        const fence = await c.fence(timeline, point);
        await c.file.readyFd(fence, POLLIN);
        assert.equal(counter++, point);
        await c.inc(timeline);
        await c.close(fence);
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, id) => thread(id)));
    assert.equal(counter, 8 * rounds);
  });

  it('produce for one consumer, who merges them all (sync_multi_producer_single_consumer)', async () => {
    const c = new SyncClient();
    const released = c.timeline();
    const produced = Array.from({ length: 5 }, () => c.timeline());
    let counter = 0;
    const producer = async (id: number): Promise<void> => {
      for (let seqno = 0; seqno < rounds; seqno++) {
        const fence = await c.fence(released, seqno);
        await c.file.readyFd(fence, POLLIN);
        counter++;
        await c.inc(produced[id]!);
        await c.close(fence);
      }
    };
    const producers = produced.map((_, id) => producer(id));
    for (let seqno = 1; seqno <= rounds; seqno++) {
      let all = await c.fence(produced[0]!, seqno);
      for (const timeline of produced.slice(1)) all = await c.merge(await c.fence(timeline, seqno), all);
      await c.file.readyFd(all, POLLIN);
      assert.equal(counter, 5 * seqno);
      await c.inc(released);
    }
    await Promise.all(producers);
  });
});

describe('FILE_INFO', () => {
  it('with no room returns count, status and the name; flags and pad are EINVAL', async () => {
    const c = new SyncClient();
    const fd = await c.merge(await c.fence(c.timeline(), 1), await c.fence(c.timeline(), 1), 'two of them');
    const info = await c.fdCall(fd, sync.SYNC_IOC_FILE_INFO, {});
    assert.deepEqual([info.num_fences, info.status, info.name], [2, 0, 'two of them']);
    await fails(c.fdCall(fd, sync.SYNC_IOC_FILE_INFO, { flags: 1 }), 'EINVAL');
    await fails(c.fdCall(fd, sync.SYNC_IOC_FILE_INFO, { pad: 1 }), 'EINVAL');
  });

  it('with too little room is EINVAL, to a bad pointer EFAULT', async () => {
    const c = new SyncClient();
    const fd = await c.merge(await c.fence(c.timeline(), 1), await c.fence(c.timeline(), 1));
    await fails(c.fdCall(fd, sync.SYNC_IOC_FILE_INFO, { num_fences: 1 }), 'EINVAL');
    await fails(c.fdCall(fd, sync.SYNC_IOC_FILE_INFO, { num_fences: 2, sync_fence_info: 0x10n }), 'EFAULT');
  });

  it('tells timeline, driver, status and time of each fence, and the first status that is not good', async () => {
    const c = new SyncClient();
    const context = new FenceContext('test', 'ring0');
    const fence = context.create();
    const fd = c.process.fds.install(new SyncFile(fence));
    const timeline = c.timeline();
    const merged = await c.merge(fd, await c.fence(timeline, 1));
    c.system.clock.advance(7);
    const now = c.system.clock.now();
    fence.signal(now, 'ETIME');
    await c.inc(timeline);
    const infos = new Uint8Array(160);
    const info = await c.fdCall(merged, sync.SYNC_IOC_FILE_INFO, {
      num_fences: 2,
      sync_fence_info: c.place(infos),
    });
    assert.equal(info.status, -errno.ETIME);
    assert.deepEqual(sync.SyncFenceInfo.from(infos), {
      obj_name: 'ring0',
      driver_name: 'test',
      status: -errno.ETIME,
      flags: 0,
      timestamp_ns: BigInt(now),
    });
    const second = sync.SyncFenceInfo.from(infos, 80);
    assert.deepEqual([second.obj_name, second.driver_name, second.status], ['client', 'sw_sync', 1]);
  });

  it('makes a default name of driver, timeline, context and seqno', () => {
    const context = new FenceContext('test', 'ring0');
    const fence = context.create();
    assert.equal(new SyncFile(fence).name, `test-ring0${context.id}-1`);
  });
});

describe('sync_file descriptors', () => {
  it('wake who polls when they signal, and not by interrupts', async () => {
    const c = new SyncClient();
    const timeline = c.timeline();
    const fd = await c.fence(timeline, 1);
    const interrupt = new AbortController();
    const interrupted = c.file.readyFd(fd, POLLIN, interrupt.signal);
    interrupt.abort();
    await fails(interrupted, 'EINTR');
    const ready = c.file.readyFd(fd, POLLIN);
    await c.inc(timeline);
    assert.equal(await ready, POLLIN);
  });

  it('give ENOTTY for calls they do not know, EFAULT for short arguments, EBADF when closed', async () => {
    const c = new SyncClient();
    const fd = await c.fence(c.timeline(), 1);
    await fails(c.file.ioctlFd(fd, 0xc0303e01, new Uint8Array(48)), 'ENOTTY');
    await fails(c.file.ioctlFd(fd, sync.SYNC_IOC_MERGE.request, new Uint8Array(8)), 'EFAULT');
    await c.close(fd);
    await fails(c.file.pollFd(fd), 'EBADF');
  });

  it('take a deadline as a hint; its pad is checked', async () => {
    const c = new SyncClient();
    const fd = await c.fence(c.timeline(), 1);
    await c.fdCall(fd, sync.SYNC_IOC_SET_DEADLINE, { deadline_ns: 5n });
    await fails(c.fdCall(fd, sync.SYNC_IOC_SET_DEADLINE, { pad: 1n }), 'EINVAL');
  });

  it('have the request values that C programs pass', () => {
    assert.deepEqual(
      [sync.SYNC_IOC_MERGE, sync.SYNC_IOC_FILE_INFO, sync.SW_SYNC_IOC_CREATE_FENCE, sync.SW_SYNC_IOC_INC].map(
        ({ request }) => request,
      ),
      [0xc0303e03, 0xc0383e04, 0xc0285700, 0x40045701],
    );
    assert.deepEqual(
      [sync.DMA_BUF_IOCTL_SYNC, sync.DMA_BUF_IOCTL_EXPORT_SYNC_FILE, sync.DMA_BUF_IOCTL_IMPORT_SYNC_FILE].map(
        ({ request }) => request,
      ),
      [0x40086200, 0xc0086202, 0x40086203],
    );
  });
});
