// The table from operator to what computes it on plain tensors.
// Not the loop over a graph (evaluate.ts), and not the integer semantics of quantised values (quantized.ts).
import { type Node, nodeError, type NodeOf, shapeOf } from '../graph.js';
import type { OperatorName } from '../operators.js';
import type { TypedArray } from '../types.js';
import { applyBinary, applyUnary, clip, isBinary, unaryFunction, where } from './elementwise.js';
import { convolve, convolveTransposed, gemmProduct, matrixProduct } from './linear.js';
import { dequantizeLinear, dynamicQuantizeLinear, quantizeLinear } from './linear-quantization.js';
import * as movement from './movement.js';
import * as along from './normalize.js';
import { average, globalWindow, maximum, norm, pool } from './pooling.js';
import { recurrent } from './recurrent.js';
import { allocate, broadcastIndex, cast, doubles, type Tensor } from './tensor.js';
import { weightsOf } from './weights.js';

type Kernel<Op extends OperatorName> = (
  node: NodeOf<Op>,
  inputs: readonly Tensor[],
) => TypedArray | TypedArray[];

/** Doubles in the element type of output 0 (half floats as float32). */
function result(node: Node, values: Float64Array): TypedArray {
  const { type } = node.outputs[0]!;
  const out = allocate(type === 'float16' || type === 'bfloat16' ? 'float32' : type, values.length);
  if (out instanceof BigInt64Array || out instanceof BigUint64Array)
    for (let i = 0; i < out.length; i++) out[i] = BigInt(Math.trunc(values[i]!));
  else out.set(values);
  return out;
}

/** Adds a bias per channel (axis 1) to sums laid out [N, C, ...]. */
function addBias(
  sums: Float64Array,
  channels: number,
  plane: number,
  bias: Tensor | undefined,
): Float64Array {
  if (bias === undefined) return sums;
  for (let i = 0; i < sums.length; i++) sums[i]! += Number(bias.data[Math.floor(i / plane) % channels]);
  return sums;
}

function planeOf(node: Node): number {
  return shapeOf(node.outputs[0]!)
    .slice(2)
    .reduce((product, dim) => product * dim, 1);
}

function offset(data: Float64Array, zero: Tensor | undefined, channelStride?: number): Float64Array {
  if (zero === undefined) return data;
  const zeros = doubles(zero.data);
  if (zeros.every((z) => z === 0)) return data;
  return data.map(
    (value, i) => value - zeros[zeros.length === 1 ? 0 : Math.floor(i / channelStride!) % zeros.length]!,
  );
}

function zerosOf(zero: Tensor | undefined): Float64Array | undefined {
  return zero === undefined ? undefined : doubles(zero.data);
}

/** C of a Gemm, broadcast, times beta; added to alpha times the product. */
function gemm(node: NodeOf<'Gemm'>, [a, b, c]: readonly Tensor[]): TypedArray {
  const { alpha, beta, transA, transB } = node.attributes;
  const sums = gemmProduct(doubles(a!.data), a!.shape, weightsOf(b!), b!.shape, transA !== 0, transB !== 0);
  const index = c === undefined ? undefined : broadcastIndex(c.shape, shapeOf(node.outputs[0]!));
  for (let i = 0; i < sums.length; i++) {
    const extra = c === undefined ? 0 : beta * Number(c.data[index === undefined ? i : index[i]!]);
    sums[i] = alpha * sums[i]! + extra;
  }
  return result(node, sums);
}

function maxPool(node: NodeOf<'MaxPool'>, [x]: readonly Tensor[]): TypedArray[] {
  const shape = shapeOf(node.outputs[0]!);
  const data = doubles(x!.data);
  const values = result(node, pool(data, x!.shape, shape, node.attributes, maximum));
  if (node.outputs.length < 2) return [values];
  if (node.attributes.storage_order !== 0)
    throw nodeError(node, 'EOPNOTSUPP', 'indices in column-major order are not supported');
  const indices = pool(data, x!.shape, shape, node.attributes, (elements, taps, count) => {
    let best = 0;
    for (let i = 1; i < count; i++) if (elements[taps[i]!]! > elements[taps[best]!]!) best = i;
    return taps[best]!;
  });
  return [values, BigInt64Array.from(indices, BigInt)];
}

