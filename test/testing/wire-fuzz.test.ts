// The fuzzer of the wire: a short run on each kind of device ends clean, repeats by its seed, and sees what is wrong.
// Not a campaign: accel fuzz --wire.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WireFuzzer } from '../../src/node/fuzz/wire-fuzzer.js';
import { Buffers } from '../../src/node/daemon/buffers.js';
import { Call } from '../../src/node/daemon/call.js';
import { Objects } from '../../src/node/daemon/objects.js';
import { fuzz } from '../../src/node/cli/fuzz.js';
import { AccelError } from '../../src/base/errors.js';
import { collected } from './io.js';
import { spoilt } from './spoilt.js';

describe('the fuzzer of the wire', () => {
  for (const device of ['null', 'nvdla:nv_small', 'gna:2.0'])
    it(`ends clean on a daemon with ${device}`, async () => {
      const report = await new WireFuzzer({ device, calls: 4000, seed: 1 }).run();
      for (const outcome of ['ok', 'EINVAL', 'ENOENT', 'EACCES', 'ESTALE', 'ENOTTY'])
        assert.ok(report.replies[outcome]! > 0, outcome);
      assert.equal(report.replies['EIO'], undefined);
      assert.ok(report.cut > 0 && report.cut < report.connections && report.questions > 0);
      assert.ok(report.jobs >= report.checks);
    });

  it('sends the same messages for the same seed and hears the same, others for another', async () => {
    const run = (seed: number) => new WireFuzzer({ device: 'null', calls: 3000, seed }).run();
    const first = await run(7);
    assert.deepEqual(await run(7), first);
    assert.notDeepEqual((await run(8)).replies, first.replies);
  });

  const run = (): Promise<unknown> => new WireFuzzer({ device: 'null', calls: 3000, seed: 1 }).run();

  it('finds a request that ends in what is no errno', async () => {
    const violation = await spoilt(
      Call.prototype,
      'fetch',
      () =>
        async function () {
          throw new RangeError('not an errno');
        },
      run,
    );
    assert.match(violation.message, /a request ended in RangeError: not an errno|a callback threw/);
  });

  it('finds a descriptor that is never closed', async () => {
    const violation = await spoilt(
      Objects.prototype,
      'identify',
      () =>
        function (this: Objects) {
          // Owns the descriptor, and forgets it.
          throw new AccelError('EBADF');
        },
      run,
    );
    assert.match(violation.message, /held at the end: .*"descriptors"/);
  });

  it('finds memory of one client in the hands of another', async () => {
    let first: Parameters<Buffers['handOut']> | undefined;
    const violation = await spoilt(
      Buffers.prototype,
      'handOut',
      (handOut) =>
        function (this: Buffers, gem, flags) {
          if (gem.size === 8 * 4096) first ??= [gem, flags];
          return first === undefined ? handOut.call(this, gem, flags) : handOut.call(this, ...first);
        },
      run,
    );
    assert.match(violation.message, /the secret is in a file of another client/);
  });

  it('prints messages per second and replies by errno', async () => {
    const io = collected();
    assert.equal(await fuzz({ calls: 600, seed: 2, device: 'null', wire: true }, io), true);
    assert.match(io.stdout, /null by its socket, seed 2: \d+ messages in [\d.]+ s, \d+ messages\/s/);
    assert.match(io.stdout, /ESTALE +\d+ +[\d.]+ %/);
    assert.match(io.stdout, /no violation\n$/);
    const json = collected();
    assert.equal(await fuzz({ calls: 300, seed: 2, device: 'null', wire: true, json: true }, json), true);
    assert.ok((JSON.parse(json.stdout) as { messages: number }).messages >= 300);
  });
});
