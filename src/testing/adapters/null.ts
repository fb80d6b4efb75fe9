// The null driver for the suite: a copy, a fill and a fence in one job.
// Not its tests: what is particular to this driver is in test/drivers.
import * as abi from '../../abi/null.js';
import type { AbortSignalLike, AccelFile } from '../../core/index.js';
import type {
  Attack,
  DriverAdapter,
  FencedJob,
  JobRequest,
  SuiteBuffer,
  SuiteJob,
  Victim,
} from '../adapter.js';
import { call, closeGem } from '../calls.js';

const PAGE = 4096;
const COPIED = 1024;
const FILLED = 64;
/** Result: copied bytes, filled bytes, one word. */
const RESULT = COPIED + FILLED + 4;
const FOREVER = (1n << 63n) - 1n;

type Command = Parameters<typeof abi.NullCommand.bytes>[0];

/** Packs commands as SUBMIT reads them. */
export function commandBytes(commands: readonly Command[]): Uint8Array {
  const bytes = new Uint8Array(commands.length * abi.NullCommand.size);
  commands.forEach((command, i) => abi.NullCommand.put(bytes, command, i * abi.NullCommand.size));
  return bytes;
}

async function createBuffer(file: AccelFile, bytes: number): Promise<SuiteBuffer> {
  const { handle, offset } = await call(file, abi.DRM_IOCTL_NULL_GEM_NEW, { size: BigInt(bytes) });
  return { handle, offset, size: Math.ceil(bytes / PAGE) * PAGE };
}

const wait = (file: AccelFile, handle: number, signal?: AbortSignalLike): Promise<unknown> =>
  call(file, abi.DRM_IOCTL_NULL_WAIT, { handle, timeout_ns: FOREVER }, signal);

/** Source and result of a seed. */
function bytesOf(seed: number): { source: Uint8Array; expected: Uint8Array } {
  const source = Uint8Array.from({ length: COPIED }, (_, i) => i * 7 + seed * 13 + 1);
  const expected = new Uint8Array(RESULT);
  expected.set(source);
  expected.fill(seed, COPIED, COPIED + FILLED);
  new DataView(expected.buffer).setUint32(COPIED + FILLED, seed + 1, true);
  return { source, expected };
}

async function prepare(
  file: AccelFile,
  {
    seed = 1,
    timeoutMs = 500,
    inSync = 0,
    outSync = 0,
  }: JobRequest & { readonly inSync?: number; readonly outSync?: number },
): Promise<FencedJob> {
  const { handle, offset, size } = await createBuffer(file, 2 * PAGE);
  const mapping = await file.mmap(offset, size);
  const { source, expected } = bytesOf(seed);
  mapping.bytes.set(source);
  const own = { src_handle: handle, dst_handle: handle };
  const commands = commandBytes([
    { op: abi.NULL_OP_COPY, ...own, src_offset: 0n, dst_offset: BigInt(PAGE), bytes: BigInt(COPIED) },
    { op: abi.NULL_OP_FILL, ...own, value: seed, dst_offset: BigInt(PAGE + COPIED), bytes: BigInt(FILLED) },
    { op: abi.NULL_OP_FENCE, ...own, value: seed + 1, dst_offset: BigInt(PAGE + COPIED + FILLED) },
  ]);
  const placed = file.user.place(commands);
  return {
    handles: [handle],
    result: mapping.bytes.subarray(PAGE, PAGE + RESULT),
    expected,
    async submit() {
      await call(file, abi.DRM_IOCTL_NULL_SUBMIT, {
        commands: placed.pointer,
        command_count: 3,
        command_size: abi.NullCommand.size,
        timeout_ms: timeoutMs,
        in_sync: inSync,
        out_sync: outSync,
      });
    },
    async release() {
      mapping[Symbol.dispose]();
      placed[Symbol.dispose]();
      await closeGem(file, handle);
    },
  };
}

async function aJob(file: AccelFile, request: JobRequest = {}): Promise<SuiteJob> {
  const { submit, ...job } = await prepare(file, request);
  return {
    ...job,
    async run(signal) {
      await submit();
      await wait(file, job.handles[0]!, signal);
    },
  };
}

async function attacks(file: AccelFile, { buffer }: Victim): Promise<Attack[]> {
  const mine = await createBuffer(file, 4 * PAGE);
  const { bytes: result } = await file.mmap(mine.offset, mine.size);
  const base = {
    op: abi.NULL_OP_COPY,
    src_handle: mine.handle,
    dst_handle: mine.handle,
    src_offset: 0n,
    dst_offset: 0n,
    bytes: BigInt(PAGE),
  };
  const past = BigInt(mine.size);
  const attempts: [string, Command][] = [
    ['a copy from every handle near the victim’s', { ...base, src_handle: buffer.handle + 1 }],
    ['a copy from a handle that was never given', { ...base, src_handle: 0xffffffff }],
    ['a copy from past the end', { ...base, src_offset: past }],
    ['a copy that begins inside and ends outside', { ...base, src_offset: past - 16n }],
    ['a copy from before the beginning', { ...base, src_offset: (1n << 64n) - BigInt(PAGE) }],
    ['a copy whose end wraps around', { ...base, src_offset: (1n << 64n) - 16n, bytes: 32n }],
    ['a copy to past the end', { ...base, dst_offset: past }],
    ['a fill to past the end', { ...base, op: abi.NULL_OP_FILL, dst_offset: past - 1n }],
    ['a fence word past the end', { ...base, op: abi.NULL_OP_FENCE, dst_offset: past }],
    ['a copy of more bytes than there are', { ...base, bytes: 1n << 40n }],
  ];
  return attempts.map(([what, command]) => ({
    what,
    result,
    async run() {
      const placed = file.user.place(commandBytes([command]));
      try {
        await call(file, abi.DRM_IOCTL_NULL_SUBMIT, {
          commands: placed.pointer,
          command_count: 1,
          command_size: abi.NullCommand.size,
          timeout_ms: 100,
        });
        await wait(file, mine.handle);
      } finally {
        placed[Symbol.dispose]();
      }
    },
  }));
}

export const nullAdapter: DriverAdapter = { driver: 'null', createBuffer, aJob, fencedJob: prepare, attacks };
