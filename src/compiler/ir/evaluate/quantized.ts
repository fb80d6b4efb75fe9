// The integer semantics of a quantised graph: what every target must compute, to the bit.
// Contract: exact sums of (q - zeroPoint) products, one multiplication by sIn * sW / sOut in double precision,
// round half to even, add the zero point, clamp. Tables and rare operators: dequantise, compute, quantise.
import { type Activation, type Node, nodeError, type Quantization, shapeOf, type Value } from '../graph.js';
import { elementCount, integerRange, type TypedArray } from '../types.js';
import { convolve, convolveTransposed, gemmProduct, matrixProduct } from './linear.js';
import { runKernel } from './kernels.js';
import { globalWindow, pool, sum } from './pooling.js';
import { allocate, broadcastIndex, doubles, roundHalfEven, type Tensor } from './tensor.js';
import { type Weights, weightsOf } from './weights.js';

/** Whether the node computes on quantised values, so that the rules here hold and not those of plain tensors. */
export function isQuantized(node: Node): boolean {
  if (node.op === 'QuantizeLinear' || node.op === 'DequantizeLinear') return false;
  return node.outputs.some((value) => value.quantization !== undefined);
}

function sameQuantization(a: Quantization | undefined, b: Quantization | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.axis !== b.axis || a.scale.length !== b.scale.length)
    return false;
  return a.scale.every((scale, i) => scale === b.scale[i] && a.zeroPoint[i] === b.zeroPoint[i]);
}

/** The one scale and zero point of a value; throws when it has one per channel. */
export function perTensor(node: Node, value: Value): { scale: number; zeroPoint: number } {
  const q = value.quantization;
  if (q?.scale.length !== 1)
    throw nodeError(node, 'EOPNOTSUPP', `"${value.name}" must be quantised with one scale`);
  return { scale: q.scale[0]!, zeroPoint: q.zeroPoint[0]! };
}

/** The function a fused activation applies to the real result. */
export function activationFunction(activation: Activation | undefined): ((x: number) => number) | undefined {
  switch (activation?.op) {
    case undefined:
      return undefined;
    case 'Relu':
      return (x) => (x > 0 ? x : 0);
    case 'Clip': {
      const { min, max } = activation;
      return (x) => Math.min(max, Math.max(min, x));
    }
    case 'LeakyRelu': {
      const { alpha } = activation;
      return (x) => (x < 0 ? alpha * x : x);
    }
    case 'Sigmoid':
      return (x) => 1 / (1 + Math.exp(-x));
    case 'Tanh':
      return Math.tanh;
  }
}

/**
 * Real results in units of the output scale -> integers. Relu and Clip become bounds on the integer, which is the same
 * as bounding the real value before rounding; other activations are applied to the real value.
 */
function requantize(node: Node, scaled: Float64Array): TypedArray {
  const output = node.outputs[0]!;
  const range = integerRange(output.type);
  if (range === undefined)
    throw nodeError(node, 'EOPNOTSUPP', `quantised results of type ${output.type} are not supported`);
  const { scale, zeroPoint } = perTensor(node, output);
  let { min, max } = range;
  const { activation } = node;
  let curve: ((x: number) => number) | undefined;
  if (activation?.op === 'Relu') min = Math.max(min, zeroPoint);
  else if (activation?.op === 'Clip') {
    const low = roundHalfEven(activation.min / scale) + zeroPoint;
    const high = roundHalfEven(activation.max / scale) + zeroPoint;
    [min, max] = [Math.min(max, Math.max(min, low)), Math.max(min, Math.min(max, high))];
  } else curve = activationFunction(activation);
  const out = allocate(output.type, scaled.length) as Int8Array;
  for (let i = 0; i < out.length; i++) {
    const real = curve === undefined ? scaled[i]! : curve(scaled[i]! * scale) / scale;
    const q = roundHalfEven(real) + zeroPoint;
    out[i] = q < min ? min : q > max ? max : q;
  }
  return out;
}

