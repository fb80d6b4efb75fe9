// accel fuzz, and npm run fuzz: the fuzzer on a device or on a daemon's socket, with its calls or messages per second.
// Not the fuzzers: fuzz/fuzzer.ts, fuzz/wire-fuzzer.ts.
import { InvalidArgumentError, type Command } from 'commander';
import { Fuzzer, FuzzViolation, type FuzzReport } from '../fuzz/fuzzer.js';
import { WireFuzzer, type WireFuzzReport } from '../fuzz/wire-fuzzer.js';
import { columns } from './columns.js';
import type { CommandIo } from './io.js';

export interface FuzzCommandOptions {
  readonly calls: number;
  readonly seed: number;
  readonly device: string;
  /** Messages to a daemon instead of calls of the core. */
  readonly wire?: boolean;
  readonly json?: boolean;
}

/** Runs the fuzzer; false after a violation, which is printed. @throws AccelError ENODEV for an unknown board */
export async function fuzz(
  { calls, seed, device, wire = false, json }: FuzzCommandOptions,
  io: CommandIo,
): Promise<boolean> {
  const start = performance.now();
  const onProgress = (done: number): void => {
    if (io.terminal) io.err(`\r${done} of ${calls} ${wire ? 'messages' : 'calls'}`);
  };
  const run = (stacks: boolean): Promise<FuzzReport | WireFuzzReport> =>
    wire
      ? new WireFuzzer({ device, calls, seed, onProgress }).run()
      : new Fuzzer({ device, calls, seed, stacks, onProgress }).run();
  let report: FuzzReport | WireFuzzReport;
  try {
    report = await run(false);
  } catch (error) {
    if (!(error instanceof FuzzViolation)) throw error;
    // Once more, for the stack.
    const again = wire ? error : await run(true).catch((second: unknown) => second as Error);
    if (io.terminal) io.err('\r\x1b[K');
    const cause =
      again instanceof Error && again.cause instanceof Error ? `\n${again.cause.stack ?? ''}` : '';
    io.out(`${io.colours.red('violation')}: ${error.message}${cause}\n`);
    return false;
  }
  if (io.terminal) io.err('\r\x1b[K');
  const seconds = (performance.now() - start) / 1000;
  if (json === true) io.out(`${JSON.stringify({ ...report, seconds }, undefined, 2)}\n`);
  else if ('calls' in report) print(report, seconds, io);
  else printWire(report, seconds, io);
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
  endings('ended', 'calls', outcomes, calls, io);
}

function printWire(report: WireFuzzReport, seconds: number, io: CommandIo): void {
  const { device, seed, messages, replies, questions, connections, cut, checks, jobs } = report;
  const rate = Math.round(messages / seconds);
  io.out(
    `${device} by its socket, seed ${seed}: ${messages} messages in ${seconds.toFixed(1)} s, ${rate} messages/s\n` +
      `${connections} connections, ${cut} cut by the daemon, ${questions} questions, ${jobs} jobs, ${checks} checks\n\n`,
  );
  const all = Object.values(replies).reduce((sum, count) => sum + count, 0);
  endings('reply', 'messages', replies, all, io);
}

/** How calls ended, or were answered, by errno. */
function endings(
  what: string,
  of: string,
  counts: Readonly<Record<string, number>>,
  all: number,
  io: CommandIo,
): void {
  const rows = Object.entries(counts).map(([name, count]) => [
    name,
    String(count),
    `${((100 * count) / all).toFixed(1)} %`,
  ]);
  io.out(columns([what, of, ''], rows, { right: [1, 2], colours: io.colours }));
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
    .option('--wire', 'send messages to a daemon that serves it, instead of calling it')
    .option('--calls <n>', 'calls to make, or messages to send', whole, 200_000)
    .option('--seed <n>', 'the same seed makes the same calls', whole, 1)
    .option('--json', 'print JSON')
    .action(async (options: FuzzCommandOptions) => verdict(await fuzz(options, io)));
}
