// The convolution data path of NVDLA against the formula of the fact sheet (section 2.2), on random layers.
// Not the register path: traces and golden outputs are compared in the front's tests.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compileModule, instantiate, sharedMemory } from '../../src/base/wasm.js';
import type { ConvParams } from '../../src/devices/nvdla/engine/conv-params.js';
import { pixelLayout } from '../../src/devices/nvdla/engine/pixels.js';
import type { ConvKernels } from '../../src/devices/nvdla/engine/conv-kernels.js';
import { prepareConv } from '../../src/devices/nvdla/engine/conv.js';
import { configs } from '../../src/hw/nvdla/config.js';
import { root } from '../support/shared.js';

const memory = sharedMemory(96 << 20);
const bytes = new Uint8Array(memory.buffer);
const kernels = instantiate<ConvKernels>(
  compileModule(readFileSync(join(root, 'dist/kernels/nvdla.wasm'))),
  memory,
);

// Places in memory; all arbitrary.
const INPUT = 1 << 20;
const INPUT1 = 12 << 20;
const WEIGHTS = 24 << 20;
const OUTPUT = 40 << 20;
const SCRATCH = { address: 64 << 20, bytes: 24 << 20 };

const plain: ConvParams = {
  image: 0,
  input: 0,
  precision: 0,
  nanToZero: 0,
  pixelFormat: 0,
  pixelOffset: 0,
  pixelSigned: 0,
  inputAddress: INPUT,
  inputAddress1: INPUT1,
  pixelOffset1: 0,
  lineStride: 0,
  lineStride1: 0,
  surfaceStride: 0,
  batchStride: 0,
  width: 1,
  height: 1,
  channels: 1,
  batches: 1,
  kernelWidth: 1,
  kernelHeight: 1,
  kernelChannels: 1,
  kernels: 1,
  strideX: 1,
  strideY: 1,
  dilationX: 1,
  dilationY: 1,
  padLeft: 0,
  padTop: 0,
  padValue: 0,
  rowsAddress: 0,
  rowsFrom: 0,
  rowsKept: 0,
  weightKeep: 0,
  weightAddress: WEIGHTS,
  weightBytes: 0,
  weightBits: 0,
  weightSizes: 0,
  weightPacked: 0,
  weightPackedBytes: 0,
  jointRows: 1,
  atomicC: 64,
  atomicK: 32,
  atom: 32,
  inputAtom: 32,
  cvt: 0,
  cvtOffset: 0,
  cvtScale: 1,
  cvtTruncate: 0,
  mean: 0,
  mean0: 0,
  mean1: 0,
  mean2: 0,
  mean3: 0,
  winograd: 0,
  praTruncate: 0,
  clipTruncate: 0,
  outWidth: 1,
  outHeight: 1,
};

/** Fills in what follows from the rest: strides, kernel bytes, output size (`right`, `bottom` padding). */
function layer(values: Partial<ConvParams>, right = 0, bottom = 0, gap = 0): ConvParams {
  const p = { ...plain, ...values };
  const span = p.image ? Math.ceil(p.kernelChannels / p.channels) : (p.kernelWidth - 1) * p.dilationX + 1;
  const spanY = (p.kernelHeight - 1) * p.dilationY + 1;
  const pixelBytes = p.image ? pixelLayout(p.pixelFormat).pixelBytes : p.atom;
  p.inputAtom = p.atom;
  p.lineStride = (p.width + p.pixelOffset) * pixelBytes + gap * p.atom;
  p.lineStride1 = 4 * (p.width + p.pixelOffset) + gap * p.atom;
  p.surfaceStride = p.lineStride * p.height + gap * p.atom;
  p.batchStride = p.surfaceStride * Math.ceil(p.channels / p.atom) + gap * p.atom;
  p.weightBytes = p.kernels * p.kernelHeight * p.kernelWidth * p.kernelChannels;
  p.outWidth = Math.floor((p.width + p.padLeft + right - span) / p.strideX) + 1;
  p.outHeight = Math.floor((p.height + p.padTop + bottom - spanY) / p.strideY) + 1;
  return p;
}

/** Rounds v / 2^shift to nearest, ties away from zero. */
function roundShift(v: number, shift: number): number {
  const magnitude = Math.floor(Math.abs(v) / 2 ** shift + 0.5);
  return v < 0 ? -magnitude : magnitude;
}
const clamp = (v: number, low: number, high: number): number => Math.max(low, Math.min(high, v));
const int8 = (v: number): number => (v << 24) >> 24;

