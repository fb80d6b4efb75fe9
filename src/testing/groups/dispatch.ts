// Every request number, type and struct size. Core fact sheet section 2.
// Not what the calls do: only which exist, and how sizes and pointers are taken.
import * as drm from '../../abi/drm.js';
import { DRM_COMMAND_BASE, DRM_COMMAND_END, DRM_TYPE, type Ioctl } from '../../abi/ioctl.js';
import type { LocalFile } from '../../core/index.js';
import type { Bench } from '../bench.js';
import { among, ensure, same, type Outcome } from '../check.js';
import { resized } from '../calls.js';
import type { Group } from './group.js';

/** What a plain client gets for a struct of zeros. Fact sheet section 3; numbers that are not here are EINVAL. */
const zeroed = new Map<number, readonly Outcome[]>([
  [0x00, ['ok']],
  [0x01, ['ok']],
  [0x02, ['EACCES']],
  [0x05, ['ok']],
  [0x06, ['ok']],
  [0x07, ['EACCES']],
  [0x09, ['EINVAL']],
  [0x0a, ['EACCES']],
  [0x0b, ['EACCES']],
  [0x0c, ['EOPNOTSUPP']],
  [0x0d, ['EOPNOTSUPP']],
  [0x11, ['EACCES']],
  [0x1e, ['EACCES']],
  [0x1f, ['EACCES']],
  [0x2d, ['ENOENT']],
  [0x2e, ['EBADF']],
  // Newer kernels' SET_CLIENT_NAME and GEM_CHANGE_HANDLE may be there or not.
  [0xd1, ['ok', 'EINVAL', 'EOPNOTSUPP']],
  [0xd2, ['EINVAL', 'ENOENT', 'EOPNOTSUPP']],
]);

/** Dumb buffers: for test devices that ask for them. */
const dumbNrs = [0xb2, 0xb3, 0xb4];

const syncobjNrs = [0xbf, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xca, 0xcb, 0xcc, 0xcd, 0xcf];

const generic: readonly Ioctl[] = [
  drm.DRM_IOCTL_VERSION,
  drm.DRM_IOCTL_GET_UNIQUE,
  drm.DRM_IOCTL_GET_CLIENT,
  drm.DRM_IOCTL_GET_STATS,
  drm.DRM_IOCTL_GEM_CLOSE,
  drm.DRM_IOCTL_GET_CAP,
  drm.DRM_IOCTL_SET_CLIENT_CAP,
  drm.DRM_IOCTL_PRIME_HANDLE_TO_FD,
  drm.DRM_IOCTL_PRIME_FD_TO_HANDLE,
] as Ioctl[];

/** The driver's calls and the generic ones that have a struct. */
function calls(bench: Bench): Ioctl[] {
  const own = bench.accel.driver.ioctls.map(({ def }) => def);
  return [...generic, ...own].filter(({ layout }) => layout !== undefined);
}

const request = (type: number, nr: number, size: number): number =>
  ((3 << 30) | (size << 16) | (type << 8) | nr) >>> 0;

function zeros(bench: Bench, file: LocalFile, what: number, bytes: number): Promise<Outcome> {
  return bench.outcome(file.ioctl(what, new Uint8Array(bytes)));
}

