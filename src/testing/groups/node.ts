// Opening the node and asking who is there. Core fact sheet sections 1 and 3.
// Not the dispatcher's rules: dispatch.ts.
import * as drm from '../../abi/drm.js';
import { POLLIN } from '../../core/index.js';
import { among, ensure, outcomeOf, same, sameBytes } from '../check.js';
import { call } from '../calls.js';
import type { Group } from './group.js';

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

export const node: Group = {
  name: 'node and version',
  cases: [
    {
      name: 'VERSION reports the driver’s name, date and description with their lengths and without NUL',
      async run(bench) {
        const file = bench.open();
        const { driver } = bench.accel;
        const texts = [driver.name, driver.date, driver.description] as const;
        const buffers = texts.map((text) => new Uint8Array(text.length + 8).fill(0xaa));
        const pointers = buffers.map((bytes) => file.user.place(bytes));
        const lengths = buffers.map(({ length }) => BigInt(length));
        const answer = await call(file, drm.DRM_IOCTL_VERSION, {
          name: pointers[0]!.pointer,
          name_len: lengths[0]!,
          date: pointers[1]!.pointer,
          date_len: lengths[1]!,
          desc: pointers[2]!.pointer,
          desc_len: lengths[2]!,
        });
        same(driver.name, bench.adapter.driver, 'the driver’s name');
        same(answer.name_len, BigInt(driver.name.length), 'name_len');
        same(answer.date_len, BigInt(driver.date.length), 'date_len');
        same(answer.desc_len, BigInt(driver.description.length), 'desc_len');
        same(answer.version_major, driver.version.major, 'version_major');
        same(answer.version_minor, driver.version.minor, 'version_minor');
        same(answer.version_patchlevel, driver.version.patch, 'version_patchlevel');
        buffers.forEach((bytes, i) => {
          const text = ascii(texts[i]!);
          sameBytes(bytes.subarray(0, text.length), text, 'text');
          same(bytes[text.length], 0xaa, 'the byte after the text');
        });
      },
    },
    {
      name: 'VERSION with null pointers and no length just returns lengths, with a short buffer as much as fits',
      async run(bench) {
        const file = bench.open();
        const { name } = bench.accel.driver;
        const asked = await call(file, drm.DRM_IOCTL_VERSION);
        same(asked.name_len, BigInt(name.length), 'name_len');
        const short = new Uint8Array(8).fill(0xaa);
        const { pointer } = file.user.place(short);
        const answer = await call(file, drm.DRM_IOCTL_VERSION, { name: pointer, name_len: 2n });
        same(answer.name_len, BigInt(name.length), 'name_len after a short buffer');
        sameBytes(short.subarray(0, 2), ascii(name).subarray(0, 2), 'name');
        same(short[2], 0xaa, 'the byte past the buffer');
      },
    },
    {
      name: 'VERSION with a pointer that is not the client’s memory gives EFAULT',
      async run(bench) {
        const file = bench.open();
        const wild = call(file, drm.DRM_IOCTL_VERSION, { name: 0xdead000n, name_len: 16n });
        same(await outcomeOf(wild), 'EFAULT', 'VERSION with a wild pointer');
      },
    },
    {
      name: 'GET_CAP: PRIME both ways, monotonic time, syncobj as the driver has it; others EOPNOTSUPP',
      async run(bench) {
        const file = bench.open();
        const { features } = bench.accel.driver;
        const cap = async (capability: bigint): Promise<bigint> =>
          (await call(file, drm.DRM_IOCTL_GET_CAP, { capability, value: 99n })).value;
        same(await cap(drm.DRM_CAP_PRIME), 3n, 'PRIME');
        same(await cap(drm.DRM_CAP_TIMESTAMP_MONOTONIC), 1n, 'TIMESTAMP_MONOTONIC');
        same(await cap(drm.DRM_CAP_SYNCOBJ), features.syncobj ? 1n : 0n, 'SYNCOBJ');
        same(await cap(drm.DRM_CAP_SYNCOBJ_TIMELINE), features.syncobjTimeline ? 1n : 0n, 'SYNCOBJ_TIMELINE');
        for (const other of [0n, 1n, 2n, 3n, 4n, 7n, 0x10n, 0x12n, 0x15n, 1n << 40n])
          same(await outcomeOf(cap(other)), 'EOPNOTSUPP', `capability ${other}`);
      },
    },
    {
      name: 'GET_CLIENT tells the caller its own pid and uid, and nothing of others',
      async run(bench) {
        const file = bench.open({ pid: 4711, uid: 42 });
        const root = bench.open({ admin: true });
        const client = await call(file, drm.DRM_IOCTL_GET_CLIENT, { idx: 0 });
        same(client.pid, 4711n, 'pid');
        same(client.uid, 42n, 'uid');
        same(client.auth, 0, 'auth');
        same((await call(root, drm.DRM_IOCTL_GET_CLIENT, { idx: 0 })).auth, 1, 'auth of root');
        for (const idx of [1, -1, 0x7fffffff])
          same(await outcomeOf(call(file, drm.DRM_IOCTL_GET_CLIENT, { idx })), 'EINVAL', `client ${idx}`);
      },
    },
    {
      name: 'GET_STATS is all zero and SET_CLIENT_CAP EOPNOTSUPP',
      async run(bench) {
        const file = bench.open();
        const stats = new Uint8Array(drm.DrmStats.size).fill(0xaa);
        await file.ioctl(drm.DRM_IOCTL_GET_STATS.request, stats);
        ensure(
          drm.DrmStats.from(stats).count === 0n &&
            drm.DrmStats.from(stats).data.every(({ value }) => value === 0n),
          'GET_STATS is not zero',
        );
        for (const capability of [1n, 2n, 3n])
          same(
            await outcomeOf(call(file, drm.DRM_IOCTL_SET_CLIENT_CAP, { capability, value: 1n })),
            'EOPNOTSUPP',
            `client capability ${capability}`,
          );
      },
    },
    {
      name: 'nobody is master, root neither; magics and global names are refused',
      async run(bench) {
        for (const admin of [false, true]) {
          const file = bench.open({ admin });
          same(await outcomeOf(file.ioctl(drm.DRM_IOCTL_SET_MASTER.request)), 'EACCES', 'SET_MASTER');
          same(await outcomeOf(file.ioctl(drm.DRM_IOCTL_DROP_MASTER.request)), 'EACCES', 'DROP_MASTER');
          same(await outcomeOf(call(file, drm.DRM_IOCTL_AUTH_MAGIC)), 'EACCES', 'AUTH_MAGIC');
          same(await outcomeOf(call(file, drm.DRM_IOCTL_GET_MAGIC)), 'EACCES', 'GET_MAGIC');
          among(await outcomeOf(call(file, drm.DRM_IOCTL_GEM_FLINK)), ['EACCES', 'EOPNOTSUPP'], 'GEM_FLINK');
          among(await outcomeOf(call(file, drm.DRM_IOCTL_GEM_OPEN)), ['EACCES', 'EOPNOTSUPP'], 'GEM_OPEN');
        }
      },
    },
    {
      name: 'O_EXCL gives EBUSY, an unknown minor ENODEV, and every open file has an id of its own',
      async run(bench) {
        const { core } = bench.system;
        const [first, second] = [bench.open(), bench.open()];
        ensure(first.client.clientId !== second.client.clientId, 'two files share a client id');
        const { process } = first.client;
        const opens = (run: () => unknown): Promise<string> => outcomeOf((async () => run())());
        same(await opens(() => core.open(bench.accel, process, { exclusive: true })), 'EBUSY', 'O_EXCL');
        same(await opens(() => core.open(255, process)), 'ENODEV', 'minor 255');
      },
    },
    {
      name: 'with no event pending poll reports nothing and a read without blocking gives EAGAIN',
      async run(bench) {
        const file = bench.open();
        same(file.poll() & POLLIN, 0, 'poll');
        same(await outcomeOf(file.read(new Uint8Array(64), { nonblock: true })), 'EAGAIN', 'read');
      },
    },
    {
      name: 'after close every call gives EBADF, and closing again is nothing',
      async run(bench) {
        const file = bench.open();
        await bench.finish(file.close());
        await bench.finish(file.close());
        same(await outcomeOf(call(file, drm.DRM_IOCTL_VERSION)), 'EBADF', 'ioctl');
        same(await outcomeOf(file.mmap(0n, 4096)), 'EBADF', 'mmap');
        same(await outcomeOf(file.read(new Uint8Array(8), { nonblock: true })), 'EBADF', 'read');
      },
    },
  ],
};
