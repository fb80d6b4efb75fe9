// Buffers as descriptors: who is who. Core fact sheet section 3.
// Not jobs on shared buffers: the drivers' own tests have them.
import * as drm from '../../abi/drm.js';
import type { LocalFile } from '../../core/index.js';
import { ensure, filled, same } from '../check.js';
import { call, closeGem, exportGem, importGem } from '../calls.js';
import type { Group } from './group.js';

const PAGE = 4096;

/** Passes a descriptor to another process, as SCM_RIGHTS does. */
function pass(from: LocalFile, fd: number, to: LocalFile): number {
  return to.client.process.fds.install(from.client.process.fds.get(fd));
}

export const prime: Group = {
  name: 'prime',
  cases: [
    {
      name: 'exporting twice gives two descriptors of one dma-buf, whatever of CLOEXEC and RDWR is asked',
      async run(bench) {
        const file = bench.open();
        const { handle } = await bench.buffer(file);
        const { fds } = file.client.process;
        const first = await exportGem(file, handle);
        for (const flags of [0, drm.DRM_CLOEXEC, drm.DRM_RDWR]) {
          const { fd } = await call(file, drm.DRM_IOCTL_PRIME_HANDLE_TO_FD, { handle, flags });
          ensure(fd !== first, 'the same descriptor again');
          ensure(fds.get(fd) === fds.get(first), 'another dma-buf');
        }
      },
    },
    {
      name: 'export refuses other flags with EINVAL and an unknown handle with ENOENT',
      async run(bench) {
        const file = bench.open();
        const { handle } = await bench.buffer(file);
        const { size } = file.client.process.fds;
        for (const flags of [1, 4, 0x100, 0xdeadbeef])
          same(
            await bench.outcome(call(file, drm.DRM_IOCTL_PRIME_HANDLE_TO_FD, { handle, flags })),
            'EINVAL',
            `flags 0x${flags.toString(16)}`,
          );
        for (const unknown of [0, handle + 1, 0xffffffff])
          same(await bench.outcome(exportGem(file, unknown)), 'ENOENT', `handle ${unknown}`);
        same(file.client.process.fds.size, size, 'descriptors');
      },
    },
    {
      name: 'import refuses what is not open with EBADF',
      async run(bench) {
        const file = bench.open();
        for (const fd of [-1, 0, 3, 1000, 0x7fffffff])
          same(await bench.outcome(importGem(file, fd)), 'EBADF', `descriptor ${fd}`);
      },
    },
    {
      name: 'importing what the file has gives the same handle without a new reference: one GEM_CLOSE ends it',
      async run(bench) {
        const file = bench.open();
        const { handle } = await bench.buffer(file);
        const fd = await exportGem(file, handle);
        for (let i = 0; i < 3; i++) same(await importGem(file, fd), handle, 'handle of the import');
        await closeGem(file, handle);
        same(await bench.outcome(closeGem(file, handle)), 'EINVAL', 'a second GEM_CLOSE');
      },
    },
    {
      name: 'another file that imports twice has one handle, and maps the same bytes',
      async run(bench) {
        const [owner, other] = [bench.open(), bench.open()];
        const buffer = await bench.buffer(owner, 2 * PAGE);
        const fd = pass(owner, await exportGem(owner, buffer.handle), other);
        const handle = await importGem(other, fd);
        same(await importGem(other, fd), handle, 'handle of the second import');
        using mine = await bench.map(owner, buffer);
        using theirs = await bench.map(other, buffer);
        mine.bytes.fill(0x3c);
        ensure(filled(theirs.bytes, 0x3c), 'the importer does not see the exporter’s bytes');
        await closeGem(other, handle);
        same(await bench.outcome(closeGem(other, handle)), 'EINVAL', 'a second GEM_CLOSE');
        same(
          await bench.outcome(other.mmap(buffer.offset, PAGE)),
          'EACCES',
          'mmap after the import is closed',
        );
      },
    },
    {
      name: 'exporting an imported buffer gives the original dma-buf',
      async run(bench) {
        const [owner, other] = [bench.open(), bench.open()];
        const { handle } = await bench.buffer(owner);
        const fd = await exportGem(owner, handle);
        const there = pass(owner, fd, other);
        const again = await exportGem(other, await importGem(other, there));
        ensure(
          other.client.process.fds.get(again) === owner.client.process.fds.get(fd),
          'the re-export is another dma-buf',
        );
      },
    },
    {
      name: 'a descriptor keeps the buffer: it outlives handle, file and process, and ends with the last of them',
      async run(bench) {
        const [owner, other] = [bench.open(), bench.open()];
        const buffer = await bench.buffer(owner, 3 * PAGE);
        const mapping = await bench.map(owner, buffer);
        mapping.bytes.fill(0x42);
        mapping[Symbol.dispose]();
        const fd = pass(owner, await exportGem(owner, buffer.handle), other);
        await bench.finish(owner.close());
        owner.client.process.kill();
        const handle = await importGem(other, fd);
        using theirs = await bench.map(other, buffer);
        ensure(filled(theirs.bytes, 0x42), 'the bytes are gone');
        theirs[Symbol.dispose]();
        const { used } = bench;
        await closeGem(other, handle);
        same(bench.used, used, 'DRAM in use while the descriptor holds the buffer');
        same(await importGem(other, fd), handle, 'the handle of an import after all handles were closed');
        await closeGem(other, handle);
        await other.closeFd(fd);
        same(used - bench.used, 3 * PAGE, 'DRAM freed with the last descriptor');
        same(await bench.outcome(importGem(other, fd)), 'EBADF', 'import after the descriptor is closed');
      },
    },
    {
      name: 'a second device imports the buffer, and it is the same memory',
      needs: 'second device',
      async run(bench) {
        const device = bench.system.other!;
        const owner = bench.open();
        const other = bench.open(owner.client.process, device);
        const buffer = await bench.buffer(owner, 2 * PAGE);
        const fd = await exportGem(owner, buffer.handle);
        const handle = await importGem(other, fd);
        using mine = await bench.map(owner, buffer);
        using theirs = await bench.map(other, buffer);
        mine.bytes.fill(0x99);
        ensure(filled(theirs.bytes, 0x99), 'the second device’s client does not see the bytes');
        ensure(
          owner.client.process.fds.get(await exportGem(other, handle)) === owner.client.process.fds.get(fd),
          'the second device’s export is another dma-buf',
        );
      },
    },
    {
      name: 'closing a descriptor twice gives EBADF',
      async run(bench) {
        const file = bench.open();
        const fd = await exportGem(file, (await bench.buffer(file)).handle);
        same(await bench.outcome(file.closeFd(fd)), 'ok', 'close');
        same(await bench.outcome(file.closeFd(fd)), 'EBADF', 'close again');
      },
    },
  ],
};
