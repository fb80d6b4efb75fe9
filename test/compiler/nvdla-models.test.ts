// Quantised models compiled for NVDLA, run through driver and model, against the outputs that came with them.
// Not the runtime: host nodes run on the reference evaluator.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { evaluate } from '../../src/compiler/ir/evaluate/index.js';
import { compileNvdla, importOnnx, optimize, type TypedArray } from '../../src/compiler/index.js';
import { openSystem } from '../../src/node/system.js';
import { caseInputs, modelFile, models, readTensor } from '../support/models.js';
import { runSegment } from '../support/nvdla-segment.js';
import { needsShared } from '../support/shared.js';

describe('quantised models on NVDLA', needsShared('models/models.json'), () => {
  for (const model of models().filter(({ name }) => name.endsWith('int8-qdq')))
    for (const config of ['nv_small', 'nv_large'] as const)
      it(`${model.name} has every multiplication on ${config}, and every output byte right`, async () => {
        const graph = optimize(importOnnx(modelFile(model.file)));
        const program = compileNvdla(graph, { config });
        for (const { macs, device, node, reason } of program.placement)
          assert.ok(macs === 0 || device === 'nvdla', `${node}: ${reason}`);
        using system = openSystem({ devices: [`nvdla:${config}`] });
        const file = system.open();
        for (const oneCase of model.cases) {
          const tensors = new Map<string, TypedArray>(Object.entries(caseInputs(oneCase)));
          for (const segment of program.segments) {
            if (segment.kind === 'host') {
              const inputs = Object.fromEntries(
                segment.graph.inputs.map(({ name }) => [name, tensors.get(name)!]),
              );
              for (const [name, { data }] of Object.entries(evaluate(segment.graph, inputs)))
                tensors.set(name, data);
              continue;
            }
            assert.ok(segment.kind === 'nvdla');
            const results = await runSegment(file, segment, tensors as Map<string, Int8Array>);
            for (const [name, data] of results) {
              const binding = segment.outputs.find((output) => output.tensor.name === name)!;
              const { scale, zeroPoint } = binding.quantization!;
              const real = binding.tensor.type === 'float32';
              tensors.set(name, real ? Float32Array.from(data, (q) => (q - zeroPoint) * scale) : data);
            }
          }
          for (const [name, tensor] of Object.entries(oneCase.outputs))
            assert.deepEqual(tensors.get(name), readTensor(tensor), `${oneCase.name}: ${name}`);
        }
        await file.close();
      });
});
