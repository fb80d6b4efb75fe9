// NVDLA's front through its registers: groups, arming, interrupts, refusals. Addresses are arbitrary.
// Not numerics: those are in nvdla-vectors.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Register } from '../../src/base/registers.js';
import { registerMaps, type UnitName } from '../../src/hw/nvdla/config.js';
import { traceNames } from '../../src/devices/nvdla/index.js';
import { NvdlaRig } from '../support/nvdla-rig.js';

const INPUT = 0x8000_0000;
const OUTPUT = 0x9000_0000;
const BYTES = 4 * 4 * 8;

const names = traceNames('nv_small');
const at = (register: string): number => names.offset(`NVDLA_${register}_0`);
const read = (rig: NvdlaRig, register: string): number => rig.read32(at(register));
const write = (rig: NvdlaRig, register: string, value: number): void => rig.write32(at(register), value);

/** Programs SDP's producer group to copy a 4x4x8 cube, and arms it. */
function armCopy(rig: NvdlaRig, options: { output?: number; precision?: number } = {}): void {
  const output = options.output ?? OUTPUT;
  const values: Record<string, number> = {
    'SDP.D_DATA_CUBE_WIDTH': 3,
    'SDP.D_DATA_CUBE_HEIGHT': 3,
    'SDP.D_DATA_CUBE_CHANNEL': 7,
    'SDP.D_DST_BASE_ADDR_LOW': output,
    'SDP.D_DST_LINE_STRIDE': 32,
    'SDP.D_DST_SURFACE_STRIDE': 128,
    'SDP.D_DP_BS_CFG': 1,
    'SDP.D_DP_BN_CFG': 1,
    'SDP.D_DP_EW_CFG': 1,
    'SDP.D_FEATURE_MODE_CFG': 0,
    'SDP.D_DATA_FORMAT': options.precision ?? 0,
    'SDP.D_CVT_SCALE': 1,
    'SDP.D_CVT_OFFSET': 0,
    'SDP.D_CVT_SHIFT': 0,
    'SDP_RDMA.D_DATA_CUBE_WIDTH': 3,
    'SDP_RDMA.D_DATA_CUBE_HEIGHT': 3,
    'SDP_RDMA.D_DATA_CUBE_CHANNEL': 7,
    'SDP_RDMA.D_SRC_BASE_ADDR_LOW': INPUT,
    'SDP_RDMA.D_SRC_LINE_STRIDE': 32,
    'SDP_RDMA.D_SRC_SURFACE_STRIDE': 128,
    'SDP_RDMA.D_FEATURE_MODE_CFG': 0,
    'SDP_RDMA.D_BRDMA_CFG': 1,
    'SDP_RDMA.D_NRDMA_CFG': 1,
    'SDP_RDMA.D_ERDMA_CFG': 1,
    'SDP_RDMA.D_OP_ENABLE': 1,
    'SDP.D_OP_ENABLE': 1,
  };
  for (const [register, value] of Object.entries(values)) write(rig, register, value);
}

function producer(rig: NvdlaRig, group: 0 | 1): void {
  write(rig, 'SDP.S_POINTER', group);
  write(rig, 'SDP_RDMA.S_POINTER', group);
}

function rigWithCube(): NvdlaRig {
  const rig = new NvdlaRig('nv_small', { mebibytes: 64 });
  rig.map(INPUT, 4096);
  rig.map(OUTPUT, 4096);
  rig.bytes(INPUT, BYTES).forEach((_, i, bytes) => (bytes[i] = i * 7));
  return rig;
}

