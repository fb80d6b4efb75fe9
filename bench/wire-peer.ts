// The other process of bench/wire.ts: our own client, that times calls which do nothing. `wire-peer SOCKET N` prints ns: p50 p99.
// Not a benchmark by itself.
import { DRM_IOCTL_GET_CLIENT } from '../src/abi/drm.js';
import { Connection, RemoteFile } from '../src/node/client/index.js';

const WARM_UP = 1000;

const [socket, count] = process.argv.slice(2) as [string, string];
const calls = Number(count);
await using connection = await Connection.open(socket);
const file = await RemoteFile.open(connection, '/dev/accel/accel0');
const argument = new Uint8Array(DRM_IOCTL_GET_CLIENT.layout!.size);
const times = new Float64Array(calls);
for (let i = -WARM_UP; i < calls; i++) {
  argument.fill(0);
  const start = process.hrtime.bigint();
  await file.ioctl(DRM_IOCTL_GET_CLIENT.request, argument);
  if (i >= 0) times[i] = Number(process.hrtime.bigint() - start);
}
times.sort();
console.log(`${times[calls >> 1]} ${times[Math.floor(calls * 0.99)]}`);
await file.close();