export const dispatch: Group = {
  name: 'dispatch',
  cases: [
    {
      name: 'every number from 0 to 0xff of type d answers as the table of the fact sheet says',
      async run(bench) {
        const file = bench.open();
        const own = new Set(bench.accel.driver.ioctls.map(({ def }) => def.nr));
        for (let nr = 0; nr <= 0xff; nr++) {
          const what = `nr 0x${nr.toString(16)}`;
          const outcome = await zeros(bench, file, request(DRM_TYPE, nr, 64), 64);
          if (nr >= DRM_COMMAND_BASE && nr < DRM_COMMAND_END) {
            if (own.has(nr)) ensure(outcome !== 'ENOTTY', `${what} is the driver’s and gives ENOTTY`);
            else same(outcome, 'EINVAL', what);
          } else if (syncobjNrs.includes(nr)) {
            if (!bench.accel.driver.features.syncobj) same(outcome, 'EOPNOTSUPP', what);
            else ensure(outcome !== 'ENOTTY', `${what} is a syncobj call and gives ENOTTY`);
          } else if (dumbNrs.includes(nr)) {
            if (bench.accel.driver.features.dumb !== true) same(outcome, 'EOPNOTSUPP', what);
            else among(outcome, ['EINVAL', 'ENOENT'], what);
          } else if (drm.MODESET_NRS.includes(nr)) same(outcome, 'EOPNOTSUPP', what);
          else among(outcome, zeroed.get(nr) ?? ['EINVAL'], what);
        }
      },
    },
    {
      name: 'every type byte but d gives ENOTTY, for generic and for driver numbers',
      async run(bench) {
        const file = bench.open();
        for (let type = 0; type <= 0xff; type++) {
          if (type === DRM_TYPE) continue;
          for (const nr of [0x00, 0x09, 0x40])
            same(
              await zeros(bench, file, request(type, nr, 64), 64),
              'ENOTTY',
              `type 0x${type.toString(16)}`,
            );
        }
      },
    },
    {
      name: 'a struct 8 bytes shorter or longer than ours is taken, and answered in the caller’s size',
      async run(bench) {
        const file = bench.open();
        for (const def of calls(bench)) {
          const { size } = def.layout!;
          const exact = await zeros(bench, file, def.request, size);
          for (const other of [size - 8, size + 8]) {
            if (other <= 0) continue;
            const bytes = new Uint8Array(other + 8).fill(0x5a, other);
            const outcome = await bench.outcome(file.ioctl(resized(def.request, other), bytes));
            same(outcome, exact, `${def.name} with ${other} instead of ${size} bytes`);
            ensure(
              bytes.subarray(other).every((byte) => byte === 0x5a),
              `${def.name} wrote past the caller’s ${other} bytes`,
            );
          }
        }
      },
    },
    {
      name: 'a longer VERSION struct gets its known part filled, a shorter one its own part',
      async run(bench) {
        const file = bench.open();
        const { layout, request: exact } = drm.DRM_IOCTL_VERSION;
        const { name } = bench.accel.driver;
        for (const size of [layout!.size - 8, layout!.size + 8]) {
          const bytes = new Uint8Array(Math.max(size, layout!.size));
          await bench.finish(file.ioctl(resized(exact, size), bytes.subarray(0, size)));
          same(layout!.from(bytes).name_len, BigInt(name.length), `name_len in ${size} bytes`);
        }
      },
    },
    {
      name: 'an argument shorter than the request says gives EFAULT, no argument too',
      async run(bench) {
        const file = bench.open();
        for (const def of calls(bench)) {
          const { size } = def.layout!;
          same(
            await zeros(bench, file, def.request, size - 1),
            'EFAULT',
            `${def.name} with ${size - 1} bytes`,
          );
          same(await bench.outcome(file.ioctl(def.request)), 'EFAULT', `${def.name} without argument`);
        }
      },
    },
    {
      name: 'a call whose direction bits the caller leaves out copies nothing in and nothing out',
      async run(bench) {
        const file = bench.open();
        const { layout, request: exact } = drm.DRM_IOCTL_GET_CAP;
        const write = ((exact & 0x3fffffff) | (1 << 30)) >>> 0;
        const bytes = layout!.bytes({ capability: drm.DRM_CAP_PRIME, value: 77n });
        await bench.finish(file.ioctl(write, bytes));
        same(layout!.from(bytes).value, 77n, 'value of a write-only GET_CAP');
        const read = ((exact & 0x3fffffff) | (2 << 30)) >>> 0;
        same(
          await bench.outcome(file.ioctl(read, bytes)),
          'EOPNOTSUPP',
          'read-only GET_CAP sees capability 0',
        );
      },
    },
    {
      name: 'structs of all ones end in an errno, never in another error',
      async run(bench) {
        const file = bench.open();
        for (const def of calls(bench)) {
          for (const value of [0xff, 0x7f, 0x80, 0x01]) {
            const bytes = new Uint8Array(def.layout!.size).fill(value);
            await bench.outcome(file.ioctl(def.request, bytes));
          }
        }
        await bench.done(await bench.job(bench.open()), 'a job after that');
      },
    },
  ],
};
