// accel with: runs an unmodified program that finds our devices where it looks for the kernel's.
// Not for programs that make system calls by themselves (static ones, Go): only calls of the C library are seen.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { AccelError } from '../../base/errors.js';
import { preloadLibrary } from '../preload.js';
import { UsageError, type CommandIo } from './io.js';
import { deviceOptions, serveDevices, type DeviceOptions } from './serve.js';

interface WithOptions extends DeviceOptions {
  readonly connect?: string;
}

/** Runs `words` and resolves to its exit code; 128 and the signal's number when one ended it. */
async function runWith(words: readonly string[], options: WithOptions, io: CommandIo): Promise<number> {
  const [program, ...args] = words;
  if (program === undefined) throw new UsageError('accel with needs a program');
  if (options.connect !== undefined && (options.device !== undefined || options.dri === true))
    throw new UsageError('--connect takes the devices of the daemon, not --device or --dri');
  const library = await preloadLibrary();
  const { connect } = options;
  if (connect !== undefined) return start(program, args, library, connect);
  const folder = mkdtempSync(join(tmpdir(), 'accel-with-'));
  try {
    const socket = join(folder, 'accel.sock');
    await using served = serveDevices(options, socket, io);
    return await start(program, args, library, served.daemon.socket);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @throws AccelError ENOENT, EACCES when it cannot be run */
function start(program: string, args: readonly string[], library: string, socket: string): Promise<number> {
  const before = process.env['LD_PRELOAD'];
  const child = spawn(program, args, {
    stdio: 'inherit',
    env: {
      ...process.env,
      LD_PRELOAD: before === undefined || before === '' ? library : `${library}:${before}`,
      ACCEL_SOCKET: socket,
    },
  });
  // A terminal sends these to the program as well; this process waits for what it makes of them.
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  const ignore = (): void => undefined;
  process.on('SIGTERM', forward).on('SIGINT', ignore);
  return new Promise<number>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code === 'EACCES' ? 'EACCES' : 'ENOENT';
      reject(new AccelError(code, { reason: `${program} cannot be run`, cause: error }));
    });
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal!]));
  }).finally(() => process.off('SIGTERM', forward).off('SIGINT', ignore));
}

/** `ended` hears the program's exit code. */
export function addWith(program: Command, io: CommandIo, ended: (code: number) => void): void {
  deviceOptions(program.command('with'))
    .description('run a program that finds the devices at /dev/accel')
    .argument('<program...>', 'after --: the program and its arguments')
    .option('--connect <socket>', 'devices of a running daemon, instead of one for this program')
    .passThroughOptions()
    .allowUnknownOption()
    .action(async (words: string[], options: WithOptions) => ended(await runWith(words, options, io)));
}
