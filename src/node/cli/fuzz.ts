// accel fuzz, and npm run fuzz: the fuzzer on a device, with its calls per second.
// Not the fuzzer: fuzz/fuzzer.ts.
import { InvalidArgumentError, type Command } from 'commander';
import { Fuzzer, FuzzViolation, type FuzzReport } from '../fuzz/fuzzer.js';
import { columns } from './columns.js';
import type { CommandIo } from './io.js';

export interface FuzzCommandOptions {
  readonly calls: number;
  readonly seed: number;
  readonly device: string;
  readonly json?: boolean;
}

/** Runs the fuzzer; false after a violation, which is printed. @throws AccelError ENODEV for an unknown board */
export async function fuzz(
  { calls, seed, device, json }: FuzzCommandOptions,
  io: CommandIo,
): Promise<boolean> {
  const start = performance.now();
  const run = (stacks: boolean): Promise<FuzzReport> =>
    new Fuzzer({
      device,
      calls,
      seed,
      stacks,
      onProgress: (done) => {
        if (io.terminal) io.err(`\r${done} of ${calls} calls`);
      },
    }).run();
  let report: FuzzReport;
  try {
    report = await run(false);
  } catch (error) {
    if (!(error instanceof FuzzViolation)) throw error;
    // Once more, for the stack.
    const again = await run(true).catch((second: unknown) => second as Error);
    if (io.terminal) io.err('\r\x1b[K');
    const cause =
      again instanceof Error && again.cause instanceof Error ? `\n${again.cause.stack ?? ''}` : '';
    io.out(`${io.colours.red('violation')}: ${error.message}${cause}\n`);
    return false;
  }
  if (io.terminal) io.err('\r\x1b[K');
  const seconds = (performance.now() - start) / 1000;
  if (json === true) io.out(`${JSON.stringify({ ...report, seconds }, undefined, 2)}\n`);
  else print(report, seconds, io);
  return true;
}

function print(report: FuzzReport, seconds: number, io: CommandIo): void {
  const { device, seed, calls, outcomes, checks, faults, jobs, health } = report;
  const rate = Math.round(calls / seconds);
  io.out(`${device}, seed ${seed}: ${calls} calls in ${seconds.toFixed(1)} s, ${rate} calls/s\n`);
  const counters = Object.entries(health)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
  io.out(`${jobs} jobs, ${checks} checks, ${faults} faults armed; ${counters}\n\n`);
  const rows = Object.entries(outcomes).map(([name, count]) => [
    name,
    String(count),
    `${((100 * count) / calls).toFixed(1)} %`,
  ]);
  io.out(columns(['ended', 'calls', ''], rows, { right: [1, 2], colours: io.colours }));
  io.out('\nno violation\n');
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('a whole number from 1 is needed');
  return value;
}

/** Adds the command to a program; `verdict` hears whether all held. */
export function addFuzz(program: Command, io: CommandIo, verdict: (held: boolean) => void): void {
  program
    .command('fuzz')
    .description('call a virtual device at random and watch what must hold')
    .option('-d, --device <name>', 'board, see accel ls', 'null')
    .option('--calls <n>', 'calls to make', whole, 200_000)
    .option('--seed <n>', 'the same seed makes the same calls', whole, 1)
    .option('--json', 'print JSON')
    .action(async (options: FuzzCommandOptions) => verdict(await fuzz(options, io)));
}
