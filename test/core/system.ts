// A core with a test device: DRAM of 16 MiB, a clock that is moved, and a driver whose calls show what dispatch does.
// Not a model of hardware: jobs end when the test says so.
import assert from 'node:assert/strict';
import { DRM_COMMAND_BASE, DRM_TYPE, ior, iowr, type Ioctl } from '../../src/abi/ioctl.js';
import { TestClock } from '../../src/base/clock.js';
import { AccelError, type ErrnoName } from '../../src/base/errors.js';
import { PAGE_SIZE, pageAlign, type SystemMemory } from '../../src/base/memory.js';
import { RangeAllocator } from '../../src/base/range-allocator.js';
import { struct, u32, u64 } from '../../src/base/struct.js';
import { sharedMemory } from '../../src/base/wasm.js';
import {
  Core,
  FenceContext,
  on,
  Process,
  type AbortSignalLike,
  type AccelDevice,
  type AccelFile,
  type ClientFile,
  type Driver,
  type Fence,
  type IommuDomain,
  type LocalFile,
  type OpenOptions,
} from '../../src/core/index.js';

/** DRAM over a shared memory of its own. */
export function dram(bytes = 16 << 20): SystemMemory {
  const memory = sharedMemory(bytes);
  const all = new Uint8Array(memory.buffer, 0, bytes);
  const ranges = new RangeAllocator(PAGE_SIZE, bytes - PAGE_SIZE);
  return {
    memory,
    bytes: all,
    words: new Uint32Array(memory.buffer, 0, bytes / 4),
    view: new DataView(memory.buffer, 0, bytes),
    size: bytes,
    get used() {
      return ranges.used;
    },
    allocate(size) {
      const at = ranges.allocate(pageAlign(size), PAGE_SIZE);
      if (at === undefined) throw new AccelError('ENOMEM', { reason: `no ${size} bytes of DRAM` });
      all.fill(0, at, at + pageAlign(size));
      return at;
    },
    free: (address) => void ranges.free(address),
  };
}

/** An IOMMU domain that remembers what is mapped. */
export class FakeDomain implements IommuDomain {
  readonly mapped = new Map<number, { physical: number; bytes: number; access: string }>();
  disposed = false;
  map(iova: number, physical: number, bytes: number, access: 'read' | 'write' | 'read-write'): void {
    this.mapped.set(iova, { physical, bytes, access });
  }
  unmap(iova: number, bytes: number): void {
    assert.equal(this.mapped.get(iova)?.bytes, bytes);
    this.mapped.delete(iova);
  }
  [Symbol.dispose](): void {
    this.disposed = true;
  }
}

const Echo = struct('test_echo', { a: u32, b: u32, c: u64 }, { bytes: 16 });
const Create = struct('test_create', { size: u64, handle: u32, pad: u32 }, { bytes: 16 });
const MapOffset = struct('test_map', { handle: u32, pad: u32, offset: u64 }, { bytes: 16 });
const at = (nr: number): number => DRM_COMMAND_BASE + nr;

export const ECHO = iowr('TEST_ECHO', DRM_TYPE, at(0), Echo);
export const FAIL = iowr('TEST_FAIL', DRM_TYPE, at(1), Echo);
export const CREATE = iowr('TEST_CREATE', DRM_TYPE, at(2), Create);
export const MAP = iowr('TEST_MAP', DRM_TYPE, at(3), MapOffset);
export const AUTH = iowr('TEST_AUTH', DRM_TYPE, at(4), Echo);
export const ROOT = iowr('TEST_ROOT', DRM_TYPE, at(5), Echo);
export const MASTER = iowr('TEST_MASTER', DRM_TYPE, at(6), Echo);
/** Sleeps on the device's fence. */
export const BLOCK = iowr('TEST_BLOCK', DRM_TYPE, at(7), Echo);
/** Direction is out only. */
export const REPORT = ior('TEST_REPORT', DRM_TYPE, at(9), Echo);
/** Reads 4 bytes of user memory at `c`, writes them plus one back. */
export const POKE = iowr('TEST_POKE', DRM_TYPE, at(10), Echo);

export interface TestHw {
  readonly context: FenceContext;
  fence: Fence;
  /** What open throws, when set. */
  refuse: ErrnoName | undefined;
  /** Calls of the driver's open, close, unplug, gemClose. */
  readonly log: string[];
}
export interface TestOwn {
  readonly file: ClientFile<TestHw, TestOwn>;
}

