// A client process that submits real jobs: SOCKET DEVICE JOBS. Says `ready`; told `go` it runs all of them at once, says `first` when one
// is right, and at the end how each ended, as JSON: `right`, `wrong`, or the errno.
// Not a test.
import { createInterface } from 'node:readline';
import { AccelError } from '../../src/base/errors.js';
import { Connection, RemoteFile } from '../../src/node/client/index.js';
import { adapterFor, type SuiteJob } from '../../src/testing/index.js';

const [socket, device, count] = process.argv.slice(2) as [string, string, string];
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const connection = await Connection.open(socket);
const file = await RemoteFile.open(connection, '/dev/accel/accel0');
const jobs: SuiteJob[] = [];
for (let i = 0; i < Number(count); i++)
  jobs.push(await adapterFor(device).adapter.aJob(file, { seed: 1 + (i % 90), timeoutMs: 10_000 }));
console.log('ready');
await lines.next();
let said = false;
const ends = await Promise.all(
  jobs.map(async (job) => {
    try {
      await job.run();
    } catch (error) {
      return error instanceof AccelError ? error.code : String(error);
    }
    if (!said) console.log('first');
    said = true;
    return Buffer.compare(job.result, job.expected) === 0 ? 'right' : 'wrong';
  }),
);
console.log(JSON.stringify(ends));
await connection.close();
process.exit(0);
