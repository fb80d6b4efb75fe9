// accel ls and accel info: which devices there are, and what is promised about one.
// Not a probe of silicon: of the kernel's devices it shows what the kernel says.
import { AccelError } from '../../base/errors.js';
import type { Modelled } from '../../base/register-file.js';
import { configByCompatible, type NvdlaConfig } from '../../hw/nvdla/index.js';
import type { Manifest, StagingState } from '../../core/manifest.js';
import { boards, driverOf, type MachineDevice } from '../../machine/index.js';
import { admit } from '../../policy/index.js';
import { DEFAULT_BOARD, today } from '../system.js';
import { columns } from './columns.js';
import { bytes } from './format.js';
import { errorLine, type CommandIo } from './io.js';
import { daemonInfo, nodeInfo } from './node-info.js';
import { socketOf, systemFor } from './target.js';

export interface InfoOptions {
  /** Socket of a daemon; true is the usual place. */
  readonly connect?: string | true;
  readonly registers?: boolean;
  readonly staging?: boolean;
  readonly json?: boolean;
}

interface Row {
  readonly name: string;
  readonly driver: string | null;
  readonly kind: string;
  readonly default: boolean;
  readonly summary: string;
  readonly staging?: string;
}

export async function ls(
  options: Pick<InfoOptions, 'connect' | 'staging' | 'json'>,
  io: CommandIo,
): Promise<void> {
  const rows: Row[] =
    options.connect === undefined
      ? [...virtualRows(options.staging === true), ...(await kernelRows())]
      : await daemonRows(socketOf(options.connect));
  if (options.json === true) {
    io.out(`${JSON.stringify(rows, undefined, 2)}\n`);
    return;
  }
  const { colours } = io;
  const shown = rows.map((row) => [
    row.default ? colours.bold(row.name) : row.name,
    row.driver ?? 'none',
    row.kind,
    row.default ? `${row.summary} (default)` : row.summary,
    row.staging === undefined ? '' : colours.yellow(row.staging),
  ]);
  io.out(columns(['device', 'driver', 'kind', '', ''], shown, { colours }));
}

/** The boards of this package. */
function virtualRows(staging: boolean): Row[] {
  return boards.map((board) => {
    using system = systemFor(board.name, { bare: true });
    const driver = driverOf(system.device().spec);
    const admitted = driver === undefined ? undefined : admission(driver.manifest, staging);
    return {
      name: board.name,
      driver: driver?.name ?? null,
      kind: 'virtual',
      default: board.name === DEFAULT_BOARD,
      summary: board.summary,
      ...(admitted === undefined ? {} : { staging: admitted }),
    };
  });
}

/** The devices that a daemon serves. */
async function daemonRows(socket: string): Promise<Row[]> {
  const { Connection, daemonNodes } = await import('../client/index.js');
  await using connection = await Connection.open(socket);
  return (await daemonNodes(connection)).map(({ path, driver, busName, target }, index) => ({
    name: path,
    driver: driver ?? null,
    kind: 'daemon',
    default: index === 0,
    summary: `${target ?? 'no compiler here'}, ${busName}`,
  }));
}

/** The nodes of the kernel below; none on other systems. */
async function kernelRows(): Promise<Row[]> {
  if (process.platform !== 'linux') return [];
  const { linuxNodes } = await import('../linux/index.js');
  return linuxNodes().map(({ path, driver, busName, target }) => ({
    name: path,
    driver: driver ?? null,
    kind: 'kernel',
    default: false,
    summary: `${target ?? 'no compiler here'}, ${busName}`,
  }));
}

/** Whether a driver in staging loads, in words; undefined for others. */
function admission(manifest: Manifest, staging: boolean): string | undefined {
  try {
    const state = admit(manifest, { staging, today: today() });
    return state && `in staging until ${state.until}`;
  } catch (error) {
    return error instanceof AccelError ? error.reason : errorLine(error);
  }
}

/** What `info` knows of a device. */
export function describeDevice(device: MachineDevice, withRegisters: boolean) {
  const { accel, spec, slot, model, board } = device;
  const compatible = spec.bus === 'platform' ? spec.compatible : [];
  const config = compatible.map(configByCompatible).find((found) => found !== undefined);
  const statuses = model.registers();
  const units = new Map<string, Record<Modelled, number> & { at: number }>();
  for (const { unit, offset, status } of statuses) {
    const entry = units.get(unit) ?? { at: offset, modelled: 0, stored: 0, absent: 0 };
    entry.at = Math.min(entry.at, offset);
    entry[status]++;
    units.set(unit, entry);
  }
  return {
    device: board.name,
    summary: board.summary,
    bus: spec.bus,
    busName: slot.name,
    compatible,
    node: accel === undefined ? null : `/dev/accel/${accel.name}`,
    driver:
      accel === undefined
        ? null
        : {
            name: accel.driver.name,
            description: accel.driver.description,
            version: Object.values(accel.driver.version).join('.'),
            features: accel.driver.features,
            ioctls: accel.driver.ioctls.map(({ def }) => ({ name: def.name, request: def.request })),
          },
    staging: accel?.staging ?? null,
    windows: model.windows,
    interrupts: spec.irqs,
    memoryBytes: accel?.memory.size ?? null,
    configuration: config ?? null,
    units: [...units].map(([unit, { at, ...counts }]) => ({ unit, at, ...counts })),
    ...(withRegisters
      ? {
          registers: statuses.map(({ unit, register, offset, status }) => ({
            unit,
            name: register.name,
            offset,
            reset: register.reset,
            writable: register.writeMask,
            status,
          })),
        }
      : {}),
  };
}

