// What quantisation costs on data: 500 test digits through the whole path, against what the float model gets right.
// Not a benchmark.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Session } from '../../src/node/cli/session.js';
import { MODELS_FOLDER } from '../../src/node/input/sidecar.js';
import { needsShared, shared } from '../support/shared.js';
import { collected } from '../testing/io.js';

/** Of 500, by the float model. */
const FLOAT_RIGHT = 496;
const PIXELS = 28 * 28;

describe('mnist-8, calibrated with nine digits', needsShared('models/io/mnist-digits-500.u8.bin'), () => {
  for (const device of ['nvdla:nv_small', 'nvdla:nv_large'])
    it(`is at most one percent worse than in floats on ${device}`, async () => {
      const digits = readFileSync(shared('models/io/mnist-digits-500.u8.bin')!);
      const labels = readFileSync(shared('models/io/mnist-digits-500.labels.bin')!);
      const io = collected();
      await using session = await Session.open({ model: join(MODELS_FOLDER, 'mnist-8.onnx'), device }, io);
      assert.equal(session.graph.placement().share, 1);
      let right = 0;
      for (let i = 0; i < labels.length; i++) {
        const Input3 = Float32Array.from(digits.subarray(i * PIXELS, (i + 1) * PIXELS));
        const { outputs } = await session.infer({ Input3 });
        const scores = outputs['Plus214_Output_0'] as Float32Array;
        if (scores.indexOf(Math.max(...scores)) === labels[i]) right++;
      }
      assert.equal(labels.length, 500);
      assert.ok(right >= FLOAT_RIGHT - 5, `${right} of 500 are right`);
    });
});