type Entry = NonNullable<Driver<TestHw, TestOwn>['ioctls']>[number];
const entry = <V extends object>(
  def: Ioctl<V>,
  handler: (
    file: ClientFile<TestHw, TestOwn>,
    args: V,
    signal?: AbortSignalLike,
  ) => Partial<V> | undefined | Promise<Partial<V> | undefined>,
  permission?: 'auth' | 'root' | 'master',
): Entry => on<TestHw, TestOwn, V>(def, handler, permission);

export const testDriver: Driver<TestHw, TestOwn> = {
  name: 'test',
  description: 'A driver for tests',
  date: '20220806',
  version: { major: 1, minor: 2, patch: 3 },
  features: { gem: true, syncobj: true, syncobjTimeline: true },
  ioctls: [
    entry(ECHO, (_, { a, b }) => ({ b: b + 1, c: BigInt(a) + 0x1_0000_0000n })),
    entry(FAIL, (_, args) => {
      args.b = 77;
      throw new AccelError('EBUSY', { field: 'a', reason: 'always' });
    }),
    entry(CREATE, (file, { size }) => {
      const gem = file.createGem(Number(size));
      const handle = file.createHandle(gem);
      gem.put();
      return { handle };
    }),
    entry(MAP, (file, { handle }) => ({ offset: file.mmapOffset(file.lookup(handle)) })),
    entry(AUTH, () => ({ b: 1 }), 'auth'),
    entry(ROOT, () => ({ b: 1 }), 'root'),
    entry(MASTER, () => ({ b: 1 }), 'master'),
    entry(BLOCK, async (file, _, signal) => {
      await file.device.hw.fence.wait(signal);
      return { b: 1 };
    }),
    entry(REPORT, (_, { a }) => ({ b: a + 5 })),
    entry(POKE, async (file, { c }) => {
      const [first] = await file.readUser(c, 4);
      await file.writeUser(c, Uint8Array.of(first! + 1, 0, 0, 0));
      return { a: first };
    }),
  ],
  open(device, file) {
    if (device.hw.refuse !== undefined) throw new AccelError(device.hw.refuse, { call: 'open' });
    device.hw.log.push('open');
    return { file };
  },
  close(own) {
    own.file.device.hw.log.push(`close with ${own.file.handles} handles`);
  },
  unplug(device) {
    device.hw.log.push('unplug');
  },
  gemClose(file) {
    file.device.hw.log.push('gem close');
  },
};

export interface TestSystem {
  readonly clock: TestClock;
  readonly memory: SystemMemory;
  readonly core: Core;
  readonly device: AccelDevice<TestHw>;
  open(process?: Process, options?: OpenOptions): LocalFile;
  addDevice(): AccelDevice<TestHw>;
}

export function system(driver: Driver<TestHw, TestOwn> = testDriver): TestSystem {
  const clock = new TestClock(1_000_000);
  const memory = dram();
  const core = new Core({ clock, memory });
  const addDevice = (): AccelDevice<TestHw> => {
    const context = new FenceContext('test', 'device');
    const hw: TestHw = { context, fence: context.create(), refuse: undefined, log: [] };
    return core.register({ driver, hw, busName: 'test.0' });
  };
  const device = addDevice();
  return {
    clock,
    memory,
    core,
    device,
    addDevice,
    open: (process = new Process(), options) => core.open(device, process, options),
  };
}

/** Calls by definition: fields in, the whole struct out. Layout and size are the definition's. */
export async function call<V extends object>(
  file: AccelFile,
  def: Ioctl<V>,
  fields: Partial<V> = {},
  signal?: AbortSignalLike,
): Promise<V> {
  const bytes = def.layout!.bytes(fields);
  await file.ioctl(def.request, bytes, signal);
  return def.layout!.from(bytes);
}

/** A request with another size. */
export function resized(request: number, bytes: number): number {
  return ((request & ~(0x3fff << 16)) | (bytes << 16)) >>> 0;
}

/** A buffer: its handle and its fake offset. */
export async function buffer(file: AccelFile, size = PAGE_SIZE): Promise<{ handle: number; offset: bigint }> {
  const { handle } = await call(file, CREATE, { size: BigInt(size) });
  const { offset } = await call(file, MAP, { handle });
  return { handle, offset };
}

/** Asserts that `action` fails with Linux's errno. */
export async function fails(
  action: Promise<unknown> | (() => unknown),
  code: ErrnoName,
): Promise<AccelError> {
  try {
    await (typeof action === 'function' ? action() : action);
  } catch (error) {
    assert.ok(error instanceof AccelError, `threw ${String(error)}, expected ${code}`);
    assert.equal(error.code, code, error.message);
    return error;
  }
  return assert.fail(`succeeded, expected ${code}`);
}
