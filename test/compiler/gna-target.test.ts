// Operators on every generation of GNA, compared with the reference evaluator.
// Not models: gna-models.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Activation,
  compile,
  CompileError,
  type Graph,
  GraphBuilder,
  type Quantization,
  targets,
  type Value,
} from '../../src/compiler/index.js';
import type { GnaSegment } from '../../src/compiler/targets/program.js';
import { AccelError } from '../../src/base/index.js';
import { compareOnGna, gnaGenerations, snr } from '../support/gna-graph.js';
import { int8s, noise } from '../support/noise.js';

type Make = (builder: GraphBuilder, x: Value) => Value;

function graphOf(shape: readonly number[], make: Make): Graph {
  const builder = new GraphBuilder();
  const x = builder.input('x', 'float32', shape);
  builder.output(make(builder, x), 'y');
  return builder.finish();
}

const fused = (value: Value, builder: GraphBuilder, op: Activation['op']): Value =>
  builder.add(op as 'Relu', [value]);

/** What the generations with convolution layers can do, by name: input shape and graph. */
const floats: Record<string, { shape: readonly number[]; make: Make; affine?: true; least?: number }> = {
  'a dense layer with ReLU': {
    shape: [1, 40],
    affine: true,
    make: (b, x) =>
      fused(
        b.add(
          'Gemm',
          [x, b.constant('float32', [24, 40], noise(960, 1)), b.constant('float32', [24], noise(24, 2))],
          {
            transB: 1,
          },
        ),
        b,
        'Relu',
      ),
  },
  'a product of several rows': {
    shape: [5, 24],
    affine: true,
    make: (b, x) => b.add('MatMul', [x, b.constant('float32', [24, 7], noise(168, 3))]),
  },
  'a 1D convolution with padding and stride': {
    shape: [1, 12, 21],
    affine: true,
    make: (b, x) =>
      b.add(
        'Conv',
        [x, b.constant('float32', [20, 12, 3], noise(720, 4)), b.constant('float32', [20], noise(20, 5))],
        {
          pads: [1, 1],
          strides: [2],
        },
      ),
  },
  'two 2D convolutions with padding': {
    shape: [1, 3, 11, 9],
    affine: true,
    make: (b, x) => {
      const y = b.add('Conv', [x, b.constant('float32', [8, 3, 3, 3], noise(216, 6))], {
        pads: [1, 1, 1, 1],
      });
      return b.add('Conv', [y, b.constant('float32', [6, 8, 3, 3], noise(432, 7))], {
        pads: [1, 1, 1, 1],
        strides: [2, 2],
      });
    },
  },
  'a convolution whose window spans more than a filter': {
    shape: [1, 64, 6, 7],
    affine: true,
    make: (b, x) => {
      const y = b.add('Conv', [x, b.constant('float32', [64, 64, 1, 1], noise(4096, 8))]);
      return b.add('Conv', [y, b.constant('float32', [16, 64, 3, 3], noise(9216, 9))], {
        pads: [1, 1, 1, 1],
      });
    },
  },
  'a depthwise convolution': {
    shape: [1, 16, 9, 8],
    affine: true,
    make: (b, x) =>
      b.add('Conv', [x, b.constant('float32', [16, 1, 3, 3], noise(144, 10))], {
        pads: [1, 1, 1, 1],
        group: 16,
      }),
  },
  'a dilated convolution': {
    shape: [1, 8, 10, 12],
    affine: true,
    make: (b, x) =>
      b.add('Conv', [x, b.constant('float32', [8, 8, 2, 3], noise(384, 11))], { dilations: [2, 3] }),
  },
  'an average over everything': {
    shape: [1, 24, 5, 6],
    affine: true,
    make: (b, x) =>
      b.add('GlobalAveragePool', [b.add('Conv', [x, b.constant('float32', [24, 24, 1, 1], noise(576, 12))])]),
  },
  'a maximum in two directions, then a convolution': {
    shape: [1, 8, 12, 13],
    make: (b, x) => {
      const y = b.add('Conv', [x, b.constant('float32', [8, 8, 3, 3], noise(576, 13))], {
        pads: [1, 1, 1, 1],
      });
      const z = b.add('MaxPool', [y], { kernel_shape: [2, 3], strides: [2, 2] });
      return b.add('Conv', [z, b.constant('float32', [12, 8, 3, 3], noise(864, 14))], { pads: [1, 1, 1, 1] });
    },
  },
  'a maximum whose last windows are cut off, between padded convolutions': {
    shape: [1, 8, 9, 11],
    make: (b, x) => {
      const y = b.add('Conv', [x, b.constant('float32', [8, 8, 1, 1], noise(64, 23))]);
      const z = b.add('MaxPool', [y], { kernel_shape: [2, 3], strides: [2, 3], ceil_mode: 1 });
      return b.add('Conv', [z, b.constant('float32', [8, 8, 3, 3], noise(576, 24))], { pads: [1, 1, 1, 1] });
    },
  },
  'a flattened image into a dense layer': {
    shape: [1, 4, 6, 5],
    affine: true,
    make: (b, x) => {
      const y = b.add('Conv', [x, b.constant('float32', [8, 4, 3, 3], noise(288, 15))]);
      const flat = b.add('Reshape', [y, b.ints([1, 96])]);
      return b.add('Gemm', [flat, b.constant('float32', [96, 10], noise(960, 16))]);
    },
  },
  'sigmoid and tanh of parts of a dense layer': {
    shape: [1, 16],
    affine: true,
    make: (b, x) => {
      const y = b.add('Gemm', [x, b.constant('float32', [64, 16], noise(1024, 17))], { transB: 1 });
      const at = (from: number): Value =>
        b.add('Slice', [y, b.ints([from]), b.ints([from + 32]), b.ints([1])]);
      const gates = b.add('Sigmoid', [at(0)]);
      const w = b.constant('float32', [32, 8], noise(256, 18));
      const one = b.add('Tanh', [b.add('Gemm', [gates, w])]);
      return one;
    },
  },
  'products and sums with constants': {
    shape: [1, 8, 4, 4],
    affine: true,
    make: (b, x) => {
      const y = b.add('Conv', [x, b.constant('float32', [8, 8, 1, 1], noise(64, 19))]);
      const relu = b.add('LeakyRelu', [y], { alpha: 0.2 });
      const scaled = b.add('Mul', [
        b.add('Tanh', [relu]),
        b.constant('float32', [1, 8, 1, 4], noise(32, 20)),
      ]);
      return b.add('Sub', [b.constant('float32', [4, 4], noise(16, 21)), scaled]);
    },
  },
  'a transposed image': {
    shape: [1, 6, 8, 16],
    affine: true,
    make: (b, x) => {
      const t = b.add('Transpose', [x], { perm: [0, 3, 1, 2] });
      const y = b.add('Conv', [t, b.constant('float32', [8, 16, 3, 1], noise(384, 22))]);
      return b.add('Transpose', [y], { perm: [0, 2, 3, 1] });
    },
  },
};

