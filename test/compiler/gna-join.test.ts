// Sums and products of two tensors on every generation of GNA, compared with the reference evaluator.
// Not those with a known operand: gna-target.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  compile,
  type Graph,
  GraphBuilder,
  type Quantization,
  type Value,
} from '../../src/compiler/index.js';
import { compareOnGna, gnaGenerations, snr } from '../support/gna-graph.js';
import { int8s, noise } from '../support/noise.js';

type Make = (b: GraphBuilder, x: Value) => Value;

const floats: Record<string, { shape: readonly number[]; make: Make; convolution?: true }> = {
  'a residual block': {
    shape: [1, 16, 20, 18],
    convolution: true,
    make: (b, x) => {
      const conv = (y: Value, seed: number, kernel = 3): Value =>
        b.add('Conv', [y, b.constant('float32', [16, 16, kernel, kernel], noise(256 * kernel ** 2, seed))], {
          pads: Array<number>(4).fill((kernel - 1) / 2),
        });
      const y = conv(b.add('Relu', [conv(x, 1)]), 2);
      return conv(b.add('Relu', [b.add('Add', [y, conv(x, 3, 1)])]), 4);
    },
  },
  'a sum with an input, the other way round a difference': {
    shape: [1, 48],
    make: (b, x) => {
      const y = b.add('Gemm', [x, b.constant('float32', [48, 48], noise(2304, 5))]);
      return b.add('Sub', [b.add('Add', [x, y]), b.add('Tanh', [y])]);
    },
  },
  'a gated layer': {
    shape: [1, 24],
    make: (b, x) => {
      const dense = (seed: number): Value =>
        b.add('Gemm', [x, b.constant('float32', [24, 40], noise(960, seed))]);
      return b.add('Relu', [b.add('Mul', [b.add('Sigmoid', [dense(6)]), dense(7)])]);
    },
  },
  'squares of a tensor that takes two layers': {
    shape: [1, 72000],
    make: (b, x) => {
      const y = b.add('Sub', [b.add('Mul', [x, x]), x]);
      const part = b.add('Slice', [y, b.ints([0]), b.ints([64]), b.ints([1])]);
      b.output(b.add('Gemm', [part, b.constant('float32', [64, 8], noise(512, 8))]), 'dense');
      return y;
    },
  },
};

const quantization = (scale: number, zeroPoint: number): Quantization => ({
  scale: Float32Array.of(scale),
  zeroPoint: Int32Array.of(zeroPoint),
});

/** One operator on two inputs, all in int8 with scales and zero points by chance. */
function pair(op: 'Add' | 'Sub' | 'Mul', seed: number): Graph {
  const numbers = noise(8, seed);
  const scale = (i: number): number => 0.05 * 10 ** numbers[i]!;
  const zero = (i: number): number => Math.round(numbers[i]! * 127);
  const b = new GraphBuilder();
  const x = b.input('x', 'int8', [1, 4096], quantization(scale(0), zero(1)));
  const y = b.input('y', 'int8', [1, 4096], quantization(scale(2), zero(3)));
  const out = op === 'Mul' ? 60 * scale(0) * scale(2) : scale(0) + scale(2);
  const z = b.add(op, [x, y]);
  Object.assign(z, { type: 'int8', quantization: quantization(out * 1.1, zero(4)) });
  b.output(z, 'z');
  const graph = b.finish();
  if (seed % 3 === 0) graph.nodes[0]!.activation = { op: 'Relu' };
  return graph;
}

describe('two tensors on GNA', () => {
  for (const [name, { shape, make, convolution }] of Object.entries(floats))
    for (const generation of gnaGenerations) {
      if (convolution && generation === '0.9') continue;
      it(`${generation}: ${name}`, async () => {
        const x = noise(
          shape.reduce((a, b) => a * b, 1),
          98,
        );
        const build = (): Graph => {
          const b = new GraphBuilder();
          b.output(make(b, b.input('x', 'float32', shape)), 'y');
          return b.finish();
        };
        const { got, wanted, graph } = await compareOnGna(generation, build, { x });
        const ratio = snr(got['y'] as Float32Array, wanted['y'] as Float32Array);
        assert.ok(ratio > 60, `${ratio} dB`);
        assert.equal(graph.compiled.segments.length, 1);
      });
    }

  for (const op of ['Add', 'Sub', 'Mul'] as const)
    for (let seed = 1; seed <= 6; seed++)
      it(`int8 ${op} ${seed} is exact to the byte`, async () => {
        const generation = gnaGenerations[seed % gnaGenerations.length]!;
        const inputs = { x: int8s(4096, seed + 20), y: int8s(4096, seed + 21) };
        const { got, wanted } = await compareOnGna(generation, () => pair(op, seed), inputs);
        assert.deepEqual(got, wanted);
      });

  it('leaves to the host operands of different shapes, and says so', () => {
    const b = new GraphBuilder();
    const x = b.input('x', 'int8', [1, 4, 4, 4], quantization(0.1, 0));
    const y = b.input('y', 'int8', [1, 4, 1, 1], quantization(0.1, 0));
    const z = b.add('Mul', [x, y]);
    b.output(Object.assign(z, { type: 'int8' as const, quantization: quantization(0.2, 0) }));
    const [only] = compile(b.finish(), 'gna:3.0').placement;
    assert.equal(only!.device, 'host');
    assert.match(only!.reason, /two tensors of different shapes, \[1,4,4,4\] and \[1,4,1,1\]/);
  });
});
