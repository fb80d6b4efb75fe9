// Our client over the kernel's interface, under the preload library: it cannot tell what is behind it.
// Not the preload library with programs in C, and not the vendors' suites: docs/evidence.md has what those said.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath, hrtime } from 'node:process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Process } from '../../src/core/process.js';
import { openSystem } from '../../src/node/system.js';
import { root } from '../support/shared.js';
import { script } from './client-script.js';

const run = promisify(execFile);
const cli = fileURLToPath(new URL('../../src/node/cli/main.js', import.meta.url));
const client = fileURLToPath(new URL('client-script.js', import.meta.url));

/** Runs a program with the devices, and resolves to what it printed. */
async function accelWith(options: readonly string[], ...program: string[]): Promise<string> {
  const { stdout } = await run(execPath, [cli, 'with', ...options, '--', execPath, ...program], {
    cwd: root,
  });
  return stdout;
}

describe('our client on a node of the kernel', () => {
  it('sees the same as on a device of its own process, call by call', async () => {
    using system = openSystem({ devices: ['vgem'], staging: true });
    const process = new Process();
    const expected = await script(() => system.open(undefined, process), hrtime.bigint);
    assert.ok(expected.length > 50);
    assert.match(expected.join('\n'), /wait for the writer: \[1,1\]/);
    const out = await accelWith(['--staging', '--device', 'vgem'], client, '/dev/accel/accel0');
    assert.deepEqual(JSON.parse(out), expected);
  });

  it('finds it by accel ls and accel info', async () => {
    const list = await accelWith(['--device', 'nvdla:nv_small'], cli, 'ls', '--json');
    const rows = JSON.parse(list) as { name: string; driver: string; kind: string; summary: string }[];
    assert.deepEqual(
      rows
        .filter(({ kind }) => kind === 'kernel')
        .map(({ name, driver, summary }) => [name, driver, summary]),
      [['/dev/accel/accel0', 'nvdla', 'nvdla:nv_small, 10200000.nvdla']],
    );
    const text = await accelWith(['--device', 'nvdla:nv_small'], cli, 'info', '/dev/accel/accel0', '--json');
    const about = JSON.parse(text) as Record<string, unknown>;
    assert.deepEqual(
      [about['major'], about['minor'], about['bus'], about['compatible'], about['capabilities']],
      [261, 0, 'platform', ['nvidia,nv_small'], { prime: 3, syncobj: 0, timelines: 0 }],
    );
  });

  it('runs a model to the same bytes', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'accel-run-'));
    try {
      const words = (device: string, out: string): string[] => [
        ...['run', 'models/resnet8-cifar10-int8-qdq.onnx', '--input', 'models/samples/chelsea.png'],
        ...['--device', device, '--out', join(folder, out)],
      ];
      await run(execPath, [cli, ...words('nvdla:nv_small', 'here')], { cwd: root });
      const text = await accelWith(
        ['--device', 'nvdla:nv_small'],
        cli,
        ...words('/dev/accel/accel0', 'there'),
      );
      assert.match(text, /on nvdla:nv_small \(accel0\)/);
      assert.match(text, /conv +\d/, 'busy times come from fdinfo');
      const [here, there] = ['here', 'there'].map((name) => readFileSync(join(folder, name, 'output.bin')));
      assert.ok(here!.length > 0 && new Set(here).size > 1);
      assert.deepEqual(there, here);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
