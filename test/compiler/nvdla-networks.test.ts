// Random networks on NVDLA: operators in every order, branches, cubes that share memory; compared with the reference evaluator.
// Not single operators (nvdla-target.test.ts) and not models.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { evaluate } from '../../src/compiler/ir/evaluate/index.js';
import { compileNvdla, GraphBuilder, type Quantization, type Value } from '../../src/compiler/index.js';
import type { Graph } from '../../src/compiler/index.js';
import { openSystem } from '../../src/node/system.js';
import { runSegment } from '../support/nvdla-segment.js';

class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed * 2654435761 || 1;
  }
  next(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) / 2 ** 32;
  }
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }
  int8s(length: number): Int8Array {
    return Int8Array.from({ length }, () => this.below(256) - 128);
  }
}

/** A graph of about `size` operators with one input and up to three outputs. */
function network(random: Random, size: number): { graph: Graph; input: Value } {
  const builder = new GraphBuilder();
  let scaleStep = 0;
  // No simple ratios: they give ties, which hardware and reference round apart.
  const activation = (): Quantization => ({
    scale: Float32Array.of(0.05 * (1 + 0.01 * Math.SQRT2 * (scaleStep++ % 17))),
    zeroPoint: Int32Array.of(random.below(40) - 20),
  });
  const one = { strides: [1, 1], dilations: [1, 1] };
  const input = builder.input('x', 'int8', [1, 3 + random.below(40), 8, 9], activation());
  const live: Value[] = [input];
  const quantized = (value: Value, like?: Value): Value =>
    Object.assign(value, { type: 'int8', quantization: like?.quantization ?? activation() });
  const pick = (): Value => live[random.below(live.length)]!;
  while (live.length < size) {
    const x = pick();
    const [, channels, height, width] = x.shape as [number, number, number, number];
    switch (random.below(6)) {
      case 0:
      case 1: {
        const depthwise = random.below(3) === 0;
        const kernels = depthwise ? channels : 1 + random.below(48);
        const k = random.below(2) === 0 ? 1 : 3;
        const per = depthwise ? 1 : channels;
        const w = builder.constant('int8', [kernels, per, k, k], random.int8s(kernels * per * k * k), '', {
          scale: Float32Array.from(
            { length: kernels },
            () => (0.01 + 0.01 * random.next()) / Math.sqrt(per * k * k),
          ),
          zeroPoint: new Int32Array(kernels),
          axis: 0,
        });
        const b = builder.constant(
          'int32',
          [kernels],
          Int32Array.from(random.int8s(kernels), (v) => v * 20),
        );
        const pads = k === 3 ? [1, 1, 1, 1] : [0, 0, 0, 0];
        const y = builder.add('Conv', [x, w, b], {
          ...one,
          kernel_shape: [k, k],
          pads,
          group: depthwise ? channels : 1,
        });
        live.push(quantized(y));
        break;
      }
      case 2: {
        const other = live.find((value) => value !== x && value.shape!.join() === x.shape!.join());
        if (other === undefined) break;
        const y = builder.add('Add', [x, other]);
        live.push(quantized(y));
        break;
      }
      case 3: {
        if (height < 4 || width < 4) break;
        const y = builder.add('MaxPool', [x], {
          ...one,
          kernel_shape: [2, 3],
          strides: [2, 2],
          pads: [0, 1, 0, 1],
          ceil_mode: 0,
          storage_order: 0,
        });
        live.push(quantized(y, x));
        break;
      }
      case 4: {
        const y = builder.add('AveragePool', [x], {
          ...one,
          kernel_shape: [3, 3],
          pads: [1, 1, 1, 1],
          ceil_mode: 0,
          count_include_pad: random.below(2),
        });
        live.push(quantized(y));
        break;
      }
      default: {
        const y = builder.add('Relu', [x]);
        live.push(quantized(y));
      }
    }
  }
  const outputs = new Set([live.at(-1)!, pick(), pick()].filter((value) => value !== input));
  for (const value of outputs) builder.output(value);
  return { graph: builder.finish(), input };
}

describe('random networks on NVDLA', () => {
  for (const [config, engines] of [
    ['nv_small', 'inline'],
    ['nv_large', 'inline'],
    ['nv_medium_512', 'inline'],
    // Units run side by side.
    ['nv_large', 'worker'],
  ] as const)
    it(`give the reference's integers: ${config}, engines ${engines}`, async () => {
      using system = openSystem({ devices: [`nvdla:${config}`], engines });
      for (let seed = 1; seed <= 10; seed++) {
        const random = new Random(seed);
        const { graph, input } = network(random, 14);
        const data = random.int8s(input.shape!.reduce((a, b) => a * b, 1));
        const want = evaluate(graph, { x: data });
        const { segments, placement } = compileNvdla(graph, { config });
        assert.deepEqual(
          placement.filter(({ device }) => device === 'host'),
          [],
        );
        const segment = segments[0]!;
        assert.ok(segments.length === 1 && segment.kind === 'nvdla');
        const file = system.open();
        const got = await runSegment(file, segment, new Map([['x', data]]));
        await file.close();
        for (const [name, { data: expected }] of Object.entries(want)) {
          const result = got.get(name)!;
          assert.deepEqual(result, expected, `seed ${seed}, ${name}`);
        }
      }
    });
});