const same = (_: Node, [x]: readonly Tensor[]): TypedArray => x!.data;
const made = (node: Node, inputs: readonly Tensor[]): TypedArray => movement.generate(node, inputs)!;

const kernels: { [Op in OperatorName]?: Kernel<Op> } = {
  Identity: same,
  Reshape: same,
  Flatten: same,
  Squeeze: same,
  Unsqueeze: same,
  Dropout: (node, [x]) =>
    node.outputs.length < 2 ? x!.data : [x!.data, new Uint8Array(x!.data.length).fill(1)],
  Constant: made,
  ConstantOfShape: made,
  Shape: made,
  Size: made,
  Range: made,
  Conv: (node, [x, w, b]) => {
    const out = shapeOf(node.outputs[0]!);
    const sums = convolve(doubles(x!.data), x!.shape, weightsOf(w!), w!.shape, out, node.attributes);
    return result(node, addBias(sums, out[1]!, planeOf(node), b));
  },
  ConvTranspose: (node, [x, w, b]) => {
    const out = shapeOf(node.outputs[0]!);
    const sums = convolveTransposed(
      doubles(x!.data),
      x!.shape,
      doubles(w!.data),
      w!.shape,
      out,
      node.attributes,
    );
    return result(node, addBias(sums, out[1]!, planeOf(node), b));
  },
  ConvInteger: (node, [x, w, xz, wz]) => {
    const filter = w!.data.length / w!.shape[0]!;
    return result(
      node,
      convolve(
        offset(doubles(x!.data), xz),
        x!.shape,
        weightsOf(w!, zerosOf(wz), filter),
        w!.shape,
        shapeOf(node.outputs[0]!),
        node.attributes,
      ),
    );
  },
  MatMul: (node, [a, b]) => result(node, matrixProduct(doubles(a!.data), a!.shape, weightsOf(b!), b!.shape)),
  MatMulInteger: (node, [a, b, az, bz]) =>
    result(
      node,
      matrixProduct(
        offset(doubles(a!.data), az, a!.shape.at(-1)),
        a!.shape,
        weightsOf(b!, zerosOf(bz), 1),
        b!.shape,
      ),
    ),
  Gemm: gemm,
  MaxPool: maxPool,
  AveragePool: (node, [x]) =>
    result(
      node,
      pool(
        doubles(x!.data),
        x!.shape,
        shapeOf(node.outputs[0]!),
        node.attributes,
        average(node.attributes.count_include_pad !== 0),
      ),
    ),
  LpPool: (node, [x]) =>
    result(
      node,
      pool(doubles(x!.data), x!.shape, shapeOf(node.outputs[0]!), node.attributes, norm(node.attributes.p)),
    ),
  GlobalAveragePool: (node, [x]) =>
    result(
      node,
      pool(doubles(x!.data), x!.shape, shapeOf(node.outputs[0]!), globalWindow(x!.shape), average(false)),
    ),
  GlobalMaxPool: (node, [x]) =>
    result(
      node,
      pool(doubles(x!.data), x!.shape, shapeOf(node.outputs[0]!), globalWindow(x!.shape), maximum),
    ),
  GlobalLpPool: (node, [x]) =>
    result(
      node,
      pool(
        doubles(x!.data),
        x!.shape,
        shapeOf(node.outputs[0]!),
        globalWindow(x!.shape),
        norm(node.attributes.p),
      ),
    ),
  BatchNormalization: (node, [x, ...parameters]) => along.batchNormalization(node, x!, parameters),
  InstanceNormalization: (node, [x, scale, bias]) => along.instanceNormalization(node, x!, scale!, bias!),
  LayerNormalization: (node, [x, scale, bias]) => along.layerNormalization(node, x!, scale!, bias),
  LpNormalization: (node, [x]) => along.lpNormalization(node, x!),
  MeanVarianceNormalization: (node, [x]) => along.meanVariance(node, x!),
  LRN: (node, [x]) => along.localResponse(node, x!),
  Softmax: (node, [x]) => along.softmax(node, x!),
  LogSoftmax: (node, [x]) => along.softmax(node, x!),
  Hardmax: (node, [x]) => along.softmax(node, x!),
  ArgMax: (node, [x]) => along.argExtreme(node, x!),
  ArgMin: (node, [x]) => along.argExtreme(node, x!),
  TopK: (node, [x]) => along.topK(node, x!),
  CumSum: (node, [x, axis]) => along.cumSum(node, x!, axis!),
  Clip: (_, [x, low, high]) => clip(x!, low, high),
  Where: (node, [condition, a, b]) => where(condition!, a!, b!, shapeOf(node.outputs[0]!)),
  Cast: (node, [x]) => cast(x!, node.attributes.to, node.attributes.saturate !== 0),
  CastLike: (node, [x]) => cast(x!, node.outputs[0]!.type, node.attributes.saturate !== 0),
  QuantizeLinear: (node, [x, scale, zero]) => quantizeLinear(node, x!, scale!, zero),
  DequantizeLinear: (node, [x, scale, zero]) => dequantizeLinear(node, x!, scale!, zero),
  DynamicQuantizeLinear: (_, [x]) => dynamicQuantizeLinear(x!),
  Transpose: (node, [x]) => movement.transpose(x!, node.attributes.perm),
  Slice: (node, [x]) => movement.slice(node, x!),
  Concat: (node, inputs) => movement.concat(node, inputs),
  Split: (node, [x]) => movement.split(node, x!),
  Gather: (node, [x, indices]) => movement.gather(node, x!, indices!),
  GatherElements: (node, [x, indices]) => movement.gatherAlong(node, x!, indices!),
  Pad: (node, [x, , value]) => movement.pad(node, x!, value),
  Expand: (node, [x]) => movement.expand(x!, shapeOf(node.outputs[0]!)),
  Tile: (node, [x]) => movement.tile(x!, shapeOf(node.outputs[0]!)),
  Resize: (node, [x]) => movement.resize(node, x!),
  DepthToSpace: (node, [x]) => movement.depthToSpace(node, x!),
  SpaceToDepth: (node, [x]) => movement.spaceToDepth(node, x!),
  Trilu: (node, [x]) => movement.trilu(node, x!),
  RNN: recurrent,
  GRU: recurrent,
  LSTM: recurrent,
};

