// Recurrent networks and joined tensors on every generation of GNA, compared with the reference evaluator.
// Not recordings with state over many inferences: runtime/silero.slow.test.ts.
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
import { type Arrays, compareOnGna, gnaGenerations, snr } from '../support/gna-graph.js';
import { int8s, noise } from '../support/noise.js';

const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

function weights(b: GraphBuilder, shape: readonly number[], seed: number, factor = 0.5): Value {
  return b.constant(
    'float32',
    shape,
    noise(count(shape), seed).map((x) => x * factor),
  );
}

interface Rnn {
  readonly steps: number;
  readonly size: number;
  readonly hidden: number;
  readonly activation: 'Tanh' | 'Relu' | 'Sigmoid';
  readonly state: boolean;
  /** A dense layer in front of it, so that its input is made by the device. */
  readonly dense: boolean;
}

function rnn({ steps, size, hidden, activation, state, dense }: Rnn): Graph {
  const b = new GraphBuilder();
  let x = b.input('x', 'float32', [steps, 1, size]);
  const h = state ? b.input('h', 'float32', [1, 1, hidden]) : undefined;
  if (dense) {
    const flat = b.add('Reshape', [x, b.ints([steps, size])]);
    x = b.add('Reshape', [b.add('Gemm', [flat, weights(b, [size, size], 1)]), b.ints([steps, 1, size])]);
  }
  const factor = 1 / Math.sqrt(hidden);
  const [y, last] = b.node(
    'RNN',
    [
      x,
      weights(b, [1, hidden, size], 2),
      weights(b, [1, hidden, hidden], 3, factor),
      weights(b, [1, 2 * hidden], 4),
      undefined,
      h,
    ],
    { hidden_size: hidden, activations: [activation] },
    { outputs: ['y', 'last'] },
  );
  b.output(y!);
  b.output(last!);
  return b.finish();
}

interface Cell {
  readonly op: 'LSTM' | 'GRU';
  readonly direction: 'forward' | 'bidirectional';
  readonly state: boolean;
}

/** A cell over five steps and a dense layer on its last state. */
function cell({ op, direction, state }: Cell): Graph {
  const [steps, size, hidden] = [5, 24, 32];
  const directions = direction === 'bidirectional' ? 2 : 1;
  const gates = op === 'LSTM' ? 4 : 3;
  const b = new GraphBuilder();
  const x = b.input('x', 'float32', [steps, 1, size]);
  const h = state ? b.input('h', 'float32', [directions, 1, hidden]) : undefined;
  const given = [
    x,
    weights(b, [directions, gates * hidden, size], 5),
    weights(b, [directions, gates * hidden, hidden], 6, 0.25),
    weights(b, [directions, 2 * gates * hidden], 7),
    undefined,
    h,
  ];
  const attributes = { hidden_size: hidden, direction };
  const [y, last] =
    op === 'LSTM'
      ? b.node('LSTM', given, attributes, { outputs: ['y', 'last', 'cell'] })
      : b.node('GRU', given, { ...attributes, linear_before_reset: 1 }, { outputs: ['y', 'last'] });
  b.output(y!);
  const flat = b.add('Reshape', [last!, b.ints([1, directions * hidden])]);
  b.output(b.add('Gemm', [flat, weights(b, [directions * hidden, 8], 8)]), 'z');
  return b.finish();
}

function randomInputs(graph: Graph): Arrays {
  return Object.fromEntries(
    graph.inputs.map(({ name, shape }) => [name, noise(count(shape!), name.charCodeAt(0))]),
  );
}

function near(got: Arrays, wanted: Arrays, least: number): void {
  for (const [name, values] of Object.entries(wanted)) {
    const ratio = snr(got[name] as Float32Array, values as Float32Array);
    assert.ok(ratio > least, `${name}: ${ratio} dB`);
  }
}

