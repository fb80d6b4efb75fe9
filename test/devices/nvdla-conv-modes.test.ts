// Compressed weights and batches: recorded layers rewritten into these modes must give what was recorded.
// Not the plain layers: nvdla-vectors.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { registerMaps, type UnitName } from '../../src/hw/nvdla/config.js';
import type { Register } from '../../src/base/registers.js';
import type { MemoryRegion, Step, Vector } from '../../src/machine/vectors/index.js';
import { cmodVectors, NvdlaRig } from '../support/nvdla-rig.js';
import { needsShared } from '../support/shared.js';

const map = registerMaps.full;
const BITS = 0x8500_0000;
const SIZES = 0x8600_0000;
const PACKED = 0x8400_0000;
const INPUT = 0x8800_0000;
const OUTPUT = 0x8c00_0000;

function offset(name: string): number {
  const [unit, register] = name.split('.') as [UnitName, string];
  return map.base[unit]! + (map.units[unit] as unknown as Record<string, Register>)[register]!.at;
}

const load = (name: string): Vector =>
  cmodVectors('nv_full')
    .find((candidate) => candidate.name === name)!
    .load();

/** What a vector writes to a register, 0 when it does not. */
function written(vector: Vector, name: string): number {
  const step = vector.steps.find((one) => one.kind === 'write' && one.offset === offset(name));
  return step?.kind === 'write' ? step.value : 0;
}

/** The vector with other register values, and other memory instead of the regions at `replaced`. */
function changed(
  vector: Vector,
  registers: Readonly<Record<string, number>>,
  replaced: readonly number[],
  memory: readonly MemoryRegion[],
  checks?: readonly Step[],
): Vector {
  const values = new Map(Object.entries(registers).map(([name, value]) => [offset(name), value]));
  const added = [...values].map(([at, value]): Step => ({ kind: 'write', offset: at, value, name: 'added' }));
  const steps = vector.steps
    .filter((step) => checks === undefined || step.kind !== 'check')
    .filter((step) => step.kind !== 'write' || !values.has(step.offset));
  return {
    ...vector,
    memory: [...vector.memory.filter(({ address }) => !replaced.includes(address)), ...memory],
    steps: [...added, ...steps, ...(checks ?? [])],
  };
}

const region = (address: number, contents: Uint8Array): MemoryRegion => ({
  space: 'dbb',
  address,
  bytes: contents.length,
  contents,
});

const contentsAt = (vector: Vector, address: number): Uint8Array =>
  vector.memory.find((one) => one.address === address)!.contents as Uint8Array;

const padded = (bytes: readonly number[], to: number): Uint8Array => {
  const all = new Uint8Array(Math.ceil(bytes.length / to) * to);
  all.set(bytes);
  return all;
};

/** The vector with its weights compressed: a bit for each that is not 0. `spoil` changes the groups' sizes. */
function compressed(vector: Vector, spoil = 0): Vector {
  const int8 = (written(vector, 'CSC.D_MISC_CFG') & 0x3000) === 0;
  const bytes = int8 ? 1 : 2;
  const size0 = written(vector, 'CSC.D_WEIGHT_SIZE_EXT_0');
  const size1 = written(vector, 'CSC.D_WEIGHT_SIZE_EXT_1');
  const kernels = (size1 >> 16) + 1;
  const elements = ((size1 & 0x1fff) + 1) * ((size0 & 0x1f) + 1) * ((size0 >> 16) + 1);
  const at = written(vector, 'CDMA.D_WEIGHT_ADDR_LOW');
  const weights = contentsAt(vector, at);
  const group = (int8 ? 32 : 16) * elements;
  const mask = new Array<number>(Math.ceil((kernels * elements) / 8)).fill(0);
  const kept: number[] = [];
  const sizes: number[] = [];
  for (let i = 0; i < kernels * elements; i++) {
    if (i % group === 0) sizes.push(spoil);
    const weight = [...weights.subarray(i * bytes, (i + 1) * bytes)];
    if (weight.every((byte) => byte === 0)) continue;
    mask[i >> 3]! |= 1 << (i & 7);
    kept.push(...weight);
    sizes[sizes.length - 1]! += bytes;
  }
  const packed = padded(kept, 128);
  const bits = padded(mask, 128);
  const groups = new Uint8Array(Uint32Array.from(sizes).buffer);
  return changed(
    vector,
    {
      'CDMA.D_WEIGHT_FORMAT': 1,
      'CSC.D_WEIGHT_FORMAT': 1,
      'CDMA.D_WEIGHT_RAM_TYPE': 1,
      'CDMA.D_WEIGHT_ADDR_LOW': PACKED,
      'CDMA.D_WEIGHT_BYTES': packed.length,
      'CSC.D_WEIGHT_BYTES': packed.length,
      'CDMA.D_WMB_ADDR_LOW': BITS,
      'CDMA.D_WMB_BYTES': bits.length,
      'CSC.D_WMB_BYTES': bits.length,
      'CDMA.D_WGS_ADDR_LOW': SIZES,
    },
    [at],
    [region(PACKED, packed), region(BITS, bits), region(SIZES, groups)],
  );
}

