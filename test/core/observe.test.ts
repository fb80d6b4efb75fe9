// What can be seen from outside: fdinfo, snapshots, health, histograms; and runtime suspend. Core fact sheet section 9.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DRM_IOCTL_PRIME_FD_TO_HANDLE, DRM_IOCTL_PRIME_HANDLE_TO_FD } from '../../src/abi/drm.js';
import { AccelError } from '../../src/base/errors.js';
import { FenceContext, Histogram, Process, Scheduler, type Fence } from '../../src/core/index.js';
import { buffer, call, system, testDriver, type TestSystem } from './system.js';

/** A ring whose jobs the test ends by their hardware fence. */
function ring(on: TestSystem, name = 'ring0'): { scheduler: Scheduler<string>; fences: Fence[] } {
  const context = new FenceContext('test', 'hardware');
  const fences: Fence[] = [];
  const scheduler = new Scheduler<string>({
    name,
    device: on.device,
    credits: 1,
    timeoutNs: 1e9,
    run() {
      const fence = context.create();
      fences.push(fence);
      return fence;
    },
    timedOut: () => 'no-hang',
  });
  return { scheduler, fences };
}

/** One line per key, the value without its unit; a reader as the documentation of drm-usage-stats wants it. */
function parse(text: string): Map<string, string> {
  return new Map(
    text
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [, key, value] = /^([^:\s]+):\s+(.*)$/.exec(line)!;
        return [key!, value!];
      }),
  );
}

describe('fdinfo', () => {
  it('names driver, client, engines with busy time, and memory', async () => {
    const s = system();
    const { scheduler, fences } = ring(s);
    const file = s.open();
    await buffer(file, 8192);
    const entity = scheduler.entity({ file: file.client });
    const job = entity.job('a');
    job.arm();
    entity.push(job);
    await s.clock.settle();
    s.clock.advance(1500);
    fences[0]!.signal(s.clock.now());
    assert.equal(
      await file.fdinfo(),
      [
        'drm-driver:\ttest',
        `drm-client-id:\t${file.client.clientId}`,
        'drm-engine-ring0:\t1500 ns',
        'drm-total-memory:\t8 KiB',
        'drm-shared-memory:\t0',
        'drm-active-memory:\t0',
        'drm-resident-memory:\t8 KiB',
        '',
      ].join('\n'),
    );
  });

  it('lists an engine the client has not used with 0, and how many equal ones there are', async () => {
    const s = system();
    ring(s, 'core');
    ring(s, 'core');
    const info = parse(await s.open().fdinfo());
    assert.deepEqual([info.get('drm-engine-core'), info.get('drm-engine-capacity-core')], ['0 ns', '2']);
  });

  it('counts a shared buffer once per client, and as shared for both', async () => {
    const s = system();
    const process = new Process();
    const [a, b] = [s.open(process), s.open(process)];
    const { handle } = await buffer(a, 1 << 20);
    await buffer(a, 4096);
    const { fd } = await call(a, DRM_IOCTL_PRIME_HANDLE_TO_FD, { handle });
    await call(b, DRM_IOCTL_PRIME_FD_TO_HANDLE, { fd });
    const [ofA, ofB] = [parse(await a.fdinfo()), parse(await b.fdinfo())];
    assert.deepEqual([ofA.get('drm-total-memory'), ofA.get('drm-shared-memory')], ['1028 KiB', '1 MiB']);
    assert.deepEqual([ofB.get('drm-total-memory'), ofB.get('drm-shared-memory')], ['1 MiB', '1 MiB']);
    assert.notEqual(ofA.get('drm-client-id'), ofB.get('drm-client-id'));
  });

  it('calls memory active while a job uses it', async () => {
    const s = system();
    const file = s.open();
    const { handle } = await buffer(file);
    const { fence } = s.device.hw;
    file.client.lookup(handle).reservation.add(fence, 'read');
    assert.equal(parse(await file.fdinfo()).get('drm-active-memory'), '4 KiB');
    fence.signal(1);
    assert.equal(parse(await file.fdinfo()).get('drm-active-memory'), '0');
  });

  it('has the bus address of PCI devices', async () => {
    const { core, device } = system();
    const pci = core.register({ driver: testDriver, hw: device.hw, busName: '0000:00:08.0' });
    const info = parse(await core.open(pci, new Process()).fdinfo());
    assert.equal(info.get('drm-pdev'), '0000:00:08.0');
  });
});

