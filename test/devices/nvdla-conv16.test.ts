// Sums of products of 16 bits: int16 beyond 32 bits, fp16 as the multiplier cells and the accumulator make them.
// Not the vendor's layers: nvdla-vectors.test.ts plays those. Fact sheet sections 2.2 to 2.4.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { compileModule, instantiate, sharedMemory } from '../../src/base/wasm.js';
import type { ConvKernels } from '../../src/devices/nvdla/engine/conv-kernels.js';
import { convLayout, precision, type ConvParams } from '../../src/devices/nvdla/engine/conv-params.js';
import { prepareConv } from '../../src/devices/nvdla/engine/conv.js';

const memory = sharedMemory(64 << 20);
const kernels = instantiate<ConvKernels>(
  compileModule(readFileSync(new URL('../../kernels/nvdla.wasm', import.meta.url))),
  memory,
);
const words = new Uint16Array(memory.buffer);
const results = new Int32Array(memory.buffer);

const INPUT = 1 << 20;
const WEIGHTS = 4 << 20;
const OUTPUT = 8 << 20;
const ATOM = 16;

interface Shape {
  readonly width: number;
  readonly channels: number;
  readonly kernels: number;
}

/** A layer of one line and kernels of one column: every output is a dot product over the channels. */
function line(of: number, { width, channels, kernels }: Shape, clipTruncate = 0): ConvParams {
  const zero = Object.fromEntries(Object.keys(convLayout).map((key) => [key, 0])) as ConvParams;
  return {
    ...zero,
    ...{ input: of, precision: of, inputAddress: INPUT, lineStride: width * 32, surfaceStride: width * 32 },
    ...{ width, height: 1, channels, batches: 1, kernelWidth: 1, kernelHeight: 1, kernelChannels: channels },
    ...{ kernels, strideX: 1, strideY: 1, dilationX: 1, dilationY: 1, jointRows: 1 },
    ...{ weightAddress: WEIGHTS, weightBytes: kernels * channels * 2, clipTruncate },
    ...{ atomicC: 64, atomicK: 16, atom: ATOM, inputAtom: ATOM, outWidth: width, outHeight: 1 },
  };
}

const inputAt = (p: ConvParams, x: number, c: number): number =>
  (INPUT + Math.floor(c / ATOM) * p.surfaceStride + x * 32) / 2 + (c % ATOM);

/** Groups of 16 kernels, blocks of 64 channels. */
function weightAt(p: ConvParams, k: number, c: number): number {
  const group = k - (k % 16);
  const size = Math.min(16, p.kernels - group);
  const block = c - (c % 64);
  const width = Math.min(64, p.channels - block);
  return WEIGHTS / 2 + group * p.channels + size * block + (k - group) * width + (c - block);
}

const outputOf = (p: ConvParams, x: number, k: number): number =>
  results[OUTPUT / 4 + (Math.floor(k / ATOM) * p.width + x) * ATOM + (k % ATOM)];

function random(): () => number {
  let state = 7;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
}

function run(p: ConvParams): number {
  return prepareConv(kernels, p, { address: 16 << 20, bytes: 16 << 20 }).run(0, 1, OUTPUT);
}

describe('a convolution of int16', () => {
  const signed = (word: number): number => (word << 16) >> 16;
  const layers: [string, Shape, number, (next: number) => number][] = [
    ['of small numbers', { width: 5, channels: 70, kernels: 19 }, 3, (next) => (next >>> 28) - 8],
    ['of any numbers', { width: 6, channels: 150, kernels: 37 }, 16, (next) => next >>> 16],
    ['of any numbers that saturate', { width: 7, channels: 64, kernels: 16 }, 1, (next) => next >>> 16],
    ['of extreme numbers', { width: 3, channels: 64, kernels: 16 }, 9, (n) => (n >>> 29 ? -32768 : 32767)],
    ['of least numbers', { width: 4, channels: 32, kernels: 16 }, 0, () => -32768],
  ];
  for (const [name, shape, shift, value] of layers)
    it(`${name} adds up exactly, then shifts, rounds and saturates`, () => {
      const p = line(precision.int16, shape, shift);
      const next = random();
      for (let c = 0; c < p.channels; c++) {
        for (let x = 0; x < p.width; x++) words[inputAt(p, x, c)] = value(next());
        for (let k = 0; k < p.kernels; k++) words[weightAt(p, k, c)] = value(next());
      }
      const count = run(p);
      let saturated = 0;
      for (let x = 0; x < p.width; x++)
        for (let k = 0; k < p.kernels; k++) {
          let sum = 0;
          for (let c = 0; c < p.channels; c++)
            sum += signed(words[inputAt(p, x, c)]) * signed(words[weightAt(p, k, c)]);
          const rounded = Math.sign(sum) * Math.floor(Math.abs(sum) / 2 ** shift + 0.5) || 0;
          const kept = Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, rounded));
          if (kept !== rounded) saturated++;
          assert.equal(outputOf(p, x, k), kept, `output ${x}, kernel ${k}`);
        }
      assert.equal(count, saturated);
    });
});

/** Mantissa of 14 bits and exponent over 4. */
function operand(h: number): { mantissa: number; quotient: number } {
  const e = (h >> 10) & 31;
  const shift = e === 0 ? 1 : e & 3;
  return { mantissa: ((h & 0x3ff) | (e === 0 ? 0 : 0x400)) << shift, quotient: e >> 2 };
}