/** `until 2027-11-25, open rules U2, U3, owner the authors`. */
export function stagingText({ until, failing, owner }: StagingState): string {
  return `until ${until}, open rules ${failing.join(', ')}, owner ${owner}; no promise for its own calls`;
}

const hex = (value: number): string => `0x${value.toString(16)}`;

export async function info(name: string | undefined, options: InfoOptions, io: CommandIo): Promise<void> {
  if (options.connect !== undefined)
    return daemonInfo(name, socketOf(options.connect), options.json === true, io);
  if (name?.startsWith('/') === true) return nodeInfo(name, options.json === true, io);
  using system = systemFor(name, { staging: options.staging });
  const about = describeDevice(system.device(), options.registers === true);
  if (options.json === true) {
    io.out(`${JSON.stringify(about, undefined, 2)}\n`);
    return;
  }
  const { colours } = io;
  const { driver, configuration } = about;
  const facts: [string, string][] = [
    ['device', `${about.device}: ${about.summary}`],
    ['bus', [`${about.bus} ${about.busName}`, ...about.compatible].join(', ')],
    ['node', about.node ?? 'none'],
    ['driver', driver === null ? 'none' : `${driver.name} ${driver.version}, ${driver.description}`],
    ...(about.staging === null ? [] : [['staging', stagingText(about.staging)] as [string, string]]),
    ['calls', driver?.ioctls.map((call) => call.name.replace('DRM_IOCTL_', '')).join(', ') ?? ''],
    ['windows', about.windows.map(bytes).join(', ')],
    ['interrupts', String(about.interrupts)],
    ['memory', about.memoryBytes === null ? '' : bytes(about.memoryBytes)],
    ...(configuration === null ? [] : configurationFacts(configuration)),
  ];
  io.out(
    columns(
      ['', ''],
      facts.map(([what, value]) => [colours.dim(what), value]),
      { colours },
    ),
  );
  const rows = about.units.map(({ unit, at, modelled, stored, absent }) => [
    unit,
    hex(at),
    ...[modelled, stored, absent].map(String),
  ]);
  const sum = (key: Modelled): string => String(about.units.reduce((total, unit) => total + unit[key], 0));
  rows.push([colours.bold('all'), '', sum('modelled'), sum('stored'), sum('absent')]);
  io.out(
    `\n${columns(['registers of', 'at', 'modelled', 'stored', 'absent'], rows, { right: [1, 2, 3, 4], colours })}`,
  );
  if (about.registers !== undefined) {
    const list = about.registers.map((register) => [
      hex(register.offset),
      `${register.unit}.${register.name}`,
      hex(register.reset),
      hex(register.writable),
      register.status,
    ]);
    io.out(
      `\n${columns(['offset', 'register', 'reset', 'writable', ''], list, { right: [0, 2, 3], colours })}`,
    );
  }
}

function configurationFacts(config: NvdlaConfig): [string, string][] {
  const { cbuf } = config;
  const units = [
    config.sdpEw ? 'element-wise stage' : undefined,
    config.sdpLut ? 'tables' : undefined,
    config.bdma ? 'BDMA' : undefined,
    config.rubik ? 'RUBIK' : undefined,
    config.weightCompression ? 'weight compression' : undefined,
    config.winograd ? 'Winograd' : undefined,
    config.cvsram ? 'second memory port' : undefined,
  ].filter((unit) => unit !== undefined);
  return [
    ['configuration', `${config.name}, ${config.family} register map, ${config.precisions.join(', ')}`],
    [
      'MACs',
      `${config.atomicC * config.atomicK} (${config.atomicC} channels x ${config.atomicK} kernels), atoms of ${config.atom} bytes`,
    ],
    [
      'buffer',
      `${bytes(cbuf.banks * cbuf.entriesPerBank * cbuf.bytesPerEntry)}: ${cbuf.banks} banks x ${cbuf.entriesPerBank} x ${cbuf.bytesPerEntry} bytes`,
    ],
    ['with', units.join(', ') || 'no optional unit'],
  ];
}
