// Networks of the last decade in fp16 on nv_full, with random weights, against the same networks in fp32.
// Not bit by bit, and not accuracy: fp16 has eleven bits, and the weights are not trained. Faces are: their weights are.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { elementCount, evaluate, importOnnx, optimize } from '../../src/compiler/index.js';
import { openSystem } from '../../src/node/system.js';
import { buildGraph, createContext } from '../../src/runtime/index.js';
import { modelFile } from '../support/models.js';
import { needsShared } from '../support/shared.js';
import { generator, randomise } from '../support/random-network.js';

/** Half of them: the data path is modelled bit by bit, a network takes up to minutes. VGG-19 has 19.6 G MACs. */
const networks = [
  { network: 'squeezenet', gain: 1 },
  { network: 'shufflenet', gain: 1 },
  { network: 'densenet121', gain: 1 },
  // With weights of the usual size its sums grow beyond what a half can hold.
  { network: 'resnet50', gain: 0.3 },
] as const;

/** The most by which an output may differ, of the range of all outputs. */
const TOLERANCE = 0.01;

async function onDevice(
  { network, gain }: (typeof networks)[number],
  input: Float32Array<ArrayBuffer>,
): Promise<{ got: Float32Array; expected: Float32Array }> {
  const next = generator();
  const graph = importOnnx(modelFile(`topology-${network}.onnx`));
  optimize(graph);
  randomise(graph, () => gain * next());
  // Without the Softmax at the end: it makes all differences small.
  const softmax = graph.nodes.find((node) => node.op === 'Softmax');
  if (softmax !== undefined) {
    graph.outputs = [softmax.inputs[0]!];
    graph.nodes = graph.nodes.filter((node) => node !== softmax);
  }
  const { name, shape } = graph.inputs.find((value) => value.data === undefined)!;
  const data = input.subarray(0, elementCount(shape!));
  for (let i = 0; i < data.length; i++) data[i] = next();
  const expected = Object.values(evaluate(graph, { [name]: data }))[0]!.data as Float32Array;
  const target = 'nvdla:nv_full';
  const system = openSystem({ devices: [target] });
  using _ = system;
  const context = await createContext({ file: system.open(), target, owns: true, clock: system.clock });
  try {
    const built = await buildGraph(context, graph, { fallback: 'forbid' });
    const layers = built.compiled.segments.flatMap((part) => (part.kind === 'host' ? [] : part.layers));
    assert.ok(layers.every(({ precision }) => precision === 'fp16'));
    const given = await context.createTensor({ dataType: 'float32', shape: shape!, writable: true });
    context.writeTensor(given, data);
    const [output, { dataType, shape: size }] = Object.entries(built.outputs)[0]!;
    const made = await context.createTensor({ dataType, shape: size, readable: true });
    await context.dispatch(built, { [name]: given }, { [output]: made });
    return { got: new Float32Array(await context.readTensor(made)), expected };
  } finally {
    await context.destroy();
  }
}

describe('networks of the last decade in fp16', needsShared('models/topology-resnet50.onnx'), () => {
  for (const one of networks)
    it(`${one.network} with random weights: within one percent of the range of the fp32 results, the same class first`, async (context) => {
      const { got, expected } = await onDevice(one, new Float32Array(3 * 224 * 224));
      assert.equal(got.length, expected.length);
      const range = Math.max(...expected) - Math.min(...expected);
      const worst = got.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
      context.diagnostic(`${one.network}: ${((worst / range) * 100).toFixed(3)} % of the range`);
      assert.ok(range > 0 && worst <= TOLERANCE * range, `${worst} of ${range}`);
      assert.equal(got.indexOf(Math.max(...got)), expected.indexOf(Math.max(...expected)));
    });
});
