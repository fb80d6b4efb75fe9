// Voice activity on GNA: the decision of every window of a recording against the float reference, state carried along.
// Not the probabilities themselves: those differ by what 16-bit weights and activations cost.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as ort from 'onnxruntime-node';
import { cli } from '../../src/node/cli/cli.js';
import { audioWindows } from '../../src/node/input/audio.js';
import { needsShared, shared } from '../support/shared.js';
import { collected } from '../testing/io.js';

const THRESHOLD = 0.5;
const WINDOW = 576;

async function reference(model: string, recording: string): Promise<number[]> {
  const session = await ort.InferenceSession.create(model, {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 3,
  });
  const preparation = { rate: 16000, context: 64, hop: 512 };
  const input = { name: 'input', dataType: 'float32', shape: [1, WINDOW] };
  const sr = new ort.Tensor('int64', BigInt64Array.of(16000n), []);
  let state = new ort.Tensor('float32', new Float32Array(256), [2, 1, 128]);
  const values: number[] = [];
  for (const window of audioWindows(recording, preparation, input)) {
    const results = await session.run({ input: new ort.Tensor('float32', window, [1, WINDOW]), sr, state });
    values.push((results['output']!.data as Float32Array)[0]!);
    state = results['stateN'] as typeof state;
  }
  return values;
}

describe('silero-vad on gna:3.0', needsShared('models/silero-vad-ifless.onnx'), () => {
  for (const name of ['marvin', 'short_wav_easy10s'])
    it(`decides every window of ${name} as the float network does, all products on the device`, async () => {
      const model = shared('models/silero-vad-ifless.onnx')!;
      const recording = shared(`models/samples/${name}.wav`)!;
      const io = collected();
      const args = ['run', model, '--input', recording, '--device', 'gna0', '--json'];
      assert.equal(await cli(args, io), 0, io.stderr);
      const { results, placement } = JSON.parse(io.stdout) as {
        results: { sequence: { series: { output: number[] } } }[];
        placement: { share: number };
      };
      const decided = (values: number[]): boolean[] => values.map((value) => value > THRESHOLD);
      const { output } = results[0]!.sequence.series;
      assert.deepEqual(decided(output), decided(await reference(model, recording)));
      assert.ok(decided(output).includes(true) && decided(output).includes(false));
      assert.equal(placement.share, 1);
    });
});
