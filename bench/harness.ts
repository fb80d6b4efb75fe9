// What every benchmark shares: timing loops, percentiles, aligned output with ratios.
// Not a judge: nothing is asserted, machines differ.
import { cpus } from 'node:os';
import pc from 'picocolors';
import { columns } from '../src/node/cli/columns.js';

export interface Row {
  readonly what: string;
  readonly ours: string;
  readonly peer: string;
  readonly peerName: string;
  /** Ours against the peer; above 1 is better for rates, below 1 is better for times. */
  readonly ratio: number;
  readonly aim: string;
}

/** Microseconds per call, median and 99th percentile of `runs` awaited calls. */
export async function latency(
  run: () => unknown,
  runs = 3000,
  warmup = 300,
): Promise<{ p50: number; p99: number }> {
  for (let i = 0; i < warmup; i++) await run();
  const times = new Float64Array(runs);
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    await run();
    times[i] = (performance.now() - start) * 1000;
  }
  times.sort();
  return { p50: times[runs >> 1]!, p99: times[Math.floor(runs * 0.99)]! };
}

/** The least median of several rounds, microseconds: what a call costs while the machine is left alone. */
export async function typical(run: () => unknown, runs = 2000, rounds = 5): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < rounds; round++) least = Math.min(least, (await latency(run, runs, runs)).p50);
  return least;
}

/** Milliseconds of the best of `runs` awaited calls: stable when other work runs beside. */
export async function best(run: () => unknown, runs = 15, warmup = 3): Promise<number> {
  for (let i = 0; i < warmup; i++) await run();
  let least = Infinity;
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    await run();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

/** CPU milliseconds of the best of `runs` calls, for what computes in this thread: others at work beside count little. */
export function bestCpu(run: () => unknown, runs = 15, warmup = 3): number {
  for (let i = 0; i < warmup; i++) run();
  let least = Infinity;
  for (let i = 0; i < runs; i++) {
    const start = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(start);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}

/** Prints rows as one table under a title that names the machine. */
export function print(title: string, rows: readonly Row[]): void {
  const cells = rows.map((row) => [
    ...[row.what, row.ours, row.peer, row.peerName],
    row.ratio.toFixed(2),
    row.aim,
  ]);
  console.log(
    `\n${title} (${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, Node ${process.version})`,
  );
  const head = ['what', 'ours', 'peer', 'against', 'ratio', 'aim'];
  console.log(columns(head, cells, { right: [1, 2, 4], colours: pc.createColors(false) }));
}