/** The elements minus their zero point, as doubles. */
function centred(value: Value, tensor: Tensor): Float64Array {
  const q = value.quantization;
  const data = doubles(tensor.data);
  if (q === undefined || q.zeroPoint.every((zero) => zero === 0)) return data;
  if (q.zeroPoint.length === 1) {
    const zero = q.zeroPoint[0]!;
    return data.map((x) => x - zero);
  }
  const inner = elementCount(tensor.shape.slice(q.axis! + 1));
  return data.map((x, i) => x - q.zeroPoint[Math.floor(i / inner) % q.zeroPoint.length]!);
}

/** Input 1 minus its zero point. */
function centredWeights(node: Node, tensor: Tensor): Weights {
  const q = node.inputs[1]!.quantization;
  const inner = q?.axis === undefined ? 1 : elementCount(tensor.shape.slice(q.axis + 1));
  return weightsOf(tensor, q?.zeroPoint, inner);
}

/** Real values of a quantised tensor, in doubles. Values without quantisation are taken as they are. */
function dequantized(value: Value, tensor: Tensor): Float64Array {
  const q = value.quantization;
  const data = centred(value, tensor);
  if (q === undefined) return data;
  if (q.scale.length === 1) {
    const scale = q.scale[0]!;
    return data.map((x) => x * scale);
  }
  const inner = elementCount(tensor.shape.slice(q.axis! + 1));
  return data.map((x, i) => x * q.scale[Math.floor(i / inner) % q.scale.length]!);
}

/**
 * Sums laid out [.., channel, plane] plus int32 bias, scaled to output units. The weights' scales run along the output
 * channels; the bias is an int32 with scale sIn * sW, or a float that is brought there.
 */
function scaleSums(
  node: Node,
  sums: Float64Array,
  plane: number,
  channels: number,
  bias: Tensor | undefined,
): TypedArray {
  const [x, w] = [node.inputs[0]!, node.inputs[1]!];
  const sIn = perTensor(node, x).scale;
  const sOut = perTensor(node, node.outputs[0]!).scale;
  const scales = w.quantization?.scale;
  if (scales === undefined || (scales.length !== 1 && scales.length !== channels))
    throw nodeError(node, 'EINVAL', `the weights need one scale, or one per output channel (${channels})`);
  const multiplier = Float64Array.from(
    { length: channels },
    (_, c) => (sIn * scales[scales.length === 1 ? 0 : c]!) / sOut,
  );
  const offset = new Float64Array(channels);
  if (bias !== undefined) {
    const value = node.inputs[2]!;
    for (let c = 0; c < channels; c++) {
      const given = Number(bias.data[bias.data.length === 1 ? 0 : c]);
      offset[c] = value.type === 'float32' ? given / (sIn * scales[scales.length === 1 ? 0 : c]!) : given;
    }
  }
  for (let i = 0; i < sums.length; i++) {
    const c = Math.floor(i / plane) % channels;
    sums[i] = (sums[i]! + offset[c]!) * multiplier[c]!;
  }
  return requantize(node, sums);
}

const moving = new Set<string>([
  'MaxPool',
  'GlobalMaxPool',
  'Identity',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
  'Slice',
  'Split',
  'Gather',
  'Expand',
  'Tile',
  'Concat',
  'DepthToSpace',
  'SpaceToDepth',
]);

/** Operators whose integer results are the plain operator on the integers when input and output are quantised alike. */
export function movesIntegers(node: Node): boolean {
  if (!moving.has(node.op) || node.activation !== undefined) return false;
  const q = node.outputs[0]!.quantization;
  const data = node.op === 'Concat' ? node.inputs : [node.inputs[0]];
  return data.every(
    (value) =>
      value !== undefined && value.quantization !== undefined && sameQuantization(value.quantization, q),
  );
}

