// Marks an activation that follows a convolution, product, sum or pool as part of it.
// Not every activation: those that bound the result (Relu, Clip), and LeakyRelu, which one multiplier makes.
import { type Activation, type Graph, type Node } from '../ir/index.js';
import type { Pass } from './pass.js';
import { Rewriter } from './rewriter.js';

const carriers = new Set([
  'Conv',
  'ConvTranspose',
  'Gemm',
  'MatMul',
  'Add',
  'Sub',
  'Mul',
  'AveragePool',
  'GlobalAveragePool',
  'BatchNormalization',
]);

function activationOf(node: Node): Activation | undefined {
  switch (node.op) {
    case 'Relu':
      return { op: 'Relu' };
    case 'LeakyRelu':
      return { op: 'LeakyRelu', alpha: node.attributes.alpha };
    case 'Clip': {
      const [, low, high] = node.inputs;
      if ((low !== undefined && low.data === undefined) || (high !== undefined && high.data === undefined))
        return undefined;
      const min = low?.data?.numbers()[0] ?? -Infinity;
      const max = high?.data?.numbers()[0] ?? Infinity;
      return min === 0 && max === Infinity ? { op: 'Relu' } : { op: 'Clip', min, max };
    }
    default:
      return undefined;
  }
}

/** Fuses float activations; quantised ones were fused before they were quantised. */
export const activationFusion: Pass = {
  name: 'activation-fusion',
  run(graph: Graph): boolean {
    const rewriter = new Rewriter(graph);
    for (const node of graph.nodes) {
      const activation = activationOf(node);
      if (activation === undefined || node.outputs[0]!.quantization !== undefined) continue;
      const carrier = rewriter.producer(node.inputs[0]);
      if (carrier === undefined || !carriers.has(carrier.op) || carrier.activation !== undefined) continue;
      if (carrier.outputs[0]!.type !== 'float32' || rewriter.onlyConsumer(carrier.outputs[0]!) !== node)
        continue;
      carrier.activation = activation;
      rewriter.absorb(carrier, node);
    }
    rewriter.finish();
    return rewriter.changed;
  },
};
