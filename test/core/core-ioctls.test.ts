// The generic calls of every node. Core fact sheet section 3.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as drm from '../../src/abi/drm.js';
import { Process } from '../../src/core/index.js';
import { call, fails, resized, system, testDriver } from './system.js';

describe('VERSION', () => {
  it('with null pointers returns version and lengths', async () => {
    const v = await call(system().open(), drm.DRM_IOCTL_VERSION);
    assert.deepEqual([v.version_major, v.version_minor, v.version_patchlevel], [1, 2, 3]);
    assert.deepEqual([v.name_len, v.date_len, v.desc_len], [4n, 8n, 18n]);
  });

  it('copies at most the given length, without NUL, and reports the real one', async () => {
    const file = system().open();
    const name = new Uint8Array(16).fill(0xff);
    const desc = new Uint8Array(16).fill(0xff);
    const v = await call(file, drm.DRM_IOCTL_VERSION, {
      name: file.user.place(name).pointer,
      name_len: 16n,
      desc: file.user.place(desc).pointer,
      desc_len: 3n,
    });
    assert.deepEqual([v.name_len, v.desc_len], [4n, 18n]);
    assert.deepEqual([...name.subarray(0, 6)], [...Buffer.from('test'), 0xff, 0xff]);
    assert.deepEqual([...desc.subarray(0, 5)], [...Buffer.from('A d'), 0xff, 0xff]);
  });

  it('with a bad pointer gives EFAULT', async () => {
    const file = system().open();
    await fails(call(file, drm.DRM_IOCTL_VERSION, { name: 0x1234n, name_len: 4n }), 'EFAULT');
  });
});

describe('GET_CAP', () => {
  const cap = async (capability: bigint, driver = testDriver): Promise<bigint> =>
    (await call(system(driver).open(), drm.DRM_IOCTL_GET_CAP, { capability, value: 9n })).value;

  it('reports PRIME import and export, monotonic timestamps and syncobjs', async () => {
    assert.equal(await cap(5n), 3n);
    assert.equal(await cap(6n), 1n);
    assert.equal(await cap(0x13n), 1n);
    assert.equal(await cap(0x14n), 1n);
  });

  it('reports 0 for syncobjs a driver does not have', async () => {
    const driver = { ...testDriver, features: { gem: true, syncobj: false, syncobjTimeline: false } };
    assert.equal(await cap(0x13n, driver), 0n);
    assert.equal(await cap(0x14n, driver), 0n);
  });

  it('gives EOPNOTSUPP for everything else, with the value zeroed', async () => {
    const file = system().open();
    for (const capability of [0n, 1n, 2n, 3n, 4n, 7n, 0x12n, 0x15n, 0x100000013n]) {
      const bytes = drm.DrmGetCap.bytes({ capability, value: 9n });
      await fails(file.ioctl(drm.DRM_IOCTL_GET_CAP.request, bytes), 'EOPNOTSUPP');
      assert.equal(drm.DrmGetCap.from(bytes).value, 0n);
    }
  });
});

describe('GET_CLIENT', () => {
  it('reports the caller for index 0 (IGT core_getclient)', async () => {
    const { open } = system();
    const user = await call(open(new Process({ pid: 4711, uid: 33 })), drm.DRM_IOCTL_GET_CLIENT);
    assert.deepEqual(user, { idx: 0, auth: 0, pid: 4711n, uid: 33n, magic: 0n, iocs: 0n });
    const admin = await call(open(new Process({ admin: true })), drm.DRM_IOCTL_GET_CLIENT);
    assert.equal(admin.auth, 1);
  });

  it('gives EINVAL for any other index (IGT core_getclient)', async () => {
    const file = system().open();
    for (const idx of [1, 0x7fffffff, -1])
      await fails(call(file, drm.DRM_IOCTL_GET_CLIENT, { idx }), 'EINVAL');
  });
});

