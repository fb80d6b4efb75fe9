// Tensors to device memory and back: conversions and layouts of bindings.
// Not the compiler's choice of a layout.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AccelError } from '../../src/base/index.js';
import type { DataType } from '../../src/compiler/ir/index.js';
import type { Binding, FeatureLayout, Layout } from '../../src/compiler/targets/program.js';
import { BoundTensor } from '../../src/runtime/layout.js';

const BYTES = 1 << 16;

function binding(
  type: DataType,
  shape: number[],
  stored: Binding['stored'],
  layout: Layout,
  quantization?: Binding['quantization'],
): Binding {
  return {
    tensor: { name: 't', type, shape },
    buffer: 0,
    offset: 0,
    bytes: BYTES,
    layout,
    stored,
    quantization,
  };
}

/** A cube of a tensor in NCHW or NHWC order, with a gap after each line. */
function cube(channels: number, height: number, width: number, order: 'nchw' | 'nhwc'): FeatureLayout {
  const atom = 8;
  const lineStride = width * atom + atom;
  const strides =
    order === 'nchw' ? { c: height * width, y: width, x: 1 } : { c: 1, y: width * channels, x: channels };
  return {
    kind: 'feature',
    elementBytes: 1,
    channels,
    height,
    width,
    atom,
    lineStride,
    surfStride: height * lineStride,
    strides,
  };
}

describe('a feature cube', () => {
  it('has channel c of pixel (x, y) in surface c / atom, line y, atom x, lane c mod atom', () => {
    const memory = new Uint8Array(BYTES);
    const layout = cube(10, 2, 3, 'nchw');
    const elements = Int8Array.from({ length: 60 }, (_, i) => i + 1);
    new BoundTensor(binding('int8', [1, 10, 2, 3], 'int8', layout), memory).pack(elements);
    const [c, y, x] = [9, 1, 2];
    assert.equal(memory[layout.surfStride + y * layout.lineStride + x * 8 + (c - 8)], c * 6 + y * 3 + x + 1);
  });

  it('leaves the lanes beyond the last channel and the gaps between lines alone', () => {
    const memory = new Uint8Array(BYTES);
    const layout = cube(3, 2, 2, 'nhwc');
    new BoundTensor(binding('int8', [1, 2, 2, 3], 'int8', layout), memory).pack(new Int8Array(12).fill(7));
    assert.equal(memory.filter((byte) => byte === 7).length, 12);
    assert.equal(memory[3], 0);
  });

  it('gives back what was packed, whatever the order, sizes and element type', () => {
    const size = fc.integer({ min: 1, max: 12 });
    fc.assert(
      fc.property(size, size, size, fc.constantFrom('nchw', 'nhwc'), fc.boolean(), (c, h, w, order, wide) => {
        const stored = wide ? 'int16' : 'int8';
        const Type = wide ? Int16Array : Int8Array;
        const bound = new BoundTensor(
          binding(stored, [c * h * w], stored, cube(c, h, w, order)),
          new Uint8Array(BYTES),
        );
        const elements = new Type(c * h * w).map((_: number, i: number) => i * 37);
        bound.pack(elements);
        const back = new Type(elements.length);
        bound.unpack(back);
        assert.deepEqual(back, elements);
      }),
      { numRuns: 200 },
    );
  });
});

describe('rows', () => {
  it('lie a stride apart', () => {
    const memory = new Uint8Array(BYTES);
    const layout: Layout = { kind: 'linear', rows: 2, columns: 3, rowStride: 16 };
    new BoundTensor(binding('int16', [2, 3], 'int16', layout), memory).pack(Int16Array.of(1, 2, 3, 4, 5, 6));
    assert.deepEqual([...new Int16Array(memory.buffer, 0, 11)], [1, 2, 3, 0, 0, 0, 0, 0, 4, 5, 6]);
  });
});

describe('elements on the way to the device', () => {
  const row = (columns: number): Layout => ({ kind: 'linear', rows: 1, columns, rowStride: columns * 4 });
  const half = { scale: 0.5, zeroPoint: 1 };

  it('are quantised with ties to even and saturated', () => {
    const memory = new Uint8Array(BYTES);
    const bound = new BoundTensor(binding('float32', [6], 'int8', row(6), half), memory);
    bound.pack(Float32Array.of(0.25, 0.75, -0.25, 1000, -1000, 3));
    assert.deepEqual([...new Int8Array(memory.buffer, 0, 6)], [1, 3, 1, 127, -128, 7]);
  });

  it('are dequantised on the way back', () => {
    const memory = new Uint8Array(BYTES);
    const bound = new BoundTensor(binding('float32', [2], 'int8', row(2), half), memory);
    new Int8Array(memory.buffer).set([3, -128]);
    const back = new Float32Array(2);
    bound.unpack(back);
    assert.deepEqual([...back], [1, -64.5]);
  });

  it('are moved by 128 between uint8 and int8', () => {
    const memory = new Uint8Array(BYTES);
    const bound = new BoundTensor(binding('uint8', [3], 'int8', row(3)), memory);
    bound.pack(Uint8Array.of(0, 128, 255));
    assert.deepEqual([...new Int8Array(memory.buffer, 0, 3)], [-128, 0, 127]);
    const back = new Uint8Array(3);
    bound.unpack(back);
    assert.deepEqual([...back], [0, 128, 255]);
  });

  it('must have a conversion: floats kept as int8 without a scale are refused', () => {
    assert.throws(
      () => new BoundTensor(binding('float32', [1], 'int8', row(1)), new Uint8Array(BYTES)),
      (error: unknown) =>
        error instanceof AccelError && /float32 tensor kept as int8 without a scale/.test(error.message),
    );
  });

  it('must fit their buffer', () => {
    assert.throws(
      () => new BoundTensor(binding('int8', [1], 'int8', row(1)), new Uint8Array(64)),
      /a buffer of 64/,
    );
  });
});
