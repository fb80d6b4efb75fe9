// Requantisation of the NVDLA target against the formula in double precision: how far off, and how often.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { applyStages, requantize, roundShift } from '../../src/compiler/targets/nvdla/scale.js';
import { planAddition } from '../../src/compiler/targets/nvdla/addition.js';

/** xorshift32: the same numbers on every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest > 0.5) return floor + 1;
  if (rest < 0.5) return floor;
  return floor % 2 === 0 ? floor : floor + 1;
}

const clamp8 = (value: number): number => Math.max(-128, Math.min(127, value));

interface Layer {
  factor: number[];
  bias: number[];
  bound: number[];
  zeroPoint: number;
  relu?: boolean;
}

/** Differences from the formula over accumulators of the whole range and of the range that does not saturate. */
function histogram(layer: Layer, samples: number): Map<number, number> {
  const { zeroPoint, relu = false } = layer;
  const stages = requantize({
    factor: Float64Array.from(layer.factor),
    bias: Float64Array.from(layer.bias),
    bound: Float64Array.from(layer.bound),
    zeroPoint,
    relu,
  });
  const next = random(7);
  const counts = new Map<number, number>();
  for (let k = 0; k < layer.factor.length; k++) {
    const factor = layer.factor[k]!;
    const bias = layer.bias[k]!;
    const bound = layer.bound[k]!;
    for (let i = 0; i < samples; i++) {
      const wide = Math.round((next() * 2 - 1) * bound);
      const near = Math.round((next() * 2 - 1) * (260 / factor) - bias);
      const acc = i % 2 === 0 ? wide : Math.max(-bound, Math.min(bound, near));
      let want = clamp8(roundHalfEven(factor * (acc + bias)) + zeroPoint);
      if (relu && want < zeroPoint) want = zeroPoint;
      const difference = applyStages(stages, k, acc) - want;
      counts.set(difference, (counts.get(difference) ?? 0) + 1);
    }
  }
  return counts;
}

function check(counts: Map<number, number>, ofWrong: number): void {
  let total = 0;
  for (const [difference, count] of counts) {
    assert.ok(Math.abs(difference) <= 1, `difference ${difference}: ${count} times`);
    total += count;
  }
  const wrong = total - (counts.get(0) ?? 0);
  assert.ok(wrong <= total * ofWrong, `${wrong} of ${total} differ`);
}

describe('NVDLA requantisation', () => {
  it('is the double formula but for one result in 100,000, over scales and biases as models have them', () => {
    const next = random(1);
    for (let layer = 0; layer < 30; layer++) {
      const kernels = 8;
      const typical = 2 ** -(5 + next() * 8);
      const factor = Array.from({ length: kernels }, () => typical * 2 ** -(next() * 4));
      const bias = factor.map((f) => Math.round(((next() * 2 - 1) * 200) / f));
      const bound = factor.map((f) => Math.round(2000 / f));
      check(histogram({ factor, bias, bound, zeroPoint: Math.round(next() * 255) - 128 }, 4000), 1 / 100_000);
    }
  });

  it('keeps its precision when one kernel has a dead channel: factor 1e-9 and a bias of 2^30', () => {
    check(
      histogram(
        {
          factor: [1 / 301.7, 1 / 277.77, 1e-9],
          bias: [12345, -40000, 2 ** 30],
          bound: [2 ** 18, 2 ** 18, 0],
          zeroPoint: -3,
        },
        20000,
      ),
      1 / 5000,
    );
  });

  it('keeps a spread of factors of 4000 within one step', () => {
    const factor = Array.from({ length: 13 }, (_, i) => 2 ** -(6 + i) * 1.2345);
    const bias = factor.map((f, i) => Math.round((i - 6) / f));
    check(
      histogram({ factor, bias, bound: factor.map((f) => Math.round(4000 / f)), zeroPoint: 17 }, 4000),
      1 / 500,
    );
  });

  it('makes ReLU end at the zero point, by saturation or by the stage', () => {
    for (const zeroPoint of [-128, -5, 0])
      check(
        histogram(
          { factor: [0.0031, 0.0007], bias: [-900, 70000], bound: [1 << 17, 1 << 19], zeroPoint, relu: true },
          20000,
        ),
        1 / 5000,
      );
  });

  it('saturates, and never wraps, for accumulators at the ends of 32 bits', () => {
    const stages = requantize({
      factor: Float64Array.of(0.01, 3),
      bias: Float64Array.of(5, -7),
      bound: Float64Array.of(2 ** 31, 2 ** 31),
      zeroPoint: 0,
      relu: false,
    });
    for (const kernel of [0, 1]) {
      assert.equal(applyStages(stages, kernel, 2 ** 31 - 1), 127);
      assert.equal(applyStages(stages, kernel, -(2 ** 31)), -128);
    }
  });

  it('rounds ties away from zero', () => {
    assert.deepEqual(
      [5, -5, 6, -6, 7].map((value) => roundShift(value, 2)),
      [1, -1, 2, -2, 2],
    );
  });
});

