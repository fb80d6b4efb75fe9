// LSTM and GRU written out: their steps as Gemm, Add, Mul, Sigmoid and Tanh, which targets have.
// Not RNN: targets have a layer for it, or leave it whole to the host.
import {
  type Attributes,
  compileTime,
  createNode,
  type Graph,
  int64Array,
  type Node,
  type NodeOf,
  type OperatorName,
  shapeOf,
  type Value,
} from '../ir/index.js';
import type { Pass } from './pass.js';
import { Rewriter } from './rewriter.js';

/** A graph grows by a dozen nodes for each step. */
const STEPS_MAX = 64;
const GATES = { LSTM: 4, GRU: 3 } as const;

type Cell = NodeOf<'LSTM'> | NodeOf<'GRU'>;

/** Writes out cells with known weights, the usual activations, and sequences that are all as long as the tensor. */
export const recurrentSteps: Pass = {
  name: 'recurrent-steps',
  run(graph: Graph): boolean {
    const rewriter = new Rewriter(graph);
    for (const node of graph.nodes)
      if ((node.op === 'LSTM' || node.op === 'GRU') && isPlain(node)) new Steps(node, rewriter).write();
    rewriter.finish();
    return rewriter.changed;
  },
};

function isPlain(node: Cell): boolean {
  const { activations, clip, layout } = node.attributes;
  const [x, w, r, b, lengths] = node.inputs;
  const usual = node.op === 'LSTM' ? ['sigmoid', 'tanh', 'tanh'] : ['sigmoid', 'tanh'];
  if (activations.some((name, i) => name.toLowerCase() !== usual[i % usual.length])) return false;
  if (clip !== 0 || layout !== 0 || (node.op === 'LSTM' && node.attributes.input_forget !== 0)) return false;
  if (x?.type !== 'float32' || [w, r].some((each) => each?.data === undefined)) return false;
  if ((b !== undefined && b.data === undefined) || node.inputs[7] !== undefined) return false;
  const [steps] = shapeOf(x);
  if (lengths !== undefined && compileTime(node)(4)?.some((each) => each !== steps) !== false) return false;
  return steps! <= STEPS_MAX;
}

class Steps {
  readonly #node: Cell;
  readonly #rewriter: Rewriter;
  readonly #steps: number;
  readonly #batch: number;
  readonly #size: number;
  readonly #hidden: number;
  readonly #matrices = new Map<string, Value>();

