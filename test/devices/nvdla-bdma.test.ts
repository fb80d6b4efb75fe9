// BDMA's queue and launches, the two memory ports, and the order in which completions are seen, at nv_full's registers.
// Not layers of other units: nvdla-vectors.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { traceNames } from '../../src/devices/nvdla/index.js';
import { NvdlaRig, txnVectors } from '../support/nvdla-rig.js';
import { needsShared } from '../support/shared.js';

const BASE = 0x8000_0000;
const MC = 1;
const CV = 0;

const names = traceNames('nv_full');
const at = (register: string): number => names.offset(`NVDLA_${register}_0`);
const read = (rig: NvdlaRig, register: string): number => rig.read32(at(register));
const write = (rig: NvdlaRig, register: string, value: number): void => rig.write32(at(register), value);
const done = (group: 0 | 1): number => names.interrupt(`BDMA_${group}`);
const freeSlots = (rig: NvdlaRig): number => read(rig, 'BDMA.STATUS') & 0xff;

/** Queues a copy of 32 bytes. */
function queue(rig: NvdlaRig, from: number, to: number, rams: readonly [number, number] = [MC, MC]): void {
  const values: Record<string, number> = {
    CFG_SRC_ADDR_LOW: from,
    CFG_DST_ADDR_LOW: to,
    CFG_LINE: 0,
    CFG_CMD: rams[0] | (rams[1] << 1),
    CFG_LINE_REPEAT: 0,
    CFG_SURF_REPEAT: 0,
    CFG_OP: 1,
  };
  for (const [register, value] of Object.entries(values)) write(rig, `BDMA.${register}`, value);
}

function rigWithMemory(): NvdlaRig {
  const rig = new NvdlaRig('nv_full', { mebibytes: 64 });
  rig.map(BASE, 4096);
  rig.bytes(BASE, 32).fill(7);
  return rig;
}

describe('BDMA', () => {
  it('runs what was queued when it is launched, in order, and raises the interrupt of the launched group', async () => {
    const rig = rigWithMemory();
    queue(rig, BASE, BASE + 64);
    // Reads what the first one wrote.
    queue(rig, BASE + 64, BASE + 128);
    await rig.clock.settle();
    assert.equal(read(rig, 'GLB.S_INTR_STATUS'), 0);
    assert.equal(rig.bytes(BASE + 64, 1)[0], 0);
    write(rig, 'BDMA.CFG_LAUNCH1', 1);
    await rig.clock.settle();
    assert.equal(read(rig, 'GLB.S_INTR_STATUS'), done(1));
    assert.deepEqual([...rig.bytes(BASE + 128, 32)], new Array(32).fill(7));
  });

  it('tells free slots, idleness and which groups are busy', async () => {
    const rig = rigWithMemory();
    assert.equal(read(rig, 'BDMA.STATUS'), 0x114);
    queue(rig, BASE, BASE + 64);
    queue(rig, BASE, BASE + 96);
    assert.equal(read(rig, 'BDMA.STATUS'), 18);
    write(rig, 'BDMA.CFG_LAUNCH0', 1);
    // The running launch has taken its commands out of the queue.
    assert.equal(read(rig, 'BDMA.STATUS'), 20 | (1 << 9));
    queue(rig, BASE, BASE + 128);
    write(rig, 'BDMA.CFG_LAUNCH1', 1);
    assert.equal(read(rig, 'BDMA.STATUS'), 19 | (1 << 9) | (1 << 10));
    await rig.clock.settle(200);
    assert.equal(read(rig, 'BDMA.STATUS'), 0x114);
    assert.equal(read(rig, 'GLB.S_INTR_STATUS'), done(0) | done(1));
  });

  it('drops a twenty-first command and says so', () => {
    const rig = rigWithMemory();
    for (let i = 0; i < 20; i++) queue(rig, BASE, BASE + 64);
    assert.deepEqual(rig.guestErrors, []);
    assert.equal(freeSlots(rig), 0);
    queue(rig, BASE, BASE + 64);
    assert.equal(freeSlots(rig), 0);
    assert.match(rig.guestErrors[0]!, /beyond the 20/);
  });

  it('never completes a launch without commands', async () => {
    const rig = rigWithMemory();
    write(rig, 'BDMA.CFG_LAUNCH0', 1);
    await rig.clock.settle();
    assert.equal(read(rig, 'GLB.S_INTR_STATUS'), 0);
    assert.equal(read(rig, 'BDMA.STATUS') & (1 << 9), 1 << 9);
    assert.match(rig.guestErrors[0]!, /without a command/);
  });

  it('forgets queue and launches at a reset', async () => {
    const rig = rigWithMemory();
    queue(rig, BASE, BASE + 64);
    write(rig, 'BDMA.CFG_LAUNCH0', 1);
    rig.slot.model.reset();
    await rig.clock.settle();
    assert.equal(read(rig, 'BDMA.STATUS'), 0x114);
    assert.equal(read(rig, 'GLB.S_INTR_STATUS'), 0);
    assert.equal(rig.bytes(BASE + 64, 1)[0], 0);
  });
});

