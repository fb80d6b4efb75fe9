// Layers joined to one pipe: which are, which must not be, and that results stay what they were.
// Not single operators: nvdla-operators.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { evaluate } from '../../src/compiler/ir/evaluate/index.js';
import { GraphBuilder, optimize, quantize, type Value } from '../../src/compiler/index.js';
import { openSystem } from '../../src/node/system.js';
import { buildGraph, createContext } from '../../src/runtime/index.js';

type Build = (b: GraphBuilder, x: Value, conv: (x: Value, kernels: number, size: number) => Value) => Value[];

const SHAPE = [1, 40, 12, 14];
/** Of the range of the results; fp16 has eleven bits. */
const HALF = 0.004;

/** Units of the layers, results, and the results that the graph means. */
async function run(
  config: 'nv_small' | 'nv_large' | 'nv_full',
  build: Build,
): Promise<{ units: string[]; worst: number; allowed: number }> {
  let state = 99;
  const next = (): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) / 2 ** 23 - 1;
  };
  const numbers = (length: number, size = 1): Float32Array =>
    Float32Array.from({ length }, () => size * next());
  const b = new GraphBuilder();
  const x = b.input('x', 'float32', SHAPE);
  const outputs = build(b, x, (from, kernels, size) => {
    const shape = [kernels, from.shape![1]!, size, size];
    const count = shape.reduce((a, n) => a * n, 1);
    const weights = b.constant('float32', shape, numbers(count, 1.7 / Math.sqrt(count / kernels)));
    const pad = (size - 1) / 2;
    return b.add('Conv', [from, weights, b.constant('float32', [kernels], numbers(kernels, 0.3))], {
      pads: [pad, pad, pad, pad],
    });
  });
  for (const value of outputs) b.output(value);
  const input = numbers(SHAPE.reduce((a, n) => a * n, 1));
  const half = config === 'nv_full';
  const graph = half ? optimize(b.finish()) : quantize(b.finish(), [{ x: input }], { range: 'min-max' });
  const expected = evaluate(graph, { x: input });
  const target = `nvdla:${config}`;
  using system = openSystem({ devices: [target] });
  const context = await createContext({ file: system.open(), target, owns: true, clock: system.clock });
  try {
    const built = await buildGraph(context, graph, { fallback: 'forbid' });
    const given = await context.createTensor({ dataType: 'float32', shape: SHAPE, writable: true });
    context.writeTensor(given, input as Float32Array<ArrayBuffer>);
    const made: Record<string, Awaited<ReturnType<typeof context.createTensor>>> = {};
    for (const [name, { dataType, shape }] of Object.entries(built.outputs))
      made[name] = await context.createTensor({ dataType, shape, readable: true });
    await context.dispatch(built, { x: given }, made);
    let worst = 0;
    let range = 0;
    for (const [name, tensor] of Object.entries(made)) {
      const got = new Float32Array(await context.readTensor(tensor));
      const want = expected[name]!.data as Float32Array;
      got.forEach((value, i) => (worst = Math.max(worst, Math.abs(value - want[i]!))));
      range = Math.max(range, Math.max(...want) - Math.min(...want));
    }
    const [segment] = built.compiled.segments;
    assert.ok(segment?.kind === 'nvdla');
    return {
      units: segment.layers.map(({ unit }) => unit),
      worst,
      allowed: half ? HALF * range : 1e-6,
    };
  } finally {
    await context.destroy();
  }
}

async function check(
  config: 'nv_small' | 'nv_large' | 'nv_full',
  units: readonly string[],
  build: Build,
): Promise<void> {
  const result = await run(config, build);
  assert.deepEqual(result.units, units);
  assert.ok(result.worst <= result.allowed, `${result.worst}, ${result.allowed} are allowed`);
}

const residual: Build = (b, x, conv) => {
  const trunk = b.add('Relu', [conv(x, 40, 1)]);
  return [b.add('Relu', [b.add('Add', [conv(trunk, 40, 3), trunk])])];
};
const pooled: Build = (b, x, conv) => [
  b.add('MaxPool', [b.add('Relu', [conv(x, 24, 3)])], {
    kernel_shape: [3, 3],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  }),
];

describe('layers joined to a pipe', () => {
  it('fp16: an addition and its ReLU are stages of the convolution before it, whichever comes last', async () => {
    await check('nv_full', ['CONV+SDP', 'CONV+SDP'], residual);
    await check('nv_full', ['CONV+SDP', 'CONV+SDP'], (b, x, conv) => [
      b.add('Add', [conv(x, 24, 3), conv(x, 24, 1)]),
    ]);
  });

  it('fp16: limits are stages; what needs a third stage is a pass of its own', async () => {
    const limits = { min: 0, max: 0.7 };
    const clip = (b: GraphBuilder, x: Value): Value =>
      b.add('Clip', [
        x,
        b.constant('float32', [], Float32Array.of(limits.min)),
        b.constant('float32', [], Float32Array.of(limits.max)),
      ]);
    await check('nv_full', ['CONV+SDP'], (b, x, conv) => [clip(b, conv(x, 24, 3))]);
    await check('nv_full', ['CONV+SDP', 'CONV+SDP', 'SDP'], (b, x, conv) => [
      clip(b, b.add('Add', [conv(x, 24, 3), conv(x, 24, 1)])),
    ]);
  });

  it('fp16: a value that others read too stays in memory', async () => {
    await check('nv_full', ['CONV+SDP', 'SDP', 'CONV+SDP'], (b, x, conv) => {
      const y = conv(x, 40, 3);
      return [b.add('Add', [y, x]), conv(y, 8, 1)];
    });
    await check('nv_full', ['CONV+SDP', 'SDP'], (b, x, conv) => {
      const y = conv(x, 40, 3);
      return [y, b.add('Add', [y, x])];
    });
  });

  for (const config of ['nv_small', 'nv_large', 'nv_full'] as const)
    it(`${config}: a maximum takes what SDP makes as it comes`, async () => {
      await check(config, ['CONV+SDP+PDP'], pooled);
    });

  it('a maximum of a value that is read elsewhere reads it from memory', async () => {
    await check('nv_large', ['CONV+SDP', 'PDP'], (b, x, conv) => {
      const y = conv(x, 24, 3);
      return [y, b.add('MaxPool', [y], { kernel_shape: [2, 2], strides: [2, 2] })];
    });
  });

  it('int8: an addition is not joined to the convolution, whose result is rounded and saturated first', async () => {
    const { units, worst } = await run('nv_large', residual);
    assert.ok(units.length > 2);
    // One step of the result is about 0.02.
    assert.ok(worst < 0.03);
  });
});
