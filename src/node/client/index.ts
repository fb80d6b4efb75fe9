// Devices of a daemon in another process: a connection, its nodes, and files over them.
// Not the daemon.
import { closeSync, readFileSync } from 'node:fs';
import { AccelError } from '../../base/errors.js';
import { nodeOf, type LinuxNode } from '../linux/nodes.js';
import type { Connection } from './connection.js';

export { Connection, type ConnectionOptions } from './connection.js';
export { RemoteFile, type RemoteOpenOptions } from './remote-file.js';

const CLASS = '/sys/class/accel';
const O_RDONLY = 0;

/** The daemon's devices, as its sysfs shows them. */
export async function daemonNodes(connection: Connection): Promise<LinuxNode[]> {
  const nodes: LinuxNode[] = [];
  for (const name of await connection.names(CLASS)) {
    const at = `${CLASS}/${name}`;
    const node = nodeOf(name, {
      uevent: await text(connection, `${at}/uevent`),
      deviceUevent: await text(connection, `${at}/device/uevent`),
      driver: await linkName(connection, `${at}/device/driver`),
      bus: await linkName(connection, `${at}/device/subsystem`),
      device: await deviceName(connection, at),
    });
    if (node !== undefined) nodes.push(node);
  }
  return nodes;
}

async function unlessAbsent<T>(look: Promise<T>): Promise<T | undefined> {
  try {
    return await look;
  } catch (error) {
    if (error instanceof AccelError && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function text(connection: Connection, path: string): Promise<string | undefined> {
  const opened = await unlessAbsent(connection.openPath(path, O_RDONLY));
  if (opened === undefined) return undefined;
  try {
    return readFileSync(opened.fd, 'utf8');
  } finally {
    closeSync(opened.fd);
  }
}

async function linkName(connection: Connection, path: string): Promise<string | undefined> {
  return (await unlessAbsent(connection.link(path)))?.split('/').at(-1);
}

/** The device's folder is the one two above the class folder's own, however the links lead there. */
async function deviceName(connection: Connection, at: string): Promise<string | undefined> {
  return (await unlessAbsent(connection.link(at)))?.split('/').at(-3);
}
