// Events: read and poll. Core fact sheet section 3 (IGT drm_read's rules).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DrmEvent } from '../../src/abi/drm.js';
import { POLLHUP, POLLIN, POLLRDNORM, Process, type LocalFile } from '../../src/core/index.js';
import { fails, system } from './system.js';

const EVENT = 0x80000000;
const event = (length: number, type = EVENT): Uint8Array => {
  const bytes = new Uint8Array(length);
  DrmEvent.put(bytes, { type, length });
  return bytes;
};
const send = (file: LocalFile, length: number, type?: number): void =>
  file.client.events.reserve(length).send(event(length, type));

describe('read', () => {
  it('with nothing pending is EAGAIN with O_NONBLOCK (drm_read empty-nonblock)', async () => {
    const { open } = system();
    await fails(open(new Process(), { nonblock: true }).read(new Uint8Array(64)), 'EAGAIN');
    await fails(open().read(new Uint8Array(64), { nonblock: true }), 'EAGAIN');
  });

  it('sleeps until an event comes (drm_read empty-block)', async () => {
    const file = system().open();
    const buffer = new Uint8Array(64);
    const reading = file.read(buffer);
    send(file, 32);
    assert.equal(await reading, 32);
    assert.deepEqual(DrmEvent.from(buffer), { type: EVENT, length: 32 });
  });

  it('is interrupted with EINTR and loses nothing', async () => {
    const file = system().open();
    const interrupt = new AbortController();
    const reading = file.read(new Uint8Array(64), { signal: interrupt.signal });
    interrupt.abort();
    await fails(reading, 'EINTR');
    send(file, 16);
    assert.equal(await file.read(new Uint8Array(64)), 16);
  });

  it('returns as many whole events as fit (drm_read short-buffer)', async () => {
    const file = system().open();
    for (const type of [1, 2, 3]) send(file, 24, EVENT + type);
    const buffer = new Uint8Array(60);
    assert.equal(await file.read(buffer), 48);
    assert.equal(DrmEvent.from(buffer, 24).type, EVENT + 2);
    assert.equal(await file.read(buffer), 24);
    assert.equal(DrmEvent.from(buffer).type, EVENT + 3);
  });

  it('returns 0 when the first event is larger than the buffer, and keeps it', async () => {
    const file = system().open();
    send(file, 32);
    assert.equal(await file.read(new Uint8Array(31)), 0);
    assert.equal(await file.read(new Uint8Array(32)), 32);
  });

  it('that sleeps ends with EBADF when the file is closed', async () => {
    const file = system().open();
    const reading = file.read(new Uint8Array(16));
    await file.close();
    await fails(reading, 'EBADF');
  });

  it('by two readers gives each event to one of them', async () => {
    const file = system().open();
    const both = [file.read(new Uint8Array(16)), file.read(new Uint8Array(16))];
    send(file, 16);
    send(file, 16);
    assert.deepEqual(await Promise.all(both), [16, 16]);
    assert.equal(file.client.events.pending, 0);
  });
});

describe('event space', () => {
  it('is 4096 bytes per file: a reservation beyond is ENOMEM, read gives it back', async () => {
    const file = system().open();
    const { events } = file.client;
    for (let i = 0; i < 4; i++) events.reserve(1024).send(event(1024));
    await fails(() => events.reserve(8), 'ENOMEM');
    await file.read(new Uint8Array(1024));
    assert.equal(events.space, 1024);
    events.reserve(1024).cancel();
    assert.equal(events.space, 1024);
  });

  it('of a reservation is given back once, and not after it was sent', () => {
    const { events } = system().open().client;
    const reservation = events.reserve(16);
    reservation.send(event(16));
    reservation.cancel();
    reservation.send(event(16));
    assert.deepEqual([events.space, events.pending], [4080, 1]);
  });

  it('is not needed any more after close: a late event goes nowhere', async () => {
    const file = system().open();
    const reservation = file.client.events.reserve(16);
    await file.close();
    reservation.send(event(16));
    assert.equal(file.client.events.pending, 0);
  });
});

describe('poll', () => {
  it('reports POLLIN and POLLRDNORM while an event is pending', async () => {
    const file = system().open();
    assert.equal(file.poll(), 0);
    send(file, 16);
    assert.equal(file.poll(), POLLIN | POLLRDNORM);
    await file.read(new Uint8Array(16));
    assert.equal(file.poll(), 0);
  });

  it('reports POLLHUP once the device is gone, to who sleeps too', async () => {
    const { open, device } = system();
    const file = open();
    const ready = file.ready(POLLIN);
    device.unplug();
    assert.equal(await ready, POLLHUP);
    assert.equal(file.poll(), POLLHUP);
  });

  it('as ready() resolves to the asked bits when an event comes, or ends with EINTR', async () => {
    const file = system().open();
    const interrupt = new AbortController();
    const interrupted = file.ready(POLLIN, interrupt.signal);
    interrupt.abort();
    await fails(interrupted, 'EINTR');
    const ready = file.ready(POLLIN);
    send(file, 16);
    assert.equal(await ready, POLLIN);
  });
});
