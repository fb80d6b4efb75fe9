// The fault matrix: every fault on every device, on the movable clock. Each ends as documented, others are unharmed.
// Not the drivers' own recovery tests: only what two clients and the next one see.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { boards } from '../../src/machine/index.js';
import { Command } from 'commander';
import { addFault, fault, faultKinds, type FaultReport } from '../../src/node/cli/fault.js';
import { adapterFor, endsOf } from '../../src/testing/index.js';
import { UsageError } from '../../src/node/cli/io.js';
import { collected } from './io.js';

describe('the fault matrix', () => {
  // As vgem the null device runs no jobs: there is nothing to hang or to fault.
  for (const { name } of boards.filter((board) => board.name !== 'vgem')) {
    for (const kind of faultKinds) {
      it(`${name}, ${kind}`, async () => {
        if (kind === 'firmware-crash') {
          await assert.rejects(
            fault(name, { kinds: [kind] }),
            (error: { code?: string; reason?: string }) => {
              assert.equal(error.code, 'EOPNOTSUPP');
              assert.match(error.reason!, /no firmware/);
              return true;
            },
          );
          return;
        }
        const report = await fault(name, { kinds: [kind] });
        assert.equal(report.delivered[kind], 1);
        const struck = report.jobs.filter(({ outcome }) => outcome !== 'ok');
        if (kind === 'unplug') {
          assert.ok(report.jobs.every(({ outcome }) => outcome === 'ENODEV'));
          assert.equal(report.next, 'ENODEV');
        } else {
          assert.ok(
            struck.every(({ client }) => client === 1),
            'the other client is unharmed',
          );
          assert.equal(report.next, 'ok');
        }
        for (const { outcome } of struck)
          assert.ok([...endsOf(kind, adapterFor(name).adapter), 'ECANCELED'].includes(outcome), outcome);
        assert.equal(report.held, true);
        assert.equal(report.health.defects, 0);
      });
    }
  }

  it('delivers after and every so many opportunities, and at random from a seed the same each time', async () => {
    const hangs = ({ jobs }: FaultReport): number[] =>
      jobs.flatMap(({ outcome }, i) => (outcome === 'ETIME' ? [i] : []));
    const twice = await fault('nvdla:nv_small', { kinds: ['hang'], after: 2, every: 3, jobs: 5 });
    assert.equal(twice.delivered.hang, 3);
    assert.deepEqual(hangs(twice), [2, 5, 8]);
    const random = { kinds: ['hang'], every: 3, seed: 5, jobs: 10 } as const;
    const first = await fault('nvdla:nv_small', random);
    assert.ok(first.delivered.hang! > 0);
    assert.deepEqual(await fault('nvdla:nv_small', random), first);
  });
});

describe('accel fault', () => {
  async function run(...words: string[]): Promise<{ text: string; held: boolean | undefined }> {
    const io = collected();
    let held: boolean | undefined;
    const program = new Command().exitOverride();
    addFault(program, io, (verdict) => (held = verdict));
    await program.parseAsync(['fault', ...words], { from: 'user' });
    return { text: io.stdout, held };
  }

  it('prints what became of each job, the counters and the next job', async () => {
    const { text, held } = await run('null', '--dma-fault', '--jobs', '2');
    assert.equal(held, true);
    assert.match(text, /^job +client +ended +ms\n +1 +1 +EIO +0\.0\n +1 +2 +ok/);
    assert.match(text, /faults delivered: dma-fault 1\ncounted by the driver: dmaFaults 1\n/);
    assert.match(text, /a new client's job afterwards: ok/);
  });

  it('prints JSON, and refuses what cannot be', async () => {
    const { text } = await run('nvdla:nv_small', '--hang', '--json');
    assert.equal((JSON.parse(text) as FaultReport).health.resets, 1);
    await assert.rejects(run('null', '--firmware-crash'), { code: 'EOPNOTSUPP' });
    await assert.rejects(run('null'), UsageError);
    await assert.rejects(run('null', '--hang', '--every', 'often'), UsageError);
    await assert.rejects(run('toaster', '--hang'), { code: 'ENODEV' });
  });
});
