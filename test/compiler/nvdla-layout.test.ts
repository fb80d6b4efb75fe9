// Memory layouts and convolution-buffer arithmetic of the NVDLA target, against registers of the vendor's traces and loadables.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { dataBanks, entriesPerSlice, maxLines, planBanks } from '../../src/compiler/targets/nvdla/cbuf.js';
import {
  featureOffset,
  layoutBytes,
  packedLayout,
  packFeatures,
  unpackFeatures,
} from '../../src/compiler/targets/nvdla/features.js';
import { packedWeightBytes, packWeights, unpackWeights } from '../../src/compiler/targets/nvdla/weights.js';
import { type ConfigName, configs } from '../../src/hw/nvdla/index.js';
import { needsShared, shared } from '../support/shared.js';

const traces = 'vectors/nvdla/traces';
const traced = ['nv_small', 'nv_small_256_full', 'nv_large', 'nv_medium_512', 'nv_medium_1024_full'] as const;

/** Register writes of a trace, by unit and register. */
function registersOf(folder: string): Map<string, number> {
  const file = readdirSync(folder).find((name) => name.endsWith('.cfg.gz'))!;
  const text = gunzipSync(readFileSync(join(folder, file))).toString();
  const found = text.matchAll(/reg_write\(NVDLA_(\w+\.\w+?)_0, (0x[0-9a-f]+)\)/g);
  return new Map([...found].map(([, name, value]) => [name!, Number(value)]));
}

describe('convolution buffer', () => {
  for (const config of traced)
    it(
      `has the entries per slice and weight bytes of the vendor's traces: ${config}`,
      needsShared(traces),
      () => {
        const folder = shared(`${traces}/${config}`)!;
        const tests = readdirSync(folder).filter((name) => name.startsWith('dc_'));
        assert.ok(tests.length > 0);
        for (const name of tests) {
          const registers = registersOf(join(folder, name));
          const width = (registers.get('CDMA.D_DATAIN_SIZE_0')! & 0x1fff) + 1;
          const channels = registers.get('CDMA.D_DATAIN_SIZE_1')! + 1;
          assert.equal(
            entriesPerSlice(configs[config], width, channels),
            registers.get('CDMA.D_ENTRY_PER_SLICE')! + 1,
            name,
          );
          const kernels = (registers.get('CDMA.D_WEIGHT_SIZE_1')! & 0x1fff) + 1;
          const perKernel = registers.get('CDMA.D_WEIGHT_SIZE_0')! + 1;
          assert.equal(
            packedWeightBytes({ kernels, channels: perKernel, height: 1, width: 1 }),
            registers.get('CDMA.D_WEIGHT_BYTES'),
            name,
          );
        }
      },
    );

  // The _large loadable has the figures of the small one, 2 and 9: more than it needs.
  it("gives the banks of the vendor's CONV_D_L0_0_small loadable, and what nv_large needs for it", () => {
    const conv = { width: 8, height: 8, channels: 128, kernels: 32, bytesPerKernel: 3 * 3 * 128 };
    assert.deepEqual(planBanks(configs.nv_large, conv), {
      entriesPerSlice: 16,
      dataBank: 1,
      weightBank: 2,
      weights: 'all',
    });
    assert.deepEqual(planBanks(configs.nv_small, conv), {
      entriesPerSlice: 128,
      dataBank: 2,
      weightBank: 9,
      weights: 'all',
    });
  });

  it('takes two kernel groups when not all weights fit, then one, then gives up', () => {
    const small = configs.nv_small;
    const conv = { width: 16, height: 16, channels: 32, kernels: 64 };
    // 2 data banks of 32 leave 30 of 4 KiB for weights.
    assert.equal(planBanks(small, { ...conv, bytesPerKernel: 1920 })?.weights, 'all');
    assert.equal(planBanks(small, { ...conv, bytesPerKernel: 1921 })?.weights, 'two groups');
    assert.equal(planBanks(small, { ...conv, bytesPerKernel: 7681 })?.weights, 'one group');
    assert.equal(planBanks(small, { ...conv, bytesPerKernel: 15361 }), undefined);
  });

  it('says how many lines fit, and that many do', () => {
    for (const config of Object.values(configs)) {
      const conv = { width: 112, channels: 64, kernels: 64, bytesPerKernel: 576 };
      const lines = maxLines(config, conv);
      assert.ok(lines > 0);
      assert.ok(planBanks(config, { ...conv, height: lines }) !== undefined, config.name);
      assert.equal(planBanks(config, { ...conv, height: lines + 1 }), undefined, config.name);
      assert.ok(dataBanks(config, entriesPerSlice(config, 112, 64), lines) < config.cbuf.banks);
    }
  });
});

