// The NVDLA target: which layers a node becomes, and the segments of parts of a graph.
// Not a quantiser: a float graph ends up on the host, node by node, with that as the reason.
import { type ConfigName, configs, type NvdlaConfig } from '../../../hw/nvdla/index.js';
import { unaryFunction } from '../../ir/evaluate/elementwise.js';
import { CompileError, elementCount, type Graph, type Node, shapeOf, type Value } from '../../ir/index.js';
import { compileParts, type OnHost, outputsOf, type Part, refusal } from '../parts.js';
import type { CompiledProgram, NvdlaSegment } from '../program.js';
import { lowerImages } from './batch.js';
import { lowerConv, lowerProduct } from './convolution.js';
import { lowerConvTranspose } from './deconvolution.js';
import { lowerDepthToSpace, lowerSpaceToDepth } from './depth.js';
import { lowerActivation, lowerBatchNormalization, lowerScale } from './elementwise.js';
import { lowerAdd } from './residual.js';
import { rootOf } from './cube.js';
import { lowerExtreme } from './extremes.js';
import { fuseLayers } from './fuse.js';
import { isHalf, lowerHalfBinary, lowerHalfPower, lowerHalfSlope, lowerHalfSum } from './half.js';
import { emitSegment, type SegmentOutput } from './emit.js';
import { lowerConcat, lowerGather, lowerSlice, lowerSplit } from './join.js';
import { Lowering } from './lowering.js';
import { lowerMovement } from './movement.js';
import { lowerLrn } from './normalization.js';
import { isPerChannel } from './operands.js';
import { lowerAveragePool, lowerGlobalAverage, lowerGlobalMaxPool, lowerMaxPool } from './pooling.js';
import { lowerMul } from './product.js';
import { reasonFor } from './reasons.js';
import { isPlaneMean, lowerReduction } from './reduction.js';
import { lowerSlope } from './slope.js';
import { lowerFunction } from './table.js';
import { lowerDequantizeLinear, lowerQuantizeLinear, lowerReshape, lowerTranspose } from './structure.js';

export interface NvdlaOptions {
  readonly config: ConfigName;
}

/** Whether one factor is a constant: one number, or one per channel of the other. */
function isScale({ inputs: [a, b] }: Node): boolean {
  const fits = (constant: Value | undefined, tensor: Value | undefined): boolean =>
    constant?.data !== undefined &&
    (constant.data.length === 1 || isPerChannel(shapeOf(constant), shapeOf(tensor!)));
  return fits(b, a) || fits(a, b);
}

/** Adds the layers of a node, or throws a CompileError whose rule says why the device cannot. */
function lowerNode(lowering: Lowering, node: Node): void {
  lowerImages(lowering, node, (image) => {
    lowerImage(lowering, image);
  });
}