/** An element after conversion, or the pad value. */
function element(p: ConvParams, batch: number, y: number, x: number, c: number): number {
  if (y < 0 || y >= p.height || x < 0 || x >= p.width) return int8(p.padValue);
  let address = p.inputAddress + batch * p.batchStride;
  let raw: number;
  if (p.image) {
    const pixel = pixelLayout(p.pixelFormat);
    const column = x + p.pixelOffset;
    const pair = 2 * pixel.elementBytes;
    if (pixel.planes === 2 && c > 0)
      address = p.inputAddress1 + y * p.lineStride1 + (x + p.pixelOffset1) * pair;
    else address += y * p.lineStride + column * pixel.pixelBytes;
    raw = bytes[address + pixel.order[c]];
    if (pixel.bits !== undefined) {
      const view = new DataView(bytes.buffer, address, 4).getUint32(0, true);
      const width = c === 3 ? 2 : 10;
      raw = ((view >>> pixel.bits[c]!) % 2 ** width) * 2 ** (16 - width);
    } else if (pixel.elementBytes === 2) raw += bytes[address + pixel.order[c] + 1]! * 256;
    if (pixel.elementBytes === 2) {
      if (p.pixelSigned) raw = (raw << 16) >> 16;
    } else if (p.pixelSigned || !p.cvt) raw = int8(raw);
  } else {
    address += Math.floor(c / p.atom) * p.surfaceStride + y * p.lineStride + x * p.atom + (c % p.atom);
    raw = int8(bytes[address]);
  }
  if (!p.cvt) return raw;
  const offset = p.image && p.mean ? [p.mean0, p.mean1, p.mean2, p.mean3][c] : p.cvtOffset;
  return clamp(roundShift((raw - offset) * p.cvtScale, p.cvtTruncate), -128, 127);
}

/** Where weight (k, r, s, c) lies, by walking the order of fact sheet section 3.3. */
function weightPlaces(p: ConvParams): Map<string, number> {
  const places = new Map<string, number>();
  let at = p.weightAddress;
  for (let group = 0; group < p.kernels; group += p.atomicK)
    for (let block = 0; block < p.kernelChannels; block += p.atomicC)
      for (let bundle = 0; bundle < p.kernelHeight; bundle += p.jointRows)
        for (let s = 0; s < p.kernelWidth; s++)
          for (let k = group; k < Math.min(group + p.atomicK, p.kernels); k++)
            for (let r = bundle; r < Math.min(bundle + p.jointRows, p.kernelHeight); r++)
              for (let c = block; c < Math.min(block + p.atomicC, p.kernelChannels); c++)
                places.set(`${k},${r},${s},${c}`, at++);
  assert.equal(at - p.weightAddress, p.weightBytes);
  return places;
}

function reference(p: ConvParams, batch: number): Int32Array {
  const surfaces = Math.ceil(p.kernels / p.atom);
  const out = new Int32Array(surfaces * p.outHeight * p.outWidth * p.atom);
  const places = weightPlaces(p);
  for (let k = 0; k < p.kernels; k++) {
    for (let y = 0; y < p.outHeight; y++) {
      for (let x = 0; x < p.outWidth; x++) {
        let sum = 0;
        for (let r = 0; r < p.kernelHeight; r++)
          for (let s = 0; s < p.kernelWidth; s++)
            for (let c = 0; c < p.kernelChannels; c++) {
              const iy = y * p.strideY + r * p.dilationY - p.padTop;
              const ix = x * p.strideX - p.padLeft + (p.image ? Math.floor(c / p.channels) : s * p.dilationX);
              const w = int8(bytes[places.get(`${k},${r},${s},${c}`)!]);
              sum += w * element(p, batch, iy, ix, p.image ? c % p.channels : c);
            }
        const at = ((Math.floor(k / p.atom) * p.outHeight + y) * p.outWidth + x) * p.atom + (k % p.atom);
        out[at] = roundShift(sum, p.clipTruncate);
      }
    }
  }
  return out;
}

type Fill = 'random' | 'extreme' | 'sparse' | 'diagonal';
/** xorshift bytes: random, only -128 and 127, or mostly zero in runs (as block-diagonal kernels are). */
function fill(address: number, count: number, seed: number, how: Fill): void {
  let state = seed | 1;
  for (let i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const byte = state & 255;
    if (how === 'random' || how === 'diagonal') bytes[address + i] = byte;
    else if (how === 'extreme') bytes[address + i] = byte < 240 ? 0x80 : 0x7f;
    else bytes[address + i] = (Math.imul(seed, (i >> 6) + 1) >>> 8) % 5 === 0 ? byte : 0;
  }
}

