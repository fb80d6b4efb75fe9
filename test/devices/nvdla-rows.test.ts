// A convolution split into bands of rows gives the bytes and counters of the whole.
// Not threads: test/node/split-engine.test.ts.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { compileModule, instantiate, sharedMemory } from '../../src/base/wasm.js';
import {
  CommandWriter,
  cubeLayout,
  operation,
  resultWord,
  sdpLayout,
} from '../../src/devices/nvdla/engine/command.js';
import { convLayout, type ConvParams } from '../../src/devices/nvdla/engine/conv-params.js';
import { engine, scratchBytes } from '../../src/devices/nvdla/engine/index.js';
import { parallel } from '../../src/devices/nvdla/engine/rows.js';
import { root } from '../support/shared.js';

const INPUT = 1 << 20;
const WEIGHTS = 4 << 20;
const OUTPUT = 8 << 20;
const SCRATCH = [16 << 20, 40 << 20] as const;
const SIZE = 28;
const CHANNELS = 64;
const ATOM = 32;

const memory = sharedMemory(64 << 20);
const bytes = new Uint8Array(memory.buffer);
const module = compileModule(readFileSync(join(root, 'dist/kernels/nvdla.wasm')));
const engines = SCRATCH.map((address) =>
  engine({
    memory,
    kernels: instantiate(module, memory),
    scratch: { address, bytes: scratchBytes('conv') },
  }),
);

/** 3x3, 64 to 64 channels, padded; the SDP behind it halves and converts, some sums saturate in CACC. */
function command(pdp = 0): Int32Array {
  const conv: ConvParams = {
    ...{
      image: 0,
      pixelFormat: 0,
      pixelOffset: 0,
      pixelSigned: 0,
      inputAddress: INPUT,
      inputAddress1: 0,
      pixelOffset1: 0,
    },
    ...{ lineStride: SIZE * ATOM, lineStride1: 0, surfaceStride: SIZE * SIZE * ATOM, batchStride: 0 },
    ...{ width: SIZE, height: SIZE, channels: CHANNELS, batches: 1 },
    ...{ kernelWidth: 3, kernelHeight: 3, kernelChannels: CHANNELS, kernels: CHANNELS },
    ...{ strideX: 1, strideY: 1, dilationX: 1, dilationY: 1, padLeft: 1, padTop: 1, padValue: 3 },
    ...{ weightAddress: WEIGHTS, weightBytes: 9 * CHANNELS * CHANNELS, jointRows: 1 },
    ...{ weightBits: 0, weightSizes: 0, weightPacked: 0, weightPackedBytes: 0 },
    ...{ input: 0, precision: 0, nanToZero: 0, inputAtom: ATOM },
    ...{ atomicC: 64, atomicK: 32, atom: ATOM, cvt: 0, cvtOffset: 0, cvtScale: 1, cvtTruncate: 0 },
    ...{ mean: 0, mean0: 0, mean1: 0, mean2: 0, mean3: 0, winograd: 0, praTruncate: 0 },
    ...{ rowsAddress: 0, rowsFrom: 0, rowsKept: 0, weightKeep: 0 },
    ...{ clipTruncate: 0, outWidth: SIZE, outHeight: SIZE },
  };
  const writer = new CommandWriter(512);
  writer.word(operation.convolution).word(pdp).block(convLayout, conv).word(0).word(0).word(SIZE);
  writer.block(sdpLayout, {
    ...{
      source: 0,
      precision: 0,
      output: 0,
      nanToZero: 0,
      atom: ATOM,
      width: SIZE,
      height: SIZE,
      channels: CHANNELS,
      batchStride: 0,
    },
    ...{ cvtOffset: 17, cvtScale: 3, cvtShift: 10 },
  });
  writer.word(0).word(0).word(0).word(0);
  writer.block(cubeLayout, { address: OUTPUT, line: SIZE * ATOM, surface: SIZE * SIZE * ATOM });
  return writer.take().slice();
}

function run(which: number, words: Int32Array): Int32Array {
  const result = new Int32Array(16);
  engines[which]!.execute(words, result);
  return result;
}

const output = (): Uint8Array => bytes.slice(OUTPUT, OUTPUT + SIZE * SIZE * CHANNELS);

describe('rows of a convolution', () => {
  for (let i = 0; i < SIZE * SIZE * CHANNELS; i++) bytes[INPUT + i] = (i * 2654435761) >>> 24;
  for (let i = 0; i < 9 * CHANNELS * CHANNELS; i++) bytes[WEIGHTS + i] = (i * 40503) >>> 7;

  it('computed in two bands, the later one first, are those of the whole', () => {
    const whole = run(0, command());
    const expected = output();
    assert.ok(new Set(expected).size > 100);
    bytes.fill(0xa5, OUTPUT, OUTPUT + expected.length);
    const parts = parallel.split('conv', command(), 2)!;
    assert.equal(parts.length, 2);
    const second = run(1, parts[1]!);
    assert.ok(
      output()
        .subarray(0, SIZE * ATOM)
        .every((byte) => byte === 0xa5),
    );
    const results = [run(0, parts[0]!), second];
    parallel.join(results);
    assert.deepEqual(output(), expected);
    assert.deepEqual(results[0], whole);
  });

  it('stay together when there is too little to do, one thread, a pooling behind, or another unit', () => {
    assert.equal(parallel.split('conv', command(), 1), undefined);
    assert.equal(parallel.split('conv', command(1), 2), undefined);
    assert.equal(parallel.split('sdp', command(), 2), undefined);
    const other = command();
    other[0] = operation.sdp;
    assert.equal(parallel.split('conv', other, 2), undefined);
    // 28 x 28 x 9 x 64 x 64 products are enough for fourteen parts, not for more.
    assert.equal(parallel.split('conv', command(), 64)!.length, 14);
  });

  it('add what saturated, and keep the first error', () => {
    const result = (status: number, saturated: number, unequal: number): Int32Array => {
      const words = new Int32Array(16);
      words[resultWord.status] = status;
      words[resultWord.saturated] = saturated;
      words[resultWord.unequal] = unequal;
      return words;
    };
    const results = [result(0, 2, 0), result(12, 3, 1), result(22, 0, 0)];
    parallel.join(results);
    assert.deepEqual(results[0], result(12, 5, 1));
  });
});
