// The dependency graph of the NVDLA target, played by the rules of the driver's scheduler (fact sheet section 6).
// Not the driver: no registers, only programmed, enabled and complete.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dependencyGraph, type LayerOperations } from '../../src/compiler/targets/nvdla/dependencies.js';
import { CommonOpDesc, OpEvent, OpType } from '../../src/hw/nvdla/index.js';

const conv = { types: [OpType.CONV, OpType.SDP], independent: false, operand: false };
const tile = { ...conv, independent: true };
const sum = { ...conv, operand: true };
const sdp = { types: [OpType.SDP], independent: false, operand: true };
const pdp = { types: [OpType.PDP], independent: false, operand: false };

/** Runs the graph; operations complete in the order in which they were enabled. Returns what happened, in order. */
function play(layers: readonly LayerOperations[]): { event: string; op: number }[] {
  const { bytes, heads, operations } = dependencyGraph(layers);
  const ops = Array.from({ length: operations }, (_, i) => CommonOpDesc.from(bytes, i * CommonOpDesc.size));
  const log: { event: string; op: number }[] = [];
  const programmed = new Set<number>();
  const enabled = new Set<number>();
  const running: number[] = [];
  const inGroups = new Array<number>(6).fill(0);
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
    running.push(index);
    raise(index, OpEvent.ENABLED);
  };
  /** Programs operations of a type while one of the unit's two groups is free. */
  const fill = (type: number): void => {
    while (waiting[type] !== -1 && inGroups[type]! < 2) {
      const index = waiting[type]!;
      waiting[type] = ops[index]!.consumers[type]!.index;
      inGroups[type]!++;
      programmed.add(index);
      raise(index, OpEvent.PROGRAMMED);
      if (ops[index]!.dependency_count === 0) enable(index);
    }
  };
  for (let type = 0; type < 6; type++) fill(type);
  while (running.length > 0) {
    // A convolution ends before the SDP that takes its result.
    const at = running.findIndex((index) => {
      const parent = ops[index]!.fused_parent.index;
      return parent === -1 || log.some(({ event, op }) => event === 'complete' && op === parent);
    });
    assert.ok(at !== -1, 'nothing can complete');
    const [index] = running.splice(at, 1);
    log.push({ event: 'complete', op: index! });
    inGroups[ops[index!]!.op_type]!--;
    raise(index!, OpEvent.COMPLETED);
    fill(ops[index!]!.op_type);
  }
  return log;
}

function check(layers: readonly LayerOperations[]): void {
  const log = play(layers);
  const at = (event: string, op: number): number =>
    log.findIndex((entry) => entry.event === event && entry.op === op);
  let op = 0;
  let lastOfPrevious = -1;
  for (const layer of layers) {
    const last = op + layer.types.length - 1;
    assert.ok(at('complete', last) !== -1, `operation ${last} completes`);
    if (lastOfPrevious !== -1 && !layer.independent)
      assert.ok(
        at('enabled', op) > at('complete', lastOfPrevious),
        `operation ${op} begins after ${lastOfPrevious}`,
      );
    if (lastOfPrevious !== -1 && layer.operand && !layer.independent)
      assert.ok(
        at('enabled', last) > at('complete', lastOfPrevious),
        `operation ${last} reads its operand after ${lastOfPrevious}`,
      );
    if (layer.types.length === 2)
      assert.ok(at('enabled', last) < at('enabled', op), 'SDP is armed before its convolution');
    lastOfPrevious = last;
    op = last + 1;
  }
}

describe('NVDLA dependency graph', () => {
  it('runs single layers and pairs of every kind to the end, in order', () => {
    const kinds = [conv, sum, sdp, pdp];
    for (const a of kinds) {
      check([a]);
      for (const b of kinds) for (const c of kinds) check([a, b, c]);
    }
  });

  it('runs long random sequences, tiles included', () => {
    let state = 5;
    for (let round = 0; round < 50; round++) {
      const layers: LayerOperations[] = [];
      for (let i = 0; i < 40; i++) {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        const kind = [conv, sdp, pdp, tile, sum][(state >>> 16) % 5]!;
        layers.push(kind === tile && layers.at(-1)?.types.length !== 2 ? conv : kind);
      }
      check(layers);
    }
  });

  it('lets tiles of one operator be enabled while the one before runs', () => {
    const log = play([conv, tile]);
    const second = log.findIndex(({ event, op }) => event === 'enabled' && op === 2);
    const first = log.findIndex(({ event, op }) => event === 'complete' && op === 1);
    assert.ok(second < first);
  });

  it('has one consumer of each type at most, as the descriptor has one place for it', () => {
    const { heads, operations } = dependencyGraph([conv, sdp, pdp, conv]);
    assert.deepEqual(heads, [-1, 0, 1, 3, -1, -1]);
    assert.equal(operations, 6);
  });
});
