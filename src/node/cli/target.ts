// Where a model can run: a virtual device of this process, a node of the kernel, or a daemon's device.
// Not a choice: --device says which, this opens it.
import type { Ticks } from '../../runtime/index.js';
import type { AccelFile } from '../../core/accel-file.js';
import type { EngineUsage } from '../../core/usage.js';
import { boardByName, boards, type MachineDevice } from '../../machine/index.js';
import { RealClock } from '../clock.js';
import type { Connection } from '../client/index.js';
import type { LinuxNode } from '../linux/index.js';
import { DEFAULT_BOARD, openSystem, type EngineKind, type System, type SystemOptions } from '../system.js';
import { UsageError } from './io.js';
import { defaultSocket } from './socket.js';

/** Busy time of an engine; of a kernel's only the time is known. */
export type TargetUsage = Pick<EngineUsage, 'engine' | 'busyNs'> & { readonly jobs: number | undefined };

export interface Target extends Disposable {
  /** For the compiler: `nvdla:nv_large`. */
  readonly name: string;
  /** `accel0`. */
  readonly node: string | undefined;
  readonly driver: string | undefined;
  /** Where its data paths run; undefined where that is not ours to say. */
  readonly engines: EngineKind | undefined;
  readonly clock: Ticks;
  /** Opened with the target, for whoever disposes of it last. */
  readonly file: AccelFile;
  /** Busy time per engine so far. */
  usage(): Promise<TargetUsage[]>;
}

export interface TargetOptions {
  /** Socket of a daemon whose device it is; true is the usual place. */
  readonly connect?: string | true | undefined;
  readonly engines?: EngineKind | undefined;
  /** Lets a driver in staging load. */
  readonly staging?: boolean | undefined;
  /** Told once a system exists: for tracing, which only devices of this process can have. */
  onSystem?(system: System, device: MachineDevice): void;
}

/**
 * Opens a board of ours by name, or a node by path (`/dev/accel/accel0`). Default nvdla:nv_large.
 * @throws UsageError for a name that is none; AccelError what open says
 */
export async function openTarget(name: string | undefined, options: TargetOptions): Promise<Target> {
  if (options.connect !== undefined) return daemonTarget(name, options);
  if (name?.startsWith('/') !== true) return virtualTarget(name, options);
  if (options.onSystem !== undefined)
    throw new UsageError(`${name} cannot be traced or estimated: only devices of this process can`);
  return kernelTarget(name);
}

/** A system with the device of that name: a board name, or accelN on a machine with the default board. */
export function systemFor(
  name: string | undefined,
  options: Pick<SystemOptions, 'engines' | 'bare' | 'staging'> = {},
): System {
  const wanted = name ?? DEFAULT_BOARD;
  if (boardByName(wanted) !== undefined) return openSystem({ ...options, devices: [wanted] });
  if (/^accel\d+$/.test(wanted)) {
    const system = openSystem(options);
    if (system.machine.device(wanted) !== undefined) return system;
    system[Symbol.dispose]();
    throw new UsageError(`no device ${wanted}: only accel0 exists, a ${DEFAULT_BOARD}; see accel ls`);
  }
  throw new UsageError(`no device ${wanted}; there are ${boards.map((board) => board.name).join(', ')}`);
}

function virtualTarget(name: string | undefined, { engines, staging, onSystem }: TargetOptions): Target {
  const system = systemFor(name, { engines, staging });
  try {
    const device = system.device();
    const { accel } = device;
    onSystem?.(system, device);
    return {
      name: device.board.name,
      node: accel?.name,
      driver: accel?.driver.name,
      engines: engines ?? 'inline',
      clock: system.clock,
      file: system.open(),
      usage: async () => (accel === undefined ? [] : (accel.driver.usage?.(accel) ?? [])),
      [Symbol.dispose]: () => system[Symbol.dispose](),
    };
  } catch (error) {
    system[Symbol.dispose]();
    throw error;
  }
}

/** The kernel's node of that path. @throws UsageError when there is none */
export async function kernelNode(path: string): Promise<LinuxNode> {
  const { linuxNode, linuxNodes } = await import('../linux/index.js');
  const node = linuxNode(path);
  if (node !== undefined) return node;
  const known = linuxNodes()
    .map((candidate) => candidate.path)
    .join(', ');
  throw new UsageError(`no node ${path}; the kernel has ${known || 'no accelerators'}`);
}

/** The socket that `--connect [SOCKET]` means. */
export const socketOf = (connect: string | true): string => (connect === true ? defaultSocket() : connect);

/** The daemon's device of that name (`accel0`, `/dev/accel/accel0`, or what it is), default its first. @throws UsageError */
export async function daemonNode(connection: Connection, name: string | undefined): Promise<LinuxNode> {
  const { daemonNodes } = await import('../client/index.js');
  const nodes = await daemonNodes(connection);
  const node = nodes.find(
    (candidate) => name === undefined || [candidate.path, candidate.name, candidate.target].includes(name),
  );
  if (node !== undefined) return node;
  const known = nodes.map((candidate) => `${candidate.path} (${candidate.target ?? candidate.busName})`);
  throw new UsageError(`no device ${name ?? ''}; the daemon has ${known.join(', ') || 'none'}`);
}

async function daemonTarget(
  name: string | undefined,
  { connect, engines, staging, onSystem }: TargetOptions,
): Promise<Target> {
  if (engines === 'worker' || staging === true)
    throw new UsageError('--engines and --staging are for who starts the daemon');
  if (onSystem !== undefined) throw new UsageError('a device of a daemon cannot be traced from here');
  const { Connection, RemoteFile } = await import('../client/index.js');
  const connection = await Connection.open(socketOf(connect!));
  try {
    const node = await daemonNode(connection, name);
    if (node.target === undefined)
      throw new UsageError(`${node.path} is ${node.busName}, hardware that there is no compiler for`);
    const file = await RemoteFile.open(connection, node.path);
    return {
      name: node.target,
      node: node.name,
      driver: node.driver,
      engines: undefined,
      clock: new RealClock(),
      file,
      usage: async () => usageOf(await file.fdinfo()),
      [Symbol.dispose]: () => void connection.close(),
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

async function kernelTarget(path: string): Promise<Target> {
  const node = await kernelNode(path);
  if (node.target === undefined)
    throw new UsageError(
      `${path} is ${node.busName}, hardware that there is no compiler for; see accel info ${path}`,
    );
  const { LinuxFile } = await import('../linux/index.js');
  const file = LinuxFile.open(path);
  return {
    name: node.target,
    node: node.name,
    driver: node.driver,
    engines: undefined,
    clock: new RealClock(),
    file,
    usage: async () => usageOf(await file.fdinfo()),
    [Symbol.dispose]: () => {},
  };
}

/** `drm-engine-conv: 1200 ns` of fdinfo: the busy time of this file. */
export function usageOf(fdinfo: string): TargetUsage[] {
  return [...fdinfo.matchAll(/^drm-engine-(?!capacity-)(\S+):\s*(\d+) ns$/gm)].map(([, engine, ns]) => ({
    engine: engine!,
    busyNs: Number(ns),
    jobs: undefined,
  }));
}
