// Each pass on a small graph made for it: what is left, and that the results stay the same.
// Not whole networks: see passes-models.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  CompileError,
  Constant,
  evaluate,
  type Graph,
  GraphBuilder,
  type Node,
  optimize,
  type Shape,
  type Value,
  verify,
} from '../../src/compiler/index.js';
import { worstDifference } from '../support/models.js';

/** Numbers between -1 and 1, the same on every run. */
function noise(count: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    return (state / 0x7fffffff) * 2 - 1;
  });
}

function size(shape: Shape): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** Builds a graph from x to y. */
function network(shape: Shape, body: (b: GraphBuilder, x: Value) => Value): Graph {
  const b = new GraphBuilder();
  const x = b.input('x', 'float32', shape);
  b.output(body(b, x), 'y');
  return b.finish();
}

function weights(b: GraphBuilder, shape: Shape, seed = 2): Value {
  return b.constant('float32', shape, noise(size(shape), seed));
}

/** Optimises a fresh graph, checks the result against the graph as built, and returns the operators left. */
function optimised(
  shape: Shape,
  body: (b: GraphBuilder, x: Value) => Value,
  tolerance = 1e-5,
): { ops: string[]; nodes: Node[] } {
  const x = noise(size(shape));
  const before = evaluate(network(shape, body), { x })['y']!;
  const graph = optimize(network(shape, body));
  const after = evaluate(graph, { x })['y']!;
  assert.deepEqual([...after.shape], [...before.shape]);
  const worst = worstDifference(after.data, before.data);
  assert.ok(worst <= tolerance, `results differ by ${worst}`);
  return { ops: graph.nodes.map((node) => node.op), nodes: graph.nodes };
}

const image: Shape = [1, 3, 6, 6];

