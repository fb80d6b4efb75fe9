// Handles, lifetimes, mmap, address spaces, implicit fences. Core fact sheet sections 3 and 4.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DRM_IOCTL_GEM_CLOSE } from '../../src/abi/drm.js';
import { AccelError } from '../../src/base/errors.js';
import { AddressSpace, FenceContext, Reservation, type Fence } from '../../src/core/index.js';
import { buffer, call, CREATE, FakeDomain, fails, MAP, system, testDriver } from './system.js';

describe('GEM handles', () => {
  it('are per file, start at 1 and take the smallest free number', async () => {
    const { open } = system();
    const a = open();
    const b = open();
    const made = [await buffer(a), await buffer(a), await buffer(a)].map(({ handle }) => handle);
    assert.deepEqual(made, [1, 2, 3]);
    assert.equal((await buffer(b)).handle, 1);
    await call(a, DRM_IOCTL_GEM_CLOSE, { handle: 2 });
    await call(a, DRM_IOCTL_GEM_CLOSE, { handle: 1 });
    assert.equal((await buffer(a)).handle, 1);
    assert.equal((await buffer(a)).handle, 2);
  });

  it('that are unknown give EINVAL in GEM_CLOSE and ENOENT in look-ups; the pad is not checked', async () => {
    const { open } = system();
    const file = open();
    const { handle } = await buffer(file);
    for (const wrong of [0, handle + 1, 0xffffffff]) {
      await fails(call(file, DRM_IOCTL_GEM_CLOSE, { handle: wrong }), 'EINVAL');
      await fails(call(file, MAP, { handle: wrong }), 'ENOENT');
    }
    await fails(call(open(), DRM_IOCTL_GEM_CLOSE, { handle }), 'EINVAL');
    await call(file, DRM_IOCTL_GEM_CLOSE, { handle, pad: 1 });
    await fails(call(file, DRM_IOCTL_GEM_CLOSE, { handle }), 'EINVAL');
  });

  it('are looked up by the array: a bad pointer is EFAULT, any bad handle ENOENT', async () => {
    const file = system().open();
    const handles = [await buffer(file), await buffer(file)].map(({ handle }) => handle);
    const { client } = file;
    const place = (...values: number[]): bigint =>
      file.user.place(new Uint8Array(Uint32Array.from(values).buffer)).pointer;
    const found = await client.lookupAll(place(...handles), 2);
    assert.deepEqual(found, [client.lookup(handles[0]!), client.lookup(handles[1]!)]);
    await fails(client.lookupAll(place(handles[0]!, 99), 2), 'ENOENT');
    await fails(client.lookupAll(0x10n, 1), 'EFAULT');
    await fails(client.lookupAll(place(1), 0xffffffff), 'EFAULT');
  });

  it('do not exist on a device without GEM: EOPNOTSUPP', async () => {
    const features = { ...testDriver.features, gem: false };
    const file = system({ ...testDriver, features }).open();
    await fails(call(file, DRM_IOCTL_GEM_CLOSE, { handle: 1 }), 'EOPNOTSUPP');
  });
});

describe('GEM objects', () => {
  it('are zeroed, whole pages, and give their memory back with the last reference', async () => {
    const { open, memory } = system();
    const file = open();
    const first = await buffer(file, 5000);
    using mapping = await file.mmap(first.offset, 8192);
    mapping.bytes.fill(0xee);
    mapping[Symbol.dispose]();
    await call(file, DRM_IOCTL_GEM_CLOSE, { handle: first.handle });
    assert.equal(memory.used, 0);
    const second = await buffer(file, 5000);
    using again = await file.mmap(second.offset, 8192);
    assert.ok(again.bytes.every((byte) => byte === 0));
  });

  it('of no bytes are EINVAL, of more than DRAM has ENOMEM, and nothing leaks', async () => {
    const { open, memory } = system();
    const file = open();
    await fails(call(file, CREATE, { size: 0n }), 'EINVAL');
    await fails(call(file, CREATE, { size: 1n << 40n }), 'ENOMEM');
    await fails(call(file, CREATE, { size: 0xffff_ffff_ffff_ffffn }), 'EINVAL');
    assert.equal(memory.used, 0);
    assert.equal(file.client.handles, 0);
  });

  it('stay while a job or a mapping holds them', async () => {
    const { open, memory } = system();
    const file = open();
    const { handle, offset } = await buffer(file);
    const gem = file.client.lookup(handle).get();
    const mapping = await file.mmap(offset, 4096);
    await call(file, DRM_IOCTL_GEM_CLOSE, { handle });
    gem.put();
    assert.equal(memory.used, 4096);
    mapping[Symbol.dispose]();
    mapping[Symbol.dispose]();
    assert.equal(memory.used, 0);
  });

  it('tell the driver when the last of several handles of a file goes', async () => {
    const { open, device } = system();
    const file = open().client;
    const gem = file.createGem(4096);
    const handles = [file.createHandle(gem), file.createHandle(gem)];
    gem.put();
    file.closeHandle(handles[0]!);
    assert.equal(file.handleOf(gem), handles[1]);
    assert.ok(!device.hw.log.includes('gem close'));
    file.closeHandle(handles[1]!);
    assert.ok(device.hw.log.includes('gem close'));
  });
});

