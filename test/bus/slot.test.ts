// The wires between a model and a driver: windows, DMA through domains, interrupt lines, removal. Not a device.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestClock } from '../../src/base/clock.js';
import type { DmaFault } from '../../src/bus/device.js';
import { platformDevice, Slot } from '../../src/bus/platform.js';
import type { VirtualDevice } from '../../src/bus/port.js';
import { Dram } from '../../src/machine/dram.js';
import { Faults } from '../../src/machine/faults.js';

const PAGE = 4096;

function bench() {
  const clock = new TestClock();
  const memory = new Dram(16);
  const faults = new Faults();
  const words = new Uint32Array(16);
  const errors: string[] = [];
  const model: VirtualDevice = {
    windows: [64],
    read32: (_window, offset) => words[offset >> 2]!,
    write32: (_window, offset, value) => (words[offset >> 2] = value),
    reset: () => words.fill(0),
    registers: () => [],
  };
  const slot = new Slot({
    name: '1000.test',
    clock,
    memory,
    faults,
    irqs: 1,
    engine: () => assert.fail('no engine'),
    guestError: (text) => errors.push(text),
  });
  slot.plug(model);
  const device = platformDevice(slot, ['test,device']);
  const faulted: DmaFault[] = [];
  device.dma.onFault((fault) => faulted.push(fault));
  return { clock, memory, faults, slot, device, faulted, errors, port: slot.port };
}

describe('MMIO', () => {
  it('reaches the model through a window and a part of it', () => {
    const { device } = bench();
    const part = device.mmio(0).window(0x10, 0x10);
    part.write32(4, 0xfffffffe);
    assert.equal(device.mmio(0).read32(0x14), 0xfffffffe);
    assert.throws(() => device.mmio(0).window(0x30, 0x20), RangeError);
    assert.throws(() => device.mmio(1), { code: 'ENODEV' });
  });

  it('reads all ones and loses writes once the device is gone, and says so once', () => {
    const { device, slot } = bench();
    let told = 0;
    device.onRemove(() => told++);
    slot.remove();
    slot.remove();
    device.mmio(0).write32(0, 1);
    assert.equal(device.mmio(0).read32(0), 0xffffffff);
    assert.equal(told, 1);
    assert.equal(device.removed, true);
  });
});

describe('DMA', () => {
  it('uses contiguous pages in place, across neighbouring mappings', () => {
    const { device, memory, port } = bench();
    const domain = device.dma.createDomain();
    const pages = memory.allocate(2 * PAGE);
    domain.map(0x80000000, pages, PAGE, 'read-write');
    domain.map(0x80001000, pages + PAGE, PAGE, 'read-write');
    device.dma.attach(domain);
    assert.equal(port.dma.map(0x80000ff0, 32, 'write')!.address, pages + 0xff0);
  });

  it('goes through a copy where pages are scattered, and brings writes back', () => {
    const { device, memory, port } = bench();
    const domain = device.dma.createDomain();
    const a = memory.allocate(PAGE);
    memory.allocate(PAGE);
    const b = memory.allocate(PAGE);
    domain.map(0, a, PAGE, 'read-write');
    domain.map(PAGE, b, PAGE, 'read-write');
    device.dma.attach(domain);
    memory.bytes[b + 1] = 9;
    const before = memory.used;
    const span = port.dma.map(PAGE - 1, 4, 'write')!;
    assert.equal(memory.bytes[span.address + 2], 9, 'bytes not written come back as they were');
    memory.bytes[span.address] = 5;
    memory.bytes[span.address + 1] = 6;
    span.release();
    assert.deepEqual([memory.bytes[a + PAGE - 1], memory.bytes[b], memory.bytes[b + 1]], [5, 6, 9]);
    assert.equal(memory.used, before);
  });

  it('faults when scattered pages find no memory for the copy', () => {
    const { device, memory, port, faulted } = bench();
    const domain = device.dma.createDomain();
    device.dma.attach(domain);
    const pages = [memory.allocate(PAGE), memory.allocate(PAGE), memory.allocate(PAGE)];
    domain.map(PAGE, pages[0]!, PAGE, 'read-write');
    domain.map(2 * PAGE, pages[2]!, PAGE, 'read-write');
    memory.allocate(memory.size - (1 << 20) - memory.used);
    assert.equal(port.dma.map(PAGE, 2 * PAGE, 'read'), undefined);
    assert.match(faulted[0]!.reason, /no memory for a bounce buffer of 8192 bytes/);
  });

  it('faults on what is not mapped, not allowed, not attached, and on demand', () => {
    const { device, memory, port, faulted, faults } = bench();
    assert.equal(port.dma.map(0, 4, 'read'), undefined);
    const domain = device.dma.createDomain();
    domain.map(0, memory.allocate(PAGE), PAGE, 'read');
    device.dma.attach(domain);
    assert.equal(port.dma.map(0, 4, 'write'), undefined);
    assert.equal(port.dma.map(PAGE - 2, 4, 'read'), undefined);
    assert.equal(port.dma.read32(PAGE), undefined);
    assert.equal(port.dma.write32(0, 1), false);
    faults.arm('dma-fault');
    assert.equal(port.dma.map(0, 4, 'read'), undefined);
    assert.notEqual(port.dma.map(0, 4, 'read'), undefined);
    assert.deepEqual(
      faulted.map((fault) => `${fault.access} 0x${fault.iova.toString(16)} ${fault.reason}`),
      [
        'read 0x0 no domain is attached',
        'write 0x0 no write access',
        'read 0x1000 not mapped',
        'read 0x1000 not mapped',
        'write 0x0 no write access',
        'read 0x0 injected',
      ],
    );
  });

  it('refuses overlapping and unaligned mappings, and unmapping what is not there', () => {
    const { device, memory } = bench();
    const domain = device.dma.createDomain();
    const page = memory.allocate(PAGE);
    domain.map(PAGE, page, PAGE, 'read');
    assert.throws(() => domain.map(PAGE, page, PAGE, 'read'), { code: 'EEXIST' });
    assert.throws(() => domain.map(0, page, 2 * PAGE, 'read'), { code: 'EEXIST' });
    assert.throws(() => domain.map(1, page, PAGE, 'read'), { code: 'EINVAL' });
    assert.throws(() => domain.unmap(PAGE, 2 * PAGE), { code: 'EINVAL' });
    domain.unmap(PAGE, PAGE);
    assert.throws(() => domain.unmap(PAGE, PAGE), { code: 'EINVAL' });
  });
});

