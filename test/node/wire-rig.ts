// A daemon in this process for tests, and other processes that use it.
// Not a test.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { serve, type ServeOptions, type Served } from '../../src/node/daemon/serve.js';

const cli = fileURLToPath(new URL('../../src/node/cli/main.js', import.meta.url));

export interface Rig extends Served {
  readonly socket: string;
  /** Defects of the daemon so far. */
  readonly defects: unknown[];
}

/** Two null devices and room for little, unless told otherwise. */
export function daemonRig(options: Partial<ServeOptions> = {}): Rig {
  const folder = mkdtempSync(join(tmpdir(), 'accel-wire-'));
  const socket = join(folder, 'accel.sock');
  const defects: unknown[] = [];
  const served = serve({
    devices: ['null', 'null'],
    staging: true,
    dram: 64,
    ...options,
    socket,
    onDefect: (error) => defects.push(error),
  });
  return {
    ...served,
    socket,
    defects,
    async [Symbol.asyncDispose]() {
      await served[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Another process that runs test/node/wire-peer.js: `line` resolves to what it prints next. */
export const peer = (socket: string, ...words: string[]) => start('wire-peer.js', socket, ...words);

/** Another process that runs `jobs` jobs of `device` when told, test/node/job-peer.js. */
export const jobPeer = (socket: string, device: string, jobs: number) =>
  start('job-peer.js', socket, device, String(jobs));

function start(name: string, ...words: string[]) {
  const script = fileURLToPath(new URL(name, import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [script, ...words], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  return {
    child,
    ended,
    line: async (): Promise<string> => String((await lines.next()).value),
  };
}

/**
 * Resolves when at least two jobs of clients are under way. Engines in threads report through the event loop, so that what was pushed is
 * seen before it is done. @throws Error when they are not within half a minute
 */
export async function jobsUnderWay({ daemon }: Rig): Promise<void> {
  for (const end = Date.now() + 30_000; daemon.stats.jobs < 2;) {
    if (Date.now() > end) throw new Error('no jobs came');
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** `accel serve --json` in a process of its own, told apart by `ready`, its first line. */
export async function servedCommand(...words: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'accel-serve-'));
  const socket = join(folder, 'accel.sock');
  const child = spawn(process.execPath, [cli, 'serve', '--json', '--socket', socket, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  let errors = '';
  child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ready = JSON.parse(String((await lines.next()).value)) as Record<string, unknown>;
  return {
    ...{ child, socket, ready, ended, errors: () => errors },
    [Symbol.dispose]: () => {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export type ServedCommand = Awaited<ReturnType<typeof servedCommand>>;

/** Resolves once `holds`; false when it does not within `ms`. */
export async function until(holds: () => boolean, ms = 10_000): Promise<boolean> {
  for (const end = Date.now() + ms; Date.now() < end;) {
    if (holds()) return true;
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
  return holds();
}
