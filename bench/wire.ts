// What does an ioctl of another process cost, against the least that a message there and back can cost?
// Not what the calls do: GET_CLIENT does nothing.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { serve } from '../src/node/daemon/serve.js';
import { compiler, preloadLibrary } from '../src/node/preload.js';
import { print } from './harness.js';

const CALLS = 20_000;
/** Header and argument of GET_CLIENT. */
const BYTES = 32 + 40;
/** The best of several: others work on this machine too. */
const ROUNDS = 5;

const run = promisify(execFile);
const source = fileURLToPath(new URL('../../bench/native/echo.c', import.meta.url));

interface Times {
  readonly p50: number;
  readonly p99: number;
}

const times = (out: string): Times => {
  const [p50, p99] = out.trim().split(' ').map(Number) as [number, number];
  return { p50: p50 / 1000, p99: p99 / 1000 };
};

export async function wire(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'accel-bench-'));
  try {
    const echo = join(folder, 'echo');
    execFileSync(compiler(), ['-O2', '-o', echo, source]);
    const library = await preloadLibrary();
    const socket = join(folder, 'accel.sock');
    await using served = serve({ socket, devices: ['null'], staging: true });
    let ours: Times | undefined;
    let peer: Times | undefined;
    for (let round = 0; round < ROUNDS; round++) {
      const at = join(folder, 'echo.sock');
      const server = spawn(echo, ['serve', at], { stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = once(server, 'exit');
      await once(server.stdout, 'data');
      const there = times((await run(echo, ['call', at, String(CALLS), String(BYTES)])).stdout);
      await ended;
      const env = { ...process.env, LD_PRELOAD: library, ACCEL_SOCKET: served.daemon.socket };
      const calls = await run(echo, ['ioctl', '/dev/accel/accel0', String(CALLS)], { env });
      const here = times(calls.stdout);
      if (peer === undefined || there.p50 < peer.p50) peer = there;
      if (ours === undefined || here.p50 < ours.p50) ours = here;
    }
    const row = (what: string, mine: number, theirs: number, aim: string) => ({
      what,
      ours: `${mine.toFixed(1)} us`,
      peer: `${theirs.toFixed(1)} us`,
      peerName: 'echo server in C',
      ratio: mine / theirs,
      aim,
    });
    print(`ioctl of another process, ${CALLS} calls`, [
      row('p50', ours!.p50, peer!.p50, '<= 1.5'),
      row('p99', ours!.p99, peer!.p99, ''),
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
