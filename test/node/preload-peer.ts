// Runs under the preload library: one job of the device at /dev/accel/accel0, by open, ioctl and mmap of the C library.
// Not a test.
import { LinuxFile } from '../../src/node/linux/index.js';
import { adapterFor } from '../../src/testing/index.js';

const file = LinuxFile.open('/dev/accel/accel0');
const job = await adapterFor(process.argv[2]!).adapter.aJob(file, { seed: 3 });
await job.run();
const same = Buffer.compare(job.result, job.expected) === 0;
await job.release();
await file.close();
console.log(same ? 'ok' : 'other bytes');
process.exit(0);
