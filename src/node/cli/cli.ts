// The command line: which commands and options there are, and what a command's end means for the exit code.
// Not the commands: each has its file.
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_BOARD } from '../system.js';
import { addCheck } from './check.js';
import { compileModel, type CompileOptions } from './compile.js';
import { addConform } from './conform.js';
import { addFault } from './fault.js';
import { addFuzz } from './fuzz.js';
import { info, ls, type InfoOptions } from './info.js';
import { errorLine, oneLine, UsageError, type CommandIo } from './io.js';
import { run, type RunOptions } from './run.js';
import { addServe } from './serve.js';
import { Recorder } from './trace.js';
import { addWith } from './with.js';
import { verify, type VerifyOptions } from './verify.js';

/** 0: done. 1: failed. 2: called wrongly. `accel with` ends as its program does. */
export type ExitCode = number;

/** Runs one command line, without the program's name. Never throws, never ends the process. */
export async function cli(args: readonly string[], io: CommandIo): Promise<ExitCode> {
  let code: ExitCode = 0;
  const program = commands(
    io,
    (held) => {
      if (!held) code = 1;
    },
    (ended) => {
      code = ended;
    },
  );
  try {
    await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (error) {
    // Help and version end with an error too; commander has written what there is to say.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    io.err(`accel: ${errorLine(error)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

function commands(io: CommandIo, verdict: (held: boolean) => void, ended: (code: number) => void): Command {
  const program = new Command('accel')
    .description('Compute accelerators: virtual devices, their drivers, models on them')
    .version('0.1.0')
    .enablePositionalOptions();
  harden(program, io);

  const device = (): Option =>
    new Option(
      '-d, --device <name>',
      `board, accelN, or /dev/accel/accelN of the kernel, see accel ls (default ${DEFAULT_BOARD})`,
    );
  const engines = (): Option =>
    new Option('--engines <where>', 'data paths in this thread or in workers')
      .choices(['inline', 'worker'])
      .default('inline');
  const fallback = (): Option =>
    new Option('--fallback <who>', 'who computes what the device does not take')
      .choices(['host', 'forbid'])
      .default('host');
  const precision = (): Option =>
    new Option(
      '--precision <type>',
      'what a float model is computed in (default fp16 where the device has it)',
    ).choices(['int8', 'fp16']);
  const connect = (): Option =>
    new Option(
      '--connect [socket]',
      'a device of a daemon (accel serve), by default at $XDG_RUNTIME_DIR/accel.sock',
    );
  const json = (): Option => new Option('--json', 'print JSON');
  const staging = (): Option => new Option('--staging', 'let a driver in staging load');

  const runCommand = (): Command =>
    harden(new Command('run'), io)
      .description('run an ONNX model, or a loadable of NVDLA, on a device')
      .argument(
        '<model>',
        'ONNX file; NAME.accel.json beside it says how inputs are prepared. Or NAME.nvdla, a loadable',
      )
      .option(
        '-i, --input <file...>',
        "pictures, raw .bin files, or .dimg for a loadable: one per input, NAME=FILE, or many for one input; the sidecar's sample by default",
      )
      .addOption(device())
      .option('-c, --calibrate <file...>', "inputs to quantise a float model with, instead of the sidecar's")
      .option(
        '--compare',
        'compare outputs with the model on the host, integers too; floats are where that is quick',
      )
      .option('--no-compare', 'do not')
      .option('--dim <name=size...>', 'sizes of symbolic dimensions')
      .option('--constant <name=number...>', 'int64 scalar inputs that are known now')
      .option('-k, --top <count>', 'results to show', positive, 5)
      .option('-o, --out <folder>', 'write the outputs as .bin files')
      .option('--output <file>', "write a loadable's output as a DIMG file")
      .option('--mean <numbers>', "by commas: taken off a picture for a loadable's half input", numbers)
      .option('--normalize <number>', 'what the difference is divided by', number)
      .option('--cycles', 'what the run would take on silicon, where the device model can say')
      .option('--clock <MHz>', 'the clock that --cycles is for', positive, 1000)
      .addOption(precision())
      .addOption(engines())
      .addOption(fallback())
      .addOption(staging())
      .addOption(connect())
      .addOption(json());

  program.addCommand(
    runCommand().action(async (model: string, options: RunOptions) => run(model, options, io)),
  );

  program
    .command('compile')
    .description(
      'say what an ONNX model becomes on a device, or write the loadable that runtimes of NVDLA take',
    )
    .argument('<model>', 'ONNX file; NAME.accel.json beside it says how inputs are prepared')
    .option('-o, --output <file>', 'the loadable: NAME.nvdla')
    .option('--report', 'print the layers and what they would take on silicon (default without --output)')
    .option('--svg <file>', 'draw the layers over time')
    .option('--clock <MHz>', 'the clock that the report is for', positive, 1000)
    .addOption(device())
    .addOption(precision())
    .option('-i, --input <file...>', 'files to write as DIMG inputs beside the loadable')
    .option('-c, --calibrate <file...>', "inputs to quantise a float model with, instead of the sidecar's")
    .option('--dim <name=size...>', 'sizes of symbolic dimensions')
    .option('--constant <name=number...>', 'int64 scalar inputs that are known now')
    .addOption(fallback())
    .addOption(json())
    .action((model: string, options: CompileOptions) => compileModel(model, options, io));

  program
    .command('ls')
    .description('list the devices')
    .addOption(connect())
    .addOption(staging())
    .addOption(json())
    .action(async (options: Omit<InfoOptions, 'registers'>) => ls(options, io));

  program
    .command('info')
    .description('say what a device is and what its model promises')
    .argument('[device]', 'board, accelN, or /dev/accel/accelN of the kernel')
    .option('--registers', 'list every register')
    .addOption(connect())
    .addOption(staging())
    .addOption(json())
    .action(async (name: string | undefined, options: InfoOptions) => info(name, options, io));

  program
    .command('verify')
    .description(
      "play golden vectors of a folder on the models, ONNX's node tests, or the cases of a models.json",
    )
    .argument('<path>', 'folder of vectors or of node tests, or models.json')
    .addOption(device())
    .addOption(engines())
    .addOption(fallback())
    .option('--models <names>', 'only these models, by commas', (names: string) => names.split(','))
    .option('--snr <dB>', 'what float outputs of a models.json must at least have', number)
    .addOption(precision())
    .addOption(staging())
    .addOption(json())
    .action(async (path: string, options: VerifyOptions) => verdict(await verify(path, options, io)));

  addCheck(program, io, verdict);
  addConform(program, io, verdict);
  addFault(program, io, verdict);
  addFuzz(program, io, verdict);
  addServe(program, io, verdict);
  addWith(program, io, ended);

  program
    .command('trace')
    .description('run a model and write a Chrome trace of its jobs and register writes')
    .requiredOption('-o, --output <file>', 'JSON file for Perfetto or chrome://tracing')
    .argument('<command...>', 'after --: run with its arguments')
    .passThroughOptions()
    .allowUnknownOption()
    .action(async (words: string[], options: { output: string }) => {
      const [name, ...rest] = words;
      if (name !== 'run') throw new UsageError(`accel trace runs the command run, not ${name}`);
      const traced = runCommand().action(async (model: string, runOptions: RunOptions) =>
        trace(model, runOptions, options.output, io),
      );
      await traced.parseAsync(rest, { from: 'user' });
    });
  return program;
}

async function trace(model: string, options: RunOptions, output: string, io: CommandIo): Promise<void> {
  let recorder: Recorder | undefined;
  try {
    await run(model, options, io, {
      onSystem: (system, device) => {
        recorder = new Recorder(system, device);
      },
    });
  } finally {
    recorder?.[Symbol.dispose]();
  }
  recorder!.save(output);
  if (options.json !== true)
    io.out(`\n${recorder!.events.length} events with ${recorder!.writes} register writes in ${output}\n`);
}

/** Errors and help go to `io`; nothing ends the process. */
function harden(command: Command, io: CommandIo): Command {
  return command.exitOverride().configureOutput({
    writeOut: (text) => io.out(text),
    writeErr: (text) => io.err(text),
    outputError: (text, write) =>
      write(`accel: ${oneLine(text.replace(/^error: /, '')).trim()}; see accel --help\n`),
  });
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value === 0)
    throw new InvalidArgumentError('a number other than 0 is needed');
  return value;
}

function numbers(text: string): number[] {
  const values = text.split(',').map(Number);
  if (values.some((value) => !Number.isFinite(value)))
    throw new InvalidArgumentError('numbers by commas are needed');
  return values;
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('a whole number from 1 is needed');
  return value;
}
