// LinuxFile against files of this kernel that need no accelerator: FIFOs, memory files, /dev/null.
// Not the uAPI: that is tested through the daemon.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { DRM_IOCTL_VERSION, DRM_IOCTL_GEM_CLOSE, DrmGemClose } from '../../src/abi/drm.js';
import { POLLHUP, POLLIN } from '../../src/core/accel-file.js';
import { ftruncate, memfdCreate } from '../../src/node/libc.js';
import { LinuxFile, linuxNode, linuxNodes } from '../../src/node/linux/index.js';
import { NativeMemory } from '../../src/node/linux/native-memory.js';

/** A FIFO opened both ways: a file that can be polled and read, and that sleeps. */
function fifo() {
  const folder = mkdtempSync(join(tmpdir(), 'accel-fifo-'));
  const path = join(folder, 'fifo');
  execFileSync('mkfifo', [path]);
  const file = LinuxFile.open(path);
  const writer = openSync(path, 'w');
  return {
    file,
    write: (text: string) => writeSync(writer, text),
    [Symbol.asyncDispose]: async () => {
      await file.close();
      closeSync(writer);
      rmSync(folder, { recursive: true });
    },
  };
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;

describe('a file of the kernel', () => {
  it('says what the kernel says about a path', () => {
    assert.throws(() => LinuxFile.open('/dev/accel/accel255'), { code: 'ENOENT', call: 'open' });
    assert.throws(() => LinuxFile.open('/'), { code: 'EISDIR' });
  });

  it('hands requests through: ENOTTY where there is no such call, in this thread and in another', async () => {
    const file = LinuxFile.open('/dev/null');
    const version = new Uint8Array(64);
    await assert.rejects(file.ioctl(DRM_IOCTL_VERSION.request, version), { code: 'ENOTTY', call: 'ioctl' });
    await assert.rejects(file.ioctl(0xc0186441, new Uint8Array(24)), { code: 'ENOTTY' });
    await assert.rejects(file.ioctl(DRM_IOCTL_GEM_CLOSE.request, DrmGemClose.bytes({ handle: 1 })), {
      code: 'ENOTTY',
    });
    await file.close();
  });

  it('reads what is there, and without it says EAGAIN or sleeps', async () => {
    await using bed = fifo();
    const buffer = new Uint8Array(16);
    await assert.rejects(bed.file.read(buffer, { nonblock: true }), { code: 'EAGAIN' });
    const reading = bed.file.read(buffer);
    setTimeout(() => bed.write('late'), 20);
    assert.equal(await reading, 4);
    assert.equal(Buffer.from(buffer).toString('latin1', 0, 4), 'late');
  });

  it('tells what is ready, now and later', async () => {
    await using bed = fifo();
    assert.equal(bed.file.poll() & POLLIN, 0);
    const ready = bed.file.ready(POLLIN);
    setTimeout(() => bed.write('x'), 20);
    assert.equal((await ready) & (POLLIN | POLLHUP), POLLIN);
    assert.equal(bed.file.poll() & POLLIN, POLLIN);
  });

  it('ends a call that sleeps with EINTR when its signal fires, also one that fired before', async () => {
    await using bed = fifo();
    for (let turn = 0; turn < 20; turn++) {
      const controller = new AbortController();
      const ready = bed.file.ready(POLLIN, controller.signal);
      if (turn % 2 === 0) setTimeout(() => controller.abort(), turn);
      else controller.abort();
      await assert.rejects(ready, { code: 'EINTR' });
    }
    bed.write('still works');
    assert.equal(await bed.file.read(new Uint8Array(64)), 11);
  });

  it('lets many calls sleep at once, each woken by its own', async () => {
    const beds = Array.from({ length: 8 }, fifo);
    const order: number[] = [];
    const all = beds.map(async ({ file }, index) => {
      await file.ready(POLLIN);
      order.push(index);
    });
    for (const index of [5, 2, 7, 0, 1, 6, 3, 4]) {
      beds[index]!.write('x');
      await all[index];
    }
    assert.deepEqual(order, [5, 2, 7, 0, 1, 6, 3, 4]);
    for (const bed of beds) await bed[Symbol.asyncDispose]();
  });

  it('ends waits with EBADF when it is closed, and is closed for later calls', async () => {
    await using bed = fifo();
    const waiting = bed.file.ready(POLLIN);
    await bed.file.close();
    await assert.rejects(waiting, { code: 'EBADF' });
    await bed.file.close();
    assert.throws(() => bed.file.poll(), { code: 'EBADF' });
    await assert.rejects(bed.file.ioctl(DRM_IOCTL_VERSION.request), { code: 'EBADF' });
    await assert.rejects(bed.file.mmap(0n, 4096), { code: 'EBADF' });
  });

  it('maps what the kernel maps, and an array over a mapping that is gone shows zeros', async () => {
    const memory = memfdCreate('test', 0);
    ftruncate(memory, 8192);
    const before = descriptors();
    const file = LinuxFile.open(`/proc/self/fd/${memory}`);
    const one = await file.mmap(4096n, 100);
    const other = await file.mmap(4096n, 4096);
    one.bytes[99] = 5;
    assert.equal(other.bytes[99], 5);
    assert.equal(one.bytes.length, 100);
    one[Symbol.dispose]();
    one[Symbol.dispose]();
    assert.equal(one.bytes[99], 0);
    assert.equal(other.bytes[99], 5);
    await assert.rejects(file.mmap(100n, 4096), { code: 'EINVAL', call: 'mmap' });
    await file.close();
    assert.equal(other.bytes[99], 5, 'a mapping outlives the file');
    assert.equal(descriptors(), before);
    closeSync(memory);
  });

  it('shows its line of /proc', async () => {
    const file = LinuxFile.open('/dev/null');
    assert.match(await file.fdinfo(), /^pos:\t0\nflags:\t/);
    await file.close();
  });

  it('waits on descriptors that calls gave out', async () => {
    const file = LinuxFile.open('/dev/null');
    const fd = openSync('/dev/null', 'r');
    assert.equal((await file.pollFd(fd)) & POLLIN, POLLIN);
    assert.equal((await file.readyFd(fd, POLLIN)) & POLLIN, POLLIN);
    await file.closeFd(fd);
    await assert.rejects(file.pollFd(fd), { code: 'EBADF' });
    await assert.rejects(file.closeFd(fd), { code: 'EBADF' });
    await file.close();
  });
});

describe('memory that a kernel is shown', () => {
  it('stays where it is while it is placed, also small arrays', () => {
    const memory = new NativeMemory();
    const small = Buffer.from(new Uint8Array([1, 2, 3, 4]));
    const places = Array.from({ length: 100 }, () => memory.place(new Uint8Array(16).fill(7)));
    const place = memory.place(small);
    let garbage: unknown[] = [];
    for (let i = 0; i < 200; i++) garbage = [...garbage.slice(-10), new Uint8Array(100000)];
    memory.write(place.pointer + 1n, new Uint8Array([9]));
    assert.deepEqual([...small], [1, 9, 3, 4]);
    assert.equal(memory.place(small).pointer, place.pointer);
    assert.deepEqual(
      places.map(({ pointer }) => memory.read(pointer, 16)[15]),
      places.map(() => 7),
    );
    assert.throws(() => memory.read(place.pointer + 2n, 4), { code: 'EFAULT' });
    assert.throws(() => memory.read(0n, 1), { code: 'EFAULT' });
    for (const placed of places) placed[Symbol.dispose]();
    assert.equal(memory.count, 2);
  });
});

describe('nodes of the kernel', () => {
  /** A sysfs of three devices: two of the accel class, one of them with a render node too, a GNA and a GPU as render nodes. */
  function sysfs(): string {
    const sys = mkdtempSync(join(tmpdir(), 'accel-sys-'));
    const device = (bus: string, name: string, uevent: string, ...nodes: [string, string][]): void => {
      const folder = join(sys, 'devices', name);
      mkdirSync(join(sys, 'bus', bus), { recursive: true });
      mkdirSync(folder, { recursive: true });
      symlinkSync(`../../bus/${bus}`, join(folder, 'subsystem'));
      writeFileSync(join(folder, 'uevent'), uevent);
      for (const [kind, own] of nodes) {
        const node = /DEVNAME=.*\/(.*)\n/.exec(own)![1]!;
        mkdirSync(join(folder, kind, node), { recursive: true });
        writeFileSync(join(folder, kind, node, 'uevent'), own);
        symlinkSync(`../../../${name}`, join(folder, kind, node, 'device'));
        mkdirSync(join(sys, 'class', kind), { recursive: true });
        symlinkSync(`../../devices/${name}/${kind}/${node}`, join(sys, 'class', kind, node));
      }
    };
    const accel = (minor: number): [string, string] => [
      'accel',
      `MAJOR=261\nMINOR=${minor}\nDEVNAME=accel/accel${minor}\nDEVTYPE=accel_minor\n`,
    ];
    const render = (minor: number): [string, string] => [
      'drm',
      `MAJOR=226\nMINOR=${minor}\nDEVNAME=dri/renderD${minor}\nDEVTYPE=drm_minor\n`,
    ];
    const nvdla =
      'DRIVER=nvdla\nOF_NAME=nvdla\nOF_FULLNAME=/nvdla@10200000\nOF_COMPATIBLE_0=nvidia,nv_small\nOF_COMPATIBLE_N=1\n';
    device('platform', '10200000.nvdla', nvdla, accel(10), render(130));
    device('pci', '0000:00:0b.0', 'DRIVER=intel_vpu\nPCI_ID=8086:7D1D\n', accel(2));
    device('pci', '0000:00:08.0', 'DRIVER=gna\nPCI_ID=8086:9A11\n', render(129));
    device('pci', '0000:00:02.0', 'DRIVER=i915\nPCI_ID=8086:9A49\n', render(128));
    return sys;
  }

  it('are listed from /sys, each device once, the accel class first, with the target that is the same hardware', () => {
    const sys = sysfs();
    try {
      assert.deepEqual(
        linuxNodes(sys).map(({ path, major, minor, driver, bus, busName, target }) =>
          [path, major, minor, driver, bus, busName, target].join(' '),
        ),
        [
          '/dev/accel/accel2 261 2 intel_vpu pci 0000:00:0b.0 ',
          '/dev/accel/accel10 261 10 nvdla platform 10200000.nvdla nvdla:nv_small',
          '/dev/dri/renderD129 226 129 gna pci 0000:00:08.0 gna:2.0',
        ],
      );
    } finally {
      rmSync(sys, { recursive: true });
    }
  });

  it('are none where the kernel has no such class', () => {
    assert.deepEqual(linuxNodes('/nowhere'), []);
    assert.equal(linuxNode('/dev/accel/accel255'), undefined);
  });
});

describe('threads that make calls', () => {
  it('do not keep a process from ending, asleep or not', () => {
    const module = new URL('../../src/node/linux/linux-file.js', import.meta.url).href;
    const script = `
      import { LinuxFile } from ${JSON.stringify(module)};
      import { execFileSync, spawnSync } from 'node:child_process';
      const path = process.argv[1];
      execFileSync('mkfifo', [path]);
      const file = LinuxFile.open(path);
      file.ready(1).then(() => console.log('never'));
      setTimeout(() => process.exit(7), 100);`;
    const folder = mkdtempSync(join(tmpdir(), 'accel-exit-'));
    const { status, signal, stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', script, join(folder, 'fifo')],
      { timeout: 20000 },
    );
    rmSync(folder, { recursive: true });
    assert.deepEqual([status, signal, String(stdout), String(stderr)], [7, null, '', '']);
  });
});
