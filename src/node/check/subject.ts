// What is checked: a driver of ours, an npm package with a driver, or a manifest alone. Which of them a name means.
// Not the checks: evidence.ts runs what can be run for a subject.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { AccelError } from '../../base/errors.js';
import type { Manifest } from '../../core/manifest.js';
import { boards, driverOf, drivers, type Board, type DriverEntry } from '../../machine/index.js';
import { adapterFor, type DriverAdapter, type SuiteOptions } from '../../testing/index.js';
import { errorText } from './text.js';

/** What the module of a driver package exports; `accel check FOLDER` and the conformance suite use it. */
export interface DriverPackage {
  readonly driver: DriverEntry;
  /** At least one with a device that the driver takes. */
  readonly boards: readonly Board[];
  readonly adapter: DriverAdapter;
  readonly lacks?: SuiteOptions['lacks'];
}

/** A board to run the suite on. */
export interface CheckBoard {
  readonly board: Board;
  readonly adapter: DriverAdapter;
  readonly lacks: NonNullable<SuiteOptions['lacks']>;
  /** Drivers of another package. */
  readonly drivers: readonly DriverEntry[];
}

/** A folder with sources, and the parts of it that a scratch copy needs. */
export interface Sources {
  readonly root: string;
  /** Entries of the root to copy; undefined: all but what is fetched or built. */
  readonly entries?: readonly string[];
  /** Built output to begin without, so that the named builds have something to do. */
  readonly unbuilt: readonly string[];
}

export interface CheckSubject {
  readonly manifest: Manifest;
  /** Empty for a manifest alone. */
  readonly boards: readonly CheckBoard[];
  readonly sources: Sources | undefined;
  /** Why there is nothing to run. */
  readonly notRun?: string;
}

/** This package: the folder above dist/src/node/check. */
export const packageRoot = fileURLToPath(new URL('../../../..', import.meta.url));

/** The folder of this package's sources; undefined where only built files were installed. */
function ownSources(): Sources | undefined {
  const here = (name: string): boolean => existsSync(join(packageRoot, name));
  if (!here('src') || !here('tsconfig.json')) return undefined;
  return {
    root: packageRoot,
    entries: [
      'src',
      'kernels',
      'scripts',
      'models',
      'package.json',
      'tsconfig.base.json',
      'tsconfig.json',
      'dist/src',
      'dist/kernels',
    ],
    unbuilt: ['dist/src/compiler', 'dist/src/runtime', 'dist/src/testing'],
  };
}

/**
 * A driver by name, a .json file, or a folder whose package.json has `"accel": { "manifest": FILE, "module": FILE }` (the module
 * may export the manifest in its driver instead).
 * @throws AccelError ENOENT, EINVAL
 */
export async function subjectOf(name: string): Promise<CheckSubject> {
  const own = drivers.find((entry) => entry.name === name);
  if (own !== undefined) return ownDriver(own);
  if (!existsSync(name)) {
    const known = drivers.map((entry) => entry.name).join(', ');
    throw new AccelError('ENOENT', {
      field: name,
      reason: `is no driver (${known}), no manifest and no package folder`,
    });
  }
  if (statSync(name).isDirectory()) return packaged(resolve(name));
  return {
    manifest: manifestOf(name),
    boards: [],
    sources: undefined,
    notRun: 'a manifest alone, nothing to run',
  };
}

function ownDriver(entry: DriverEntry): CheckSubject {
  const mine = boards.filter(({ devices }) => devices.some((device) => driverOf(device) === entry));
  return {
    manifest: entry.manifest,
    boards: mine.map((board) => ({ board, ...adapterFor(board.name), drivers: [] })),
    sources: ownSources(),
  };
}

async function packaged(folder: string): Promise<CheckSubject> {
  const { accel } = json(join(folder, 'package.json')) as {
    accel?: { manifest?: string; module?: string };
  };
  if (accel?.manifest === undefined && accel?.module === undefined)
    throw new AccelError('EINVAL', {
      field: join(folder, 'package.json'),
      reason: 'has no "accel": { "manifest": ..., "module": ... }',
    });
  const declared = accel.manifest === undefined ? undefined : manifestOf(join(folder, accel.manifest));
  const sources = { root: folder, unbuilt: [] };
  if (accel.module === undefined)
    return { manifest: declared!, boards: [], sources, notRun: 'the package names no module' };
  const found = await load(join(folder, accel.module));
  const { driver, adapter, lacks = {} } = found;
  return {
    manifest: declared ?? driver.manifest,
    boards: found.boards.map((board) => ({ board, adapter, lacks, drivers: [driver] })),
    sources,
  };
}

async function load(path: string): Promise<DriverPackage> {
  let module: Partial<DriverPackage>;
  try {
    module = (await import(pathToFileURL(path).href)) as Partial<DriverPackage>;
  } catch (cause) {
    throw new AccelError('EINVAL', {
      field: path,
      reason: `cannot be loaded, is it built? ${errorText(cause)}`,
    });
  }
  for (const name of ['driver', 'boards', 'adapter'] as const)
    if (module[name] === undefined)
      throw new AccelError('EINVAL', { field: path, reason: `does not export ${name}` });
  return module as DriverPackage;
}

function manifestOf(path: string): Manifest {
  const manifest = json(path) as Partial<Manifest>;
  for (const name of ['driver', 'kind', 'commands', 'nodes', 'own', 'firmware', 'documentation'] as const)
    if (manifest[name] === undefined)
      throw new AccelError('EINVAL', { field: path, reason: `is no manifest: ${name} is missing` });
  return manifest as Manifest;
}

function json(path: string): object {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof value === 'object' && value !== null) return value;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'ENOENT' : 'EINVAL';
    throw new AccelError(code, { field: path, reason: errorText(cause) });
  }
  throw new AccelError('EINVAL', { field: path, reason: 'is no JSON object' });
}
