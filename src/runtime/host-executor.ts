// Who computes the operators that no device takes, and that the runtime does not compute itself.
// Not an implementation: node/host has one over ONNX Runtime.
import type { Graph, Node } from '../compiler/ir/index.js';
import type { Values } from './backends/backend.js';

/** A part of a graph, ready to run. */
export interface HostSession extends AsyncDisposable {
  /** Takes the graph's inputs from `values` and adds its outputs. */
  run(values: Values): Promise<void>;
}

export interface HostExecutor {
  /** For messages: `ONNX Runtime 1.30.0`. */
  readonly name: string;
  /** Why it cannot compute this node, or undefined when it can. */
  refuses(node: Node): string | undefined;
  /** @throws AccelError EOPNOTSUPP naming the operator */
  prepare(graph: Graph): Promise<HostSession>;
}
