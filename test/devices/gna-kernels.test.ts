// Holds the GNA kernels to plain loops over random layers: every way to add up products, block edges, pools, tables.
// Not descriptors: commands are made here.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { compileModule, instantiate, sharedMemory } from '../../src/base/wasm.js';
import { encode, type Operation } from '../../src/devices/gna/command.js';
import { createGnaEngine, SCRATCH_BYTES } from '../../src/devices/gna/engine.js';
import { parallel, splitCommand } from '../../src/devices/gna/parts.js';
import { Reference, type Fields } from '../support/gna-reference.js';
import { root } from '../support/shared.js';

const DATA = 1 << 20;
const PART = 1 << 20;
const SCRATCH = DATA + 8 * PART;

const module = compileModule(readFileSync(join(root, 'dist/kernels/gna.wasm')));
const memory = sharedMemory(SCRATCH + SCRATCH_BYTES + 65536);
const bytes = new Uint8Array(memory.buffer);
const engine = createGnaEngine({
  memory,
  kernels: instantiate(module, memory),
  scratch: { address: SCRATCH, bytes: SCRATCH_BYTES },
});

let seed = 1;
function random(below: number): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
}
const pick = <T>(...values: T[]): T => values[random(values.length)]!;
/** A multiple of `step` from `step` to `most`. */
const sized = (most: number, step = 1): number => step * (1 + random(Math.floor(most / step)));

const place = (part: number): number => DATA + part * PART + 64;
const view = new DataView(memory.buffer);

/** Values whose size decides how products are added up: |x| up to `reach`; often at the ends of the range. */
function fill(part: number, count: number, elementBytes: number, reach: number): void {
  const half = 2 ** (8 * elementBytes - 1);
  const high = Math.min(reach, half - 1);
  const low = -Math.min(reach, half);
  for (let i = 0; i < count; i++) {
    const value = pick(high, low, low + random(high - low + 1), low + random(high - low + 1));
    if (elementBytes === 1) view.setInt8(place(part) + i, value);
    else if (elementBytes === 2) view.setInt16(place(part) + 2 * i, value, true);
    else view.setInt32(place(part) + 4 * i, value, true);
  }
}

const reaches = [100, 255, 256, 3000, 8191, 8192, 16383, 16384, 32767, 32768];
const BIAS = 2;
const SEGMENTS = 3;
const OUTPUT = 4;
const LIST = 5;

/** Ascending segments over some of the range of sums; 0 segments: sums stay. */
function segments(outputBytes: number): Fields {
  const segmentCount = outputBytes === 0 ? 0 : pick(1, 2, 3, 8, 9, 20, 127, 128);
  const span = pick(100, 2 ** 16, 2 ** 28, 2 ** 32 - 1);
  const bases = Array.from({ length: segmentCount }, () => Math.floor(random(span) - span / 2));
  bases.sort((a, b) => (a & ~3) - (b & ~3));
  // Slopes so small that no y leaves int32, and any.
  const slopes = pick(3, 256, 65536);
  const shift = pick(-1, 1, 3);
  for (const [i, base] of bases.entries()) {
    const at = place(SEGMENTS) + 8 * i;
    view.setInt32(at, shift < 0 ? base : (base & ~3) | shift, true);
    view.setInt16(at + 4, random(65536) - 32768, true);
    view.setInt16(at + 6, random(slopes) - (slopes >> 1), true);
  }
  return { segments: place(SEGMENTS), segmentCount, outputBytes };
}

function bias(rows: number, biasBytes: number, scaled: boolean): Fields {
  fill(BIAS, rows * 2, 4, pick(0, 1000, 2 ** 31));
  return {
    bias: place(BIAS),
    biasBytes,
    biasStride: scaled ? 8 : biasBytes,
    scale: scaled ? place(BIAS) + 4 : 0,
  };
}

const words = new Int32Array(64);

function execute(command: Int32Array): Int32Array {
  const result = new Int32Array(16);
  engine.execute(command, result);
  return result;
}

