// The command line in this process: what is printed, where, and the exit codes.
// Not the arithmetic behind it.
import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { cli } from '../../src/node/cli/cli.js';
import { MODELS_FOLDER } from '../../src/node/input/sidecar.js';
import { needsShared, shared } from '../support/shared.js';
import { collected } from '../testing/io.js';

const folder = mkdtempSync(join(tmpdir(), 'accel-cli-'));
const resnet = join(MODELS_FOLDER, 'resnet8-cifar10-int8-qdq.onnx');
const mnist = join(MODELS_FOLDER, 'mnist-8.onnx');
const cat = join(MODELS_FOLDER, 'samples/chelsea.png');
const digit = (name: string): string => join(MODELS_FOLDER, `samples/digits/${name}.pgm`);

async function accel(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const io = collected();
  const code = await cli(args, io);
  return { code, out: io.stdout, err: io.stderr };
}

/** One line on standard error, nothing else. */
function assertOneLine(err: string, pattern: RegExp): void {
  assert.match(err, pattern);
  assert.match(err, /^accel: [^\n]*\n$/);
}

describe('accel run', () => {
  it('shows the labels with their probabilities, the placement and the times', async () => {
    const { code, out, err } = await accel('run', resnet, '--input', cat, '--top', '2');
    assert.equal(code, 0);
    assert.equal(err, '');
    assert.match(out, /resnet8-cifar10-int8-qdq\.onnx on nvdla:nv_large \(accel0\)/);
    assert.match(out, /cat +█+[^ ]* +86\.7 % +94\nfrog/);
    assert.match(out, /nvdla +\d+ +12\.5 M +100\.0 %/);
    assert.match(out, /host: Softmax .*: /);
    assert.match(out, /compile +\d/);
    assert.match(out, /conv +\d.* \d+/);
  });

  it('prints the same as JSON', async () => {
    const { code, out } = await accel('run', resnet, '-i', cat, '-k', '1', '-d', 'nvdla:nv_small', '--json');
    assert.equal(code, 0);
    const report = JSON.parse(out) as {
      device: { board: string };
      results: { outputs: Record<string, { top: unknown[] }> }[];
      placement: { share: number; operators: unknown[] };
      layers: unknown[];
      busy: { engine: string; jobs: number }[];
    };
    assert.equal(report.device.board, 'nvdla:nv_small');
    assert.deepEqual(report.results[0]!.outputs['output']!.top, [
      { index: 3, label: 'cat', value: 94, probability: (94 + 128) / 256 },
    ]);
    assert.equal(report.placement.share, 1);
    assert.ok(report.layers.length > 9);
    assert.ok(report.busy.some(({ engine, jobs }) => engine === 'conv' && jobs > 0));
  });

  it('adds up what the operations would take on silicon, at a clock', async () => {
    const silicon = async (clock: string): Promise<{ cycles: number; ns: number; operations: number }> => {
      const { code, out } = await accel('run', resnet, '-i', cat, '--cycles', '--clock', clock, '--json');
      assert.equal(code, 0);
      return (JSON.parse(out) as { silicon: { cycles: number; ns: number; operations: number } }).silicon;
    };
    const fast = await silicon('1000');
    const slow = await silicon('100');
    // 12.5 million products on 2048 multipliers, of which layers of few channels fill a part.
    assert.ok(slow.cycles >= 12.5e6 / 2048 && slow.cycles < 12.5e6 / 128);
    // At a clock so slow memory holds nothing up; at a fast one it does.
    assert.ok(fast.cycles > slow.cycles);
    assert.equal(slow.ns, slow.cycles * 10);
    assert.equal(fast.operations, slow.operations);
    assert.match((await accel('run', resnet, '-i', cat, '--cycles')).out, /per inference at 1000 MHz/);
  });

  it('gives the same results with engines in workers', async () => {
    const { code, out } = await accel('run', resnet, '-i', cat, '-k', '1', '--engines', 'worker');
    assert.equal(code, 0);
    assert.match(out, /cat .* 94\n/);
  });

  it('quantises a float model with the pictures of its sidecar, and takes several inputs', async () => {
    const names = ['seven', 'three', 'one'];
    const { code, out } = await accel('run', mnist, '-k', '1', '-i', ...names.map(digit), '--json');
    assert.equal(code, 0);
    const report = JSON.parse(out) as {
      calibrationInputs: number;
      results: { outputs: Record<string, { top: { label: string }[] }> }[];
      placement: { share: number };
    };
    assert.equal(report.calibrationInputs, 9);
    assert.equal(report.placement.share, 1);
    assert.deepEqual(
      report.results.map(({ outputs }) => outputs['Plus214_Output_0']!.top[0]!.label),
      ['7', '3', '1'],
    );
  });

  it('says on a terminal what takes long, and wipes it away', async () => {
    const io = { ...collected(), terminal: true };
    let written = '';
    io.err = (text) => (written += text);
    assert.equal(await cli(['run', mnist, '-i', digit('one')], io), 0);
    assert.match(written, /quantising \.\.\. \d+\.\d s/);
    assert.ok(written.endsWith('\r\x1b[K'));
  });

  it('calibrates with the files it is given instead', async () => {
    const { code, out } = await accel(
      'run',
      mnist,
      '-k',
      '1',
      '-i',
      digit('seven'),
      '-c',
      digit('seven'),
      digit('two'),
    );
    assert.equal(code, 0);
    assert.match(out, /calibrated with 2 inputs/);
    assert.match(out, /\n7 +█/);
  });

  it('compares float outputs with the model on the host, integers when asked', async () => {
    const run = (...args: string[]) => accel('run', ...args, '-d', 'nvdla:nv_small', '-k', '1');
    const floats = await run(mnist, '-i', digit('two'));
    assert.match(
      floats.out,
      /against fp32 on the host: SNR 3\d\.\d dB, error at most 1\.\d % of range, rms 0\.\d+ %/,
    );
    assert.doesNotMatch((await run(mnist, '-i', digit('two'), '--no-compare')).out, /against/);
    assert.doesNotMatch((await run(resnet, '-i', cat)).out, /against/);
    assert.match((await run(resnet, '-i', cat, '--compare')).out, /against the host: LSB 0: 10\n/);
    const { results } = JSON.parse((await run(mnist, '-i', digit('two'), digit('one'), '--json')).out) as {
      results: { accuracy: { output: string; snr: number; relative: number }[] }[];
    };
    for (const { accuracy } of results) {
      assert.deepEqual(
        accuracy.map(({ output }) => output),
        ['Plus214_Output_0'],
      );
      assert.ok(accuracy[0]!.snr > 30 && accuracy[0]!.relative < 0.02);
    }
  });

  it(
    'runs a float network on GNA with its sidecar’s sample: all on the device, near fp32',
    needsShared('models/ad-autoencoder-fp32.onnx'),
    async () => {
      const model = shared('models/ad-autoencoder-fp32.onnx')!;
      const { code, out, err } = await accel('run', model, '--device', 'gna0');
      assert.equal(code, 0, err);
      assert.match(out, /calibrated with 28 inputs/);
      assert.match(out, /gna +10 +264 k +100\.0 %/);
      assert.doesNotMatch(out, /saturated/);
      const { results, placement } = JSON.parse((await accel('run', model, '-d', 'gna0', '--json')).out) as {
        results: { accuracy: { snr: number; relative: number }[]; saturation: unknown }[];
        placement: { share: number };
      };
      assert.equal(placement.share, 1);
      assert.ok(results[0]!.accuracy[0]!.snr > 50 && results[0]!.accuracy[0]!.relative <= 0.01);
      assert.deepEqual(results[0]!.saturation, { requests: 1, saturated: 0 });
    },
  );

  it(
    'warns of requests that saturated, which other calibration inputs avoid',
    needsShared('models/ad-autoencoder-fp32.onnx'),
    async () => {
      const model = shared('models/ad-autoencoder-fp32.onnx')!;
      // Its silences are far from anything in the one word that the sidecar calibrates with.
      const recording = shared('models/samples/short_wav_easy10s.wav')!;
      const args = ['run', model, '-i', recording, '-d', 'gna0'];
      const { code, out } = await accel(...args);
      assert.equal(code, 0);
      assert.match(out, /309 windows of 32 ms/);
      assert.match(out, /[1-9]\d* of 309 requests saturated: .*--calibrate FILE/);
      const other = await accel(...args, '--calibrate', recording);
      assert.match(other.out, /calibrated with 309 inputs/);
      assert.match(other.out, /output against fp32 on the host: SNR [5-9]\d\.\d dB/);
      assert.doesNotMatch(other.out, /saturated/);
    },
  );

  it('writes outputs as raw files', async () => {
    const out = join(folder, 'outputs');
    assert.equal((await accel('run', resnet, '-i', cat, '--out', out)).code, 0);
    assert.equal(new Int8Array(readFileSync(join(out, 'output.bin')))[3], 94);
  });

  it('takes accel0 as the default device', async () => {
    assert.match((await accel('run', resnet, '-i', cat, '-d', 'accel0')).out, /on nvdla:nv_large \(accel0\)/);
  });

  const wrong: [string, string[], number, RegExp][] = [
    [
      'a model that is not there',
      ['run', 'none.onnx', '-i', cat],
      1,
      /ENOENT: none\.onnx: there is no such file/,
    ],
    ['no input', ['run', mnist], 2, /--input is missing: the model takes Input3 \(float32 \[1,1,28,28\]\)/],
    [
      'a device that does not exist',
      ['run', mnist, '-i', cat, '-d', 'tpu'],
      2,
      /no device tpu; there are nvdla:nv_small/,
    ],
    ['a minor that does not exist', ['run', mnist, '-i', cat, '-d', 'accel7'], 2, /no device accel7/],
    ['--top 0', ['run', mnist, '--top', '0'], 2, /'0' is invalid.*see accel --help/],
    ['an option that does not exist', ['run', mnist, '--tpo', '1'], 2, /unknown option '--tpo'/],
    ['--dim without a number', ['run', mnist, '-i', cat, '--dim', 'n=x'], 2, /--dim n=x: NAME=NUMBER/],
    [
      'fallback forbid where the host is needed',
      ['run', resnet, '-i', cat, '--fallback', 'forbid'],
      1,
      /Softmax .*not on nvdla:nv_large.*allow fallback "host"/,
    ],
  ];
  for (const [what, args, code, pattern] of wrong)
    it(`refuses ${what} in one line`, async () => {
      const result = await accel(...args);
      assertOneLine(result.err, pattern);
      assert.equal(result.code, code);
      assert.equal(result.out, '');
    });

  it('refuses a model that is cut short, in one line', async () => {
    const path = join(folder, 'cut.onnx');
    writeFileSync(path, readFileSync(mnist).subarray(0, 9000));
    const { code, err } = await accel('run', path, '-i', digit('one'));
    assertOneLine(err, /^accel: E/);
    assert.equal(code, 1);
  });

  it(
    'names every operator that is not known',
    needsShared('models/superres-with-custom-ops.onnx'),
    async () => {
      const { code, err } = await accel('run', shared('models/superres-with-custom-ops.onnx')!, '-i', cat);
      assertOneLine(err, /com\.microsoft\.extensions::DecodeImage, com\.microsoft\.extensions::EncodeImage/);
      assert.equal(code, 1);
    },
  );
});

