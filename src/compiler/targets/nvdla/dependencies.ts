// The dependency graph of a task: which operation waits for which event of which other. Fact sheet section 6.
// Not the driver's scheduler: this makes its input. Not the reasons: hazards.ts.
//
// A layer begins when the layers it needs are complete; layers that need nothing of each other run side by side, as far as they use
// other units. Registers of the next operation are programmed while one runs (two groups per unit). Each operation has one
// consumer of each type at most, and that is enough:
//   the next of its own type waits until it is enabled, or complete where that is needed: operations of a type are enabled, and so run,
//   in their order, and an operation is programmed only when the second before it is complete;
//   what an operation waits for, those of its type behind it have waited for too: only the first of them needs the event;
//   the parts of a pipe (CONV, SDP, PDP) are programmed in this order and enabled against it (fused parents).
import { CommonOpDesc, OP_TYPES, OpEvent } from '../../../hw/nvdla/index.js';
import type { Waits } from './hazards.js';

/** A layer's operation types in the order of its pipe ([CONV, SDP], [SDP], [PDP] ...), and what it waits for. */
export interface LayerOperations extends Waits {
  readonly types: readonly number[];
  /** Index in `types` of the operation that reads operands. */
  readonly operandReader: number;
}

type CommonOp = Parameters<typeof CommonOpDesc.bytes>[0] & { dependency_count: number };

export interface DependencyGraph {
  /** dla_common_op_desc of every operation. */
  readonly bytes: Uint8Array;
  /** First operation of each type, -1 where there is none. */
  readonly heads: number[];
  readonly operations: number;
}

interface Operation extends CommonOp {
  readonly op_type: number;
  readonly consumers: { index: number; event: number; res: number }[];
  fused_parent: { index: number; event: number; res: number };
  /** By type: the last operation that is complete, for certain, when this one is enabled. -1: none. */
  readonly complete: number[];
}

const nobody = { index: -1, event: 0, res: 0 };

/** One descriptor per operation; operation i of the result is the i-th over all layers. */
export function dependencyGraph(layers: readonly LayerOperations[]): DependencyGraph {
  const ops: Operation[] = [];
  const heads = new Array<number>(OP_TYPES).fill(-1);
  /** Operations of each type, in their order. */
  const chains: number[][] = Array.from({ length: OP_TYPES }, () => []);
  /** The last operation of each layer: when it is complete, so is the layer. */
  const lasts: number[] = [];

  const wait = (from: number, to: number, event: number): void => {
    ops[from]!.consumers[ops[to]!.op_type] = { index: to, event, res: 0 };
    ops[to]!.dependency_count++;
  };
  const learn = (to: Operation, from: number): void => {
    const { complete, op_type } = ops[from]!;
    complete.forEach((last, type) => (to.complete[type] = Math.max(to.complete[type]!, last)));
    to.complete[op_type] = Math.max(to.complete[op_type]!, from);
  };

  for (const layer of layers) {
    const first = ops.length;
    layer.types.forEach((type, i) => {
      const index = ops.length;
      const chain = chains[type]!;
      const previous = chain.at(-1);
      const second = chain.at(-2);
      const op: Operation = {
        index,
        roi_index: 0,
        op_type: type,
        dependency_count: 0,
        consumers: Array.from({ length: OP_TYPES }, () => nobody),
        fused_parent: nobody,
        complete:
          previous === undefined ? new Array<number>(OP_TYPES).fill(-1) : ops[previous]!.complete.slice(),
      };
      ops.push(op);
      chain.push(index);
      if (heads[type] === -1) heads[type] = index;
      if (second !== undefined) learn(op, second);
      const needed = [
        ...(i === 0 ? layer.start : []),
        ...(i === layer.operandReader ? layer.operand : []),
      ].map((before) => lasts[before]!);
      // The last of each type stands for those before it.
      const lastOf = new Map<number, number>();
      for (const from of needed)
        lastOf.set(ops[from]!.op_type, Math.max(from, lastOf.get(ops[from]!.op_type) ?? -1));
      let event: number = OpEvent.ENABLED;
      for (const [other, from] of [...lastOf].sort((a, b) => b[1] - a[1])) {
        if (op.complete[other]! >= from) continue;
        if (from === previous) event = OpEvent.COMPLETED;
        else wait(from, index, OpEvent.COMPLETED);
        learn(op, from);
      }
      if (previous !== undefined) wait(previous, index, event);
    });
    for (let index = first + 1; index < ops.length; index++) {
      wait(index - 1, index, OpEvent.PROGRAMMED);
      ops[index]!.fused_parent = { index: index - 1, event: OpEvent.ENABLED, res: 0 };
      ops[index - 1]!.dependency_count++;
    }
    lasts.push(ops.length - 1);
  }

  const bytes = new Uint8Array(Math.max(1, ops.length) * CommonOpDesc.size);
  ops.forEach((op, i) => {
    CommonOpDesc.put(bytes, op, i * CommonOpDesc.size);
  });
  return { bytes, heads, operations: ops.length };
}

/** Of earlier layers, those that a layer waits for: the last of each unit that ends one, since units take layers in their order. */
export function shortest(waits: readonly number[], lastUnit: (layer: number) => string): number[] {
  const last = new Map<string, number>();
  for (const layer of waits) last.set(lastUnit(layer), Math.max(layer, last.get(lastUnit(layer)) ?? -1));
  return [...last.values()].sort((a, b) => a - b);
}
