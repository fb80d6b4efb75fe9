// Takes out what computes nothing: unused nodes, known values, identities.
// Not algebra: canonicalize.ts and affine.ts rewrite operators.
import { foldNode, type Graph, type Node, padsOf, sameShape, type Value } from '../ir/index.js';
import type { Pass } from './pass.js';
import { Rewriter } from './rewriter.js';

/** Removes nodes whose results nobody uses. Graph inputs stay, used or not. */
export const deadCode: Pass = {
  name: 'dead-code',
  run(graph: Graph): boolean {
    const needed = new Set<Value>(graph.outputs);
    const kept: Node[] = [];
    for (const node of graph.nodes.toReversed()) {
      if (!node.outputs.some((value) => needed.has(value))) continue;
      for (const value of node.inputs) if (value !== undefined) needed.add(value);
      kept.push(node);
    }
    const changed = kept.length !== graph.nodes.length;
    if (changed) graph.nodes = kept.reverse();
    return changed;
  },
};

/** Elements of a tensor that folding may make; repeated values are folded whatever their size. */
const FOLD_LIMIT = 1 << 24;

/**
 * Computes nodes whose inputs are known. `keepDequantized` leaves DequantizeLinear of constants alone while the graph
 * also quantises: those are the weights of integer operators.
 */
export function constantFolding(options: { keepDequantized: boolean }): Pass {
  return {
    name: 'constant-folding',
    run(graph: Graph): boolean {
      const keep = options.keepDequantized && graph.nodes.some((node) => node.op === 'QuantizeLinear');
      const outputs = new Set(graph.outputs);
      const before = graph.nodes.length;
      graph.nodes = graph.nodes.filter((node) => {
        // A known graph output keeps its node: somebody must write it.
        if (node.outputs.some((value) => outputs.has(value))) return true;
        if (keep && node.op === 'DequantizeLinear') return true;
        if (node.op === 'QuantizeLinear' && keep) return true;
        return !(node.outputs.every((value) => value.data !== undefined) || foldNode(node, FOLD_LIMIT));
      });
      return graph.nodes.length !== before;
    },
  };
}

/** The input a node passes on unchanged, or undefined when it does something. */
function passedOn(node: Node): Value | undefined {
  const x = node.inputs[0];
  const y = node.outputs[0];
  if (x === undefined || y === undefined || x.shape === undefined || y.shape === undefined) return undefined;
  if (node.activation !== undefined || x.type !== y.type) return undefined;
  if ((x.quantization === undefined) !== (y.quantization === undefined)) return undefined;
  const a = x.quantization;
  const b = y.quantization;
  if (a !== undefined && b !== undefined && (a.scale[0] !== b.scale[0] || a.zeroPoint[0] !== b.zeroPoint[0]))
    return undefined;
  const alike = sameShape(x.shape, y.shape);
  switch (node.op) {
    case 'Identity':
    case 'Dropout':
      return x;
    case 'Reshape':
    case 'Flatten':
    case 'Squeeze':
    case 'Unsqueeze':
    case 'Expand':
    case 'Tile':
    case 'Slice':
    case 'Cast':
      return alike &&
        !(node.op === 'Slice' && (node.inputs[4]?.data?.numbers() ?? []).some((step) => step < 0))
        ? x
        : undefined;
    case 'Transpose':
      return node.attributes.perm.every((axis, i) => axis === i) ? x : undefined;
    case 'Pad': {
      const { begin, end } = padsOf(node);
      return begin.every((n) => n === 0) && end.every((n) => n === 0) ? x : undefined;
    }
    case 'Concat':
    case 'Sum':
    case 'Min':
    case 'Max':
    case 'Mean':
      return node.inputs.length === 1 ? x : undefined;
    case 'Clip':
      return node.inputs.length === 1 ? x : undefined;
    case 'Split':
      return node.outputs.length === 1 ? x : undefined;
    case 'Add':
    case 'Sub':
      return alike && a === undefined && node.inputs[1]?.data?.fill === 0 ? x : undefined;
    default:
      return undefined;
  }
}

/** Removes nodes that pass their input on: Identity, Dropout, reshapes to the same shape, pads of nothing ... */
export const identityRemoval: Pass = {
  name: 'identity-removal',
  run(graph: Graph): boolean {
    const rewriter = new Rewriter(graph);
    for (const node of graph.nodes) {
      const value = passedOn(node);
      if (value === undefined) continue;
      // Other outputs (Dropout's mask) must be unused.
      if (
        node.outputs
          .slice(1)
          .some((other) => rewriter.consumers(other).length > 0 || rewriter.isOutput(other))
      )
        continue;
      if (rewriter.replaceUses(node.outputs[0]!, value)) rewriter.remove(node);
    }
    rewriter.finish();
    return rewriter.changed;
  },
};