function find(
  node: Node,
): ((node: never, inputs: readonly Tensor[]) => TypedArray | TypedArray[]) | undefined {
  if (node.op === 'Opaque') return undefined;
  const kernel = kernels[node.op];
  if (kernel !== undefined) return kernel;
  if (node.op.startsWith('Reduce')) return (n: never, [x]) => along.reduce(n, x!);
  if (unaryFunction(node) !== undefined) return (n: never, [x]) => applyUnary(n, x!);
  if (isBinary(node.op)) return (n: never, inputs) => applyBinary(n, inputs);
  return undefined;
}

/** Whether `runKernel` can compute the node. */
export function hasKernel(node: Node): boolean {
  return find(node) !== undefined;
}

/**
 * Computes a node on plain tensors; half floats must come as float32 and leave as such. Types and shapes are those of
 * the node's outputs. Throws CompileError EOPNOTSUPP for an operator that is not computed here.
 */
export function runKernel(node: Node, inputs: readonly (Tensor | undefined)[]): TypedArray[] {
  const kernel = find(node);
  if (kernel === undefined)
    throw nodeError(node, 'EOPNOTSUPP', 'the reference evaluator does not compute this operator');
  const data = kernel(node as never, inputs as readonly Tensor[]);
  return Array.isArray(data) ? data : [data];
}
