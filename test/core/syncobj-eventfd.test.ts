// SYNCOBJ_EVENTFD. Core fact sheet section 5; IGT syncobj_eventfd, all 10 cases.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DRM_IOCTL_SYNCOBJ_EVENTFD } from '../../src/abi/drm.js';
import { EventFd, POLLIN } from '../../src/core/index.js';
import { AVAILABLE, SyncClient } from './sync-client.js';
import { call, fails } from './system.js';

const BAD = 0xdeadbeef;

class Client extends SyncClient {
  readonly events = new Map<number, EventFd>();

  eventfd(): number {
    const event = new EventFd();
    const fd = this.process.fds.install(event);
    this.events.set(fd, event);
    return fd;
  }

  async watch(
    handle: number,
    point: bigint,
    flags: number,
    fd = this.eventfd(),
  ): Promise<EventFd | undefined> {
    await call(this.file, DRM_IOCTL_SYNCOBJ_EVENTFD, { handle, point, flags, fd });
    return this.events.get(fd);
  }

  /** One that waits for the signal, one for the point. */
  async watchBoth(handle: number, point: bigint): Promise<{ wait: EventFd; available: EventFd }> {
    const wait = (await this.watch(handle, point, 0))!;
    return { wait, available: (await this.watch(handle, point, AVAILABLE))! };
  }
}

describe('arguments of SYNCOBJ_EVENTFD', () => {
  it('with unknown flags are EINVAL (invalid-bad-flags)', async () => {
    const c = new Client();
    await fails(c.watch(await c.create(1), 0n, BAD), 'EINVAL');
  });

  it('with an unknown handle are ENOENT, also when the descriptor is bad too (invalid-illegal-handle)', async () => {
    const c = new Client();
    await fails(c.watch(0, 0n, 0), 'ENOENT');
    await fails(c.watch(0, 0n, 0, -1), 'ENOENT');
  });

  it('with a descriptor of something else are EINVAL, with none EBADF (invalid-illegal-eventfd)', async () => {
    const c = new Client();
    const handle = await c.create(1);
    await fails(c.watch(handle, 0n, 0, await c.toFd(handle)), 'EINVAL');
    await fails(c.watch(handle, 0n, 0, -1), 'EBADF');
  });

  it('with a pad are EINVAL (invalid-bad-pad)', async () => {
    const c = new Client();
    const fields = { handle: await c.create(1), fd: c.eventfd(), pad: BAD };
    await fails(call(c.file, DRM_IOCTL_SYNCOBJ_EVENTFD, fields), 'EINVAL');
  });
});

for (const [kind, point] of [
  ['binary', 0n],
  ['timeline', 1n],
] as const) {
  describe(`an eventfd on a ${kind} syncobj`, () => {
    it(`counts 1 when the fence signals, with AVAILABLE when it exists (${kind}-wait)`, async () => {
      const c = new Client();
      const handle = await c.create();
      const timeline = await c.attach(handle, point);
      const { wait, available } = await c.watchBoth(handle, point);
      assert.deepEqual([wait.count, available.count], [0, 1]);
      await c.inc(timeline);
      assert.deepEqual([wait.count, available.count], [1, 1]);
    });

    it(`waits for a fence that does not exist yet (${kind}-wait-before-signal)`, async () => {
      const c = new Client();
      const handle = await c.create();
      const { wait, available } = await c.watchBoth(handle, point);
      assert.deepEqual([wait.count, available.count], [0, 0]);
      const timeline = await c.attach(handle, point);
      assert.deepEqual([wait.count, available.count], [0, 1]);
      await c.inc(timeline);
      assert.deepEqual([wait.count, available.count], [1, 1]);
    });

    it(`counts at once when it has signalled (${kind}-wait-signaled)`, async () => {
      const c = new Client();
      const handle = await c.create();
      await c.trigger(handle, point);
      const { wait, available } = await c.watchBoth(handle, point);
      assert.deepEqual([wait.count, available.count], [1, 1]);
    });

    it('counts once only, whatever happens to the syncobj later', async () => {
      const c = new Client();
      const handle = await c.create();
      const { wait, available } = await c.watchBoth(handle, point);
      for (let i = 0; i < 3; i++) {
        await c.trigger(handle, point);
        await c.reset(handle);
      }
      assert.deepEqual([wait.count, available.count], [1, 1]);
    });
  });
}

describe('pending eventfds', () => {
  it('die silently with the syncobj, and hold nothing', async () => {
    const c = new Client();
    const handle = await c.create();
    const timeline = await c.attach(handle);
    const event = (await c.watch(handle, 0n, 0))!;
    const references = event.references;
    await c.destroy(handle);
    await c.inc(timeline);
    assert.deepEqual([event.count, event.references], [0, references - 1]);
  });

  it('that fire make the descriptor readable and wake who polls', async () => {
    const c = new Client();
    const handle = await c.create();
    const fd = c.eventfd();
    await c.watch(handle, 0n, 0, fd);
    const ready = c.file.readyFd(fd, POLLIN);
    await c.signal(handle);
    assert.equal(await ready, POLLIN);
    assert.equal(c.events.get(fd)!.take(), 1);
    await fails(() => c.events.get(fd)!.take(), 'EAGAIN');
  });

  it('outlive their descriptor', async () => {
    const c = new Client();
    const handle = await c.create();
    const fd = c.eventfd();
    await c.watch(handle, 0n, 0, fd);
    await c.close(fd);
    await c.signal(handle);
    assert.equal(c.events.get(fd)!.count, 1);
  });
});
