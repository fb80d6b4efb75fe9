// Register by register, page by page: what the GNA driver does to the hardware, on a device that only records.
// Not results: the model and the vectors have those.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PAGE_SIZE } from '../../src/base/memory.js';
import type { LocalFile } from '../../src/core/index.js';
import { match, probe } from '../../src/drivers/gna/index.js';
import { LAYER_DESCRIPTOR_BYTES, gnaPciIds, regs } from '../../src/hw/gna/index.js';
import { computeGna, createGnaBuffer, waitGna, type GnaBufferRequest } from '../../src/testing/index.js';
import { Recorder } from './gna-recorder.js';

const DONE = regs.STS.f.SCORE_COMPLETED.mask;
const SATURATED = regs.STS.f.SATURATE.mask;

interface Made extends GnaBufferRequest {
  readonly size: bigint;
  readonly bytes: Uint8Array;
  /** First DRAM page. */
  readonly page: number;
}

async function buffer(file: LocalFile, size: number): Promise<Made> {
  const { handle, offset, size: granted } = await createGnaBuffer(file, size);
  const { bytes } = await file.mmap(offset, granted);
  return { handle, size: BigInt(size), bytes, page: file.client.lookup(handle).address / PAGE_SIZE };
}

const request = ({ handle, size }: Made): GnaBufferRequest => ({ handle, size });

