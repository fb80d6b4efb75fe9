// A host segment made ready: small ones are computed exactly in this thread, costly ones by the context's executor.
// Not a choice per node: a segment is handed over whole, so that nothing is copied inside it.
import {
  elementCount,
  evaluate,
  type Graph,
  hasKernel,
  type Node,
  nodeError,
  refuseOpaque,
  shapeOf,
  type TypedArray,
} from '../../compiler/ir/index.js';
import type { Values } from '../backends/backend.js';
import type { HostExecutor, HostSession } from '../host-executor.js';

/** Multiply-accumulates up to which the exact evaluator is quick enough, about 20 ms. */
const CHEAP_MACS = 2_000_000;

/**
 * @throws CompileError EOPNOTSUPP naming operator, shapes and the rule when nobody computes a node
 */
export async function prepareHost(graph: Graph, host: HostExecutor | undefined): Promise<HostSession> {
  refuseOpaque(graph.nodes);
  const missing = graph.nodes.find((node) => !hasKernel(node));
  const costly = graph.nodes.reduce((macs, node) => macs + work(node), 0) > CHEAP_MACS;
  const refused = graph.nodes.map((node) => host?.refuses(node)).find((why) => why !== undefined);
  if (host !== undefined && refused === undefined && (missing !== undefined || costly)) {
    try {
      return await host.prepare(graph);
    } catch (error) {
      // Slow is better than not at all.
      if (missing !== undefined) throw error;
    }
  }
  if (missing === undefined) return evaluator(graph);
  const why = host === undefined ? 'onnxruntime-node is not installed' : `${host.name}: ${refused}`;
  throw nodeError(
    missing,
    'EOPNOTSUPP',
    `neither the device nor the runtime takes this operator, and there is no other host: ${why}`,
  );
}

function evaluator(graph: Graph): HostSession {
  return {
    run: async (values: Values) => {
      const inputs: Record<string, TypedArray> = {};
      for (const { name } of graph.inputs) {
        const elements = values.get(name);
        if (elements !== undefined) inputs[name] = elements;
      }
      for (const [name, { data }] of Object.entries(evaluate(graph, inputs))) values.set(name, data);
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** Multiply-accumulates of operators that have many; the rest costs about its elements. */
function work(node: Node): number {
  const [output] = node.outputs;
  const weights = node.inputs[1];
  if (output === undefined || weights?.shape === undefined) return 0;
  switch (node.op) {
    case 'Conv':
    case 'QLinearConv':
      return elementCount(shapeOf(output)) * elementCount(weights.shape.slice(1));
    case 'ConvTranspose':
      return elementCount(shapeOf(node.inputs[0]!)) * elementCount(weights.shape.slice(1));
    case 'Gemm':
    case 'MatMul': {
      const transposed = node.op === 'Gemm' && node.attributes.transB !== 0;
      return elementCount(shapeOf(output)) * (weights.shape.at(transposed ? -1 : -2) ?? 1);
    }
    default:
      return 0;
  }
}