describe('passes', () => {
  it('removes Identity, Dropout and reshapes to the same shape', () => {
    const { ops } = optimised([2, 3], (b, x) =>
      b.add('Relu', [b.add('Reshape', [b.add('Dropout', [b.add('Identity', [x])]), b.ints([2, 3])])]),
    );
    assert.deepEqual(ops, ['Relu']);
  });

  it('keeps an Identity between an input and an output of the graph', () => {
    assert.deepEqual(optimised([2], (b, x) => b.add('Identity', [x])).ops, ['Identity']);
  });

  it('computes what is known, and drops what nobody uses', () => {
    const { ops } = optimised([2, 2], (b, x) => {
      b.add('Exp', [x]);
      return b.add('Mul', [x, b.add('Sqrt', [b.scalar(4)])]);
    });
    assert.deepEqual(ops, ['Mul']);
  });

  it('folds batch normalisation, factors and offsets into a convolution', () => {
    const { ops, nodes } = optimised(image, (b, x) => {
      const conv = b.add('Conv', [x, weights(b, [4, 3, 3, 3])], { pads: [1, 1, 1, 1] });
      const variance = b.constant('float32', [4], Float32Array.of(1, 2, 3, 4));
      const bn = b.add('BatchNormalization', [
        conv,
        weights(b, [4], 3),
        weights(b, [4], 4),
        weights(b, [4], 5),
        variance,
      ]);
      const scaled = b.add('Mul', [weights(b, [4, 1, 1], 6), bn]);
      return b.add('Relu', [b.add('Sub', [scaled, weights(b, [1, 4, 1, 1], 7)])]);
    });
    assert.deepEqual(ops, ['Conv']);
    assert.deepEqual(nodes[0]!.activation, { op: 'Relu' });
    assert.equal(nodes[0]!.inputs.length, 3);
  });

  it('folds into a transposed convolution along its second axis', () => {
    const { ops } = optimised([1, 2, 4, 4], (b, x) => {
      const up = b.add('ConvTranspose', [x, weights(b, [2, 3, 2, 2])], { strides: [2, 2] });
      return b.add('Add', [b.add('Mul', [up, weights(b, [3, 1, 1], 3)]), weights(b, [3, 1, 1], 4)]);
    });
    assert.deepEqual(ops, ['ConvTranspose']);
  });

  it('does not fold a factor that varies along the width', () => {
    const { ops } = optimised(image, (b, x) =>
      b.add('Mul', [b.add('Conv', [x, weights(b, [4, 3, 1, 1])]), weights(b, [6], 3)]),
    );
    assert.deepEqual(ops, ['Conv', 'Mul']);
  });

  it('does not fold into a convolution whose result is used twice', () => {
    const { ops } = optimised(image, (b, x) => {
      const conv = b.add('Conv', [x, weights(b, [4, 3, 1, 1])]);
      return b.add('Add', [conv, b.add('Mul', [conv, b.scalar(2)])]);
    });
    assert.deepEqual(ops, ['Conv', 'Mul', 'Add']);
  });

  it('merges BatchNormalization, Mul and Add that no convolution precedes', () => {
    const { ops } = optimised([1, 2, 3, 3], (b, x) => {
      const ones = b.constant('float32', [2], Float32Array.of(1, 2));
      const bn = b.add('BatchNormalization', [
        x,
        weights(b, [2], 3),
        weights(b, [2], 4),
        weights(b, [2], 5),
        ones,
      ]);
      return b.add('Add', [b.add('Mul', [bn, weights(b, [2, 1, 1], 6)]), weights(b, [2, 1, 1], 7)]);
    });
    assert.deepEqual(ops, ['BatchNormalization']);
  });

  it('makes a matrix product with known weights and the sum behind it one Gemm with transB', () => {
    const { ops, nodes } = optimised([2, 5], (b, x) =>
      b.add('Add', [weights(b, [1, 4], 3), b.add('MatMul', [x, weights(b, [5, 4])])]),
    );
    assert.deepEqual(ops, ['Gemm']);
    assert.deepEqual(nodes[0]!.attributes, { alpha: 1, beta: 1, transA: 0, transB: 1 });
    assert.deepEqual(nodes[0]!.inputs[2]!.shape, [4]);
  });

  it('takes alpha and beta of a Gemm into its constants', () => {
    const { nodes } = optimised([2, 5], (b, x) =>
      b.add('Gemm', [x, weights(b, [5, 4]), weights(b, [4], 3)], { alpha: 0.5, beta: 2 }),
    );
    assert.deepEqual(nodes[0]!.attributes, { alpha: 1, beta: 1, transA: 0, transB: 1 });
  });

  it('leaves a product of two activations a MatMul', () => {
    assert.deepEqual(optimised([3, 3], (b, x) => b.add('MatMul', [x, b.add('Relu', [x])])).ops, [
      'Relu',
      'MatMul',
    ]);
  });

  it('makes Sum of two an Add', () => {
    assert.deepEqual(optimised([2], (b, x) => b.add('Sum', [x, b.add('Exp', [x])])).ops, ['Exp', 'Add']);
  });

  it('makes a chain of Flatten, Unsqueeze, Squeeze and a transpose that moves nothing one Reshape', () => {
    const { ops } = optimised([1, 4, 1, 1], (b, x) => {
      const nhwc = b.add('Transpose', [x], { perm: [0, 2, 3, 1] });
      return b.add('Relu', [
        b.add('Squeeze', [b.add('Unsqueeze', [b.add('Flatten', [nhwc]), b.ints([0])]), b.ints([0])]),
      ]);
    });
    assert.deepEqual(ops, ['Reshape', 'Relu']);
  });

  it('cancels transposes around elementwise operators', () => {
    const { ops } = optimised([1, 2, 3, 4], (b, x) => {
      const nhwc = b.add('Transpose', [b.add('Exp', [x])], { perm: [0, 2, 3, 1] });
      const middle = b.add('Sigmoid', [b.add('Mul', [nhwc, b.scalar(2)])]);
      return b.add('Exp', [b.add('Transpose', [middle], { perm: [0, 3, 1, 2] })]);
    });
    assert.deepEqual(ops, ['Exp', 'Mul', 'Sigmoid', 'Exp']);
  });

  it('carries a transpose through a sum of two values transposed alike', () => {
    const { ops } = optimised([1, 2, 3, 4], (b, x) => {
      const [left, right] = [b.add('Exp', [x]), b.add('Sin', [x])].map((value) =>
        b.add('Transpose', [value], { perm: [0, 2, 3, 1] }),
      );
      return b.add('Neg', [b.add('Transpose', [b.add('Add', [left, right])], { perm: [0, 3, 1, 2] })]);
    });
    assert.deepEqual(ops, ['Exp', 'Sin', 'Add', 'Neg']);
  });

  it('does not carry a transpose past a row that is broadcast', () => {
    const { ops } = optimised([1, 2, 3, 4], (b, x) =>
      b.add('Add', [b.add('Transpose', [x], { perm: [0, 2, 3, 1] }), weights(b, [2], 3)]),
    );
    assert.deepEqual(ops, ['Transpose', 'Add']);
  });

  it('takes zero padding into the convolution behind it', () => {
    const { ops, nodes } = optimised(image, (b, x) =>
      b.add('Conv', [b.add('Pad', [x, b.ints([0, 0, 1, 0, 0, 0, 0, 1])]), weights(b, [2, 3, 3, 3])]),
    );
    assert.deepEqual(ops, ['Conv']);
    assert.deepEqual((nodes[0]!.attributes as { pads: number[] }).pads, [1, 0, 0, 1]);
  });

  it('fuses Clip with its bounds, and Clip from 0 up as Relu', () => {
    const clip = (low: number, high?: number) =>
      optimised(image, (b, x) =>
        b.add('Clip', [
          b.add('Conv', [x, weights(b, [2, 3, 1, 1])]),
          b.scalar(low),
          high === undefined ? undefined : b.scalar(high),
        ]),
      ).nodes[0]!.activation;
    assert.deepEqual(clip(0, 6), { op: 'Clip', min: 0, max: 6 });
    assert.deepEqual(clip(0), { op: 'Relu' });
  });

  it('leaves graphs alone that are optimised already', () => {
    const graph = optimize(
      network(image, (b, x) => b.add('Relu', [b.add('Conv', [x, weights(b, [2, 3, 1, 1])])])),
    );
    const nodes = [...graph.nodes];
    assert.deepEqual(optimize(graph).nodes, nodes);
  });
});

