// Numbers that do not fit a device's integers: the dispatch says how many requests had some.
// Not what a device computes then: the device's own tests hold that.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GraphBuilder, type Graph } from '../../src/compiler/index.js';
import { openSystem } from '../../src/node/index.js';
import { buildGraph, createContext, type MLGraph } from '../../src/runtime/index.js';
import { onGna } from '../support/gna-graph.js';

/** y = x0 - x1 + x2 - x3 ...: inputs that are alike cancel, calibration with them leaves sums little room. */
function alternating(): Graph {
  const builder = new GraphBuilder();
  const x = builder.input('x', 'float32', [1, 8]);
  const weights = Float32Array.from({ length: 8 * 8 }, (_, i) => (i % 2 === 0 ? 1 : -1));
  builder.output(builder.add('Gemm', [x, builder.constant('float32', [8, 8], weights)], { transB: 1 }), 'y');
  return builder.finish();
}

const alike = Float32Array.of(1, 0.999, 1, 1, 1, 1, 1, 1);
const opposed = Float32Array.of(1, -1, 1, -1, 1, -1, 1, -1);

async function dispatched(graph: MLGraph, values: Float32Array) {
  const { context } = graph;
  const x = await context.createTensor({ dataType: 'float32', shape: [1, 8], writable: true });
  const y = await context.createTensor({ dataType: 'float32', shape: [1, 8], readable: true });
  context.writeTensor(x, values);
  const { saturation } = await context.dispatch(graph, { x }, { y });
  return { saturation, y: new Float32Array(await context.readTensor(y)) };
}

describe('saturation', () => {
  for (const generation of ['0.9', '2.0', '3.0'] as const)
    it(`of a request on gna:${generation} is told, and only of that request`, () =>
      onGna(generation, async (context) => {
        const graph = await buildGraph(context, alternating(), { calibration: () => [{ x: alike }] });
        const near = await dispatched(graph, alike);
        assert.deepEqual(near.saturation, { requests: 1, saturated: 0 });
        assert.ok(Math.abs(near.y[0]! - 0.001) < 1e-4, String(near.y[0]));
        const far = await dispatched(graph, opposed);
        assert.deepEqual(far.saturation, { requests: 1, saturated: 1 });
        assert.ok(far.y[0]! > 0 && far.y[0]! < 8, String(far.y[0]));
        assert.deepEqual((await dispatched(graph, alike)).saturation, { requests: 1, saturated: 0 });
      }));

  it('is not told of where a device has no such status', async () => {
    using system = openSystem({ devices: ['nvdla:nv_small'] });
    const target = 'nvdla:nv_small';
    await using context = await createContext({ file: system.open(), target, owns: true });
    const graph = await buildGraph(context, alternating(), { calibration: () => [{ x: opposed }] });
    assert.ok(graph.layers().length > 0);
    assert.equal((await dispatched(graph, opposed)).saturation, undefined);
  });
});
