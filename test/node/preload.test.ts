// Unmodified programs under the preload library: one in C, and Node itself with calls of the C library.
// Not the wire: wire.test.ts. Skipped where there is no C compiler.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { compileNvdla, importOnnx, optimize } from '../../src/compiler/index.js';
import { Random } from '../../src/node/fuzz/random.js';
import { compiler } from '../../src/node/preload.js';
import { openSystem } from '../../src/node/system.js';
import { writeSegment } from '../support/nvdla-segment.js';
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

  for (const [name, what] of [
    ['client', 'calls, jobs, mappings, descriptors, signals, threads, a child'],
    ['descriptors', 'passed, copied, kept over exec, waited for, read and written, mapped in pieces'],
  ] as const)
    it(`runs a program in C: ${what}`, async () => {
      const program = join(folder, name);
      const source = join(root, `test/native/${name}.c`);
      await run(compiler(), ['-O1', '-Wall', '-Werror', '-pthread', '-o', program, source]);
      const { code, stdout, stderr } = await accelWith('--device', 'null', '--staging', '--', program);
      assert.deepEqual([stdout, stderr, code], ['ok\n', '', 0]);
    });

  it('runs a network on NVDLA for a client in C, on the node it asks for', async () => {
    const program = join(folder, 'nvdla');
    await run(compiler(), ['-O1', '-Wall', '-Werror', '-o', program, join(root, 'test/native/nvdla.c')]);
    const graph = optimize(importOnnx(readFileSync(join(root, 'models/resnet8-cifar10-int8-qdq.onnx'))));
    const { segments } = compileNvdla(graph, { config: 'nv_small' });
    const segment = segments.find((candidate) => candidate.kind === 'nvdla')!;
    using system = openSystem({ devices: ['nvdla:nv_small'] });
    const file = system.open();
    const random = new Random(5);
    const tensors = segment.inputs.map(({ tensor }): [string, Int8Array] => {
      const count = tensor.shape.reduce((a, b) => a * b, 1);
      return [tensor.name, Int8Array.from({ length: count }, () => random.below(256) - 128)];
    });
    await writeSegment(file, segment, new Map(tensors), folder);
    await file.close();
    for (const node of ['/dev/accel/accel0', '/dev/dri/renderD128']) {
      const words = ['--device', 'nvdla:nv_small', '--', program, folder, node];
      const { code, stdout, stderr } = await accelWith(...words);
      assert.deepEqual([stdout, code], ['ok 0.0.0\n', 0], stderr);
    }
    // Other weights: the client sees that.
    const weights = join(folder, 'buffer2');
    const bytes = readFileSync(weights);
    bytes.fill(0x55);
    writeFileSync(weights, bytes);
    const { code, stdout } = await accelWith(
      '--device',
      'nvdla:nv_small',
      '--',
      program,
      folder,
      '/dev/accel/accel0',
    );
    assert.match(stdout, /^\d+ bytes are others/);
    assert.equal(code, 1);
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

  it('shows render nodes of drivers whose programs look there, cards only when asked', async () => {
    const devices = ['--staging', '--device', 'null', '--device', 'gna:2.0'];
    const list = async (...options: string[]) =>
      (await accelWith(...devices, ...options, '--', 'ls', '/dev/dri')).stdout.trim().split('\n');
    assert.deepEqual(await list(), ['renderD129']);
    assert.deepEqual(await list('--dri'), ['card0', 'card1', 'renderD128', 'renderD129']);
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
