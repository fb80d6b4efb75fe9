// The NVDLA target: which nodes of a graph run on the device, in which segments, and the program that comes of it.
// Not a quantiser: a float graph ends up on the host, node by node, with that as the reason.
import { type ConfigName, configs, type NvdlaConfig } from '../../../hw/nvdla/index.js';
import { CompileError, Graph, nameOf, type Node, operatorOf, type Value } from '../../ir/index.js';
import type { CompiledProgram, Placement, Segment } from '../program.js';
import { lowerConv, lowerProduct, macsOf } from './convolution.js';
import { lowerActivation, lowerBatchNormalization, lowerScale } from './elementwise.js';
import { lowerAdd } from './residual.js';
import { emitSegment, type SegmentOutput, tensorInfo } from './emit.js';
import { lowerConcat, lowerSlice, lowerSplit } from './join.js';
import { Lowering } from './lowering.js';
import { lowerAveragePool, lowerGlobalAverage, lowerGlobalMaxPool, lowerMaxPool } from './pooling.js';
import { lowerDequantizeLinear, lowerQuantizeLinear, lowerReshape, lowerTranspose } from './structure.js';

export interface NvdlaOptions {
  readonly config: ConfigName;
}

/** Adds the layers of a node, or throws a CompileError whose rule says why the device cannot. */
function lowerNode(lowering: Lowering, node: Node): void {
  switch (node.op) {
    case 'Conv':
      return lowerConv(lowering, node);
    case 'Gemm':
    case 'MatMul':
      return lowerProduct(lowering, node);
    case 'Add':
      return lowerAdd(lowering, node);
    case 'Sub':
    case 'Mul':
    case 'Div':
      return lowerScale(lowering, node);
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
    case 'ReduceMean':
      return lowerGlobalAverage(lowering, node);
    case 'Concat':
      return lowerConcat(lowering, node);
    case 'Slice':
      return lowerSlice(lowering, node);
    case 'Split':
      return lowerSplit(lowering, node);
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
      throw new CompileError('EOPNOTSUPP', { rule: 'the target has no such operator' });
  }
}

/** Why the device cannot run the node, taken by itself; undefined when it can. */
export function supports(node: Node, config: NvdlaConfig): string | undefined {
  return refusal(() => {
    lowerNode(new Lowering(config), node);
  });
}

function refusal(lower: () => void): string | undefined {
  try {
    lower();
    return undefined;
  } catch (error) {
    if (error instanceof CompileError) return error.rule;
    throw error;
  }
}

/** Nodes of one device or of the host, in an order in which they can run. */
interface Part {
  readonly device: boolean;
  readonly nodes: Node[];
}

/** Compiles a graph whose integer tensors are quantised to int8; what the device cannot run is left to the host. */
export function compileNvdla(graph: Graph, { config: name }: NvdlaOptions): CompiledProgram {
  const config = configs[name];
  const onHost = new Map<Node, string>();
  // Each round may find nodes that cannot be where they are; it changes the parts, so start again.
  for (;;) {
    const parts = partition(graph, (node) => !onHost.has(node));
    const segments = parts.map((part) =>
      part.device ? deviceSegment(graph, part, config, onHost) : hostSegment(graph, part),
    );
    if (!segments.every((segment) => segment !== undefined)) continue;
    const made = segments.map((make) => make());
    const layers = layersByNode(made);
    return {
      name: graph.name,
      target: `nvdla:${name}`,
      inputs: graph.inputs.filter((value) => value.data === undefined).map(tensorInfo),
      outputs: graph.outputs.map(tensorInfo),
      segments: made,
      placement: graph.nodes.map((node) => placementOf(node, onHost.get(node), layers)),
    };
  }
}