  constructor(node: Cell, rewriter: Rewriter) {
    this.#node = node;
    this.#rewriter = rewriter;
    [this.#steps, this.#batch, this.#size] = shapeOf(node.inputs[0]!) as [number, number, number];
    this.#hidden = node.attributes.hidden_size;
  }

  write(): void {
    const { direction } = this.#node.attributes;
    const count = direction === 'bidirectional' ? 2 : 1;
    const runs = Array.from({ length: count }, (_, d) =>
      this.#direction(d, direction === 'reverse' || d === 1),
    );
    const state = [1, this.#batch, this.#hidden];
    const step = [1, 1, this.#batch, this.#hidden];
    const [y, h, c] = this.#node.outputs;
    const alongSteps = runs.map(({ states }) =>
      this.#used(y)
        ? this.#concat(
            states.map((each) => this.#reshape(each, step)),
            0,
          )
        : undefined,
    );
    if (this.#used(y))
      this.#finish(
        alongSteps.map((each) => each!),
        1,
        y!,
      );
    if (this.#used(h))
      this.#finish(
        runs.map((run) => this.#reshape(run.last, state)),
        0,
        h!,
      );
    if (this.#used(c))
      this.#finish(
        runs.map((run) => this.#reshape(run.cell!, state)),
        0,
        c!,
      );
    this.#rewriter.remove(this.#node);
  }

  #used(value: Value | undefined): boolean {
    return (
      value !== undefined && (this.#rewriter.consumers(value).length > 0 || this.#rewriter.isOutput(value))
    );
  }

  /** All steps of one direction: hidden states in the order of the sequence, and what is left at the end. */
  #direction(d: number, reverse: boolean): { states: Value[]; last: Value; cell: Value | undefined } {
    const [x, , , , , h0, c0] = this.#node.inputs;
    const gates = GATES[this.#node.op];
    const rows = gates * this.#hidden;
    const isLstm = this.#node.op === 'LSTM';
    // What the inputs make of all gates, for all steps at once. The feedback's bias of a GRU's candidate is inside of the reset.
    const split = isLstm ? rows : 2 * this.#hidden;
    const back = this.#bias(d, rows, 2 * rows);
    const fed = back.slice(split);
    const bias = this.#bias(d, 0, rows).map((value, i) => value + (i < split ? back[i]! : 0));
    const flat = this.#reshape(x!, [this.#steps * this.#batch, this.#size]);
    const w = this.#matrix(1, d, 0, rows, this.#size);
    const inputs = this.#make('Gemm', [flat, w, this.#vector(bias)], { transB: 1 });
    const stateOf = (given: Value | undefined): Value | undefined =>
      given && this.#reshape(this.#part(given, d, d + 1, 0), [this.#batch, this.#hidden]);
    let [h, c] = [stateOf(h0), stateOf(c0)];
    const states: Value[] = [];
    for (let i = 0; i < this.#steps; i++) {
      const t = reverse ? this.#steps - 1 - i : i;
      const given = this.#part(inputs, t * this.#batch, (t + 1) * this.#batch, 0);
      if (isLstm) [h, c] = this.#lstm(given, d, h, c);
      else h = this.#gru(given, d, h, fed);
      states[t] = h;
    }
    return { states, last: h!, cell: c };
  }

  #lstm(given: Value, d: number, h: Value | undefined, c: Value | undefined): [Value, Value] {
    const n = this.#hidden;
    const sums = this.#add(
      given,
      h && this.#make('Gemm', [h, this.#matrix(2, d, 0, 4 * n, n)], { transB: 1 }),
    );
    const gates = this.#make('Sigmoid', [this.#part(sums, 0, 3 * n, 1)]);
    const candidate = this.#make('Tanh', [this.#part(sums, 3 * n, 4 * n, 1)]);
    const gate = (k: number): Value => this.#part(gates, k * n, (k + 1) * n, 1);
    const kept = c && this.#make('Mul', [gate(2), c]);
    const cell = this.#add(this.#make('Mul', [gate(0), candidate]), kept);
    return [this.#make('Mul', [gate(1), this.#make('Tanh', [cell])]), cell];
  }

  #gru(given: Value, d: number, h: Value | undefined, fed: number[]): Value {
    const n = this.#hidden;
    const both = this.#part(given, 0, 2 * n, 1);
    const last = this.#part(given, 2 * n, 3 * n, 1);
    const recurrent = (from: Value, low: number, high: number, bias?: Value): Value =>
      this.#make('Gemm', [from, this.#matrix(2, d, low * n, high * n, n), bias], { transB: 1 });
    const gates = this.#make('Sigmoid', [this.#add(both, h && recurrent(h, 0, 2))]);
    const [z, r] = [this.#part(gates, 0, n, 1), this.#part(gates, n, 2 * n, 1)];
    const bias = fed.some((value) => value !== 0) ? this.#vector(fed) : undefined;
    let extra: Value | undefined;
    if (this.#node.op === 'GRU' && this.#node.attributes.linear_before_reset !== 0) {
      const state = h ?? this.#zeros();
      extra =
        h === undefined && bias === undefined
          ? undefined
          : this.#make('Mul', [r, recurrent(state, 2, 3, bias)]);
    } else if (h !== undefined) extra = recurrent(this.#make('Mul', [r, h]), 2, 3, bias);
    else if (bias !== undefined) extra = this.#rows(fed);
    const candidate = this.#make('Tanh', [this.#add(last, extra)]);
    // (1 - z) n + z h = n + z (h - n)
    if (h === undefined) return this.#make('Sub', [candidate, this.#make('Mul', [z, candidate])]);
    return this.#make('Add', [candidate, this.#make('Mul', [z, this.#make('Sub', [h, candidate])])]);
  }

  #make<Op extends OperatorName>(
    op: Op,
    inputs: readonly (Value | undefined)[],
    attributes: Partial<Attributes[Op]> = {},
  ): Value {
    const name = this.#rewriter.unique(`${this.#node.outputs.find((each) => each.name !== '')!.name}_${op}`);
    const node = createNode(op, inputs, attributes, { name, outputs: [name] });
    this.#rewriter.insertBefore(this.#node, node as Node);
    return node.outputs[0]!;
  }

  #add(a: Value, b: Value | undefined): Value {
    return b === undefined ? a : this.#make('Add', [a, b]);
  }

  #ints(values: readonly number[]): Value {
    return this.#rewriter.constant('int64', [values.length], int64Array(values), `${this.#node.name}_sizes`);
  }

  #reshape(value: Value, shape: readonly number[]): Value {
    return this.#make('Reshape', [value, this.#ints(shape)]);
  }

  #part(value: Value, from: number, to: number, axis: number): Value {
    if (from === 0 && shapeOf(value)[axis] === to) return value;
    return this.#make('Slice', [value, this.#ints([from]), this.#ints([to]), this.#ints([axis])]);
  }

  #concat(values: readonly Value[], axis: number): Value {
    return values.length === 1 ? values[0]! : this.#make('Concat', values, { axis });
  }

  /** The directions next to each other become the node's own result. */
  #finish(values: readonly Value[], axis: number, result: Value): void {
    const whole = this.#concat(values, axis);
    const node = createNode('Identity', [whole], {}, { name: result.name, outputs: [result.name] });
    node.outputs[0] = result;
    this.#rewriter.insertBefore(this.#node, node as Node);
  }

  /** Elements `from` to `to` of one direction of a bias; zeros without one. */
  #bias(d: number, from: number, to: number): number[] {
    const width = 2 * GATES[this.#node.op] * this.#hidden;
    const data = this.#node.inputs[3]?.data?.numbers();
    return Array.from({ length: to - from }, (_, i) =>
      data === undefined ? 0 : Number(data[d * width + from + i]),
    );
  }

  #vector(values: readonly number[]): Value {
    return this.#rewriter.constant(
      'float32',
      [values.length],
      Float32Array.from(values),
      `${this.#node.name}_bias`,
    );
  }

  /** The same row for every sequence of the batch. */
  #rows(values: readonly number[]): Value {
    const data = Float32Array.from(
      { length: this.#batch * values.length },
      (_, i) => values[i % values.length]!,
    );
    return this.#rewriter.constant('float32', [this.#batch, values.length], data, `${this.#node.name}_rows`);
  }

  #zeros(): Value {
    return this.#rewriter.floats([this.#batch, this.#hidden], 0, `${this.#node.name}_zeros`);
  }

  /** Rows `from` to `to` of one direction's weights; made once for all steps. */
  #matrix(input: number, d: number, from: number, to: number, width: number): Value {
    const key = `${input} ${d} ${from}`;
    let known = this.#matrices.get(key);
    if (known === undefined) {
      const rows = GATES[this.#node.op] * this.#hidden;
      const all = Float32Array.from(this.#node.inputs[input]!.data!.numbers());
      const data = all.slice((d * rows + from) * width, (d * rows + to) * width);
      known = this.#rewriter.constant('float32', [to - from, width], data, `${this.#node.name}_weights`);
      this.#matrices.set(key, known);
    }
    return known;
  }
}
