// The ONNX importer on small files made here: opset differences, weights as views, and what broken files end in.
// Not whole networks: see onnx-models.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  CompileError,
  evaluate,
  importOnnx,
  type ImportOptions,
  type TypedArray,
} from '../../src/compiler/index.js';
import { modelFile } from '../support/models.js';
import {
  type AttributeSpec,
  type GraphSpec,
  type NodeSpec,
  onnxFile,
  type TensorSpec,
} from '../support/onnx-writer.js';
import { needsShared } from '../support/shared.js';

const ramp = (count: number) => Float32Array.from({ length: count }, (_, i) => i);

/** One node on x, with constant inputs behind it; returns y. */
function one(
  opset: number,
  op: string,
  shape: readonly number[],
  attributes: Record<string, AttributeSpec>,
  constants: readonly TensorSpec[] = [],
  x: TypedArray = ramp(shape.reduce((a, b) => a * b, 1)),
): { shape: readonly number[]; data: number[] } {
  const initializers = constants.map((tensor, i) => ({ name: `c${i}`, ...tensor }));
  const node: NodeSpec = {
    op,
    inputs: ['x', ...initializers.map(({ name }) => name)],
    outputs: ['y'],
    attributes,
  };
  const graph = importOnnx(
    onnxFile(opset, { nodes: [node], inputs: { x: shape }, outputs: ['y'], initializers }),
  );
  const { y } = evaluate(graph, { x });
  return { shape: y!.shape, data: Array.from(y!.data as Float32Array) };
}

const int64 = (...values: number[]): TensorSpec => ({ dims: [values.length], type: 7, ints: values });
const float = (...floats: number[]): TensorSpec => ({
  dims: floats.length === 1 ? [] : [floats.length],
  type: 1,
  floats,
});

describe('ONNX opsets', () => {
  const pairs: readonly [string, () => unknown, () => unknown][] = [
    [
      'Squeeze: axes, an attribute before 13',
      () => one(11, 'Squeeze', [1, 2, 1], { axes: [0] }),
      () => one(13, 'Squeeze', [1, 2, 1], {}, [int64(0)]),
    ],
    [
      'Unsqueeze: axes, an attribute before 13',
      () => one(11, 'Unsqueeze', [2, 3], { axes: [0, 2] }),
      () => one(13, 'Unsqueeze', [2, 3], {}, [int64(0, 2)]),
    ],
    [
      'ReduceSum: axes, an attribute before 13',
      () => one(11, 'ReduceSum', [2, 3], { axes: [1], keepdims: 0 }),
      () => one(13, 'ReduceSum', [2, 3], { keepdims: 0 }, [int64(1)]),
    ],
    [
      'ReduceMean: axes, an attribute before 18',
      () => one(13, 'ReduceMean', [2, 3], { axes: [0] }),
      () => one(18, 'ReduceMean', [2, 3], {}, [int64(0)]),
    ],
    [
      'Slice: starts and ends, attributes before 10',
      () => one(9, 'Slice', [4, 3], { starts: [1], ends: [3], axes: [0] }),
      () => one(10, 'Slice', [4, 3], {}, [int64(1), int64(3), int64(0)]),
    ],
    [
      'Pad: pads and value, attributes before 11',
      () => one(10, 'Pad', [1, 2], { pads: [0, 1, 0, 1], value: { float: 7 } }),
      () => one(11, 'Pad', [1, 2], {}, [int64(0, 1, 0, 1), float(7)]),
    ],
    [
      'Clip: bounds, attributes before 11',
      () => one(7, 'Clip', [6], { min: { float: 1 }, max: { float: 4 } }),
      () => one(11, 'Clip', [6], {}, [float(1), float(4)]),
    ],
    [
      'Dropout: ratio, an attribute before 12',
      () => one(7, 'Dropout', [3], { ratio: { float: 0.5 } }),
      () => one(13, 'Dropout', [3], {}, [float(0.5)]),
    ],
  ];
  for (const [title, before, after] of pairs)
    it(`${title}, gives what the input form gives`, () => assert.deepEqual(before(), after()));

  it('Upsample of opset 9 repeats pixels', () => {
    const result = one(9, 'Upsample', [1, 1, 1, 2], { mode: 'nearest' }, [float(1, 1, 2, 2)]);
    assert.deepEqual(result, { shape: [1, 1, 2, 4], data: [0, 0, 1, 1, 0, 0, 1, 1] });
  });

  it('Softmax before opset 13 normalises over everything from axis 1 on', () => {
    const result = one(8, 'Softmax', [1, 2, 2], {}, [], new Float32Array(4));
    assert.deepEqual(result, { shape: [1, 2, 2], data: [0.25, 0.25, 0.25, 0.25] });
  });

  it('Softmax from opset 13 on normalises over the last axis', () => {
    assert.deepEqual(one(13, 'Softmax', [1, 2, 2], {}, [], new Float32Array(4)).data, [0.5, 0.5, 0.5, 0.5]);
  });

  it('Slice with INT64_MAX as its end goes to the end', () => {
    const end: TensorSpec = {
      dims: [1],
      type: 7,
      raw: new Uint8Array(BigInt64Array.of(2n ** 63n - 1n).buffer),
    };
    assert.deepEqual(one(13, 'Slice', [4], {}, [int64(1), end]).data, [1, 2, 3]);
  });

  it('auto_pad SAME_UPPER puts the odd pixel at the end, SAME_LOWER at the beginning', () => {
    const weights: TensorSpec = { dims: [1, 1, 2], type: 1, floats: [1, 10] };
    assert.deepEqual(one(13, 'Conv', [1, 1, 3], { auto_pad: 'SAME_UPPER' }, [weights]).data, [10, 21, 2]);
    assert.deepEqual(one(13, 'Conv', [1, 1, 3], { auto_pad: 'SAME_LOWER' }, [weights]).data, [0, 10, 21]);
  });

  it('refuses opsets it does not know, by number', () => {
    assert.throws(() => one(6, 'Relu', [1], {}), { code: 'EOPNOTSUPP', message: /opset 6 is outside 7 to/ });
    assert.throws(() => one(99, 'Relu', [1], {}), { code: 'EOPNOTSUPP', message: /opset 99/ });
  });

  it('refuses training mode', () => {
    const channel = float(1, 1);
    assert.throws(
      () => one(14, 'BatchNormalization', [1, 2], { training_mode: 1 }, [channel, channel, channel, channel]),
      /BatchNormalization.*training mode/,
    );
  });
});

