// Loadables on the command line: run and verify with the vendor's regression files.
// Not the format nor the runtime: see test/compiler and test/runtime.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { configsFor, readLoadable } from '../../src/compiler/loadable/index.js';
import { cli } from '../../src/node/cli/cli.js';
import { MODELS_FOLDER } from '../../src/node/input/sidecar.js';
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

describe('accel compile', () => {
  const mnist = join(MODELS_FOLDER, 'mnist-8.onnx');
  const seven = join(MODELS_FOLDER, 'samples/digits/seven.pgm');

  it('writes a loadable and its inputs, which accel run takes', async () => {
    const output = join(folder, 'mnist.nvdla');
    const { code, out, err } = await accel(
      ...['compile', mnist, '--device', 'nvdla:nv_small', '-o', output, '--input', seven],
    );
    assert.equal(err, '');
    assert.equal(code, 0);
    assert.match(out, /mnist\.nvdla: [\d.]+ KiB, \d+ layers for nvdla:nv_small/);
    assert.match(out, /input +Input3 +\[1,1,28,28\]\noutput +Plus214_Output_0 +\[1,10,1,1\]/);
    const run = await accel('run', output, '--input', join(folder, 'mnist.Input3.dimg'), '--top', '1');
    assert.equal(run.code, 0);
    assert.match(run.out, /-> Plus214_Output_0, int8 \[1,10,1,1\]\n7 +\d+\n/);
  });

  it('says in JSON what is in the file', async () => {
    const output = join(folder, 'resnet.nvdla');
    const model = join(MODELS_FOLDER, 'resnet8-cifar10-int8-qdq.onnx');
    const { code, out } = await accel('compile', model, '-o', output, '--json');
    assert.equal(code, 0);
    const report = JSON.parse(out) as { target: string; bytes: number; left: string[] };
    assert.equal(report.target, 'nvdla:nv_large');
    assert.equal(report.bytes, readFileSync(output).length);
    assert.equal(report.left.length, 2);
  });

  const failures: readonly [string, string[], RegExp][] = [
    ['a target that is none', [mnist, '-o', 'x', '-d', 'nvdla:nv_tiny'], /no target nvdla:nv_tiny/],
    [
      'a folder that is not there',
      [mnist, '-o', join(folder, 'no/x.nvdla')],
      /ENOENT: .*x\.nvdla: cannot be written/,
    ],
    ['what no loadable can hold', [mnist, '-o', 'x', '-d', 'nvdla:nv_medium_512'], /EOPNOTSUPP.*16 bytes/],
  ];
  for (const [name, args, message] of failures)
    it(`refuses ${name} in one line`, async () => {
      const { code, err } = await accel('compile', ...args);
      assert.notEqual(code, 0);
      assert.match(err, message);
      assert.match(err, /^accel: [^\n]*\n$/);
    });
});

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
    ['a board of something else', [conv, '--device', 'gna:2.0'], /it is a loadable of NVDLA/],
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
