// Every case of every model on every configuration, and every vector there is, as the command line runs them.
// Not new cases: they come from outside.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cli } from '../../src/node/cli/cli.js';
import { targets } from '../../src/compiler/index.js';
import { needsShared, shared } from '../support/shared.js';
import { collected } from '../testing/io.js';

describe('accel verify, all of it', () => {
  for (const device of targets)
    it(`holds all 25 cases of models.json on ${device}`, needsShared('models/models.json'), async () => {
      const io = collected();
      const code = await cli(['verify', shared('models/models.json')!, '--device', device], io);
      assert.match(io.stdout, /25 of 25 cases held/);
      assert.equal(code, 0);
    });

  for (const engines of ['inline', 'worker'])
    it(`fails no vector with engines ${engines}`, needsShared('vectors/nvdla'), async () => {
      const io = collected();
      const code = await cli(['verify', shared('vectors')!, '--engines', engines, '--json'], io);
      const { results } = JSON.parse(io.stdout) as { results: { verdict: string }[] };
      assert.ok(results.length >= 488);
      assert.ok(results.filter(({ verdict }) => verdict === 'passed').length >= 346);
      assert.equal(code, 0);
    });
});
