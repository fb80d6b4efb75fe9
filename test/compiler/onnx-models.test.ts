// The model files of ../shared: import, shapes, and the reference evaluator's results against the recorded ones.
// Not the passes: graphs run here as the files have them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { evaluate, importOnnx, type ImportOptions } from '../../src/compiler/index.js';
import { caseInputs, type Model, modelFile, models, readTensor, worstDifference } from '../support/models.js';
import { needsShared } from '../support/shared.js';

/** What must be known beforehand: silero's window and rate. */
function bindings(model: Model): ImportOptions {
  if (!model.name.startsWith('silero')) return {};
  return { dimensions: { sequence: 576 }, constants: { sr: BigInt64Array.of(16000n) } };
}

describe('ONNX models', needsShared('models/models.json'), () => {
  for (const model of models()) {
    it(`${model.name}: every value has a shape, the outputs have the recorded ones`, () => {
      const graph = importOnnx(modelFile(model.file), bindings(model));
      for (const value of graph.values()) assert.notEqual(value.shape, undefined, value.name);
      const shapes = Object.fromEntries(
        graph.outputs.map((value) => [value.name, { type: value.type, shape: [...value.shape!] }]),
      );
      for (const { name, type, shape } of model.outputs) {
        assert.equal(shapes[name]?.type, type);
        assert.deepEqual(
          shapes[name].shape,
          shape.map((dim) => (typeof dim === 'number' ? dim : 1)),
        );
      }
    });
    for (const test of model.cases) {
      const exact = test.tolerance.lsb !== undefined;
      it(`${model.name}, ${test.name}: the evaluator gives the recorded output${exact ? ' byte for byte' : ''}`, () => {
        const graph = importOnnx(modelFile(model.file), bindings(model));
        const results = evaluate(graph, caseInputs(test));
        for (const [name, tensor] of Object.entries(test.outputs)) {
          const worst = worstDifference(results[name]!.data, readTensor(tensor));
          assert.ok(worst <= (test.tolerance.abs ?? 0), `${name} is off by ${worst}`);
        }
      });
    }
  }

  it('imports the largest topology without making its 575 MB of weights', () => {
    const before = process.memoryUsage().rss;
    const graph = importOnnx(modelFile('topology-vgg19.onnx'));
    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < 200e6, `resident memory grew by ${grown} bytes`);
    const weights = [...graph.values()].filter((value) => (value.data?.length ?? 0) > 1e6);
    assert.ok(weights.length > 0);
    for (const value of weights) assert.notEqual(value.data!.fill, undefined, value.name);
  });

  it('carries unknown operators along and names all of them when they must run', () => {
    const graph = importOnnx(modelFile('superres-with-custom-ops.onnx'));
    assert.equal(graph.nodes.filter((node) => node.op === 'Opaque').length, 2);
    assert.throws(() => evaluate(graph, { image: new Uint8Array(1) }), {
      code: 'EOPNOTSUPP',
      message: /com\.microsoft\.extensions::DecodeImage, com\.microsoft\.extensions::EncodeImage/,
    });
  });

  it('refuses an If whose condition is not known, by name', () => {
    const graph = importOnnx(modelFile('silero-vad-ifless.onnx'), { dimensions: { sequence: 576 } });
    assert.throws(() => evaluate(graph, {}), /operator is not known: If/);
  });

  it('names the symbolic dimension whose size it must be given', () => {
    assert.throws(() => importOnnx(modelFile('silero-vad-ifless.onnx')), /"sequence".*symbolic/);
  });
});