/** Groups nodes so that as few changes between device and host as possible remain: by the number of changes before each. */
function partition(graph: Graph, onDevice: (node: Node) => boolean): Part[] {
  const uses = graph.uses();
  const changes = new Map<Node, number>();
  const parts = new Map<string, Part & { order: number }>();
  for (const node of graph.nodes) {
    const device = onDevice(node);
    let order = 0;
    for (const value of node.inputs) {
      const producer = value === undefined ? undefined : uses.producer(value);
      if (producer === undefined) continue;
      const before = changes.get(producer)!;
      order = Math.max(order, onDevice(producer) === device ? before : before + 1);
    }
    changes.set(node, order);
    const key = `${order} ${device}`;
    const part = parts.get(key) ?? { device, nodes: [], order };
    part.nodes.push(node);
    parts.set(key, part);
  }
  return [...parts.values()].sort((a, b) => a.order - b.order);
}

/** Values that the part makes and others use, in the order in which they are made. */
function outputsOf(graph: Graph, { nodes }: Part): Value[] {
  const uses = graph.uses();
  const own = new Set(nodes);
  return nodes
    .flatMap((node) => node.outputs)
    .filter((value) => uses.isOutput(value) || uses.consumers(value).some((user) => !own.has(user)));
}

type MakeSegment = () => Segment;

/** Undefined when a node turned out not to fit: `onHost` says which and why. */
function deviceSegment(
  graph: Graph,
  part: Part,
  config: NvdlaConfig,
  onHost: Map<Node, string>,
): MakeSegment | undefined {
  const lowering = new Lowering(config);
  const before = onHost.size;
  for (const node of part.nodes) {
    const reason = refusal(() => {
      lowerNode(lowering, node);
    });
    if (reason !== undefined) onHost.set(node, reason);
  }
  if (onHost.size !== before) return undefined;
  const written = new Set(lowering.layers.map((layer) => layer.output.cube));
  const outputs: SegmentOutput[] = [];
  for (const value of outputsOf(graph, part)) {
    const placed = lowering.made(value);
    if (placed?.kind === 'placed' && written.has(placed.cube)) outputs.push({ value, placed });
    else {
      const producer = part.nodes.find((node) => node.outputs.includes(value))!;
      onHost.set(
        producer,
        'no layer of the device comes before it, so that there is nothing to compute there',
      );
    }
  }
  if (onHost.size !== before) return undefined;
  return () => emitSegment(lowering, outputs);
}

function hostSegment(graph: Graph, part: Part): MakeSegment {
  const made = new Set(part.nodes.flatMap((node) => node.outputs));
  const inputs = new Set<Value>();
  for (const node of part.nodes)
    for (const value of node.inputs)
      if (value !== undefined && value.data === undefined && !made.has(value)) inputs.add(value);
  const segment = {
    kind: 'host',
    graph: new Graph({
      name: graph.name,
      inputs: [...inputs],
      outputs: outputsOf(graph, part),
      nodes: part.nodes,
    }),
  } as const;
  return () => segment;
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

/** What became of each node: `3 x CONV+SDP`. */
function layersByNode(segments: readonly Segment[]): Map<string, string> {
  const units = new Map<string, Map<string, number>>();
  for (const segment of segments) {
    if (segment.kind !== 'nvdla') continue;
    for (const { unit, nodes } of segment.layers)
      for (const node of nodes) {
        const counts = units.get(node) ?? new Map<string, number>();
        units.set(node, counts.set(unit, (counts.get(unit) ?? 0) + 1));
      }
  }
  const text = ([unit, count]: [string, number]): string => (count === 1 ? unit : `${count} x ${unit}`);
  return new Map([...units].map(([node, counts]) => [node, [...counts].map(text).join(', ')]));
}

function placementOf(node: Node, reason: string | undefined, layers: ReadonlyMap<string, string>): Placement {
  const common = { node: nameOf(node), operator: operatorOf(node), macs: macsOf(node) };
  if (reason !== undefined) return { ...common, device: 'host', reason };
  if (layoutOnly.has(node.op))
    return { ...common, device: 'none', reason: 'the next layer reads with other strides' };
  if (conversions.has(node.op))
    return { ...common, device: 'none', reason: 'converted when the tensor is copied in or out' };
  return { ...common, device: 'nvdla', reason: layers.get(common.node) ?? '' };
}
