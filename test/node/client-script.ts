// A client that does a bit of everything on the vgem device and writes down what it saw: linux-daemon.test.ts compares.
// Not a test: run as a program it does the same on a node of the kernel and prints it.
import * as drm from '../../src/abi/drm.js';
import type { Ioctl } from '../../src/abi/ioctl.js';
import * as abi from '../../src/abi/null.js';
import * as sync from '../../src/abi/sync-file.js';
import type { AccelError } from '../../src/base/errors.js';
import { POLLHUP, POLLIN, POLLOUT, type AccelFile } from '../../src/core/accel-file.js';
import { call, exportGem, importGem } from '../../src/testing/index.js';

const ms = 1_000_000n;

/** What happened, line by line: fields that a call answered, or the errno. Numbers that may differ from run to run are left out. */
export async function script(open: () => AccelFile, now: () => bigint): Promise<string[]> {
  const lines: string[] = [];
  const note = async (what: string, run: () => unknown): Promise<void> => {
    try {
      const value = await run();
      const text = JSON.stringify(value, (_, part: unknown) =>
        typeof part === 'bigint' ? `${part}n` : part,
      );
      lines.push(`${what}: ${text ?? 'done'}`);
    } catch (error) {
      lines.push(`${what}: ${(error as AccelError).code ?? String(error)}`);
    }
  };
  const [file, other] = [open(), open()];
  const ioctl = <V extends object>(
    def: Ioctl<V>,
    fields: Partial<V> = {},
    signal?: AbortSignal,
  ): Promise<V> => call(file, def, fields, signal);

  await note('version', async () => {
    const bytes = new Uint8Array(64);
    using place = file.user.place(bytes);
    const { name_len } = await ioctl(drm.DRM_IOCTL_VERSION, { name: place.pointer, name_len: 64n });
    return [name_len, Buffer.from(bytes).toString('latin1', 0, Number(name_len))];
  });
  await note('version to nowhere', () => ioctl(drm.DRM_IOCTL_VERSION, { name: 0x1234n, name_len: 4n }));
  for (const capability of [1n, 5n, 0x13n, 0x14n])
    await note(`capability ${capability}`, () => ioctl(drm.DRM_IOCTL_GET_CAP, { capability }));
  await note('client 0', async () => (await ioctl(drm.DRM_IOCTL_GET_CLIENT)).idx);
  await note('client 9', () => ioctl(drm.DRM_IOCTL_GET_CLIENT, { idx: 9 }));
  await note('no such call', () => file.ioctl(0xc008649f, new Uint8Array(8)));
  await note('no such type', () => file.ioctl(0xc0083f00, new Uint8Array(8)));
  await note('no argument', () => file.ioctl(drm.DRM_IOCTL_GET_CAP.request));
  await note('short argument', () => file.ioctl(drm.DRM_IOCTL_GET_CAP.request, new Uint8Array(8)));
  await note('master', () => file.ioctl(drm.DRM_IOCTL_SET_MASTER.request));
  await note('longer struct', async () => {
    const bytes = new Uint8Array(32);
    bytes[0] = 5;
    await file.ioctl(0xc020640c, bytes);
    return bytes[8];
  });

  const created = { width: 64, height: 64, bpp: 32 };
  const { handle } = await ioctl(drm.DRM_IOCTL_MODE_CREATE_DUMB, created);
  await note('create', async () => ioctl(drm.DRM_IOCTL_MODE_CREATE_DUMB, created));
  await note('create nothing', () => ioctl(drm.DRM_IOCTL_MODE_CREATE_DUMB, { width: 0, height: 1, bpp: 8 }));
  await note('create too much', () =>
    ioctl(drm.DRM_IOCTL_MODE_CREATE_DUMB, { width: 32767, height: 32767, bpp: 32 }),
  );
  const { offset } = await ioctl(drm.DRM_IOCTL_MODE_MAP_DUMB, { handle });
  const mapping = await file.mmap(offset, 16384);
  await note('zero when new', () => mapping.bytes.every((byte) => byte === 0));
  mapping.bytes[1000] = 42;
  await note('mapped again', async () => {
    using again = await file.mmap(offset, 4096);
    return [again.bytes.length, again.bytes[1000]];
  });
  await note('map too much', () => file.mmap(offset, 16385));
  await note('map nothing', () => file.mmap(offset, 0));
  await note('map inside', () => file.mmap(offset + 4096n, 4096));
  await note('map nowhere', () => file.mmap(0n, 4096));
  await note('map of another file', () => other.mmap(offset, 4096));

  const fd = await exportGem(file, handle);
  await note('export of nothing', () => exportGem(file, 99));
  await note('import', () => importGem(other, fd));
  await note('import again', () => importGem(other, fd));
  await note('import at home', async () => (await importGem(file, fd)) === handle);
  await note('import nothing', () => importGem(file, 1000));
  await note('map what was imported', async () => {
    using own = await other.mmap(
      (await call(other, drm.DRM_IOCTL_MODE_MAP_DUMB, { handle: 1 })).offset,
      4096,
    );
    own.bytes[1001] = 43;
    return [own.bytes[1000], mapping.bytes[1001]];
  });

  const bits = async (): Promise<number> => (await file.pollFd(fd)) & (POLLIN | POLLOUT);
  const attach = async (flags: number): Promise<number> =>
    (await ioctl(abi.DRM_IOCTL_VGEM_FENCE_ATTACH, { handle, flags })).out_fence;
  const signal = (fence: number): Promise<unknown> => ioctl(abi.DRM_IOCTL_VGEM_FENCE_SIGNAL, { fence });
  await note('idle', bits);
  const reading = await attach(0);
  await note('read by somebody', bits);
  await note('write meanwhile', () => attach(abi.VGEM_FENCE_WRITE));
  await signal(reading);
  const writing = await attach(abi.VGEM_FENCE_WRITE);
  await note('written by somebody', bits);
  const exported = await (async () => {
    const bytes = sync.DmaBufExportSyncFile.bytes({ flags: sync.DMA_BUF_SYNC_READ, fd: -1 });
    await file.ioctlFd(fd, sync.DMA_BUF_IOCTL_EXPORT_SYNC_FILE.request, bytes);
    return sync.DmaBufExportSyncFile.from(bytes).fd;
  })();
  await note('its fence', async () => (await file.pollFd(exported)) & POLLIN);
  await note('wait for the writer', async () => {
    const ready = file.readyFd(fd, POLLIN);
    const fence = file.readyFd(exported, POLLIN);
    setTimeout(() => void signal(writing), 20);
    return [(await ready) & POLLIN, (await fence) & POLLIN];
  });
  await note('idle again', bits);
  await note('info of the fence', async () => {
    const bytes = sync.SyncFileInfo.bytes({});
    await file.ioctlFd(exported, sync.SYNC_IOC_FILE_INFO.request, bytes);
    const { status, num_fences } = sync.SyncFileInfo.from(bytes);
    return [status, num_fences];
  });
  await note('merge with a dma-buf', () =>
    file.ioctlFd(exported, sync.SYNC_IOC_MERGE.request, sync.SyncMergeData.bytes({ fd2: fd })),
  );
  await note('no such call of a fence', () => file.ioctlFd(exported, 0xc0303e01, new Uint8Array(48)));
  await file.closeFd(exported);
  await note('closed fence', () => file.pollFd(exported));

  const syncobj = (await ioctl(drm.DRM_IOCTL_SYNCOBJ_CREATE)).handle;
  const handles = new Uint8Array(new Uint32Array([syncobj]).buffer);
  using place = file.user.place(handles);
  const wait = (timeout: bigint, flags = 2, abort?: AbortSignal): Promise<unknown> =>
    ioctl(
      drm.DRM_IOCTL_SYNCOBJ_WAIT,
      { handles: place.pointer, timeout_nsec: now() + timeout, count_handles: 1, flags },
      abort,
    ).then(({ first_signaled }) => first_signaled);
  await note('wait for what was never submitted', () => wait(10n * ms, 0));
  await note('wait for its submission', () => wait(10n * ms));
  await note('wait, interrupted', () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    return wait(10_000n * ms, 2, controller.signal);
  });
  await note('wait, signalled', () => {
    const waiting = wait(10_000n * ms);
    setTimeout(
      () => void ioctl(drm.DRM_IOCTL_SYNCOBJ_SIGNAL, { handles: place.pointer, count_handles: 1 }),
      20,
    );
    return waiting;
  });
  await note('handles at a bad address', () =>
    ioctl(drm.DRM_IOCTL_SYNCOBJ_RESET, { handles: 0x10n, count_handles: 1 }),
  );
  await note('a syncobj as a descriptor', async () => {
    const out = await ioctl(drm.DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, { handle: syncobj });
    const back = await call(other, drm.DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, { fd: out.fd });
    await file.closeFd(out.fd);
    return back.handle;
  });
  await note('a dma-buf is no syncobj', () => ioctl(drm.DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, { fd }));

  await note('no event', () => file.read(new Uint8Array(64), { nonblock: true }));
  await note('wait for events, interrupted', () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    return file.ready(POLLIN, controller.signal);
  });
  await note('poll', () => file.poll() & (POLLIN | POLLHUP));
  await note('fdinfo', async () =>
    (await file.fdinfo()).split('\n').filter((line) => /^drm-(?!client-id)/.test(line)),
  );

  await note('close a handle', () => ioctl(drm.DRM_IOCTL_GEM_CLOSE, { handle }));
  await note('close it again', () => ioctl(drm.DRM_IOCTL_GEM_CLOSE, { handle }));
  await note('the mapping stays', () => [mapping.bytes[1000], mapping.bytes[1001]]);
  await file.closeFd(fd);
  mapping[Symbol.dispose]();
  await file.close();
  await note('after close', () => file.ioctl(drm.DRM_IOCTL_SET_MASTER.request));
  await note('after close, the other', () => call(other, drm.DRM_IOCTL_GEM_CLOSE, { handle: 1 }));
  await other.close();
  return lines;
}

const [, program, path] = process.argv;
if (program?.endsWith('client-script.js') === true && path !== undefined) {
  const { LinuxFile } = await import('../../src/node/linux/index.js');
  const lines = await script(
    () => LinuxFile.open(path),
    () => process.hrtime.bigint(),
  );
  process.stdout.write(`${JSON.stringify(lines)}\n`);
}
