// The GNA driver's calls: numbers, parameters, buffers, and the checks of COMPUTE in the kernel driver's order.
// Not what becomes of a queued request: gna-errors.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as abi from '../../src/abi/gna.js';
import { AccelError } from '../../src/base/errors.js';
import type { LocalFile } from '../../src/core/index.js';
import type { GnaGeneration } from '../../src/hw/gna/index.js';
import { suiteSystem } from '../../src/node/suite-system.js';
import { openSystem } from '../../src/node/system.js';
import {
  Bench,
  adapterFor,
  call,
  closeGem,
  computeGna,
  createGnaBuffer,
  exportGem,
  gnaJob,
  importGem,
  waitGna,
  type GnaBufferRequest,
} from '../../src/testing/index.js';

function bench(generation: GnaGeneration = '2.0'): Bench {
  const board = `gna:${generation}`;
  return new Bench(suiteSystem({ board, engines: 'inline', count: 1 }), adapterFor(board).adapter, 'inline');
}

type Config = Parameters<typeof computeGna>[2];

/** Errno and field of a COMPUTE that is refused. */
async function refusal(
  file: LocalFile,
  buffers: readonly GnaBufferRequest[],
  config: Config = {},
): Promise<string> {
  try {
    await computeGna(file, buffers, config);
    return 'ok';
  } catch (error) {
    assert.ok(error instanceof AccelError);
    assert.equal(error.call, 'DRM_IOCTL_GNA_COMPUTE');
    return `${error.code} ${error.field ?? ''}`.trim();
  }
}

describe('the GNA uAPI', () => {
  it('has the request codes and sizes of gna_drm.h', () => {
    const calls = [
      [abi.DRM_IOCTL_GNA_GET_PARAMETER, 0xc0086440, 8],
      [abi.DRM_IOCTL_GNA_GEM_NEW, 0xc0186441, 24],
      [abi.DRM_IOCTL_GNA_GEM_FREE, 0xc0046442, 4],
      [abi.DRM_IOCTL_GNA_COMPUTE, 0xc0206443, 32],
      [abi.DRM_IOCTL_GNA_WAIT, 0xc0386444, 56],
    ] as const;
    for (const [def, request, size] of calls) {
      assert.equal(def.request, request, def.name);
      assert.equal(def.layout!.size, size, def.name);
    }
    assert.deepEqual([abi.GnaBuffer.size, abi.GnaMemoryPatch.size], [40, 24]);
  });

  it('tells recovery timeout, device type, input buffer and DDI version of every generation', async () => {
    for (const [generation, type, buffer] of [
      ['0.9', 0x09n, 24n],
      ['1.0', 0x10n, 24n],
      ['2.0', 0x20n, 24n],
      ['3.0', 0x30n, 32n],
      ['3.5', 0x35n, 32n],
    ] as const) {
      const b = bench(generation);
      const file = b.open();
      const get = async (value: bigint): Promise<bigint> =>
        (await call(file, abi.DRM_IOCTL_GNA_GET_PARAMETER, { value })).value;
      assert.deepEqual([await get(1n), await get(2n), await get(3n), await get(4n)], [60n, type, buffer, 3n]);
      for (const unknown of [0n, 5n, 1n << 63n])
        await assert.rejects(get(unknown), { code: 'EINVAL', field: 'id' });
      b.dispose();
    }
  });

  it('makes buffers of whole pages and says how large they came out', async () => {
    const b = bench();
    const file = b.open();
    const made = await call(file, abi.DRM_IOCTL_GNA_GEM_NEW, { handle: 5000 });
    assert.equal(made.size_granted, 8192n);
    assert.ok(made.vma_fake_offset >= 1n << 32n);
    using mapping = await file.mmap(made.vma_fake_offset, 8192);
    assert.ok(mapping.bytes.every((byte) => byte === 0));
    // The size is 64 bits wide: 2^32 bytes are not 0.
    await assert.rejects(call(file, abi.DRM_IOCTL_GNA_GEM_NEW, { handle: 0, pad: 1 }), { code: 'ENOMEM' });
    await assert.rejects(call(file, abi.DRM_IOCTL_GNA_GEM_NEW, { handle: 0 }), { code: 'EINVAL' });
    b.dispose();
  });

  it('frees a handle once: then, and for foreign ones, ENOENT', async () => {
    const b = bench();
    const [file, other] = [b.open(), b.open()];
    const { handle } = await createGnaBuffer(file, 4096);
    await assert.rejects(call(other, abi.DRM_IOCTL_GNA_GEM_FREE, { handle }), { code: 'ENOENT' });
    await call(file, abi.DRM_IOCTL_GNA_GEM_FREE, { handle });
    await assert.rejects(call(file, abi.DRM_IOCTL_GNA_GEM_FREE, { handle }), { code: 'ENOENT' });
    b.dispose();
  });

  it('counts request ids up from 1 over all files of the device', async () => {
    const b = bench();
    const jobs = [];
    for (const file of [b.open(), b.open()]) jobs.push({ file, job: await gnaJob(file, '2.0') });
    const ids = [];
    for (let i = 0; i < 4; i++) {
      const { file, job } = jobs[i % 2]!;
      ids.push(await computeGna(file, [job.buffer]));
    }
    assert.deepEqual(ids, [1, 2, 3, 4]);
    b.dispose();
  });
});

