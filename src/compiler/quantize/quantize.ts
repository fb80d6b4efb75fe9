// Post-training quantisation to int8: float graph and calibration data in, quantised graph out.
// Not training, and no guess: without data there are no ranges. The result is the form QDQ models are brought to.
import {
  CompileError,
  Constant,
  createNode,
  elementCount,
  type Graph,
  type Node,
  roundHalfEven,
  type TypedArray,
  type Value,
} from '../ir/index.js';
import { optimize } from '../passes/index.js';
import { weightAxis } from '../passes/qdq.js';
import { Rewriter } from '../passes/rewriter.js';
import { type Calibration, observe, type Range, type RangeMethod } from './observe.js';

export interface QuantizeOptions {
  /** `symmetric`: zero point 0 everywhere, simplest for hardware. `asymmetric`: the whole of int8. Default symmetric. */
  readonly activations?: 'symmetric' | 'asymmetric';
  /** Default `mse`. */
  readonly range?: RangeMethod;
  /** Names of nodes to leave in float. */
  readonly keepFloat?: readonly string[];
}

/** Operators with known weights: where integer arithmetic begins. */
const anchors = new Set<string>(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);

/** Operators that follow in integers when all their data is quantised, and make a value of its own range. */
const followers = new Set<string>([
  ...[
    'Add',
    'Sub',
    'Mul',
    'LRN',
    'BatchNormalization',
    'AveragePool',
    'GlobalAveragePool',
    'Relu',
    'Clip',
    'LeakyRelu',
    'Elu',
  ],
  ...['Sigmoid', 'Tanh', 'HardSigmoid', 'HardSwish', 'Pad', 'Resize', 'PRelu', 'Max', 'Min'],
  ...['Celu', 'Erf', 'Gelu', 'Mish', 'Selu', 'Softplus', 'Softsign', 'ThresholdedRelu'],
]);

/** Operators whose result has the range of what they take. */
const movers = new Set<string>([
  ...[
    'MaxPool',
    'GlobalMaxPool',
    'Concat',
    'Reshape',
    'Flatten',
    'Squeeze',
    'Unsqueeze',
    'Transpose',
    'Slice',
  ],
  ...['Gather', 'Expand', 'Tile', 'DepthToSpace', 'SpaceToDepth', 'Identity'],
]);

/** Whether the operator takes all inputs as data, or only the first ones. */
function dataOf(node: Node): Value[] {
  const count = ['Concat', 'Max', 'Min'].includes(node.op)
    ? node.inputs.length
    : ['Add', 'Sub', 'Mul', 'MatMul'].includes(node.op)
      ? 2
      : 1;
  return node.inputs.slice(0, count).filter((value) => value !== undefined);
}

/** Sets of values that share one scale, as a forest. */
class Groups {
  readonly #parents = new Map<Value, Value>();

  find(value: Value): Value {
    const parent = this.#parents.get(value);
    if (parent === undefined || parent === value) return value;
    const root = this.find(parent);
    this.#parents.set(value, root);
    return root;
  }

  join(a: Value, b: Value): void {
    this.#parents.set(this.find(a), this.find(b));
  }
}

/** Which values become integers, and which share a scale. */
interface Plan {
  /** Nodes whose results are quantised behind them; movers are not: they pass on what they take. */
  readonly makers: Set<Node>;
  readonly nodes: Set<Node>;
  readonly values: Set<Value>;
  readonly groups: Groups;
}

function plan(graph: Graph, keepFloat: ReadonlySet<string>): Plan {
  const [makers, nodes, values, groups] = [new Set<Node>(), new Set<Node>(), new Set<Value>(), new Groups()];
  for (const value of graph.inputs) if (value.type === 'float32') values.add(value);
  for (const node of graph.nodes) {
    const output = node.outputs[0];
    if (keepFloat.has(node.name) || node.outputs.length !== 1 || output?.type !== 'float32') continue;
    const data = dataOf(node);
    const known = (value: Value) => value.data !== undefined && elementCount(value.shape ?? []) === 1;
    if (anchors.has(node.op)) {
      if (!values.has(node.inputs[0]!)) continue;
      if (node.inputs[1]!.data === undefined && !(node.op === 'MatMul' && values.has(node.inputs[1]!)))
        continue;
      if (node.inputs[2] !== undefined && node.inputs[2].data === undefined) continue;
      if (node.op === 'Gemm' && (node.attributes.alpha !== 1 || node.attributes.beta !== 1)) continue;
      makers.add(node);
    } else if (followers.has(node.op)) {
      if (
        !data.every((value) => values.has(value) || known(value)) ||
        !data.some((value) => values.has(value))
      )
        continue;
      if (
        node.op === 'Pad' &&
        node.attributes.mode === 'constant' &&
        Number(node.inputs[2]?.data?.numbers()[0] ?? 0) !== 0
      )
        continue;
      makers.add(node);
    } else if (movers.has(node.op)) {
      if (!data.every((value) => values.has(value))) continue;
      for (const value of data) groups.join(value, output);
    } else continue;
    nodes.add(node);
    values.add(output);
  }
  return { makers, nodes, values, groups };
}