describe('the GNA driver on its registers', () => {
  it('starts a request with one write, after descriptor and tables are there', async () => {
    const device = new Recorder();
    const file = device.open();
    const made = await buffer(file, 4096);
    // Bits of power management stay as they are.
    device.set(regs.CTRL.at, regs.CTRL.encode({ FORCE_POWER_ON: 1, STATISTICS: 7, ACTIVE_LIST: 1 }));
    await computeGna(file, [request(made)], { layer_base: 0x80, layer_count: 9, hw_perf_encoding: 2 });
    await device.rest();
    const control = regs.CTRL.encode({
      START: 1,
      MODE: 1,
      COMPLETION_INTERRUPT: 1,
      ERROR_INTERRUPT: 1,
      STATISTICS: 2,
      FORCE_POWER_ON: 1,
    });
    const { labase, lacnt, vamaxaddr } = device.descriptor;
    assert.deepEqual(device.taken(), [
      `DESBASE=0x${device.get(regs.DESBASE.at).toString(16)}`,
      `CTRL=0x${control.toString(16)}`,
    ]);
    assert.deepEqual([labase, lacnt, vamaxaddr], [0x80, 9, 4095]);
  });

  it('places buffers back to back, each on a new page, and leaves the other tables invalid', async () => {
    const device = new Recorder();
    const file = device.open();
    const sizes = [100, 5 << 20, 4097];
    const made = [];
    for (const size of sizes) made.push(await buffer(file, size));
    await computeGna(file, made.map(request));
    await device.rest();
    const { page_directory, vamaxaddr } = device.descriptor;
    let page = 0;
    for (const [i, { page: first }] of made.entries()) {
      const count = Math.ceil(sizes[i]! / PAGE_SIZE);
      for (let at = 0; at < count; at++) assert.equal(device.entry(page + at), first + at);
      page += count;
    }
    assert.equal(vamaxaddr, page * PAGE_SIZE - 1);
    assert.equal(device.entry(page), 0, 'the rest of the last table');
    assert.equal(page_directory.length, 64);
    assert.ok(page_directory.slice(0, 2).every((entry) => entry > 1));
    assert.ok(page_directory.slice(2).every((entry) => entry === 1));
    device.finish(DONE);
    await waitGna(file, 1);
    // A small request after a large one sees none of its entries.
    await computeGna(file, [request(made[0]!)]);
    await device.rest();
    assert.equal(device.entry(0), made[0]!.page);
    assert.equal(device.entry(1), 0);
    assert.equal(device.entry(1024), undefined);
    assert.equal(device.descriptor.vamaxaddr, PAGE_SIZE - 1);
  });

  it('lets the device reach what the running request names, and nothing else', async () => {
    const device = new Recorder();
    const file = device.open();
    const [mine, idle] = [await buffer(file, 4096), await buffer(file, 4096)];
    const address = mine.page * PAGE_SIZE;
    assert.equal(device.reaches(address, 'read'), false, 'before');
    await computeGna(file, [request(mine)]);
    await device.rest();
    assert.ok(device.reaches(address, 'read') && device.reaches(address, 'write'));
    assert.equal(device.reaches(idle.page * PAGE_SIZE, 'read'), false, 'another buffer of the client');
    const tables = device.get(regs.DESBASE.at) * PAGE_SIZE;
    assert.equal(device.reaches(tables, 'read'), true);
    assert.equal(device.reaches(tables, 'write'), false, 'the device does not write its tables');
    device.finish(DONE);
    await waitGna(file, 1);
    assert.equal(device.reaches(address, 'read'), false, 'afterwards');
  });

  it('copies all 128 bytes of the GMM descriptor, patched, to where the device looks for it', async () => {
    const device = new Recorder();
    const file = device.open();
    const [first, second] = [await buffer(file, 4096), await buffer(file, 8192)];
    second.bytes.forEach((_, i) => (second.bytes[i] = i * 7));
    const patches = [{ offset: 0x140n, size: 4n, value: 0xa1b2c3d4n }];
    await computeGna(file, [request(first), { ...request(second), patches }], {
      layer_base: 4096 + 0x100,
      gna_mode: 0,
      active_list_on: 1,
    });
    await device.rest();
    const copied = device.descriptorBytes.subarray(0x100, 0x100 + LAYER_DESCRIPTOR_BYTES);
    assert.deepEqual(copied, second.bytes.slice(0x100, 0x100 + LAYER_DESCRIPTOR_BYTES));
    assert.equal(Buffer.from(copied).readUInt32LE(0x40), 0xa1b2c3d4);
    const { MODE, ACTIVE_LIST, START } = regs.CTRL.decode(device.get(regs.CTRL.at));
    assert.deepEqual([MODE, ACTIVE_LIST, START], [0, 1, 1]);
    device.finish(DONE);
    assert.equal((await waitGna(file, 1)).error, undefined);
  });

  it('clears saturation by hand and aborts after each request, before it starts the next', async () => {
    const device = new Recorder();
    const file = device.open();
    const made = await buffer(file, 4096);
    for (let i = 0; i < 2; i++) await computeGna(file, [request(made)]);
    await device.rest();
    assert.equal(device.taken().length, 2, 'one request on the hardware at a time');
    device.finish(DONE | SATURATED);
    assert.equal((await waitGna(file, 1)).out.hw_status, DONE | SATURATED);
    await device.rest();
    const writes = device.taken();
    assert.equal(writes[0], 'STS=0x20000');
    assert.match(writes[1]!, /^CTRL=0x/);
    assert.equal(Number(writes[1]!.slice(5)) & 5, 4, 'abort and no start');
    assert.deepEqual(
      writes.slice(2).map((write) => write.split('=')[0]),
      ['DESBASE', 'CTRL'],
    );
    device.finish(DONE);
    assert.equal((await waitGna(file, 2)).out.hw_status, DONE);
  });

  it('gives cycles when they were asked for and the status says that they are valid', async () => {
    const device = new Recorder();
    const file = device.open();
    const made = await buffer(file, 4096);
    device.set(regs.PTC.at, 0xfedcba98);
    device.set(regs.PSC.at, 77);
    const cycles = async (hw_perf_encoding: number, status: number): Promise<bigint[]> => {
      const id = await computeGna(file, [request(made)], { hw_perf_encoding });
      await device.rest();
      device.finish(status);
      const { out } = await waitGna(file, id);
      return [out.total, out.stall];
    };
    const valid = regs.STS.f.STATISTICS_VALID.mask;
    assert.deepEqual(await cycles(1, DONE | valid), [0xfedcba98n, 77n]);
    assert.deepEqual(await cycles(1, DONE), [0n, 0n]);
    assert.deepEqual(await cycles(0, DONE | valid), [0n, 0n]);
  });

  it('ends a request with ETIMEDOUT when the device ignores the abort, resets it and goes on', async () => {
    const device = new Recorder();
    const file = device.open();
    const made = await buffer(file, 4096);
    device.takesAbort = false;
    const id = await computeGna(file, [request(made)]);
    await device.rest();
    device.finish(DONE);
    const { out, error } = await waitGna(file, id);
    assert.equal(error?.code, 'ETIMEDOUT');
    assert.equal(out.hw_status, DONE);
    assert.equal(device.resets, 1);
    // An error of the request itself is the more telling one.
    const failed = await computeGna(file, [request(made)]);
    await device.rest();
    device.finish(0x11);
    assert.equal((await waitGna(file, failed)).error?.code, 'EIO');
    device.takesAbort = true;
    const next = await computeGna(file, [request(made)]);
    await device.rest();
    device.finish(DONE);
    assert.equal((await waitGna(file, next)).error, undefined);
  });

  it('takes each error bit for EIO, with the whole status in hw_status', async () => {
    const device = new Recorder();
    const file = device.open();
    const made = await buffer(file, 4096);
    for (let bit = 4; bit <= 8; bit++) {
      const id = await computeGna(file, [request(made)]);
      await device.rest();
      device.finish((1 << bit) | SATURATED);
      const { out, error } = await waitGna(file, id);
      assert.equal(error?.code, 'EIO');
      assert.equal(out.hw_status, (1 << bit) | SATURATED);
    }
  });

  it('waits on when an interrupt has no cause, and gives up after the recovery timeout it was given', async () => {
    const device = new Recorder();
    const file = device.open({ recoveryTimeout: 3 });
    const made = await buffer(file, 4096);
    const id = await computeGna(file, [request(made)]);
    await device.rest();
    device.slot.line(0).spurious();
    await device.rest();
    const waiting = waitGna(file, id);
    await device.rest();
    device.clock.advance(2.9e9);
    assert.equal(device.taken().length, 2, 'nothing was aborted');
    device.clock.advance(0.2e9);
    const { error } = await waiting;
    assert.equal(error?.code, 'ENODATA');
    assert.match(error.reason!, /3 s/);
  });

  it('aborts what a stale interrupt reports when nothing runs', async () => {
    const device = new Recorder();
    device.open();
    device.finish(DONE | SATURATED);
    await device.rest();
    assert.equal(device.get(regs.STS.at), 0);
    assert.equal(device.slot.line(0).level, false);
  });

  it('powers the device off when idle and on before it touches another register', async () => {
    const device = new Recorder();
    const file = device.open();
    const made = await buffer(file, 4096);
    device.clock.advance(2.1e9);
    assert.deepEqual(device.taken(), ['D0I3C=0x4']);
    await computeGna(file, [request(made)]);
    await device.rest();
    assert.deepEqual(
      device.taken().map((write) => write.split('=')[0]),
      ['D0I3C', 'DESBASE', 'CTRL'],
    );
    assert.equal(device.get(regs.D0I3C.at), 0);
  });

  it('ends a request with ENODEV when the device does not come back to power', async () => {
    const device = new Recorder();
    const file = device.open();
    const made = await buffer(file, 4096);
    device.clock.advance(2.1e9);
    device.pci.disable();
    const id = await computeGna(file, [request(made)]);
    const { error } = await waitGna(file, id);
    assert.equal(error?.code, 'ENODEV');
  });
});

