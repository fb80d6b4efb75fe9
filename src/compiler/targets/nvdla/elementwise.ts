// Operators on one tensor, element by element, in SDP from memory to memory: factors and offsets per channel, ReLU, Clip, requantising.
// Not operators on two tensors: residual.ts, product.ts and extremes.ts.
import {
  type Activation,
  inputOf,
  nameOf,
  type Node,
  nodeError,
  type NodeOf,
  shapeOf,
  type Value,
} from '../../ir/index.js';
import { cubeShape, type PlacedValue, wholeWindow, type Window } from './cube.js';
import type { SdpPart, SdpStage } from './layers.js';
import type { Lowering } from './lowering.js';
import { planResult } from './result.js';
import { halfOperand, partOf, withRelu } from './half-stages.js';
import { type Quantized, requantize, type StageOperands } from './scale.js';
import { packOperands } from './weights.js';

/** out = input * factor + offset, both real, one per channel or one for all. */
function affine(
  lowering: Lowering,
  node: Node,
  input: PlacedValue,
  factor: Float64Array,
  offset: Float64Array,
): void {
  const out = node.outputs[0]!;
  const result = planResult(lowering, node, out, input.cube, input.strides);
  affineLayer(lowering, node, wholeWindow(input.cube), wholeWindow(result.cube), {
    input: input.quantization,
    output: result.quantization,
    factor,
    offset,
    relu: result.relu,
  });
  result.finish();
}

/** Reals: output = input * factor + offset, one of each per channel or one for all. */
export interface Affine {
  readonly input: Quantized;
  readonly output: Quantized;
  readonly factor: Float64Array;
  readonly offset: Float64Array;
  readonly relu: boolean;
}

/** One SDP pass from a window to another of the same size. */
export function affineLayer(
  lowering: Lowering,
  node: Node,
  from: Window,
  to: Window,
  { input, output, factor, offset, relu }: Affine,
): void {
  if (input.half !== output.half) throw nodeError(node, 'EOPNOTSUPP', 'converts between int8 and fp16');
  if (input.half) {
    const stages: SdpStage[] = [];
    if (factor.some((value) => value !== 1)) stages.push(halfOperand('mul', factor));
    if (offset.some((value) => value !== 0)) stages.push(halfOperand('add', offset));
    const sdp = partOf(relu ? withRelu(stages) : stages);
    if (relu && stages.length === 2 && sdp.x2?.relu !== true) throw new Error('three stages');
    lowering.layers.push({
      kind: 'sdp',
      nodes: [nameOf(node)],
      input: from,
      output: to,
      macs: 0,
      hardwareMacs: 0,
      sdp,
    });
    return;
  }
  if (factor.some((value) => value === 0 || !Number.isFinite(value)))
    throw nodeError(node, 'EOPNOTSUPP', 'a factor is zero or not finite');
  const stages = requantize({
    factor: factor.map((value) => (value * input.scale) / output.scale),
    bias: offset.map((value, k) => value / (factor[k]! * input.scale) - input.zeroPoint),
    bound: new Float64Array(factor.length).fill(128),
    zeroPoint: output.zeroPoint,
    relu,
  });
  const sdp: SdpPart = { x1: affineStage(stages.x1), x2: affineStage(stages.x2), out: stages.out };
  lowering.layers.push({
    kind: 'sdp',
    nodes: [nameOf(node)],
    input: from,
    output: to,
    macs: 0,
    hardwareMacs: 0,
    sdp,
  });
}

/** One operand is a register value, several are a vector in memory. */
function affineStage({ shift, truncate, relu, alu, mul }: StageOperands): SdpStage {
  const common = { type: 'both', alu: 'sum', shift, truncate, relu } as const;
  if (alu.length === 1) return { ...common, mode: 'layer', aluOperand: alu[0]!, mulOperand: mul[0]! };
  return {
    ...common,
    mode: 'kernel',
    constant: { bytes: alu.length * 4, make: () => packOperands(alu, mul) },
  };
}

const one = Float64Array.of(1);
const none = Float64Array.of(0);

/** The same reals in another place, with another scale. */
export function copyLayer(
  lowering: Lowering,
  node: Node,
  from: Window,
  to: Window,
  scales: Omit<Affine, 'factor' | 'offset'>,
): void {
  affineLayer(lowering, node, from, to, { ...scales, factor: one, offset: none });
}

/** The same reals with another scale: Relu, Clip, a pair of DequantizeLinear and QuantizeLinear. */
export function lowerRequantize(lowering: Lowering, node: Node, input: PlacedValue): void {
  affine(lowering, node, input, one, none);
}

