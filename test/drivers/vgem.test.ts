// The null device as vgem: dumb buffers and attached fences, by the cases of IGT's vgem_basic and dmabuf_sync_file.
// Not the null driver's commands.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as drm from '../../src/abi/drm.js';
import * as abi from '../../src/abi/null.js';
import { TestClock } from '../../src/base/clock.js';
import { POLLIN, type AccelFile } from '../../src/core/accel-file.js';
import { openSystem } from '../../src/node/system.js';
import { call } from '../../src/testing/index.js';

function bench(device = 'vgem') {
  const clock = new TestClock(1e9);
  const system = openSystem({ devices: [device], clock, staging: true });
  return { clock, system, file: system.open() as AccelFile };
}

const create = (file: AccelFile, width = 1024, height = 1, bpp = 32) =>
  call(file, drm.DRM_IOCTL_MODE_CREATE_DUMB, { width, height, bpp });
const attach = (file: AccelFile, handle: number, flags = 0, pad = 0) =>
  call(file, abi.DRM_IOCTL_VGEM_FENCE_ATTACH, { handle, flags, pad });
const signal = (file: AccelFile, fence: number, flags = 0) =>
  call(file, abi.DRM_IOCTL_VGEM_FENCE_SIGNAL, { fence, flags });

describe('dumb buffers', () => {
  it('have the numbers of drm_mode.h', () => {
    const values = [
      drm.DRM_IOCTL_MODE_CREATE_DUMB,
      drm.DRM_IOCTL_MODE_MAP_DUMB,
      drm.DRM_IOCTL_MODE_DESTROY_DUMB,
    ];
    assert.deepEqual(
      values.map(({ request }) => request.toString(16)),
      ['c02064b2', 'c01064b3', 'c00464b4'],
    );
  });

  it('have pitch and size by width, height and bits, and can be mapped (vgem_basic create, mmap)', async () => {
    const { file } = bench();
    const { handle, pitch, size } = await create(file, 100, 50, 24);
    assert.equal(pitch, 300);
    assert.equal(size, 16384n);
    const { offset } = await call(file, drm.DRM_IOCTL_MODE_MAP_DUMB, { handle });
    const { bytes } = await file.mmap(offset, 16384);
    assert.ok(bytes.every((byte) => byte === 0));
    await call(file, drm.DRM_IOCTL_MODE_DESTROY_DUMB, { handle });
    await assert.rejects(call(file, drm.DRM_IOCTL_MODE_MAP_DUMB, { handle }), { code: 'ENOENT' });
  });

  it('cannot be empty or beyond 32 bits', async () => {
    const { file } = bench();
    for (const [width, height, bpp] of [
      [0, 1, 32],
      [1, 0, 32],
      [1, 1, 0],
      [0x10000, 0x10000, 32],
      [0xffffffff, 1, 32],
    ])
      await assert.rejects(create(file, width, height, bpp), { code: 'EINVAL' });
  });

  it('are EOPNOTSUPP on an accelerator', async () => {
    const { file } = bench('nvdla:nv_small');
    await assert.rejects(create(file), { code: 'EOPNOTSUPP' });
  });
});

describe('attached fences', () => {
  it('are refused for unknown flags and pads (EINVAL) and handles (ENOENT)', async () => {
    const { file } = bench();
    const { handle } = await create(file);
    await assert.rejects(attach(file, handle, 2), { code: 'EINVAL' });
    await assert.rejects(attach(file, handle, 0, 1), { code: 'EINVAL' });
    await assert.rejects(attach(file, 99), { code: 'ENOENT' });
    await assert.rejects(signal(file, 1), { code: 'ENOENT' });
  });

  it('exclude each other as readers and writers do (EBUSY)', async () => {
    const { file } = bench();
    const { handle } = await create(file);
    const first = await attach(file, handle);
    const second = await attach(file, handle);
    await assert.rejects(attach(file, handle, abi.VGEM_FENCE_WRITE), { code: 'EBUSY' });
    await signal(file, first.out_fence);
    await assert.rejects(signal(file, second.out_fence, 1), { code: 'EINVAL' });
    await signal(file, second.out_fence);
    const writer = await attach(file, handle, abi.VGEM_FENCE_WRITE);
    await assert.rejects(attach(file, handle), { code: 'EBUSY' });
    await signal(file, writer.out_fence);
    await attach(file, handle);
  });

  it('signal by themselves after ten seconds, and signalling then is ETIMEDOUT', async () => {
    const { file, clock } = bench();
    const { handle } = await create(file);
    const { out_fence } = await attach(file, handle, abi.VGEM_FENCE_WRITE);
    clock.advance(9e9);
    await assert.rejects(attach(file, handle), { code: 'EBUSY' });
    clock.advance(2e9);
    await attach(file, handle);
    await assert.rejects(signal(file, out_fence), { code: 'ETIMEDOUT' });
  });

  it('make the dma-buf unreadable until they signal (dmabuf_sync_file)', async () => {
    const { file } = bench();
    const { handle } = await create(file);
    const flags = drm.DRM_RDWR | drm.DRM_CLOEXEC;
    const { fd } = await call(file, drm.DRM_IOCTL_PRIME_HANDLE_TO_FD, { handle, flags });
    const { out_fence } = await attach(file, handle, abi.VGEM_FENCE_WRITE);
    const readable = async (): Promise<boolean> => ((await file.pollFd(fd)) & POLLIN) !== 0;
    assert.equal(await readable(), false, 'a reader waits for the writer');
    await signal(file, out_fence);
    assert.equal(await readable(), true);
  });

  it('keep nothing alive: a closed file leaves no timer and no memory', async () => {
    const { file, clock, system } = bench();
    const before = system.machine.memory.used;
    const { handle } = await create(file);
    await attach(file, handle);
    await file.close();
    assert.equal(clock.pending, 0);
    assert.equal(system.machine.memory.used, before);
  });
});
