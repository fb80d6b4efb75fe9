// Models of ../shared on GNA: which part of the work is on the device, and how near results are.
// Not recordings with state: runtime/silero.slow.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadOnnx } from '../../src/runtime/index.js';
import { gnaGenerations, infer, onGna, snr } from '../support/gna-graph.js';
import { caseInputs, modelFile, models, readTensor } from '../support/models.js';
import { needsShared } from '../support/shared.js';

/** Of the whole model's multiply-accumulates all, and in dB what results keep of the float reference. */
const floats: Readonly<Record<string, number>> = {
  'ad-autoencoder-fp32': 60,
  'mnist-8': 70,
  'kws-dscnn-fp32': 60,
};
const bytes = ['ad-autoencoder-int8-qdq', 'sww-dscnn1d-int8-qdq'];

describe('models on GNA', needsShared('models/models.json'), () => {
  for (const generation of gnaGenerations)
    for (const name of [...Object.keys(floats), ...bytes])
      it(`${generation}: ${name}, all multiply-accumulates on the device`, async () => {
        const model = models().find((each) => each.name === name)!;
        await onGna(generation, async (context) => {
          const calibration = () =>
            model.cases.map((each) => caseInputs(each) as Record<string, Float32Array>);
          const graph = await loadOnnx(context, modelFile(model.file), { name, calibration });
          assert.equal(graph.placement().share, 1);
          for (const each of model.cases) {
            const got = await infer(context, graph, caseInputs(each) as Record<string, Float32Array>);
            for (const [output, tensor] of Object.entries(each.outputs)) {
              const wanted = readTensor(tensor) as Float32Array;
              if (bytes.includes(name)) assert.deepEqual(got[output], wanted);
              else {
                const ratio = snr(got[output] as Float32Array, wanted);
                assert.ok(ratio > floats[name]!, `${each.name}: ${ratio} dB`);
              }
            }
          }
        });
      });
});