describe('weights in memory', () => {
  for (const name of Object.keys(configs) as ConfigName[])
    it(`follow group, block, row, column, kernel, channel: ${name}`, () => {
      const config = configs[name];
      const shape = { kernels: config.atomicK + 3, channels: config.atomicC * 2 + 5, height: 3, width: 2 };
      const data = Int8Array.from(
        { length: shape.kernels * shape.channels * 6 },
        (_, i) => ((i * 37) % 255) - 127,
      );
      const packed = packWeights(config, { data, ...shape });
      assert.equal(packed.length % 128, 0);
      assert.deepEqual(unpackWeights(config, packed, shape), data);
      // By the fact sheet's words: second group, last (partial) block, row 1, column 0, kernel 2 of the group, channel 4 of the block.
      const { atomicC, atomicK } = config;
      const group = atomicK * shape.channels * 6;
      const blocks = 3 * 2 * atomicC * 6;
      const inBlock = (1 * 2 + 0) * 3 * 5 + 2 * 5 + 4;
      const index = ((atomicK + 2) * shape.channels + atomicC * 2 + 4) * 6 + 2;
      assert.equal((packed[group + blocks + inBlock]! << 24) >> 24, data[index]);
    });

  it('end in zeros', () => {
    const data = new Int8Array(1000).fill(1);
    const packed = packWeights(configs.nv_small, { data, kernels: 10, channels: 100, height: 1, width: 1 });
    assert.equal(packed.length, 1024);
    assert.ok(packed.subarray(1000).every((value) => value === 0));
  });
});

describe('feature cubes', () => {
  const tensor = Int8Array.from({ length: 21 * 3 * 5 }, (_, i) => (i * 29) % 127);

  it('hold NCHW and NHWC tensors alike, and give them back', () => {
    for (const atom of [8, 16, 32]) {
      const cube = { channels: 21, height: 3, width: 5, elementBytes: 1 } as const;
      const nchw = packedLayout(cube, atom, { c: 15, y: 5, x: 1 });
      const nhwc = packedLayout(cube, atom, { c: 1, y: 105, x: 21 });
      for (const layout of [nchw, nhwc]) {
        const bytes = new Uint8Array(layoutBytes(layout));
        packFeatures(layout, tensor, bytes);
        const { strides } = layout;
        assert.equal(
          bytes[featureOffset(layout, 17, 2, 3)],
          tensor[17 * strides.c + 2 * strides.y + 3 * strides.x],
        );
        const back = new Int8Array(tensor.length);
        unpackFeatures(layout, bytes, back);
        assert.deepEqual(back, tensor);
      }
    }
  });

  it('leave the bytes between lines and surfaces alone', () => {
    const layout = {
      ...packedLayout({ elementBytes: 1, channels: 3, height: 2, width: 2 }, 8, { c: 4, y: 2, x: 1 }),
      lineStride: 32,
      surfStride: 128,
    };
    const bytes = new Uint8Array(layoutBytes(layout)).fill(0xee);
    packFeatures(layout, tensor.subarray(0, 12), bytes);
    assert.equal(bytes.filter((value) => value !== 0xee).length, 12);
  });
});
