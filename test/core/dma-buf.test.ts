// Calls on dma-buf descriptors: implicit fences in and out. Core fact sheet section 4; the rules of IGT dmabuf_sync_file.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DRM_IOCTL_PRIME_HANDLE_TO_FD } from '../../src/abi/drm.js';
import * as sync from '../../src/abi/sync-file.js';
import { POLLIN, POLLOUT } from '../../src/core/index.js';
import { SyncClient } from './sync-client.js';
import { buffer, call, fails } from './system.js';

const READ = sync.DMA_BUF_SYNC_READ;
const WRITE = sync.DMA_BUF_SYNC_WRITE;
const RW = sync.DMA_BUF_SYNC_RW;
const END = sync.DMA_BUF_SYNC_END;

class Client extends SyncClient {
  async dmaBuf(): Promise<number> {
    const { handle } = await buffer(this.file);
    return (await call(this.file, DRM_IOCTL_PRIME_HANDLE_TO_FD, { handle, flags: 0 })).fd;
  }

  async exportFence(dmaBuf: number, flags: number): Promise<number> {
    return (await this.fdCall(dmaBuf, sync.DMA_BUF_IOCTL_EXPORT_SYNC_FILE, { flags })).fd;
  }

  async importFence(dmaBuf: number, fd: number, flags: number): Promise<void> {
    await this.fdCall(dmaBuf, sync.DMA_BUF_IOCTL_IMPORT_SYNC_FILE, { flags, fd });
  }

  async sync(dmaBuf: number, flags: number): Promise<void> {
    await this.fdCall(dmaBuf, sync.DMA_BUF_IOCTL_SYNC, { flags: BigInt(flags) });
  }
}

describe('EXPORT_SYNC_FILE', () => {
  it('of a buffer nobody uses has signalled', async () => {
    const c = new Client();
    const dmaBuf = await c.dmaBuf();
    assert.equal(await c.signalled(await c.exportFence(dmaBuf, READ)), true);
    assert.equal(await c.signalled(await c.exportFence(dmaBuf, RW)), true);
  });

  it('for reading waits for writers, for writing for readers too (dmabuf_sync_file export-before-signal)', async () => {
    const c = new Client();
    const dmaBuf = await c.dmaBuf();
    const [writer, reader] = [c.timeline(), c.timeline()];
    await c.importFence(dmaBuf, await c.fence(writer, 1), WRITE);
    await c.importFence(dmaBuf, await c.fence(reader, 1), READ);
    const [forRead, forWrite] = [await c.exportFence(dmaBuf, READ), await c.exportFence(dmaBuf, WRITE)];
    await c.inc(writer);
    assert.deepEqual([await c.signalled(forRead), await c.signalled(forWrite)], [true, false]);
    await c.inc(reader);
    assert.equal(await c.signalled(forWrite), true);
  });

  it('is a snapshot: fences that come later do not count', async () => {
    const c = new Client();
    const dmaBuf = await c.dmaBuf();
    const before = await c.exportFence(dmaBuf, RW);
    await c.importFence(dmaBuf, await c.fence(c.timeline(), 1), WRITE);
    assert.equal(await c.signalled(before), true);
  });

  it('with no access or unknown flags is EINVAL', async () => {
    const c = new Client();
    const dmaBuf = await c.dmaBuf();
    for (const flags of [0, END, 8, 0xdeadbeef]) await fails(c.exportFence(dmaBuf, flags), 'EINVAL');
  });
});

describe('IMPORT_SYNC_FILE', () => {
  it('of a merged fence adds its parts', async () => {
    const c = new Client();
    const dmaBuf = await c.dmaBuf();
    const [a, b] = [c.timeline(), c.timeline()];
    await c.importFence(dmaBuf, await c.merge(await c.fence(a, 1), await c.fence(b, 1)), WRITE);
    const exported = await c.exportFence(dmaBuf, READ);
    assert.deepEqual(await c.count(exported), { active: 2, signaled: 0, error: 0 });
  });

  it('with bad flags, or of what is no sync_file, is EINVAL', async () => {
    const c = new Client();
    const dmaBuf = await c.dmaBuf();
    const fence = await c.fence(c.timeline(), 1);
    await fails(c.importFence(dmaBuf, fence, 0), 'EINVAL');
    await fails(c.importFence(dmaBuf, fence, 4), 'EINVAL');
    await fails(c.importFence(dmaBuf, dmaBuf, READ), 'EINVAL');
    await fails(c.importFence(dmaBuf, -1, READ), 'EINVAL');
  });
});

describe('DMA_BUF_IOCTL_SYNC', () => {
  it('begins access when the implicit fences allow it, and ends it at once', async () => {
    const c = new Client();
    const dmaBuf = await c.dmaBuf();
    const timeline = c.timeline();
    await c.importFence(dmaBuf, await c.fence(timeline, 1), READ);
    await c.sync(dmaBuf, READ);
    await c.sync(dmaBuf, WRITE | END);
    let begun = false;
    const begin = c.sync(dmaBuf, RW).then(() => (begun = true));
    await c.pass(1);
    assert.equal(begun, false);
    await c.inc(timeline);
    await begin;
  });

  it('is interrupted with EINTR', async () => {
    const c = new Client();
    const dmaBuf = await c.dmaBuf();
    await c.importFence(dmaBuf, await c.fence(c.timeline(), 1), WRITE);
    const interrupt = new AbortController();
    const argument = sync.DmaBufSync.bytes({ flags: 1n });
    const begin = c.file.ioctlFd(dmaBuf, sync.DMA_BUF_IOCTL_SYNC.request, argument, interrupt.signal);
    await c.pass(1);
    interrupt.abort();
    await fails(begin, 'EINTR');
  });

  it('with unknown flags is EINVAL', async () => {
    const c = new Client();
    const dmaBuf = await c.dmaBuf();
    for (const flags of [0, END, 8, 2 ** 40 + 1]) await fails(c.sync(dmaBuf, flags), 'EINVAL');
    await fails(c.file.ioctlFd(dmaBuf, 0x6205), 'ENOTTY');
  });
});

describe('poll of a dma-buf', () => {
  it('tells whether it may be read and written now', async () => {
    const c = new Client();
    const dmaBuf = await c.dmaBuf();
    assert.equal(await c.file.pollFd(dmaBuf), POLLIN | POLLOUT);
    const timeline = c.timeline();
    await c.importFence(dmaBuf, await c.fence(timeline, 1), READ);
    assert.equal(await c.file.pollFd(dmaBuf), POLLIN);
    const writable = c.file.readyFd(dmaBuf, POLLOUT);
    await c.inc(timeline);
    assert.equal(await writable, POLLOUT);
  });
});
