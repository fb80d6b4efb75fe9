// accel info of a node of the kernel or of a daemon: what its sysfs says of it, and what its driver answers.
// Not the device's model: what the kernel's driver does with its registers is its own affair.
import { DRM_IOCTL_GET_CAP, DRM_IOCTL_VERSION, DrmGetCap, DrmVersion } from '../../abi/drm.js';
import { AccelError } from '../../base/errors.js';
import type { AccelFile } from '../../core/accel-file.js';
import { columns } from './columns.js';
import type { CommandIo } from './io.js';
import type { LinuxNode } from '../linux/index.js';
import { daemonNode, kernelNode } from './target.js';

/** Capabilities that say something of an accelerator: name, number in drm.h. */
const capabilities = [
  ['prime', 5],
  ['syncobj', 0x13],
  ['timelines', 0x14],
] as const;

/** Longest name, date or description that is asked for. */
const TEXT = 256;

async function version(file: AccelFile) {
  const texts = Array.from({ length: 2 }, () => new Uint8Array(TEXT));
  const [name, desc] = texts.map((bytes) => file.user.place(bytes));
  try {
    const length = BigInt(TEXT);
    const bytes = DrmVersion.bytes({
      name: name!.pointer,
      name_len: length,
      desc: desc!.pointer,
      desc_len: length,
    });
    await file.ioctl(DRM_IOCTL_VERSION.request, bytes);
    const answer = DrmVersion.from(bytes);
    const text = (index: number, of: bigint): string =>
      Buffer.from(texts[index]!).toString('latin1', 0, Math.min(TEXT, Number(of)));
    return {
      name: text(0, answer.name_len),
      description: text(1, answer.desc_len),
      version: [answer.version_major, answer.version_minor, answer.version_patchlevel].join('.'),
    };
  } finally {
    name![Symbol.dispose]();
    desc![Symbol.dispose]();
  }
}

/** 0 where the driver does not know the capability. */
async function capability(file: AccelFile, number: number): Promise<number> {
  const bytes = DrmGetCap.bytes({ capability: BigInt(number) });
  try {
    await file.ioctl(DRM_IOCTL_GET_CAP.request, bytes);
    return Number(DrmGetCap.from(bytes).value);
  } catch (error) {
    if (error instanceof AccelError && ['EOPNOTSUPP', 'EINVAL'].includes(error.code)) return 0;
    throw error;
  }
}

/** @throws UsageError when there is no such node; AccelError what open says */
export async function nodeInfo(path: string, json: boolean, io: CommandIo): Promise<void> {
  const node = await kernelNode(path);
  const { LinuxFile } = await import('../linux/index.js');
  await describeNode(node, LinuxFile.open(path), json, io);
}

/** The same of a daemon's device, default its first. */
export async function daemonInfo(
  name: string | undefined,
  socket: string,
  json: boolean,
  io: CommandIo,
): Promise<void> {
  const { Connection, RemoteFile } = await import('../client/index.js');
  await using connection = await Connection.open(socket);
  const node = await daemonNode(connection, name);
  await describeNode(node, await RemoteFile.open(connection, node.path), json, io);
}

/** Closes `file`. */
async function describeNode(node: LinuxNode, file: AccelFile, json: boolean, io: CommandIo): Promise<void> {
  try {
    const driver = await version(file);
    const found: Record<string, number> = {};
    for (const [name, number] of capabilities) found[name] = await capability(file, number);
    if (json) {
      io.out(`${JSON.stringify({ ...node, driver, capabilities: found }, undefined, 2)}\n`);
      return;
    }
    const { colours } = io;
    const pci = node.pci && [node.pci.vendor, node.pci.device].map((id) => id.toString(16).padStart(4, '0'));
    const facts: [string, string][] = [
      ['node', `${node.path}, character device ${node.major}:${node.minor}`],
      [
        'bus',
        [`${node.bus ?? ''} ${node.busName}`.trim(), ...(pci ? [pci.join(':')] : node.compatible)].join(', '),
      ],
      ['driver', `${driver.name} ${driver.version}, ${driver.description}`],
      ['is', node.target ?? 'hardware that there is no model or compiler of here'],
      [
        'can',
        capabilities.flatMap(([name]) => (found[name] === 0 ? [] : name)).join(', ') || 'nothing generic',
      ],
    ];
    io.out(
      columns(
        ['', ''],
        facts.map(([what, value]) => [colours.dim(what), value]),
        { colours },
      ),
    );
  } finally {
    await file.close();
  }
}
