// The whole check of our compiled drivers: every board, builds from source, the change test on the compiler. Not quick: it builds.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { cli } from '../../src/node/cli/cli.js';
import type { Verdict } from '../../src/policy/index.js';
import { collected } from '../testing/io.js';

for (const driver of ['nvdla', 'gna'])
  it(`accel check ${driver}: every rule holds, with the change test run`, async () => {
    const io = collected();
    const code = await cli(['check', driver, '--json'], io);
    const verdict = JSON.parse(io.stdout) as Verdict;
    assert.equal(verdict.reason, 'every rule holds');
    assert.equal(verdict.class, 'accel');
    assert.equal(code, 0);
    const change = verdict.rules.find(({ id }) => id === 'U3')!;
    assert.match(change.evidence, /built, goldens pass, \d+ layers became \d+; .*built, goldens fail/);
  });
