// What does one job cost, from ioctl to fence, when there is next to nothing to compute?
// Not the data path: an empty job writes one word, an NVDLA layer copies 64 bytes.
import { openSystem } from '../src/node/system.js';
import { sdpJob } from '../src/testing/adapters/nvdla-job.js';
import { emptyJob } from './empty-job.js';
import { print, typical, type Row } from './harness.js';
import { loadOrt, session, trivialModel } from './peer.js';

const DEPTH = 64;

export async function job(): Promise<void> {
  const ort = await loadOrt();
  const peer = await session(ort, trivialModel());
  const feeds = { a: new ort.Tensor('float32', [1], [1]), b: new ort.Tensor('float32', [2], [1]) };
  const peerTime = await typical(() => peer.run(feeds));
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
    row(`empty job, awaited, engines ${engines}`, await typical(() => empty(1)));
    row(`empty job, ${DEPTH} deep, engines ${engines}`, (await typical(() => empty(DEPTH), 100)) / DEPTH);
    await file.close();
    system[Symbol.dispose]();
  }
  for (const engines of ['inline', 'worker'] as const) {
    const system = openSystem({ devices: ['nvdla:nv_small'], engines });
    const file = system.open();
    const one = await sdpJob(file, { atom: 8 });
    row(`NVDLA layer of 64 bytes, awaited, engines ${engines}`, await typical(() => one.submit()));
    const many = await Promise.all(Array.from({ length: DEPTH }, () => sdpJob(file, { atom: 8 })));
    const burst = await typical(() => Promise.all(many.map((each) => each.submit())), 100);
    row(`NVDLA layer of 64 bytes, ${DEPTH} deep, engines ${engines}`, burst / DEPTH);
    await file.close();
    system[Symbol.dispose]();
  }
  print('ioctl to fence', rows);
}