describe('mmap', () => {
  it('shows the object itself: two mappings see the same bytes', async () => {
    const file = system().open();
    const { offset } = await buffer(file);
    const one = await file.mmap(offset, 4096);
    const two = await file.mmap(offset, 100);
    one.bytes[99] = 42;
    assert.equal(two.bytes[99], 42);
    assert.equal(two.bytes.length, 100);
  });

  it('takes only exact starts, page aligned and far above 4 GiB: else EINVAL', async () => {
    const file = system().open();
    const { offset } = await buffer(file, 8192);
    assert.ok(offset >= 1n << 32n && offset % 4096n === 0n);
    for (const wrong of [0n, offset + 4096n, offset - 4096n, offset + 1n, 1n << 60n])
      await fails(file.mmap(wrong, 4096), 'EINVAL');
  });

  it('longer than the object, or of nothing, is EINVAL', async () => {
    const file = system().open();
    const { offset } = await buffer(file, 4096);
    await fails(file.mmap(offset, 4097), 'EINVAL');
    await fails(file.mmap(offset, 0), 'EINVAL');
  });

  it("of another file's object is EACCES", async () => {
    const { open } = system();
    const { offset } = await buffer(open());
    await fails(open().mmap(offset, 4096), 'EACCES');
  });

  it('after GEM_CLOSE is EINVAL once the object is gone', async () => {
    const file = system().open();
    const { handle, offset } = await buffer(file);
    await call(file, DRM_IOCTL_GEM_CLOSE, { handle });
    await fails(file.mmap(offset, 4096), 'EINVAL');
  });

  it('survives GEM_CLOSE', async () => {
    const file = system().open();
    const { handle, offset } = await buffer(file);
    using mapping = await file.mmap(offset, 4096);
    mapping.bytes[0] = 7;
    await call(file, DRM_IOCTL_GEM_CLOSE, { handle });
    const other = await buffer(file);
    (await file.mmap(other.offset, 4096)).bytes[0] = 9;
    assert.equal(mapping.bytes[0], 7);
  });
});

describe('an address space', () => {
  const span = { start: 0x10000, size: 0x10000 };

  it('maps a buffer once, counts its users, and holds it', () => {
    const { device, memory } = system();
    const domain = new FakeDomain();
    const space = new AddressSpace({ domain, ...span });
    const gem = device.createGem(8192);
    const iova = space.map(gem, 'read');
    assert.equal(iova, 0x10000);
    assert.equal(space.map(gem), iova);
    assert.deepEqual(domain.mapped.get(iova), { physical: gem.address, bytes: 8192, access: 'read' });
    gem.put();
    space.unmap(gem);
    assert.equal(space.iovaOf(gem), iova);
    assert.equal(memory.used, 8192);
    space.unmap(gem);
    assert.equal(space.iovaOf(gem), undefined);
    assert.deepEqual([memory.used, domain.mapped.size], [0, 0]);
    space.unmap(gem);
  });

  it('that is full gives ENOSPC and can be used on', async () => {
    const { device } = system();
    const space = new AddressSpace({ domain: new FakeDomain(), ...span });
    const large = device.createGem(0xf000);
    const small = device.createGem(0x2000);
    space.map(large);
    await fails(() => space.map(small), 'ENOSPC');
    space.unmap(large);
    assert.equal(space.map(small), 0x10000);
  });

  it('takes whole pages only, and is as before when the IOMMU refuses', async () => {
    const { device, memory } = system();
    const refuse = (): never => {
      throw new AccelError('EEXIST');
    };
    await fails(() => new AddressSpace({ domain: new FakeDomain(), start: 1, size: 4096 }), 'EINVAL');
    const domain = Object.assign(new FakeDomain(), { map: refuse });
    const space = new AddressSpace({ domain, ...span });
    const gem = device.createGem(4096);
    await fails(() => space.map(gem), 'EEXIST');
    assert.deepEqual([space.count, space.iovaOf(gem)], [0, undefined]);
    gem.put();
    assert.equal(memory.used, 0);
  });

  it('unmaps everything when it goes', () => {
    const { device, memory } = system();
    const domain = new FakeDomain();
    const space = new AddressSpace({ domain, ...span });
    for (let i = 0; i < 3; i++) {
      const gem = device.createGem(4096);
      space.map(gem);
      gem.put();
    }
    assert.equal(memory.used, 3 * 4096);
    space[Symbol.dispose]();
    assert.deepEqual([memory.used, domain.mapped.size, domain.disposed], [0, 0, true]);
  });
});

describe('implicit fences', () => {
  const made = (): { r: Reservation; f: (timeline?: string) => Fence } => {
    const contexts = new Map<string, FenceContext>();
    const f = (timeline = 'a'): Fence => {
      if (!contexts.has(timeline)) contexts.set(timeline, new FenceContext('test', timeline));
      return contexts.get(timeline)!.create();
    };
    return { r: new Reservation(), f };
  };

  it('make a reader wait for kernel and write, a writer for read too, nobody for bookkeep', () => {
    const { r, f } = made();
    const [kernel, write, read, bookkeep] = [f('k'), f('w'), f('r'), f('b')] as const;
    r.add(read!, 'read');
    r.add(bookkeep!, 'bookkeep');
    r.add(write!, 'write');
    r.add(kernel!, 'kernel');
    assert.deepEqual(new Set(r.fences('read')), new Set([kernel, write]));
    assert.deepEqual(new Set(r.fences('write')), new Set([kernel, write, read]));
  });

  it('keep the latest of a context, whatever order they come in', () => {
    const { r, f } = made();
    const early = f();
    const late = f();
    r.add(late, 'read');
    r.add(early, 'read');
    assert.deepEqual(r.fences('write'), [late]);
  });

  it('are gone when they have signalled', () => {
    const { r, f } = made();
    const fence = f();
    r.add(fence, 'write');
    assert.equal(r.idle, false);
    fence.signal(0);
    assert.deepEqual(r.fences('read'), []);
    assert.equal(r.idle, true);
  });
});
