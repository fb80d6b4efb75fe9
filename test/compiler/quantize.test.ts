// Post-training quantisation: accuracy on the float models of ../shared, and the form of the result.
// Not the integer operators themselves: see passes-models.test.ts, where recorded bytes judge them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  evaluate,
  type Graph,
  GraphBuilder,
  importOnnx,
  quantize,
  type QuantizeOptions,
} from '../../src/compiler/index.js';
import { caseInputs, modelFile, models, top1 } from '../support/models.js';
import { needsShared } from '../support/shared.js';

/** Digit `i` of io/mnist-digits-500 as the model takes it. */
function digit(pixels: Uint8Array, i: number): { Input3: Float32Array } {
  return { Input3: Float32Array.from(pixels.subarray(i * 784, (i + 1) * 784)) };
}

function smallNetwork(): Graph {
  const b = new GraphBuilder();
  const x = b.input('x', 'float32', [1, 1, 4, 4]);
  const weights = b.constant(
    'float32',
    [2, 1, 3, 3],
    Float32Array.from({ length: 18 }, (_, i) => (i - 9) / 9),
  );
  const bias = b.constant('float32', [2], Float32Array.of(0.5, -0.25));
  b.output(b.add('Relu', [b.add('Conv', [x, weights, bias], { pads: [1, 1, 1, 1] })]), 'y');
  return b.finish();
}

const ramp = { x: Float32Array.from({ length: 16 }, (_, i) => i / 8 - 1) };

const variants: QuantizeOptions[] = [
  { activations: 'symmetric', range: 'mse' },
  { activations: 'symmetric', range: 'min-max' },
  { activations: 'asymmetric', range: { percentile: 0.9999 } },
];

describe('post-training quantisation', () => {
  for (const options of variants) {
    const title = `${options.activations}, ${JSON.stringify(options.range)}`;
    it(
      `mnist-8, ${title}: at least 490 of 500 digits after calibration on 20`,
      needsShared('models/io'),
      () => {
        const pixels = modelFile('io/mnist-digits-500.u8.bin');
        const labels = modelFile('io/mnist-digits-500.labels.bin');
        const calibration = Array.from({ length: 20 }, (_, i) => digit(pixels, i * 25));
        const graph = quantize(importOnnx(modelFile('mnist-8.onnx')), calibration, options);
        let right = 0;
        for (let i = 0; i < 500; i++) {
          const { Plus214_Output_0: scores } = evaluate(graph, digit(pixels, i));
          if (top1(scores!.data) === labels[i]) right++;
        }
        assert.ok(right >= 490, `${right} of 500`);
      },
    );
    for (const name of ['resnet8-cifar10-fp32', 'vww-mobilenet-fp32', 'kws-dscnn-fp32']) {
      it(`${name}, ${title}: every case keeps its class`, needsShared('models/models.json'), () => {
        const model = models().find((entry) => entry.name === name)!;
        const inputs = model.cases.map(caseInputs);
        const graph = quantize(importOnnx(modelFile(model.file)), inputs, options);
        model.cases.forEach((test, i) => {
          const output = Object.values(evaluate(graph, inputs[i]!))[0]!;
          assert.equal(top1(output.data), test.top1, test.name);
        });
      });
    }
  }

  it(
    'puts every convolution of a detector on integers, and leaves its box arithmetic in float',
    needsShared('models'),
    () => {
      const model = models().find((entry) => entry.name === 'ultraface-rfb-320')!;
      const graph = quantize(importOnnx(modelFile(model.file)), model.cases.map(caseInputs));
      const convolutions = graph.nodes.filter((node) => node.op === 'Conv');
      assert.equal(convolutions.length, 52);
      assert.ok(convolutions.every((node) => node.outputs[0]!.type === 'int8'));
      assert.equal(graph.nodes.find((node) => node.op === 'Exp')!.outputs[0]!.type, 'float32');
    },
  );

  it('keeps names and types of inputs and outputs', () => {
    const graph = quantize(smallNetwork(), [ramp]);
    assert.deepEqual(
      graph.inputs.map(({ name, type }) => [name, type]),
      [['x', 'float32']],
    );
    assert.deepEqual(
      graph.outputs.map(({ name, type }) => [name, type]),
      [['y', 'float32']],
    );
  });

  it('gives a convolution int8 weights per channel with zero point 0 and an int32 bias', () => {
    const conv = quantize(smallNetwork(), [ramp]).nodes.find((node) => node.op === 'Conv')!;
    const [x, weights, bias] = conv.inputs;
    assert.deepEqual(
      [x!.type, weights!.type, bias!.type, conv.outputs[0]!.type],
      ['int8', 'int8', 'int32', 'int8'],
    );
    assert.equal(weights!.quantization!.scale.length, 2);
    assert.equal(weights!.quantization!.axis, 0);
    assert.deepEqual([...weights!.quantization!.zeroPoint], [0, 0]);
    assert.deepEqual(conv.activation, { op: 'Relu' });
  });

  it('uses zero point 0 for symmetric activations, and the whole of int8 for asymmetric ones', () => {
    const symmetric = quantize(smallNetwork(), [ramp]).nodes.find((node) => node.op === 'Conv')!;
    assert.equal(symmetric.outputs[0]!.quantization!.zeroPoint[0], 0);
    const asymmetric = quantize(smallNetwork(), [ramp], { activations: 'asymmetric', range: 'min-max' });
    assert.equal(
      asymmetric.nodes.find((node) => node.op === 'Conv')!.outputs[0]!.quantization!.zeroPoint[0],
      -128,
    );
  });

  it('leaves named nodes in float', () => {
    const graph = smallNetwork();
    const name = graph.nodes[0]!.name;
    const kept = quantize(graph, [ramp], { keepFloat: [name] });
    assert.equal(kept.nodes.find((node) => node.op === 'Conv')!.outputs[0]!.type, 'float32');
  });

  it('asks for calibration data instead of guessing', () => {
    assert.throws(() => quantize(smallNetwork(), []), { code: 'EINVAL', message: /calibration data/ });
  });

  it('refuses calibration data that gives no finite range', () => {
    assert.throws(
      () => quantize(smallNetwork(), [{ x: new Float32Array(16).fill(Infinity) }]),
      /finite range/,
    );
  });

  it('refuses a graph that is quantised already', () => {
    const graph = quantize(smallNetwork(), [ramp]);
    assert.throws(() => quantize(graph, [ramp]), { code: 'EINVAL', message: /quantised already/ });
  });
});
