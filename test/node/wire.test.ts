// Devices over the wire: the same calls, bytes and errno as in the daemon's process, descriptors that are the kernel's.
// Not the preload library: preload.test.ts.
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import * as drm from '../../src/abi/drm.js';
import * as abi from '../../src/abi/null.js';
import * as sync from '../../src/abi/sync-file.js';
import { AccelError } from '../../src/base/errors.js';
import { POLLIN } from '../../src/core/index.js';
import { Connection, daemonNodes, RemoteFile } from '../../src/node/client/index.js';
import { PROT_READ, mmap, MAP_SHARED, bufferAt } from '../../src/node/libc.js';
import * as messages from '../../src/node/wire/messages.js';
import { adapterFor, call, exportGem, importGem } from '../../src/testing/index.js';
import { root } from '../support/shared.js';
import { daemonRig, until } from './wire-rig.js';

const code = (expected: string) => (error: unknown) =>
  error instanceof AccelError && error.code === expected
    ? true
    : assert.fail(`${expected} expected, got ${String(error)}`);
const NODE = '/dev/accel/accel0';

describe('the wire', () => {
  it('has the same numbers in C and in TypeScript', () => {
    const header = readFileSync(join(root, 'native/wire.h'), 'utf8');
    const numbers = new Map(
      [...header.matchAll(/WIRE_(\w+)(?: = | )(0x[0-9a-f]+|\d+)/g)].map(([, name, value]) => [
        name!,
        Number(value),
      ]),
    );
    const { Request, Reply, PathQuery, Kind } = messages;
    const expected = {
      ...Request,
      ...Reply,
      ...PathQuery,
      ...Object.fromEntries(Object.entries(Kind).map(([name, value]) => [`KIND_${name}`, value])),
      VERSION: messages.WIRE_VERSION,
      MAX_PAYLOAD: messages.MAX_PAYLOAD,
      MAX_FDS: messages.MAX_FDS,
      MAX_PLACES: messages.MAX_PLACES,
      KEY_BYTES: messages.KEY_BYTES,
      NO_PLACE: 0xffff,
    };
    assert.deepEqual(
      Object.fromEntries([...numbers].sort()),
      Object.fromEntries(Object.entries(expected).sort()),
    );
  });

  for (const direct of [true, false]) {
    describe(direct ? 'with user memory read by the daemon' : 'with user memory by messages', () => {
      it('fills what pointers point to, and faults where they point to nothing', async () => {
        await using rig = daemonRig({ direct });
        await using connection = await Connection.open(rig.socket, { direct });
        const file = await RemoteFile.open(connection, NODE);
        const name = new Uint8Array(4096);
        const { pointer } = file.user.place(name);
        const version = await call(file, drm.DRM_IOCTL_VERSION, { name: pointer, name_len: 64n });
        assert.equal(version.name_len, 4n);
        assert.equal(Buffer.from(name).toString('latin1', 0, 4), 'null');
        await assert.rejects(call(file, drm.DRM_IOCTL_VERSION, { name: 16n, name_len: 64n }), code('EFAULT'));
        await assert.rejects(
          call(file, drm.DRM_IOCTL_SYNCOBJ_RESET, { handles: 8n, count_handles: 1 }),
          code('EFAULT'),
        );
        assert.deepEqual(rig.defects, []);
      });

      for (const device of ['null', 'nvdla:nv_small', 'gna:2.0'])
        it(`runs a job of ${device} whose commands and buffers are the client's`, async () => {
          await using rig = daemonRig({ direct, devices: [device] });
          await using connection = await Connection.open(rig.socket, { direct });
          const file = await RemoteFile.open(connection, NODE);
          const job = await adapterFor(device).adapter.aJob(file, { seed: 5 });
          await job.run();
          assert.deepEqual(Buffer.from(job.result), Buffer.from(job.expected));
          await job.release();
          assert.deepEqual(rig.defects, []);
        });

      it('finds buffers by the descriptors of the client, and refuses numbers that are none', async () => {
        await using rig = daemonRig({ direct });
        await using connection = await Connection.open(rig.socket, { direct });
        const file = await RemoteFile.open(connection, NODE);
        const { handle } = await call(file, abi.DRM_IOCTL_NULL_GEM_NEW, { size: 8192n });
        const fd = await exportGem(file, handle);
        assert.equal(statSync(`/proc/self/fd/${fd}`).size, 8192);
        assert.equal(await importGem(file, fd), handle);
        const other = await RemoteFile.open(connection, '/dev/accel/accel1');
        const imported = await importGem(other, fd);
        assert.equal(
          await exportGem(other, imported).then((again) => statSync(`/proc/self/fd/${again}`).ino),
          statSync(`/proc/self/fd/${fd}`).ino,
        );
        await assert.rejects(importGem(file, 1), code('EINVAL'));
        await assert.rejects(importGem(file, 99999), code('EBADF'));
        await assert.rejects(importGem(file, -1), code('EBADF'));
        await assert.rejects(call(file, drm.DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, { fd }), code('EINVAL'));
      });
    });
  }

  it('gives nodes, sysfs and links as the kernel does', async () => {
    await using rig = daemonRig({ devices: ['nvdla:nv_small', 'gna:2.0'] });
    await using connection = await Connection.open(rig.socket);
    const nodes = await daemonNodes(connection);
    assert.deepEqual(
      nodes.map(({ path, target, bus, busName, driver }) => [path, target, bus, busName, driver]),
      [
        ['/dev/accel/accel0', 'nvdla:nv_small', 'platform', '10200000.nvdla', 'nvdla'],
        ['/dev/accel/accel1', 'gna:2.0', 'pci', '0000:00:09.0', 'gna'],
      ],
    );
    await assert.rejects(connection.openPath('/dev/accel/accel7', 2), code('ENOENT'));
    await assert.rejects(connection.openPath('/sys/class/accel', 2), code('EISDIR'));
    await assert.rejects(connection.openPath('/sys/class/accel/accel0/uevent', 2), code('EACCES'));
    await assert.rejects(connection.openPath('/sys/class/accel/accel0/uevent/x', 0), code('ENOTDIR'));
    await assert.rejects(RemoteFile.open(connection, NODE, { exclusive: true }), code('EBUSY'));
  });

  it('keeps a buffer while it is mapped or exported, and not longer', async () => {
    await using rig = daemonRig();
    await using connection = await Connection.open(rig.socket);
    const { memory } = rig.system.machine;
    const other = await RemoteFile.open(connection, NODE);
    const before = memory.used;
    const file = await RemoteFile.open(connection, NODE);
    const { handle, offset } = await call(file, abi.DRM_IOCTL_NULL_GEM_NEW, { size: 65536n });
    const mapping = await file.mmap(offset, 65536);
    const fd = await exportGem(file, handle);
    mapping.bytes[5] = 77;
    await call(file, drm.DRM_IOCTL_GEM_CLOSE, { handle });
    await file.close();
    const again = await importGem(other, fd);
    assert.equal(mapping.bytes[5], 77);
    await call(other, drm.DRM_IOCTL_GEM_CLOSE, { handle: again });
    assert.equal(memory.used, before + 65536);
    closeSync(fd);
    await call(other, drm.DRM_IOCTL_VERSION, {});
    assert.equal(memory.used, before + 65536, 'still mapped');
    mapping[Symbol.dispose]();
    await call(other, drm.DRM_IOCTL_VERSION, {});
    assert.equal(memory.used, before);
  });

  it('shares bytes, and no client can change the size of a buffer', async () => {
    await using rig = daemonRig();
    await using connection = await Connection.open(rig.socket);
    const file = await RemoteFile.open(connection, NODE);
    const { handle, offset } = await call(file, abi.DRM_IOCTL_NULL_GEM_NEW, { size: 8192n });
    const fd = await exportGem(file, handle);
    for (const bytes of [0, 4096, 16384]) assert.throws(() => ftruncateSync(fd, bytes), { code: 'EPERM' });
    const mapping = await file.mmap(offset, 8192);
    const view = new Uint8Array(
      bufferAt(mmap({ length: 8192, protection: PROT_READ, flags: MAP_SHARED, fd }), 8192),
    );
    mapping.bytes[8191] = 9;
    assert.equal(view[8191], 9);
    await assert.rejects(file.mmap(offset, 12288), code('EINVAL'));
    await assert.rejects(file.mmap(offset + 4096n, 4096), code('EINVAL'));
    const other = await RemoteFile.open(connection, NODE);
    await assert.rejects(other.mmap(offset, 4096), code('EACCES'));
  });

  it('makes sync_files readable when their fence signals, and a wait interruptible', async () => {
    await using rig = daemonRig();
    await using connection = await Connection.open(rig.socket);
    const file = await RemoteFile.open(connection, NODE);
    const { fd: timeline } = await connection.openPath('/dev/sw_sync', 2);
    const create = sync.SwSyncCreateFenceData.bytes({ value: 1, name: 'one' });
    await file.ioctlFd(timeline, sync.SW_SYNC_IOC_CREATE_FENCE.request, create);
    const { fence } = sync.SwSyncCreateFenceData.from(create);
    assert.equal(await file.pollFd(fence), 0);
    const { handle } = await call(file, drm.DRM_IOCTL_SYNCOBJ_CREATE, {});
    await call(file, drm.DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, { handle, flags: 1, fd: fence });
    const handles = file.user.place(Uint8Array.from(new Uint8Array(new Uint32Array([handle]).buffer)));
    const wait = (signal?: AbortSignal) =>
      call(
        file,
        drm.DRM_IOCTL_SYNCOBJ_WAIT,
        { handles: handles.pointer, count_handles: 1, timeout_nsec: 1n << 62n },
        signal,
      );
    const stop = new AbortController();
    const interrupted = wait(stop.signal);
    stop.abort();
    await assert.rejects(interrupted, code('EINTR'));
    const waiting = wait();
    const ready = file.readyFd(fence, POLLIN);
    await file.ioctlFd(timeline, sync.SW_SYNC_IOC_INC.request, sync.SwSyncIncrement.bytes({ value: 1 }));
    assert.equal(await ready, POLLIN);
    await waiting;
    const info = sync.SyncFileInfo.bytes({});
    await file.ioctlFd(fence, sync.SYNC_IOC_FILE_INFO.request, info);
    assert.deepEqual([sync.SyncFileInfo.from(info).status, sync.SyncFileInfo.from(info).num_fences], [1, 1]);
    await file.closeFd(fence);
    await file.closeFd(timeline);
    await assert.rejects(file.closeFd(fence), code('EBADF'));
  });

  it('gives a device that goes away the errno of one', async () => {
    await using rig = daemonRig();
    await using connection = await Connection.open(rig.socket);
    const file = await RemoteFile.open(connection, NODE);
    const ready = file.ready(POLLIN);
    rig.system.machine.devices[0]!.slot.remove();
    assert.equal((await ready) & 0x10, 0x10);
    await assert.rejects(call(file, drm.DRM_IOCTL_VERSION, {}), code('ENODEV'));
    await assert.rejects(RemoteFile.open(connection, NODE), code('ENODEV'));
    await assert.rejects(file.read(new Uint8Array(64)), code('ENODEV'));
  });

  it('is taken by one daemon, and from a dead one', async () => {
    await using rig = daemonRig();
    const { serve } = await import('../../src/node/daemon/serve.js');
    assert.throws(
      () => serve({ socket: rig.socket, devices: ['null'], staging: true, dram: 16 }),
      code('EBUSY'),
    );
    assert.equal(statSync(rig.socket).mode & 0o777, 0o600);
    assert.ok(await until(() => rig.daemon.stats.connections === 0));
  });
});
