// accel fault: arms a fault on a virtual device, runs jobs of two clients, and tells what became of each.
// Not a test: it fails only when a job did not end as documented. On a clock that jumps, so a hang costs no waiting.
import type { Command } from 'commander';
import type { FaultKind } from '../../bus/port.js';
import type { Health } from '../../core/index.js';
import type { FaultOptions } from '../../machine/index.js';
import {
  adapterFor,
  Bench,
  endsOf,
  faultEnds,
  outcomeOf,
  type Outcome,
  type SuiteJob,
} from '../../testing/index.js';
import { suiteSystem } from '../suite-system.js';
import { columns } from './columns.js';
import { UsageError, type CommandIo } from './io.js';
import { noteStaging } from './staging.js';

export const faultKinds = Object.keys(faultEnds) as readonly FaultKind[];

export interface FaultRequest extends FaultOptions {
  readonly kinds: readonly FaultKind[];
  /** Jobs of each of the two clients. Default 4. */
  readonly jobs?: number;
  /** Limit of each job. Default 500. */
  readonly timeoutMs?: number;
}

export interface FaultJob {
  readonly client: 1 | 2;
  readonly job: number;
  readonly outcome: Outcome;
  /** `ok` with the right bytes, or an end that the armed faults have. */
  readonly documented: boolean;
  /** From submit to end, milliseconds of the device's clock. */
  readonly ms: number;
}

export interface FaultReport {
  readonly device: string;
  readonly jobs: readonly FaultJob[];
  readonly delivered: Partial<Record<FaultKind, number>>;
  readonly health: Pick<
    Health,
    'hangs' | 'resets' | 'dmaFaults' | 'eccCorrected' | 'eccUncorrected' | 'defects'
  >;
  /** How a job of a client that comes afterwards ends, with no fault armed. */
  readonly next: Outcome;
  /** Every end was as documented and, but for an unplugged device, the next job was done. */
  readonly held: boolean;
}

/** @throws AccelError ENODEV for an unknown board, EOPNOTSUPP for a fault it cannot suffer, EINVAL */
export async function fault(board: string, request: FaultRequest): Promise<FaultReport> {
  const { kinds, jobs = 4, timeoutMs = 500, ...when } = request;
  const { adapter } = adapterFor(board);
  using system = suiteSystem({ board, engines: 'inline', count: 1 });
  const bench = new Bench(system, adapter, 'inline');
  const { faults, clock, accel } = system;
  for (const kind of kinds) faults.arm(kind, when);
  // What one may be told: after a hang also that the file is guilty, after an unplug that there is no device.
  const allowed = new Set<Outcome>(['ok', 'ECANCELED', ...kinds.flatMap((kind) => endsOf(kind, adapter))]);
  const clients = [bench.open(), bench.open()] as const;
  const rows: FaultJob[] = [];
  for (let job = 1; job <= jobs; job++) {
    const made: (SuiteJob | undefined)[] = [];
    for (const [index, file] of clients.entries())
      made.push(accel.unplugged ? undefined : await bench.job(file, { seed: 10 * job + index, timeoutMs }));
    const start = clock.now();
    const ends = made.map((one) =>
      (one === undefined ? Promise.resolve<Outcome>('ENODEV') : outcomeOf(one.run())).then((outcome) => ({
        outcome,
        at: clock.now(),
      })),
    );
    for (const [index, end] of ends.entries()) {
      const { outcome, at } = await bench.finish(end);
      const one = made[index];
      const right = one?.result.every((byte, i) => byte === one.expected[i]) ?? true;
      const documented = allowed.has(outcome) && (outcome !== 'ok' || right);
      rows.push({ client: index === 0 ? 1 : 2, job, outcome, documented, ms: (at - start) / 1e6 });
      if (one !== undefined) await bench.outcome(one.release());
    }
  }
  faults.disarm();
  const next = await bench.outcome(
    (async () => {
      const file = bench.open();
      await bench.done(await bench.job(file, { seed: 99 }), 'the next job');
    })(),
  );
  const { hangs, resets, dmaFaults, eccCorrected, eccUncorrected, defects } = accel.health;
  const delivered = Object.fromEntries(kinds.map((kind) => [kind, faults.delivered(kind)]));
  const gone = faults.delivered('unplug') > 0;
  return {
    device: board,
    jobs: rows,
    delivered,
    health: { hangs, resets, dmaFaults, eccCorrected, eccUncorrected, defects },
    next,
    held: defects === 0 && rows.every(({ documented }) => documented) && next === (gone ? 'ENODEV' : 'ok'),
  };
}

function print(report: FaultReport, io: CommandIo): void {
  const { colours } = io;
  const shown = (outcome: Outcome): string =>
    outcome === 'ok' ? colours.green(outcome) : colours.yellow(outcome);
  io.out(
    columns(
      ['job', 'client', 'ended', 'ms', ''],
      report.jobs.map(({ job, client, outcome, ms, documented }) => [
        String(job),
        String(client),
        shown(outcome),
        ms.toFixed(1),
        documented ? '' : colours.red('not as documented'),
      ]),
      { right: [0, 1, 3], colours },
    ),
  );
  const counts = (values: Readonly<Record<string, number>>): string =>
    Object.entries(values)
      .filter(([name, value]) => value > 0 || name in report.delivered)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ') || 'nothing';
  io.out(`\nfaults delivered: ${counts(report.delivered as Record<string, number>)}\n`);
  io.out(`counted by the driver: ${counts({ ...report.health })}\n`);
  io.out(`a new client's job afterwards: ${shown(report.next)}\n`);
}

interface CommandOptions extends Partial<Record<string, unknown>> {
  readonly jobs: string;
  readonly after?: string;
  readonly every?: string;
  readonly seed?: string;
  readonly json?: boolean;
}

/** `--dma-fault` as commander names it: dmaFault. */
const camel = (kind: string): string => kind.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

function whole(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0)
    throw new UsageError(`--${name} ${text}: a whole number is needed`);
  return value;
}

/** Adds the command to a program; `verdict` hears whether all ended as documented. */
export function addFault(program: Command, io: CommandIo, verdict: (held: boolean) => void): void {
  const command = program
    .command('fault')
    .description('make a virtual device fail and show what two clients see')
    .argument('<device>', 'board, see accel ls');
  for (const kind of faultKinds) command.option(`--${kind}`, `ends with ${faultEnds[kind].join(' or ')}`);
  command
    .option('--after <n>', 'opportunities that pass unharmed first')
    .option('--every <n>', 'from then on every n-th; default once')
    .option('--seed <n>', 'with --every: at random, once in n on average')
    .option('--jobs <n>', 'jobs of each client', '4')
    .option('--json', 'print JSON')
    .action(async (board: string, options: CommandOptions) => {
      const kinds = faultKinds.filter((kind) => options[camel(kind)] === true);
      if (kinds.length === 0) throw new UsageError(`no fault is named: --${faultKinds.join(', --')}`);
      const request: FaultRequest = { kinds, jobs: whole('jobs', options.jobs) ?? 4 };
      const when: { after?: number; every?: number; seed?: number } = {};
      for (const name of ['after', 'every', 'seed'] as const) {
        const value = whole(name, options[name]);
        if (value !== undefined) when[name] = value;
      }
      noteStaging(board, io);
      const report = await fault(board, { ...request, ...when });
      if (options.json === true) io.out(`${JSON.stringify(report, undefined, 2)}\n`);
      else print(report, io);
      verdict(report.held);
    });
}
