// The other process of the wire's tests: a client of the daemon that does as its arguments say, and says `ready`.
// Not a test.
import * as drm from '../../src/abi/drm.js';
import * as abi from '../../src/abi/null.js';
import { Connection, RemoteFile } from '../../src/node/client/index.js';
import { commandBytes } from '../../src/testing/adapters/null.js';
import { call, exportGem } from '../../src/testing/index.js';

const [socket, what] = process.argv.slice(2) as [string, string];
const connection = await Connection.open(socket);
const file = await RemoteFile.open(connection, '/dev/accel/accel0');
const { handle, offset } = await call(file, abi.DRM_IOCTL_NULL_GEM_NEW, { size: 65536n });
const mapping = await file.mmap(offset, 65536);
const fd = await exportGem(file, handle);
const syncobj = await call(file, drm.DRM_IOCTL_SYNCOBJ_CREATE, {});
const shared = await call(file, drm.DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, { handle: syncobj.handle });

if (what === 'job') {
  // One job that the device waits in, three behind it, and a call that sleeps until they are done.
  const wait = commandBytes([{ op: abi.NULL_OP_WAIT, value: 1, src_handle: handle, src_offset: 0n }]);
  const commands = file.user.place(wait).pointer;
  for (let i = 0; i < 4; i++)
    await call(file, abi.DRM_IOCTL_NULL_SUBMIT, {
      commands,
      command_count: 1,
      command_size: abi.NullCommand.size,
      timeout_ms: 300,
      out_sync: syncobj.handle,
    });
  void call(file, abi.DRM_IOCTL_NULL_WAIT, { handle, timeout_ns: (1n << 63n) - 1n });
  await call(file, drm.DRM_IOCTL_VERSION, {});
}
console.log(`ready ${fd} ${shared.fd} ${mapping.bytes.length}`);
process.stdin.once('data', () => {
  if (what === 'leave') void connection.close();
  else process.exit(0);
});
process.stdin.resume();