const relu: NodeSpec = { op: 'Relu', inputs: ['x'], outputs: ['y'] };

function load(graph: GraphSpec, options?: ImportOptions) {
  return importOnnx(onnxFile(13, graph), options);
}

describe('ONNX import', () => {
  it('leaves weights where they are in the file', () => {
    const raw = new Uint8Array(64).fill(1);
    const file = onnxFile(13, {
      nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
      inputs: { x: [64] },
      types: { x: 3 },
      outputs: ['y'],
      initializers: [{ name: 'w', dims: [64], type: 3, raw }],
    });
    const weights = importOnnx(file).nodes[0]!.inputs[1]!.data!.array();
    assert.equal(weights.buffer, file.buffer);
  });

  it('reads weights that are not aligned in the file', () => {
    for (let padding = 0; padding < 4; padding++) {
      const name = 'w'.repeat(padding + 1);
      const raw = new Uint8Array(Float32Array.of(1.5, -2).buffer);
      const graph = load({
        nodes: [{ op: 'Add', inputs: ['x', name], outputs: ['y'] }],
        inputs: { x: [2] },
        outputs: ['y'],
        initializers: [{ name, dims: [2], type: 1, raw }],
      });
      assert.deepEqual([...evaluate(graph, { x: Float32Array.of(0, 0) })['y']!.data], [1.5, -2]);
    }
  });

  it('says which file holds weights that lie outside', () => {
    const initializers: TensorSpec[] = [{ name: 'w', dims: [2], type: 1, external: 'model.data' }];
    assert.throws(() => load({ nodes: [relu], inputs: { x: [1] }, outputs: ['y'], initializers }), {
      code: 'EOPNOTSUPP',
      message: /"w".*model\.data/,
    });
  });

  it('binds a symbolic batch to 1 unless told otherwise', () => {
    const graph: GraphSpec = { nodes: [relu], inputs: { x: ['N', 3] }, outputs: ['y'] };
    assert.deepEqual(load(graph).outputs[0]!.shape, [1, 3]);
    assert.deepEqual(load(graph, { batch: 4 }).outputs[0]!.shape, [4, 3]);
    assert.deepEqual(load(graph, { dimensions: { N: 2 } }).outputs[0]!.shape, [2, 3]);
  });

  it('puts nodes of an unsorted file in an order that runs', () => {
    const graph = load({
      nodes: [
        { op: 'Neg', inputs: ['a'], outputs: ['y'] },
        { op: 'Relu', inputs: ['x'], outputs: ['a'] },
      ],
      inputs: { x: [1] },
      outputs: ['y'],
    });
    assert.deepEqual(
      graph.nodes.map((node) => node.op),
      ['Relu', 'Neg'],
    );
  });

  it('takes the branch of an If whose condition is known', () => {
    const branch = (op: string): AttributeSpec => ({
      graph: { nodes: [{ op, inputs: ['x'], outputs: ['r'] }], outputs: ['r'] },
    });
    const nodes: NodeSpec[] = [
      {
        op: 'If',
        inputs: ['c'],
        outputs: ['y'],
        attributes: { then_branch: branch('Relu'), else_branch: branch('Neg') },
      },
    ];
    const spec: GraphSpec = { nodes, inputs: { x: [2], c: [] }, types: { c: 9 }, outputs: ['y'] };
    const run = (c: number) => [
      ...evaluate(load(spec, { constants: { c: Uint8Array.of(c) } }), { x: Float32Array.of(-1, 2) })['y']!
        .data,
    ];
    assert.deepEqual(run(1), [0, 2]);
    assert.deepEqual(run(0), [1, -2]);
  });

  it('folds the arithmetic a dynamic reshape is made of', () => {
    const graph = load({
      nodes: [
        { op: 'Shape', inputs: ['x'], outputs: ['s'] },
        { op: 'Gather', inputs: ['s', 'zero'], outputs: ['n'] },
        { op: 'Concat', inputs: ['n', 'rest'], outputs: ['t'], attributes: { axis: 0 } },
        { op: 'Reshape', inputs: ['x', 't'], outputs: ['y'] },
      ],
      inputs: { x: [2, 3, 4] },
      outputs: ['y'],
      initializers: [
        { name: 'zero', ...int64(0) },
        { name: 'rest', ...int64(-1) },
      ],
    });
    assert.deepEqual(graph.outputs[0]!.shape, [2, 12]);
  });
});

