// What does an ioctl of another process cost, against the least that a message there and back can cost?
// Not what the calls do: GET_CLIENT does nothing.
import { execFile, execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { compiler, preloadLibrary } from '../src/node/preload.js';
import { print, type Row } from './harness.js';

const CALLS = 20_000;
/** Header and argument of GET_CLIENT. */
const BYTES = 32 + 40;
/** Blocks of calls, ours and the peer's by turns: others work on this machine too, and both are to see the same of it. */
const BLOCKS = 7;
const TOGETHER = 4;

const run = promisify(execFile);
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const source = here('../../bench/native/echo.c');
const accel = here('../src/node/cli/main.js');
const peer = here('wire-peer.js');

/** Microseconds. */
interface Times {
  readonly p50: number;
  readonly p99: number;
}

function times(out: string): Times {
  const [p50, p99] = out.trim().split(' ').map(Number) as [number, number];
  return { p50: p50 / 1000, p99: p99 / 1000 };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

/** The median of a block of calls of several clients at once: of their medians, and of their 99th percentiles. */
function together(each: readonly Times[]): Times {
  return { p50: median(each.map(({ p50 }) => p50)), p99: median(each.map(({ p99 }) => p99)) };
}

async function started(child: ChildProcess): Promise<ChildProcess> {
  await Promise.race([
    once(child.stdout!, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error('it ended at once'))),
  ]);
  return child;
}

/** Programs under one way of scheduling, all of them: the daemon, the server in C, the clients. */
class Bed {
  readonly #prefix: readonly string[];
  readonly #folder: string;
  readonly #echo: string;
  readonly #library: string;
  readonly #socket: string;

  constructor(prefix: readonly string[], folder: string, echo: string, library: string) {
    this.#prefix = prefix;
    this.#folder = folder;
    this.#echo = echo;
    this.#library = library;
    this.#socket = join(folder, 'accel.sock');
  }

  async daemon(): Promise<AsyncDisposable> {
    const args = [accel, 'serve', '--device', 'null', '--staging', '--json', '--socket', this.#socket];
    const child = await started(this.#spawn(process.execPath, args));
    return {
      async [Symbol.asyncDispose]() {
        const ended = once(child, 'exit');
        child.kill();
        await ended;
      },
    };
  }

  /** Calls of a program in C under the preload library. */
  async ioctl(): Promise<Times> {
    const env = { ...process.env, LD_PRELOAD: this.#library, ACCEL_SOCKET: this.#socket };
    return times(await this.#run(this.#echo, ['ioctl', '/dev/accel/accel0', String(CALLS)], env));
  }

  /** Calls of our own client. */
  async client(): Promise<Times> {
    return times(await this.#run(process.execPath, [peer, this.#socket, String(CALLS)]));
  }

  /** Messages to a server in C of its own. */
  async echo(which = 0): Promise<Times> {
    const at = join(this.#folder, `echo${which}.sock`);
    const server = await started(this.#spawn(this.#echo, ['serve', at]));
    const ended = once(server, 'exit');
    const out = await this.#run(this.#echo, ['call', at, String(CALLS), String(BYTES)]);
    await ended;
    return times(out);
  }

  #spawn(program: string, args: readonly string[]): ChildProcess {
    const [first, ...rest] = [...this.#prefix, program, ...args] as [string, ...string[]];
    return spawn(first, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  }

  async #run(program: string, args: readonly string[], env = process.env): Promise<string> {
    const [first, ...rest] = [...this.#prefix, program, ...args] as [string, ...string[]];
    return (await run(first, rest, { env })).stdout;
  }
}

/** Blocks by turns; the ratio is the median of the blocks' ratios. */
async function compare(
  what: string,
  ours: () => Promise<Times>,
  theirs: () => Promise<Times>,
  peerName: string,
  aim: string,
): Promise<Row[]> {
  // The first block is not counted: the daemon's code is compiled as it runs.
  await ours();
  const pairs: [Times, Times][] = [];
  for (let block = 0; block < BLOCKS; block++) {
    const there = await theirs();
    pairs.push([await ours(), there]);
  }
  const row = (name: keyof Times, limit: string): Row => {
    const ratios = pairs.map(([mine, peer]) => mine[name] / peer[name]);
    const least = Math.min(...ratios).toFixed(2);
    const most = Math.max(...ratios).toFixed(2);
    return {
      what: `${what}, ${name} (blocks ${least} to ${most})`,
      ours: `${median(pairs.map(([mine]) => mine[name])).toFixed(1)} us`,
      peer: `${median(pairs.map(([, peer]) => peer[name])).toFixed(1)} us`,
      peerName,
      ratio: median(ratios),
      aim: limit,
    };
  };
  return [row('p50', aim), row('p99', '')];
}

export async function wire(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'accel-bench-'));
  try {
    const echo = join(folder, 'echo');
    execFileSync(compiler(), ['-O2', '-o', echo, source]);
    const library = await preloadLibrary();
    const title = `ioctl of another process, median of ${BLOCKS} blocks of ${CALLS} calls`;
    const inC = (bed: Bed): Promise<Row[]> =>
      compare(
        'program in C',
        () => bed.ioctl(),
        () => bed.echo(),
        'echo server in C',
        '<= 1.5',
      );
    {
      const bed = new Bed([], folder, echo, library);
      await using _daemon = await bed.daemon();
      print(`${title}, ordinary scheduling`, await inC(bed));
    }
    if (spawnSync('chrt', ['-r', '1', 'true']).status !== 0) return;
    const bed = new Bed(['chrt', '-r', '1'], folder, echo, library);
    await using _daemon = await bed.daemon();
    const all = Array.from({ length: TOGETHER }, (_, i) => i);
    print(`${title}, real-time scheduling: programs of others do not count`, [
      ...(await inC(bed)),
      ...(await compare(
        'our client',
        () => bed.client(),
        () => bed.echo(),
        'echo server in C',
        '',
      )),
      ...(await compare(
        `${TOGETHER} programs at once`,
        async () => together(await Promise.all(all.map(() => bed.ioctl()))),
        async () => together(await Promise.all(all.map((i) => bed.echo(i)))),
        `${TOGETHER} echo servers in C`,
        '',
      )),
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
