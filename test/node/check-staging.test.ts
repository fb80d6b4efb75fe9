// Drivers in staging on a machine: when they load, and how a system with one of them says so. Not the rules.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TraceStep, type TraceEvent } from '../../src/core/index.js';
import { Process } from '../../src/core/process.js';
import { cli } from '../../src/node/cli/cli.js';
import { openSystem } from '../../src/node/system.js';
import { collected } from '../testing/io.js';

const today = '2026-11-25';

describe('a driver in staging', () => {
  it('does not load unless it is asked for', () => {
    assert.throws(() => openSystem({ devices: ['null'], today }), { code: 'EPERM', reason: /--staging/ });
    using system = openSystem({ devices: ['null'], today, staging: true });
    assert.equal(system.device().accel?.driver.name, 'null');
  });

  it('is refused past its date, asked for or not', () => {
    assert.throws(() => openSystem({ devices: ['null'], today: '2027-11-26', staging: true }), {
      code: 'EPERM',
      reason: /ended on 2027-11-25/,
    });
  });

  it('keeps no other board from being opened', () => {
    using system = openSystem({ devices: ['nvdla:nv_small'], today: '2030-01-01' });
    assert.equal(system.device().accel?.staging, undefined);
  });

  it('marks fdinfo, the snapshot and the trace', async () => {
    using system = openSystem({ devices: ['null'], today, staging: true });
    const { core } = system.machine;
    const events: TraceEvent[] = [];
    using _listener = core.trace.subscribe((event) => events.push(event));
    const file = core.open(system.device().accel!, new Process());
    assert.match(await file.fdinfo(), /^accel-staging:\tnull until 2027-11-25$/m);
    assert.deepEqual(core.snapshot().devices[0]?.staging?.failing, ['U2', 'U3']);
    const marks = events.filter(({ step }) => step === TraceStep.staging);
    assert.equal(marks.length, 1);
    assert.match(marks[0]!.detail!, /until 2027-11-25, open rules: U2, U3/);
    await file.close();
  });

  it('is shown by ls and info, which load it only with --staging', async () => {
    const run = async (...args: string[]) => {
      const io = collected();
      return { code: await cli(args, io), ...io, text: io.stdout, error: io.stderr };
    };
    assert.match((await run('ls')).text, /^null .*load it with --staging/m);
    assert.match((await run('ls', '--staging')).text, /^null .*in staging until 2027-11-25/m);
    const refused = await run('info', 'null');
    assert.equal(refused.code, 1);
    assert.match(refused.error, /--staging/);
    const shown = await run('info', 'null', '--staging');
    assert.equal(shown.code, 0);
    assert.match(shown.text, /staging +until 2027-11-25, open rules U2, U3/);
  });

  it('is announced by tools for driver authors', async () => {
    const io = collected();
    assert.equal(await cli(['conform', 'null', '--engines', 'inline', '--only', 'dispatch'], io), 0);
    assert.match(io.stderr, /null: its driver is in staging until 2027-11-25/);
  });
});
