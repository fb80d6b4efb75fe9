// The byte-level fuzzer: a short run on each kind of device ends clean, repeats by its seed, and sees what is wrong.
// Not a campaign: npm run fuzz.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fuzzer } from '../../src/node/fuzz/fuzzer.js';
import { Random } from '../../src/node/fuzz/random.js';
import { fuzz } from '../../src/node/cli/fuzz.js';
import { Dram } from '../../src/machine/index.js';
import { DmaBuf } from '../../src/core/index.js';
import { collected } from './io.js';
import { spoilt } from './spoilt.js';

describe('the fuzzer', () => {
  for (const device of ['null', 'nvdla:nv_small', 'nvdla:nv_full', 'gna:2.0', 'gna:3.0']) {
    it(`ends clean on ${device} and reaches the hardware`, async () => {
      const report = await new Fuzzer({ device, calls: 15_000, seed: 1 }).run();
      assert.ok(report.jobs > 100, `${report.jobs} jobs`);
      assert.ok(report.faults > 0);
      for (const outcome of ['ok', 'EINVAL', 'EBADF', 'EACCES', 'ENOTTY', 'EFAULT', 'EINTR'])
        assert.ok(report.outcomes[outcome]! > 0, outcome);
      assert.equal(report.outcomes['defect'], undefined);
    });
  }

  it('makes the same calls for the same seed, others for another', async () => {
    const run = (seed: number) => new Fuzzer({ device: 'null', calls: 10_000, seed }).run();
    const first = await run(7);
    assert.deepEqual(await run(7), first);
    assert.notDeepEqual((await run(8)).outcomes, first.outcomes);
  });

  const run = (): Promise<unknown> => new Fuzzer({ device: 'null', calls: 20_000, seed: 1 }).run();

  it('finds memory that keeps its last owner’s bytes', async () => {
    const violation = await spoilt(
      Dram.prototype,
      'allocate',
      (allocate) =>
        function (this: Dram, bytes) {
          const address = allocate.call(this, bytes);
          this.bytes[address + 7] = 1;
          return address;
        },
      run,
    );
    assert.match(violation.message, /new memory is not zero \(device null, seed 1, after \d+ calls\)/);
  });

  it('finds a reference that is never put', async () => {
    const violation = await spoilt(
      DmaBuf.prototype as unknown as { release(): void },
      'release',
      () => () => undefined,
      run,
    );
    assert.match(violation.message, /bytes of DRAM are still in use/);
  });

  it('finds a call that throws something else than an errno', async () => {
    const violation = await spoilt(
      DmaBuf.prototype,
      'poll',
      () => () => {
        throw new TypeError('no such thing');
      },
      run,
    );
    assert.match(violation.message, /a call threw TypeError: no such thing/);
  });

  it('prints calls per second and how calls ended', async () => {
    const io = collected();
    assert.equal(await fuzz({ device: 'null', calls: 5000, seed: 3 }, io), true);
    assert.match(io.stdout, /^null, seed 3: 5\d\d\d calls in [\d.]+ s, \d+ calls\/s\n/);
    assert.match(io.stdout, /no violation\n$/);
  });
});

describe('its random numbers', () => {
  it('are spread evenly and differ between neighbouring seeds', () => {
    const counts = new Uint32Array(16);
    const random = new Random(1);
    for (let i = 0; i < 16_000; i++) counts[random.below(16)]!++;
    assert.ok(
      counts.every((count) => count > 800 && count < 1200),
      counts.join(),
    );
    assert.notEqual(new Random(1).next(), new Random(2).next());
  });
});
