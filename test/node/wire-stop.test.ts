// How a daemon stops while clients are at work: queued jobs finish, who waits is told, nothing new begins.
// Not how clients end: wire-end.test.ts.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import * as drm from '../../src/abi/drm.js';
import * as abi from '../../src/abi/null.js';
import { Connection, RemoteFile } from '../../src/node/client/index.js';
import { commandBytes } from '../../src/testing/adapters/null.js';
import { call } from '../../src/testing/index.js';
import { daemonRig, jobPeer, jobsUnderWay, servedCommand } from './wire-rig.js';

const NODE = '/dev/accel/accel0';
const FOREVER = (1n << 63n) - 1n;

/** A job of the null device that waits for a word of a buffer, for as long as one may. */
async function waitingJob(file: RemoteFile) {
  const { handle, offset } = await call(file, abi.DRM_IOCTL_NULL_GEM_NEW, { size: 4096n });
  const mapping = await file.mmap(offset, 4096);
  const { pointer } = file.user.place(commandBytes([{ op: abi.NULL_OP_WAIT, value: 1, src_handle: handle }]));
  return {
    submit: () =>
      call(file, abi.DRM_IOCTL_NULL_SUBMIT, {
        commands: pointer,
        command_count: 1,
        command_size: abi.NullCommand.size,
        timeout_ms: 10_000,
      }),
    wait: () => call(file, abi.DRM_IOCTL_NULL_WAIT, { handle, timeout_ns: FOREVER }),
    /** Lets the device go on. */
    release: () => {
      mapping.bytes[0] = 1;
    },
  };
}

describe('a daemon that is told to stop', () => {
  for (const device of ['nvdla:nv_small', 'gna:2.0'])
    it(`finishes the jobs of ${device} that were submitted, to the last byte, and takes no other`, async () => {
      const rig = daemonRig({ devices: [device], engines: 'worker' });
      try {
        const other = jobPeer(rig.socket, device, 48);
        assert.equal(await other.line(), 'ready');
        other.child.stdin!.write('go\n');
        await jobsUnderWay(rig);
        const [scheduler] = rig.system.machine.devices[0]!.accel!.schedulers;
        const closing = rig.daemon.close();
        const { submitted } = scheduler!.stats;
        assert.equal(rig.daemon.close(), closing);
        assert.equal(await other.line(), 'first');
        const ends = JSON.parse(await other.line()) as string[];
        assert.equal(await closing, 0);
        assert.equal(ends.filter((end) => end === 'right').length, submitted, ends.join());
        assert.equal(ends.filter((end) => end === 'ENODEV').length, 48 - submitted);
        assert.equal(existsSync(rig.socket), false);
        await other.ended;
      } finally {
        await rig[Symbol.asyncDispose]();
      }
    });

  it('refuses files and jobs with ENODEV, and goes on with all other calls', async () => {
    await using rig = daemonRig();
    await using connection = await Connection.open(rig.socket);
    const file = await RemoteFile.open(connection, NODE);
    const job = await waitingJob(file);
    await job.submit();
    const waiting = job.wait();
    const closing = rig.daemon.close();
    await assert.rejects(job.submit(), { code: 'ENODEV' });
    await assert.rejects(RemoteFile.open(connection, NODE), { code: 'ENODEV' });
    await using late = await Connection.open(rig.socket);
    await assert.rejects(RemoteFile.open(late, NODE), { code: 'ENODEV' });
    await call(file, drm.DRM_IOCTL_VERSION, {});
    assert.equal(rig.daemon.stats.jobs, 1);
    job.release();
    await waiting;
    assert.equal(await closing, 0);
    await assert.rejects(call(file, drm.DRM_IOCTL_VERSION, {}), { code: 'ENODEV' });
  });

  it('does not wait for jobs that never end longer than it was told', async () => {
    await using rig = daemonRig();
    await using connection = await Connection.open(rig.socket);
    const file = await RemoteFile.open(connection, NODE);
    const job = await waitingJob(file);
    for (let i = 0; i < 3; i++) await job.submit();
    const waiting = assert.rejects(job.wait(), { code: 'ENODEV' });
    assert.equal(await rig.daemon.close({ drainMs: 30 }), 3);
    await waiting;
  });
});

describe('accel serve', () => {
  it('says as JSON where it listens and what it serves, and ends with 0 after SIGTERM, jobs finished', async () => {
    using daemon = await servedCommand('--device', 'nvdla:nv_small', '--engines', 'worker');
    const { ready, child, socket, ended } = daemon;
    assert.deepEqual(ready, {
      socket,
      pid: child.pid,
      devices: [
        { node: '/dev/accel/accel0', device: 'nvdla:nv_small', driver: 'nvdla', bus: '10200000.nvdla' },
      ],
    });
    const other = jobPeer(socket, 'nvdla:nv_small', 300);
    assert.equal(await other.line(), 'ready');
    other.child.stdin!.write('go\n');
    assert.equal(await other.line(), 'first');
    child.kill('SIGTERM');
    const ends = JSON.parse(await other.line()) as string[];
    assert.deepEqual(await ended, [0, null], daemon.errors());
    // Those that came after the signal are refused; every other one is right.
    assert.ok(ends[0] === 'right' && ends.every((end) => end === 'right' || end === 'ENODEV'), ends.join());
    assert.equal(existsSync(socket), false);
    await other.ended;
  });

  it('ends with 1 when jobs were not finished in time, and at the second SIGTERM at once', async () => {
    for (const twice of [false, true]) {
      const drain = twice ? '600' : '0.05';
      using daemon = await servedCommand('--device', 'null', '--staging', '--drain', drain);
      await using connection = await Connection.open(daemon.socket);
      const file = await RemoteFile.open(connection, NODE);
      const job = await waitingJob(file);
      await job.submit();
      daemon.child.kill('SIGTERM');
      if (twice) {
        // It has heard the first when it opens nothing any more.
        const refused = async (): Promise<void> => {
          for (;;) await (await RemoteFile.open(connection, NODE)).close();
        };
        await assert.rejects(refused(), { code: 'ENODEV' });
        daemon.child.kill('SIGTERM');
      }
      assert.deepEqual(await daemon.ended, twice ? [null, 'SIGTERM'] : [1, null], daemon.errors());
      if (!twice) assert.match(daemon.errors(), /1 jobs were not finished/);
    }
  });
});
