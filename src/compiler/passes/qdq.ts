// Turns DequantizeLinear -> operator -> QuantizeLinear into operators on quantised values.
// Not quantisation: scales come from the model (or from quantize/, which writes the same form).
import {
  createNode,
  elementCount,
  type Graph,
  type Node,
  type NodeOf,
  type Quantization,
  roundHalfEven,
  type Value,
} from '../ir/index.js';
import type { Pass } from './pass.js';
import { Rewriter } from './rewriter.js';

/** Operators with a quantised form, and which inputs are data (all of them for Concat). Others stay between Q and DQ. */
const dataInputs: Readonly<Record<string, number>> = {
  Conv: 2,
  ConvTranspose: 2,
  Gemm: 2,
  MatMul: 2,
  Add: 2,
  Sub: 2,
  Mul: 2,
  LRN: 1,
  BatchNormalization: 1,
  AveragePool: 1,
  GlobalAveragePool: 1,
  MaxPool: 1,
  GlobalMaxPool: 1,
  Concat: Infinity,
  Relu: 1,
  Clip: 1,
  LeakyRelu: 1,
  PRelu: 1,
  Elu: 1,
  Sigmoid: 1,
  Tanh: 1,
  HardSigmoid: 1,
  HardSwish: 1,
  Abs: 1,
  Celu: 1,
  Erf: 1,
  Exp: 1,
  Gelu: 1,
  Log: 1,
  Mish: 1,
  Neg: 1,
  Reciprocal: 1,
  Selu: 1,
  Softplus: 1,
  Softsign: 1,
  Sqrt: 1,
  ThresholdedRelu: 1,
  Max: Infinity,
  Min: Infinity,
  Resize: 1,
  Pad: 1,
  Reshape: 1,
  Transpose: 1,
  Slice: 1,
  Gather: 1,
  Expand: 1,
  Tile: 1,
  DepthToSpace: 1,
  SpaceToDepth: 1,
  Flatten: 1,
  Squeeze: 1,
  Unsqueeze: 1,
};

/** Operators that commute with dequantisation by one scale: they pick elements, or compare them. Concat is one too. */
const moves = new Set([
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
  'Slice',
  'Gather',
  'Expand',
  'Tile',
  'DepthToSpace',
  'SpaceToDepth',
  'MaxPool',
  'GlobalMaxPool',
  'Identity',
  'Split',
]);

const weighted = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);

/** Scale and zero point of a Q or DQ node, when both are known. */
function parametersOf(node: NodeOf<'QuantizeLinear' | 'DequantizeLinear'>): Quantization | undefined {
  const [, scale, zero] = node.inputs;
  if (scale?.data === undefined || scale.type !== 'float32') return undefined;
  if (zero !== undefined && zero.data === undefined) return undefined;
  const scales = Float32Array.from(scale.data.array() as Float32Array);
  const zeroPoint =
    zero === undefined ? new Int32Array(scales.length) : Int32Array.from(zero.data!.numbers());
  if (scales.length === 1) return { scale: scales, zeroPoint };
  const rank = node.inputs[0]!.shape?.length ?? 0;
  const axis = node.attributes.axis < 0 ? node.attributes.axis + rank : node.attributes.axis;
  return { scale: scales, zeroPoint, axis };
}

function alike(a: Quantization | undefined, b: Quantization | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.axis === b.axis &&
    a.scale.length === b.scale.length &&
    a.scale.every((s, i) => s === b.scale[i] && a.zeroPoint[i] === b.zeroPoint[i])
  );
}

/** Gives a value its quantisation; false when it already has another. */
function mark(value: Value, quantization: Quantization): boolean {
  if (value.quantization !== undefined) return alike(value.quantization, quantization);
  value.quantization = quantization;
  return true;
}

class Conversion {
  readonly #rewriter: Rewriter;

  constructor(rewriter: Rewriter) {
    this.#rewriter = rewriter;
  }

