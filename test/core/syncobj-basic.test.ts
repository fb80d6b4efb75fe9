// Syncobjs: creating, destroying, sharing. Core fact sheet section 5; IGT syncobj_basic, all 12 cases.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as drm from '../../src/abi/drm.js';
import { EventFd } from '../../src/core/index.js';
import { SyncClient } from './sync-client.js';
import { call, fails, resized, system, testDriver } from './system.js';

const BAD = 0xdeadbeef;
const SIGNALED = drm.DRM_SYNCOBJ_CREATE_SIGNALED;
const SYNC_FILE = drm.DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE;

describe('syncobj handles', () => {
  it('that are unknown cannot be destroyed: EINVAL (syncobj_basic bad-destroy)', async () => {
    await fails(new SyncClient().destroy(BAD), 'EINVAL');
  });

  it('with a pad set are not destroyed: EINVAL (syncobj_basic bad-destroy-pad)', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    await fails(call(c.file, drm.DRM_IOCTL_SYNCOBJ_DESTROY, { handle, pad: BAD }), 'EINVAL');
    await c.destroy(handle);
    await fails(c.destroy(handle), 'EINVAL');
  });

  it('are made with known flags only: EINVAL (syncobj_basic bad-create-flags)', async () => {
    await fails(new SyncClient().create(BAD), 'EINVAL');
  });

  it('made signalled can be waited on at once (syncobj_basic create-signaled)', async () => {
    const c = new SyncClient();
    assert.equal(await c.waitError([await c.create(SIGNALED)]), 'ok');
  });

  it('are per file and count from 1, smallest free first', async () => {
    const c = new SyncClient();
    assert.deepEqual(await c.createMany(3), [1, 2, 3]);
    await c.destroy(2);
    assert.equal(await c.create(), 2);
    assert.equal(await new SyncClient(c.system).create(), 1);
  });

  it('have nothing to do with GEM handles: each has its own numbers', async () => {
    const c = new SyncClient();
    const gem = c.file.client.createGem(4096);
    assert.equal(c.file.client.createHandle(gem), 1);
    assert.equal(await c.create(), 1);
  });
});

describe('syncobj export', () => {
  it('of an unknown handle is EINVAL (syncobj_basic bad-handle-to-fd)', async () => {
    await fails(new SyncClient().toFd(BAD), 'EINVAL');
  });

  it('with unknown flags is EINVAL (syncobj_basic bad-flags-handle-to-fd)', async () => {
    const c = new SyncClient();
    await fails(c.toFd(await c.create(), BAD), 'EINVAL');
  });

  it('with a pad is EINVAL (syncobj_basic bad-pad-handle-to-fd)', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    await fails(call(c.file, drm.DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, { handle, pad: BAD }), 'EINVAL');
  });

  it('as a sync_file is ENOENT for an unknown handle, EINVAL for an empty box, and a snapshot else', async () => {
    const c = new SyncClient();
    await fails(c.toFd(BAD, SYNC_FILE), 'ENOENT');
    const handle = await c.create();
    await fails(c.toFd(handle, SYNC_FILE), 'EINVAL');
    const timeline = await c.attach(handle);
    const fd = await c.toFd(handle, SYNC_FILE);
    await c.signal(handle);
    assert.equal(await c.signalled(fd), false);
    await c.inc(timeline);
    assert.equal(await c.signalled(fd), true);
  });

  it('of a point wants the TIMELINE flag and EXPORT_SYNC_FILE', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    await c.timelineSignal(handle, 5n);
    await fails(c.toFd(handle, 0, 5n), 'EINVAL');
    await fails(c.toFd(handle, SYNC_FILE, 5n), 'EINVAL');
    await fails(c.toFd(handle, 2, 5n), 'EINVAL');
    await fails(c.toFd(handle, 3, 6n), 'EINVAL');
    assert.equal(await c.signalled(await c.toFd(handle, 3, 5n)), true);
  });

  it('takes the 16-byte struct of older callers', async () => {
    const c = new SyncClient();
    const handle = await c.create();
    const bytes = drm.DrmSyncobjHandle.bytes({ handle }).subarray(0, 16);
    await c.file.ioctl(resized(drm.DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD.request, 16), bytes);
    assert.equal(c.process.fds.get(new DataView(bytes.buffer).getInt32(8, true)).kind, 'syncobj_file');
  });
});

