// Minors, opening and closing, unplug. Core fact sheet section 1.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Process } from '../../src/core/index.js';
import { BLOCK, buffer, call, ECHO, fails, system } from './system.js';

describe('device minors', () => {
  it('are the lowest free numbers, and a node is found by number, name and path', () => {
    const { core, device, addDevice } = system();
    const second = addDevice();
    assert.deepEqual([device.name, second.name], ['accel0', 'accel1']);
    assert.equal(core.device(1), second);
    assert.equal(core.device('accel1'), second);
    assert.equal(core.device('/dev/accel/accel1'), second);
    device.unplug();
    assert.equal(addDevice().minor, 0);
  });

  it('end at 256 devices', async () => {
    const { addDevice, core } = system();
    while (core.devices().length < 256) addDevice();
    await fails(addDevice, 'ENOSPC');
    core.device(7).unplug();
    assert.equal(addDevice().minor, 7);
  });

  it('that do not exist give ENODEV', async () => {
    const { core } = system();
    await fails(() => core.open(9, new Process()), 'ENODEV');
    await fails(() => core.open('accel', new Process()), 'ENODEV');
  });
});

describe('open', () => {
  it('gives every file a client id of its own', () => {
    const { open } = system();
    const process = new Process();
    const ids = [open(process), open(process), open()].map((file) => file.client.clientId);
    assert.equal(new Set(ids).size, 3);
  });

  it('with O_EXCL gives EBUSY', async () => {
    const { open } = system();
    await fails(() => open(new Process(), { exclusive: true }), 'EBUSY');
  });

  it('passes on what the driver refuses with, and leaves nothing behind', async () => {
    const { open, device } = system();
    device.hw.refuse = 'EAGAIN';
    await fails(() => open(), 'EAGAIN');
    assert.equal(device.files.size, 0);
  });
});

describe('close', () => {
  it('drops handles and their memory, then runs the driver close once', async () => {
    const { open, device, memory } = system();
    const file = open();
    await buffer(file, 8192);
    assert.equal(memory.used, 8192);
    await file.close();
    await file.close();
    assert.equal(memory.used, 0);
    assert.deepEqual(device.hw.log, ['open', 'gem close', 'close with 0 handles']);
    await fails(file.ioctl(ECHO.request, new Uint8Array(16)), 'EBADF');
  });

  it('of a killed process happens at once for each of its files', () => {
    const { open, device } = system();
    const process = new Process();
    open(process);
    open(process);
    open();
    process.kill();
    assert.equal(device.files.size, 1);
  });
});

describe('unplug', () => {
  it('makes ioctl, mmap and open give ENODEV, and close still works', async () => {
    const { open, device, memory } = system();
    const file = open();
    const { offset } = await buffer(file);
    device.unplug();
    device.unplug();
    await fails(call(file, ECHO), 'ENODEV');
    await fails(file.mmap(offset, 4096), 'ENODEV');
    await fails(() => open(), 'ENODEV');
    await file.close();
    assert.equal(memory.used, 0);
    assert.deepEqual(device.hw.log, ['open', 'unplug', 'gem close', 'close with 0 handles']);
  });

  it('wakes whoever sleeps in read with ENODEV', async () => {
    const { open, device } = system();
    const reading = open().read(new Uint8Array(64));
    device.unplug();
    await fails(reading, 'ENODEV');
  });

  it('comes before the type check: ENODEV, not ENOTTY', async () => {
    const { open, device } = system();
    const file = open();
    device.unplug();
    await fails(file.ioctl(0x1234), 'ENODEV');
  });

  it('does not disturb a call that sleeps on a fence which then signals', async () => {
    const { open, device, clock } = system();
    const blocked = call(open(), BLOCK);
    device.unplug();
    device.hw.fence.signal(clock.now(), 'ENODEV');
    assert.equal((await blocked).b, 1);
  });
});