describe('NVDLA registers', () => {
  it('read as the reset values of the family after power-on', () => {
    for (const [config, family] of [
      ['nv_small', 'small'],
      ['nv_full', 'full'],
    ] as const) {
      const rig = new NvdlaRig(config, { mebibytes: 128 });
      const map = registerMaps[family];
      for (const [unit, base] of Object.entries(map.base)) {
        if (['CFGROM', 'BDMA', 'RBK', 'CVIF'].includes(unit) && family === 'small') continue;
        for (const register of Object.values(map.units[unit as UnitName]) as Register[]) {
          const value = rig.read32(base + register.at);
          assert.equal(value, register.reset, `${config} ${unit}.${register.name}`);
        }
      }
      assert.deepEqual(rig.guestErrors, []);
    }
  });

  it('describe the configuration in CFGROM', () => {
    const rig = new NvdlaRig('nv_small', { mebibytes: 64 });
    assert.equal(read(rig, 'CFGROM.CFGROM_HW_VERSION'), 0x10001);
    assert.equal(read(rig, 'CFGROM.CFGROM_CDMA_BASE_CBUF_BANK_DEPTH'), 0x200);
    write(rig, 'CFGROM.CFGROM_HW_VERSION', 5);
    assert.equal(read(rig, 'CFGROM.CFGROM_HW_VERSION'), 0x10001);
  });

  it('do not exist outside the table: reads give zero, the guest is told once per offset', () => {
    const rig = new NvdlaRig('nv_small', { mebibytes: 64 });
    assert.equal(rig.read32(0x1f000), 0);
    assert.equal(rig.read32(0x1f000), 0);
    rig.write32(0x1f000, 1);
    rig.write32(0x9ffc, 1);
    assert.equal(rig.read32(0x9002), 0);
    assert.equal(rig.guestErrors.length, 3);
  });

  it('of a D_ name exist twice, PRODUCER says which one is meant', () => {
    const rig = rigWithCube();
    producer(rig, 0);
    write(rig, 'SDP.D_DATA_CUBE_WIDTH', 11);
    producer(rig, 1);
    write(rig, 'SDP.D_DATA_CUBE_WIDTH', 22);
    assert.equal(read(rig, 'SDP.D_DATA_CUBE_WIDTH'), 22);
    producer(rig, 0);
    assert.equal(read(rig, 'SDP.D_DATA_CUBE_WIDTH'), 11);
  });

  it('of an armed group do not take writes, those of the other group do', () => {
    const rig = new NvdlaRig('nv_small', { mebibytes: 64 });
    write(rig, 'CDMA.D_BATCH_STRIDE', 64);
    write(rig, 'CDMA.D_OP_ENABLE', 1);
    write(rig, 'CDMA.D_BATCH_STRIDE', 128);
    write(rig, 'CDMA.D_OP_ENABLE', 0);
    assert.equal(read(rig, 'CDMA.D_BATCH_STRIDE'), 64);
    assert.equal(read(rig, 'CDMA.D_OP_ENABLE'), 1);
    write(rig, 'CDMA.S_POINTER', 1);
    write(rig, 'CDMA.D_BATCH_STRIDE', 128);
    assert.equal(read(rig, 'CDMA.D_BATCH_STRIDE'), 128);
  });

  it('have one promise each', () => {
    const rig = new NvdlaRig('nv_small', { mebibytes: 64 });
    const all = rig.slot.model.registers();
    assert.equal(new Set(all.map(({ offset }) => offset)).size, all.length);
    const statusOf = (unit: string, name: string): string | undefined =>
      all.find((entry) => entry.unit === unit && entry.register.name === name)?.status;
    assert.equal(statusOf('SDP', 'D_CVT_SHIFT'), 'modelled');
    assert.equal(statusOf('MCIF', 'CFG_RD_WEIGHT_0'), 'stored');
    assert.equal(statusOf('CDMA', 'D_PERF_DAT_READ_STALL'), 'modelled');
    assert.equal(statusOf('SDP', 'D_PERF_LUT_UFLOW'), 'absent');
    assert.equal(statusOf('BDMA', 'CFG_OP'), undefined);
  });
});

describe('NVDLA look-up table access', () => {
  it('moves on at each entry, in both directions', () => {
    const rig = new NvdlaRig('nv_small', { mebibytes: 64 });
    write(rig, 'SDP.S_LUT_ACCESS_CFG', 0x30000);
    for (let i = 0; i < 257; i++) write(rig, 'SDP.S_LUT_ACCESS_DATA', 1000 + i);
    write(rig, 'SDP.S_LUT_ACCESS_CFG', 0x20000 | 3);
    write(rig, 'SDP.S_LUT_ACCESS_DATA', 42);
    write(rig, 'SDP.S_LUT_ACCESS_CFG', 0x10000 | 255);
    assert.equal(read(rig, 'SDP.S_LUT_ACCESS_DATA'), 1255);
    assert.equal(read(rig, 'SDP.S_LUT_ACCESS_DATA'), 1256);
    assert.equal(read(rig, 'SDP.S_LUT_ACCESS_DATA'), 0, 'past the end');
    write(rig, 'SDP.S_LUT_ACCESS_CFG', 3);
    assert.equal(read(rig, 'SDP.S_LUT_ACCESS_DATA'), 42);
    assert.equal(read(rig, 'SDP.S_LUT_ACCESS_CFG'), 4);
  });
});