describe('NVDLA addition of two tensors', () => {
  /** Results that differ from the double formula, over scales and zero points as models have them. */
  function differing(convolution: boolean): { wrong: number; total: number } {
    const next = random(3);
    let wrong = 0;
    let total = 0;
    for (let layer = 0; layer < 40; layer++) {
      const quantized = (): { scale: number; zeroPoint: number } => ({
        scale: 0.01 * 2 ** (next() * 4),
        zeroPoint: Math.round(next() * 255) - 128,
      });
      const a = quantized();
      const b = quantized();
      const out = { scale: (a.scale + b.scale) * (0.3 + next()), zeroPoint: Math.round(next() * 200) - 128 };
      const plan = planAddition(a, b, out, { relu: false, convolution });
      assert.ok(plan !== undefined);
      const [w0, w1] = plan.weights ?? [1, 0];
      for (let i = 0; i < 4000; i++) {
        const qa = Math.round(next() * 255) - 128;
        const qb = Math.round(next() * 255) - 128;
        const exact = ((qa - a.zeroPoint) * a.scale + (qb - b.zeroPoint) * b.scale) / out.scale;
        const [source, operand] = plan.firstIsSource ? [qa, qb] : [qb, qa];
        const x1 = (w0 * source + w1 * operand + plan.alu) * plan.mul;
        assert.ok(Math.abs(x1) < 2 ** 31);
        const v = x1 + operand * 2 ** plan.shift;
        assert.ok(Math.abs(v) < 2 ** 31);
        const got = clamp8(roundShift((v - plan.out.offset) * plan.out.scale, plan.out.truncate));
        const difference = got - clamp8(roundHalfEven(exact) + out.zeroPoint);
        assert.ok(Math.abs(difference) <= 1);
        if (difference !== 0) wrong++;
        total++;
      }
    }
    return { wrong, total };
  }

  it('is equal to the double formula but for one result in 500 in SDP alone', () => {
    const { wrong, total } = differing(false);
    assert.ok(wrong <= total / 500, `${wrong} of ${total}`);
  });

  it('is equal to the double formula but for one result in 50,000 with a convolution before', () => {
    const { wrong, total } = differing(true);
    assert.ok(wrong <= total / 50_000, `${wrong} of ${total}`);
  });

  it('makes ReLU relative to zero only where the operand has no zero point', () => {
    const a = { scale: 0.1, zeroPoint: 5 };
    const out = { scale: 0.15, zeroPoint: -3 };
    const options = { relu: true, convolution: true };
    assert.equal(planAddition(a, { scale: 0.07, zeroPoint: 1 }, out, options), undefined);
    const plan = planAddition(a, { scale: 0.07, zeroPoint: 0 }, out, options);
    assert.equal(plan?.firstIsSource, true);
    assert.ok(plan.mul > 0);
  });
});
