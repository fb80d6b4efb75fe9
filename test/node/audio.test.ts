// Recordings: WAVE files read, cut into windows, and run window after window with the state carried along.
// Not accuracy: the models' tests hold that.
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { AccelError } from '../../src/base/index.js';
import { cli } from '../../src/node/cli/cli.js';
import { audioWindows } from '../../src/node/input/audio.js';
import { readFile } from '../../src/node/input/load.js';
import { logMelFrames } from '../../src/node/input/log-mel.js';
import { MODELS_FOLDER, readSidecar } from '../../src/node/input/sidecar.js';
import { decodeWav } from '../../src/node/input/wav.js';
import { needsShared, shared } from '../support/shared.js';
import { collected } from '../testing/io.js';

const folder = mkdtempSync(join(tmpdir(), 'accel-audio-'));
const file = (name: string, contents: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, contents);
  return path;
};
const refusal = (code: string, pattern: RegExp) => (error: unknown) =>
  error instanceof AccelError && error.code === code && pattern.test(error.message);

interface Format {
  readonly code?: number;
  readonly channels?: number;
  readonly rate?: number;
  readonly bits?: number;
}

/** A WAVE file with an odd chunk before the samples. */
function wav(data: Uint8Array, { code = 1, channels = 1, rate = 16000, bits = 16 }: Format = {}): Uint8Array {
  const bytes = Buffer.alloc(12 + 24 + 10 + 8 + data.length);
  bytes.write('RIFF', 0);
  bytes.writeUInt32LE(bytes.length - 8, 4);
  bytes.write('WAVEfmt ', 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(code, 20);
  bytes.writeUInt16LE(channels, 22);
  bytes.writeUInt32LE(rate, 24);
  bytes.writeUInt32LE((rate * channels * bits) / 8, 28);
  bytes.writeUInt16LE((channels * bits) / 8, 32);
  bytes.writeUInt16LE(bits, 34);
  bytes.write('LIST', 36);
  bytes.writeUInt32LE(1, 40);
  bytes.write('data', 46);
  bytes.writeUInt32LE(data.length, 50);
  bytes.set(data, 54);
  return bytes;
}
const pcm16 = (...values: number[]): Uint8Array => new Uint8Array(Int16Array.from(values).buffer);

describe('a WAVE file', () => {
  it('gives samples from -1 to 1 in every format that is read', () => {
    const read = (data: Uint8Array, format: Format): number[] => [
      ...decodeWav(wav(data, format), 'x.wav').samples,
    ];
    assert.deepEqual(read(pcm16(-32768, 0, 16384), {}), [-1, 0, 0.5]);
    assert.deepEqual(read(Uint8Array.of(0, 128, 192), { bits: 8 }), [-1, 0, 0.5]);
    assert.deepEqual(read(Uint8Array.of(0, 0, 0x80, 0, 0, 0x40), { bits: 24 }), [-1, 0.5]);
    assert.deepEqual(
      read(new Uint8Array(Int32Array.of(-(2 ** 31), 2 ** 30).buffer), { bits: 32 }),
      [-1, 0.5],
    );
    assert.deepEqual(
      read(new Uint8Array(Float32Array.of(0.25, -1).buffer), { code: 3, bits: 32 }),
      [0.25, -1],
    );
  });

  it('is the mean of its channels', () => {
    const { samples, channels } = decodeWav(wav(pcm16(16384, 0, -16384, 16384), { channels: 2 }), 'x.wav');
    assert.equal(channels, 2);
    assert.deepEqual([...samples], [0.25, 0]);
  });

  it('is refused by name when it is another file, cut short, compressed or without samples', () => {
    const whole = wav(pcm16(1, 2, 3));
    assert.throws(() => decodeWav(Buffer.from('OggS'), 'x.ogg'), refusal('EINVAL', /x\.ogg.*RIFF/));
    assert.throws(() => decodeWav(whole.subarray(0, 56), 'x.wav'), refusal('EINVAL', /2 of 6 bytes/));
    assert.throws(() => decodeWav(whole.subarray(0, 44), 'x.wav'), refusal('EINVAL', /no samples/));
    assert.throws(
      () => decodeWav(wav(pcm16(1), { code: 85 }), 'x.wav'),
      refusal('EOPNOTSUPP', /format 85 of 16 bits/),
    );
  });
});

describe('windows of a recording', () => {
  const input = { name: 'input', dataType: 'float32', shape: [1, 3] };
  const preparation = { rate: 16000, context: 1, hop: 2 };

  it('hold new samples behind those of before, silence around the recording', () => {
    const path = file('five.wav', wav(pcm16(8192, 16384, 24576, -8192, -16384)));
    assert.deepEqual(
      audioWindows(path, preparation, input).map((window) => [...window]),
      [
        [0, 0.25, 0.5],
        [0.5, 0.75, -0.25],
        [-0.25, -0.5, 0],
      ],
    );
  });

  it('need the rate and the size that the model takes', () => {
    const path = file('slow.wav', wav(pcm16(1), { rate: 8000 }));
    assert.throws(() => audioWindows(path, preparation, input), refusal('EINVAL', /8000 samples per second/));
    assert.throws(
      () => audioWindows(path, preparation, { ...input, shape: [1, 4] }),
      refusal('EINVAL', /windows are 3 float32; input "input" is float32 \[1,4\]/),
    );
  });
});

describe('log-mel frames', () => {
  const word = join(MODELS_FOLDER, 'samples/marvin.wav');
  const options = { rate: 16000, fft: 1024, hop: 512, bands: 128 };

  it('are those of a plain transform, bin by bin, and of the filters as librosa has them', () => {
    const frames = logMelFrames(decodeWav(readFile(word), word).samples, options);
    assert.equal(frames.length, 32);
    // Computed apart from this program, in doubles, with numpy's transform.
    const known: [frame: number, band: number, decibels: number][] = [
      [0, 0, -42.242],
      [0, 100, -59.353],
      [16, 5, 14.019],
      [16, 40, 7.901],
      [31, 127, -79.499],
    ];
    for (const [frame, band, decibels] of known)
      assert.ok(
        Math.abs(frames[frame]![band]! - decibels) < 0.001,
        `${frame} ${band} ${frames[frame]![band]}`,
      );
  });

  it('show a tone in its band, silence everywhere as -157 dB, and need more than half a frame', () => {
    const tone = Float32Array.from({ length: 4096 }, (_, i) => Math.sin((2 * Math.PI * 1000 * i) / 16000));
    const frame = logMelFrames(tone, options)[3]!;
    // 1 kHz is 15 mels of 45.25; bands are centred on 129ths of that, the 43rd on 15.08.
    assert.equal(frame.indexOf(Math.max(...frame)), 42);
    const silence = logMelFrames(new Float32Array(2000), options);
    assert.ok(silence.every((bands) => bands.every((value) => Math.abs(value + 156.536) < 0.001)));
    assert.deepEqual(logMelFrames(new Float32Array(512), options), []);
  });

  it('make windows of frames that begin one after the other', () => {
    const input = { name: 'input', dataType: 'float32', shape: [1, 640] };
    const preparation = { rate: 16000, context: 0, hop: 512, logMel: { fft: 1024, bands: 128, frames: 5 } };
    const windows = audioWindows(word, preparation, input);
    assert.equal(windows.length, 28);
    assert.deepEqual(windows[1]!.subarray(0, 512), windows[0]!.subarray(128));
    assert.throws(
      () => audioWindows(word, preparation, { ...input, shape: [1, 500] }),
      refusal('EINVAL', /windows are 640 float32/),
    );
  });
});

describe('a sidecar of a model with state', () => {
  const read = (json: unknown) => readSidecar(file('x.accel.json', JSON.stringify(json)));

  it('says what is carried, what symbolic dimensions and constant inputs are', () => {
    const sidecar = readSidecar(join(MODELS_FOLDER, 'silero-vad-ifless.accel.json'));
    assert.deepEqual(sidecar.state, { stateN: 'state' });
    assert.deepEqual(sidecar.constants, { sr: 16000 });
    assert.deepEqual(sidecar.inputs['input'], { rate: 16000, context: 64, hop: 512 });
  });

  it('is refused with the member that is wrong', () => {
    assert.throws(() => read({ state: { a: 1 } }), refusal('EINVAL', /state\.a/));
    assert.throws(() => read({ dimensions: { batch: 0 } }), refusal('EINVAL', /dimensions\.batch/));
    assert.throws(() => read({ inputs: { x: { rate: 1, hop: 0 } } }), refusal('EINVAL', /inputs\.x\.hop/));
    assert.throws(() => read({ sample: { x: 1 } }), refusal('EINVAL', /sample\.x/));
    const logMel = { fft: 1000, bands: 8, frames: 1 };
    assert.throws(
      () => read({ inputs: { x: { rate: 1, hop: 1, logMel } } }),
      refusal('EINVAL', /no power of 2/),
    );
    assert.throws(
      () => read({ inputs: { x: { rate: 1, hop: 1, context: 1, logMel: { ...logMel, fft: 8 } } } }),
      refusal('EINVAL', /x\.context/),
    );
    assert.throws(
      () => read({ inputs: { x: { rate: 1, hop: 1, width: 2 } } }),
      refusal('EINVAL', /inputs\.x\.width/),
    );
  });
});

describe('accel run of a recording', needsShared('models/silero-vad-ifless.onnx'), () => {
  const model = shared('models/silero-vad-ifless.onnx') ?? '';
  const word = join(MODELS_FOLDER, 'samples/marvin.wav');

  it('runs every window with the state of the one before, and shows where there is speech', async () => {
    const io = collected();
    assert.equal(await cli(['run', model, '--input', word, '--json'], io), 0, io.stderr);
    const { results } = JSON.parse(io.stdout) as {
      results: {
        sequence: { windows: number; series: { output: number[] }; above: { output: { to: number }[] } };
        outputs: { output: { top: { value: number }[] } };
      }[];
    };
    const { windows, series, above } = results[0]!.sequence;
    assert.equal(windows, 32);
    assert.equal(series.output.length, 32);
    assert.equal(results[0]!.outputs.output.top[0]!.value, series.output.at(-1));
    // The word is spoken in the second half; a state that is not carried along never gets there.
    assert.ok(series.output.slice(20, 30).every((value) => value > 0.8));
    assert.ok(series.output[0]! < 0.3);
    assert.ok(above.output.length > 0);
  });

  it('refuses recordings that are none with one line', async () => {
    const io = collected();
    assert.equal(await cli(['run', model, '--input', file('bad.wav', 'RIFF')], io), 1);
    assert.match(io.stderr, /^accel: EINVAL[^\n]*bad\.wav[^\n]*\n$/);
  });

  it('takes the sample as a recording of one second', () => {
    const { rate, samples } = decodeWav(readFile(word), word);
    assert.equal(rate, 16000);
    assert.equal(samples.length, 16000);
  });
});
