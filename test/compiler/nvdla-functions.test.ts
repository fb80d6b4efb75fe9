// Functions of one tensor on NVDLA: every int8 as the integer semantics have it, every fp16 within the error that is reported.
// Not operators on several tensors: nvdla-operators.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { unaryFunction } from '../../src/compiler/ir/evaluate/elementwise.js';
import { evaluate } from '../../src/compiler/ir/evaluate/index.js';
import { compileNvdla, GraphBuilder, type Value } from '../../src/compiler/index.js';
import { halfToFloat } from '../../src/compiler/ir/evaluate/half.js';
import { openSystem } from '../../src/node/system.js';
import { buildGraph, createContext } from '../../src/runtime/index.js';
import { runSegment } from '../support/nvdla-segment.js';

/** Operators and their attributes. */
const functions = [
  ['Sigmoid', {}],
  ['Tanh', {}],
  ['HardSigmoid', { alpha: 0.2, beta: 0.5 }],
  ['HardSwish', {}],
  ['Elu', { alpha: 1.3 }],
  ['Celu', { alpha: 1 }],
  ['Selu', { alpha: 1.67326, gamma: 1.0507 }],
  ['Softplus', {}],
  ['Gelu', { approximate: 'none' }],
  ['Mish', {}],
  ['Exp', {}],
  ['Erf', {}],
  ['Abs', {}],
  ['Neg', {}],
] as const;

/** On int8 alone. */
const integerOnly = [
  ['LeakyRelu', { alpha: 0.1 }],
  ['Softsign', {}],
  ['Sqrt', {}],
  ['Log', {}],
  ['Reciprocal', {}],
  ['ThresholdedRelu', { alpha: 0.7 }],
] as const;

const allBytes = Int8Array.from({ length: 256 }, (_, i) => i - 128);

describe('functions of one int8 tensor', () => {
  for (const config of ['nv_large', 'nv_full', 'nv_small_256_full', 'nv_medium_1024_full'] as const)
    it(`are exact for every byte: ${config}`, async () => {
      using system = openSystem({ devices: [`nvdla:${config}`] });
      for (const type of ['int8', 'uint8'] as const) {
        const b = new GraphBuilder();
        const zero = type === 'uint8' ? 128 : 0;
        const x = b.input('x', type, [1, 16, 4, 4], {
          scale: Float32Array.of(0.037),
          zeroPoint: Int32Array.of(zero - 11),
        });
        for (const [op, attributes] of [...functions, ...integerOnly]) {
          const y = b.add(op, [x], attributes as never) as Value;
          Object.assign(y, {
            type,
            quantization: { scale: Float32Array.of(0.021), zeroPoint: Int32Array.of(zero - 3) },
          });
          b.output(y);
        }
        const graph = b.finish();
        const given = type === 'uint8' ? Uint8Array.from(allBytes, (v) => v + 128) : allBytes;
        const want = evaluate(graph, { x: given });
        const { segments, placement } = compileNvdla(graph, { config });
        assert.deepEqual(
          placement.filter(({ device }) => device === 'host'),
          [],
        );
        const segment = segments[0]!;
        assert.ok(segments.length === 1 && segment.kind === 'nvdla');
        const file = system.open();
        const got = await runSegment(file, segment, new Map([['x', allBytes]]));
        await file.close();
        assert.equal(segment.outputs.length, functions.length + integerOnly.length);
        for (const [name, { data }] of Object.entries(want)) {
          const stored = type === 'uint8' ? Int8Array.from(data as Uint8Array, (v) => v - 128) : data;
          assert.deepEqual(got.get(name), stored, `${type} ${name}`);
        }
      }
    });

  it('stay on the host where SDP has no table, with that reason', () => {
    for (const config of ['nv_small', 'nv_small_256', 'nv_medium_512'] as const) {
      const b = new GraphBuilder();
      const quantization = { scale: Float32Array.of(0.05), zeroPoint: Int32Array.of(0) };
      const y = b.add('Tanh', [b.input('x', 'int8', [1, 8, 2, 2], quantization)]);
      b.output(Object.assign(y, { type: 'int8', quantization }));
      const { placement } = compileNvdla(b.finish(), { config });
      assert.deepEqual(
        placement.map(({ device, reason }) => [device, reason]),
        [['host', `SDP of ${config} has no look-up table`]],
      );
    }
  });
});

describe('functions of one tensor in fp16', () => {
  for (const [op, attributes] of functions)
    it(`${op} of every half is within the error that is reported`, async () => {
      using system = openSystem({ devices: ['nvdla:nv_full'] });
      // All finite halves: 63488 of them.
      const halves: number[] = [];
      for (let bits = 0; bits < 0x7c00; bits++) halves.push(halfToFloat(bits), halfToFloat(bits | 0x8000));
      const shape = [1, 62, 32, 32];
      const b = new GraphBuilder();
      const x = b.input('x', 'float32', shape);
      const y = b.add(op, [x], attributes as never) as Value;
      b.output(y);
      const graph = b.finish();
      const f = unaryFunction(graph.nodes[0]!)!;
      const context = await createContext({
        file: system.open(),
        target: 'nvdla:nv_full',
        owns: true,
        clock: system.clock,
      });
      try {
        const built = await buildGraph(context, graph, { fallback: 'forbid' });
        const segment = built.compiled.segments[0]!;
        assert.ok(segment.kind === 'nvdla' && segment.layers.length === 1);
        const table = segment.layers[0]!.detail['table'];
        const bound = typeof table === 'string' ? Number(table.split(' ').at(-1)) : 0;
        assert.ok(bound < 0.004, `${bound}`);
        const given = await context.createTensor({ dataType: 'float32', shape, writable: true });
        context.writeTensor(given, Float32Array.from(halves));
        const made = await context.createTensor({ dataType: 'float32', shape, readable: true });
        await context.dispatch(built, { x: given }, { [y.name]: made });
        const got = new Float32Array(await context.readTensor(made));
        let worst = 0;
        halves.forEach((value, i) => {
          const want = Math.min(65504, f(value));
          worst = Math.max(worst, Math.abs(got[i]! - want) / Math.max(1, Math.abs(want)));
        });
        // Operands and results are halves: twice 2^-11 on top, and one of the bound's printed digits.
        assert.ok(worst <= bound * 1.5 + 2 ** -10, `${worst}, reported ${bound}`);
      } finally {
        await context.destroy();
      }
    });
});