/** Fact sheet section 2.3, step 3, word by word. */
function product(data: number, weight: number, shift: number): number {
  if (shift >= 32) return 0;
  const d = operand(data).mantissa;
  let bits = operand(weight).mantissa << 1;
  const flip = ((data ^ weight) & 0x8000) !== 0 ? 7 : 0;
  const partial: number[] = [];
  const inverted: number[] = [];
  for (let i = 0; i < 8; i++) {
    const code = (bits & 7) ^ flip;
    bits >>= 2;
    const twice = code === 3 || code === 4;
    const value = code === 0 || code === 7 ? 0 : twice ? d << 1 : d;
    const minus = code > 3 && code < 7;
    partial.push(minus ? ~value & 0xffff : value | 0x10000);
    inverted.push(minus ? 1 : 0);
  }
  const group = (at: number): number[] => [
    partial[at] << (2 * at),
    ...[1, 2, 3].map(
      (n) => (partial[at + n] << (2 * at + 2 * n)) | (inverted[at + n - 1] << (2 * (at + n - 1))),
    ),
    inverted[at + 3] << (2 * at + 6),
  ];
  const reduce = (list: number[]): number[] => {
    while (list.length > 2) {
      const [a, b, c, ...rest] = list;
      list = [a ^ b ^ c, ((a & b) | (b & c) | (a & c)) << 1, ...rest];
    }
    return list;
  };
  const [s, c] = reduce([...reduce(group(0)), ...reduce(group(4))]);
  const fill: Record<number, number> = {
    ...{ 0: 0xaaab0000, 4: 0xfaaab000, 8: 0xffaaab00, 12: 0xfffaaab0, 16: 0xffffaaab },
    ...{ 20: 0xfffffaab, 24: 0xffffffab, 28: 0xfffffffb },
  };
  return ((s >>> shift) + (c >>> shift) + fill[shift]) | 0;
}

/** One cell operation as fp32: what a single partial sum comes to behind the accumulator. */
function cell(data: readonly number[], weights: readonly number[]): number {
  const pairs = data
    .map((h, i) => [h, weights[i]] as const)
    .filter(([a, b]) => (a & 0x7fff) !== 0 && (b & 0x7fff) !== 0);
  const quotients = pairs.map(([a, b]) => operand(a).quotient + operand(b).quotient);
  const most = Math.max(0, ...quotients);
  const sum = pairs.reduce((total, [a, b], i) => total + product(a, b, 4 * (most - quotients[i])), 0);
  const value = Math.abs(sum) * 2 ** (4 * most - 50);
  if (value === 0) return 0;
  // 24 bits, half up in magnitude.
  const unit = 2 ** (Math.floor(Math.log2(value)) - 23);
  return Math.sign(sum) * Math.floor(value / unit + 0.5) * unit;
}

const floats = new Float32Array(1);
const asFloat = (bits: number): number => {
  new Int32Array(floats.buffer)[0] = bits;
  return floats[0];
};

describe('a convolution of fp16', () => {
  const finite = (next: number): number => {
    const h = next >>> 16;
    return (h & 0x7c00) === 0x7c00 ? h & 0xbfff : h;
  };
  const near = (next: number): number =>
    ((next >>> 31) << 15) | ((12 + ((next >>> 28) & 7)) << 10) | ((next >>> 8) & 0x3ff);
  const sets: [string, (next: number) => number][] = [
    ['of any numbers', finite],
    ['of numbers of similar size', near],
    ['with zeroes and denormals', (next) => (next & 0x300 ? near(next) : (next >>> 16) & 0x83ff)],
  ];
  for (const [name, value] of sets)
    it(`${name} shifts the two words of each product by themselves`, () => {
      const p = line(precision.fp16, { width: 9, channels: 64, kernels: 20 });
      const next = random();
      for (let c = 0; c < p.channels; c++) {
        for (let x = 0; x < p.width; x++) words[inputAt(p, x, c)] = value(next());
        for (let k = 0; k < p.kernels; k++) words[weightAt(p, k, c)] = value(next());
      }
      run(p);
      const channels = Array.from({ length: p.channels }, (_, c) => c);
      for (let x = 0; x < p.width; x++)
        for (let k = 0; k < p.kernels; k++)
          assert.equal(
            asFloat(outputOf(p, x, k)),
            cell(
              channels.map((c) => words[inputAt(p, x, c)]),
              channels.map((c) => words[weightAt(p, k, c)]),
            ),
            `output ${x}, kernel ${k}`,
          );
    });

  it('gives the first NaN of a cell with its payload, a weight before data, and keeps it', () => {
    const p = line(precision.fp16, { width: 2, channels: 130, kernels: 2 });
    for (let c = 0; c < p.channels; c++) {
      for (let x = 0; x < p.width; x++) words[inputAt(p, x, c)] = 0x3c00;
      for (let k = 0; k < p.kernels; k++) words[weightAt(p, k, c)] = 0x3c00;
    }
    words[inputAt(p, 1, 70)] = 0xfc05;
    words[inputAt(p, 1, 100)] = 0x7c01;
    words[weightAt(p, 1, 100)] = 0x7e03;
    words[weightAt(p, 0, 129)] = 0x7c7f;
    run(p);
    assert.equal(outputOf(p, 1, 1) >>> 0, 0x7f800203, 'a weight before data');
    assert.equal(outputOf(p, 1, 0) >>> 0, 0xff800005, 'the first of the data; a later cell changes nothing');
    assert.equal(outputOf(p, 0, 0) >>> 0, 0x7f80007f);
    assert.equal(outputOf(p, 0, 1) >>> 0, 0x7f800203);
  });
});
