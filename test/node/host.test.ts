// ONNX Runtime as the host: graphs written for it give what the exact evaluator gives.
// Not a test of ONNX Runtime. Skipped where the optional package is not installed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { AccelError } from '../../src/base/index.js';
import {
  evaluate,
  type Graph,
  GraphBuilder,
  importOnnx,
  type Node,
  optimize,
  type TypedArray,
  type Value,
} from '../../src/compiler/index.js';
import { createHost } from '../../src/node/host/index.js';
import { OPSET, unwritable, writeOnnx } from '../../src/node/host/onnx-writer.js';
import { loadInput } from '../../src/node/input/load.js';
import { MODELS_FOLDER, sidecarFor } from '../../src/node/input/sidecar.js';
import { openSystem } from '../../src/node/index.js';
import { createContext, loadOnnx } from '../../src/runtime/index.js';

const host = await createHost();
const needsOrt = { skip: host === undefined ? 'onnxruntime-node is not installed' : false };
const modelPath = (name: string): string => join(MODELS_FOLDER, `${name}.onnx`);

function picture(name: string, dataType: string): TypedArray {
  return loadInput(
    join(MODELS_FOLDER, 'samples/chelsea.png'),
    { name: 'input', dataType, shape: [1, 32, 32, 3] },
    sidecarFor(modelPath(name)),
  );
}

async function onHost(graph: Graph, inputs: Record<string, TypedArray>): Promise<Map<string, TypedArray>> {
  const session = await host!.prepare(graph);
  const values = new Map(Object.entries(inputs));
  await session.run(values);
  await session[Symbol.asyncDispose]();
  return values;
}

function distance(a: TypedArray, b: TypedArray): number {
  assert.equal(a.length, b.length);
  return Math.max(...Array.from(b as Float32Array, (value, i) => Math.abs(Number(a[i]) - Number(value))));
}