describe('the two memory ports', () => {
  it('are two memories: one address names a byte in each', async () => {
    const rig = rigWithMemory();
    rig.map(BASE, 4096, 'read-write', 'cvsram');
    rig.bytes(BASE, 32, 'cvsram').fill(9);
    queue(rig, BASE, BASE + 64, [MC, CV]);
    queue(rig, BASE, BASE + 64, [CV, MC]);
    write(rig, 'BDMA.CFG_LAUNCH0', 1);
    await rig.clock.settle();
    assert.equal(rig.bytes(BASE + 64, 32, 'cvsram')[31], 7);
    assert.equal(rig.bytes(BASE + 64, 32)[31], 9);
    assert.deepEqual(rig.faults, []);
  });

  it('fault each for itself', async () => {
    const rig = rigWithMemory();
    queue(rig, BASE, BASE + 64, [MC, CV]);
    write(rig, 'BDMA.CFG_LAUNCH0', 1);
    await rig.clock.settle();
    assert.deepEqual(rig.faults, ['write 0x80000040: not mapped']);
    assert.equal(read(rig, 'GLB.S_INTR_STATUS'), 0);
  });
});

describe('completions', () => {
  it('come one after the other to a guest that acknowledges each, at once to one that does not', async () => {
    for (const acknowledge of [true, false]) {
      const rig = rigWithMemory();
      queue(rig, BASE, BASE + 64);
      write(rig, 'BDMA.CFG_LAUNCH0', 1);
      queue(rig, BASE, BASE + 96);
      write(rig, 'BDMA.CFG_LAUNCH1', 1);
      const seen: number[] = [];
      if (acknowledge)
        rig.slot.line(0).connect(() => {
          const status = read(rig, 'GLB.S_INTR_STATUS');
          seen.push(status);
          write(rig, 'GLB.S_INTR_STATUS', status);
        });
      await rig.clock.settle(200);
      if (!acknowledge) seen.push(read(rig, 'GLB.S_INTR_STATUS'));
      assert.deepEqual(seen, acknowledge ? [done(0), done(1)] : [done(0) | done(1)]);
    }
  });

  it('that are masked hold none up', async () => {
    const rig = rigWithMemory();
    write(rig, 'GLB.S_INTR_MASK', done(0));
    for (const group of [0, 1]) {
      queue(rig, BASE, BASE + 64);
      write(rig, `BDMA.CFG_LAUNCH${group}`, 1);
    }
    const seen: number[] = [];
    rig.slot.line(0).connect(() => {
      const status = read(rig, 'GLB.S_INTR_STATUS');
      seen.push(status);
      write(rig, 'GLB.S_INTR_STATUS', status);
    });
    await rig.clock.settle(200);
    assert.deepEqual(seen, [done(0) | done(1)]);
  });
});

describe('trace-player copies', needsShared('vectors/nvdla'), () => {
  for (const { name, load } of txnVectors().filter((vector) => /^sanity[12]/.test(vector.name)))
    it(`bring the surface of ${name} to where it says`, async () => {
      const rig = new NvdlaRig('nv_full', { mebibytes: 64 });
      const vector = load();
      await rig.play(vector);
      await rig.clock.settle();
      const surface = vector.memory.at(-1)!;
      const { space, address, contents } = surface;
      const copy = rig.bytes(address + 0x0100_0000, 8 * 256, space);
      assert.deepEqual(copy, (contents as Uint8Array).subarray(0, 8 * 256));
    });
});
