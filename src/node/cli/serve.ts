// accel serve: devices for other processes, until told to stop.
// Not the daemon: node/daemon.
import { Option, type Command } from 'commander';
import type { Limits } from '../daemon/account.js';
import { DRAIN_MS } from '../daemon/daemon.js';
import { serve, type Served } from '../daemon/serve.js';
import { DEFAULT_BOARD, type EngineKind } from '../system.js';
import { columns } from './columns.js';
import { UsageError, type CommandIo } from './io.js';
import { defaultSocket } from './socket.js';

export interface DeviceOptions {
  readonly device?: readonly string[];
  readonly dri?: boolean;
  readonly engines?: EngineKind;
  readonly staging?: boolean;
}

interface ServeCommandOptions extends DeviceOptions {
  readonly socket?: string;
  readonly maxFiles?: number;
  readonly maxMemory?: number;
  readonly maxBuffers?: number;
  readonly maxJobs?: number;
  /** Seconds. */
  readonly drain: number;
  readonly json?: boolean;
}

const MIB = 2 ** 20;

/** Starts a daemon with the devices of a command line. */
export function serveDevices(
  { device, dri, engines, staging }: DeviceOptions,
  socket: string,
  io: CommandIo,
  limits: Partial<Limits> = {},
): Served {
  return serve({
    socket,
    devices: device ?? [DEFAULT_BOARD],
    dri: dri ?? false,
    engines: engines ?? 'inline',
    staging: staging ?? false,
    limits,
    onGuestError: (name, text) => io.err(`${name}: ${text}\n`),
    onDefect: (error) =>
      io.err(`accel: defect: ${error instanceof Error ? (error.stack ?? '') : String(error)}\n`),
  });
}

/** Resolves to false when the daemon stopped with jobs unfinished. */
async function run(options: ServeCommandOptions, io: CommandIo): Promise<boolean> {
  const socket = options.socket ?? defaultSocket();
  const limits = {
    ...(options.maxFiles === undefined ? {} : { files: options.maxFiles }),
    ...(options.maxMemory === undefined ? {} : { bytes: options.maxMemory * MIB }),
    ...(options.maxBuffers === undefined ? {} : { buffers: options.maxBuffers }),
    ...(options.maxJobs === undefined ? {} : { jobs: options.maxJobs }),
  };
  await using served = serveDevices(options, socket, io, limits);
  const devices = served.system.machine.devices.map(({ board, accel }) => ({
    node: accel === undefined ? null : `/dev/accel/${accel.name}`,
    device: board.name,
    driver: accel?.driver.name ?? null,
    bus: accel?.busName ?? null,
  }));
  if (options.json === true) io.out(`${JSON.stringify({ socket, pid: process.pid, devices })}\n`);
  else {
    const rows = devices.map(({ node, device, driver }) => [node ?? '', device, driver ?? 'none']);
    io.out(
      `${columns(['node', 'device', 'driver'], rows, { colours: io.colours })}\nlistening at ${socket}\n`,
    );
  }
  const signal = await stopped();
  if (options.json !== true)
    io.err(`${signal}: jobs are finished first, for at most ${options.drain} s; once more ends at once\n`);
  const left = await served.daemon.close({ drainMs: options.drain * 1000 });
  if (left > 0) io.err(`accel: ${left} jobs were not finished\n`);
  return left === 0;
}

/** The signal that asks to stop. After it signals do as they do by themselves: the next one ends the process. */
function stopped(): Promise<NodeJS.Signals> {
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
  return new Promise((resolve) => {
    const first = (signal: NodeJS.Signals): void => {
      for (const one of signals) process.off(one, first);
      resolve(signal);
    };
    for (const one of signals) process.on(one, first);
  });
}

function seconds(text: string): number {
  const value = Number(text);
  if (text === '' || !(value >= 0 && value <= 1e6)) throw new UsageError(`${text}: seconds are needed`);
  return value;
}

export function whole(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new UsageError(`${text}: a whole number from 1 is needed`);
  return value;
}

/** Options that say which devices a daemon has. */
export function deviceOptions(command: Command): Command {
  return command
    .option('-d, --device <name...>', `board, see accel ls; several (default ${DEFAULT_BOARD})`)
    .option('--dri', 'show all devices as /dev/dri/cardN too, for test suites of DRM')
    .addOption(
      new Option('--engines <where>', 'data paths in the thread of the core or in workers')
        .choices(['inline', 'worker'])
        .default('inline'),
    )
    .option('--staging', 'let a driver in staging load');
}

/** `ended` hears whether every job was finished. */
export function addServe(program: Command, io: CommandIo, ended: (finished: boolean) => void): void {
  deviceOptions(program.command('serve'))
    .description('serve devices to other processes')
    .option('--socket <path>', 'where to listen (default $XDG_RUNTIME_DIR/accel.sock)')
    .option('--max-files <n>', 'descriptors that a process may hold', whole)
    .option('--max-memory <MiB>', 'memory of buffers that a process may hold', whole)
    .option('--max-buffers <n>', 'buffers that a process may hold', whole)
    .option('--max-jobs <n>', 'unfinished jobs that a process may have', whole)
    .option('--drain <seconds>', 'how long to wait for jobs when told to stop', seconds, DRAIN_MS / 1000)
    .option('--json', 'print JSON')
    .action(async (options: ServeCommandOptions) => ended(await run(options, io)));
}