describe('the GNA target', () => {
  for (const [name, { shape, make, affine, least }] of Object.entries(floats))
    for (const generation of gnaGenerations) {
      if (generation === '0.9' && affine !== true) continue;
      it(`${generation}: ${name}`, async () => {
        const x = noise(
          shape.reduce((a, b) => a * b, 1),
          99,
        );
        const { got, wanted } = await compareOnGna(generation, () => graphOf(shape, make), { x });
        const ratio = snr(got['y'] as Float32Array, wanted['y'] as Float32Array);
        assert.ok(ratio > (least ?? 60), `${ratio} dB`);
      });
    }

  const quantization = (scale: number, zeroPoint: number): Quantization => ({
    scale: Float32Array.of(scale),
    zeroPoint: Int32Array.of(zeroPoint),
  });
  const quantized = (value: Value, scale: number, zeroPoint: number): Value =>
    Object.assign(value, { type: 'int8', quantization: quantization(scale, zeroPoint) });

  function eightBit(activation?: Activation): Graph {
    const b = new GraphBuilder();
    const x = b.input('x', 'int8', [1, 5, 9, 8], quantization(0.031, -7));
    const w = b.constant('int8', [8, 5, 3, 3], int8s(360, 30), '', quantization(0.0123, 0));
    const bias = b.constant(
      'int32',
      [8],
      Int32Array.from(int8s(8, 31), (v) => v * 90),
    );
    const y = quantized(b.add('Conv', [x, w, bias], { pads: [1, 1, 1, 1] }), 0.1234, 11);
    const pooled = quantized(
      b.add('AveragePool', [y], { kernel_shape: [3, 3], strides: [3, 2] }),
      0.1234,
      11,
    );
    const flat = quantized(b.add('Reshape', [pooled, b.ints([1, 72])]), 0.1234, 11);
    const w2 = b.constant('int8', [10, 72], int8s(720, 32), '', quantization(0.0077, 0));
    const z = b.add('Gemm', [flat, w2, b.constant('int32', [10], new Int32Array(10))], { transB: 1 });
    b.output(quantized(z, 0.21, 3), 'z');
    const graph = b.finish();
    if (activation !== undefined) graph.nodes[0]!.activation = activation;
    return graph;
  }
  const activations: (Activation | undefined)[] = [
    undefined,
    { op: 'Relu' },
    { op: 'Clip', min: -1.5, max: 6 },
    { op: 'Tanh' },
  ];
  for (const generation of gnaGenerations)
    for (const activation of activations)
      it(`${generation}: int8 layers with one scale are exact to the byte, ${activation?.op ?? 'no activation'}`, async () => {
        const x = int8s(360, 33);
        const { got, wanted } = await compareOnGna(generation, () => eightBit(activation), { x });
        assert.deepEqual(got, wanted);
      });

  for (const generation of ['1.0', '3.0'] as const)
    it(`${generation}: int8 weights with a scale per channel are a step off once in a thousand at most`, async () => {
      const scales = Float32Array.from(noise(16, 34), (v) => 0.002 * 10 ** v);
      const make = (): Graph => {
        const b = new GraphBuilder();
        const x = b.input('x', 'int8', [1, 8, 40, 40], quantization(0.05, -128));
        const perChannel = { scale: scales, zeroPoint: new Int32Array(16), axis: 0 };
        const w = b.constant('int8', [16, 8, 3, 3], int8s(1152, 35), '', perChannel);
        b.output(quantized(b.add('Conv', [x, w], { pads: [1, 1, 1, 1] }), 1.5, 4), 'z');
        return b.finish();
      };
      // As images are: neighbours are alike.
      const grain = noise(12800, 36);
      const x = Int8Array.from(
        { length: 12800 },
        (_, i) => 90 * Math.sin((i % 40) / 9 + i / 700) + 9 * grain[i]!,
      );
      const { got, wanted } = await compareOnGna(generation, make, { x });
      const [a, b] = [got['z'] as Int8Array, wanted['z'] as Int8Array];
      const off = a.filter((value, i) => value !== b[i]).length;
      assert.ok(off <= a.length / 1000, `${off} of ${a.length}`);
      assert.ok(a.every((value, i) => Math.abs(value - b[i]!) <= 1));
    });

  it('uses 8-bit weights with a multiplier where they are exact', () => {
    const program = compile(eightBit(), 'gna:2.0');
    const segment = program.segments.find((each) => each.kind === 'gna') as GnaSegment;
    const dense = segment.layers.at(-1)!;
    assert.equal(dense.unit, 'affine');
    assert.equal(dense.detail['weightBits'], 8);
  });

  it('splits a list of layers that is longer than the hardware takes', async () => {
    const make: Make = (b, x) => {
      const y = b.add('Conv', [x, b.constant('float32', [8, 8, 3, 3], noise(576, 40))]);
      return b.add('Relu', [y]);
    };
    const x = noise(8 * 36 * 36, 41);
    const { got, wanted, graph } = await compareOnGna('0.9', () => graphOf([1, 8, 36, 36], make), { x });
    const segment = graph.compiled.segments[0] as GnaSegment;
    assert.deepEqual(segment.requests, [
      { base: 0, count: 1024 },
      { base: 1024 * 128, count: 132 },
    ]);
    assert.ok(snr(got['y'] as Float32Array, wanted['y'] as Float32Array) > 60);
  });

  it('saturates nowhere in what it was calibrated with: sums have room', async () => {
    // All products add up: the greatest sum that such weights can have.
    const make: Make = (b, x) =>
      b.add('Gemm', [x, b.constant('float32', [8, 4096], new Float32Array(8 * 4096).fill(1))], { transB: 1 });
    const x = new Float32Array(4096).fill(1);
    const { got, wanted } = await compareOnGna('3.0', () => graphOf([1, 4096], make), { x });
    assert.ok(snr(got['y'] as Float32Array, wanted['y'] as Float32Array) > 60);
  });

  it('leaves to the host what it cannot, and says why', () => {
    const b = new GraphBuilder();
    const x = b.input('x', 'int8', [1, 4, 4, 4], quantization(0.1, 0));
    const y = b.input('y', 'int8', [1, 4, 4, 4], quantization(0.1, 0));
    b.output(quantized(b.add('Div', [x, y]), 0.2, 0));
    const [only] = compile(b.finish(), 'gna:3.0').placement;
    assert.equal(only!.device, 'host');
    assert.match(only!.reason, /GNA does not divide by a tensor/);

    const pool = new GraphBuilder();
    const image = pool.input('x', 'int8', [1, 4, 4, 4], quantization(0.1, 0));
    pool.output(quantized(pool.add('MaxPool', [image], { kernel_shape: [2, 2] }), 0.1, 0));
    assert.match(compile(pool.finish(), 'gna:0.9').placement[0]!.reason, /GNA 0\.9 has no pooling/);
  });

  it('leaves a float graph without ranges to the host', () => {
    const graph = graphOf([1, 40], floats['a dense layer with ReLU']!.make);
    const { placement } = compile(graph, 'gna:2.0');
    assert.match(placement[0]!.reason, /"x" is a float without a calibrated range/);
  });

  it('refuses by name when the host may not help', async () => {
    const make: Make = (b, x) => b.add('Softmax', [x], { axis: 1 });
    await assert.rejects(
      compareOnGna('3.0', () => graphOf([1, 8], make), { x: noise(8, 1) }),
      (error) =>
        error instanceof AccelError &&
        error.code === 'EOPNOTSUPP' &&
        /Softmax .*not on gna:3\.0: the target has no such operator/.test(error.message),
    );
  });

  it('is a target of each generation', () => {
    assert.deepEqual(
      targets.filter((name) => name.startsWith('gna:')),
      gnaGenerations.map((name) => `gna:${name}`),
    );
    assert.throws(
      () =>
        compile(
          graphOf([1, 8], (b, x) => b.add('Relu', [x])),
          'gna:4.0',
        ),
      CompileError,
    );
  });
});
