// accel check: the rules on a driver, each with verdict, evidence and citation, and where the driver belongs.
// Not the rules: policy/. Not the runs: check/.
import type { Command } from 'commander';
import { judge, type RuleResult, type Verdict } from '../../policy/index.js';
import { gather, subjectOf } from '../check/index.js';
import { today } from '../system.js';
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

/** Columns of a terminal that text is broken at. */
const WIDTH = 100;

function print(verdict: Verdict, hardware: string, io: CommandIo): void {
  const { colours } = io;
  io.out(`${colours.bold(verdict.driver)}: ${hardware}\n\n`);
  for (const rule of verdict.rules) printRule(rule, io);
  const colour = { accel: colours.green, staging: colours.yellow } as Record<
    string,
    (text: string) => string
  >;
  const shown = (colour[verdict.class] ?? colours.red)(verdict.class);
  io.out(`\n${colours.bold(verdict.driver)} belongs to: ${colours.bold(shown)}\n${wrap(verdict.reason, '')}`);
}

function printRule({ id, question, passed, failing, evidence, citation }: RuleResult, io: CommandIo): void {
  const { colours } = io;
  const mark = passed ? colours.green('holds') : colours.red(`fails, ${failing}`);
  io.out(`${colours.bold(id.padEnd(3))} ${question}: ${mark}\n`);
  io.out(wrap(evidence, '    '));
  io.out(colours.dim(wrap(citation, '    ')));
}

function wrap(text: string, indent: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH - indent.length) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.map((one) => `${indent}${one}\n`).join('');
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
