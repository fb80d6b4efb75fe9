// The GNA target: which layers a node becomes, and the segments of parts of a graph.
// Not a quantiser: scales are in scale.ts; a float graph needs the ranges of its values.
import { type GnaGeneration, gnaConfigs } from '../../../hw/gna/index.js';
import { CompileError, type Graph, type Node, nodeError } from '../../ir/index.js';
import type { ValueRanges } from '../../quantize/index.js';
import { compileParts, type OnHost, outputsOf, type Part, refusal } from '../parts.js';
import type { CompiledProgram, GnaSegment } from '../program.js';
import { lowerConcat } from './concat.js';
import { lowerActivation, lowerConstant } from './elementwise.js';
import { emitSegment, type SegmentOutput } from './emit.js';
import { lowerSum, lowerTensorProduct } from './join.js';
import { lowerAverage, lowerConv, lowerProduct } from './linear.js';
import { Lowering } from './lowering.js';
import { lowerMaxPool } from './pooling.js';
import { lowerRecurrent } from './recurrent.js';
import { sameScale } from './scale.js';
import { lowerGather, lowerReshape, lowerSlice, lowerSplit, lowerTranspose } from './structure.js';

export interface GnaOptions {
  readonly generation: GnaGeneration;
  /** Of the float values, seen in calibration. Without them float operators stay on the host. */
  readonly ranges?: ValueRanges | undefined;
}

function hasConstant(node: Node): boolean {
  return node.inputs.some((value) => value?.data !== undefined);
}

/** Adds the layers of a node, or throws a CompileError whose rule says why the device cannot. */
function lowerNode(lowering: Lowering, node: Node): void {
  switch (node.op) {
    case 'Conv':
      return lowerConv(lowering, node);
    case 'Gemm':
    case 'MatMul':
      return lowerProduct(lowering, node);
    case 'AveragePool':
    case 'GlobalAveragePool':
      return lowerAverage(lowering, node);
    case 'MaxPool':
    case 'GlobalMaxPool':
      return lowerMaxPool(lowering, node);
    case 'Add':
    case 'Sub':
      return hasConstant(node) ? lowerConstant(lowering, node) : lowerSum(lowering, node);
    case 'Mul':
      return hasConstant(node) ? lowerConstant(lowering, node) : lowerTensorProduct(lowering, node);
    case 'Div':
      return lowerConstant(lowering, node);
    case 'Relu':
    case 'Clip':
    case 'LeakyRelu':
    case 'Sigmoid':
    case 'Tanh':
      return lowerActivation(lowering, node);
    case 'Identity': {
      const [x, out] = [node.inputs[0]!, node.outputs[0]!];
      const requantises = out.quantization !== undefined && !sameScale(node, x, out);
      return requantises ? lowerActivation(lowering, node) : lowerReshape(lowering, node);
    }
    case 'Reshape':
    case 'Flatten':
    case 'Squeeze':
    case 'Unsqueeze':
    case 'Dropout':
      return lowerReshape(lowering, node);
    case 'Transpose':
      return lowerTranspose(lowering, node);
    case 'Slice':
      return lowerSlice(lowering, node);
    case 'Split':
      return lowerSplit(lowering, node);
    case 'Gather':
      return lowerGather(lowering, node);
    case 'Concat':
      return lowerConcat(lowering, node);
    case 'RNN':
      return lowerRecurrent(lowering, node);
    case 'LSTM':
    case 'GRU':
      throw nodeError(
        node,
        'EOPNOTSUPP',
        'it is not one that can be written out as simpler operators: unusual activations, layout, clip or peepholes, lengths of its own, or more than 64 steps',
      );
    default:
      throw new CompileError('EOPNOTSUPP', { rule: 'the target has no such operator' });
  }
}

const layoutOnly = new Set([
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Dropout',
  'Transpose',
  'Slice',
  'Split',
  'Gather',
]);

/** Compiles a graph of 8-bit quantised values, or of floats with ranges; what the device cannot run is left to the host. */
export function compileGna(graph: Graph, { generation, ranges }: GnaOptions): CompiledProgram {
  const lower = (part: Part, onHost: OnHost): (() => GnaSegment) | undefined => {
    const lowering = new Lowering(gnaConfigs[generation], graph, part.nodes, ranges);
    return deviceSegment(graph, lowering, part, onHost);
  };
  return compileParts<GnaSegment>(graph, {
    name: `gna:${generation}`,
    kind: 'gna',
    lower,
    free: (node) => (layoutOnly.has(node.op) ? 'the next layer reads other places' : undefined),
  });
}

/** Undefined when a node turned out not to fit: `onHost` says which and why. */
function deviceSegment(
  graph: Graph,
  lowering: Lowering,
  part: Part,
  onHost: OnHost,
): (() => GnaSegment) | undefined {
  const before = onHost.size;
  for (const node of part.nodes) {
    if (lowering.done.has(node)) continue;
    const reason = refusal(() => {
      lowerNode(lowering, node);
    });
    if (reason !== undefined) onHost.set(node, reason);
  }
  if (onHost.size !== before) return undefined;
  const written = new Set(lowering.layers.map((layer) => layer.output.plane));
  const outputs: SegmentOutput[] = [];
  for (const value of outputsOf(graph, part)) {
    const made = lowering.made(value);
    if (made?.kind === 'placed' && written.has(made.view.plane)) outputs.push({ value, view: made.view });
    else {
      const producer = part.nodes.find((node) => node.outputs.includes(value))!;
      onHost.set(
        producer,
        'no layer of the device comes before it, so that there is nothing to compute there',
      );
    }
  }
  if (onHost.size !== before) return undefined;
  return () => emitSegment(lowering, outputs, part.nodes[0]!);
}
