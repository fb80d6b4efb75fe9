// What does one job cost, from ioctl to fence, when there is next to nothing to compute?
// Not the data path: an empty job writes one word, an NVDLA layer copies 64 bytes.
import { openSystem } from '../src/node/system.js';
import { sdpJob } from '../src/testing/adapters/nvdla-job.js';
import { emptyJob } from './empty-job.js';
import { latency, print, type Row } from './harness.js';
import { loadOrt, session, trivialModel } from './peer.js';

const DEPTH = 64;

export async function job(): Promise<void> {
  const ort = await loadOrt();
  const peer = await session(ort, trivialModel());
  const feeds = { a: new ort.Tensor('float32', [1], [1]), b: new ort.Tensor('float32', [2], [1]) };
  const { p50: peerTime } = await latency(() => peer.run(feeds));
  const rows: Row[] = [];
  const row = (what: string, time: number): void => {
    rows.push({
      what,
      ours: `${time.toFixed(1)} us`,
      peer: `${peerTime.toFixed(1)} us`,
      peerName: 'onnxruntime-node, one Add',
      ratio: time / peerTime,
      aim: '<= 1',
    });
  };
  for (const engines of ['inline', 'worker'] as const) {
    const system = openSystem({ devices: ['null'], engines, staging: true });
    const file = system.open();
    const empty = await emptyJob(file);
    row(`empty job, awaited, engines ${engines}`, (await latency(() => empty(1))).p50);
    row(
      `empty job, ${DEPTH} deep, engines ${engines}`,
      (await latency(() => empty(DEPTH), 300, 50)).p50 / DEPTH,
    );
    await file.close();
    system[Symbol.dispose]();
  }
  for (const engines of ['inline', 'worker'] as const) {
    const system = openSystem({ devices: ['nvdla:nv_small'], engines });
    const file = system.open();
    const one = await sdpJob(file, { atom: 8 });
    row(`NVDLA layer of 64 bytes, awaited, engines ${engines}`, (await latency(() => one.submit())).p50);
    const many = await Promise.all(Array.from({ length: DEPTH }, () => sdpJob(file, { atom: 8 })));
    const burst = await latency(() => Promise.all(many.map((each) => each.submit())), 200, 20);
    row(`NVDLA layer of 64 bytes, ${DEPTH} deep, engines ${engines}`, burst.p50 / DEPTH);
    await file.close();
    system[Symbol.dispose]();
  }
  print('ioctl to fence', rows);
}
