// Loadables on the command line: run and verify with the vendor's regression files.
// Not the format nor the runtime: see test/compiler and test/runtime.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { configsFor, readLoadable } from '../../src/compiler/loadable/index.js';
import { cli } from '../../src/node/cli/cli.js';
import { readDimg } from '../../src/runtime/loadable/index.js';
import { FLATBUFS, vendorLoadables } from '../support/loadables.js';
import { needsShared, shared } from '../support/shared.js';
import { collected } from '../testing/io.js';

const folder = mkdtempSync(join(tmpdir(), 'accel-loadables-'));
const KMD = 'vectors/nvdla/kmd';

async function accel(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const io = collected();
  const code = await cli(args, io);
  return { code, out: io.stdout, err: io.stderr };
}

describe("the vendor's loadables on the command line", needsShared(KMD), () => {
  const conv = join(shared(FLATBUFS) ?? '', 'CONV/CONV_D_L0_0_small_fbuf');
  const golden = 'CONV_D_L0_0_small_3c77f6/dla/o_000000.dimg';

  it('run on the board that their descriptors are for, and write the file of the recorded result', async () => {
    const output = join(folder, 'o.dimg');
    const { code, out, err } = await accel('run', conv, '--output', output, '--top', '2');
    assert.equal(err, '');
    assert.equal(code, 0);
    assert.match(out, /CONV_D_L0_0_small_fbuf on nvdla:nv_small \(accel0\)/);
    assert.match(out, /zeros -> m6_SDPDst_i6, int8 \[1,32,8,8\]\n1 +127\n3 +127\n/);
    assert.match(out, /0 +DLA1 +CONV 1, SDP 1/);
    assert.deepEqual(readFileSync(output), readFileSync(join(shared(KMD)!, 'golden', golden)));
  });

  it('say in JSON what ran where', async () => {
    const { code, out } = await accel('run', conv, '--json', '-k', '1', '--engines', 'worker');
    assert.equal(code, 0);
    const report = JSON.parse(out) as Record<string, unknown>;
    assert.deepEqual(report['device'], { board: 'nvdla:nv_small', node: 'accel0', driver: 'nvdla' });
    assert.equal(report['engines'], 'worker');
    assert.deepEqual(report['tasks'], [{ task: 0, interface: 'DLA1', layers: 'CONV 1, SDP 1' }]);
  });

  const failures: readonly [string, string[], RegExp][] = [
    [
      'the wrong board',
      [conv, '--device', 'nvdla:nv_large'],
      /^accel: EINVAL: .*: not for nvdla:nv_large: task 0, layer 0 \(CONV\): src_data has lines of 64 bytes.*; it fits nvdla:nv_small\n$/,
    ],
    ['a board of something else', [conv, '--device', 'gna:2.0', '--staging'], /it is a loadable of NVDLA/],
    ['an option for models', [conv, '--dim', 'a=1'], /--dim is for models/],
  ];
  for (const [name, args, message] of failures)
    it(`refuse ${name} in one line`, async () => {
      const { code, err } = await accel('run', ...args);
      assert.notEqual(code, 0);
      assert.match(err, message);
      assert.match(err, /^accel: [^\n]*\n$/);
    });

  it('that are cut are refused by name', async () => {
    const path = join(folder, 'cut.nvdla');
    writeFileSync(path, readFileSync(conv).subarray(0, 1000));
    const { code, err } = await accel('run', path);
    assert.equal(code, 1);
    assert.match(
      err,
      /^accel: EINVAL: .*cut\.nvdla: task_list\[0\]: bytes 48160 to 48164 of a file of 1000\n$/,
    );
  });

  it('are for the configurations that their names say', () => {
    for (const { name, bytes } of vendorLoadables()) {
      const own = /_(small|large)_fbuf$/.exec(name)?.[1] ?? 'full';
      const fitting = configsFor(readLoadable(bytes));
      assert.ok(fitting.includes(`nv_${own}` as (typeof fitting)[number]), `${name}: ${fitting.join(', ')}`);
      assert.equal(fitting.includes('nv_small'), own === 'small', name);
    }
  });

  it('are verified by the digest of their result', async () => {
    const { code, out } = await accel('verify', shared(KMD)!, '--device', 'nvdla:nv_small');
    assert.equal(code, 0);
    assert.match(out, /nv_small +loadable +CONV +1 +0 +0\n/);
    assert.match(out, /all +4 +0 +0\n/);
  });

  it('keep their results as DIMG files that can be read', () => {
    const dimg = readDimg(new Uint8Array(readFileSync(join(shared(KMD)!, 'golden', golden))));
    const { pixels, ...meta } = dimg;
    assert.deepEqual(meta, {
      ...{ surfaceFormat: 40, width: 8, height: 8, channel: 32 },
      ...{ lineStride: 64, surfaceStride: 512, size: 2048 },
    });
    assert.equal(pixels.length, 2048);
  });
});
