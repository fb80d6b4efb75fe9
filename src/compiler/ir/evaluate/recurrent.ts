// RNN, GRU and LSTM on plain tensors, step by step as ONNX writes them.
// Not fast, and not what targets run: passes/recurrent.ts writes steps out as simpler operators.
import { nodeError, type NodeOf } from '../graph.js';
import { allocate, doubles, type Tensor } from './tensor.js';
import type { TypedArray } from '../types.js';

type Recurrent = NodeOf<'RNN' | 'GRU' | 'LSTM'>;
type Curve = (x: number) => number;

const GATES = { RNN: 1, GRU: 3, LSTM: 4 } as const;
const defaults = {
  RNN: ['Tanh'],
  GRU: ['Sigmoid', 'Tanh'],
  LSTM: ['Sigmoid', 'Tanh', 'Tanh'],
} as const;
const curves: Readonly<Record<string, Curve>> = {
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh,
  relu: (x) => Math.max(0, x),
};

/** The activations of one direction, each behind the clip of its argument. */
function activationsOf(node: Recurrent, direction: number): Curve[] {
  const { activations, clip } = node.attributes;
  const own = defaults[node.op];
  const bound = clip > 0 ? clip : Infinity;
  return own.map((name, i) => {
    const asked = activations[direction * own.length + i] ?? name;
    const curve = curves[asked.toLowerCase()];
    if (curve === undefined) throw nodeError(node, 'EOPNOTSUPP', `activation ${asked} is not supported`);
    return (x) => curve(Math.min(bound, Math.max(-bound, x)));
  });
}

/** Y, Y_h and, of LSTM, Y_c. */
export function recurrent(node: Recurrent, inputs: readonly (Tensor | undefined)[]): TypedArray[] {
  const { direction, layout, hidden_size: hidden } = node.attributes;
  const [x, w, r, b, lengths, h0, c0, p] = inputs.map((each) =>
    each === undefined ? undefined : doubles(each.data),
  );
  const [first, second, size] = inputs[0]!.shape as [number, number, number];
  const [steps, batch] = layout ? [second, first] : [first, second];
  const directions = direction === 'bidirectional' ? 2 : 1;
  const gates = GATES[node.op];
  const rows = gates * hidden;
  const y = new Float64Array(steps * directions * batch * hidden);
  const lastH = new Float64Array(directions * batch * hidden);
  const lastC = new Float64Array(directions * batch * hidden);
  for (let d = 0; d < directions; d++) {
    const reverse = direction === 'reverse' || d === 1;
    const bias = (offset: number, i: number): number => (b === undefined ? 0 : b[d * 2 * rows + offset + i]!);
    const step = stepOf(node, activationsOf(node, d), {
      hidden,
      input: (from, g) => {
        let sum = bias(0, g);
        for (let k = 0; k < size; k++) sum += w![(d * rows + g) * size + k]! * x![from + k]!;
        return sum;
      },
      feedback: (h, g) => {
        let sum = bias(rows, g);
        for (let k = 0; k < hidden; k++) sum += r![(d * rows + g) * hidden + k]! * h[k]!;
        return sum;
      },
      peephole: (i) => (p === undefined ? 0 : p[d * 3 * hidden + i]!),
    });
    for (let n = 0; n < batch; n++) {
      const at = (layout ? n * directions + d : d * batch + n) * hidden;
      const start = (given: Float64Array | undefined): Float64Array =>
        given === undefined ? new Float64Array(hidden) : given.slice(at, at + hidden);
      let [h, c] = [start(h0), start(c0)];
      const count = lengths === undefined ? steps : lengths[n]!;
      for (let i = 0; i < count; i++) {
        const t = reverse ? count - 1 - i : i;
        [h, c] = step((layout ? n * steps + t : t * batch + n) * size, h, c);
        const place = layout ? (n * steps + t) * directions + d : (t * directions + d) * batch + n;
        y.set(h, place * hidden);
      }
      lastH.set(h, at);
      lastC.set(c, at);
    }
  }
  return [y, lastH, lastC].slice(0, node.outputs.length).map((values, i) => {
    const { type } = node.outputs[i]!;
    const out = allocate(type === 'float16' || type === 'bfloat16' ? 'float32' : type, values.length);
    (out as Float32Array).set(values);
    return out;
  });
}

interface Sums {
  readonly hidden: number;
  /** Of the input that begins at `from`, and of a hidden state, for row `g` of all gates; biases included. */
  input(from: number, g: number): number;
  feedback(h: Float64Array, g: number): number;
  /** Input, output, forget: `i` counts through all three. */
  peephole(i: number): number;
}

type Step = (from: number, h: Float64Array, c: Float64Array) => [Float64Array, Float64Array];

function stepOf(node: Recurrent, activations: readonly Curve[], sums: Sums): Step {
  const { hidden } = sums;
  const each = (of: (j: number) => number): Float64Array =>
    Float64Array.from({ length: hidden }, (_, j) => of(j));
  const [f, g, last] = activations as [Curve, Curve, Curve];
  switch (node.op) {
    case 'RNN':
      return (from, h, c) => [each((j) => f(sums.input(from, j) + sums.feedback(h, j))), c];
    case 'GRU': {
      const before = node.attributes.linear_before_reset !== 0;
      return (from, h, c) => {
        const gate = (k: number): Float64Array =>
          each((j) => f(sums.input(from, k * hidden + j) + sums.feedback(h, k * hidden + j)));
        const [z, r] = [gate(0), gate(1)];
        const reset = h.map((value, j) => value * r[j]!);
        const candidate = each((j) => {
          const row = 2 * hidden + j;
          // The bias of the feedback is outside of the reset in one form, inside in the other.
          const fed = before ? r[j]! * sums.feedback(h, row) : sums.feedback(reset, row);
          return g(sums.input(from, row) + fed);
        });
        return [each((j) => (1 - z[j]!) * candidate[j]! + z[j]! * h[j]!), c];
      };
    }
    case 'LSTM':
      return (from, h, c) => {
        const sum = (k: number, j: number): number =>
          sums.input(from, k * hidden + j) + sums.feedback(h, k * hidden + j);
        const i = each((j) => f(sum(0, j) + sums.peephole(j) * c[j]!));
        const forget = each((j) =>
          node.attributes.input_forget !== 0
            ? 1 - i[j]!
            : f(sum(2, j) + sums.peephole(2 * hidden + j) * c[j]!),
        );
        const next = each((j) => forget[j]! * c[j]! + i[j]! * g(sum(3, j)));
        const o = each((j) => f(sum(1, j) + sums.peephole(hidden + j) * next[j]!));
        return [each((j) => o[j]! * last(next[j]!)), next];
      };
  }
}