/** Runs the layer band by band; guard bytes after the output stay. */
function run(p: ConvParams, batch: number, bandRows: number, scratch = SCRATCH): Int32Array {
  const made = prepareConv(kernels, p, scratch);
  const surfaces = Math.ceil(p.kernels / p.atom);
  const row = p.outWidth * p.atom;
  assert.equal(made.outRowBytes, surfaces * row * 4);
  const out = new Int32Array(surfaces * p.outHeight * row);
  for (let y0 = 0; y0 < p.outHeight; y0 += bandRows) {
    const y1 = Math.min(y0 + bandRows, p.outHeight);
    const words = surfaces * (y1 - y0) * row;
    const band = new Int32Array(memory.buffer, OUTPUT, words + 16).fill(0x5a5a5a5a);
    assert.equal(made.run(y0, y1, OUTPUT, batch), 0);
    assert.ok(band.subarray(words).every((word) => word === 0x5a5a5a5a));
    for (let s = 0; s < surfaces; s++)
      out.set(band.subarray(s * (y1 - y0) * row, (s + 1) * (y1 - y0) * row), (s * p.outHeight + y0) * row);
  }
  return out;
}

function compare(p: ConvParams, seed: number, how: Fill, bandRows: number, scratch = SCRATCH): void {
  fill(INPUT, Math.min(p.batchStride * p.batches + 64, 8 << 20), seed, how === 'sparse' ? 'random' : how);
  fill(INPUT1, p.lineStride1 * p.height + 64, seed + 1, 'random');
  fill(WEIGHTS, p.weightBytes, seed + 2, how);
  if (how === 'diagonal')
    for (const [place, at] of weightPlaces(p)) {
      const [k, , , c] = place.split(',');
      if (k !== c) bytes[at] = 0;
    }
  for (let batch = 0; batch < p.batches; batch++)
    assert.deepEqual(run(p, batch, bandRows, scratch), reference(p, batch));
}

const int = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
const atoms = fc.constantFrom(...Object.values(configs)).map(({ atomicC, atomicK, atom }) => ({
  atomicC,
  atomicK,
  atom,
}));
const how = fc.constantFrom<Fill>('random', 'extreme', 'sparse', 'diagonal');
const converter = fc.record({
  cvt: int(0, 1),
  cvtOffset: int(-32768, 32767),
  cvtScale: fc.oneof(fc.constant(1), int(-32768, 32767)),
  cvtTruncate: fc.oneof(fc.constant(0), int(0, 40)),
  padValue: int(-128, 127),
  clipTruncate: int(0, 31),
});