describe('--precision', () => {
  const layersOf = async (...args: string[]): Promise<string[]> => {
    const { out, err } = await accel('compile', ...args, '--json');
    assert.equal(err, '');
    const { report } = JSON.parse(out) as { report: { segments: { layers: { precision: string }[] }[] } };
    return [...new Set(report.segments.flatMap(({ layers }) => layers.map(({ precision }) => precision)))];
  };

  it('chooses what a float model is computed in where the device has both', async () => {
    assert.deepEqual(await layersOf(mnist, '-d', 'nvdla:nv_full'), ['fp16']);
    assert.deepEqual(await layersOf(mnist, '-d', 'nvdla:nv_full', '--precision', 'fp16'), ['fp16']);
    assert.deepEqual(await layersOf(mnist, '-d', 'nvdla:nv_full', '--precision', 'int8'), ['int8']);
    const { code, out } = await accel(
      ...['run', mnist, '-i', digit('seven'), '-d', 'nvdla:nv_full', '--precision', 'int8', '-k', '1'],
    );
    assert.equal(code, 0);
    assert.match(out, /calibrated with \d+ inputs/);
    assert.match(out, /\n7 /);
  });

  it('is refused with the reason where the device or the model has no such arithmetic', async () => {
    for (const [args, pattern] of [
      [
        [mnist, '-d', 'nvdla:nv_large', '--precision', 'fp16'],
        /EOPNOTSUPP .*nvdla:nv_large computes in int8/,
      ],
      [[mnist, '-d', 'gna:3.0', '--precision', 'int8'], /EOPNOTSUPP .*gna:3\.0 computes in 16-bit integers/],
      [[resnet, '-d', 'nvdla:nv_full', '--precision', 'fp16'], /EINVAL .*the model is quantised/],
    ] as const) {
      const { code, err } = await accel('compile', ...args);
      assert.equal(code, 1);
      assertOneLine(err, pattern);
    }
    const bare = join(folder, 'bare.onnx');
    cpSync(mnist, bare);
    const { code, err } = await accel('compile', bare, '-d', 'nvdla:nv_full', '--precision', 'int8');
    assert.equal(code, 1);
    assertOneLine(err, /EINVAL .*quantised with real inputs, and there are none/);
  });
});