describe('NVDLA interrupts', () => {
  it('are one level line: status and not mask', () => {
    const rig = new NvdlaRig('nv_small', { mebibytes: 64 });
    const line = rig.slot.line(0);
    write(rig, 'GLB.S_INTR_MASK', 0x10);
    write(rig, 'GLB.S_INTR_SET', 0x10);
    assert.equal(line.level, false);
    assert.equal(read(rig, 'GLB.S_INTR_STATUS'), 0x10);
    write(rig, 'GLB.S_INTR_SET', 0x1);
    assert.equal(line.level, true);
    write(rig, 'GLB.S_INTR_STATUS', 0x1);
    assert.equal(read(rig, 'GLB.S_INTR_STATUS'), 0x10);
    assert.equal(line.level, false);
    write(rig, 'GLB.S_INTR_MASK', 0);
    assert.equal(line.level, true);
    write(rig, 'GLB.S_INTR_STATUS', 0xffffffff);
    assert.equal(line.level, false);
  });
});

describe('NVDLA operations', () => {
  it('start when armed, then clear OP_ENABLE, turn CONSUMER and raise their group interrupt', async () => {
    const rig = rigWithCube();
    armCopy(rig);
    assert.equal(read(rig, 'SDP.S_STATUS'), 1);
    await rig.clock.settle();
    assert.deepEqual(rig.bytes(OUTPUT, BYTES), rig.bytes(INPUT, BYTES));
    assert.equal(read(rig, 'SDP.D_OP_ENABLE'), 0);
    assert.equal(read(rig, 'SDP.S_POINTER'), 0x10000);
    assert.equal(read(rig, 'SDP_RDMA.S_POINTER'), 0x10000);
    assert.equal(read(rig, 'SDP.S_STATUS'), 0);
    assert.equal(read(rig, 'GLB.S_INTR_STATUS'), 0x1);
  });

  it('queue in the two groups and run in order', async () => {
    const rig = rigWithCube();
    producer(rig, 1);
    armCopy(rig, { output: OUTPUT + 512 });
    await rig.clock.settle();
    assert.equal(read(rig, 'GLB.S_INTR_STATUS'), 0, 'group 1 waits for group 0');
    assert.equal(read(rig, 'SDP.S_STATUS'), 0x20000);
    producer(rig, 0);
    armCopy(rig);
    await rig.clock.settle();
    assert.equal(read(rig, 'GLB.S_INTR_STATUS'), 0x3);
    assert.equal(read(rig, 'SDP.S_POINTER'), 0);
    assert.deepEqual(rig.bytes(OUTPUT + 512, BYTES), rig.bytes(INPUT, BYTES));
  });

  it('give back what they held', async () => {
    const rig = rigWithCube();
    const before = rig.memory.used;
    armCopy(rig);
    await rig.clock.settle();
    assert.equal(rig.memory.used, before);
  });

  it('do not complete after a DMA fault, which the driver is told', async () => {
    const rig = rigWithCube();
    armCopy(rig, { output: 0xa000_0000 });
    await rig.clock.settle();
    assert.deepEqual(rig.faults, ['write 0xa0000000: not mapped']);
    assert.equal(read(rig, 'SDP.D_OP_ENABLE'), 1);
    assert.equal(read(rig, 'GLB.S_INTR_STATUS'), 0);
  });

  it('of a precision that the configuration lacks are named and do not complete', async () => {
    const rig = rigWithCube();
    armCopy(rig, { precision: 0b0101 });
    await rig.clock.settle();
    assert.match(rig.guestErrors.join(), /SDP: nv_small has no int16/);
    assert.equal(read(rig, 'SDP.S_STATUS'), 1);
  });

  it('are forgotten at a reset, after which the device works', async () => {
    const rig = rigWithCube();
    armCopy(rig);
    rig.slot.model.reset();
    await rig.clock.settle();
    assert.equal(read(rig, 'GLB.S_INTR_STATUS'), 0);
    assert.equal(
      rig.bytes(OUTPUT, BYTES).every((byte) => byte === 0),
      true,
    );
    armCopy(rig);
    await rig.clock.settle();
    assert.equal(read(rig, 'GLB.S_INTR_STATUS'), 1);
  });

  it('stop at GEC SWRESET as at the reset line', async () => {
    const rig = rigWithCube();
    write(rig, 'GLB.S_INTR_MASK', 0x3f);
    armCopy(rig);
    write(rig, 'GEC.SWRESET', 1);
    await rig.clock.settle();
    assert.equal(read(rig, 'GLB.S_INTR_MASK'), 0);
    assert.equal(read(rig, 'SDP.D_OP_ENABLE'), 0);
  });

  it('of a convolution wait until all of its units are armed', async () => {
    const rig = new NvdlaRig('nv_small', { mebibytes: 64 });
    const units = ['CACC', 'CMAC_A', 'CMAC_B', 'CSC', 'CDMA'];
    write(rig, 'SDP.D_FEATURE_MODE_CFG', 1);
    for (const stage of ['BS', 'BN', 'EW']) write(rig, `SDP.D_DP_${stage}_CFG`, 1);
    write(rig, 'SDP.D_OP_ENABLE', 1);
    for (const unit of units) {
      assert.deepEqual(rig.guestErrors, []);
      write(rig, `${unit}.D_OP_ENABLE`, 1);
    }
    // Only now is the layer looked at: the reset value of the precision is int16.
    assert.match(rig.guestErrors.join(), /nv_small has no int16/);
  });
});