function lowerImage(lowering: Lowering, node: Node): void {
  switch (node.op) {
    case 'Conv':
      return lowerConv(lowering, node);
    case 'Gemm':
    case 'MatMul':
      return lowerProduct(lowering, node);
    case 'Add':
    case 'Sub':
      return isHalf(lowering, node) ? lowerHalfBinary(lowering, node) : lowerAdd(lowering, node);
    case 'Mul':
      if (isHalf(lowering, node)) return lowerHalfBinary(lowering, node);
      return isScale(node) ? lowerScale(lowering, node) : lowerMul(lowering, node);
    case 'Div':
      return lowerScale(lowering, node);
    case 'Sum':
    case 'Mean':
      return lowerHalfSum(lowering, node);
    case 'Pow':
      return lowerHalfPower(lowering, node);
    case 'Max':
    case 'Min':
      return isHalf(lowering, node) && isScale(node)
        ? lowerHalfBinary(lowering, node)
        : lowerExtreme(lowering, node);
    case 'LeakyRelu':
    case 'PRelu':
      return isHalf(lowering, node) ? lowerHalfSlope(lowering, node) : lowerSlope(lowering, node);
    case 'BatchNormalization':
      return lowerBatchNormalization(lowering, node);
    case 'Relu':
    case 'Clip':
      return lowerActivation(lowering, node);
    case 'MaxPool':
      return lowerMaxPool(lowering, node);
    case 'GlobalMaxPool':
      return lowerGlobalMaxPool(lowering, node);
    case 'AveragePool':
      return lowerAveragePool(lowering, node);
    case 'GlobalAveragePool':
      return lowerGlobalAverage(lowering, node);
    case 'ReduceMean':
      return isPlaneMean(node) ? lowerGlobalAverage(lowering, node) : lowerReduction(lowering, node);
    case 'ReduceSum':
    case 'ReduceMax':
    case 'ReduceMin':
      return lowerReduction(lowering, node);
    case 'LRN':
      return lowerLrn(lowering, node);
    case 'Concat':
      return lowerConcat(lowering, node);
    case 'Slice':
      return lowerSlice(lowering, node);
    case 'Resize':
    case 'Pad':
    case 'Tile':
    case 'Expand':
      return lowerMovement(lowering, node);
    case 'DepthToSpace':
      return lowerDepthToSpace(lowering, node);
    case 'SpaceToDepth':
      return lowerSpaceToDepth(lowering, node);
    case 'ConvTranspose':
      return lowerConvTranspose(lowering, node);
    case 'Split':
      return lowerSplit(lowering, node);
    case 'Gather':
      return lowerGather(lowering, node);
    case 'Reshape':
    case 'Flatten':
    case 'Squeeze':
    case 'Unsqueeze':
    case 'Identity':
    case 'Dropout':
      return lowerReshape(lowering, node);
    case 'Transpose':
      return lowerTranspose(lowering, node);
    case 'QuantizeLinear':
      return lowerQuantizeLinear(lowering, node);
    case 'DequantizeLinear':
      return lowerDequantizeLinear(lowering, node);
    default:
      if (unaryFunction(node) !== undefined) return lowerFunction(lowering, node);
      throw new CompileError('EOPNOTSUPP', { rule: reasonFor(node.op) });
  }
}

/** Why the device cannot run the node, taken by itself; undefined when it can. */
export function supports(node: Node, config: NvdlaConfig): string | undefined {
  return refusal(() => {
    lowerNode(new Lowering(config), node);
  });
}

const layoutOnly = new Set([
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Identity',
  'Dropout',
  'Transpose',
]);
const conversions = new Set(['QuantizeLinear', 'DequantizeLinear']);

/** Compiles a graph whose integer tensors are quantised to int8; what the device cannot run is left to the host. */
export function compileNvdla(graph: Graph, { config: name }: NvdlaOptions): CompiledProgram {
  return compileParts<NvdlaSegment>(graph, {
    name: `nvdla:${name}`,
    kind: 'nvdla',
    lower: (part, onHost) => deviceSegment(graph, part, configs[name], onHost),
    free: (node) => {
      if (layoutOnly.has(node.op)) return 'the next layer reads with other strides';
      return conversions.has(node.op) ? 'converted when the tensor is copied in or out' : undefined;
    },
  });
}

/** Undefined when a node turned out not to fit: `onHost` says which and why. */
function deviceSegment(
  graph: Graph,
  part: Part,
  config: NvdlaConfig,
  onHost: OnHost,
): (() => NvdlaSegment) | undefined {
  const lowering = new Lowering(config);
  const before = onHost.size;
  for (const node of part.nodes) {
    const reason = refusal(() => {
      lowerNode(lowering, node);
    });
    if (reason !== undefined) onHost.set(node, reason);
  }
  if (onHost.size !== before) return undefined;
  const written = new Set(lowering.layers.map((layer) => rootOf(layer.output.cube)));
  const outputs: SegmentOutput[] = [];
  for (const value of outputsOf(graph, part)) {
    const images = lowering.imagesOf(value);
    const own = (images ?? [value]).map((image, n) => {
      const placed = lowering.made(image);
      if (placed?.kind !== 'placed' || !written.has(rootOf(placed.cube))) return undefined;
      const count = elementCount(shapeOf(image));
      return { value, placed, ...(images === undefined ? {} : { part: { from: n * count, count } }) };
    });
    if (own.every((output) => output !== undefined)) outputs.push(...own);
    else {
      const producer = part.nodes.find((node) => node.outputs.includes(value))!;
      onHost.set(
        producer,
        'no layer of the device comes before it, so that there is nothing to compute there',
      );
    }
  }
  if (onHost.size !== before) return undefined;
  return () => {
    const kept = [...lowering.inputs.map(({ cube }) => cube), ...outputs.map(({ placed }) => placed.cube)];
    const layers = fuseLayers(lowering.layers, new Set(kept.map(rootOf)));
    return emitSegment(lowering, layers, outputs);
  };
}
