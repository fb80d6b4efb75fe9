// Plays the vendor's traces and the C model's layers on the NVDLA model, registers to memory.
// Not the driver's path: seam B only.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cmodVectors, NvdlaRig, traceVectors, txnVectors } from '../support/nvdla-rig.js';
import { needsShared } from '../support/shared.js';

const sets = [
  ...['nv_small', 'nv_large'].map((config) => ({
    title: `C model layers of ${config}`,
    config,
    vectors: cmodVectors(config),
  })),
  ...['nv_small', 'nv_small_256_full', 'nv_medium_512', 'nv_medium_1024_full', 'nv_large'].map((config) => ({
    title: `vendor traces of ${config}`,
    config,
    vectors: traceVectors(config),
  })),
];

describe('NVDLA vectors', needsShared('vectors/nvdla'), () => {
  describe('C model layers of nv_full', () => {
    for (const { name, load } of cmodVectors('nv_full')) {
      it(`gives the recorded memory for ${name}`, async () => {
        const rig = new NvdlaRig('nv_full');
        const played = await rig.play(load());
        const wrong = played.filter((result) => !result.matches);
        assert.deepEqual(wrong, []);
      });
    }
  });

  describe('trace-player transactions', () => {
    for (const { name, load } of txnVectors()) {
      it(`reads back and leaves in memory what was recorded for ${name}`, async () => {
        const rig = new NvdlaRig('nv_full');
        const played = await rig.play(load());
        assert.deepEqual(
          played.filter((result) => !result.matches),
          [],
        );
      });
    }
  });

  for (const { title, config, vectors } of sets) {
    describe(title, () => {
      for (const { name, load } of vectors) {
        it(`gives the recorded memory for ${name}`, async () => {
          const rig = new NvdlaRig(config);
          for (const result of await rig.play(load())) {
            const { expected, difference } = result;
            const where = `0x${expected.address.toString(16)}+${expected.bytes}`;
            assert.ok(result.matches, `${where}: ${JSON.stringify(difference ?? 'CRC differs')}`);
          }
          assert.deepEqual(rig.faults, []);
        });
      }
    });
  }
});
