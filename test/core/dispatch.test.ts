// From request number to handler: sizes, directions, permissions, errno. Core fact sheet section 2.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EventFd, Process, TraceStep, type TraceEvent } from '../../src/core/index.js';
import {
  AUTH,
  BLOCK,
  buffer,
  call,
  ECHO,
  FAIL,
  fails,
  MASTER,
  POKE,
  REPORT,
  resized,
  ROOT,
  system,
  testDriver,
} from './system.js';

const words = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
const asWords = (bytes: Uint8Array): number[] => [...new Uint32Array(bytes.slice().buffer)];

describe('ioctl numbers', () => {
  it("of another type than 'd' give ENOTTY", async () => {
    const file = system().open();
    for (const type of [0, 0x3e, 0x63, 0x65, 0xff])
      await fails(file.ioctl(0xc0100040 | (type << 8), new Uint8Array(16)), 'ENOTTY');
  });

  it('in holes and past the ends of both tables give EINVAL, for every nr 0..0xff', async () => {
    const file = system().open();
    const known = new Set(file.client.device.ioctls.flatMap((entry) => entry?.def.nr ?? []));
    const refused: number[] = [];
    for (let nr = 0; nr < 256; nr++) {
      if (known.has(nr)) continue;
      await fails(file.ioctl((0xc0106400 | nr) >>> 0, new Uint8Array(16)), 'EINVAL');
      refused.push(nr);
    }
    // A hole in the driver's table, its end, a hole in the core's.
    for (const nr of [0x48, 0x9f, 0x03]) assert.ok(refused.includes(nr));
  });

  it('of a driver must lie in the range of drivers', () => {
    const wrong = { ...ECHO, nr: 0x0c };
    const ioctls = [{ ...testDriver.ioctls[0]!, def: wrong }];
    assert.throws(() => system({ ...testDriver, ioctls: ioctls as never }), /number 12 is not a driver's/);
  });
});

describe('ioctl sizes', () => {
  it('match by nr alone: the exact struct works', async () => {
    const result = await call(system().open(), ECHO, { a: 7, b: 41 });
    assert.deepEqual(result, { a: 7, b: 42, c: 0x1_0000_0007n });
  });

  it('shorter by 8: the rest is zero for the handler and not copied back', async () => {
    const file = system().open();
    const bytes = words(7, 41, 0xaaaaaaaa, 0xbbbbbbbb);
    await file.ioctl(resized(ECHO.request, 8), bytes);
    assert.deepEqual(asWords(bytes), [7, 42, 0xaaaaaaaa, 0xbbbbbbbb]);
  });

  it('longer by 8: what the kernel does not know comes back as it was', async () => {
    const file = system().open();
    const bytes = words(7, 41, 0, 0, 0x11111111, 0x22222222);
    await file.ioctl(resized(ECHO.request, 24), bytes);
    assert.deepEqual(asWords(bytes), [7, 42, 7, 1, 0x11111111, 0x22222222]);
  });

  it('of nothing: works on zeros and copies nothing back', async () => {
    assert.equal(await system().open().ioctl(resized(ECHO.request, 0)), 0);
  });

  it('larger than the argument give EFAULT', async () => {
    const file = system().open();
    await fails(file.ioctl(ECHO.request, new Uint8Array(15)), 'EFAULT');
    await fails(file.ioctl(ECHO.request), 'EFAULT');
  });
});

describe('ioctl directions', () => {
  const write = 0x40000000;
  const both = 0xc0000000;
  const direction = (request: number, bits: number): number => ((request & 0x3fffffff) | bits) >>> 0;

  it('count only when set on both sides: not written by the caller, nothing is copied in', async () => {
    const bytes = words(7, 41, 0, 0);
    await system().open().ioctl(direction(ECHO.request, 0x80000000), bytes);
    assert.deepEqual(asWords(bytes), [0, 1, 0, 1]);
  });

  it('count only when set on both sides: not read by the caller, nothing is copied out', async () => {
    const bytes = words(7, 41, 0, 0);
    await system().open().ioctl(direction(ECHO.request, write), bytes);
    assert.deepEqual(asWords(bytes), [7, 41, 0, 0]);
  });

  it('count only when set on both sides: an out-only call of the kernel reads nothing', async () => {
    const bytes = words(7, 41, 1, 1);
    await system().open().ioctl(direction(REPORT.request, both), bytes);
    assert.deepEqual(asWords(bytes), [0, 5, 0, 0]);
  });
});

describe('a failing handler', () => {
  it('still has its arguments copied back', async () => {
    const bytes = words(7, 41, 3, 0);
    await fails(system().open().ioctl(FAIL.request, bytes), 'EBUSY');
    assert.deepEqual(asWords(bytes), [7, 77, 3, 0]);
  });

  it('names call, field and reason', async () => {
    const error = await fails(call(system().open(), FAIL), 'EBUSY');
    assert.equal(error.message, 'EBUSY in TEST_FAIL: a: always');
  });
});

describe('a driver with a defect', () => {
  const broken = (): never => {
    throw new TypeError('undefined is not a function');
  };

  it('gives EIO to the caller with the cause, and is counted', async () => {
    const ioctls = [{ ...testDriver.ioctls[0]!, handler: broken }];
    const { open, device } = system({ ...testDriver, ioctls });
    const error = await fails(call(open(), ECHO), 'EIO');
    assert.ok(error.cause instanceof TypeError);
    assert.deepEqual([device.health.defects, device.health.lastDefect], [1, error.cause]);
  });

  it('does not keep files, buffers and other processes from being ended', async () => {
    const { open, device, memory } = system({
      ...testDriver,
      close: broken,
      gemClose: broken,
      unplug: broken,
    });
    const process = new Process();
    for (const file of [open(process), open(process)]) await buffer(file);
    process.kill();
    device.unplug();
    assert.deepEqual([memory.used, device.files.size, device.health.defects], [0, 0, 5]);
  });
});

describe('ioctl permissions', () => {
  it('let administrators, and nobody else, make authenticated and root calls', async () => {
    const { open } = system();
    const user = open();
    const admin = open(new Process({ admin: true }));
    for (const def of [AUTH, ROOT]) {
      await fails(call(user, def), 'EACCES');
      assert.equal((await call(admin, def)).b, 1);
    }
  });

  it('let nobody be master', async () => {
    const { open } = system();
    await fails(call(open(), MASTER), 'EACCES');
    await fails(call(open(new Process({ admin: true })), MASTER), 'EACCES');
  });
});

describe('a blocking ioctl', () => {
  it('ends with EINTR when its signal fires, and works when called again', async () => {
    const { open, device, clock } = system();
    const file = open();
    const interrupt = new AbortController();
    const blocked = call(file, BLOCK, {}, interrupt.signal);
    interrupt.abort();
    await fails(blocked, 'EINTR');
    const again = call(file, BLOCK);
    device.hw.fence.signal(clock.now());
    assert.equal((await again).b, 1);
  });

  it('does not hold up other calls of the same file', async () => {
    const { open, device, clock } = system();
    const file = open();
    const blocked = call(file, BLOCK);
    assert.equal((await call(file, ECHO, { b: 1 })).b, 2);
    device.hw.fence.signal(clock.now());
    await blocked;
  });

  it('called with a signal that has fired already ends with EINTR', async () => {
    const interrupt = new AbortController();
    interrupt.abort();
    await fails(call(system().open(), BLOCK, {}, interrupt.signal), 'EINTR');
  });
});

describe('a call that still runs', () => {
  it('keeps the file when it is closed: the driver close comes when it returns', async () => {
    const { open, device, clock } = system();
    const file = open();
    const blocked = call(file, BLOCK);
    await file.close();
    await fails(file.ioctl(ECHO.request, new Uint8Array(16)), 'EBADF');
    assert.deepEqual(device.hw.log, ['open']);
    device.hw.fence.signal(clock.now());
    assert.equal((await blocked).b, 1);
    assert.deepEqual(device.hw.log, ['open', 'close with 0 handles']);
  });

  it('ends with EINTR when its process is killed', async () => {
    const { open, device } = system();
    const process = new Process();
    const file = open(process);
    const blocked = call(file, BLOCK);
    const reading = file.read(new Uint8Array(16));
    process.kill();
    await fails(blocked, 'EINTR');
    await fails(reading, 'EINTR');
    assert.deepEqual([device.files.size, device.hw.log.length], [0, 2]);
  });

  it('after its process was killed leaves no handle and no descriptor behind', async () => {
    const { open, memory, clock } = system();
    const process = new Process();
    const { client } = open(process);
    process.kill();
    const gem = client.createGem(4096);
    await fails(() => client.createHandle(gem), 'EBADF');
    gem.put();
    await clock.settle();
    assert.equal(memory.used, 0);
    await fails(() => process.fds.install(new EventFd()), 'ESRCH');
  });
});

describe('pointers in ioctl structs', () => {
  it('reach buffers the client has placed, until they are taken away', async () => {
    const file = system().open();
    const bytes = Uint8Array.of(0, 0, 5, 0, 0, 0);
    const placed = file.user.place(bytes);
    const result = await call(file, POKE, { c: placed.pointer + 2n });
    assert.equal(result.a, 5);
    assert.deepEqual([...bytes], [0, 0, 6, 0, 0, 0]);
    placed[Symbol.dispose]();
    await fails(call(file, POKE, { c: placed.pointer + 2n }), 'EFAULT');
  });

  it('that are null, past the end or across the end give EFAULT', async () => {
    const file = system().open();
    const { pointer } = file.user.place(new Uint8Array(6));
    for (const c of [0n, pointer + 3n, pointer + 6n, pointer - 1n, 0xffff_ffff_ffff_fff0n])
      await fails(call(file, POKE, { c }), 'EFAULT');
  });
});

describe('trace points of an ioctl', () => {
  it('are emitted in order to whoever subscribed, and cost nothing to others', async () => {
    const { core, open, clock } = system();
    const file = open();
    const events: TraceEvent[] = [];
    const subscription = core.trace.subscribe((event) => events.push(event));
    clock.advance(5);
    await call(file, ECHO);
    subscription[Symbol.dispose]();
    await call(file, ECHO);
    const common = { at: 1_000_005, device: 'accel0', client: file.client.clientId, name: 'TEST_ECHO' };
    assert.deepEqual(events, [
      { step: TraceStep.ioctl, ...common },
      { step: TraceStep.dispatch, ...common },
    ]);
    assert.equal(core.trace.enabled, false);
  });
});