describe('ONNX Runtime as host', needsOrt, () => {
  it('computes a quantised network within one step of the exact integers', async () => {
    const graph = optimize(importOnnx(readFileSync(modelPath('resnet8-cifar10-int8-qdq'))));
    const inputs = { input: picture('resnet8-cifar10-int8-qdq', 'int8') };
    const exact = evaluate(graph, inputs)['output']!.data;
    assert.ok(distance((await onHost(graph, inputs)).get('output')!, exact) <= 1);
  });

  it('computes a float network as the evaluator does', async () => {
    const graph = importOnnx(readFileSync(modelPath('resnet8-cifar10-fp32')));
    const inputs = { input: picture('resnet8-cifar10-fp32', 'float32') };
    const exact = evaluate(graph, inputs)['output']!.data;
    assert.ok(distance((await onHost(graph, inputs)).get('output')!, exact) < 1e-4);
  });

  const x = Float32Array.from({ length: 96 }, (_, i) => Math.sin(i) * 3);
  const cases: [string, (b: GraphBuilder, x: Value) => void][] = [
    [
      'grouped convolution with a fused bound',
      (b, input) => {
        const w = b.constant(
          'float32',
          [4, 3, 3, 3],
          Float32Array.from({ length: 108 }, (_, i) => Math.cos(i)),
        );
        const [y] = b.node('Conv', [input, w], { group: 2, pads: [1, 1, 1, 1], strides: [2, 1] });
        b.output(y!, 'y');
        b.finish().nodes[0]!.activation = { op: 'Clip', min: 0, max: 6 };
      },
    ],
    ['softmax along an inner axis', (b, input) => b.output(b.add('Softmax', [input], { axis: 1 }), 'y')],
    [
      'split with sizes, and concatenation in another order',
      (b, input) => {
        const [first, second] = b.node('Split', [input, b.ints([2, 4])], { axis: 1 }, { count: 2 });
        b.output(b.add('Concat', [second, first], { axis: 1 }), 'y');
      },
    ],
    [
      'slices with negative steps, padding and resizing',
      (b, input) => {
        const slice = b.add('Slice', [input, b.ints([-1]), b.ints([-100]), b.ints([3]), b.ints([-2])]);
        const pad = b.add('Pad', [slice, b.ints([0, 0, 1, 1, 0, 0, 0, 1])], { mode: 'reflect' });
        b.output(b.add('Resize', [pad, undefined, undefined, b.ints([1, 6, 8, 8])], { mode: 'linear' }), 'y');
      },
    ],
    [
      'a leaky activation behind a product of matrices',
      (b, input) => {
        const flat = b.add('Reshape', [input, b.ints([4, 24])]);
        const w = b.constant(
          'float32',
          [5, 24],
          Float32Array.from({ length: 120 }, (_, i) => (i % 7) - 3),
        );
        const y = b.add('Gemm', [flat, w], { transB: 1, alpha: 0.5 });
        b.output(b.add('LeakyRelu', [y], { alpha: 0.1 }), 'y');
      },
    ],
  ];
  for (const [what, build] of cases)
    it(`computes ${what} as the evaluator does`, async () => {
      const builder = new GraphBuilder('case');
      build(builder, builder.input('x', 'float32', [1, 6, 4, 4]));
      const graph = builder.finish();
      const exact = evaluate(graph, { x })['y']!.data;
      assert.ok(distance((await onHost(graph, { x })).get('y')!, exact) < 1e-4);
    });

  it('takes over what the device does not when it costs much, in a context', async () => {
    using system = openSystem({ devices: ['nvdla:nv_small'] });
    const context = await createContext({
      file: system.open(),
      target: 'nvdla:nv_small',
      owns: true,
      host: host!,
    });
    const bytes = readFileSync(modelPath('resnet8-cifar10-fp32'));
    const graph = await loadOnnx(context, bytes);
    assert.equal(graph.placement().share, 0);
    const input = await context.createTensor({ ...graph.inputs['input']!, writable: true });
    const output = await context.createTensor({ ...graph.outputs['output']!, readable: true });
    context.writeTensor(input, picture('resnet8-cifar10-fp32', 'float32') as Float32Array<ArrayBuffer>);
    await context.dispatch(graph, { input }, { output });
    const result = new Float32Array(await context.readTensor(output));
    assert.ok(Math.abs(result[3]! - 0.95741) < 1e-4);
    await context.destroy();
  });
});

describe('the ONNX writer', () => {
  it('writes files that the importer reads back as the same graph', () => {
    const graph = importOnnx(readFileSync(modelPath('resnet8-cifar10-fp32')));
    const again = importOnnx(writeOnnx(graph));
    assert.deepEqual(
      again.nodes.map(({ op, attributes, outputs }) => ({
        op,
        attributes,
        shapes: outputs.map(({ shape }) => shape),
      })),
      graph.nodes.map(({ op, attributes, outputs }) => ({
        op,
        attributes,
        shapes: outputs.map(({ shape }) => shape),
      })),
    );
    assert.ok(OPSET >= 21);
  });

  it('refuses operators it does not know and element types that hosts do not have', () => {
    const opaque: Node = {
      op: 'Opaque',
      name: 'n',
      domain: 'com.example',
      inputs: [],
      outputs: [{ name: 'y', type: 'float32', shape: [1] }],
      attributes: { operator: 'Magic', values: new Map() },
    };
    assert.match(unwritable(opaque)!, /not known/);
    assert.throws(
      () =>
        writeOnnx({
          ...new GraphBuilder(),
          name: '',
          inputs: [],
          outputs: [],
          nodes: [opaque],
        } as unknown as Graph),
      (error: unknown) => error instanceof AccelError && /com\.example::Magic/.test(error.message),
    );
    const builder = new GraphBuilder();
    const packed = builder.input('x', 'int4', [2]);
    builder.output(builder.add('Identity', [packed]));
    assert.match(unwritable(builder.finish().nodes[0]!)!, /type int4/);
  });
});
