// dma-bufs: export, import, identity. Core fact sheet section 3.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  DRM_IOCTL_GEM_CLOSE,
  DRM_IOCTL_PRIME_FD_TO_HANDLE,
  DRM_IOCTL_PRIME_HANDLE_TO_FD,
} from '../../src/abi/drm.js';
import { OpenFile, Process, type AccelFile } from '../../src/core/index.js';
import { buffer, call, fails, system } from './system.js';

const CLOEXEC = 0x80000;
const RDWR = 2;
const toFd = async (file: AccelFile, handle: number, flags = CLOEXEC | RDWR): Promise<number> =>
  (await call(file, DRM_IOCTL_PRIME_HANDLE_TO_FD, { handle, flags })).fd;
const toHandle = async (file: AccelFile, fd: number): Promise<number> =>
  (await call(file, DRM_IOCTL_PRIME_FD_TO_HANDLE, { fd })).handle;

describe('PRIME export', () => {
  it('refuses flags other than CLOEXEC and RDWR with EINVAL, unknown handles with ENOENT', async () => {
    const file = system().open();
    const { handle } = await buffer(file);
    await fails(toFd(file, handle, 1), 'EINVAL');
    await fails(toFd(file, handle, 0x80000000), 'EINVAL');
    await fails(toFd(file, handle + 1), 'ENOENT');
    await fails(toFd(file, 0), 'ENOENT');
  });

  it('twice gives two descriptors of one dma-buf, also after the first was closed', async () => {
    const { open } = system();
    const process = new Process();
    const file = open(process);
    const { handle } = await buffer(file);
    const one = await toFd(file, handle);
    const two = await toFd(file, handle);
    assert.notEqual(one, two);
    const dmaBuf = process.fds.get(one);
    assert.equal(process.fds.get(two), dmaBuf);
    await file.closeFd(one);
    await file.closeFd(two);
    assert.equal(process.fds.get(await toFd(file, handle)), dmaBuf);
  });

  it('keeps the buffer alive without any handle', async () => {
    const { open, memory } = system();
    const file = open();
    const { handle } = await buffer(file);
    const fd = await toFd(file, handle);
    await call(file, DRM_IOCTL_GEM_CLOSE, { handle });
    assert.equal(memory.used, 4096);
    await file.closeFd(fd);
    assert.equal(memory.used, 0);
  });
});

describe('PRIME import', () => {
  it('of a descriptor that is not open is EBADF, of one that is no dma-buf EINVAL', async () => {
    const { open } = system();
    const process = new Process();
    const file = open(process);
    class Other extends OpenFile {
      readonly kind = 'eventfd';
      protected release(): void {
        // Nothing is held.
      }
    }
    await fails(toHandle(file, 99), 'EBADF');
    await fails(toHandle(file, -1), 'EBADF');
    await fails(toHandle(file, process.fds.install(new Other())), 'EINVAL');
  });

  it('of what the file already has gives the same handle, which one GEM_CLOSE ends', async () => {
    const { open, memory } = system();
    const process = new Process();
    const file = open(process);
    const { handle } = await buffer(file);
    const fd = await toFd(file, handle);
    assert.equal(await toHandle(file, fd), handle);
    assert.equal(await toHandle(file, fd), handle);
    await call(file, DRM_IOCTL_GEM_CLOSE, { handle });
    await fails(call(file, DRM_IOCTL_GEM_CLOSE, { handle }), 'EINVAL');
    await file.closeFd(fd);
    assert.equal(memory.used, 0);
  });

  it('twice by another file gives one handle; both files see the same bytes', async () => {
    const { open } = system();
    const process = new Process();
    const a = open(process);
    const b = open(process);
    const { handle, offset } = await buffer(a);
    const fd = await toFd(a, handle);
    const imported = await toHandle(b, fd);
    assert.equal(await toHandle(b, fd), imported);
    (await a.mmap(offset, 4096)).bytes[5] = 55;
    assert.equal((await b.mmap(offset, 4096)).bytes[5], 55);
  });

  it('and export again gives the original dma-buf', async () => {
    const { open } = system();
    const process = new Process();
    const a = open(process);
    const b = open(process);
    const fd = await toFd(a, (await buffer(a)).handle);
    const again = await toFd(b, await toHandle(b, fd));
    assert.equal(process.fds.get(again), process.fds.get(fd));
  });

  it('works across devices and processes, and the buffer outlives its maker', async () => {
    const { open, core, addDevice, memory } = system();
    const maker = new Process();
    const user = new Process();
    const a = open(maker);
    const fd = await toFd(a, (await buffer(a)).handle);
    const passed = user.fds.install(maker.fds.get(fd));
    maker.kill();
    const b = core.open(addDevice(), user);
    const handle = await toHandle(b, passed);
    await b.closeFd(passed);
    assert.equal(memory.used, 4096);
    await call(b, DRM_IOCTL_GEM_CLOSE, { handle });
    assert.equal(memory.used, 0);
  });
});

describe('descriptors', () => {
  it('are the smallest free numbers from 3; dup shares the description; a closed one is EBADF', async () => {
    const { open } = system();
    const process = new Process();
    const file = open(process);
    const { handle } = await buffer(file);
    assert.deepEqual([await toFd(file, handle), await toFd(file, handle)], [3, 4]);
    assert.equal(process.fds.dup(3), 5);
    await file.closeFd(3);
    assert.equal(process.fds.get(5), process.fds.get(4));
    await fails(file.closeFd(3), 'EBADF');
    assert.equal(await toFd(file, handle), 3);
  });
});
