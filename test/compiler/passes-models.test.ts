// The default passes on the model files of ../shared: same results, fewer nodes, integer operators where QDQ was.
// Not each pass alone: see passes.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { evaluate, type Graph, importOnnx, type ImportOptions, optimize } from '../../src/compiler/index.js';
import { caseInputs, type Model, modelFile, models, readTensor, worstDifference } from '../support/models.js';
import { needsShared } from '../support/shared.js';

function load(model: Model): Graph {
  const options: ImportOptions = model.name.startsWith('silero')
    ? { dimensions: { sequence: 576 }, constants: { sr: BigInt64Array.of(16000n) } }
    : {};
  return optimize(importOnnx(modelFile(model.file), options));
}

/** How many nodes of each operator a graph has. */
function operators(graph: Graph): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const node of graph.nodes) counts[node.op] = (counts[node.op] ?? 0) + 1;
  return counts;
}

/** What is left of each network, by design: a change here is a change for every target. */
const expected: Record<string, Record<string, number>> = {
  'mnist-8': { Conv: 2, MaxPool: 2, Reshape: 1, Gemm: 1 },
  'resnet8-cifar10-fp32': { Transpose: 1, Conv: 9, Add: 3, AveragePool: 1, Reshape: 1, Gemm: 1, Softmax: 1 },
  'resnet8-cifar10-int8-qdq': {
    Transpose: 1,
    Conv: 9,
    Add: 3,
    AveragePool: 1,
    Reshape: 1,
    Gemm: 1,
    DequantizeLinear: 1,
    Softmax: 1,
    QuantizeLinear: 1,
  },
  'ad-autoencoder-int8-qdq': { Gemm: 10 },
  'topology-resnet50': { Conv: 53, MaxPool: 1, Add: 16, AveragePool: 1, Reshape: 1, Gemm: 1, Softmax: 1 },
  'topology-inception_v2': {
    Conv: 69,
    MaxPool: 5,
    AveragePool: 8,
    Concat: 10,
    Reshape: 1,
    Gemm: 1,
    Softmax: 1,
  },
};

describe('default passes', needsShared('models/models.json'), () => {
  for (const model of models()) {
    for (const test of model.cases) {
      const exact = test.tolerance.lsb !== undefined;
      it(`${model.name}, ${test.name}: the optimised graph gives the recorded output${exact ? ' in integers, byte for byte' : ''}`, () => {
        const results = evaluate(load(model), caseInputs(test));
        for (const [name, tensor] of Object.entries(test.outputs)) {
          const worst = worstDifference(results[name]!.data, readTensor(tensor));
          assert.ok(worst <= (test.tolerance.abs ?? 0), `${name} is off by ${worst}`);
        }
      });
    }
  }

  for (const [name, counts] of Object.entries(expected)) {
    it(`${name}: what remains is ${Object.entries(counts)
      .map(([op, n]) => `${n} ${op}`)
      .join(', ')}`, () => {
      const model = models().find((entry) => entry.name === name)!;
      assert.deepEqual(operators(load(model)), counts);
    });
  }

  it('leaves no float value between the layers of a QDQ network', () => {
    for (const model of models().filter((entry) => entry.name.endsWith('-qdq'))) {
      for (const node of load(model).nodes) {
        if (['Softmax', 'DequantizeLinear', 'QuantizeLinear'].includes(node.op)) continue;
        for (const value of node.outputs) {
          assert.equal(value.type, 'int8', `${model.name} ${value.name}`);
          assert.notEqual(value.quantization, undefined, `${model.name} ${value.name}`);
        }
      }
    }
  });

  it('keeps repeated weights unmade through batch-norm folding', () => {
    const graph = load(models().find((entry) => entry.name === 'topology-densenet121')!);
    const large = [...graph.values()].filter((value) => (value.data?.length ?? 0) > 10_000);
    assert.ok(large.length > 100);
    for (const value of large) assert.notEqual(value.data!.fill, undefined, value.name);
  });

  it('fuses every activation of the MLPerf Tiny networks into the layer before it', () => {
    const graph = load(models().find((entry) => entry.name === 'vww-mobilenet-int8-qdq')!);
    const convolutions = graph.nodes.filter((node) => node.op === 'Conv');
    assert.ok(convolutions.every((node) => node.activation?.op === 'Relu'));
  });
});
