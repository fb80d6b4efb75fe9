// Does a call cost more when many files are open or many buffers live?
// Not the data path: the job writes one word on the null device.
import { openSystem } from '../src/node/system.js';
import { emptyJob, newBuffer } from './empty-job.js';
import { latency, print, type Row } from './harness.js';

/** Medians of several rounds over all sizes, so that a slow moment of the machine does not fall on one size only. */
async function compare(
  what: string,
  sizes: readonly number[],
  runs: readonly (() => Promise<void>)[],
): Promise<Row[]> {
  const least = sizes.map(() => Infinity);
  for (let round = 0; round < 7; round++) {
    for (const [i, run] of runs.entries())
      least[i] = Math.min(least[i]!, (await latency(run, 2000, 500)).p50);
  }
  return sizes.map((size, i) => ({
    what: `${size} ${what}`,
    ours: `${least[i]!.toFixed(2)} us`,
    peer: `${least[0]!.toFixed(2)} us`,
    peerName: `the same with ${sizes[0]}`,
    ratio: least[i]! / least[0]!,
    aim: '<= 1.3',
  }));
}

export async function scale(): Promise<void> {
  const rows: Row[] = [];
  // Each open file has a ring of its own in DRAM: 10,000 of them and their buffers need 400 MB of address space.
  const fileCounts = [1, 100, 10_000];
  const systems = fileCounts.map(() => openSystem({ devices: ['null'], staging: true, dram: 2048 }));
  const runs: (() => Promise<void>)[] = [];
  for (const [i, count] of fileCounts.entries()) {
    const files = Array.from({ length: count }, () => systems[i]!.open());
    runs.push(await emptyJob(files[count >> 1]!));
  }
  rows.push(...(await compare('open files: submit to fence', fileCounts, runs)));
  for (const system of systems) system[Symbol.dispose]();

  const bufferCounts = [1, 1000, 100_000];
  const others = bufferCounts.map(() => openSystem({ devices: ['null'], staging: true, dram: 2048 }));
  const jobs: (() => Promise<void>)[] = [];
  for (const [i, count] of bufferCounts.entries()) {
    const file = others[i]!.open();
    for (let made = 1; made < count; made++) await newBuffer(file);
    jobs.push(await emptyJob(file));
  }
  rows.push(...(await compare('live buffers: submit to fence', bufferCounts, jobs)));
  for (const system of others) system[Symbol.dispose]();
  print('cost of a job as the system fills', rows);
}
