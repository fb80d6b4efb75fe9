// Clients with real jobs under way that are killed, stopped, or pull at their buffers: their jobs end or wait, another's are right.
// Not clients without jobs, and not nonsense: wire-end.test.ts.
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Connection, RemoteFile } from '../../src/node/client/index.js';
import { F_ADD_SEALS, fcntl } from '../../src/node/libc.js';
import { adapterFor, exportGem } from '../../src/testing/index.js';
import { daemonRig, jobPeer, jobsUnderWay, until, type Rig } from './wire-rig.js';

const F_SEAL_WRITE = 8;
const JOBS = 48;

/** A process whose jobs are under way. */
async function working(rig: Rig, device: string) {
  const client = jobPeer(rig.socket, device, JOBS);
  assert.equal(await client.line(), 'ready');
  client.child.stdin!.write('go\n');
  await jobsUnderWay(rig);
  return client;
}

/** Another process runs its jobs, and every one is right. */
async function othersAreRight(rig: Rig, device: string): Promise<void> {
  const other = jobPeer(rig.socket, device, 10);
  assert.equal(await other.line(), 'ready');
  other.child.stdin!.write('go\n');
  assert.equal(await other.line(), 'first');
  assert.deepEqual(new Set(JSON.parse(await other.line()) as string[]), new Set(['right']));
  await other.ended;
}

for (const device of ['nvdla:nv_small', 'gna:2.0'])
  describe(`a client with jobs on ${device}`, () => {
    it('that is killed leaves nothing, and another’s jobs are right', async () => {
      await using rig = daemonRig({ devices: [device], engines: 'worker' });
      const { memory } = rig.system.machine;
      const before = memory.used;
      const client = await working(rig, device);
      client.child.kill('SIGKILL');
      await client.ended;
      await othersAreRight(rig, device);
      assert.ok(
        await until(() => rig.daemon.stats.objects === 0 && rig.daemon.stats.clients === 0, 15_000),
        JSON.stringify(rig.daemon.stats),
      );
      assert.equal(rig.daemon.stats.jobs, 0);
      assert.ok(await until(() => memory.used === before), `${memory.used - before} bytes are held`);
      assert.equal(rig.system.machine.devices[0]!.accel!.health.defects, 0);
      assert.deepEqual(rig.defects, []);
    });

    it('that reads no more is waited for by nobody, and finds its results when it reads again', async () => {
      await using rig = daemonRig({ devices: [device], engines: 'worker' });
      const client = await working(rig, device);
      client.child.kill('SIGSTOP');
      await othersAreRight(rig, device);
      assert.ok(await until(() => rig.daemon.stats.jobs === 0), 'its jobs end without it');
      client.child.kill('SIGCONT');
      assert.equal(await client.line(), 'first');
      assert.deepEqual(JSON.parse(await client.line()), new Array<string>(JOBS).fill('right'));
      await client.ended;
      assert.deepEqual(rig.defects, []);
    });

    it('that cuts and seals the buffers of a job meanwhile is refused, and the job is right', async () => {
      await using rig = daemonRig({ devices: [device], engines: 'worker' });
      await using connection = await Connection.open(rig.socket);
      const file = await RemoteFile.open(connection, '/dev/accel/accel0');
      const job = await adapterFor(device).adapter.aJob(file, { seed: 4, timeoutMs: 5000 });
      const fds: number[] = [];
      // GNA's interface has no PRIME export; its buffers are mapped only.
      if (device.startsWith('nvdla'))
        for (const handle of new Set(job.handles)) fds.push(await exportGem(file, handle));
      for (let i = 0; i < 20; i++) {
        job.result.fill(0);
        const running = job.run();
        for (const fd of fds) {
          for (const size of [0, 1, 1 << 20]) assert.throws(() => ftruncateSync(fd, size), { code: 'EPERM' });
          assert.throws(() => fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), { code: 'EPERM' });
        }
        await running;
        assert.deepEqual(Buffer.from(job.result), Buffer.from(job.expected));
      }
      for (const fd of fds) closeSync(fd);
      await job.release();
      assert.deepEqual(rig.defects, []);
    });
  });