describe('an interrupt line', () => {
  it('is disabled when nobody lowers it 100,000 times in a row, until another handler comes', async () => {
    const { device, clock, port, slot, errors } = bench();
    let calls = 0;
    const deaf = device.irq(0, () => calls++);
    port.irq(0).set(true);
    await clock.settle(100_100);
    assert.equal(calls, 100_000);
    assert.ok(slot.irqs[0]!.disabled);
    assert.deepEqual(errors, ['irq 0: nobody cared, disabled']);
    deaf[Symbol.dispose]();
    device.irq(0, () => port.irq(0).set(false));
    await clock.settle();
    assert.ok(!slot.irqs[0]!.disabled);
    assert.ok(!slot.irqs[0]!.level);
  });

  it('calls the handler after the raiser, again while it stays raised', async () => {
    const { device, clock, port } = bench();
    let calls = 0;
    device.irq(0, () => {
      if (++calls === 3) port.irq(0).set(false);
    });
    port.irq(0).set(true);
    assert.equal(calls, 0);
    await clock.settle();
    assert.equal(calls, 3);
  });

  it('is delivered when a handler comes later, not after it went', async () => {
    const { device, clock, port } = bench();
    port.irq(0).set(true);
    let calls = 0;
    const connection = device.irq(0, () => {
      calls++;
      port.irq(0).set(false);
    });
    await clock.settle();
    connection[Symbol.dispose]();
    port.irq(0).set(true);
    await clock.settle();
    assert.equal(calls, 1);
  });

  it('can be lost on demand', async () => {
    const { device, clock, port, faults } = bench();
    let calls = 0;
    device.irq(0, () => {
      calls++;
      port.irq(0).set(false);
    });
    faults.arm('lost-irq');
    port.irq(0).set(true);
    await clock.settle();
    port.irq(0).set(false);
    port.irq(0).set(true);
    await clock.settle();
    assert.equal(calls, 1);
    assert.equal(faults.delivered('lost-irq'), 1);
  });
});

describe('faults', () => {
  const struck = (faults: Faults): number[] =>
    Array.from({ length: 12 }, (_, i) => i).filter(() => faults.take('hang'));

  it('strike once after so many opportunities, or every so many', () => {
    const faults = new Faults();
    faults.arm('hang', { after: 2 });
    assert.deepEqual(struck(faults), [2]);
    faults.arm('hang', { after: 1, every: 4 });
    assert.deepEqual(struck(faults), [1, 5, 9]);
  });

  it('strike at the same turns for the same seed', () => {
    const turns = (seed: number): number[] => {
      const faults = new Faults();
      faults.arm('hang', { every: 3, seed });
      return struck(faults);
    };
    assert.deepEqual(turns(7), turns(7));
    assert.notDeepEqual(turns(7), turns(8));
  });
});

describe('DRAM', () => {
  it('gives zeroed pages again and again, never address 0, and says when it is full', () => {
    const memory = new Dram(2);
    const first = memory.allocate(PAGE);
    assert.ok(first > 0);
    memory.bytes.fill(7, first, first + PAGE);
    memory.free(first);
    const second = memory.allocate(1);
    assert.equal(second, first);
    assert.ok(memory.bytes.subarray(second, second + PAGE).every((byte) => byte === 0));
    assert.throws(() => memory.allocate(3 << 20), { code: 'ENOMEM' });
    assert.throws(() => memory.free(second + 1), { code: 'EINVAL' });
  });
});