/** Relu and Clip as operators of their own: an activation without anything before it. */
export function lowerActivation(lowering: Lowering, node: NodeOf<'Relu'> | NodeOf<'Clip'>): void {
  const limit = (index: number, otherwise: number): number => {
    const value = node.inputs[index];
    return value === undefined ? otherwise : reals(node, value)[0]!;
  };
  const activation: Activation =
    node.op === 'Relu' ? { op: 'Relu' } : { op: 'Clip', min: limit(1, -Infinity), max: limit(2, Infinity) };
  activate(lowering, node, inputOf(node, 0), activation);
}

/** Max and Min with a number. */
export function lowerLimit(
  lowering: Lowering,
  node: NodeOf<'Max'> | NodeOf<'Min'>,
  tensor: Value,
  limit: number,
): void {
  const [min, max] = node.op === 'Max' ? [limit, Infinity] : [-Infinity, limit];
  activate(lowering, node, tensor, { op: 'Clip', min, max });
}

function activate(lowering: Lowering, node: Node, tensor: Value, activation: Activation): void {
  const input = lowering.inAnyCube(node, tensor);
  const out = node.outputs[0]!;
  const result = planResult(lowering, node, out, input.cube, input.strides, { activation });
  copyLayer(lowering, node, wholeWindow(input.cube), wholeWindow(result.cube), {
    input: input.quantization,
    output: result.quantization,
    relu: result.relu,
  });
  result.finish();
}

/** Mul and Div by a constant: one number, or one per channel. */
export function lowerScale(lowering: Lowering, node: NodeOf<'Mul'> | NodeOf<'Div'>): void {
  const a = inputOf(node, 0);
  const b = inputOf(node, 1);
  const [tensor, constant] = b.data !== undefined ? [a, b] : [b, a];
  if (node.op === 'Div' && (constant !== b || constant.data === undefined))
    throw nodeError(node, 'EOPNOTSUPP', 'SDP multiplies and adds: it has no division by a tensor');
  const input = cubeFor(lowering, node, tensor, constant);
  const values = perChannel(node, constant, input, shapeOf(tensor));
  const factor = node.op === 'Div' ? values.map((value) => 1 / value) : values;
  affine(lowering, node, input, factor, new Float64Array(factor.length));
}

export function lowerBatchNormalization(lowering: Lowering, node: NodeOf<'BatchNormalization'>): void {
  const x = inputOf(node, 0);
  const input = lowering.inCube(node, x);
  const shape = shapeOf(x);
  const parameter = (index: number): Float64Array => {
    const value = inputOf(node, index);
    return reals(node, value).length === 1 ? perChannel(node, value, input, shape) : reals(node, value);
  };
  const [scale, bias, mean, variance] = [parameter(1), parameter(2), parameter(3), parameter(4)];
  const factor = scale.map((value, k) => value / Math.sqrt(variance[k]! + node.attributes.epsilon));
  affine(
    lowering,
    node,
    input,
    factor,
    bias.map((value, k) => value - mean[k]! * factor[k]!),
  );
}

/** out = factor * tensor + sign * constant. */
export function offsetPerChannel(
  lowering: Lowering,
  node: Node,
  tensor: Value,
  constant: Value,
  sign: 1 | -1,
  factor: 1 | -1 = 1,
): void {
  const input = cubeFor(lowering, node, tensor, constant);
  const offset = perChannel(node, constant, input, shapeOf(tensor)).map((value) => value * sign);
  affine(lowering, node, input, new Float64Array(offset.length).fill(factor), offset);
}

/** The tensor in a cube whose channels a constant may belong to; in any where the constant is one number. */
function cubeFor(lowering: Lowering, node: Node, tensor: Value, constant: Value): PlacedValue {
  return constant.data?.length === 1 ? lowering.inAnyCube(node, tensor) : lowering.inCube(node, tensor);
}

/** A constant as reals: floats, or quantised integers. */
export function reals(node: Node, { data, quantization, type }: Value): Float64Array {
  if (data === undefined) throw nodeError(node, 'EOPNOTSUPP', 'a parameter is not constant');
  if (type === 'float32' || type === 'float64') return Float64Array.from(data.array() as Float32Array);
  if (quantization === undefined || quantization.scale.length !== 1)
    throw nodeError(node, 'EOPNOTSUPP', `a parameter is ${type} without one scale`);
  const { scale, zeroPoint } = quantization;
  return Float64Array.from(data.array() as Int8Array, (q) => (q - zeroPoint[0]!) * scale[0]!);
}

/** A constant that broadcasts to one value, or one per channel of the cube. */
export function perChannel(
  node: Node,
  value: Value,
  input: PlacedValue,
  shape: readonly number[],
): Float64Array {
  const values = reals(node, value);
  if (values.length === 1) return values;
  const own = shapeOf(value);
  const axis = shape.length - own.length + own.findIndex((dim) => dim !== 1);
  const channelAxis = cubeShape(shape)?.axes[0];
  if (values.length !== input.cube.channels || axis !== channelAxis)
    throw nodeError(node, 'EOPNOTSUPP', `a constant of shape [${own.join(',')}] is not one per channel`);
  return values;
}
