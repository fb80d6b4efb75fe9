// accel check: the rules on a driver, each with verdict, evidence and citation, and where the driver belongs.
// Not the rules: policy/. Not the runs: check/.
import type { Command } from 'commander';
import { judge, type RuleResult, type Verdict } from '../../policy/index.js';
import { gather, subjectOf } from '../check/index.js';
import { today } from '../system.js';
import { cells, wrap } from './columns.js';
import type { CommandIo } from './io.js';
import { Progress } from './progress.js';

export interface CheckOptions {
  readonly quick?: boolean;
  readonly json?: boolean;
}

/** Resolves to whether the driver belongs here: accel, or staging before its date. @throws AccelError ENOENT, EINVAL */
export async function check(name: string, options: CheckOptions, io: CommandIo): Promise<boolean> {
  const subject = await subjectOf(name);
  const { manifest } = subject;
  const date = today();
  let verdict: Verdict;
  {
    using progress = new Progress(io, `checking ${manifest.driver}`);
    const evidence = await gather(subject, {
      quick: options.quick === true,
      step: (what) => progress.step(`checking ${manifest.driver}: ${what}`),
    });
    verdict = judge({ manifest, evidence, today: date });
  }
  if (options.json === true) io.out(`${JSON.stringify({ ...verdict, date, manifest }, undefined, 2)}\n`);
  else print(verdict, manifest.hardware, io);
  return verdict.class === 'accel' || verdict.class === 'staging';
}

/** Columns of a terminal that prose is broken at, and of the table's cells. */
const WIDTH = 110;
const QUESTION = 36;
const EVIDENCE = 58;

function print(verdict: Verdict, hardware: string, io: CommandIo): void {
  const { colours } = io;
  io.out(`${colours.bold(verdict.driver)}: ${hardware}\n\n`);
  const rows = verdict.rules.map(({ id, question, passed, failing, evidence }) => [
    { text: id, width: 4, colour: colours.bold },
    passed
      ? { text: 'holds', width: 8, colour: colours.green }
      : { text: `fails, ${failing}`, width: 8, colour: colours.red },
    { text: question, width: QUESTION },
    { text: evidence, width: EVIDENCE },
  ]);
  io.out(cells(['rule', 'verdict', 'question', 'evidence'], rows, { colours }));
  io.out(`\n${sources(verdict.rules, io)}`);
  const colour = { accel: colours.green, staging: colours.yellow } as Record<
    string,
    (text: string) => string
  >;
  const shown = (colour[verdict.class] ?? colours.red)(verdict.class);
  const reason = wrap(verdict.reason, WIDTH).join('\n');
  io.out(`\n${colours.bold(verdict.driver)} belongs to: ${colours.bold(shown)}\n${reason}\n`);
}

/** Where each demand comes from; rules with the same source share a row. */
function sources(rules: readonly RuleResult[], { colours }: CommandIo): string {
  const citing = new Map<string, string[]>();
  for (const { id, citation } of rules) citing.set(citation, [...(citing.get(citation) ?? []), id]);
  const rows = [...citing].map(([citation, ids]) => [
    { text: ids.join(' '), width: 12, colour: colours.bold },
    { text: citation, width: WIDTH - 14, colour: colours.dim },
  ]);
  return cells(['rules', 'where the demand comes from'], rows, { colours });
}

/** Adds the command to a program; `verdict` hears whether the driver belongs here. */
export function addCheck(program: Command, io: CommandIo, verdict: (belongs: boolean) => void): void {
  program
    .command('check')
    .description('run the rules on a driver: where it belongs, with evidence')
    .argument('<driver>', 'driver, package folder or MANIFEST.json')
    .option('--quick', 'one board, no builds and no change test (U1, U2, U3 then fail as not run)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit code 0: accel, or staging before its date. 1: gpu, media, refuse, staging past its date.',
    )
    .action(async (name: string, options: CheckOptions) => verdict(await check(name, options, io)));
}