  /** The quantised value behind a dequantised one. */
  #behind(value: Value | undefined): Value | undefined {
    const node = this.#rewriter.producer(value);
    if (node?.op !== 'DequantizeLinear') return undefined;
    const quantization = parametersOf(node);
    const from = node.inputs[0]!;
    if (quantization === undefined || !mark(from, quantization)) return undefined;
    return from;
  }

  /** DQ -> a node that moves elements: the node moves the integers, and DQ comes after it. */
  pushDown(node: Node): void {
    if (node.op !== 'Concat' && !moves.has(node.op)) return;
    if (node.op === 'Opaque' || node.activation !== undefined) return;
    if (node.outputs.length !== 1 || node.inputs[0]!.type !== 'float32') return;
    const data = node.op === 'Concat' ? node.inputs : node.inputs.slice(0, 1);
    const from = data.map((value) => this.#behind(value));
    const lead = from[0];
    if (lead?.quantization?.scale.length !== 1) return;
    if (from.some((value) => value?.type !== lead.type || !alike(value.quantization, lead.quantization)))
      return;
    const dequantize = this.#rewriter.producer(node.inputs[0])!;
    const output = node.outputs[0]!;
    const moved = createNode(
      node.op,
      [...from, ...node.inputs.slice(data.length)],
      node.attributes as never,
      { name: node.name, outputs: [this.#rewriter.unique(`${output.name}_quantized`)] },
    ) as Node;
    moved.outputs[0]!.quantization = lead.quantization;
    const after = createNode('DequantizeLinear', [moved.outputs[0], ...dequantize.inputs.slice(1)], {
      axis: 0,
    });
    after.outputs[0] = output;
    this.#rewriter.insertBefore(node, moved);
    this.#rewriter.replace(node, after);
  }

  /** x -> Q, where x comes from a node on dequantised values: that node makes the integers itself. */
  convert(quantize: NodeOf<'QuantizeLinear'>): void {
    const parameters = parametersOf(quantize);
    const x = quantize.inputs[0]!;
    const output = quantize.outputs[0]!;
    if (
      parameters?.scale.length !== 1 ||
      (output.quantization !== undefined && !alike(output.quantization, parameters))
    )
      return;
    const rewriter = this.#rewriter;
    const node = rewriter.producer(x);
    if (node === undefined) return;
    if (node.op === 'DequantizeLinear') {
      this.#requantize(quantize, parameters);
      return;
    }
    if (node.op === 'Opaque' || node.outputs.length !== 1 || rewriter.onlyConsumer(x) !== quantize) return;
    const count = dataInputs[node.op];
    if (count === undefined) return;
    const inputs = [...node.inputs];
    for (let i = 0; i < Math.min(count, inputs.length); i++) {
      const from = this.#behind(inputs[i]);
      if (from === undefined) return;
      const isWeight = i === 1 && weighted.has(node.op);
      if (!isWeight && from.quantization!.scale.length !== 1) return;
      if (
        isWeight &&
        from.quantization!.scale.length !== 1 &&
        from.quantization!.axis !== weightAxis(node, from)
      )
        return;
      inputs[i] = from;
    }
    if (weighted.has(node.op) && inputs[2] !== undefined) {
      const bias = this.#bias(inputs);
      if (bias === undefined) return;
      inputs[2] = bias;
    }
    // The values that say how the old output is stored do not change what the node is: same operator, integer values.
    const next = createNode(
      node.op,
      inputs.map((value) => value && { ...value, type: floatType(value) }),
      node.attributes as never,
      { name: node.name, outputs: [output.name] },
    ) as Node;
    next.inputs.length = 0;
    next.outputs[0] = output;
    next.activation = node.activation;
    output.quantization = parameters;
    rewriter.replace(quantize, next);
    inputs.forEach((value, i) => rewriter.setInput(next, i, value));
    rewriter.remove(node);
  }

  /** DQ -> Q: nothing when both are alike, otherwise an Identity between values of different scales. */
  #requantize(quantize: NodeOf<'QuantizeLinear'>, parameters: Quantization): void {
    const from = this.#behind(quantize.inputs[0]);
    if (from === undefined || from.quantization!.scale.length !== 1) return;
    const output = quantize.outputs[0]!;
    const rewriter = this.#rewriter;
    if (
      from.type === output.type &&
      alike(from.quantization, parameters) &&
      rewriter.replaceUses(output, from)
    ) {
      rewriter.remove(quantize);
      return;
    }
    output.quantization = parameters;
    const identity = createNode('Identity', [from], {}, { name: quantize.name });
    identity.outputs[0] = output;
    rewriter.replace(quantize, identity);
  }

  /** The bias as int32 with scale sIn * sW, whatever it was. */
  #bias(inputs: readonly (Value | undefined)[]): Value | undefined {
    const given = inputs[2]!;
    const producer = this.#rewriter.producer(given);
    const stored =
      producer?.op === 'DequantizeLinear'
        ? this.#behind(given)
        : given.data === undefined
          ? undefined
          : given;
    if (stored?.data === undefined || stored.shape === undefined) return undefined;
    const sIn = inputs[0]!.quantization!.scale[0]!;
    const sW = inputs[1]!.quantization!.scale;
    const channels = stored.shape.length === 0 ? 1 : stored.shape.at(-1)!;
    if (elementCount(stored.shape) !== channels) return undefined;
    const target = Float64Array.from({ length: sW.length }, (_, c) => sIn * sW[c]!);
    const own = stored.quantization?.scale;
    // Files store the product rounded to float32; that is the same scale.
    const fits =
      stored.type === 'int32' &&
      own !== undefined &&
      (own.length === sW.length || own.length === 1) &&
      stored.quantization!.zeroPoint.every((z) => z === 0) &&
      Array.from(target).every((s, c) => Math.abs(own[own.length === 1 ? 0 : c]! / s - 1) < 1e-4);
    if (fits) return stored;
    const data = stored.data.array();
    const zero = stored.quantization?.zeroPoint;
    const out = new Int32Array(channels);
    for (let c = 0; c < channels; c++) {
      const real =
        (Number(data[c]) - (zero?.[zero.length === 1 ? 0 : c] ?? 0)) * (own?.[own.length === 1 ? 0 : c] ?? 1);
      const q = roundHalfEven(real / target[target.length === 1 ? 0 : c]!);
      if (Math.abs(q) > 2147483647) return undefined;
      out[c] = q;
    }
    const value = this.#rewriter.constant('int32', [channels], out, `${stored.name}_int32`);
    value.quantization = biasQuantization(sIn, sW);
    return value;
  }
}