/** Computes a node on quantised values; results are integers of the outputs' types. */
export function runQuantized(node: Node, tensors: readonly (Tensor | undefined)[]): TypedArray[] {
  if (movesIntegers(node)) return runKernel(node, tensors);
  const outShape = shapeOf(node.outputs[0]!);
  const [x, w, bias] = tensors;
  const plane = elementCount(outShape.slice(2));
  switch (node.op) {
    case 'Conv':
    case 'ConvTranspose': {
      const data = centred(node.inputs[0]!, x!);
      const sums =
        node.op === 'Conv'
          ? convolve(data, x!.shape, centredWeights(node, w!), w!.shape, outShape, node.attributes)
          : convolveTransposed(
              data,
              x!.shape,
              centred(node.inputs[1]!, w!),
              w!.shape,
              outShape,
              node.attributes,
            );
      return [scaleSums(node, sums, plane, outShape[1]!, bias)];
    }
    case 'Gemm': {
      const { alpha, beta, transA, transB } = node.attributes;
      if (alpha !== 1 || beta !== 1) break;
      const sums = gemmProduct(
        centred(node.inputs[0]!, x!),
        x!.shape,
        centredWeights(node, w!),
        w!.shape,
        transA !== 0,
        transB !== 0,
      );
      return [scaleSums(node, sums, 1, outShape[1]!, bias)];
    }
    case 'MatMul': {
      const sums = matrixProduct(centred(node.inputs[0]!, x!), x!.shape, centredWeights(node, w!), w!.shape);
      return [scaleSums(node, sums, 1, outShape.at(-1) ?? 1, undefined)];
    }
    case 'AveragePool':
    case 'GlobalAveragePool': {
      const attributes = node.op === 'AveragePool' ? node.attributes : globalWindow(x!.shape);
      const ratio = perTensor(node, node.inputs[0]!).scale / perTensor(node, node.outputs[0]!).scale;
      const padded = node.op === 'AveragePool' && node.attributes.count_include_pad !== 0;
      const scaled = pool(
        centred(node.inputs[0]!, x!),
        x!.shape,
        outShape,
        attributes,
        (elements, taps, count, all) => sum(elements, taps, count, all) * (ratio / (padded ? all : count)),
      );
      return [requantize(node, scaled)];
    }
    case 'Add':
    case 'Sub': {
      const sOut = perTensor(node, node.outputs[0]!).scale;
      const sign = node.op === 'Add' ? 1 : -1;
      const [ra, rb] = [0, 1].map((i) => perTensor(node, node.inputs[i]!).scale / sOut) as [number, number];
      const [a, b] = [centred(node.inputs[0]!, x!), centred(node.inputs[1]!, w!)];
      const [ia, ib] = [broadcastIndex(x!.shape, outShape), broadcastIndex(w!.shape, outShape)];
      const scaled = new Float64Array(elementCount(outShape));
      for (let i = 0; i < scaled.length; i++)
        scaled[i] = a[ia === undefined ? i : ia[i]!]! * ra + sign * b[ib === undefined ? i : ib[i]!]! * rb;
      return [requantize(node, scaled)];
    }
    case 'Mul': {
      const sOut = perTensor(node, node.outputs[0]!).scale;
      const ratio = (perTensor(node, node.inputs[0]!).scale * perTensor(node, node.inputs[1]!).scale) / sOut;
      const [a, b] = [centred(node.inputs[0]!, x!), centred(node.inputs[1]!, w!)];
      const [ia, ib] = [broadcastIndex(x!.shape, outShape), broadcastIndex(w!.shape, outShape)];
      const scaled = new Float64Array(elementCount(outShape));
      for (let i = 0; i < scaled.length; i++)
        scaled[i] = a[ia === undefined ? i : ia[i]!]! * b[ib === undefined ? i : ib[i]!]! * ratio;
      return [requantize(node, scaled)];
    }
    default:
      break;
  }
  return throughReals(node, tensors);
}

/** Dequantise, compute in doubles, quantise: tables (Sigmoid, HardSwish ...), and operators without a rule of their own. */
function throughReals(node: Node, tensors: readonly (Tensor | undefined)[]): TypedArray[] {
  const reals = tensors.map((tensor, i): Tensor | undefined => {
    const value = node.inputs[i];
    if (tensor === undefined || value?.quantization === undefined) return tensor;
    return { type: 'float64', shape: tensor.shape, data: dequantized(value, tensor) };
  });
  const shadow = {
    ...node,
    outputs: node.outputs.map((value) =>
      value.quantization === undefined ? value : { ...value, type: 'float64' as const },
    ),
  } as Node;
  return runKernel(shadow, reals).map((data, i) => {
    const output = node.outputs[i];
    if (output?.quantization === undefined) return data;
    const { scale } = perTensor(node, output);
    const scaled = doubles(data).map((value) => value / scale);
    return requantize({ ...node, outputs: [output] } as Node, scaled);
  });
}