describe('legacy calls', () => {
  it('GET_STATS is all zero (IGT core_getstats)', async () => {
    const bytes = new Uint8Array(248).fill(0xff);
    await system().open().ioctl(drm.DRM_IOCTL_GET_STATS.request, bytes);
    assert.ok(bytes.every((byte) => byte === 0));
  });

  it('GET_UNIQUE reports no name', async () => {
    const { unique_len } = await call(system().open(), drm.DRM_IOCTL_GET_UNIQUE, { unique_len: 40n });
    assert.equal(unique_len, 0n);
  });

  it('SET_CLIENT_CAP is EOPNOTSUPP for every capability', async () => {
    const file = system().open();
    for (const capability of [0n, 1n, 5n])
      await fails(call(file, drm.DRM_IOCTL_SET_CLIENT_CAP, { capability, value: 1n }), 'EOPNOTSUPP');
  });

  it('of masters and magics are EACCES, for administrators too (IGT core_auth, core_setmaster must not pass)', async () => {
    const { open } = system();
    for (const file of [open(), open(new Process({ admin: true }))]) {
      await fails(file.ioctl(drm.DRM_IOCTL_SET_MASTER.request), 'EACCES');
      await fails(file.ioctl(drm.DRM_IOCTL_DROP_MASTER.request), 'EACCES');
      await fails(call(file, drm.DRM_IOCTL_SET_VERSION), 'EACCES');
      await fails(call(file, drm.DRM_IOCTL_GET_MAGIC), 'EACCES');
      await fails(call(file, drm.DRM_IOCTL_AUTH_MAGIC), 'EACCES');
    }
  });

  it('GEM_FLINK and GEM_OPEN are left out: EACCES, for administrators EOPNOTSUPP', async () => {
    const { open } = system();
    await fails(call(open(), drm.DRM_IOCTL_GEM_FLINK), 'EACCES');
    await fails(call(open(), drm.DRM_IOCTL_GEM_OPEN), 'EACCES');
    await fails(call(open(new Process({ admin: true })), drm.DRM_IOCTL_GEM_OPEN), 'EOPNOTSUPP');
  });

  it('of mode setting and dumb buffers are EOPNOTSUPP', async () => {
    const file = system().open();
    for (const nr of [0xa0, 0xb2, 0xb3, 0xb4, 0xbc, 0xc6])
      await fails(file.ioctl((0xc0206400 | nr) >>> 0, new Uint8Array(32)), 'EOPNOTSUPP');
  });
});

describe('struct sizes of the generic calls', () => {
  it('may be 8 shorter or 8 longer than ours', async () => {
    const file = system().open();
    for (const def of [drm.DRM_IOCTL_VERSION, drm.DRM_IOCTL_GET_STATS, drm.DRM_IOCTL_GET_CLIENT]) {
      const bytes = def.layout!.size;
      for (const size of [bytes - 8, bytes, bytes + 8])
        assert.equal(await file.ioctl(resized(def.request, size), new Uint8Array(size)), 0);
    }
  });

  it('give the request values that C programs pass', () => {
    const values = {
      VERSION: 0xc0406400,
      GET_UNIQUE: 0xc0106401,
      GET_MAGIC: 0x80046402,
      GET_CLIENT: 0xc0286405,
      GET_STATS: 0x80f86406,
      SET_VERSION: 0xc0106407,
      GEM_CLOSE: 0x40086409,
      GEM_FLINK: 0xc008640a,
      GEM_OPEN: 0xc010640b,
      GET_CAP: 0xc010640c,
      SET_CLIENT_CAP: 0x4010640d,
      AUTH_MAGIC: 0x40046411,
      SET_MASTER: 0x641e,
      DROP_MASTER: 0x641f,
      PRIME_HANDLE_TO_FD: 0xc00c642d,
      PRIME_FD_TO_HANDLE: 0xc00c642e,
      SYNCOBJ_CREATE: 0xc00864bf,
      SYNCOBJ_DESTROY: 0xc00864c0,
      SYNCOBJ_HANDLE_TO_FD: 0xc01864c1,
      SYNCOBJ_FD_TO_HANDLE: 0xc01864c2,
      SYNCOBJ_WAIT: 0xc02864c3,
      SYNCOBJ_RESET: 0xc01064c4,
      SYNCOBJ_SIGNAL: 0xc01064c5,
      SYNCOBJ_TIMELINE_WAIT: 0xc03064ca,
      SYNCOBJ_QUERY: 0xc01864cb,
      SYNCOBJ_TRANSFER: 0xc02064cc,
      SYNCOBJ_TIMELINE_SIGNAL: 0xc01864cd,
      SYNCOBJ_EVENTFD: 0xc01864cf,
    };
    const table = drm as unknown as Record<string, { request: number }>;
    for (const [name, value] of Object.entries(values))
      assert.equal(table[`DRM_IOCTL_${name}`]!.request, value, name);
  });
});