/** Scale of an int32 bias: input scale times weight scale, per output channel. */
export function biasQuantization(sIn: number, sW: Float32Array): Quantization {
  return {
    scale: sW.map((s) => s * sIn),
    zeroPoint: new Int32Array(sW.length),
    axis: sW.length === 1 ? undefined : 0,
  };
}

/** Shape inference sees quantised values as the reals they stand for. */
function floatType(value: Value): Value['type'] {
  return value.quantization === undefined ? value.type : 'float32';
}

/** The axis of the weights that the output channels lie on. */
export function weightAxis(node: Node, weights: Value): number {
  if (node.op === 'Conv') return 0;
  if (node.op === 'ConvTranspose') return 1;
  if (node.op === 'Gemm') return node.attributes.transB === 0 ? 1 : 0;
  return (weights.shape?.length ?? 1) - 1;
}

/** See the head of the file. Idempotent; what cannot be converted stays as it is. */
export const qdqToInteger: Pass = {
  name: 'qdq-to-integer',
  run(graph: Graph): boolean {
    const rewriter = new Rewriter(graph);
    const conversion = new Conversion(rewriter);
    for (const node of graph.nodes) {
      if (!rewriter.isLive(node)) continue;
      if (node.op === 'QuantizeLinear') conversion.convert(node);
      else conversion.pushDown(node);
    }
    rewriter.finish();
    return rewriter.changed;
  },
};
