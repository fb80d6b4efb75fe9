// The suite itself: it passes what is right, finds what is wrong, and skips only with a reason.
// Not a driver's conformance: test/drivers has those.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestClock } from '../../src/base/clock.js';
import { nullDriver } from '../../src/drivers/null/index.js';
import { nvdla } from '../../src/drivers/nvdla/driver.js';
import type { LocalFile } from '../../src/core/index.js';
import { conform } from '../../src/node/cli/conform.js';
import { suiteSystem } from '../../src/node/suite-system.js';
import {
  adapterFor,
  Bench,
  conformanceCases,
  runCases,
  type CaseResult,
  type SuiteOptions,
  type SuiteSystem,
} from '../../src/testing/index.js';
import { collected } from './io.js';

const board = 'null';

/** Runs the cases whose name contains `only` on a system that `spoil` has had its hands on. */
async function spoiled(
  only: string,
  spoil: (system: SuiteSystem) => void,
  options: Partial<SuiteOptions> = {},
): Promise<CaseResult[]> {
  const cases = conformanceCases({
    name: board,
    ...adapterFor(board),
    engines: ['inline'],
    system: (engines) => {
      const system = suiteSystem({ board, engines });
      spoil(system);
      return system;
    },
    ...options,
  });
  return runCases(cases.filter(({ name }) => name.includes(only)));
}

const failures = (results: readonly CaseResult[]): CaseResult[] =>
  results.filter(({ outcome }) => outcome === 'failed');

/** The client's side of every file opened from now on goes through `wrap`. */
function interpose(system: SuiteSystem, wrap: (file: LocalFile) => void): void {
  const { core } = system;
  const open = core.open.bind(core);
  core.open = (...parameters) => {
    const file = open(...parameters);
    wrap(file);
    return file;
  };
}

describe('the conformance suite', () => {
  it('finds memory that is not zeroed', async () => {
    const results = await spoiled('freed memory is zero', ({ core }) => {
      const { memory } = core;
      const allocate = memory.allocate.bind(memory);
      memory.allocate = (bytes) => {
        const address = allocate(bytes);
        memory.bytes.fill(0xc5, address, address + bytes);
        return address;
      };
    });
    assert.match(failures(results)[0]!.reason!, /another client’s bytes/);
  });

  it('finds a file that maps another file’s buffer', async () => {
    const results = await spoiled('mmap offset gives EACCES', (system) => {
      const known: LocalFile[] = [];
      interpose(system, (file) => {
        known.push(file);
        const mmap = file.mmap.bind(file);
        file.mmap = (offset, length) => mmap(offset, length).catch(() => known[0]!.mmap(offset, length));
      });
    });
    assert.equal(failures(results).length, 1);
  });

  it('finds a wrong errno, an exception that is no errno, and a leak', async () => {
    const wrongErrno = await spoiled('EINVAL on close', (system) => {
      interpose(system, (file) => {
        const ioctl = file.ioctl.bind(file);
        file.ioctl = (request, ...rest) => ioctl(request, ...rest).catch(() => 0);
      });
    });
    assert.match(failures(wrongErrno)[0]!.reason!, /GEM_CLOSE 1: ok, should be EINVAL/);

    const exception = await spoiled('unknown handle', (system) => {
      interpose(system, (file) => {
        file.ioctl = () => Promise.reject(new TypeError('x is not a function'));
      });
    });
    assert.ok(failures(exception).length > 0);

    const leak = await spoiled('exported and closed hold nothing', (system) => {
      interpose(system, (file) => {
        const closeFd = file.closeFd.bind(file);
        file.closeFd = async (fd) => {
          if (fd % 2 === 0) await closeFd(fd);
        };
      });
    });
    assert.match(failures(leak)[0]!.reason!, /descriptors at the end/);
  });

  it('finds a wrong result, and a call that never ends', async () => {
    const { adapter } = adapterFor(board);
    const wrong = await spoiled('a job changes its result', () => undefined, {
      adapter: {
        ...adapter,
        aJob: async (file, request) => {
          const job = await adapter.aJob(file, request);
          job.expected[3]! ^= 1;
          return job;
        },
      },
    });
    assert.match(failures(wrong)[0]!.reason!, /the job: result: byte 3 is/);

    const endless = await spoiled('a job changes its result', () => undefined, {
      adapter: {
        ...adapter,
        aJob: async (file, request) => ({
          ...(await adapter.aJob(file, request)),
          run: () => new Promise(() => undefined),
        }),
      },
    });
    assert.match(failures(endless)[0]!.reason!, /a call never ends/);
  });

  it('fails what a driver lacks without a reason, and skips with one', async () => {
    const options: SuiteOptions = {
      name: 'nvdla:nv_small',
      adapter: adapterFor('nvdla:nv_small').adapter,
      engines: ['inline'],
      system: (engines) => suiteSystem({ board: 'nvdla:nv_small', engines }),
    };
    const only = (lacks: SuiteOptions['lacks'] & {}) =>
      runCases(conformanceCases({ ...options, lacks }).filter(({ name }) => name.includes('EVENTFD')));
    assert.match((await only({}))[0]!.reason!, /gives no reason/);
    assert.equal((await only({ timeline: 'no fences' }))[0]!.reason, 'timeline: no fences');
  });

  it('is the same for every driver: the adapters name their drivers', () => {
    assert.equal(adapterFor('null').adapter.driver, nullDriver.name);
    assert.equal(adapterFor('nvdla:nv_large').adapter.driver, nvdla.name);
    assert.throws(() => adapterFor('gpu'), { code: 'ENODEV' });
    assert.throws(() => adapterFor('nvdla:nv_tiny'), { code: 'ENODEV' });
  });

  it('moves the clock only when nothing else is left', async () => {
    const system = suiteSystem({ board, engines: 'worker' });
    const bench = new Bench(system, adapterFor(board).adapter, 'worker');
    const start = system.clock.now();
    for (let i = 0; i < 20; i++) await bench.done(await bench.job(bench.open(), { seed: i + 1 }));
    assert.equal(system.clock.now(), start);
    bench.dispose();
    assert.ok(system.clock instanceof TestClock);
  });
});

describe('accel conform', () => {
  it('prints a row per group and says that all held', async () => {
    const io = collected();
    assert.equal(await conform('null', { engines: 'inline', only: 'prime' }, io), true);
    assert.match(
      io.stdout,
      /^null, engines inline\ngroup +passed +failed +skipped\nprime +9 +0 +0\nall +9 +0 +0\n$/,
    );
  });

  it('prints JSON with every case, and reasons of skipped ones', async () => {
    const io = collected();
    assert.equal(
      await conform('nvdla:nv_small', { engines: 'inline', only: 'EVENTFD', json: true }, io),
      true,
    );
    const { device, cases } = JSON.parse(io.stdout) as { device: string; cases: CaseResult[] };
    assert.equal(device, 'nvdla:nv_small');
    assert.deepEqual(
      cases.map(({ outcome }) => outcome),
      ['skipped'],
    );
    assert.match(cases[0]!.reason!, /no fences/);
  });
});