describe('accel ls and info', () => {
  it('list the devices, with the default', async () => {
    const { code, out } = await accel('ls');
    assert.equal(code, 0);
    assert.match(out, /nvdla:nv_large +nvdla +virtual .*\(default\)/);
    const rows = JSON.parse((await accel('ls', '--json')).out) as { name: string }[];
    assert.ok(rows.some(({ name }) => name === 'nvdla:nv_small'));
  });

  it('say which nodes the kernel has when one is asked for that it has not', async () => {
    for (const words of [
      ['info', '/dev/accel/accel255'],
      ['run', 'models/resnet8-cifar10-int8-qdq.onnx', '--device', '/dev/accel/accel255', '--input', 'x.bin'],
    ]) {
      const { code, err } = await accel(...words);
      assert.equal(code, 2);
      assertOneLine(err, /no node \/dev\/accel\/accel255; the kernel has /);
    }
    const traced = ['run', 'models/resnet8-cifar10-int8-qdq.onnx', '--device', '/dev/accel/accel0'];
    const { code, err } = await accel('trace', '-o', '/dev/null', '--', ...traced);
    assert.equal(code, 2);
    assertOneLine(err, /cannot be traced/);
  });

  it('say what a device is and what its model promises about each register', async () => {
    const { out } = await accel('info', 'nvdla:nv_small');
    assert.match(out, /nvidia,nv_small/);
    assert.match(out, /64 \(8 channels x 8 kernels\)/);
    assert.match(out, /CDMA +0x3000 +\d+ +\d+ +\d+/);
    const about = JSON.parse((await accel('info', 'nvdla:nv_small', '--registers', '--json')).out) as {
      units: { modelled: number; stored: number; absent: number }[];
      registers: { unit: string; name: string; status: string }[];
    };
    const total = about.units.reduce((sum, unit) => sum + unit.modelled + unit.stored + unit.absent, 0);
    assert.equal(about.registers.length, total);
    assert.ok(about.registers.some(({ name, status }) => name === 'S_INTR_STATUS' && status === 'modelled'));
  });

  it('print each register when asked', async () => {
    assert.match(
      (await accel('info', 'nvdla:nv_small', '--registers')).out,
      /0x100c +GLB\.S_INTR_STATUS .* modelled/,
    );
  });
});