/** The layer as a whole, then in two or three parts, the last first: none reads what another writes. */
function check(operation: Operation, fields: Fields): void {
  const output = bytes.subarray(place(OUTPUT), place(OUTPUT + 1));
  const before = output.slice();
  const expected = bytes.slice(0, SCRATCH);
  const reference = new Reference(expected.buffer);
  reference[operation as 'affine'](fields);
  const compare = (what: string, saturated: number): void => {
    const actual = Buffer.from(memory.buffer as unknown as ArrayBuffer, 0, SCRATCH);
    if (Buffer.from(expected.buffer).equals(actual) && saturated === reference.saturated) return;
    const at = expected.findIndex((byte, i) => byte !== bytes[i]);
    assert.fail(
      `${what}: byte ${at}, saturated ${saturated} (${reference.saturated}), seed ${seed}: ${JSON.stringify(fields)}`,
    );
  };
  const command = words.slice(0, encode(operation, { ...fields, apart: 1 }, words));
  compare('whole', execute(command)[1]!);
  const parts = splitCommand(command, pick(2, 3), 1);
  if (parts === undefined) return;
  output.set(before);
  const results = [...parts].reverse().map(execute);
  parallel.join(results);
  compare(`${parts.length} parts`, results[0]![1]!);
}

describe('GNA kernels give what the fact sheet says for', () => {
  it('affine layers of every precision, batch and chunk', () => {
    for (let round = 0; round < 200; round++) {
      const inputs = pick(8, 16, 24, sized(400, 8), sized(3000, 8));
      const outputs = sized(20);
      const groups = sized(8);
      const inputBytes = pick(1, 2, 2);
      const weightBytes = pick(1, 2, 2);
      fill(0, inputs * groups, inputBytes, pick(...reaches));
      fill(1, inputs * outputs, weightBytes, pick(...reaches));
      const list = pick(0, 0, 0, place(LIST));
      for (let i = 0; i < 20; i++) view.setUint32(place(LIST) + 4 * i, random(outputs), true);
      const scaled = weightBytes === 1 && inputBytes === 2;
      check('affine', {
        inputs,
        outputs,
        groups,
        inputBytes,
        weightBytes,
        chunk: pick(12288, 64, 8, 1024),
        input: place(0),
        weights: place(1),
        ...bias(outputs, scaled ? 4 : pick(0, 1, 2, 4), scaled),
        list,
        output: place(OUTPUT),
        ...segments(pick(0, 1, 2, 4)),
      });
    }
  });

  it('affine layers with more results than wait for activation at once', () => {
    for (const [outputs, groups] of [
      [4099, 1],
      [1370, 3],
      [515, 8],
    ] as const) {
      fill(0, 8 * groups, 2, 32768);
      fill(1, 8 * outputs, 2, 32768);
      check('affine', {
        inputs: 8,
        outputs,
        groups,
        inputBytes: 2,
        weightBytes: 2,
        chunk: 12288,
        input: place(0),
        weights: place(1),
        ...bias(outputs, 4, false),
        list: 0,
        output: place(OUTPUT),
        ...segments(pick(0, 2)),
      });
    }
  });

  it('products of the most negative inputs and weights', () => {
    for (const outputBytes of [0, 4]) {
      for (let i = 0; i < 64 * 8; i++) view.setInt16(place(0) + 2 * i, -32768, true);
      for (let i = 0; i < 64 * 9; i++) view.setInt16(place(1) + 2 * i, -32768, true);
      check('affine', {
        inputs: 64,
        outputs: 9,
        groups: 2,
        inputBytes: 2,
        weightBytes: 2,
        chunk: 16,
        input: place(0),
        weights: place(1),
        ...bias(9, 4, false),
        list: 0,
        output: place(OUTPUT),
        ...segments(outputBytes),
      });
    }
  });

  it('diagonal layers', () => {
    for (let round = 0; round < 150; round++) {
      const outputs = pick(sized(40), sized(1500), sized(10000));
      const groups = pick(1, sized(8));
      const inputBytes = pick(1, 2);
      const weightBytes = pick(1, 2);
      fill(0, outputs * groups, inputBytes, pick(...reaches));
      fill(1, outputs, weightBytes, pick(...reaches));
      const scaled = weightBytes === 1 && inputBytes === 2;
      check('diagonal', {
        inputs: outputs,
        outputs,
        groups,
        inputBytes,
        weightBytes,
        chunk: 0,
        input: place(0),
        weights: place(1),
        ...bias(outputs, scaled ? 4 : pick(0, 1, 2, 4), scaled),
        list: 0,
        output: place(OUTPUT),
        ...segments(pick(0, 1, 2, 4)),
      });
    }
  });

  it('recurrent layers that read what they wrote', () => {
    for (let round = 0; round < 60; round++) {
      const inputs = sized(64, 8);
      const outputs = pick(32, 64);
      const vectors = sized(8);
      const inputBytes = pick(1, 2);
      const weightBytes = pick(1, 2);
      const outputBytes = pick(1, 2);
      fill(0, inputs * vectors, inputBytes, pick(...reaches));
      fill(1, (inputs + outputs) * outputs, weightBytes, pick(...reaches));
      fill(OUTPUT, outputs * 16, outputBytes, 32768);
      const scaled = weightBytes === 1 && inputBytes === 2;
      const output = place(OUTPUT) + 8 * outputs * outputBytes;
      check('recurrent', {
        inputs,
        outputs,
        vectors,
        inputBytes,
        weightBytes,
        chunk: pick(12288, 32),
        input: place(0),
        feedback: output - sized(4) * outputs * outputBytes,
        weights: place(1),
        ...bias(outputs, scaled ? 4 : pick(0, 1, 2, 4), scaled),
        output,
        ...segments(outputBytes),
      });
    }
  });

  it('convolutions in two dimensions, with pooling after activation', () => {
    for (let round = 0; round < 250; round++) {
      const elementBytes = pick(1, 2);
      const depth = pick(1, 3, 8, 8, 16, 24);
      const width = 1 + sized(12);
      const height = 1 + sized(12);
      const kernelWidth = Math.min(sized(5), width);
      const kernelHeight = Math.min(sized(5), height);
      const strideWidth = sized(3);
      const strideHeight = sized(3);
      const padWidth = random(kernelWidth);
      const padHeight = random(kernelHeight);
      const filters = sized(40, 4);
      const convWidth = 1 + Math.floor((width + 2 * padWidth - kernelWidth) / strideWidth);
      const convHeight = 1 + Math.floor((height + 2 * padHeight - kernelHeight) / strideHeight);
      const pool = pick(0, 1, 2);
      const poolWidth = Math.min(sized(3), convWidth);
      const poolHeight = Math.min(sized(3), convHeight);
      const poolStrideWidth = sized(poolWidth);
      const poolStrideHeight = sized(poolHeight);
      const filterBytes = kernelWidth * kernelHeight * depth * elementBytes;
      const filterPitch = Math.ceil(filterBytes / 16) * 16;
      fill(0, width * height * depth, elementBytes, pick(...reaches));
      fill(1, (filters * filterPitch) / elementBytes, elementBytes, pick(...reaches));
      const biasBytes = pick(0, 1, 2, 4);
      check('conv', {
        legacy: 0,
        width,
        height,
        depth,
        elementBytes,
        filters,
        kernelWidth,
        kernelHeight,
        strideWidth,
        strideHeight,
        padWidth,
        padHeight,
        filterPitch,
        convWidth,
        convHeight,
        pool,
        poolWidth,
        poolHeight,
        poolStrideWidth,
        poolStrideHeight,
        outWidth: pool === 0 ? convWidth : 1 + Math.ceil((convWidth - poolWidth) / poolStrideWidth),
        outHeight: pool === 0 ? convHeight : 1 + Math.ceil((convHeight - poolHeight) / poolStrideHeight),
        input: place(0),
        weights: place(1),
        ...bias(filters, biasBytes, false),
        output: place(OUTPUT),
        ...segments(pick(0, elementBytes, 4)),
      });
    }
  });

  it('convolutions whose filters do not fit one block', () => {
    const fields = { width: 3, height: 2, depth: 384, kernelWidth: 2, kernelHeight: 2, filters: 180 };
    for (const pool of [0, 1, 2]) {
      fill(0, 3 * 2 * 384, 2, 1000);
      fill(1, 4 * 384 * 180, 2, 1000);
      check('conv', {
        legacy: 0,
        ...fields,
        elementBytes: 2,
        strideWidth: 1,
        strideHeight: 1,
        padWidth: 1,
        padHeight: 1,
        filterPitch: 4 * 384 * 2,
        convWidth: 4,
        convHeight: 3,
        pool,
        poolWidth: 2,
        poolHeight: 2,
        poolStrideWidth: 1,
        poolStrideHeight: 2,
        outWidth: pool === 0 ? 4 : 3,
        outHeight: pool === 0 ? 3 : 2,
        input: place(0),
        weights: place(1),
        ...bias(180, 4, false),
        output: place(OUTPUT),
        ...segments(2),
      });
    }
  });

  it('convolutions in one dimension before 3.0, with pooling of unsaturated sums', () => {
    for (let round = 0; round < 150; round++) {
      const kernelWidth = sized(96, 8);
      const width = kernelWidth + 8 * random(60);
      const strideWidth = sized(40);
      const filters = sized(24, 4);
      const convWidth = 1 + Math.floor((width - kernelWidth) / strideWidth);
      const pool = pick(0, 1, 2);
      const poolWidth = sized(6);
      const poolStrideWidth = sized(6);
      fill(0, width, 2, pick(...reaches));
      fill(1, filters * kernelWidth, 2, pick(...reaches));
      check('conv', {
        legacy: 1,
        width,
        height: 1,
        depth: 1,
        elementBytes: 2,
        filters,
        kernelWidth,
        kernelHeight: 1,
        strideWidth,
        strideHeight: 1,
        padWidth: 0,
        padHeight: 0,
        filterPitch: kernelWidth * 2,
        convWidth,
        convHeight: 1,
        pool,
        poolWidth,
        poolHeight: 1,
        poolStrideWidth,
        poolStrideHeight: 1,
        outWidth: pool === 0 ? convWidth : Math.floor((convWidth - 1) / poolStrideWidth) + 1,
        outHeight: 1,
        input: place(0),
        weights: place(1),
        ...bias(filters, 4, false),
        output: place(OUTPUT),
        ...segments(pool === 0 ? pick(0, 2) : 2),
      });
    }
  });

  it('copies with pitches and transposes of both widths', () => {
    for (let round = 0; round < 120; round++) {
      const rows = pick(sized(8), sized(70));
      const columns = pick(sized(8), sized(70));
      const elementBytes = pick(1, 2);
      fill(0, 20000, 2, 32768);
      fill(OUTPUT, 20000, 2, 32768);
      check(pick('copy', 'transpose'), {
        rows,
        columns,
        elementBytes,
        input: place(0),
        inputPitch: columns + random(20),
        output: place(OUTPUT),
        outputPitch: columns + random(20),
      });
    }
  });

  it('Gaussian mixtures, flat and interleaved, with and without a list of states', () => {
    for (let round = 0; round < 100; round++) {
      const length = pick(24, 32, 40, 96);
      const mixtures = sized(9);
      const states = sized(7);
      const varianceBytes = pick(1, 2);
      for (const part of [0, 1, BIAS]) fill(part, states * mixtures * length + 1024, 2, 32768);
      for (let i = 0; i < 9; i++) view.setUint32(place(LIST) + 4 * i, random(states), true);
      const list = pick(0, place(LIST));
      const means = mixtures * length;
      const constants = Math.ceil(mixtures / 2) * 8;
      const record = means * (1 + varianceBytes) + constants;
      const flat = {
        means: place(1),
        meanStride: means,
        variances: place(1) + states * means,
        varianceStride: means * varianceBytes,
        constants: place(BIAS),
        constantStride: constants,
      };
      const interleaved = {
        means: place(1),
        meanStride: record,
        variances: place(1) + means,
        varianceStride: record,
        constants: place(1) + means * (1 + varianceBytes),
        constantStride: record,
      };
      check('gmm', {
        vectors: sized(8),
        length,
        mixtures,
        rows: list === 0 ? states : 9,
        features: place(0),
        featurePitch: Math.ceil(length / 64) * 64,
        ...pick(flat, interleaved),
        varianceBytes,
        maxScore: pick(-1, 2 ** 31 - 1, 100_000_000),
        list,
        scores: place(OUTPUT),
      });
    }
  });
});
