// Unmodified programs under the preload library: one in C, and Node itself with calls of the C library.
// Not the wire: wire.test.ts. Skipped where there is no C compiler.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { compiler } from '../../src/node/preload.js';
import { root } from '../support/shared.js';

const run = promisify(execFile);
const skip =
  spawnSync(compiler(), ['--version']).status === 0 ? false : `there is no C compiler ${compiler()}`;
const accel = join(root, 'dist/src/node/cli/main.js');

describe('accel with', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'accel-preload-'));
  after(() => rmSync(folder, { recursive: true }));
  const env = { ...process.env, XDG_CACHE_HOME: folder };
  const accelWith = (...args: string[]) =>
    run(process.execPath, [accel, 'with', ...args], { env }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    );

  it('runs a program in C: calls, jobs, mappings, descriptors, signals, threads, a child', async () => {
    const program = join(folder, 'client');
    await run(compiler(), ['-O1', '-pthread', '-o', program, join(root, 'test/native/client.c')]);
    const { code, stdout, stderr } = await accelWith('--device', 'null', '--staging', '--', program);
    assert.deepEqual([stdout, stderr, code], ['ok\n', '', 0]);
  });

  for (const device of ['nvdla:nv_small', 'gna:2.0'])
    it(`runs a job of ${device} by calls of the C library`, async () => {
      const peer = fileURLToPath(new URL('preload-peer.js', import.meta.url));
      const words = ['--device', device, '--staging', '--', process.execPath, peer, device];
      const { code, stdout, stderr } = await accelWith(...words);
      assert.deepEqual([stdout, code], ['ok\n', 0], stderr);
    });

  it('ends as the program does', async () => {
    const sh = (script: string) => accelWith('--device', 'nvdla:nv_small', '--', 'sh', '-c', script);
    assert.equal((await sh('exit 7')).code, 7);
    assert.equal((await sh('kill -9 $$')).code, 137);
    assert.equal((await accelWith('--device', 'nvdla:nv_small', '--', '/no/such/program')).code, 1);
  });

  it('shows sysfs to programs that list and read it', async () => {
    const script =
      'cd / && cat /sys/class/accel/accel0/dev && ls /dev/accel && readlink /sys/class/accel/accel0';
    const { stdout } = await accelWith('--device', 'nvdla:nv_small', '--', 'sh', '-c', script);
    assert.equal(stdout, '261:0\naccel0\n../../devices/platform/10200000.nvdla/accel/accel0\n');
  });

  it('says in one line that a compiler is missing', async () => {
    const { stderr } = await run(process.execPath, [accel, 'with', '--', 'true'], {
      env: { ...env, CC: '/no/such/cc' },
    }).catch((error: { stderr: string }) => error);
    assert.match(stderr, /^accel: ENOENT: a C compiler is needed [^\n]*\n$/);
  });
});
