// What one client process may hold at most, whoever it says it is, and that another is not disturbed by one at its limits.
// Not the calls: wire.test.ts.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import * as drm from '../../src/abi/drm.js';
import * as abi from '../../src/abi/null.js';
import * as sync from '../../src/abi/sync-file.js';
import { Connection, RemoteFile } from '../../src/node/client/index.js';
import { HEADER, Kind, Request, WireHeader, WIRE_VERSION, KEY_BYTES } from '../../src/node/wire/messages.js';
import { close, connect, Packet } from '../../src/node/wire/sockets.js';
import { commandBytes } from '../../src/testing/adapters/null.js';
import { call } from '../../src/testing/index.js';
import { daemonRig, jobPeer, servedCommand, until, type Rig } from './wire-rig.js';

const NODE = '/dev/accel/accel0';
const newBuffer = (file: RemoteFile, size: bigint) => call(file, abi.DRM_IOCTL_NULL_GEM_NEW, { size });

/** Jobs that wait for a fence and keep no device busy; `release` signals it. */
async function heldJobs(connection: Connection, file: RemoteFile) {
  const { fd: timeline } = await connection.openPath('/dev/sw_sync', 2);
  const create = sync.SwSyncCreateFenceData.bytes({ value: 1, name: 'held' });
  await file.ioctlFd(timeline, sync.SW_SYNC_IOC_CREATE_FENCE.request, create);
  const { fence } = sync.SwSyncCreateFenceData.from(create);
  return {
    /** For a file of this process. */
    submitter: async (to: RemoteFile) => {
      const { handle } = await newBuffer(to, 4096n);
      const { handle: syncobj } = await call(to, drm.DRM_IOCTL_SYNCOBJ_CREATE, {});
      await call(to, drm.DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, { handle: syncobj, flags: 1, fd: fence });
      const fill = commandBytes([{ op: abi.NULL_OP_FILL, value: 7, dst_handle: handle, bytes: 64n }]);
      const { pointer } = to.user.place(fill);
      return () =>
        call(to, abi.DRM_IOCTL_NULL_SUBMIT, {
          commands: pointer,
          command_count: 1,
          command_size: abi.NullCommand.size,
          timeout_ms: 1000,
          in_sync: syncobj,
        });
    },
    release: () =>
      file.ioctlFd(timeline, sync.SW_SYNC_IOC_INC.request, sync.SwSyncIncrement.bytes({ value: 1 })),
  };
}

/** Another process runs 20 jobs, and every one is right. */
async function othersAreFine(rig: Rig): Promise<void> {
  const other = jobPeer(rig.socket, 'null', 20);
  assert.equal(await other.line(), 'ready');
  other.child.stdin!.write('go\n');
  assert.equal(await other.line(), 'first');
  assert.deepEqual(new Set(JSON.parse(await other.line()) as string[]), new Set(['right']));
  await other.ended;
}

describe('a process at its limit', () => {
  it('of descriptors gets EMFILE, over all its connections; another does not', async () => {
    await using rig = daemonRig({ limits: { files: 6 } });
    await using connection = await Connection.open(rig.socket);
    const files = [];
    for (let i = 0; i < 5; i++) files.push(await RemoteFile.open(connection, NODE));
    // Another key, the same process.
    await using again = await Connection.open(rig.socket);
    assert.equal(rig.daemon.stats.clients, 2);
    const last = await RemoteFile.open(again, NODE);
    await assert.rejects(RemoteFile.open(again, NODE), { code: 'EMFILE' });
    await assert.rejects(RemoteFile.open(connection, NODE), { code: 'EMFILE' });
    await assert.rejects(connection.openPath('/dev/sw_sync', 2), { code: 'EMFILE' });
    await othersAreFine(rig);
    await files[0]!.close();
    await RemoteFile.open(again, NODE);
    // Leaving and coming back does not give back what is still held.
    await again.close();
    await using back = await Connection.open(rig.socket);
    await assert.rejects(RemoteFile.open(back, NODE), { code: 'EMFILE' });
    await last.close();
    await RemoteFile.open(back, NODE);
    assert.deepEqual(rig.defects, []);
  });

  it('of connections is hung up; another is not', async () => {
    await using rig = daemonRig({ limits: { files: 4 } });
    const open: Connection[] = [];
    for (let i = 0; i < 4; i++) open.push(await Connection.open(rig.socket));
    await assert.rejects(Connection.open(rig.socket), { code: 'ENODEV' });
    await othersAreFine(rig);
    await open.pop()!.close();
    assert.ok(await until(() => rig.daemon.stats.connections === 3));
    open.push(await Connection.open(rig.socket));
    for (const one of open) await one.close();
  });

  it('of memory gets ENOMEM, by bytes and by number of buffers; another does not', async () => {
    await using rig = daemonRig({ limits: { bytes: 1 << 20, buffers: 60 } });
    await using connection = await Connection.open(rig.socket);
    await using again = await Connection.open(rig.socket);
    const file = await RemoteFile.open(connection, NODE);
    const elsewhere = await RemoteFile.open(again, NODE);
    const { handle } = await newBuffer(file, 1_044_480n);
    await newBuffer(elsewhere, 4096n);
    await assert.rejects(newBuffer(elsewhere, 4096n), { code: 'ENOMEM' });
    await othersAreFine(rig);
    await call(file, drm.DRM_IOCTL_GEM_CLOSE, { handle });
    for (let i = 1; i < 60; i++) await newBuffer(i % 2 === 0 ? file : elsewhere, 4096n);
    await assert.rejects(newBuffer(file, 4096n), { code: 'ENOMEM' });
    await othersAreFine(rig);
    assert.deepEqual(rig.defects, []);
  });

  it('of jobs gets EAGAIN on each of its files, until some are finished; another does not', async () => {
    await using rig = daemonRig({ limits: { jobs: 20 } });
    await using connection = await Connection.open(rig.socket);
    await using again = await Connection.open(rig.socket);
    const file = await RemoteFile.open(connection, NODE);
    const elsewhere = await RemoteFile.open(again, NODE);
    const held = await heldJobs(connection, file);
    const [submit, submitElsewhere] = [await held.submitter(file), await held.submitter(elsewhere)];
    for (let i = 0; i < 20; i++) await (i % 2 === 0 ? submit() : submitElsewhere());
    await assert.rejects(submit(), { code: 'EAGAIN' });
    await assert.rejects(submitElsewhere(), { code: 'EAGAIN' });
    assert.equal(rig.daemon.stats.jobs, 20);
    await othersAreFine(rig);
    await held.release();
    assert.ok(await until(() => rig.daemon.stats.jobs === 0));
    for (let i = 0; i < 20; i++) await submitElsewhere();
    assert.deepEqual(rig.defects, []);
  });
});