/** A batch of `cubes`; the output of each is read at OUTPUT + i * stride. */
function batch(vector: Vector, cubes: readonly Uint8Array[], stride: number): Vector {
  const many = cubes.length - 1;
  const inputs = new Uint8Array(cubes.length * stride);
  cubes.forEach((cube, i) => inputs.set(cube, i * stride));
  const bank = (name: string): number => (written(vector, name) & ~0xffff) | 3;
  return changed(
    vector,
    {
      'CDMA.D_BATCH_NUMBER': many,
      'CSC.D_BATCH_NUMBER': many,
      'CACC.D_BATCH_NUMBER': many,
      'CDMA.D_BATCH_STRIDE': stride,
      'CDMA.D_DAIN_ADDR_LOW_0': INPUT,
      'CDMA.D_BANK': bank('CDMA.D_BANK'),
      'CSC.D_BANK': bank('CSC.D_BANK'),
      'SDP.D_FEATURE_MODE_CFG': written(vector, 'SDP.D_FEATURE_MODE_CFG') | (many << 8),
      'SDP.D_DST_BASE_ADDR_LOW': OUTPUT,
      'SDP.D_DST_BATCH_STRIDE': stride,
    },
    [written(vector, 'CDMA.D_DAIN_ADDR_LOW_0')],
    [region(INPUT, inputs), { space: 'dbb', address: OUTPUT, bytes: cubes.length * stride, contents: 0xa5 }],
    [],
  );
}

describe('compressed weights', needsShared('vectors/nvdla-cmod'), () => {
  for (const name of ['conv_int8_sparse', 'conv_int8_3x3_pad1', 'conv_int16_3x3', 'img_int8_R8G8B8A8'])
    it(`give the recorded output of ${name}`, async () => {
      const rig = new NvdlaRig('nv_full');
      const results = await rig.play(compressed(load(name)));
      assert.ok(results.length > 0);
      assert.deepEqual(
        results.filter(({ matches }) => !matches),
        [],
      );
    });

  it('whose group sizes are not what the bits say do not complete', async () => {
    const rig = new NvdlaRig('nv_full');
    await assert.rejects(rig.play(compressed(load('conv_int8_3x3_pad1'), 1)), /no interrupt/);
    assert.match(rig.guestErrors.join(), /WGS|EINVAL/);
  });
});

describe('a batch', needsShared('vectors/nvdla-cmod'), () => {
  for (const name of ['conv_int8_3x3_pad1', 'conv_int8_bias_relu', 'conv_int16_3x3'])
    it(`of ${name} gives for each cube what it gives alone`, async () => {
      const vector = load(name);
      const input = contentsAt(vector, written(vector, 'CDMA.D_DAIN_ADDR_LOW_0'));
      const other = input.map((byte, i) => byte * 3 + i);
      const [check] = vector.steps.filter((step) => step.kind === 'check');
      const { bytes, contents } = check!.expected;
      const stride = Math.ceil((Math.max(bytes, input.length) + 64) / 64) * 64;
      const results = async (cubes: readonly Uint8Array[]): Promise<Uint8Array[]> => {
        const rig = new NvdlaRig('nv_full');
        await rig.play(batch(vector, cubes, stride));
        return cubes.map((_, i) => rig.bytes(OUTPUT + i * stride, stride).slice());
      };
      const [alone] = await results([other]);
      const together = await results([input, other, input]);
      assert.deepEqual(together[0]!.slice(0, bytes), Uint8Array.from(contents!));
      assert.deepEqual(together[1], alone);
      assert.deepEqual(together[2], together[0]);
      assert.notDeepEqual(together[1], together[0]);
    });
});