describe('accel trace', () => {
  it('writes jobs, steps, engine time and decoded register writes', async () => {
    const path = join(folder, 'trace.json');
    const { code, out } = await accel('trace', '-o', path, '--', 'run', resnet, '-i', cat, '-k', '1');
    assert.equal(code, 0);
    assert.match(out, /cat .* 94\n/);
    assert.match(out, /register writes in .*trace\.json/);
    const { traceEvents } = JSON.parse(readFileSync(path, 'utf8')) as {
      traceEvents: { ph: string; name: string; dur?: number; args?: Record<string, unknown> }[];
    };
    const steps = new Set(traceEvents.map(({ args }) => args?.['step']).filter((step) => step !== undefined));
    assert.deepEqual(
      [...steps].sort((a, b) => Number(a) - Number(b)),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    );
    assert.ok(traceEvents.some(({ ph, dur }) => ph === 'X' && dur! > 0));
    const [begun, ended] = ['b', 'e'].map((phase) => traceEvents.filter(({ ph }) => ph === phase).length);
    assert.ok(begun! > 0);
    assert.equal(begun, ended);
    const write = traceEvents.find(({ name }) => name === 'CDMA.D_DATAIN_SIZE_0')!;
    assert.equal(write.args!['DATAIN_WIDTH'], '0x1f');
  });

  it('runs only run, and needs a file to write', async () => {
    assert.equal((await accel('trace', '-o', join(folder, 'x.json'), '--', 'ls')).code, 2);
    const { code, err } = await accel('trace', '--', 'run', resnet);
    assertOneLine(err, /required option '-o, --output <file>'/);
    assert.equal(code, 2);
  });

  it('fails with the command, and says so in one line', async () => {
    const { code, err } = await accel(
      'trace',
      '-o',
      join(folder, 'no.json'),
      '--',
      'run',
      'none.onnx',
      '-i',
      cat,
    );
    assertOneLine(err, /none\.onnx/);
    assert.equal(code, 1);
    assert.ok(!existsSync(join(folder, 'no.json')));
  });
});

