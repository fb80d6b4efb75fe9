// accel run --connect: a model on a daemon's device gives the bytes that it gives on a device of its own process.
// Not whether these are right: models.test.ts.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { cli } from '../../src/node/cli/cli.js';
import { MODELS_FOLDER } from '../../src/node/input/sidecar.js';
import { collected } from '../testing/io.js';
import { servedCommand, type ServedCommand } from './wire-rig.js';

const devices = ['nvdla:nv_small', 'nvdla:nv_full', 'gna:2.0', 'gna:3.0'];
const digit = ['mnist-8', 'samples/digits/seven.pgm'] as const;
const picture = ['resnet8-cifar10-int8-qdq', 'samples/chelsea.png'] as const;
const float = ['resnet8-cifar10-fp32', 'samples/chelsea.png'] as const;
/** All models that are here, on one configuration of each family; on the others what is particular to them. */
const cases: Readonly<Record<string, readonly (readonly [model: string, input: string])[]>> = {
  'nvdla:nv_small': [digit, picture, float],
  // In half precision.
  'nvdla:nv_full': [float],
  // One-dimensional layers, many.
  'gna:2.0': [digit],
  'gna:3.0': [digit, picture, float],
};

interface Report {
  readonly device: { readonly board: string; readonly node: string };
  readonly results: readonly { readonly outputs: unknown }[];
  readonly placement: { readonly operators: readonly { readonly device: string }[] };
}

describe('accel run --connect', () => {
  const folder = mkdtempSync(join(tmpdir(), 'accel-connect-'));
  let daemon: ServedCommand;
  before(async () => {
    daemon = await servedCommand(...devices.flatMap((device) => ['--device', device]));
  });
  after(() => {
    daemon[Symbol.dispose]();
    rmSync(folder, { recursive: true });
  });

  /** Runs a model, and resolves to the files it wrote and what it said. */
  async function run(model: string, input: string, ...words: string[]) {
    const out = mkdtempSync(join(folder, 'out-'));
    const io = collected();
    const path = [join(MODELS_FOLDER, `${model}.onnx`), '--input', join(MODELS_FOLDER, input)];
    assert.equal(await cli(['run', ...path, '--json', '--out', out, ...words], io), 0, io.stderr);
    const files = readdirSync(out).sort();
    return {
      report: JSON.parse(io.stdout) as Report,
      files: Object.fromEntries(files.map((file) => [file, readFileSync(join(out, file)).toString('hex')])),
    };
  }

  for (const [number, device] of devices.entries())
    for (const [model, input] of cases[device]!)
      it(`gives the same outputs of ${model} on ${device}, to the last byte`, async () => {
        const here = await run(model, input, '--device', device);
        const there = await run(model, input, '--connect', daemon.socket, '--device', `accel${number}`);
        assert.deepEqual(there.report.device, { ...here.report.device, node: `accel${number}` });
        assert.ok(here.report.placement.operators.some((operator) => device.startsWith(operator.device)));
        assert.ok(Object.values(here.files).some((hex) => new Set(hex.match(/../g)).size > 1));
        assert.deepEqual(there.files, here.files);
        assert.deepEqual(there.report.results[0]!.outputs, here.report.results[0]!.outputs);
        assert.deepEqual(there.report.placement, here.report.placement);
      });
});
