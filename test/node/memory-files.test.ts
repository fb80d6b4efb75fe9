// Buffers that other processes map: same bytes on both sides, no way to the neighbour's, nothing left behind.
// Not the daemon: descriptors travel by inheritance here.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as drm from '../../src/abi/drm.js';
import { PAGE_SIZE } from '../../src/base/memory.js';
import { compileModule, instantiate } from '../../src/base/wasm.js';
import type { LocalFile } from '../../src/core/local-file.js';
import { Dram } from '../../src/machine/dram.js';
import { BUFFER_FILE, MemoryFiles } from '../../src/node/memory-files.js';
import { openSystem } from '../../src/node/system.js';
import { call } from '../../src/testing/index.js';

function bench(mebibytes = 64) {
  let pages!: MemoryFiles;
  const dram = new Dram(mebibytes, (memory) => (pages = new MemoryFiles(memory)));
  return { dram, pages, [Symbol.dispose]: () => pages[Symbol.dispose]() };
}

/** Another process with these files as descriptors 3, 4 ...; `ask` sends a line and resolves to its answer. */
function peer(bytes: number, ...fds: number[]) {
  const script = fileURLToPath(new URL('memory-peer.js', import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [script, String(bytes), String(fds.length)], {
    stdio: ['pipe', 'pipe', 'inherit', ...fds],
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return {
    ask: async (line: string): Promise<string> => {
      child.stdin!.write(`${line}\n`);
      return String((await lines.next()).value);
    },
    end: () =>
      new Promise((resolve) => {
        child.on('close', resolve);
        child.stdin!.end();
      }),
  };
}

/** A kernel of one function: the 32-bit word at an address. */
const loadKernel = compileModule(
  new Uint8Array(
    [
      [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
      [0x01, 0x06, 0x01, 0x60, 0x01, 0x7f, 0x01, 0x7f],
      [0x02, 0x12, 0x01, 0x03, 0x65, 0x6e, 0x76, 0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 0x02, 0x03, 0x01],
      [0x80, 0x80, 0x04],
      [0x03, 0x02, 0x01, 0x00],
      [0x07, 0x08, 0x01, 0x04, 0x6c, 0x6f, 0x61, 0x64, 0x00, 0x00],
      [0x0a, 0x09, 0x01, 0x07, 0x00, 0x20, 0x00, 0x28, 0x02, 0x00, 0x0b],
    ].flat(),
  ),
);

const openBuffers = (): number =>
  readFileSync('/proc/self/maps', 'utf8').split(`/memfd:${BUFFER_FILE}`).length - 1;
const mappings = (): number => readFileSync('/proc/self/maps', 'utf8').split('\n').length;
const descriptors = (): number => readdirSync('/proc/self/fd').length;

describe('pages shared with other processes', () => {
  it('hold what another process writes, for JavaScript and for kernels', async () => {
    using bed = bench();
    const { dram, pages } = bed;
    const address = dram.allocate(2 * PAGE_SIZE, true);
    const client = peer(2 * PAGE_SIZE, pages.sharedPages(address, PAGE_SIZE).fd);
    dram.words[(address + PAGE_SIZE) / 4] = 41;
    assert.equal(await client.ask(`store 0 ${PAGE_SIZE / 4} 42`), '41');
    assert.equal(dram.words[(address + PAGE_SIZE) / 4], 42);
    const { load } = instantiate<{ load(at: number): number }>(loadKernel, dram.memory);
    assert.equal(load(address + PAGE_SIZE), 42);
    await client.end();
  });

  it('let a client poll a word in memory without a call', async () => {
    using bed = bench();
    const { dram, pages } = bed;
    const address = dram.allocate(PAGE_SIZE, true);
    const client = peer(PAGE_SIZE, pages.sharedPages(address, PAGE_SIZE).fd);
    await client.ask('load 0 0');
    const seen = client.ask('poll 0 5');
    setTimeout(() => Atomics.store(dram.words, address / 4 + 5, 7), 5);
    assert.equal(await seen, '7');
    await client.end();
  });

  it('are the same bytes to two clients that hold the same file', async () => {
    using bed = bench();
    const { dram, pages } = bed;
    const address = dram.allocate(PAGE_SIZE, true);
    const { fd } = pages.sharedPages(address, PAGE_SIZE);
    const [one, other] = [peer(PAGE_SIZE, fd), peer(PAGE_SIZE, fd)];
    await one.ask('store 0 9 1234');
    assert.equal(await other.ask('load 0 9'), '1234');
    await Promise.all([one.end(), other.end()]);
  });

  it('are one file per buffer: what a client holds reaches no other', async () => {
    using bed = bench();
    const { dram, pages } = bed;
    const [first, second] = [dram.allocate(PAGE_SIZE, true), dram.allocate(PAGE_SIZE, true)];
    assert.equal(second, first + PAGE_SIZE);
    const [a, b] = [pages.sharedPages(first, PAGE_SIZE), pages.sharedPages(second, PAGE_SIZE)];
    assert.notEqual(a.inode, b.inode);
    assert.deepEqual([a.bytes, a.offset, b.bytes, b.offset], [PAGE_SIZE, 0, PAGE_SIZE, 0]);
    assert.equal(pages.addressOf(b.inode), second);
    assert.throws(() => pages.sharedPages(first + PAGE_SIZE / 2, PAGE_SIZE), { code: 'EINVAL' });
    const client = peer(PAGE_SIZE, b.fd, a.fd);
    await client.ask('store 0 0 2');
    await client.ask('store 1 0 1');
    assert.deepEqual([dram.words[first / 4], dram.words[second / 4]], [1, 2]);
    await client.end();
  });

  it('cannot be cut short or grown by who holds the file', async () => {
    using bed = bench();
    const { dram, pages } = bed;
    const address = dram.allocate(2 * PAGE_SIZE, true);
    const client = peer(2 * PAGE_SIZE, pages.sharedPages(address, PAGE_SIZE).fd);
    assert.equal(await client.ask('tricks'), 'EPERM EPERM EPERM EPERM');
    dram.bytes.fill(1, address, address + 2 * PAGE_SIZE);
    await client.end();
  });

  it('are zero when reused, and no longer those that a client still maps', async () => {
    using bed = bench();
    const { dram, pages } = bed;
    const address = dram.allocate(PAGE_SIZE, true);
    const { fd, inode } = pages.sharedPages(address, PAGE_SIZE);
    const client = peer(PAGE_SIZE, fd);
    await client.ask('store 0 3 99');
    dram.free(address);
    assert.equal(pages.addressOf(inode), undefined);
    for (const shareable of [true, false, true]) {
      const again = dram.allocate(PAGE_SIZE, shareable);
      assert.equal(again, address);
      assert.equal(dram.words[address / 4 + 3], 0);
      dram.words[address / 4 + 3] = 5;
      assert.equal(await client.ask('load 0 3'), '99');
      dram.free(again);
    }
    await client.end();
  });

  it('that nobody else may see have no file', () => {
    using bed = bench();
    const address = bed.dram.allocate(PAGE_SIZE);
    assert.equal(bed.pages.count, 0);
    assert.throws(() => bed.pages.sharedPages(address, PAGE_SIZE), { code: 'EINVAL' });
  });

  it('end in ENOMEM with a reason before the process runs out of mappings or descriptors', () => {
    using bed = bench(256);
    const { dram, pages } = bed;
    const before = [mappings(), descriptors(), dram.used];
    const held: number[] = [];
    assert.throws(
      () => {
        for (;;) held.push(dram.allocate(PAGE_SIZE, true), dram.allocate(PAGE_SIZE));
      },
      { code: 'ENOMEM', message: /mappings and descriptors of this process/ },
    );
    assert.ok(pages.count > 1000, `${pages.count} buffers`);
    // What failed took nothing, and one that is freed makes room for one.
    dram.free(held.shift()!);
    held.push(dram.allocate(PAGE_SIZE, true));
    for (const address of held) dram.free(address);
    assert.deepEqual([dram.used, pages.count], [before[2], 0]);
    assert.ok(mappings() < before[0]! + 50, `${mappings()} mappings, ${before[0]} before`);
    assert.equal(descriptors(), before[1]);
  });

  it('are the buffers of a machine that is asked for them', async () => {
    let pages!: MemoryFiles;
    using system = openSystem({
      devices: ['vgem'],
      staging: true,
      backing: (memory) => (pages = new MemoryFiles(memory)),
    });
    const file = system.open() as LocalFile;
    const { handle, size } = await call(file, drm.DRM_IOCTL_MODE_CREATE_DUMB, {
      width: 64,
      height: 64,
      bpp: 32,
    });
    const client = peer(Number(size), pages.sharedPages(file.client.lookup(handle).address, Number(size)).fd);
    await client.ask('store 0 100 77');
    const { offset } = await call(file, drm.DRM_IOCTL_MODE_MAP_DUMB, { handle });
    const { bytes } = await file.mmap(offset, Number(size));
    assert.equal(bytes[400], 77);
    await client.end();
    await file.close();
    assert.equal(pages.count, 1, 'the mapping still holds the buffer');
  });

  it('leave no descriptor, mapping or file over 200 starts and stops', async () => {
    const before = [descriptors(), openBuffers(), readdirSync('/dev/shm').length];
    for (let turn = 0; turn < 200; turn++) {
      using system = openSystem({
        devices: ['vgem'],
        staging: true,
        dram: 32,
        backing: (memory) => new MemoryFiles(memory),
      });
      const file = system.open();
      for (let i = 0; i < 3; i++)
        await call(file, drm.DRM_IOCTL_MODE_CREATE_DUMB, { width: 64, height: 64, bpp: 32 });
      assert.ok(openBuffers() >= 3);
    }
    assert.deepEqual([descriptors(), openBuffers(), readdirSync('/dev/shm').length], before);
  });
});