describe('accel verify', () => {
  it('plays vectors and counts them by kind', needsShared('vectors/nvdla-cmod'), async () => {
    const { code, out } = await accel('verify', shared('vectors/nvdla-cmod/nv_small')!);
    assert.match(out, /nv_small +layer +conv +21 +0 +0/);
    assert.match(out, /all +49 +0 +0/);
    assert.equal(code, 0);
  });

  it(
    'plays submissions at the driver’s calls, of one device when asked',
    needsShared('vectors/gna'),
    async () => {
      const { code, out } = await accel('verify', shared('vectors/gna')!, '--device', 'gna:3.0');
      assert.match(out, /3\.0 +request +conv2d +30 +0 +0/);
      assert.match(out, /all +347 +0 +0/);
      assert.equal(code, 0);
    },
  );

  it(
    'fails when a register is written otherwise, and says which byte came out wrong',
    needsShared('vectors/nvdla-cmod'),
    async () => {
      const source = shared('vectors/nvdla-cmod/nv_small')!;
      const place = mkdtempSync(join(folder, 'nv_'));
      const copy = join(place, 'nv_small');
      mkdirSync(copy);
      for (const name of readdirSync(source))
        if (name.startsWith('sdp_small_cvt')) cpSync(join(source, name), join(copy, name));
      const json = join(copy, 'sdp_small_cvt.json');
      const vector = JSON.parse(readFileSync(json, 'utf8')) as { steps: (string | number)[][] };
      const step = vector.steps.find((words) => String(words[3]).includes('D_CVT_SCALE'))!;
      step[2] = '0x1';
      writeFileSync(json, JSON.stringify(vector));
      const { code, out } = await accel('verify', place);
      assert.equal(code, 1);
      assert.match(out, /failed nv_small sdp_small_cvt: byte \d+ of \d+ at 0x[0-9a-f]+ is \d+, \d+ is right/);
    },
  );

  it(
    'runs the cases of quantised models to the bit, on two configurations',
    needsShared('models/models.json'),
    async () => {
      const names = ['resnet8', 'vww-mobilenet', 'kws-dscnn', 'ad-autoencoder', 'sww-dscnn1d'];
      const models = names
        .map((name) => (name === 'resnet8' ? 'resnet8-cifar10-int8-qdq' : `${name}-int8-qdq`))
        .join(',');
      for (const device of ['nvdla:nv_small', 'nvdla:nv_large']) {
        const { code, out } = await accel(
          ...['verify', shared('models/models.json')!, '--models', models, '--device', device, '--json'],
        );
        const { results } = JSON.parse(out) as {
          results: { share: number; comparisons: { largest: number }[] }[];
        };
        assert.equal(results.length, 10);
        for (const result of results) {
          assert.equal(result.share, 1);
          assert.deepEqual(
            result.comparisons.map(({ largest }) => largest),
            [0],
          );
        }
        assert.equal(code, 0);
      }
    },
  );

  it('holds float models to their greatest element', needsShared('models/models.json'), async () => {
    const { code, out } = await accel(
      ...[
        'verify',
        shared('models/models.json')!,
        '--models',
        'mnist-8,resnet8-cifar10-fp32',
        '-d',
        'nvdla:nv_small',
      ],
    );
    assert.match(out, /6 of 6 cases held on nvdla:nv_small/);
    assert.equal(code, 0);
  });

  it('refuses a path without vectors and a model that is not listed', async () => {
    assertOneLine((await accel('verify', mkdtempSync(join(folder, 'empty')))).err, /holds no vectors/);
    assertOneLine((await accel('verify', join(folder, 'none'))).err, /there is no such file or folder/);
    const list = join(folder, 'models.json');
    writeFileSync(list, '{"models":[]}');
    const { code, err } = await accel('verify', list, '--models', 'x');
    assertOneLine(err, /no model x/);
    assert.equal(code, 2);
  });
});

describe('accel itself', () => {
  it('shows help with 0, and a command that does not exist is 2', async () => {
    const help = await accel('--help');
    assert.equal(help.code, 0);
    assert.match(help.out, /run .*\n[\s\S]*verify/);
    const { code, err } = await accel('bogus');
    assertOneLine(err, /unknown command 'bogus'; see accel --help/);
    assert.equal(code, 2);
  });
});
