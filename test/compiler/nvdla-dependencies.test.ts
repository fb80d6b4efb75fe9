// The dependency graph of the NVDLA target, played by the rules of the driver's scheduler (fact sheet section 6).
// Not the driver: no registers, only programmed, enabled and complete.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dependencyGraph, type LayerOperations } from '../../src/compiler/targets/nvdla/dependencies.js';
import { CommonOpDesc, OpEvent, OpType } from '../../src/hw/nvdla/index.js';

/** A layer that waits for the layers `start` before it begins, and for `operand` before SDP reads an operand. */
function layer(types: readonly number[], start: number[] = [], operand: number[] = []): LayerOperations {
  const operandReader = types.indexOf(OpType.SDP);
  return { types, operandReader, start, operand: operandReader === -1 ? [] : operand };
}

const { CONV, SDP, PDP, CDP } = OpType;
const pipes: readonly (readonly number[])[] = [
  [CONV, SDP],
  [SDP],
  [PDP],
  [CDP],
  [CONV, SDP, PDP],
  [SDP, PDP],
];

interface Entry {
  readonly event: 'enabled' | 'complete';
  readonly op: number;
}

/** Runs the graph; of the operations that could be the next to complete `choose` takes one. Returns what happened, in order. */
function play(layers: readonly LayerOperations[], choose: (count: number) => number = () => 0): Entry[] {
  const { bytes, heads, operations } = dependencyGraph(layers);
  const ops = Array.from({ length: operations }, (_, i) => CommonOpDesc.from(bytes, i * CommonOpDesc.size));
  const log: Entry[] = [];
  const programmed = new Set<number>();
  const enabled = new Set<number>();
  const complete = new Set<number>();
  /** Operations of each type in the unit's two groups, in their order. */
  const groups: number[][] = Array.from({ length: 6 }, () => []);
  const waiting = heads.slice();

  const raise = (from: number, event: number): void => {
    const op = ops[from]!;
    for (const entry of [...op.consumers, op.fused_parent]) {
      if (entry.index === -1 || entry.event !== event) continue;
      const to = ops[entry.index]!;
      assert.ok(to.dependency_count > 0, `operation ${entry.index} has fewer dependencies than events`);
      to.dependency_count--;
      if (to.dependency_count === 0) enable(entry.index);
    }
  };
  const enable = (index: number): void => {
    if (!programmed.has(index) || enabled.has(index)) return;
    enabled.add(index);
    log.push({ event: 'enabled', op: index });
    raise(index, OpEvent.ENABLED);
  };
  /** Programs operations of a type while one of the unit's two groups is free. */
  const fill = (type: number): void => {
    while (waiting[type] !== -1 && groups[type]!.length < 2) {
      const index = waiting[type]!;
      waiting[type] = ops[index]!.consumers[type]!.index;
      groups[type]!.push(index);
      programmed.add(index);
      raise(index, OpEvent.PROGRAMMED);
      if (ops[index]!.dependency_count === 0) enable(index);
    }
  };
  for (let type = 0; type < 6; type++) fill(type);
  while (groups.some((own) => own.length > 0)) {
    // A unit runs the older of its groups, and only when that is enabled; in a pipe the source ends before who takes its result.
    const next = groups.flatMap(([index]) => {
      if (index === undefined || !enabled.has(index)) return [];
      const source = ops[index]!.fused_parent.index;
      return source === -1 || complete.has(source) ? [index] : [];
    });
    assert.ok(next.length > 0, 'nothing can complete: operations wait for each other');
    const index = next[choose(next.length)]!;
    complete.add(index);
    log.push({ event: 'complete', op: index });
    groups[ops[index]!.op_type]!.shift();
    raise(index, OpEvent.COMPLETED);
    fill(ops[index]!.op_type);
  }
  assert.equal(complete.size, operations);
  return log;
}

function check(layers: readonly LayerOperations[], choose?: (count: number) => number): void {
  const log = play(layers, choose);
  const at = new Map(log.map(({ event, op }, i) => [`${event} ${op}`, i]));
  const firsts: number[] = [];
  const lasts: number[] = [];
  let op = 0;
  for (const { types, start, operand, operandReader } of layers) {
    firsts.push(op);
    lasts.push(op + types.length - 1);
    for (const before of start)
      assert.ok(
        at.get(`enabled ${op}`)! > at.get(`complete ${lasts[before]!}`)!,
        `operation ${op} begins after layer ${before}`,
      );
    for (const before of operand)
      assert.ok(
        at.get(`enabled ${op + operandReader}`)! > at.get(`complete ${lasts[before]!}`)!,
        `operation ${op + operandReader} reads its operand after layer ${before}`,
      );
    for (let i = op + 1; i < op + types.length; i++)
      assert.ok(at.get(`enabled ${i}`)! < at.get(`enabled ${i - 1}`)!, 'a pipe is armed from its end');
    op += types.length;
  }
}

function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 12) % below;
  };
}

describe('NVDLA dependency graph', () => {
  it('runs layers of every kind, one after the other and side by side, to the end', () => {
    for (const a of pipes)
      for (const b of pipes)
        for (const c of pipes) {
          check([layer(a), layer(b), layer(c)]);
          check([layer(a), layer(b, [0]), layer(c, [1])]);
          check([layer(a), layer(b, [0]), layer(c, [0, 1], [0])]);
          check([layer(a), layer(b), layer(c, [0, 1], [0, 1])]);
        }
  });

  it('holds every wait of long random networks, whichever unit is faster', () => {
    for (let round = 0; round < 200; round++) {
      const next = random(round);
      const layers: LayerOperations[] = [];
      for (let i = 0; i < 40; i++) {
        const types = pipes[next(pipes.length)]!;
        const start = layers.flatMap((_, before) => (next(i) < 2 ? [before] : []));
        const operand = start.filter(() => next(2) === 0);
        layers.push(layer(types, start, operand));
      }
      check(layers, random(round + 1000));
    }
  });

  it('lets layers on other units run beside each other when neither needs the other', () => {
    const log = play([layer([CONV, SDP]), layer([PDP]), layer([CDP])]);
    const enabled = log.slice(0, 4).map(({ event, op }) => `${event} ${op}`);
    assert.deepEqual(enabled.sort(), ['enabled 0', 'enabled 1', 'enabled 2', 'enabled 3']);
  });

  it('lets tiles of one operator be enabled while the one before runs', () => {
    const log = play([layer([CONV, SDP]), layer([CONV, SDP])]);
    const second = log.findIndex(({ event, op }) => event === 'enabled' && op === 2);
    const first = log.findIndex(({ event, op }) => event === 'complete' && op === 1);
    assert.ok(second < first);
  });

  it('has one consumer of each type at most, as the descriptor has one place for it', () => {
    const { heads, operations } = dependencyGraph([
      layer([CONV, SDP]),
      layer([SDP], [0]),
      layer([PDP], [1]),
      layer([CONV, SDP], [2]),
    ]);
    assert.deepEqual(heads, [-1, 0, 1, 3, -1, -1]);
    assert.equal(operations, 6);
  });
});
