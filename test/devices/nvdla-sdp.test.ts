// The SDP data path against the formulas of the fact sheet (section 2.5) in exact integers, on random settings.
// Not registers: it drives the engine's parts over DRAM.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { instantiate, sharedMemory } from '../../src/base/wasm.js';
import type { ProcessorKernels } from '../../src/devices/nvdla/engine/kernels.js';
import { kernelModule } from '../support/nvdla-rig.js';

const memory = sharedMemory(4 << 20);
const view = new DataView(memory.buffer);
const kernels = instantiate<ProcessorKernels>(kernelModule(), memory);
const TILE = 1 << 20;
const ALU = TILE + 4096;
const MUL = TILE + 8192;
const OUT = TILE + 12288;

/** Shift right, to nearest, ties away from zero. */
function round(value: bigint, shift: number): bigint {
  if (shift === 0) return value;
  const size = value < 0n ? -value : value;
  const result = (size + (1n << BigInt(shift - 1))) >> BigInt(shift);
  return value < 0n ? -result : result;
}

function saturate(value: bigint, bits: number): bigint {
  const limit = 1n << BigInt(bits - 1);
  return value >= limit ? limit - 1n : value < -limit ? -limit : value;
}

function alu(algo: number, v: bigint, q: bigint): bigint {
  if (algo === 0) return v > q ? v : q;
  if (algo === 1) return v < q ? v : q;
  return algo === 2 ? v + q : v;
}

const edge = (bits: number): fc.Arbitrary<number> => {
  const most = 2 ** (bits - 1) - 1;
  return fc.oneof(
    fc.integer({ min: -most - 1, max: most }),
    fc.constantFrom(most, -most - 1, 0, 1, -1),
    fc.integer({ min: -100, max: 100 }),
  );
};
const lanes = (bits: number): fc.Arbitrary<number[]> => fc.array(edge(bits), { minLength: 8, maxLength: 8 });

function store(at: number, values: readonly number[]): void {
  values.forEach((value, i) => view.setInt32(at + 4 * i, value, true));
}

describe('NVDLA SDP arithmetic', () => {
  it('of X1 and X2 is the formula in exact integers', () => {
    fc.assert(
      fc.property(
        lanes(32),
        lanes(32),
        lanes(16),
        fc.integer({ min: -1, max: 2 }),
        fc.boolean(),
        fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 63 }), fc.constant(255)),
        fc.boolean(),
        fc.boolean(),
        (v, q, m, algo, multiply, shift, prelu, relu) => {
          store(TILE, v);
          store(ALU, q);
          store(MUL, m);
          const mul = multiply ? MUL : 0;
          kernels.stageX(TILE, 1, 8, ALU, algo, mul, 2 ** -shift, prelu ? 1 : 0, relu ? 1 : 0);
          v.forEach((value, i) => {
            let x = alu(algo, BigInt(value), BigInt(q[i]));
            if (!(prelu && x >= 0n)) x = round(multiply ? x * BigInt(m[i]) : x, shift);
            x = saturate(x, 32);
            if (relu && x < 0n) x = 0n;
            assert.equal(BigInt(view.getInt32(TILE + 4 * i, true)), x);
          });
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('of Y multiplies first, and tells whether a comparison found a difference', () => {
    fc.assert(
      fc.property(
        lanes(32),
        lanes(32),
        lanes(32),
        fc.integer({ min: -1, max: 3 }),
        fc.boolean(),
        fc.integer({ min: 0, max: 1023 }),
        fc.boolean(),
        (v, q, m, algo, multiply, truncate, prelu) => {
          store(TILE, v);
          store(ALU, q);
          store(MUL, m);
          const unequal = kernels.stageY(TILE, 1, 8, multiply ? MUL : 0, truncate, prelu ? 1 : 0, ALU, algo);
          let differs = false;
          v.forEach((value, i) => {
            let x = BigInt(value);
            if (multiply && !(prelu && x >= 0n)) x = saturate(round(x * BigInt(m[i]), truncate), 32);
            if (algo === 3) {
              x = x === BigInt(q[i]) ? 0n : 1n;
              differs ||= x === 1n;
            } else if (algo >= 0) x = saturate(alu(algo, x, BigInt(q[i])), 32);
            assert.equal(BigInt(view.getInt32(TILE + 4 * i, true)), x);
          });
          assert.equal(unequal, differs ? 1 : 0);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('of the output converter rounds ties away from zero and saturates twice', () => {
    fc.assert(
      fc.property(
        lanes(32),
        edge(32),
        edge(16),
        fc.integer({ min: 0, max: 63 }),
        (v, offset, scale, shift) => {
          store(TILE, v);
          kernels.convert8(TILE, OUT, 8, offset, scale * 2 ** -shift);
          v.forEach((value, i) => {
            const t = saturate(round((BigInt(value) - BigInt(offset)) * BigInt(scale), shift), 17);
            assert.equal(BigInt(view.getInt8(OUT + i)), saturate(t, 8));
          });
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('of operands shifts left and saturates, or converts', () => {
    fc.assert(
      fc.property(
        fc.array(edge(16), { minLength: 4, maxLength: 4 }),
        fc.integer({ min: 0, max: 63 }),
        edge(32),
        edge(16),
        (x, shift, offset, scale) => {
          x.forEach((value, i) => view.setInt16(OUT + 4 * i, value, true));
          kernels.operands(OUT, ALU, 4, 4, 2, 0, 2 ** shift);
          kernels.operands(OUT, MUL, 4, 4, 2, offset, scale * 2 ** -shift);
          x.forEach((value, i) => {
            const left = saturate(BigInt(value) << BigInt(shift), 32);
            assert.equal(BigInt(view.getInt32(ALU + 4 * i, true)), left);
            const converted = round((BigInt(value) - BigInt(offset)) * BigInt(scale), shift);
            assert.equal(BigInt(view.getInt32(MUL + 4 * i, true)), saturate(converted, 32));
          });
        },
      ),
      { numRuns: 1000 },
    );
  });
});