describe('a convolution on NVDLA that cannot be', () => {
  const cases: [string, Record<string, number>, RegExp][] = [
    [
      'more banks than there are',
      { 'CDMA.D_BANK': 0x10_0010, 'CSC.D_BANK': 0x10_0010 },
      /17 data and 17 weight banks/,
    ],
    ['units that divide the buffer differently', { 'CDMA.D_BANK': 1 }, /differently/],
    ['units of two modes', { 'CSC.D_MISC_CFG': 1 }, /CSC and CDMA differ in mode/],
    [
      'Winograd',
      Object.fromEntries(
        ['CDMA', 'CSC', 'CMAC_A', 'CMAC_B', 'CACC'].map((unit) => [`${unit}.D_MISC_CFG`, 1]),
      ),
      /nv_small has no Winograd/,
    ],
    ['compressed weights', { 'CDMA.D_WEIGHT_FORMAT': 1 }, /no weight decompression/],
    ['an accumulator of another shape', { 'CACC.D_DATAOUT_SIZE_0': 5 }, /CACC expects 6x1x1/],
    [
      'lines that do not fit the data banks',
      { 'CDMA.D_DATAIN_SIZE_0': 0x1fff, 'CDMA.D_DATAIN_SIZE_1': 0x7, 'CSC.D_WEIGHT_SIZE_EXT_1': 0x7 },
      /1 lines of 65536 bytes do not fit 1 data banks/,
    ],
    [
      'a kernel group that does not fit the weight banks',
      { 'CSC.D_WEIGHT_SIZE_EXT_0': 0x1f_001f, 'CSC.D_WEIGHT_SIZE_EXT_1': 0x7, 'CDMA.D_DATAIN_SIZE_1': 0x7 },
      /group of 8192 bytes does not fit 1 weight banks/,
    ],
    ['fewer weight bytes than kernels', { 'CDMA.D_WEIGHT_BYTES': 0 }, /weightBytes/],
  ];
  for (const [title, values, message] of cases) {
    it(`is refused: ${title}`, async () => {
      const rig = new NvdlaRig('nv_small', { mebibytes: 64 });
      const base = {
        'SDP.D_FEATURE_MODE_CFG': 1,
        'SDP.D_DP_BS_CFG': 1,
        'SDP.D_DP_BN_CFG': 1,
        'SDP.D_DP_EW_CFG': 1,
        'CACC.D_MISC_CFG': 0,
        'CMAC_A.D_MISC_CFG': 0,
        'CMAC_B.D_MISC_CFG': 0,
        'CSC.D_MISC_CFG': 0,
        'CDMA.D_MISC_CFG': 0,
        'CDMA.D_WEIGHT_BYTES': 64,
      };
      for (const [register, value] of Object.entries({ ...base, ...values })) write(rig, register, value);
      for (const unit of ['SDP', 'CACC', 'CMAC_A', 'CMAC_B', 'CSC', 'CDMA'])
        write(rig, `${unit}.D_OP_ENABLE`, 1);
      await rig.clock.settle();
      assert.match(rig.guestErrors.join(), message);
      assert.equal(read(rig, 'GLB.S_INTR_STATUS'), 0);
      assert.equal(read(rig, 'CACC.S_STATUS'), 1);
    });
  }
});
