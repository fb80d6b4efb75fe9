// What a pass is, and how a list of them runs.
// Not the list: see index.ts.
import { type Graph, nodeError } from '../ir/index.js';

/** A change of a graph that keeps what it computes. */
export interface Pass {
  readonly name: string;
  /** Changes the graph in place; true when it changed anything. */
  run(graph: Graph): boolean;
}

/** Rounds after which passes that still find work are taken to undo each other. */
const MAX_ROUNDS = 32;

/** A pass that runs a list of passes until none of them finds anything to do. */
export function untilStable(name: string, passes: readonly Pass[]): Pass {
  return {
    name,
    run(graph) {
      let any = false;
      for (let round = 0; round < MAX_ROUNDS; round++) {
        let changed = false;
        for (const pass of passes) if (pass.run(graph)) changed = true;
        if (!changed) return any;
        any = true;
      }
      return any;
    },
  };
}

/** Checks that nodes come after what they use and that every output is made. Throws CompileError EINVAL. */
export function verify(graph: Graph): void {
  const known = new Set(graph.inputs);
  for (const node of graph.nodes) {
    for (const value of node.inputs) {
      if (value !== undefined && value.data === undefined && !known.has(value))
        throw nodeError(node, 'EINVAL', `"${value.name}" is used before it is made`);
    }
    for (const value of node.outputs) {
      if (known.has(value)) throw nodeError(node, 'EINVAL', `"${value.name}" is made twice`);
      known.add(value);
    }
  }
  for (const value of graph.outputs) {
    if (value.data === undefined && !known.has(value))
      throw new Error(`output "${value.name}" is made by no node`);
  }
}