/** A graph that breaks one rule, and what the error says. */
const broken: readonly [string, GraphSpec, RegExp][] = [
  [
    'channels that do not fit',
    {
      nodes: [{ op: 'Conv', name: 'c1', inputs: ['x', 'w'], outputs: ['y'] }],
      inputs: { x: [1, 3, 8, 8] },
      outputs: ['y'],
      initializers: [{ name: 'w', dims: [4, 2, 1, 1], type: 1, floats: Array<number>(8).fill(0) }],
    },
    /Conv "c1" on \[1,3,8,8\], \[4,2,1,1\]: channels 3 is not group 1 x 2/,
  ],
  [
    'inner sizes that differ',
    {
      nodes: [{ op: 'MatMul', inputs: ['x', 'z'], outputs: ['y'] }],
      inputs: { x: [2, 3], z: [4, 5] },
      outputs: ['y'],
    },
    /MatMul "y" on \[2,3\], \[4,5\]: inner sizes 3 and 4 differ/,
  ],
  [
    'shapes that do not broadcast',
    {
      nodes: [{ op: 'Add', inputs: ['x', 'z'], outputs: ['y'] }],
      inputs: { x: [2], z: [3] },
      outputs: ['y'],
    },
    /Add "y" on \[2\], \[3\]: the shapes do not broadcast/,
  ],
  [
    'an input that nobody makes',
    { nodes: [{ op: 'Relu', inputs: ['q'], outputs: ['y'] }], outputs: ['y'] },
    /Relu "y": input "q" is made by nobody/,
  ],
  [
    'a cycle',
    {
      nodes: [
        { op: 'Add', inputs: ['x', 'b'], outputs: ['a'] },
        { op: 'Relu', inputs: ['a'], outputs: ['b'] },
      ],
      inputs: { x: [1] },
      outputs: ['b'],
    },
    /depends on itself/,
  ],
  [
    'a value made twice',
    { nodes: [relu, relu], inputs: { x: [1] }, outputs: ['y'] },
    /two nodes make this value/,
  ],
  [
    'a missing attribute',
    { nodes: [{ op: 'Concat', inputs: ['x'], outputs: ['y'] }], inputs: { x: [1] }, outputs: ['y'] },
    /Concat "y" on \[1\]: attribute axis is required/,
  ],
  [
    'an attribute of the wrong kind',
    {
      nodes: [{ op: 'Concat', inputs: ['x'], outputs: ['y'], attributes: { axis: 'one' } }],
      inputs: { x: [1] },
      outputs: ['y'],
    },
    /attribute axis is of type 3, not int/,
  ],
  [
    'an output that nobody makes',
    { nodes: [relu], inputs: { x: [1] }, outputs: ['z'] },
    /"z": no node makes this output/,
  ],
  [
    'data that does not fill its shape',
    {
      nodes: [relu],
      inputs: { x: [1] },
      outputs: ['y'],
      initializers: [{ name: 'w', dims: [1 << 30], type: 7, ints: [1, 2] }],
    },
    /"w".*data does not fit the shape/,
  ],
  [
    'a shape of absurd size',
    { nodes: [relu], inputs: { x: [2 ** 40, 2 ** 40] }, outputs: ['y'] },
    /elements cannot be/,
  ],
  [
    'a data type ONNX does not have',
    { nodes: [relu], inputs: { x: [1] }, types: { x: 77 }, outputs: ['y'] },
    /no data type 77/,
  ],
  [
    'an operator with too few inputs',
    { nodes: [{ op: 'Add', inputs: ['x'], outputs: ['y'] }], inputs: { x: [1] }, outputs: ['y'] },
    /1 inputs, 2 to 2 are right/,
  ],
];

