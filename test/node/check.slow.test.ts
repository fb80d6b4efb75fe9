// The whole check of NVDLA: every board, builds from source, the change test on the compiler. Not quick: it builds.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { cli } from '../../src/node/cli/cli.js';
import type { Verdict } from '../../src/policy/index.js';
import { collected } from '../testing/io.js';

it('accel check nvdla: every rule holds, with the change test run', async () => {
  const io = collected();
  const code = await cli(['check', 'nvdla', '--json'], io);
  const verdict = JSON.parse(io.stdout) as Verdict;
  assert.equal(verdict.reason, 'every rule holds');
  assert.equal(verdict.class, 'accel');
  assert.equal(code, 0);
  const change = verdict.rules.find(({ id }) => id === 'U3')!;
  assert.match(change.evidence, /built, goldens pass, \d+ layers became \d+; .*built, goldens fail/);
});
