// Which nodes of a graph run on the device and which on the host: parts in order, and the placement that comes of it.
// Not a target: what a device can compute and how is the target's; this only asks it.
import { CompileError, Graph, nameOf, type Node, operatorOf, type Value } from '../ir/index.js';
import type { CompiledProgram, DeviceSegment, Placement, Segment, TensorInfo } from './program.js';

/** Nodes of one device or of the host, in an order in which they can run. */
export interface Part {
  readonly device: boolean;
  readonly nodes: Node[];
}

/** Nodes that are left to the host, each with the reason. */
export type OnHost = Map<Node, string>;

/** What a target does with the parts. */
export interface PartTarget<S extends DeviceSegment> {
  /** `nvdla:nv_small`. */
  readonly name: string;
  readonly kind: S['kind'];
  /** Makes the device's segment of a part. Undefined when a node turned out not to fit: `onHost` then says which and why. */
  lower(part: Part, onHost: OnHost): (() => S) | undefined;
  /** Why a node on the device costs nothing there; undefined when it is computed. */
  free(node: Node): string | undefined;
}

export function tensorInfo({ name, type, shape, quantization }: Value): TensorInfo {
  return { name, type, shape: shape ?? [], ...(quantization === undefined ? {} : { quantization }) };
}

/** The rule that `lower` broke with a CompileError; undefined when it went through. */
export function refusal(lower: () => void): string | undefined {
  try {
    lower();
    return undefined;
  } catch (error) {
    if (error instanceof CompileError) return error.rule;
    throw error;
  }
}

/** Multiply-accumulates of a convolution or product, as the model states them; 0 for other nodes or unknown shapes. */
export function macsOf(node: Node): number {
  const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
  const out = node.outputs[0]?.shape;
  const w = node.inputs[1]?.shape;
  const x = node.inputs[0]?.shape;
  if (out === undefined || w === undefined || x === undefined) return 0;
  switch (node.op) {
    case 'Conv':
      return count(out) * count(w.slice(1));
    case 'ConvTranspose':
      return count(x) * count(w.slice(1));
    case 'Gemm':
      return count(out) * (node.attributes.transA ? x[0]! : x[1]!);
    case 'MatMul':
      return count(out) * x.at(-1)!;
    case 'RNN':
      return count(out) * (x.at(-1)! + node.attributes.hidden_size);
    default:
      return 0;
  }
}

/** Everything on the device but what it refuses, in as few segments as possible. */
export function compileParts<S extends DeviceSegment>(
  graph: Graph,
  target: PartTarget<S>,
  onHost: OnHost = new Map(),
): CompiledProgram {
  // Each round may find nodes that cannot be where they are; it changes the parts, so start again.
  for (;;) {
    const parts = partition(graph, (node) => !onHost.has(node));
    const makers = parts.map((part) =>
      part.device ? target.lower(part, onHost) : (): Segment => hostSegment(graph, part),
    );
    if (!makers.every((make) => make !== undefined)) continue;
    const segments = makers.map((make) => make());
    const layers = layersByNode(segments);
    return {
      name: graph.name,
      target: target.name,
      inputs: graph.inputs.filter((value) => value.data === undefined).map(tensorInfo),
      outputs: graph.outputs.map(tensorInfo),
      segments,
      placement: graph.nodes.map((node) => placementOf(node, target, onHost.get(node), layers)),
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
export function outputsOf(graph: Graph, { nodes }: Part): Value[] {
  const uses = graph.uses();
  const own = new Set(nodes);
  return nodes
    .flatMap((node) => node.outputs)
    .filter((value) => uses.isOutput(value) || uses.consumers(value).some((user) => !own.has(user)));
}

function hostSegment(graph: Graph, part: Part): Segment {
  const made = new Set(part.nodes.flatMap((node) => node.outputs));
  const inputs = new Set<Value>();
  for (const node of part.nodes)
    for (const value of node.inputs)
      if (value !== undefined && value.data === undefined && !made.has(value)) inputs.add(value);
  return {
    kind: 'host',
    graph: new Graph({
      name: graph.name,
      inputs: [...inputs],
      outputs: outputsOf(graph, part),
      nodes: part.nodes,
    }),
  };
}

/** What became of each node: `3 x CONV+SDP`. */
function layersByNode(segments: readonly Segment[]): Map<string, string> {
  const units = new Map<string, Map<string, number>>();
  for (const segment of segments) {
    if (segment.kind === 'host') continue;
    for (const { unit, nodes } of segment.layers)
      for (const node of nodes) {
        const counts = units.get(node) ?? new Map<string, number>();
        units.set(node, counts.set(unit, (counts.get(unit) ?? 0) + 1));
      }
  }
  const text = ([unit, count]: [string, number]): string => (count === 1 ? unit : `${count} x ${unit}`);
  return new Map([...units].map(([node, counts]) => [node, [...counts].map(text).join(', ')]));
}

function placementOf<S extends DeviceSegment>(
  node: Node,
  target: PartTarget<S>,
  reason: string | undefined,
  layers: ReadonlyMap<string, string>,
): Placement {
  const common = { node: nameOf(node), operator: operatorOf(node), macs: macsOf(node) };
  if (reason !== undefined) return { ...common, device: 'host', reason };
  const free = target.free(node);
  if (free !== undefined) return { ...common, device: 'none', reason: free };
  return { ...common, device: target.kind, reason: layers.get(common.node) ?? '' };
}
