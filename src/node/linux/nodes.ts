// The accelerators of the kernel below: device nodes as /sys shows them, and which of our targets each one is.
// Not a probe: nothing is opened.
import type { AccelError } from '../../base/errors.js';
import { boards, type Board } from '../../machine/index.js';
import { readFolder, readLink, readText } from '../libc.js';

export interface LinuxNode {
  /** `/dev/accel/accel0`. */
  readonly path: string;
  /** `accel0`. */
  readonly name: string;
  readonly major: number;
  readonly minor: number;
  /** The kernel driver bound to the device, as /sys names it. */
  readonly driver: string | undefined;
  /** `pci`, `platform`. */
  readonly bus: string | undefined;
  /** `0000:00:08.0`, `10200000.nvdla`. */
  readonly busName: string;
  /** Device-tree strings, most specific first. */
  readonly compatible: readonly string[];
  readonly pci: { readonly vendor: number; readonly device: number } | undefined;
  /** The board of ours that is the same hardware, for the compiler: `nvdla:nv_small`. Undefined for hardware we do not know. */
  readonly target: string | undefined;
}

/** Classes that nodes of accelerators are in. Older drivers make DRM render nodes: of those, only hardware we know is listed. */
const classes = [
  { folder: 'class/accel', pattern: /^accel\d+$/, all: true },
  { folder: 'class/drm', pattern: /^renderD\d+$/, all: false },
] as const;

/**
 * Nodes by class and number; none where the kernel has no such class. A device with nodes of both classes is listed by its
 * accel node. `sys` is where sysfs is.
 * @throws AccelError EACCES ...
 */
export function linuxNodes(sys = '/sys'): LinuxNode[] {
  const nodes = allNodes(sys);
  return nodes.filter((node) => {
    const first = nodes.find(({ busName }) => busName !== '' && busName === node.busName);
    return first === undefined || first === node;
  });
}

/** The node of that path (`/dev/accel/accel0`, `/dev/dri/renderD128`). */
export function linuxNode(path: string): LinuxNode | undefined {
  return allNodes('/sys').find((node) => node.path === path);
}

function allNodes(sys: string): LinuxNode[] {
  return classes.flatMap(({ folder, pattern, all }) =>
    names(`${sys}/${folder}`)
      .filter((name) => pattern.test(name))
      .sort((a, b) => numberOf(a) - numberOf(b))
      .map((name) => describe(`${sys}/${folder}`, name))
      .filter((node) => node !== undefined)
      .filter((node) => all || node.target !== undefined),
  );
}

function describe(folder: string, name: string): LinuxNode | undefined {
  const at = `${folder}/${name}`;
  return nodeOf(name, {
    uevent: textOf(`${at}/uevent`),
    deviceUevent: textOf(`${at}/device/uevent`),
    driver: linkName(`${at}/device/driver`),
    bus: linkName(`${at}/device/subsystem`),
    device: linkName(`${at}/device`),
  });
}

/** What sysfs has in the folder of a node: texts, and the last part of links. */
export interface NodeFiles {
  readonly uevent: string | undefined;
  readonly deviceUevent: string | undefined;
  readonly driver: string | undefined;
  readonly bus: string | undefined;
  readonly device: string | undefined;
}

/** Undefined for a device that went away meanwhile. */
export function nodeOf(name: string, files: NodeFiles): LinuxNode | undefined {
  const own = variables(files.uevent);
  const path = own.get('DEVNAME');
  if (path === undefined) return undefined;
  const about = variables(files.deviceUevent);
  const compatible = [...about].filter(([key]) => /^OF_COMPATIBLE_\d+$/.test(key)).map(([, value]) => value);
  const [vendor, device] = (about.get('PCI_ID') ?? '').split(':').map((part) => parseInt(part, 16));
  const pci = vendor === undefined || device === undefined ? undefined : { vendor, device };
  return {
    path: `/dev/${path}`,
    name,
    major: Number(own.get('MAJOR')),
    minor: Number(own.get('MINOR')),
    driver: about.get('DRIVER') ?? files.driver,
    bus: files.bus,
    busName: files.device ?? '',
    compatible,
    pci,
    target: boards.find((board) => isBoard(board, compatible, pci))?.name,
  };
}

function isBoard(board: Board, compatible: readonly string[], pci: LinuxNode['pci']): boolean {
  return board.devices.some((device) =>
    device.bus === 'platform'
      ? device.compatible.some((name) => compatible.includes(name))
      : device.identity.vendor === pci?.vendor && device.identity.device === pci.device,
  );
}

const numberOf = (name: string): number => Number(/\d+$/.exec(name)![0]);

/** `KEY=value` per line, as in uevent. */
function variables(text: string | undefined): Map<string, string> {
  const pairs = (text ?? '').split('\n').map((line) => /^([A-Z0-9_]+)=(.*)$/.exec(line));
  return new Map(pairs.filter((pair) => pair !== null).map(([, key, value]) => [key!, value!]));
}

/** What a look into /sys finds, undefined when it is not there. */
function unlessAbsent<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (['ENOENT', 'ENODEV', 'EINVAL'].includes((error as AccelError).code)) return undefined;
    throw error;
  }
}

const names = (folder: string): string[] => unlessAbsent(() => readFolder(folder)) ?? [];
const textOf = (path: string): string | undefined => unlessAbsent(() => readText(path));
const linkName = (path: string): string | undefined =>
  unlessAbsent(() => readLink(path))
    ?.split('/')
    .at(-1);