/** Scale and zero point of an int8 activation that covers the range. */
function activationScale({ min, max }: Range, symmetric: boolean): { scale: number; zeroPoint: number } {
  if (symmetric) return { scale: Math.fround(Math.max(-min, max) / 127) || 1, zeroPoint: 0 };
  const scale = Math.fround((max - min) / 255) || 1;
  return { scale, zeroPoint: Math.min(127, Math.max(-128, roundHalfEven(-128 - min / scale))) };
}

/** Symmetric int8 weights with one scale per index of `axis`, none so small that the bias would leave int32. */
function quantizeWeights(
  weights: Value,
  axis: number | undefined,
  bias: Value | undefined,
  sIn: number,
): { data: Constant; scale: Float32Array } {
  const shape = weights.shape!;
  const channels = axis === undefined ? 1 : shape[axis]!;
  const inner = axis === undefined ? elementCount(shape) : elementCount(shape.slice(axis + 1));
  const fill = weights.data!.fill;
  const offsets = bias?.data?.array() as Float32Array | undefined;
  const scale = new Float32Array(channels);
  const data = fill === undefined ? (weights.data!.array() as Float32Array) : undefined;
  if (data === undefined) scale.fill(Math.abs(Number(fill)));
  else {
    for (let i = 0; i < data.length; i++) {
      const c = Math.floor(i / inner) % channels;
      scale[c] = Math.max(scale[c]!, Math.abs(data[i]!));
    }
  }
  for (let c = 0; c < channels; c++) {
    const offset =
      offsets === undefined
        ? 0
        : channels === 1
          ? offsets.reduce((top, x) => Math.max(top, Math.abs(x)), 0)
          : Math.abs(offsets[c]!);
    scale[c] = Math.max(scale[c]! / 127, offset / (sIn * 2 ** 30)) || 1;
  }
  if (data === undefined)
    return {
      data: Constant.fill('int8', elementCount(shape), roundHalfEven(Number(fill) / scale[0]!)),
      scale,
    };
  const out = new Int8Array(data.length);
  for (let i = 0; i < out.length; i++) {
    const q = roundHalfEven(data[i]! / scale[Math.floor(i / inner) % channels]!);
    out[i] = Math.max(-127, Math.min(127, q));
  }
  return { data: Constant.of('int8', out), scale };
}

/** Puts QuantizeLinear and DequantizeLinear around what the plan makes integer. */
class Insertion {
  readonly #rewriter: Rewriter;

  constructor(rewriter: Rewriter) {
    this.#rewriter = rewriter;
  }

  #parameters(name: string, scale: Float32Array, zeroPoint: number): [Value, Value] {
    const shape = scale.length === 1 ? [] : [scale.length];
    return [
      this.#rewriter.constant('float32', shape, scale, `${name}_scale`),
      this.#rewriter.constant(
        'int8',
        shape,
        new Int8Array(scale.length).fill(zeroPoint),
        `${name}_zero_point`,
      ),
    ];
  }

  /** value -> Q -> DQ -> everything that used the value. A graph output keeps its name. */
  behind(value: Value, scale: number, zeroPoint: number, first: Node | undefined): void {
    const rewriter = this.#rewriter;
    const maker = rewriter.producer(value);
    const [s, z] = this.#parameters(value.name, Float32Array.of(scale), zeroPoint);
    const users = [...rewriter.consumers(value)];
    const quantize = createNode(
      'QuantizeLinear',
      [value, s, z],
      {},
      { outputs: [rewriter.unique(`${value.name}_quantized`)] },
    );
    const dequantize = createNode(
      'DequantizeLinear',
      [quantize.outputs[0], s, z],
      {},
      { outputs: [rewriter.unique(`${value.name}_dequantized`)] },
    );
    for (const user of new Set(users))
      user.inputs.forEach((input, i) => {
        if (input === value) rewriter.setInput(user, i, dequantize.outputs[0]);
      });
    if (maker !== undefined) {
      rewriter.insertAfter(maker, quantize);
      rewriter.insertAfter(maker, dequantize);
    } else {
      rewriter.insertBefore(first!, quantize);
      rewriter.insertBefore(first!, dequantize);
    }
    const output = rewriter.graph.outputs.indexOf(value);
    if (output < 0 || maker === undefined) return;
    const name = value.name;
    value.name = rewriter.unique(`${name}_float`);
    dequantize.outputs[0]!.name = name;
    rewriter.graph.outputs[output] = dequantize.outputs[0]!;
  }

  /** DQ of int8 weights in place of float weights. */
  weights(node: Node, index: number, data: Constant, scale: Float32Array, axis: number | undefined): void {
    const rewriter = this.#rewriter;
    const old = node.inputs[index]!;
    const [s, z] = this.#parameters(old.name, scale, 0);
    const stored = rewriter.constant('int8', old.shape!, data, `${old.name}_int8`);
    const dequantize = createNode(
      'DequantizeLinear',
      [stored, s, z],
      { axis: axis ?? 0 },
      { outputs: [rewriter.unique(`${old.name}_dequantized`)] },
    );
    rewriter.insertBefore(node, dequantize);
    rewriter.setInput(node, index, dequantize.outputs[0]);
  }
}