/** x float -> Q -> DQ. */
function fakeQuantised(b: GraphBuilder, x: Value, scale: number, zero: number): Value {
  const [s, z] = [b.scalar(scale), b.constant('int8', [], Int8Array.of(zero))];
  return b.add('DequantizeLinear', [b.add('QuantizeLinear', [x, s, z]), s, z]);
}

/** DQ of int8 weights with one scale per index of axis 0. */
function quantisedWeights(b: GraphBuilder, shape: Shape): Value {
  const channels = shape[0]!;
  const data = Int8Array.from(noise(size(shape), 9), (value) => Math.round(value * 127));
  const scale = b.constant(
    'float32',
    [channels],
    Float32Array.from({ length: channels }, (_, i) => 0.01 * (i + 1)),
  );
  return b.add(
    'DequantizeLinear',
    [b.constant('int8', shape, data), scale, b.constant('int8', [channels], new Int8Array(channels))],
    { axis: 0 },
  );
}

describe('QDQ to integer operators', () => {
  /** Optimises, and checks that results are within one step of the float form. */
  function integer(shape: Shape, step: number, body: (b: GraphBuilder, x: Value) => Value): Node[] {
    return optimised(shape, body, step * 1.001).nodes;
  }

  const typesOf = (nodes: readonly Node[]) => nodes.map((node) => `${node.op}:${node.outputs[0]!.type}`);

  it('makes Conv with bias and Relu one node from int8 to int8', () => {
    const nodes = integer(image, 0.05, (b, x) => {
      const bias = b.constant('float32', [4], noise(4, 5));
      const conv = b.add('Conv', [fakeQuantised(b, x, 0.01, 3), quantisedWeights(b, [4, 3, 3, 3]), bias]);
      return fakeQuantised(b, b.add('Relu', [conv]), 0.05, -128);
    });
    assert.deepEqual(typesOf(nodes), ['QuantizeLinear:int8', 'Conv:int8', 'DequantizeLinear:float32']);
    assert.equal(nodes[1]!.inputs[2]!.type, 'int32');
    assert.deepEqual(nodes[1]!.activation, { op: 'Relu' });
  });

  it('makes an Add of two scales one node with two quantised inputs', () => {
    const nodes = integer([1, 8], 0.03, (b, x) =>
      fakeQuantised(
        b,
        b.add('Add', [fakeQuantised(b, x, 0.01, 0), fakeQuantised(b, b.add('Sin', [x]), 0.02, 5)]),
        0.03,
        -4,
      ),
    );
    const add = nodes.find((node) => node.op === 'Add')!;
    assert.deepEqual(
      add.inputs.map((value) => value!.quantization!.zeroPoint[0]),
      [0, 5],
    );
    assert.equal(add.outputs[0]!.type, 'int8');
  });

  it('moves integers instead of reals through reshapes, transposes, pools and concatenations', () => {
    const nodes = integer([1, 2, 4, 4], 0.01, (b, x) => {
      const q = fakeQuantised(b, x, 0.01, 2);
      const pooled = b.add('MaxPool', [q], { kernel_shape: [2, 2], strides: [2, 2] });
      const turned = b.add('Transpose', [pooled], { perm: [0, 3, 2, 1] });
      return b.add('Concat', [turned, turned], { axis: 3 });
    });
    assert.deepEqual(typesOf(nodes), [
      'QuantizeLinear:int8',
      'MaxPool:int8',
      'Transpose:int8',
      'Concat:int8',
      'DequantizeLinear:float32',
    ]);
  });

  it('keeps a change of scale between two layers as an Identity with two scales', () => {
    const nodes = integer([4], 0.02, (b, x) => fakeQuantised(b, fakeQuantised(b, x, 0.01, 0), 0.02, 7));
    assert.deepEqual(typesOf(nodes), ['QuantizeLinear:int8', 'Identity:int8', 'DequantizeLinear:float32']);
  });

  it('leaves Softmax in float between DequantizeLinear and QuantizeLinear', () => {
    const nodes = integer([1, 4], 1 / 256, (b, x) =>
      fakeQuantised(b, b.add('Softmax', [fakeQuantised(b, x, 0.01, 0)]), 1 / 256, -128),
    );
    assert.ok(nodes.some((node) => node.op === 'Softmax' && node.outputs[0]!.type === 'float32'));
  });

  it('leaves a convolution in float whose input has no scale', () => {
    const nodes = integer(image, 0.05, (b, x) =>
      fakeQuantised(b, b.add('Conv', [x, quantisedWeights(b, [2, 3, 1, 1])]), 0.05, 0),
    );
    assert.equal(nodes.find((node) => node.op === 'Conv')!.outputs[0]!.type, 'float32');
  });
});

describe('graph checks', () => {
  it('verify names a value that is used before it is made', () => {
    const graph = network([2], (b, x) => b.add('Exp', [b.add('Relu', [x], {}, 'early')]));
    graph.nodes.reverse();
    assert.throws(
      () => verify(graph),
      (error) => error instanceof CompileError && /"early" is used before it is made/.test(error.message),
    );
  });

  it('the builder refuses shapes that break a rule, at the call', () => {
    const b = new GraphBuilder();
    const x = b.input('x', 'float32', [2, 3]);
    assert.throws(() => b.add('MatMul', [x, x]), { code: 'EINVAL', message: /MatMul.*inner sizes 3 and 2/ });
    assert.throws(() => b.input('x', 'float32', [1]), /name is taken/);
    assert.throws(() => b.constant('float32', [3], new Float32Array(2)), /2 elements/);
    assert.throws(() => b.finish(), /no output/);
  });

  it('a repeated constant stores nothing until it is read', () => {
    const constant = Constant.fill('float32', 2 ** 30, 1.5);
    assert.equal(constant.length, 2 ** 30);
    assert.equal(constant.fill, 1.5);
  });
});
