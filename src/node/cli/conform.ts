// accel conform: the conformance suite on a device, as a table.
// Not the cases: testing/ has them, and any test runner can run them too.
import { Option, type Command } from 'commander';
import {
  adapterFor,
  conformanceCases,
  runCases,
  type CaseResult,
  type EngineKind,
} from '../../testing/index.js';
import { suiteSystem } from '../suite-system.js';
import { columns } from './columns.js';
import type { CommandIo } from './io.js';
import { noteStaging } from './staging.js';

export interface ConformOptions {
  readonly engines: EngineKind | 'both';
  /** Only cases whose group or name contains this. */
  readonly only?: string;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

/** One row of the table. */
export interface GroupSummary {
  readonly group: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Runs the suite; true when nothing failed. @throws AccelError ENODEV for a board without an adapter */
export async function conform(board: string, options: ConformOptions, io: CommandIo): Promise<boolean> {
  noteStaging(board, io);
  const { engines, only, verbose = false, json = false } = options;
  const cases = conformanceCases({
    name: board,
    ...adapterFor(board),
    engines: engines === 'both' ? ['inline', 'worker'] : [engines],
    system: (kind) => suiteSystem({ board, engines: kind }),
  }).filter(({ group, name }) => only === undefined || group.includes(only) || name.includes(only));
  let done = 0;
  const results = await runCases(cases, (result) => {
    done++;
    if (verbose && !json)
      io.out(`${result.outcome.padEnd(8)} ${result.engines.padEnd(7)} ${result.group}: ${result.name}\n`);
    else if (io.terminal) io.err(`\r${done} of ${cases.length}`);
  });
  if (io.terminal && !verbose) io.err('\r\x1b[K');
  const failed = results.filter(({ outcome }) => outcome === 'failed');
  const summary = summarise(results);
  if (json) io.out(`${JSON.stringify({ device: board, groups: summary, cases: results }, undefined, 2)}\n`);
  else print(board, engines, summary, results, io);
  return failed.length === 0;
}

/** Results by group, in the order of the groups. */
export function summarise(results: readonly CaseResult[]): GroupSummary[] {
  const rows = new Map<string, { group: string; passed: number; failed: number; skipped: number }>();
  for (const { group, outcome } of results) {
    const row = rows.get(group) ?? { group, passed: 0, failed: 0, skipped: 0 };
    row[outcome]++;
    rows.set(group, row);
  }
  return [...rows.values()];
}

function print(
  board: string,
  engines: string,
  summary: readonly GroupSummary[],
  results: readonly CaseResult[],
  io: CommandIo,
): void {
  const { colours } = io;
  const number = (value: number, colour?: (text: string) => string): string =>
    value === 0 || colour === undefined ? String(value) : colour(String(value));
  const total = summary.reduce(
    (sum, row) => ({
      passed: sum.passed + row.passed,
      failed: sum.failed + row.failed,
      skipped: sum.skipped + row.skipped,
    }),
    { passed: 0, failed: 0, skipped: 0 },
  );
  const rows = [...summary, { group: 'all', ...total }].map(({ group, passed, failed, skipped }) => [
    group,
    number(passed),
    number(failed, colours.red),
    number(skipped, colours.yellow),
  ]);
  io.out(`${colours.bold(board)}, engines ${engines === 'both' ? 'inline and worker' : engines}\n`);
  io.out(columns(['group', 'passed', 'failed', 'skipped'], rows, { right: [1, 2, 3], colours }));
  const reasons = new Map<string, number>();
  for (const { outcome, reason } of results)
    if (outcome === 'skipped') reasons.set(reason!, (reasons.get(reason!) ?? 0) + 1);
  for (const [reason, count] of reasons) io.out(`${colours.yellow('skipped')} ${count}: ${reason}\n`);
  for (const { outcome, engines: where, group, name, reason } of results)
    if (outcome === 'failed') io.out(`${colours.red('failed')} (${where}) ${group}: ${name}\n  ${reason}\n`);
}

/** Adds the command to a program; `verdict` hears whether everything held. */
export function addConform(program: Command, io: CommandIo, verdict: (held: boolean) => void): void {
  program
    .command('conform')
    .description('run the conformance suite on a device')
    .argument('<device>', 'board, see accel ls')
    .addOption(
      new Option('--engines <where>', 'data paths in this thread, in workers, or one after the other')
        .choices(['inline', 'worker', 'both'])
        .default('both'),
    )
    .option('--only <text>', 'cases whose group or name contains this')
    .option('-v, --verbose', 'print each case')
    .option('--json', 'print JSON')
    .action(async (board: string, options: ConformOptions) => verdict(await conform(board, options, io)));
}