describe('broken ONNX files', () => {
  for (const [title, graph, message] of broken)
    it(`names ${title}`, () =>
      assert.throws(
        () => load(graph),
        (error) => error instanceof CompileError && message.test(error.message),
      ));

  it('gives operator, node, shapes and rule as fields too', () => {
    assert.throws(() => load(broken[0]![1]), {
      name: 'CompileError',
      code: 'EINVAL',
      operator: 'Conv',
      node: 'c1',
      shapes: [
        [1, 3, 8, 8],
        [4, 2, 1, 1],
      ],
      rule: 'channels 3 is not group 1 x 2',
    });
  });

  it('says that an empty file and a text file are no models', () => {
    assert.throws(() => importOnnx(new Uint8Array(0)), /holds no graph/);
    assert.throws(() => importOnnx(new TextEncoder().encode('version https://git-lfs.github.com/spec/v1')), {
      code: 'EINVAL',
    });
  });

  it(
    'ends in a CompileError or a graph for every truncation of a model',
    needsShared('models/mnist-8.onnx'),
    () => {
      const file = modelFile('mnist-8.onnx');
      for (let length = 0; length < file.length; length += length < 3000 ? 1 : 97) {
        try {
          importOnnx(file.subarray(0, length));
        } catch (error) {
          assert.ok(error instanceof CompileError, String(error));
        }
      }
    },
  );

  it(
    'ends in a CompileError or a graph for random damage',
    needsShared('models/kws-dscnn-int8-qdq.onnx'),
    () => {
      const file = modelFile('kws-dscnn-int8-qdq.onnx');
      const damage = fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 });
      fc.assert(
        fc.property(damage, (changes) => {
          const copy = file.slice();
          for (const [at, value] of changes) copy[at] = value;
          try {
            importOnnx(copy);
          } catch (error) {
            assert.ok(error instanceof CompileError, error instanceof Error ? error.stack : String(error));
          }
        }),
        { numRuns: 300, seed: 1 },
      );
    },
  );

  it('ends in a CompileError for garbage', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          importOnnx(bytes);
        } catch (error) {
          assert.ok(error instanceof CompileError, error instanceof Error ? error.stack : String(error));
        }
      }),
      { numRuns: 2000, seed: 1 },
    );
  });
});
