// The dependency graph of a task: which operation waits for which event of which other. Fact sheet section 6.
// Not the driver's scheduler: this makes its input.
//
// Layers run one after the other; registers of the next are programmed while one runs (two groups per unit). For that each operation
// has one consumer of each type at most:
//   the next of its own type waits until it is programmed,
//   a convolution's SDP is programmed after it and enabled before it (fused parent),
//   the first operation of the next layer waits until the last of this one is complete,
//   and so does an SDP behind a convolution that reads an operand from memory: its read unit starts before the convolution ends.
// A layer that is independent of the one before it does without the last: then the units' own order is enough.
import { CommonOpDesc, OP_TYPES, OpEvent, OpType } from '../../../hw/nvdla/index.js';

/** Operation types of a layer, in the order of its pipe: [CONV, SDP], [SDP] or [PDP]. */
export interface LayerOperations {
  readonly types: readonly number[];
  readonly independent: boolean;
  /** SDP reads a cube that an earlier layer may have written, besides its source. */
  readonly operand: boolean;
}

type CommonOp = Parameters<typeof CommonOpDesc.bytes>[0] & { dependency_count: number };

export interface DependencyGraph {
  /** dla_common_op_desc of every operation. */
  readonly bytes: Uint8Array;
  /** First operation of each type, -1 where there is none. */
  readonly heads: number[];
  readonly operations: number;
}

const nobody = { index: -1, event: 0, res: 0 };

/** One descriptor per operation; operation i of the result is the i-th over all layers. */
export function dependencyGraph(layers: readonly LayerOperations[]): DependencyGraph {
  const ops: (CommonOp & {
    consumers: { index: number; event: number; res: number }[];
    fused_parent: { index: number; event: number; res: number };
  })[] = [];
  const heads = new Array<number>(OP_TYPES).fill(-1);
  const lastOf = new Array<number>(OP_TYPES).fill(-1);
  const wait = (from: number, to: number, event: number): void => {
    ops[from]!.consumers[ops[to]!.op_type!] = { index: to, event, res: 0 };
    ops[to]!.dependency_count++;
  };

  let previous = -1;
  for (const layer of layers) {
    const first = ops.length;
    layer.types.forEach((type, i) => {
      const index = ops.length;
      ops.push({
        index,
        roi_index: 0,
        op_type: type,
        dependency_count: 0,
        consumers: Array.from({ length: OP_TYPES }, () => nobody),
        fused_parent: nobody,
      });
      if (heads[type] === -1) heads[type] = index;
      const reads = i === 0 || layer.operand;
      const completion = reads && previous !== -1 && !layer.independent;
      // After an operation of its own type one entry says both: it is complete, so it was programmed.
      const after = lastOf[type]!;
      if (after !== -1 && !(completion && after === previous)) wait(after, index, OpEvent.PROGRAMMED);
      if (completion) wait(previous, index, OpEvent.COMPLETED);
      lastOf[type] = index;
    });
    if (layer.types[0] === OpType.CONV) {
      wait(first, first + 1, OpEvent.PROGRAMMED);
      ops[first + 1]!.fused_parent = { index: first, event: OpEvent.ENABLED, res: 0 };
      ops[first]!.dependency_count++;
    }
    previous = ops.length - 1;
  }

  const bytes = new Uint8Array(Math.max(1, ops.length) * CommonOpDesc.size);
  ops.forEach((op, i) => {
    CommonOpDesc.put(bytes, op, i * CommonOpDesc.size);
  });
  return { bytes, heads, operations: ops.length };
}
