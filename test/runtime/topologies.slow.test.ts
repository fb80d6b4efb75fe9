// Networks of the last decade on NVDLA: what runs where, in how much memory, and the same results as the integer semantics say.
// Not accuracy: their weights are constants or random numbers, not trained.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compile, elementCount, importOnnx, optimize, quantize } from '../../src/compiler/index.js';
import { evaluate, type Graph, type Value } from '../../src/compiler/ir/index.js';
import { buildGraph, createContext } from '../../src/runtime/index.js';
import { openSystem } from '../../src/node/system.js';
import { modelFile } from '../support/models.js';
import { generator, randomise } from '../support/random-network.js';
import { needsShared } from '../support/shared.js';

const networks = [
  'bvlc_alexnet',
  'densenet121',
  'inception_v1',
  'inception_v2',
  'resnet50',
  'shufflenet',
  'squeezenet',
  'vgg19',
  'zfnet512',
] as const;

/** Of the process, while the network is quantised, compiled and run; vgg19 has 144 million weights. */
const MEMORY_MIB = 1536;

function inputOf(graph: Graph): Value {
  return graph.inputs.find((value) => value.data === undefined)!;
}

interface Prepared {
  readonly graph: Graph;
  readonly input: Float32Array;
}

/** Quantised, without the Softmax at the end: it makes all differences small. */
function prepare(network: string, random = false): Prepared {
  const next = generator();
  const graph = importOnnx(modelFile(`topology-${network}.onnx`));
  optimize(graph);
  if (random) randomise(graph, next);
  const softmax = graph.nodes.find((node) => node.op === 'Softmax');
  if (softmax !== undefined) {
    graph.outputs = [softmax.inputs[0]!];
    graph.nodes = graph.nodes.filter((node) => node !== softmax);
  }
  const value = inputOf(graph);
  const input = Float32Array.from({ length: elementCount(value.shape!) }, next);
  quantize(graph, [{ [value.name]: input }], { range: 'min-max' });
  return { graph, input };
}

/** The most by which the device differs from the integer semantics, in steps of the output. */
async function worstSteps({ graph, input }: Prepared, target: string): Promise<number> {
  const { name, shape } = inputOf(graph);
  const expected = Object.values(evaluate(graph, { [name]: input }))[0]!.data as Float32Array;
  const system = openSystem({ devices: [target] });
  using _ = system;
  const context = await createContext({ file: system.open(), target, owns: true, clock: system.clock });
  try {
    const built = await buildGraph(context, graph, { fallback: 'forbid' });
    const given = await context.createTensor({ dataType: 'float32', shape: shape!, writable: true });
    context.writeTensor(given, input as Float32Array<ArrayBuffer>);
    const [output, { dataType, shape: size }] = Object.entries(built.outputs)[0]!;
    const made = await context.createTensor({ dataType, shape: size, readable: true });
    await context.dispatch(built, { [name]: given }, { [output]: made });
    const got = new Float32Array(await context.readTensor(made));
    const last = built.compiled.segments.at(-1)!;
    assert.ok(last.kind === 'nvdla');
    const { scale } = last.outputs[0]!.quantization!;
    assert.equal(got.length, expected.length);
    return got.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i]!) / scale), 0);
  } finally {
    await context.destroy();
  }
}

describe('networks of the last decade', needsShared('models/topology-vgg19.onnx'), () => {
  for (const network of networks)
    it(`${network} is placed whole on nv_small, nv_large and nv_full, and runs with its constants`, async () => {
      const prepared = prepare(network);
      for (const config of ['nv_small', 'nv_large', 'nv_full']) {
        const { placement } = compile(prepared.graph, `nvdla:${config}`);
        assert.deepEqual(
          placement.filter(({ device }) => device === 'host'),
          [],
          config,
        );
      }
      assert.ok((await worstSteps(prepared, 'nvdla:nv_large')) <= 2.001);
      assert.ok(process.memoryUsage.rss() < MEMORY_MIB * 2 ** 20);
    });

  for (const target of ['nvdla:nv_small', 'nvdla:nv_full'])
    it(`squeezenet with random weights comes out to the step on ${target}`, async () => {
      assert.equal(await worstSteps(prepare('squeezenet', true), target), 0);
    });

  it('tables of LRN, sums and ties leave others within three steps', async () => {
    for (const [network, target] of [
      ['inception_v1', 'nvdla:nv_small'],
      ['shufflenet', 'nvdla:nv_large'],
      ['densenet121', 'nvdla:nv_large'],
    ] as const)
      assert.ok((await worstSteps(prepare(network, true), target)) <= 3.001, network);
  });
});