describe('recurrent networks on GNA', () => {
  const networks: readonly Rnn[] = [
    { steps: 5, size: 24, hidden: 32, activation: 'Tanh', state: false, dense: false },
    { steps: 19, size: 13, hidden: 20, activation: 'Tanh', state: true, dense: false },
    { steps: 9, size: 16, hidden: 64, activation: 'Relu', state: true, dense: true },
    { steps: 1, size: 8, hidden: 33, activation: 'Sigmoid', state: true, dense: true },
    { steps: 30, size: 40, hidden: 96, activation: 'Relu', state: false, dense: true },
  ];
  for (const generation of gnaGenerations)
    for (const network of networks)
      it(`${generation}: RNN ${JSON.stringify(network)} in recurrent layers`, async () => {
        const make = (): Graph => rnn(network);
        const { got, wanted, graph } = await compareOnGna(generation, make, randomInputs(make()));
        near(got, wanted, 55);
        const [segment] = graph.compiled.segments as GnaSegment[];
        const layers = segment!.layers.filter(({ unit }) => unit === 'recurrent');
        assert.equal(layers.length, Math.ceil(network.steps / 8));
      });

  for (const generation of gnaGenerations)
    for (const form of [
      { op: 'LSTM', direction: 'forward', state: true },
      { op: 'LSTM', direction: 'bidirectional', state: false },
      { op: 'GRU', direction: 'forward', state: true },
    ] as const)
      it(`${generation}: ${form.op} ${form.direction}, state ${form.state}, all on the device`, async () => {
        const make = (): Graph => cell(form);
        const { got, wanted, graph } = await compareOnGna(generation, make, randomInputs(make()));
        near(got, wanted, 55);
        assert.equal(graph.compiled.segments.length, 1);
      });

  it('leave to the host what recurrent layers do not have, with the reason', () => {
    const reasonOf = (attributes: object, batch = 1): string => {
      const b = new GraphBuilder();
      const x = b.input('x', 'float32', [3, batch, 8]);
      const given = [x, weights(b, [1, 8, 8], 1), weights(b, [1, 8, 8], 2)];
      b.output(b.node('RNN', given, { hidden_size: 8, ...attributes })[0]!);
      return compile(b.finish(), 'gna:3.0').placement[0]!.reason;
    };
    assert.match(reasonOf({ direction: 'reverse' }), /direction "reverse": recurrent layers go forward/);
    assert.match(reasonOf({ activations: ['Softsign'] }), /activation Softsign/);
    assert.match(reasonOf({}, 2), /a batch of 2/);
  });
});

describe('Concat on GNA', () => {
  const floats: Record<string, { shape: readonly number[]; make: (b: GraphBuilder, x: Value) => Value }> = {
    'of vectors, then a dense layer': {
      shape: [1, 32],
      make: (b, x) => {
        const y = b.add('Gemm', [x, weights(b, [32, 64], 1)]);
        const z = b.add('Tanh', [b.add('Gemm', [x, weights(b, [32, 20], 2)])]);
        return b.add('Gemm', [b.add('Concat', [y, x, z], { axis: 1 }), weights(b, [116, 16], 3)]);
      },
    },
    'of channels of images, then a convolution': {
      shape: [1, 8, 18, 17],
      make: (b, x) => {
        const conv = (from: Value, inputs: number, filters: number, seed: number): Value =>
          b.add('Conv', [from, weights(b, [filters, inputs, 1, 1], seed)]);
        const joined = b.add('Concat', [conv(x, 8, 32, 4), b.add('Relu', [conv(x, 8, 24, 5)])], { axis: 1 });
        return conv(joined, 56, 8, 6);
      },
    },
  };
  for (const generation of gnaGenerations)
    for (const [name, { shape, make }] of Object.entries(floats)) {
      if (generation === '0.9' && shape.length === 4) continue;
      it(`${generation}: ${name}`, async () => {
        const build = (): Graph => {
          const b = new GraphBuilder();
          b.output(make(b, b.input('x', 'float32', shape)), 'y');
          return b.finish();
        };
        const { got, wanted, graph } = await compareOnGna(generation, build, randomInputs(build()));
        near(got, wanted, 60);
        assert.equal(graph.compiled.segments.length, 1);
      });
    }

  it('of int8 tensors with scales of their own is exact to the byte', async () => {
    const quantization = (scale: number, zeroPoint: number): Quantization => ({
      scale: Float32Array.of(scale),
      zeroPoint: Int32Array.of(zeroPoint),
    });
    const make = (): Graph => {
      const b = new GraphBuilder();
      const x = b.input('x', 'int8', [1, 64], quantization(0.02, 3));
      const y = b.input('y', 'int8', [1, 40], quantization(0.017, -9));
      const z = b.add('Concat', [x, y], { axis: 1 });
      b.output(Object.assign(z, { type: 'int8' as const, quantization: quantization(0.02, 3) }), 'z');
      return b.finish();
    };
    const { got, wanted } = await compareOnGna('3.0', make, { x: int8s(64, 1), y: int8s(40, 2) });
    assert.deepEqual(got, wanted);
  });
});
