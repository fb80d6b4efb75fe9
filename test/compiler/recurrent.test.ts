// LSTM and GRU written out as simpler operators, against the evaluator's own LSTM and GRU.
// Not whether those are right: reference-onnx-node.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { evaluate, type Graph, GraphBuilder, optimize } from '../../src/compiler/index.js';
import { worstDifference } from '../support/models.js';
import { noise } from '../support/noise.js';

interface Form {
  readonly op: 'LSTM' | 'GRU';
  readonly direction: 'forward' | 'reverse' | 'bidirectional';
  readonly batch: number;
  readonly bias: boolean;
  readonly state: boolean;
  readonly before?: 0 | 1;
}

function graphOf({ op, direction, batch, bias, state, before }: Form): Graph {
  const [steps, size, hidden] = [5, 6, 8];
  const directions = direction === 'bidirectional' ? 2 : 1;
  const gates = op === 'LSTM' ? 4 : 3;
  const b = new GraphBuilder();
  const weights = (shape: number[], seed: number) =>
    b.constant(
      'float32',
      shape,
      noise(
        shape.reduce((p, n) => p * n, 1),
        seed,
      ),
    );
  const x = b.input('x', 'float32', [steps, batch, size]);
  const first = [directions, batch, hidden];
  const h = state ? b.input('h', 'float32', first) : undefined;
  const c = state && op === 'LSTM' ? b.input('c', 'float32', first) : undefined;
  const inputs = [
    x,
    weights([directions, gates * hidden, size], 1),
    weights([directions, gates * hidden, hidden], 2),
    bias ? weights([directions, 2 * gates * hidden], 3) : undefined,
    undefined,
    h,
  ];
  const outputs = op === 'LSTM' ? ['y', 'yh', 'yc'] : ['y', 'yh'];
  const results =
    op === 'LSTM'
      ? b.node('LSTM', [...inputs, c], { hidden_size: hidden, direction }, { outputs })
      : b.node(
          'GRU',
          inputs,
          { hidden_size: hidden, direction, linear_before_reset: before ?? 0 },
          { outputs },
        );
  for (const value of results) b.output(value);
  return b.finish();
}

describe('recurrent steps', () => {
  for (const op of ['LSTM', 'GRU'] as const)
    for (const direction of ['forward', 'reverse', 'bidirectional'] as const)
      for (const [bias, state, batch, before] of [
        [false, false, 1, 0],
        [true, true, 3, 0],
        [true, false, 2, 1],
        [true, true, 1, 1],
        [true, false, 1, 0],
      ] as const) {
        if (op === 'LSTM' && before === 1) continue;
        const form: Form = { op, direction, bias, state, batch, before };
        it(`compute what ${op} does: ${JSON.stringify(form)}`, () => {
          const inputs: Record<string, Float32Array> = {};
          for (const { name, shape } of graphOf(form).inputs)
            inputs[name] = noise(
              shape!.reduce((p, n) => p * n, 1),
              name.charCodeAt(0),
            );
          const wanted = evaluate(graphOf(form), inputs);
          const graph = optimize(graphOf(form));
          assert.ok(graph.nodes.every((node) => node.op !== op));
          const got = evaluate(graph, inputs);
          for (const [name, { data, shape }] of Object.entries(wanted)) {
            assert.deepEqual([...got[name]!.shape], [...shape]);
            assert.ok(worstDifference(got[name]!.data, data) < 1e-5, name);
          }
        });
      }

  it('leave alone what they do not know: other activations', () => {
    const b = new GraphBuilder();
    const weights = (shape: number[]) =>
      b.constant(
        'float32',
        shape,
        noise(
          shape.reduce((p, n) => p * n, 1),
          4,
        ),
      );
    const x = b.input('x', 'float32', [2, 1, 4]);
    const inputs = [x, weights([1, 12, 4]), weights([1, 12, 4])];
    b.output(b.node('GRU', inputs, { hidden_size: 4, activations: ['Relu', 'Tanh'] })[0]!);
    assert.equal(optimize(b.finish()).nodes[0]!.op, 'GRU');
  });
});