describe('syncobj import', () => {
  it('of a bad descriptor is EINVAL (syncobj_basic bad-fd-to-handle)', async () => {
    await fails(new SyncClient().toHandle(-1), 'EINVAL');
  });

  it('of a descriptor of something else is EINVAL (syncobj_basic illegal-fd-to-handle)', async () => {
    const c = new SyncClient();
    await fails(c.toHandle(c.process.fds.install(new EventFd())), 'EINVAL');
  });

  it('with unknown flags is EINVAL (syncobj_basic bad-flags-fd-to-handle)', async () => {
    await fails(call(new SyncClient().file, drm.DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, { flags: BAD }), 'EINVAL');
  });

  it('with a pad is EINVAL (syncobj_basic bad-pad-fd-to-handle)', async () => {
    await fails(call(new SyncClient().file, drm.DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, { pad: BAD }), 'EINVAL');
  });

  it('gives a new handle to the same box, which lives on (syncobj_basic test-valid-cycle)', async () => {
    const c = new SyncClient();
    const first = await c.create();
    const fd = await c.toFd(first);
    const second = await c.toHandle(fd);
    await c.close(fd);
    assert.notEqual(first, second);
    await c.signal(first);
    assert.equal(await c.waitError([second]), 'ok');
    await c.destroy(first);
    assert.equal(await c.waitError([second]), 'ok');
    await c.destroy(second);
  });

  it('shares the box between processes, by passing the descriptor', async () => {
    const a = new SyncClient();
    const b = new SyncClient(a.system);
    const mine = await a.create();
    const passed = b.process.fds.install(a.process.fds.get(await a.toFd(mine)));
    const theirs = await b.toHandle(passed);
    const waiting = b.wait([theirs], { flags: 2, within: 1000 });
    await a.signal(mine);
    assert.equal(await waiting, 0);
  });

  it('of a sync_file replaces the fence; no sync_file is EINVAL, an unknown handle ENOENT', async () => {
    const c = new SyncClient();
    const handle = await c.create(SIGNALED);
    await fails(c.importSyncFile(handle, await c.toFd(handle)), 'EINVAL');
    await fails(c.importSyncFile(handle, -1), 'EINVAL');
    const fence = await c.fence(c.timeline(), 1);
    await fails(c.importSyncFile(BAD, fence), 'ENOENT');
    await c.importSyncFile(handle, fence);
    assert.equal(await c.waitError([handle]), 'ETIME');
    await c.importSyncFile(handle, fence, 7n);
    assert.equal(await c.query(handle, 1), 7n);
  });
});

describe('drivers without syncobjs', () => {
  const client = (syncobj: boolean): SyncClient => {
    const features = { gem: true, syncobj, syncobjTimeline: false };
    return new SyncClient(system({ ...testDriver, features }));
  };

  it('answer every call with EOPNOTSUPP, whatever the arguments', async () => {
    const c = client(false);
    await fails(c.create(BAD), 'EOPNOTSUPP');
    await fails(c.destroy(0), 'EOPNOTSUPP');
    await fails(c.reset(), 'EOPNOTSUPP');
    await fails(c.wait([]), 'EOPNOTSUPP');
  });

  it('but with binary ones answer timeline calls with EOPNOTSUPP', async () => {
    const c = client(true);
    const handle = await c.create(SIGNALED);
    assert.equal(await c.waitError([handle]), 'ok');
    await fails(c.wait([handle], { points: [0n] }), 'EOPNOTSUPP');
    await fails(c.query(handle), 'EOPNOTSUPP');
    await fails(c.timelineSignal(handle, 1n), 'EOPNOTSUPP');
    await fails(c.transfer(handle, 0n, handle, 0n), 'EOPNOTSUPP');
    await fails(c.withHandle(drm.DRM_IOCTL_SYNCOBJ_EVENTFD, { handle }), 'EOPNOTSUPP');
  });
});
