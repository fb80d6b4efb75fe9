// syncobjs and sync_files, for drivers that have them. Core fact sheet sections 5 and 6; igt-tests.md section 4.
// Not the whole of IGT: what a driver author must know holds on this device too.
import * as drm from '../../abi/drm.js';
import type { LocalFile } from '../../core/index.js';
import { Interrupt, type Bench } from '../bench.js';
import { ensure, outcomeOf, same, sameBytes, type Outcome } from '../check.js';
import { call, exportGem } from '../calls.js';
import type { Group } from './group.js';

const ALL = drm.DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL;
const FOR_SUBMIT = drm.DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT;
const AVAILABLE = drm.DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE;
const SIGNALED = drm.DRM_SYNCOBJ_CREATE_SIGNALED;

const create = async (file: LocalFile, flags = 0): Promise<number> =>
  (await call(file, drm.DRM_IOCTL_SYNCOBJ_CREATE, { flags })).handle;

/** An array in the client's memory. */
function words(file: LocalFile, values: readonly number[]): bigint {
  return file.user.place(new Uint8Array(Uint32Array.from(values).buffer)).pointer;
}

function points(file: LocalFile, values: readonly bigint[]): bigint {
  return file.user.place(new Uint8Array(BigUint64Array.from(values).buffer)).pointer;
}

const signal = (file: LocalFile, ...handles: number[]): Promise<unknown> =>
  call(file, drm.DRM_IOCTL_SYNCOBJ_SIGNAL, {
    handles: words(file, handles),
    count_handles: handles.length,
  });

const reset = (file: LocalFile, ...handles: number[]): Promise<unknown> =>
  call(file, drm.DRM_IOCTL_SYNCOBJ_RESET, { handles: words(file, handles), count_handles: handles.length });

async function wait(
  file: LocalFile,
  handles: readonly number[],
  { flags = 0, timeout = 0 }: { flags?: number; timeout?: number } = {},
): Promise<number> {
  const answer = await call(file, drm.DRM_IOCTL_SYNCOBJ_WAIT, {
    handles: words(file, handles),
    count_handles: handles.length,
    flags,
    timeout_nsec: BigInt(timeout),
  });
  return answer.first_signaled;
}

const timelineSignal = (file: LocalFile, handle: number, point: bigint): Promise<unknown> =>
  call(file, drm.DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, {
    handles: words(file, [handle]),
    points: points(file, [point]),
    count_handles: 1,
  });

async function query(file: LocalFile, handle: number, flags = 0): Promise<bigint> {
  const value = new Uint8Array(8);
  await call(file, drm.DRM_IOCTL_SYNCOBJ_QUERY, {
    handles: words(file, [handle]),
    points: file.user.place(value).pointer,
    count_handles: 1,
    flags,
  });
  return new DataView(value.buffer).getBigUint64(0, true);
}

const timelineWait = (
  file: LocalFile,
  handle: number,
  point: bigint,
  { flags = 0, timeout = 0 }: { flags?: number; timeout?: number } = {},
): Promise<unknown> =>
  call(file, drm.DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, {
    handles: words(file, [handle]),
    points: points(file, [point]),
    count_handles: 1,
    flags,
    timeout_nsec: BigInt(timeout),
  });

/** Waits with the clock standing still: what a call says at once, or `pending`. */
async function now(bench: Bench, promise: Promise<unknown>): Promise<Outcome | 'pending'> {
  let outcome: Outcome | 'pending' = 'pending';
  void outcomeOf(promise).then((settled) => (outcome = settled));
  await bench.rest();
  return outcome;
}

