// Large GNA layers in parts: which are split, and that threads give the bytes and the flag that one engine gives.
// Not the arithmetic of parts: test/devices/gna-kernels.test.ts runs every layer there in parts as well.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PAGE_SIZE } from '../../src/base/memory.js';
import { encode } from '../../src/devices/gna/command.js';
import { liesApart, parallel } from '../../src/devices/gna/parts.js';
import type { LayerPlan } from '../../src/devices/gna/plan/plan.js';
import { ConfigDescriptor, LayerDescriptor, LayerOp, PDE_INVALID, regs } from '../../src/hw/gna/index.js';
import { GnaRig } from '../support/gna-rig.js';

const OUTPUTS = 1023;

const fields = {
  inputs: 1024,
  outputs: OUTPUTS,
  groups: 4,
  inputBytes: 2,
  weightBytes: 2,
  chunk: 3072,
  input: 0x1000,
  weights: 0x10000,
  bias: 0x300000,
  biasBytes: 4,
  biasStride: 4,
  scale: 0,
  list: 0,
  output: 0x310000,
  outputBytes: 0,
  segments: 0,
  segmentCount: 0,
  apart: 1,
};

function command(change: Partial<typeof fields> = {}): Int32Array {
  const words = new Int32Array(64);
  return words.slice(0, encode('affine', { ...fields, ...change }, words));
}

/** Pages of the device's memory: descriptor, input, weights, sums. */
const [INPUT, WEIGHTS, SUMS] = [0x1000, 0x10000, 0x310000];
const PAGES = 1024;

/** Runs the layer on a device of its own; its status and all of its memory. */
async function score(engines: 'inline' | 'worker'): Promise<{ status: number; image: Uint8Array }> {
  using rig = new GnaRig('2.0', engines);
  const { memory, map, registers } = rig.target;
  const image = memory.allocate(PAGES * PAGE_SIZE);
  const control = memory.allocate(2 * PAGE_SIZE);
  map(image, PAGES * PAGE_SIZE);
  map(control, 2 * PAGE_SIZE);
  const table = control + PAGE_SIZE;
  for (let page = 0; page < PAGES; page++) memory.words[table / 4 + page] = image / PAGE_SIZE + page;
  const directory = [table / PAGE_SIZE, ...Array<number>(63).fill(PDE_INVALID)];
  const config = { labase: 0, lacnt: 1, vamaxaddr: PAGES * PAGE_SIZE - 1, page_directory: directory };
  ConfigDescriptor.put(memory.bytes, config, control);
  const bytes = memory.bytes.subarray(image, image + PAGES * PAGE_SIZE);
  let seed = 1;
  const words = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  for (let i = INPUT / 2; i < SUMS / 2; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    words[i] = seed >>> 16;
  }
  bytes.set(
    LayerDescriptor.bytes({
      op: LayerOp.AFFINE,
      inputs: fields.inputs,
      outputs: OUTPUTS,
      groups: fields.groups,
      input: INPUT,
      weights: WEIGHTS,
      bias: WEIGHTS,
      sum: SUMS,
    }),
  );
  regs.DESBASE.write(registers, { PAGE: control / PAGE_SIZE });
  const done = rig.interrupt();
  regs.CTRL.write(registers, { START: 1, MODE: 1, COMPLETION_INTERRUPT: 1, ERROR_INTERRUPT: 1 });
  await done;
  return { status: registers.read32(regs.STS.at), image: bytes.slice() };
}

describe('Parts of GNA layers', () => {
  it('share out the rows, four at a time', () => {
    const parts = parallel.split('score', command(), 3)!;
    const layout = (part: Int32Array): number[] => [part[2]!, part[8]!, part[9]!, part[14]!];
    assert.deepEqual(parts.map(layout), [
      [340, 0x10000, 0x300000, 0x310000],
      [340, 0x10000 + 340 * 2048, 0x300000 + 340 * 4, 0x310000 + 340 * 16],
      [343, 0x10000 + 680 * 2048, 0x300000 + 680 * 4, 0x310000 + 680 * 16],
    ]);
  });

  it('are not made of one thread, small layers, one block of rows, what is read where it is written, or copies', () => {
    assert.equal(parallel.split('score', command(), 1), undefined);
    assert.equal(parallel.split('score', command({ inputs: 128 }), 2), undefined);
    assert.equal(parallel.split('score', command({ inputs: 65528, groups: 8, outputs: 4 }), 2), undefined);
    assert.equal(parallel.split('score', command({ apart: 0 }), 2), undefined);
    const words = new Int32Array(64);
    const copy = {
      rows: 1,
      columns: 1 << 20,
      elementBytes: 2,
      input: 0,
      inputPitch: 0,
      output: 0,
      outputPitch: 0,
    };
    assert.equal(parallel.split('score', words.slice(0, encode('copy', copy, words)), 2), undefined);
  });

  it('need results that lie apart from every operand', () => {
    const plan = (output: number): LayerPlan => ({
      operation: 'affine',
      values: { input: 100, output },
      operands: [
        { field: 'input', va: 0, bytes: 50, access: 'read' },
        { field: 'output', va: 0, bytes: 10, access: 'write' },
      ],
      macs: 0,
      inputBytes: 2,
    });
    assert.deepEqual(
      [90, 91, 149, 150].map((at) => liesApart(plan(at))),
      [true, false, false, true],
    );
  });

  it('saturate where any does', () => {
    const results = [0, 1].map((saturated) => Int32Array.of(0, saturated));
    parallel.join(results);
    assert.equal(results[0]![1], 1);
  });

  it('in threads give what one engine gives, in all of memory', async () => {
    const [whole, parts] = [await score('inline'), await score('worker')];
    assert.equal(whole.status, regs.STS.f.SCORE_COMPLETED.mask | regs.STS.f.SATURATE.mask);
    assert.equal(parts.status, whole.status);
    assert.ok(new Set(whole.image.subarray(SUMS, SUMS + 16 * OUTPUTS)).size > 200);
    assert.ok(Buffer.from(whole.image).equals(parts.image));
  });
});
