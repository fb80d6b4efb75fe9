// The cost of operations and the performance counters, at the registers of a copy and in the rules of the performance sheet.
// Not silicon: what the sheet says for a layer is the yardstick.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { OperationCost } from '../../src/bus/port.js';
import { traceNames } from '../../src/devices/nvdla/index.js';
import { silicon } from '../../src/hw/nvdla/index.js';
import { cmodVectors, NvdlaRig } from '../support/nvdla-rig.js';
import { needsShared } from '../support/shared.js';

const BASE = 0x8000_0000;
const names = traceNames('nv_full');
const at = (register: string): number => names.offset(`NVDLA_${register}_0`);

/** A BDMA launch of one copy of `lines` lines of 8 KiB, with or without counting stalls. */
async function copy(lines: number, counting: boolean): Promise<{ rig: NvdlaRig; costs: OperationCost[] }> {
  const rig = new NvdlaRig('nv_full', { mebibytes: 64 });
  const costs: OperationCost[] = [];
  rig.slot.model.onOperation = (cost) => costs.push(cost);
  rig.map(BASE, 1 << 21);
  const values: Record<string, number> = {
    CFG_STATUS: counting ? 1 : 0,
    CFG_SRC_ADDR_LOW: BASE,
    CFG_DST_ADDR_LOW: BASE + (1 << 20),
    CFG_LINE: 255,
    CFG_CMD: 3,
    CFG_LINE_REPEAT: lines - 1,
    CFG_SRC_LINE: 8192,
    CFG_DST_LINE: 8192,
    CFG_SURF_REPEAT: 0,
    CFG_OP: 1,
    CFG_LAUNCH0: 1,
  };
  for (const [register, value] of Object.entries(values)) rig.write32(at(`BDMA.${register}`), value);
  await rig.clock.settle();
  return { rig, costs };
}

describe('the cost of an operation', () => {
  it('is what it moves through each port, and the cycles of its busiest unit', async () => {
    const { costs } = await copy(100, false);
    const bytes = 100 * 8192;
    assert.deepEqual(costs, [
      {
        unit: 'bdma',
        compute: bytes / 64,
        traffic: [
          { read: bytes, write: bytes },
          { read: 0, write: 0 },
        ],
      },
    ]);
    // Reads and writes share the 10 bytes that DRAM moves in a cycle at 1 GHz.
    assert.deepEqual(silicon(costs[0]!, 1000), { cycles: Math.ceil((2 * bytes) / 10), bound: 'DRAM' });
    // A slower clock waits fewer cycles for the same memory.
    assert.deepEqual(silicon(costs[0]!, 100), { cycles: Math.ceil((2 * bytes) / 100), bound: 'DRAM' });
  });

  it('has each direction of SRAM for itself', () => {
    const traffic: OperationCost['traffic'] = [
      { read: 0, write: 0 },
      { read: 50_000, write: 40_000 },
    ];
    assert.deepEqual(silicon({ compute: 10, traffic }, 1000), {
      cycles: 2000,
      bound: 'CV-SRAM',
    });
    assert.deepEqual(silicon({ compute: 2001, traffic }, 1000), {
      cycles: 2001,
      bound: 'compute',
    });
  });
});

describe('stall counters', () => {
  it('count the cycles that a port does not take a beat, when they are switched on', async () => {
    const bytes = 100 * 8192;
    const stalls = Math.ceil(bytes / 10) - bytes / 64;
    for (const counting of [true, false]) {
      const { rig } = await copy(100, counting);
      for (const access of ['READ', 'WRITE'])
        assert.equal(rig.read32(at(`BDMA.STATUS_GRP0_${access}_STALL`)), counting ? stalls : 0);
    }
  });
});

describe('the cost of recorded layers', needsShared('vectors/nvdla-cmod'), () => {
  const play = async (
    name: string,
    enable: readonly string[],
  ): Promise<{ rig: NvdlaRig; cost: OperationCost }> => {
    const vector = cmodVectors('nv_full')
      .find((candidate) => candidate.name === name)!
      .load();
    const rig = new NvdlaRig('nv_full');
    const costs: OperationCost[] = [];
    rig.slot.model.onOperation = (cost) => costs.push(cost);
    for (const unit of enable) rig.write32(at(`${unit}.D_PERF_ENABLE`), 1);
    await rig.play(vector);
    return { rig, cost: costs[0]! };
  };

  it('is outputs times kernel groups, channel blocks and kernel positions for a convolution', async () => {
    const { rig, cost } = await play('conv_int8_c300_1x1', ['CDMA']);
    const field = (register: string, shift: number): number =>
      ((rig.read32(at(register)) >>> shift) & 0x1fff) + 1;
    const outputs = field('CSC.D_DATAOUT_SIZE_0', 0) * field('CSC.D_DATAOUT_SIZE_0', 16);
    const kernels = field('CSC.D_WEIGHT_SIZE_EXT_1', 16);
    // 300 channels are five blocks of 64.
    assert.equal(cost.compute, outputs * Math.ceil(kernels / 32) * 5);
    assert.equal(cost.unit, 'conv');
  });

  it('leaves CDMA’s stalls and latency in its registers', async () => {
    const { rig, cost } = await play('conv_int8_wide', ['CDMA']);
    const weights = rig.read32(at('CDMA.D_WEIGHT_BYTES'));
    const ideal = Math.ceil(weights / 64);
    assert.equal(rig.read32(at('CDMA.D_PERF_WT_READ_STALL')), Math.ceil(weights / 10) - ideal);
    assert.equal(rig.read32(at('CDMA.D_PERF_WT_READ_LATENCY')), 1200 + Math.ceil(weights / 10));
    assert.ok(cost.traffic[0].read >= weights);
  });

  it('goes to the port that RAM_TYPE names', async () => {
    const { cost } = await play('conv_int8_cvsram_all', []);
    assert.deepEqual(cost.traffic[0], { read: 0, write: 0 });
    assert.ok(cost.traffic[1].read > 0 && cost.traffic[1].write > 0);
  });
});