describe('probing GNA', () => {
  it('takes every id of the fact sheet, and no other', () => {
    assert.equal(match.ids.length, gnaPciIds.length);
    for (const { device: id } of gnaPciIds) {
      const device = new Recorder({ device: id });
      const accel = probe(device.pci, device.core);
      assert.equal(accel.driver.name, 'gna');
    }
    const other = new Recorder({ device: 0x1234 });
    assert.throws(() => probe(other.pci, other.core), { code: 'ENODEV', field: 'device' });
    const foreign = new Recorder({ vendor: 0x1234 });
    assert.throws(() => probe(foreign.pci, foreign.core), { code: 'ENODEV' });
  });

  it('refuses a function that does not answer, and leaves it as it was', () => {
    const device = new Recorder({}, 0xffffffff);
    const { used } = device.memory;
    assert.throws(() => probe(device.pci, device.core), { code: 'ENODEV', field: 'IBUFFS' });
    assert.equal(device.memory.used, used);
    assert.equal(device.core.devices().length, 0);
    assert.equal(device.pci.readConfig(4, 2) & 6, 0, 'memory space and bus mastering are off again');
  });

  it('uses a message vector where there is one, and the interrupt pin where not', async () => {
    for (const vectors of [1, 0]) {
      const device = new Recorder({ vectors });
      const file = device.open();
      const made = await buffer(file, 4096);
      const id = await computeGna(file, [request(made)]);
      await device.rest();
      device.finish(DONE);
      assert.equal((await waitGna(file, id)).error, undefined);
    }
  });

  it('gives its memory back when the function goes away', () => {
    const device = new Recorder();
    const { used } = device.memory;
    probe(device.pci, device.core);
    assert.equal(device.memory.used - used, 65 * PAGE_SIZE);
    device.slot.remove();
    assert.equal(device.memory.used, used);
  });
});