describe('NVDLA convolution', () => {
  it('computes feature layers of any shape as the formula says', () => {
    const shape = fc.record({
      width: int(1, 12),
      height: int(1, 8),
      channels: fc.oneof(int(1, 12), int(13, 140)),
      kernels: fc.oneof(int(1, 9), int(10, 70)),
      kernelWidth: int(1, 4),
      kernelHeight: int(1, 4),
      strideX: int(1, 3),
      strideY: int(1, 3),
      dilationX: int(1, 3),
      dilationY: int(1, 3),
      padLeft: int(0, 3),
      padTop: int(0, 3),
    });
    fc.assert(
      fc.property(
        atoms,
        shape,
        converter,
        how,
        fc.tuple(int(0, 3), int(0, 3), int(0, 2), int(1, 5), int(1, 1e6)),
        (atom, values, convert, filling, [right, bottom, gap, band, seed]) => {
          const p = layer(
            { ...atom, ...values, ...convert, kernelChannels: values.channels },
            right,
            bottom,
            gap,
          );
          fc.pre(p.outWidth > 0 && p.outHeight > 0);
          fc.pre(p.outWidth * p.outHeight * p.weightBytes < 3e5);
          compare(p, seed, filling, band);
        },
      ),
      { numRuns: 120 },
    );
  });

  it('computes image layers of every integer format, joint rows included', () => {
    const formats = Array.from({ length: 36 }, (_, format) => format).filter((n) => !pixelLayout(n).float);
    const shape = fc.record({
      pixelFormat: fc.constantFrom(...formats),
      pixelOffset: int(0, 7),
      pixelSigned: int(0, 1),
      width: int(1, 24),
      height: int(1, 8),
      kernels: int(1, 40),
      kernelHeight: int(1, 5),
      strideX: int(1, 3),
      strideY: int(1, 3),
      padLeft: int(0, 3),
      padTop: int(0, 3),
      jointRows: fc.constantFrom(1, 2, 4),
      mean: int(0, 1),
      mean0: int(-300, 300),
      mean1: int(-300, 300),
      mean2: int(-300, 300),
      mean3: int(-300, 300),
    });
    fc.assert(
      fc.property(
        atoms,
        shape,
        converter,
        how,
        fc.tuple(int(1, 5), int(0, 3), int(0, 3), int(1, 5), int(1, 1e6)),
        (atom, values, convert, filling, [kernelColumns, right, bottom, band, seed]) => {
          const { elements, elementBytes } = pixelLayout(values.pixelFormat);
          const channels = elements === 4 && seed % 2 === 0 ? 3 : elements;
          const wide = elementBytes === 2;
          const p = layer(
            {
              ...atom,
              ...values,
              ...convert,
              // Elements of 16 bits come to int8 by conversion only.
              cvt: wide ? 1 : convert.cvt,
              input: wide ? 1 : 0,
              pixelOffset1: values.pixelOffset % 4,
              image: 1,
              channels,
              kernelChannels: kernelColumns * channels,
            },
            right,
            bottom,
          );
          fc.pre(p.outWidth > 0 && p.outHeight > 0);
          compare(p, seed, filling, band);
        },
      ),
      { numRuns: 120 },
    );
  });

  it('keeps batches of input cubes apart', () => {
    const p = layer(
      { width: 5, height: 4, channels: 40, kernelChannels: 40, kernels: 20, batches: 3 },
      0,
      0,
      1,
    );
    compare(p, 7, 'random', 2);
  });

  it('gives the same results when blocks are narrow and kernels are packed in passes', () => {
    const p = layer(
      {
        width: 60,
        height: 5,
        channels: 64,
        kernelChannels: 64,
        kernels: 70,
        kernelWidth: 3,
        kernelHeight: 3,
        padLeft: 1,
        padTop: 1,
      },
      1,
      1,
    );
    // A panel needs 9.2 KiB, three gathered rows 23 KiB, places of outputs 32 KiB.
    compare(p, 11, 'random', 5, { address: SCRATCH.address, bytes: 70 << 10 });
    compare(p, 12, 'random', 2, { address: SCRATCH.address, bytes: 90 << 10 });
  });

  it('refuses scratch that does not hold one block', () => {
    const p = layer({ width: 60, height: 5, channels: 64, kernelChannels: 64, kernels: 70 });
    assert.throws(() => prepareConv(kernels, p, { address: SCRATCH.address, bytes: 2048 }), {
      code: 'ENOMEM',
    });
  });

  it('refuses pixel formats of another precision than the input, and numbers that are none', () => {
    const p = layer({ image: 1 });
    assert.throws(() => prepareConv(kernels, { ...p, pixelFormat: 6 }, SCRATCH), {
      code: 'EINVAL',
      field: 'input',
    });
    assert.throws(() => prepareConv(kernels, { ...p, pixelFormat: 63 }, SCRATCH), { code: 'EINVAL' });
  });

  it('saturates sums at 34 bits on the way and at 32 bits at the end, and counts the latter', () => {
    // 32 x 32 x 512 products of 2^14 are 2^33: one partial sum of 64 before the end the accumulator is full.
    const p = layer({
      width: 32,
      height: 32,
      channels: 576,
      kernelChannels: 576,
      kernels: 3,
      kernelWidth: 32,
      kernelHeight: 32,
    });
    bytes.fill(0x80, INPUT, INPUT + p.batchStride);
    // Kernels in one group: block, row, column, kernel, channel. Kernel 1 stays below 2^31, kernel 2 ends with negative sums.
    for (let at = 0; at < p.weightBytes; at += 3 * 64) {
      bytes.fill(0x80, WEIGHTS + at, WEIGHTS + at + 64);
      bytes.fill(1, WEIGHTS + at + 64, WEIGHTS + at + 128);
      bytes.fill(at < p.weightBytes - 1000 * 3 * 64 ? 0x80 : 0x7f, WEIGHTS + at + 128, WEIGHTS + at + 192);
    }
    const out = new Int32Array(memory.buffer, OUTPUT, 32);
    assert.equal(prepareConv(kernels, p, SCRATCH).run(0, 1, OUTPUT), 2);
    assert.deepEqual([...out.subarray(0, 4)], [0x7fffffff, (-128 * p.weightBytes) / 3, 0x7fffffff, 0]);
    const shifted = { ...p, clipTruncate: 5 };
    assert.equal(prepareConv(kernels, shifted, SCRATCH).run(0, 1, OUTPUT), 0);
    assert.equal(out[0], roundShift(2 ** 33 - 1, 5));
    // The last 1000 partial sums come down from the saturated value, not from the true sum.
    assert.equal(out[2], roundShift(2 ** 33 - 1 - 1000 * 64 * 128 * 127, 5));
  });
});