describe('COMPUTE', () => {
  it('refuses mode, layer count and buffer count, in that order, before it looks at buffers', async () => {
    const b = bench();
    const file = b.open();
    const wild = { buffers_ptr: 0xdead0000n };
    const all = { ...wild, gna_mode: 2, layer_count: 4097, buffer_count: 0n };
    assert.equal(await refusal(file, [], all), 'EINVAL gna_mode');
    assert.equal(await refusal(file, [], { ...all, gna_mode: 1 }), 'EINVAL layer_count');
    assert.equal(await refusal(file, [], { ...all, gna_mode: 0, layer_count: 4096 }), 'EINVAL buffer_count');
    assert.equal(await refusal(file, [], { ...wild, buffer_count: 1n }), 'EFAULT');
    assert.equal(await refusal(file, [], { ...wild, buffer_count: 1n << 60n }), 'EINVAL buffer_count');
    b.dispose();
  });

  it('takes 1024 layers before 2.0 and 4096 since', async () => {
    for (const [generation, most] of [
      ['1.0', 1024],
      ['3.0', 4096],
    ] as const) {
      const b = bench(generation);
      const file = b.open();
      const { buffer } = await gnaJob(file, generation);
      assert.equal(await refusal(file, [buffer], { layer_count: most + 1 }), 'EINVAL layer_count');
      assert.equal(await refusal(file, [buffer], { layer_count: most }), 'ok');
      b.dispose();
    }
  });

  it('checks each buffer: offset, a handle twice, the sum of sizes, the handle, its size, its patches', async () => {
    const b = bench();
    const file = b.open();
    const { buffer } = await gnaJob(file, '2.0');
    const { size } = buffer;
    const bad = { handle: 99, size };
    const patch = (fields: object): GnaBufferRequest['patches'] => [{ offset: 0n, size: 4n, ...fields }];
    const first: [string, GnaBufferRequest][] = [
      ['EINVAL buffers[0].offset', { ...bad, size: 1n << 63n, offset: 4096n }],
      ['EINVAL buffers[0].size', { ...bad, size: (256n << 20n) + 1n }],
      ['EINVAL buffers[0].handle', bad],
      ['EINVAL buffers[0].size', { ...buffer, size: size + 1n, patches: patch({ size: 9n }) }],
      ['EINVAL buffers[0].patches[0].size', { ...buffer, patches: patch({ size: 9n, offset: size }) }],
      ['EINVAL buffers[0].patches[0].offset', { ...buffer, patches: patch({ offset: size - 3n }) }],
      // Outside the size given, though inside the buffer.
      ['EINVAL buffers[0].patches[0].offset', { ...buffer, size: 64n, patches: patch({ offset: 64n }) }],
      ['EINVAL buffers[0].patches[0].offset', { ...buffer, patches: patch({ offset: (1n << 64n) - 1n }) }],
    ];
    for (const [end, wrong] of first) assert.equal(await refusal(file, [wrong]), end);
    // The first buffer that is wrong counts, and what is wrong with it first.
    assert.equal(await refusal(file, [buffer, buffer]), 'EINVAL buffers[1].handle');
    assert.equal(await refusal(file, [buffer, { ...buffer, offset: 1n }]), 'EINVAL buffers[1].offset');
    assert.equal(await refusal(file, [bad, bad]), 'EINVAL buffers[0].handle');
    assert.equal(await refusal(file, [buffer, { handle: 99, size: 256n << 20n }]), 'EINVAL buffers[1].size');
    b.dispose();
  });

  it('refuses patches that are not the client’s memory with EFAULT, and too many of them', async () => {
    const b = bench();
    const file = b.open();
    const { buffer } = await gnaJob(file, '2.0');
    const compute = async (patch_count: bigint): Promise<unknown> => {
      const placed = file.user.place(
        abi.GnaBuffer.bytes({ ...buffer, patch_count, patches_ptr: 0xdead0000n }),
      );
      return call(file, abi.DRM_IOCTL_GNA_COMPUTE, {
        layer_count: 1,
        gna_mode: 1,
        buffer_count: 1n,
        buffers_ptr: placed.pointer,
      });
    };
    await assert.rejects(compute(1n), { code: 'EFAULT' });
    await assert.rejects(compute(1n << 40n), { code: 'EINVAL', field: 'buffers[0].patch_count' });
    b.dispose();
  });

  it('takes a buffer of size 0, and maps it whole all the same', async () => {
    const b = bench();
    const file = b.open();
    const job = await gnaJob(file, '2.0');
    const id = await computeGna(file, [{ ...job.buffer, size: 0n }]);
    assert.equal((await b.finish(waitGna(file, id))).error, undefined);
    assert.deepEqual(job.result, job.expected);
    b.dispose();
  });

  it('refuses buffers whose whole does not fit the device’s addresses, whatever their sizes say', async () => {
    using system = openSystem({ devices: ['gna:2.0'], dram: 512 });
    const file = system.open();
    const buffers = [];
    for (let i = 0; i < 3; i++)
      buffers.push({ handle: (await createGnaBuffer(file, 96 << 20)).handle, size: 1n });
    await assert.rejects(computeGna(file, buffers), { code: 'EINVAL', field: 'buffers[2].size' });
    assert.equal(await computeGna(file, buffers.slice(0, 2)), 1);
    await waitGna(file, 1);
  });

  it('reads the array of buffers to its end and no further', async () => {
    const b = bench();
    const file = b.open();
    const job = await gnaJob(file, '2.0');
    // The kernel driver copies more than the 40 bytes of each entry: with nothing behind the last one that is EFAULT.
    using placed = file.user.place(abi.GnaBuffer.bytes(job.buffer));
    const { layer_base: id } = await call(file, abi.DRM_IOCTL_GNA_COMPUTE, {
      layer_count: 1,
      gna_mode: 1,
      buffer_count: 1n,
      buffers_ptr: placed.pointer,
    });
    assert.equal((await b.finish(waitGna(file, id))).error, undefined);
    b.dispose();
  });

  it('holds no reference to a buffer after it refused a request', async () => {
    const b = bench();
    const file = b.open();
    const { used } = b;
    for (const wrong of [
      { handle: 99, size: 1n },
      { handle: 1, size: 1n },
      { handle: 2, size: 1n, offset: 8n },
    ]) {
      const [one, two] = [await createGnaBuffer(file, 4096), await createGnaBuffer(file, 4096)];
      assert.match(await refusal(file, [{ handle: one.handle, size: 4096n }, wrong]), /EINVAL/);
      await closeGem(file, one.handle);
      await closeGem(file, two.handle);
      assert.equal(b.used, used);
    }
    b.dispose();
  });

  it('writes patches of 1, 2, 4 and 8 bytes before the run; 0 bytes are EFAULT and others EINVAL at WAIT', async () => {
    const b = bench();
    const file = b.open();
    const job = await gnaJob(file, '2.0');
    const run = async (size: bigint): Promise<string> => {
      job.bytes.fill(0, 0x800, 0x810);
      const patches = [{ offset: 0x801n, size, value: 0x8877665544332211n }];
      const id = await computeGna(file, [{ ...job.buffer, patches }]);
      const { error } = await b.finish(waitGna(file, id));
      return error?.code ?? Buffer.from(job.bytes.subarray(0x800, 0x80a)).toString('hex');
    };
    assert.equal(await run(1n), '00110000000000000000');
    assert.equal(await run(2n), '00112200000000000000');
    assert.equal(await run(4n), '00112233440000000000');
    assert.equal(await run(8n), '00112233445566778800');
    assert.equal(await run(0n), 'EFAULT');
    for (const size of [3n, 5n, 6n, 7n]) assert.equal(await run(size), 'EINVAL');
    b.dispose();
  });

  it('runs on a buffer that another client exported', async () => {
    const b = bench();
    const [owner, other] = [b.open(), b.open()];
    const job = await gnaJob(owner, '2.0');
    const fd = await exportGem(owner, job.handle);
    const there = other.client.process.fds.install(owner.client.process.fds.get(fd));

    const handle = await importGem(other, there);
    const id = await computeGna(other, [{ handle, size: job.buffer.size }]);
    assert.equal((await b.finish(waitGna(other, id))).error, undefined);
    assert.deepEqual(job.result, job.expected);
    b.dispose();
  });
});