/** The output channels' axis, or undefined where one scale must do: products of batches, grouped transposed convolution. */
function channelAxis(node: Node, weights: Value): number | undefined {
  if (node.op === 'ConvTranspose' && node.attributes.group !== 1) return undefined;
  if (node.op === 'MatMul' && weights.shape?.length !== 2) return undefined;
  // Repeated weights are alike in every channel.
  if (weights.data?.fill !== undefined) return undefined;
  return weightAxis(node, weights);
}

/**
 * Quantises a float graph to int8, in place, and returns it: optimised, convolutions and products and what hangs
 * together with them on int8 values, with per-channel symmetric weights and int32 bias. Inputs and outputs stay float.
 * Operators without an integer form (Softmax ...) stay float.
 * @param calibration Inputs like those the network will see; a handful is enough for most, some hundreds are better.
 * @throws CompileError EINVAL: no calibration data, or the graph is quantised already.
 */
export function quantize(
  graph: Graph,
  calibration: readonly Readonly<Record<string, TypedArray>>[],
  options: QuantizeOptions = {},
): Graph {
  if (calibration.length === 0)
    throw new CompileError('EINVAL', {
      rule: 'quantisation needs calibration data: at least one set of inputs',
    });
  const symmetric = (options.activations ?? 'symmetric') === 'symmetric';
  optimize(graph);
  if ([...graph.values()].some((value) => value.quantization !== undefined))
    throw new CompileError('EINVAL', { rule: 'the graph is quantised already' });
  const { makers, nodes, values, groups } = plan(graph, new Set(options.keepFloat));
  const ranges = observe(
    graph,
    values,
    calibration as readonly Calibration[],
    options.range ?? 'mse',
    symmetric,
  );
  const members = new Map<Value, Value[]>();
  for (const value of values) {
    const root = groups.find(value);
    const list = members.get(root);
    if (list === undefined) members.set(root, [value]);
    else list.push(value);
  }
  const scales = new Map<Value, { scale: number; zeroPoint: number }>();
  for (const [root, list] of members) scales.set(root, activationScale(ranges.of(list), symmetric));
  const scaleOf = (value: Value) => scales.get(groups.find(value))!;

  const rewriter = new Rewriter(graph);
  const insertion = new Insertion(rewriter);
  const original = graph.nodes;
  for (const node of original) {
    if (!nodes.has(node)) continue;
    const index =
      node.op === 'Gather'
        ? 0
        : node.inputs.findIndex((value) => value?.data !== undefined && value.type === 'float32');
    if (anchors.has(node.op) && node.inputs[1]?.data !== undefined) {
      const weights = node.inputs[1];
      const axis = channelAxis(node, weights);
      const { data, scale } = quantizeWeights(weights, axis, node.inputs[2], scaleOf(node.inputs[0]!).scale);
      insertion.weights(node, 1, data, scale, axis);
    } else if (['Add', 'Sub', 'Mul', 'Max', 'Min'].includes(node.op) && index >= 0) {
      const { data, scale } = quantizeWeights(node.inputs[index]!, undefined, undefined, 1);
      insertion.weights(node, index, data, scale, undefined);
    }
  }
  for (const value of graph.inputs) {
    const users = rewriter.consumers(value);
    if (!values.has(value) || !users.some((user) => nodes.has(user))) continue;
    const { scale, zeroPoint } = scaleOf(value);
    insertion.behind(value, scale, zeroPoint, original[0]);
  }
  for (const node of makers) {
    const { scale, zeroPoint } = scaleOf(node.outputs[0]!);
    insertion.behind(node.outputs[0]!, scale, zeroPoint, undefined);
  }
  rewriter.finish();
  return optimize(graph);
}
