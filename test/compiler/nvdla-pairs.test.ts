// Operators on two int8 tensors of random scales and zero points: byte for byte the integer semantics.
// Not sums on the convolution pipe (nvdla-networks.test.ts), which are not exact where SDP alone does them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { evaluate } from '../../src/compiler/ir/evaluate/index.js';
import { compileNvdla, GraphBuilder, type Quantization, type Value } from '../../src/compiler/index.js';
import { exportLoadable } from '../../src/compiler/loadable/index.js';
import { planSlopes } from '../../src/compiler/targets/nvdla/slope.js';
import { openSystem } from '../../src/node/system.js';
import { runSegment } from '../support/nvdla-segment.js';

let state = 7;
const next = (): number => {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return (state >>> 8) / 2 ** 24;
};
const bytes = (count: number): Int8Array =>
  Int8Array.from({ length: count }, () => Math.floor(next() * 256) - 128);

/** A scale that makes no ties. */
const quantization = (zeroPoints: boolean): Quantization => ({
  scale: Float32Array.of(0.02 + 0.03 * next()),
  zeroPoint: Int32Array.of(zeroPoints ? Math.floor(next() * 100) - 50 : 0),
});

interface Case {
  readonly op: 'Mul' | 'Max' | 'Min' | 'Sub';
  readonly shapes: readonly [readonly number[], readonly number[]];
}
const full = [1, 37, 6, 5];
const cases: Case[] = (['Mul', 'Max', 'Min', 'Sub'] as const).flatMap((op) => [
  { op, shapes: [full, full] },
  { op, shapes: [full, [1, 37, 1, 1]] },
  { op, shapes: [[1, 37, 1, 1], full] },
  {
    op,
    shapes: [
      [3, 4, 2, 5],
      [3, 4, 2, 5],
    ],
  },
]);

const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

for (const [config, zeroPoints] of [
  ['nv_large', true],
  ['nv_small_256_full', true],
  ['nv_full', true],
  ['nv_small', false],
  ['nv_medium_512', false],
] as const)
  describe(`pairs of int8 tensors on ${config}`, () => {
    for (const { op, shapes } of cases)
      it(`${op} of [${shapes[0].join()}] and [${shapes[1].join()}] is exact`, async () => {
        using system = openSystem({ devices: [`nvdla:${config}`] });
        const file = system.open();
        let different = 0;
        for (let round = 0; round < 5; round++) {
          const b = new GraphBuilder();
          const [x, y] = shapes.map((shape, i) =>
            b.input(`x${i}`, 'int8', [...shape], quantization(zeroPoints)),
          ) as [Value, Value];
          const made = b.add(op, [x, y]);
          const range = op === 'Mul' ? 60 : 1;
          const q = quantization(zeroPoints);
          b.output(
            Object.assign(made, {
              type: 'int8',
              quantization: { ...q, scale: q.scale.map((s) => s * (op === 'Mul' ? range / 20 : 1.5)) },
            }),
          );
          const graph = b.finish();
          const data = { x0: bytes(count(shapes[0])), x1: bytes(count(shapes[1])) };
          const want = evaluate(graph, data)[made.name]!.data as Int8Array;
          const { segments, placement } = compileNvdla(graph, { config });
          assert.deepEqual(
            placement.filter(({ device }) => device === 'host').map(({ reason }) => reason),
            [],
          );
          const segment = segments[0]!;
          assert.ok(segments.length === 1 && segment.kind === 'nvdla');
          const got = (await runSegment(file, segment, new Map(Object.entries(data)))).get(made.name)!;
          assert.ok(new Set(want).size > 20, 'the case computes little');
          want.forEach((value, i) => {
            assert.ok(
              Math.abs(value - got[i]!) <= (op === 'Sub' ? 1 : 0),
              `element ${i}: ${got[i]}, not ${value}`,
            );
            if (value !== got[i]) different++;
          });
        }
        await file.close();
        // Where SDP alone subtracts, some results in a thousand.
        assert.ok(different <= (op === 'Sub' ? (5 * count(full)) / 100 : 0), `${different} differ`);
      });
  });

describe('products on nv_small', () => {
  it('of two tensors with zero points stay on the host, with that reason', () => {
    const b = new GraphBuilder();
    const q = { scale: Float32Array.of(0.1), zeroPoint: Int32Array.of(3) };
    const y = b.add('Mul', [b.input('a', 'int8', [1, 8, 2, 2], q), b.input('b', 'int8', [1, 8, 2, 2], q)]);
    b.output(Object.assign(y, { type: 'int8', quantization: q }));
    const { placement } = compileNvdla(b.finish(), { config: 'nv_small' });
    assert.equal(
      placement[0]!.reason,
      'X2 of SDP multiplies by what is stored, zero point included, and nv_small has no Y to take it off',
    );
  });
});

describe('batches', () => {
  it('are not exported as loadables, whose tensors have one cube each', () => {
    const b = new GraphBuilder();
    const shape = [2, 8, 4, 4];
    const q = { scale: Float32Array.of(0.1), zeroPoint: Int32Array.of(0) };
    const y = b.add('Mul', [b.input('a', 'int8', shape, q), b.input('b', 'int8', shape, q)]);
    b.output(Object.assign(y, { type: 'int8', quantization: q }));
    const program = compileNvdla(b.finish(), { config: 'nv_small' });
    assert.throws(() => exportLoadable(program), { code: 'EOPNOTSUPP', message: /is a batch/ });
  });
});

describe('slopes without a table', () => {
  it('have multipliers that make all but one in some thousand bytes right', () => {
    let wrong = 0;
    for (let i = 0; i < 100; i++) {
      const [input, output] = [quantization(true), quantization(true)].map(({ scale, zeroPoint }) => ({
        scale: scale[0]!,
        zeroPoint: zeroPoint[0]!,
      })) as [{ scale: number; zeroPoint: number }, { scale: number; zeroPoint: number }];
      const plan = planSlopes(
        input,
        output,
        Float64Array.from({ length: 8 }, () => 2 * next() - 1),
      );
      wrong += plan!.wrong;
    }
    // Of 8 slopes each.
    assert.ok(wrong <= (100 * 8 * 128) / 4000, `${wrong} wrong`);
  });
});