describe('a snapshot', () => {
  it('shows devices, queues, clients and memory as plain data', async () => {
    const s = system();
    const { scheduler, fences } = ring(s);
    const file = s.open(new Process({ pid: 77, name: 'app' }));
    await buffer(file);
    const entity = scheduler.entity({ file: file.client });
    for (const name of ['a', 'b']) {
      const job = entity.job(name);
      job.arm();
      entity.push(job);
    }
    await s.clock.settle();
    s.clock.advance(100);
    fences[0]!.signal(s.clock.now(), 'EIO');
    s.device.health.dmaFaults++;
    const shot = s.core.snapshot();
    assert.deepEqual(JSON.parse(JSON.stringify(shot)), shot);
    assert.deepEqual(shot.memory, { size: 16 << 20, used: 4096 });
    const [device] = shot.devices;
    assert.deepEqual(
      [device!.name, device!.driver, device!.version, device!.busName],
      ['accel0', 'test', '1.2.3', 'test.0'],
    );
    assert.deepEqual([device!.health.hangs, device!.health.dmaFaults], [0, 1]);
    const [queue] = device!.queues;
    assert.deepEqual([queue!.queued, queue!.running, queue!.finished, queue!.failed], [1, 0, 1, 1]);
    assert.deepEqual(queue!.latency, {
      count: 1,
      sumNs: 100,
      p50Ns: 128,
      p99Ns: 128,
      buckets: [{ below: 128, count: 1 }],
    });
    assert.deepEqual(device!.clients, [
      {
        clientId: file.client.clientId,
        pid: 77,
        process: 'app',
        handles: 1,
        memory: { total: 4096, shared: 0, active: 0 },
        engines: [{ engine: 'ring0', busyNs: 100, jobs: 1 }],
      },
    ]);
  });
});

describe('a histogram', () => {
  it('counts by powers of two, below 1 and far beyond 2^32', () => {
    const histogram = new Histogram();
    for (const value of [0, 1, 2, 3, 4, 2 ** 40]) histogram.add(value);
    assert.deepEqual(histogram.buckets(), [
      { below: 2, count: 2 },
      { below: 4, count: 2 },
      { below: 8, count: 1 },
      { below: 2 ** 41, count: 1 },
    ]);
    assert.deepEqual([histogram.quantile(0.5), histogram.quantile(1), histogram.count], [4, 2 ** 41, 6]);
    assert.equal(new Histogram().quantile(0.5), 0);
  });
});

describe('runtime suspend', () => {
  const MS = 1e6;
  const powered = (): TestSystem & { log: string[]; refuse: { suspend: boolean; resume: boolean } } => {
    const log: string[] = [];
    const refuse = { suspend: false, resume: false };
    const s = system({
      ...testDriver,
      autosuspendNs: 50 * MS,
      suspend() {
        if (refuse.suspend) throw new AccelError('EBUSY');
        log.push('suspend');
      },
      resume() {
        if (refuse.resume) throw new AccelError('EIO');
        log.push('resume');
      },
    });
    return { ...s, log, refuse };
  };
  const run = async (s: TestSystem, at: ReturnType<typeof ring>): Promise<string> => {
    const entity = at.scheduler.entity();
    const job = entity.job('a');
    job.arm();
    entity.push(job);
    await s.clock.settle();
    at.fences.at(-1)?.signal(s.clock.now());
    return job.finished.error ?? 'ok';
  };

  it('comes after the idle time, and a job resumes the device before it runs', async () => {
    const s = powered();
    const at = ring(s);
    s.clock.advance(50 * MS);
    assert.deepEqual([s.log, s.device.power.suspended], [['suspend'], true]);
    assert.equal(await run(s, at), 'ok');
    assert.deepEqual([s.log, s.device.power.suspended], [['suspend', 'resume'], false]);
    s.clock.advance(50 * MS);
    assert.deepEqual(s.log, ['suspend', 'resume', 'suspend']);
  });

  it('does not come while the device is used, and each use starts the idle time anew', async () => {
    const s = powered();
    s.device.power.get();
    s.clock.advance(1000 * MS);
    s.device.power.put();
    s.clock.advance(40 * MS);
    s.device.power.get();
    s.device.power.put();
    s.clock.advance(49 * MS);
    assert.deepEqual(s.log, []);
    s.clock.advance(1 * MS);
    assert.deepEqual(s.log, ['suspend']);
  });

  it('that the driver refuses is asked again after another idle time', () => {
    const s = powered();
    s.refuse.suspend = true;
    s.clock.advance(60 * MS);
    assert.equal(s.device.power.suspended, false);
    s.refuse.suspend = false;
    s.clock.advance(50 * MS);
    assert.equal(s.device.power.suspended, true);
  });

  it('whose resume fails ends the job with that errno, not run', async () => {
    const s = powered();
    const at = ring(s);
    s.clock.advance(50 * MS);
    s.refuse.resume = true;
    assert.equal(await run(s, at), 'EIO');
    assert.equal(at.fences.length, 0);
    s.refuse.resume = false;
    assert.equal(await run(s, at), 'ok');
  });

  it('does not exist for drivers without it, nor after unplug', () => {
    const plain = system();
    assert.equal(plain.clock.pending, 0);
    const s = powered();
    s.device.unplug();
    s.clock.advance(1000 * MS);
    assert.deepEqual([s.log, s.clock.pending], [[], 0]);
  });
});
