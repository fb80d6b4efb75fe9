// Activation tables of GNA against the functions that they stand for.
// Not on a device: gna-target.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  activate,
  curveTable,
  INT16_MAX,
  INT32_MAX,
  INT32_MIN,
  lineTable,
  slopeAbove,
  slopeBelow,
  tableBytes,
} from '../../src/compiler/targets/gna/pwl.js';
import { tableFor } from '../../src/compiler/targets/gna/scale.js';
import { staircase } from '../../src/compiler/targets/gna/staircase.js';
import { roundHalfEven } from '../../src/compiler/index.js';
import { PwlSegment } from '../../src/hw/gna/index.js';

const curves = {
  Sigmoid: (x: number) => 1 / (1 + Math.exp(-x)),
  Tanh: Math.tanh,
} as const;

describe('an activation table', () => {
  for (const [op, curve] of Object.entries(curves) as [keyof typeof curves, (x: number) => number][]) {
    it(`keeps ${op} within its stated bound for every 16-bit input`, () => {
      const weight = 2 ** 14;
      for (const range of [1, 6, 20, 100]) {
        const scale = range / INT16_MAX;
        const { table, detail } = tableFor({ op }, scale / weight, 1);
        const bound = detail['error'] as number;
        assert.ok(table.length <= 128, `${table.length} segments`);
        assert.ok(bound < 6, `a bound of ${bound} steps`);
        let worst = 0;
        for (let x = -32768; x <= 32767; x++) {
          const distance = activate(table, x * weight) - curve(x * scale) * INT16_MAX;
          worst = Math.max(worst, Math.abs(distance));
        }
        assert.ok(worst <= bound, `${op} over ${range}: ${worst} steps away, ${bound} promised`);
      }
    });

    it(`keeps ${op} within its stated bound over all of int32`, () => {
      const unit = 40 / 2 ** 31;
      const { table, error } = curveTable({ of: curve, from: -12, to: 12 }, unit, 1 / INT16_MAX);
      for (let x = INT32_MIN; x <= INT32_MAX; x += 9973) {
        const distance = activate(table, x) - curve(x * unit) * INT16_MAX;
        assert.ok(Math.abs(distance) <= error, `${x}: ${distance} steps away, ${error} promised`);
      }
    });
  }

  it('rounds a line to the nearest and keeps its limits', () => {
    for (const ratio of [0.3, 1 / 77, 1e-3, 1e-6])
      for (const line of [slopeBelow(ratio), slopeAbove(ratio)]) {
        const exact = line.slope / 2 ** line.shift;
        const table = lineTable(line, -300, 200);
        for (let step = -5000; step <= 5000; step++) {
          const sum = Math.round((step / 10) * (1 / ratio));
          const nearest = Math.min(200, Math.max(-300, sum * exact));
          // A segment begins at a multiple of 4.
          const slack = 0.5 + 4 * exact + 1e-9;
          assert.ok(Math.abs(activate(table, sum) - nearest) <= slack, `${ratio}: ${sum}`);
        }
      }
  });

  it('is 0 below 0 with a low limit of 0, and continues with the other slope for LeakyRelu', () => {
    const relu = tableFor({ op: 'Relu' }, 1e-6, 1e-3).table;
    assert.equal(activate(relu, -1e9), 0);
    assert.equal(activate(relu, INT32_MIN), 0);
    const { table, scale } = tableFor({ op: 'LeakyRelu', alpha: 0.1 }, 1e-6, 1e-3);
    for (const sum of [-2e6, -1e5, 1e5, 2e6]) {
      const real = sum * 1e-6;
      const wanted = (real < 0 ? 0.1 * real : real) / scale;
      assert.ok(
        Math.abs(activate(table, sum) - wanted) <= 1,
        `${sum}: ${activate(table, sum)} for ${wanted}`,
      );
    }
  });

  it('puts the shift into the low bits of its bases', () => {
    const bytes = tableBytes([
      { x: -8, y: 1, slope: 2, shift: 8 },
      { x: 16, y: -1, slope: -2, shift: 32 },
    ]);
    assert.deepEqual(PwlSegment.from(bytes, 0), { x_base: -8, y_base: 1, slope: 2 });
    assert.deepEqual(PwlSegment.from(bytes, 8), { x_base: 19, y_base: -1, slope: -2 });
  });
});

describe('a staircase', () => {
  it('has every step where the integer semantics have it', () => {
    for (const [multiplier, zeroPoint, unit] of [
      [0.00297949, 0, 255],
      [0.0117, -5, 40],
      [1 / 3, 3, 16],
      [1 / 63, 17, 100],
      [0.00040017, -128, 77],
      [1.7, 0, 8],
    ] as const) {
      const level = (n: number): number =>
        Math.min(127, Math.max(-128, roundHalfEven(n * multiplier) + zeroPoint)) - zeroPoint;
      const table = staircase({ level, unit });
      assert.ok(table !== undefined && table.length <= 128, `no table for ${multiplier}`);
      const end = Math.min(300 / multiplier, INT32_MAX / unit);
      const step = Math.max(1, Math.floor(end / 200000));
      for (let n = -Math.floor(end); n <= end; n += step)
        assert.equal(activate(table, n * unit), level(n), `${multiplier}: ${n}`);
    }
  });

  it('follows a curve, and flat parts at both ends', () => {
    const level = (n: number): number => roundHalfEven(255 / (1 + Math.exp(-n / 500))) - 128;
    const table = staircase({ level, unit: 64 });
    assert.ok(table !== undefined);
    for (let n = -20000; n <= 20000; n++) assert.equal(activate(table, n * 64), level(n), String(n));
  });

  it('says so when there are more steps than 128 segments take', () => {
    // Half of everything, ties to even: steps are 1 and 3 wide in turn, a line meets two of them.
    const level = (n: number): number => Math.min(127, Math.max(-128, roundHalfEven(n / 2)));
    assert.equal(staircase({ level, unit: 4 }), undefined);
  });
});