describe('the number of an object that is gone', () => {
  it('is no way to the object that has it next', async () => {
    await using rig = daemonRig();
    const fd = connect(rig.socket);
    const packet = new Packet(4096);
    const ask = async (header: Parameters<typeof WireHeader.bytes>[0], body = new Uint8Array(0)) => {
      packet.data.set(WireHeader.bytes(header));
      packet.data.set(body, HEADER);
      packet.send(fd, HEADER + body.length);
      assert.ok(await until(() => packet.receive(fd) > 0));
      return { reply: WireHeader.from(packet.data), fds: packet.fds.splice(0) };
    };
    await ask({ type: Request.HELLO, object: WIRE_VERSION }, new Uint8Array(KEY_BYTES).fill(9));
    const { reply, fds } = await ask({ type: Request.OPEN, a: 2n }, Buffer.from(NODE));
    assert.equal(reply.a, BigInt(Kind.NODE));
    close(fds[0]!);
    await using other = await Connection.open(rig.socket);
    const theirs = await other.openPath(NODE, 2);
    assert.equal(theirs.object, reply.object, 'the number is used again');
    const version = { type: Request.CALL, object: reply.object, result: drm.DRM_IOCTL_VERSION.request | 0 };
    assert.equal((await ask(version, new Uint8Array(64))).reply.result, -116, 'ESTALE');
    assert.equal((await ask({ type: Request.FDINFO, object: reply.object })).reply.result, -116);
    close(theirs.fd);
    close(fd);
  });
});

describe(
  'a daemon without a free descriptor',
  { skip: spawnSync('prlimit').error && 'there is no prlimit' },
  () => {
    it('lets nobody in until there is one, and serves those who are', async () => {
      using daemon = await servedCommand('--device', 'null', '--staging');
      await using connection = await Connection.open(daemon.socket);
      const file = await RemoteFile.open(connection, NODE);
      const open = readdirSync(`/proc/${daemon.child.pid}/fd`).length;
      const limit = spawnSync('prlimit', [`--pid=${daemon.child.pid}`, `--nofile=${open + 10}`]);
      assert.equal(limit.status, 0, String(limit.stderr));
      const waiting = Array.from({ length: 30 }, () => connect(daemon.socket));
      for (let i = 0; i < 200; i++) await call(file, drm.DRM_IOCTL_VERSION, {});
      await assert.rejects(RemoteFile.open(connection, NODE), ({ code }: { code: string }) =>
        ['EMFILE', 'ENOMEM'].includes(code),
      );
      for (const fd of waiting) close(fd);
      // It sees one hang-up after the other: until then there is no descriptor for a file.
      const opened = async (): Promise<boolean> => {
        await using late = await Connection.open(daemon.socket);
        await call(await RemoteFile.open(late, NODE), drm.DRM_IOCTL_VERSION, {});
        return true;
      };
      let served = false;
      for (const end = Date.now() + 10_000; !served && Date.now() < end;)
        served = await opened().catch(() => false);
      assert.ok(served);
      daemon.child.kill('SIGTERM');
      assert.deepEqual(await daemon.ended, [0, null], daemon.errors());
    });
  },
);