export const syncobj: Group = {
  name: 'fences and syncobjs',
  cases: [
    {
      name: 'handles count from 1, unknown ones, pads and flags are refused',
      needs: 'syncobj',
      async run(bench) {
        const file = bench.open();
        same(await create(file), 1, 'first handle');
        same(await create(file, SIGNALED), 2, 'second handle');
        same(await bench.outcome(create(file, 0xdeadbeef)), 'EINVAL', 'CREATE flags');
        const destroy = (handle: number, pad = 0): Promise<Outcome> =>
          bench.outcome(call(file, drm.DRM_IOCTL_SYNCOBJ_DESTROY, { handle, pad }));
        same(await destroy(7), 'EINVAL', 'DESTROY of an unknown handle');
        same(await destroy(1, 1), 'EINVAL', 'DESTROY with a pad');
        same(await destroy(1), 'ok', 'DESTROY');
        same(await destroy(1), 'EINVAL', 'DESTROY again');
      },
    },
    {
      name: 'a wait sees signalled, unsubmitted and late ones as the table says, on the absolute clock',
      needs: 'syncobj',
      async run(bench) {
        const file = bench.open();
        const { clock } = bench.system;
        const [signalled, empty] = [await create(file, SIGNALED), await create(file)];
        same(await wait(file, [signalled]), 0, 'first_signaled');
        same(await bench.outcome(wait(file, [])), 'ok', 'a wait for nothing');
        same(await bench.outcome(wait(file, [0])), 'ENOENT', 'handle 0');
        same(await bench.outcome(wait(file, [signalled], { flags: 0xdeadbeef })), 'EINVAL', 'flags');
        same(await bench.outcome(wait(file, [empty, signalled])), 'EINVAL', 'an unsubmitted one among two');
        same(await bench.outcome(wait(file, [empty], { flags: FOR_SUBMIT })), 'ETIME', 'a poll for submit');
        const end = clock.now() + 5e6;
        same(
          await bench.outcome(wait(file, [empty], { flags: FOR_SUBMIT, timeout: end })),
          'ETIME',
          'a wait for submit',
        );
        same(clock.now(), end, 'the clock when it gave up');
      },
    },
    {
      name: 'ANY tells the first signalled one, ALL waits for the last; a signal wakes both',
      needs: 'syncobj',
      async run(bench) {
        const file = bench.open();
        const timeout = bench.system.clock.now() + 1e9;
        const [a, b] = [await create(file), await create(file)];
        const any = wait(file, [a, b], { flags: FOR_SUBMIT, timeout });
        const all = outcomeOf(wait(file, [a, b], { flags: FOR_SUBMIT | ALL, timeout }));
        await bench.rest();
        await signal(file, b);
        same(await bench.finish(any), 1, 'first_signaled');
        await signal(file, a);
        same(await bench.finish(all), 'ok', 'ALL');
      },
    },
    {
      name: 'one unknown handle among several changes none of the others; counts and pads are checked',
      needs: 'syncobj',
      async run(bench) {
        const file = bench.open();
        const handle = await create(file);
        same(await bench.outcome(signal(file, handle, 99)), 'ENOENT', 'SIGNAL');
        same(await bench.outcome(wait(file, [handle])), 'EINVAL', 'the good one is still empty');
        await signal(file, handle);
        same(await bench.outcome(reset(file, handle, 99)), 'ENOENT', 'RESET');
        same(await bench.outcome(wait(file, [handle])), 'ok', 'the good one is still signalled');
        same(await bench.outcome(reset(file)), 'EINVAL', 'RESET of none');
        same(await bench.outcome(signal(file)), 'EINVAL', 'SIGNAL of none');
        await reset(file, handle);
        same(await bench.outcome(wait(file, [handle])), 'EINVAL', 'a wait after RESET');
      },
    },
    {
      name: 'an interrupted wait gives EINTR at once',
      needs: 'syncobj',
      async run(bench) {
        const file = bench.open();
        const handle = await create(file);
        const interrupt = new Interrupt();
        const bytes = drm.DrmSyncobjWait.bytes({
          handles: words(file, [handle]),
          count_handles: 1,
          flags: FOR_SUBMIT,
          timeout_nsec: 1n << 60n,
        });
        const waiting = outcomeOf(file.ioctl(drm.DRM_IOCTL_SYNCOBJ_WAIT.request, bytes, interrupt));
        await bench.rest();
        interrupt.fire();
        same(await bench.finish(waiting), 'EINTR', 'the wait');
      },
    },
    {
      name: 'a syncobj passed as a descriptor is the same box; other descriptors are refused',
      needs: 'syncobj',
      async run(bench) {
        const file = bench.open();
        const other = bench.open(file.client.process);
        const handle = await create(file);
        const { fd } = await call(file, drm.DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, { handle });
        const there = (await call(other, drm.DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, { fd })).handle;
        await signal(file, handle);
        same(await bench.outcome(wait(other, [there])), 'ok', 'a wait on the imported one');
        const bad = (fields: { handle?: number; fd?: number; flags?: number; pad?: number }) =>
          bench.outcome(call(file, drm.DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, fields));
        same(await bad({ fd: -1 }), 'EINVAL', 'descriptor -1');
        same(await bad({ fd, pad: 1 }), 'EINVAL', 'pad');
        same(await bad({ fd, flags: 0xdeadbeef }), 'EINVAL', 'flags');
        const dmaBuf = await exportGem(file, (await bench.buffer(file)).handle);
        same(await bad({ fd: dmaBuf }), 'EINVAL', 'a dma-buf');
        const out = (fields: { handle: number; flags?: number; pad?: number }) =>
          bench.outcome(call(file, drm.DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, fields));
        same(await out({ handle: 99 }), 'EINVAL', 'export of an unknown handle');
        same(await out({ handle, pad: 1 }), 'EINVAL', 'export with a pad');
        same(await out({ handle, flags: 0xdeadbeef }), 'EINVAL', 'export with flags');
      },
    },
    {
      name: 'a sync_file is a snapshot of the fence, and replaces another box’s fence',
      needs: 'syncobj',
      async run(bench) {
        const file = bench.open();
        const [source, target, empty] = [
          await create(file, SIGNALED),
          await create(file),
          await create(file),
        ];
        const flags = drm.DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE;
        const snapshot = (handle: number) =>
          call(file, drm.DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, { handle, flags });
        same(await bench.outcome(snapshot(99)), 'ENOENT', 'snapshot of an unknown handle');
        same(await bench.outcome(snapshot(empty)), 'EINVAL', 'snapshot of an empty box');
        const { fd } = await snapshot(source);
        await reset(file, source);
        const into = drm.DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE;
        await call(file, drm.DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, { handle: target, fd, flags: into });
        same(await bench.outcome(wait(file, [target])), 'ok', 'a wait after the import');
        same(
          await bench.outcome(
            call(file, drm.DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, { handle: 99, fd, flags: into }),
          ),
          'ENOENT',
          'import into an unknown handle',
        );
      },
    },
    {
      name: 'timeline points signal in order, query tells the last one, waits below it return',
      needs: 'timeline',
      async run(bench) {
        const file = bench.open();
        const handle = await create(file);
        same(await query(file, handle), 0n, 'query of an empty box');
        same(await bench.outcome(timelineWait(file, handle, 1n)), 'EINVAL', 'a wait before submission');
        await timelineSignal(file, handle, 5n);
        same(await query(file, handle), 5n, 'query');
        same(await query(file, handle, drm.DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED), 5n, 'last submitted');
        for (const point of [0n, 1n, 5n])
          same(await bench.outcome(timelineWait(file, handle, point)), 'ok', `a wait for ${point}`);
        same(await bench.outcome(timelineWait(file, handle, 6n)), 'EINVAL', 'a wait for 6');
        const timeout = bench.system.clock.now() + 1e9;
        const late = outcomeOf(timelineWait(file, handle, 8n, { flags: FOR_SUBMIT, timeout }));
        const available = outcomeOf(timelineWait(file, handle, 8n, { flags: AVAILABLE, timeout }));
        same(await now(bench, late), 'pending', 'a wait for 8');
        await timelineSignal(file, handle, 8n);
        same(await bench.finish(late), 'ok', 'the wait for 8');
        same(await bench.finish(available), 'ok', 'the wait for 8 to be there');
        same(await query(file, handle), 8n, 'query after 8');
      },
    },
    {
      name: 'TRANSFER moves a point into another box; unknown handles, pads and points are refused',
      needs: 'timeline',
      async run(bench) {
        const file = bench.open();
        const [source, target] = [await create(file), await create(file)];
        await timelineSignal(file, source, 3n);
        const transfer = (fields: {
          src_handle?: number;
          dst_handle?: number;
          src_point?: bigint;
          dst_point?: bigint;
          pad?: number;
        }) =>
          bench.outcome(
            call(file, drm.DRM_IOCTL_SYNCOBJ_TRANSFER, { src_handle: source, dst_handle: target, ...fields }),
          );
        same(await transfer({ src_point: 3n, dst_point: 10n }), 'ok', 'TRANSFER');
        same(await query(file, target), 10n, 'query of the target');
        same(await transfer({ src_handle: 99 }), 'ENOENT', 'unknown source');
        same(await transfer({ dst_handle: 99 }), 'ENOENT', 'unknown target');
        same(await transfer({ pad: 1 }), 'EINVAL', 'pad');
        same(await transfer({ src_point: 4n }), 'EINVAL', 'a point not submitted');
      },
    },
    {
      name: 'EVENTFD takes eventfds only',
      needs: 'timeline',
      async run(bench) {
        const file = bench.open();
        const handle = await create(file);
        const event = (fields: { handle?: number; flags?: number; pad?: number; fd?: number }) =>
          bench.outcome(call(file, drm.DRM_IOCTL_SYNCOBJ_EVENTFD, { handle, point: 1n, ...fields }));
        const dmaBuf = await exportGem(file, (await bench.buffer(file)).handle);
        same(await event({ fd: dmaBuf, flags: 0xdeadbeef }), 'EINVAL', 'flags');
        same(await event({ fd: dmaBuf, pad: 1 }), 'EINVAL', 'pad');
        same(await event({ fd: dmaBuf, handle: 0 }), 'ENOENT', 'handle 0');
        same(await event({ fd: -1 }), 'EBADF', 'descriptor -1');
        same(await event({ fd: dmaBuf }), 'EINVAL', 'a dma-buf');
      },
    },
    {
      name: 'a job signals its out-fence when its bytes are there, and waits for its in-fence',
      needs: 'job fences',
      async run(bench) {
        const file = bench.open();
        const timeout = bench.system.clock.now() + 1e9;
        const [gate, done] = [await create(file), await create(file)];
        const made = bench.adapter.fencedJob!;
        const early = await made(file, { inSync: gate, outSync: done });
        same(await bench.outcome(early.submit()), 'EINVAL', 'a job behind an empty box');
        same(
          await bench.outcome((await made(file, { inSync: 99 })).submit()),
          'ENOENT',
          'an unknown in_sync',
        );
        same(
          await bench.outcome((await made(file, { outSync: 99 })).submit()),
          'ENOENT',
          'an unknown out_sync',
        );
        // The third job's in-fence is the first one's out-fence; the second is another client's.
        const last = await create(file);
        const first = await made(file, { seed: 1, outSync: done, timeoutMs: 100 });
        const second = await made(bench.open(file.client.process), { seed: 2 });
        const third = await made(file, { seed: 3, inSync: done, outSync: last });
        await bench.finish(first.submit());
        await bench.finish(third.submit());
        await bench.finish(second.submit());
        same(await bench.outcome(wait(file, [done, last], { flags: ALL, timeout })), 'ok', 'a wait for both');
        sameBytes(first.result, first.expected, 'the first job’s result');
        sameBytes(third.result, third.expected, 'the result of the job behind it');
      },
    },
    {
      name: 'the out-fence of a job that hangs signals at its limit, and what waits for it goes on',
      needs: 'job fences',
      async run(bench) {
        const [file, other] = [bench.open(), bench.open()];
        const done = await create(file);
        const hung = await bench.adapter.fencedJob!(file, { outSync: done, timeoutMs: 100 });
        bench.system.faults.arm('hang');
        await bench.finish(hung.submit());
        const start = bench.system.clock.now();
        const timeout = start + 1e9;
        same(await bench.outcome(wait(file, [done], { timeout })), 'ok', 'the wait');
        ensure(bench.system.clock.now() - start >= 100e6, 'the fence signalled before the limit');
        await bench.done(await bench.job(other), 'another client’s job');
      },
    },
    {
      name: 'syncobjs of a closed file are gone, and a wait that still ran ends',
      needs: 'syncobj',
      async run(bench) {
        const [file, other] = [bench.open(), bench.open()];
        const handle = await create(file);
        const timeout = bench.system.clock.now() + 1e9;
        const waiting = outcomeOf(wait(file, [handle], { flags: FOR_SUBMIT, timeout }));
        await bench.rest();
        await bench.finish(file.close());
        ensure((await bench.finish(waiting)) !== 'ok', 'a wait for nothing ended well');
        same(await create(other), 1, 'first handle of another file');
      },
    },
  ],
};
