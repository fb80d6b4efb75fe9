// Whole networks through the whole path, against their references: models.json's cases and 500 digits.
// Not the compiler's or the runtime's own tests.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { cli } from '../../src/node/cli/cli.js';
import { Session } from '../../src/node/cli/session.js';
import { MODELS_FOLDER } from '../../src/node/input/sidecar.js';
import { openSystem, type EngineKind } from '../../src/node/system.js';
import { createContext, MLGraphBuilder } from '../../src/runtime/index.js';
import { needsShared, shared } from '../support/shared.js';
import { collected } from '../testing/io.js';

const names = [
  'mnist-8',
  'resnet8-cifar10-fp32',
  'resnet8-cifar10-int8-qdq',
  'vww-mobilenet-fp32',
  'vww-mobilenet-int8-qdq',
  'kws-dscnn-int8-qdq',
  'ad-autoencoder-int8-qdq',
];

async function heldOn(device: string, engines: EngineKind): Promise<void> {
  const io = collected();
  const path = shared('models/models.json')!;
  const code = await cli(['verify', path, '--models', names.join(), '-d', device, '--engines', engines], io);
  assert.equal(code, 0, io.stdout + io.stderr);
  assert.match(io.stdout, /18 of 18 cases held/);
  // Integer networks are the reference's to the last bit; nothing with a MAC in it runs on the host.
  const lines = io.stdout.split('\n');
  for (const line of lines.filter((text) => text.includes('int8-qdq')))
    assert.match(line, /LSB 0: \d+ +100\.0 %/);
  assert.ok(
    lines.filter((text) => / held {2}/.test(text)).every((text) => / 100\.0 %/.test(text)),
    io.stdout,
  );
}

describe('networks on the virtual NVDLA', () => {
  it('give the shipped goldens’ bytes, without any data from elsewhere', async () => {
    const io = collected();
    const path = join(MODELS_FOLDER, 'golden/models.json');
    assert.equal(await cli(['verify', path, '-d', 'nvdla:nv_small'], io), 0, io.stdout + io.stderr);
    assert.match(io.stdout, /6 of 6 cases held/);
    assert.match(io.stdout, /resnet8.*LSB 0: 10 .*\n.*LSB 0: 10 .*\n.*LSB 0: 10 /);
  });

  for (const device of ['nvdla:nv_small', 'nvdla:nv_large'])
    for (const engines of ['inline', 'worker'] as const)
      it(
        `give their reference’s results on ${device}, engines ${engines}`,
        needsShared('models/models.json'),
        () => heldOn(device, engines),
      );

  it('read at least 490 of 500 digits right', needsShared('models/io/mnist-digits-500.u8.bin'), async () => {
    const pixels = readFileSync(shared('models/io/mnist-digits-500.u8.bin')!);
    const labels = readFileSync(shared('models/io/mnist-digits-500.labels.bin')!);
    const model = join(MODELS_FOLDER, 'mnist-8.onnx');
    await using session = await Session.open(
      { model, device: 'nvdla:nv_small', fallback: 'forbid' },
      collected(),
    );
    const [input] = session.inputs;
    let right = 0;
    for (let i = 0; i < labels.length; i++) {
      const digit = Float32Array.from(pixels.subarray(784 * i, 784 * (i + 1)));
      const { outputs } = await session.infer({ [input!.name]: digit });
      const scores = [...(Object.values(outputs)[0] as Float32Array)];
      if (scores.indexOf(Math.max(...scores)) === labels[i]) right++;
    }
    assert.ok(right >= 490, `${right} of ${labels.length}`);
  });
});

describe('networks on the virtual GNA', () => {
  const verify = async (...args: string[]) => {
    const io = collected();
    const code = await cli(['verify', ...args], io);
    return { code, out: io.stdout, err: io.stderr };
  };
  const golden = join(MODELS_FOLDER, 'golden/models.json');

  for (const generation of ['0.9', '2.0', '3.0'])
    it(`hold the shipped float golden at 60 dB on gna:${generation}, all products on the device`, async () => {
      const args = ['--models', 'mnist-8', '-d', `gna:${generation}`, '--snr'];
      const { code, out, err } = await verify(golden, ...args, '60');
      assert.equal(code, 0, out + err);
      assert.equal([...out.matchAll(/ held .*SNR \d\d\.\d dB.* 100\.0 %/g)].length, 3, out);
      // 16 bits have no 150 dB.
      assert.equal((await verify(golden, ...args, '150')).code, 1);
    });

  it('are asked for decibels in a models.json only', needsShared('vectors/gna'), async () => {
    const { code, err } = await verify(shared('vectors/gna')!, '--snr', '60');
    assert.equal(code, 2);
    assert.match(err, /--snr is for a models\.json/);
  });
});

describe('a thousand graphs made, run and released', () => {
  it('leave nothing behind', async () => {
    const system = openSystem({ devices: ['nvdla:nv_small'] });
    const { memory } = system.machine;
    const before = memory.used;
    const quantised = { scale: 1, zeroPoint: 0 };
    for (let i = 0; i < 1000; i++) {
      const context = await createContext({ file: system.open(), target: 'nvdla:nv_small', owns: true });
      const builder = new MLGraphBuilder(context);
      const shape = [1, 8, 4, 4];
      const input = builder.input('input', { dataType: 'int8', shape });
      const scale = builder.constant({ dataType: 'float32', shape: [] }, Float32Array.of(quantised.scale));
      const zero = builder.constant({ dataType: 'int8', shape: [] }, Int8Array.of(quantised.zeroPoint));
      const real = builder.dequantizeLinear(input, scale, zero);
      const output = builder.quantizeLinear(builder.add(real, real), scale, zero);
      const graph = await builder.build({ output });
      const source = await context.createTensor({ dataType: 'int8', shape, writable: true });
      const result = await context.createTensor({ dataType: 'int8', shape, readable: true });
      context.writeTensor(source, new Int8Array(128).fill(i % 50));
      await context.dispatch(graph, { input: source }, { output: result });
      const got = new Int8Array(await context.readTensor(result));
      assert.ok(
        got.every((value) => value === 2 * (i % 50)),
        `round ${i}: ${got[0]}`,
      );
      await context.destroy();
    }
    assert.equal(memory.used, before);
    assert.equal(system.device().accel!.files.size, 0);
    system[Symbol.dispose]();
  });
});
