// A PCI function: config space, BAR sizing, memory enable, bus mastering, message vectors. Not a device.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestClock } from '../../src/base/clock.js';
import { pciDevice } from '../../src/bus/pci.js';
import { Slot } from '../../src/bus/platform.js';
import type { VirtualDevice } from '../../src/bus/port.js';
import { Dram } from '../../src/machine/dram.js';
import { Faults } from '../../src/machine/faults.js';

const identity = {
  vendor: 0x8086,
  device: 0x4e11,
  revision: 1,
  classCode: 0x088000,
  bars: [0x1000],
  vectors: 2,
};

function bench() {
  const words = new Uint32Array(16);
  const model: VirtualDevice = {
    windows: [0x1000],
    read32: (_window, offset) => words[offset >> 2]!,
    write32: (_window, offset, value) => (words[offset >> 2] = value),
    reset: () => words.fill(0),
    registers: () => [],
  };
  const slot = new Slot({
    name: '0000:00:08.0',
    clock: new TestClock(),
    memory: new Dram(16),
    faults: new Faults(),
    irqs: 1,
    engine: () => assert.fail('no engine'),
    guestError: () => undefined,
  });
  slot.plug(model);
  return { slot, device: pciDevice(slot, identity, 0xe0000000), memory: slot.port.memory };
}

describe('a PCI function', () => {
  it('says what it is', () => {
    const { device } = bench();
    assert.equal(device.readConfig(0, 4), 0x4e118086);
    assert.equal(device.readConfig(2, 2), 0x4e11);
    assert.equal(device.readConfig(8, 4), 0x08800001);
    assert.equal(device.readConfig(0x3d, 1), 1);
  });

  it('tells the size of a BAR to whoever writes ones to it', () => {
    const { device } = bench();
    assert.equal(device.readConfig(0x10, 4), 0xe0000000);
    device.writeConfig(0x10, 4, 0xffffffff);
    assert.equal(device.readConfig(0x10, 4), 0xfffff000);
    device.writeConfig(0x14, 4, 0xffffffff);
    assert.equal(device.readConfig(0x14, 4), 0, 'there is no second BAR');
  });

  it('does not answer in memory space before it is enabled', () => {
    const { device } = bench();
    const mmio = device.mmio(0);
    mmio.write32(4, 1);
    assert.equal(mmio.read32(4), 0xffffffff);
    device.enable();
    assert.equal(mmio.read32(4), 0);
    mmio.write32(4, 7);
    assert.equal(mmio.read32(4), 7);
    device.disable();
    assert.equal(mmio.read32(4), 0xffffffff);
  });

  it('reaches no memory before it is bus master', () => {
    const { device, slot, memory } = bench();
    const domain = device.dma.createDomain();
    domain.map(0x1000, memory.allocate(4096), 4096, 'read-write');
    device.dma.attach(domain);
    assert.equal(slot.port.dma.read32(0x1000), undefined);
    device.setMaster(true);
    assert.equal(slot.port.dma.read32(0x1000), 0);
    device.setMaster(false);
    assert.equal(slot.port.dma.read32(0x1000), undefined);
  });

  it('gives as many message vectors as it has', () => {
    const { device } = bench();
    assert.equal(device.readConfig(0x34, 1), 0x50);
    assert.throws(() => device.enableVectors(3), { code: 'ENOSPC' });
    device.enableVectors(2);
    assert.equal((device.readConfig(0x52, 2) >> 4) & 7, 1);
    assert.equal(device.readConfig(0x52, 2) & 1, 1);
  });

  it('reads as absent outside its config space and after removal', () => {
    const { device, slot } = bench();
    assert.equal(device.readConfig(0x100, 4), 0xffffffff);
    assert.equal(device.readConfig(1, 2), 0xffff);
    slot.remove();
    assert.equal(device.readConfig(0, 2), 0xffff);
  });
});
