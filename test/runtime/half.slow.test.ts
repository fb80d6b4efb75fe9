// Float models of the index in fp16 on nv_full, against what ONNX Runtime gave in fp32; faces in fp16 and int8.
// Not bit by bit: fp16 has eleven bits.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { evaluate } from '../../src/compiler/ir/index.js';
import { importOnnx, quantize } from '../../src/compiler/index.js';
import { openSystem } from '../../src/node/system.js';
import {
  buildGraph,
  createContext,
  loadOnnx,
  type MLContext,
  type MLGraph,
} from '../../src/runtime/index.js';
import { createHost } from '../../src/node/host/index.js';
import { caseInputs, modelFile, models, readTensor, top1 } from '../support/models.js';
import { needsShared } from '../support/shared.js';

async function withContext(target: string, use: (context: MLContext) => Promise<void>): Promise<void> {
  const system = openSystem({ devices: [target] });
  using _ = system;
  const host = await createHost();
  const context = await createContext({
    file: system.open(),
    target,
    owns: true,
    clock: system.clock,
    ...(host === undefined ? {} : { host }),
  });
  try {
    await use(context);
  } finally {
    await context.destroy();
  }
}

async function infer(
  context: MLContext,
  graph: MLGraph,
  inputs: ReturnType<typeof caseInputs>,
): Promise<Record<string, Float32Array>> {
  const given: Record<string, Awaited<ReturnType<MLContext['createTensor']>>> = {};
  const made: typeof given = {};
  for (const [name, { dataType, shape }] of Object.entries(graph.inputs)) {
    given[name] = await context.createTensor({ dataType, shape, writable: true });
    context.writeTensor(given[name], inputs[name] as Float32Array<ArrayBuffer>);
  }
  for (const [name, { dataType, shape }] of Object.entries(graph.outputs))
    made[name] = await context.createTensor({ dataType, shape, readable: true });
  await context.dispatch(graph, given, made);
  const results: Record<string, Float32Array> = {};
  for (const [name, tensor] of Object.entries(made))
    results[name] = new Float32Array(await context.readTensor(tensor));
  return results;
}

/** One case each: fp16 convolutions are modelled bit by bit, which takes time. */
describe('float models in fp16 on nv_full', needsShared('models/models.json'), () => {
  for (const name of [
    'mnist-8',
    'resnet8-cifar10-fp32',
    'vww-mobilenet-fp32',
    'kws-dscnn-fp32',
    'ad-autoencoder-fp32',
  ])
    it(`${name}: within one percent of the range, the same class first`, async () => {
      const model = models().find((one) => one.file === `${name}.onnx`)!;
      await withContext('nvdla:nv_full', async (context) => {
        const graph = await loadOnnx(context, modelFile(model.file));
        assert.equal(graph.placement().share, 1);
        const first = model.cases[0]!;
        const results = await infer(context, graph, caseInputs(first));
        for (const [output, tensor] of Object.entries(first.outputs)) {
          const want = readTensor(tensor) as Float32Array;
          const range = Math.max(...want) - Math.min(...want);
          const worst = want.reduce((most, x, i) => Math.max(most, Math.abs(x - results[output]![i]!)), 0);
          assert.ok(worst <= range / 100, `${worst} of ${range}`);
          assert.equal(top1(results[output]!), top1(want));
        }
      });
    });
});

/** The box with the best score, as x1, y1, x2, y2. */
function bestBox({ scores, boxes }: Record<string, ArrayLike<number>>): number[] {
  let best = 0;
  for (let i = 0; 2 * i < scores!.length; i++) if (scores![2 * i + 1]! > scores![2 * best + 1]!) best = i;
  assert.ok(scores![2 * best + 1]! > 0.9);
  return [0, 1, 2, 3].map((i) => boxes![4 * best + i]!);
}

function overlap(a: readonly number[], b: readonly number[]): number {
  const area = ([x1, y1, x2, y2]: readonly number[]): number => (x2! - x1!) * (y2! - y1!);
  const common = [
    Math.max(a[0]!, b[0]!),
    Math.max(a[1]!, b[1]!),
    Math.min(a[2]!, b[2]!),
    Math.min(a[3]!, b[3]!),
  ];
  return area(common) / (area(a) + area(b) - area(common));
}

describe('ultraface-rfb-320 in fp16 on nv_full', needsShared('models/models.json'), () => {
  it('finds the face where the fp32 network does', async () => {
    const model = models().find(({ file }) => file === 'ultraface-rfb-320.onnx')!;
    const inputs = caseInputs(model.cases[0]!) as Record<string, Float32Array>;
    await withContext('nvdla:nv_full', async (context) => {
      const built = await loadOnnx(context, modelFile(model.file));
      assert.equal(built.placement().share, 1);
      const found = bestBox(await infer(context, built, inputs));
      assert.ok(overlap(found, [0.351, 0.12, 0.523, 0.339]) >= 0.9, found.join());
      const meant = Object.entries(evaluate(importOnnx(modelFile(model.file)), inputs));
      const box = bestBox(Object.fromEntries(meant.map(([name, { data }]) => [name, data as Float32Array])));
      assert.ok(overlap(found, box) >= 0.97, `${found.join()} for ${box.join()}`);
    });
  });
});

describe('ultraface-rfb-320 in int8 on nv_large', needsShared('models/models.json'), () => {
  it('finds the face, all convolutions on the device, Softmax and Exp on the host', async () => {
    const model = models().find(({ file }) => file === 'ultraface-rfb-320.onnx')!;
    const inputs = caseInputs(model.cases[0]!) as Record<string, Float32Array>;
    const graph = quantize(importOnnx(modelFile(model.file)), [inputs]);
    await withContext('nvdla:nv_large', async (context) => {
      const built = await buildGraph(context, graph, {});
      const { share, operators } = built.placement();
      assert.equal(share, 1);
      const onHost = operators.filter(({ device }) => device === 'host');
      assert.ok(['Softmax', 'Exp'].every((name) => onHost.some(({ operator }) => operator === name)));
      assert.ok(onHost.every(({ reason }) => reason !== ''));
      const found = bestBox(await infer(context, built, inputs));
      assert.ok(overlap(found, [0.351, 0.12, 0.523, 0.339]) >= 0.9, found.join());
      const meant = Object.entries(evaluate(graph, inputs)).map(([name, { data }]) => [name, data]);
      assert.ok(overlap(found, bestBox(Object.fromEntries(meant) as Record<string, Float32Array>)) >= 0.97);
    });
  });
});
