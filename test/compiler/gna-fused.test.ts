// Fused 2D convolutions of GNA 3.0: random networks through the whole path, compared with the reference evaluator.
// Not 1D convolutions: gna-target.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  compile,
  type Graph,
  GraphBuilder,
  type Quantization,
  type Value,
} from '../../src/compiler/index.js';
import type { GnaSegment } from '../../src/compiler/targets/program.js';
import { compareOnGna, snr } from '../support/gna-graph.js';
import { int8s, noise } from '../support/noise.js';

interface Conv {
  readonly filters: number;
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly dilation: number;
  readonly pads: readonly [number, number, number, number];
  readonly pool?: { readonly window: number; readonly stride: number; readonly ceil: number };
}

interface Network {
  readonly shape: readonly [number, number, number];
  readonly layers: readonly Conv[];
}

/** Two convolutions on an image, sizes and everything by chance, now and then a maximum behind one. */
function network(seed: number): Network {
  const numbers = noise(64, seed);
  let at = 0;
  const from = (low: number, high: number): number =>
    low + Math.floor(((numbers[at++]! + 1) / 2) * (high - low + 0.999));
  const conv = (stretch: number): Conv => {
    const kernel: [number, number] = [from(1, 5), from(1, 4)];
    const stride = Math.min(from(1, 2), ...kernel);
    const pad = (i: 0 | 1): number => from(0, Math.floor((kernel[i] - 1) / 2) + (kernel[i] > 1 ? 1 : 0));
    const pads: [number, number, number, number] = [pad(0), pad(1), pad(0), pad(1)];
    const pool = { window: from(2, 3), stride: from(1, 3), ceil: from(0, 1) };
    return {
      filters: from(3, 24),
      kernel,
      stride,
      dilation: kernel[0] <= 4 && kernel[1] <= 3 ? from(1, stretch) : 1,
      pads,
      ...(from(0, 2) > 0 ? { pool } : {}),
    };
  };
  return { shape: [from(1, 20), from(24, 56), from(24, 56)], layers: [conv(2), conv(1)] };
}

const quantization = (scale: number, zeroPoint: number): Quantization => ({
  scale: Float32Array.of(scale),
  zeroPoint: Int32Array.of(zeroPoint),
});

/** The network in floats, or in int8 with one scale for each layer's weights. */
function graphOf({ shape, layers }: Network, kind: 'float32' | 'int8', seed: number): Graph {
  const b = new GraphBuilder();
  const quantized = kind === 'int8';
  const as = (value: Value, scale: number, zero: number): Value =>
    quantized ? Object.assign(value, { type: 'int8', quantization: quantization(scale, zero) }) : value;
  let value = quantized
    ? b.input('x', 'int8', [1, ...shape], quantization(0.02, 5))
    : b.input('x', 'float32', [1, ...shape]);
  let channels = shape[0];
  layers.forEach(({ filters, kernel, stride, dilation, pads, pool }, i) => {
    const form = [filters, channels, ...kernel];
    const count = form.reduce((a, c) => a * c, 1);
    const w = quantized
      ? b.constant('int8', form, int8s(count, seed + i), '', quantization(0.01, 0))
      : b.constant('float32', form, noise(count, seed + i));
    const bias = quantized
      ? b.constant(
          'int32',
          [filters],
          Int32Array.from(noise(filters, seed + 9), (v) => v * 9000),
        )
      : b.constant('float32', [filters], noise(filters, seed + 9));
    const [scale, zero] = [i === 0 ? 0.4 : 1.5, i === 0 ? -20 : 3];
    value = as(
      b.add('Conv', [value, w, bias], {
        strides: [stride, stride],
        dilations: [dilation, dilation],
        pads: [...pads],
      }),
      scale,
      zero,
    );
    if (pool !== undefined) {
      const { window, stride: step, ceil } = pool;
      value = as(
        b.add('MaxPool', [value], {
          kernel_shape: [window, window],
          strides: [step, step],
          ceil_mode: ceil,
        }),
        scale,
        zero,
      );
    }
    channels = filters;
  });
  b.output(value, 'y');
  return b.finish();
}

const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

describe('fused 2D convolutions of GNA', () => {
  let fused = 0;
  let pooled = 0;
  for (let seed = 1; seed <= 24; seed++) {
    const { shape, layers } = network(seed);
    it(`network ${seed} [${shape.join(',')}] ${layers.map((each) => each.kernel.join('x')).join(' ')}: int8 to the byte`, async () => {
      const make = (): Graph => graphOf({ shape, layers }, 'int8', seed);
      const { got, wanted, graph } = await compareOnGna('3.0', make, { x: int8s(count(shape), seed + 50) });
      assert.deepEqual(got, wanted);
      for (const segment of graph.compiled.segments)
        if (segment.kind === 'gna')
          for (const { unit, nodes } of segment.layers)
            if (unit === 'conv 2D') {
              fused++;
              if (nodes.length === 2) pooled++;
            }
    });
    if (seed % 4 === 0)
      it(`network ${seed} in floats`, async () => {
        const make = (): Graph => graphOf({ shape, layers }, 'float32', seed);
        const { got, wanted } = await compareOnGna('3.5', make, { x: noise(count(shape), seed + 50) });
        const ratio = snr(got['y'] as Float32Array, wanted['y'] as Float32Array);
        assert.ok(ratio > 60, `${ratio} dB`);
      });
  }

  it('were used for at least half of these convolutions, maxima in the same layer', () => {
    assert.ok(fused >= 24, `${fused} of 48`);
    assert.ok(pooled >= 10, `${pooled}`);
  });

  const plain: Conv = { filters: 16, kernel: [3, 3], stride: 1, dilation: 1, pads: [1, 1, 1, 1] };
  const unitsOf = (shape: Network['shape'], target: string, layers = [plain]): string[] => {
    const segment = compile(graphOf({ shape, layers }, 'int8', 1), target).segments[0] as GnaSegment;
    return segment.layers.map(({ unit }) => unit);
  };

  it('take one layer where 1D convolutions take one per line', () => {
    assert.deepEqual(unitsOf([16, 32, 32], 'gna:3.0'), ['conv 2D']);
    assert.equal(unitsOf([16, 32, 32], 'gna:2.0').filter((unit) => unit === 'conv 1D').length, 32);
  });

  it('are not used for images that are too narrow, kernels that are too large, or too many channels', () => {
    assert.ok(!unitsOf([16, 8, 8], 'gna:3.0').includes('conv 2D'));
    assert.ok(
      !unitsOf([8, 32, 32], 'gna:3.0', [{ ...plain, kernel: [9, 1], pads: [4, 0, 4, 0] }]).includes(
        'conv 2D',
      ),
    );
    assert.ok(!unitsOf([128, 20, 20], 'gna:3.0').includes('conv 2D'));
  });
});
