// Finds vectors in a folder: C model layers (JSON), the vendor's traces (cfg, txn) and loadables of NVDLA, submissions (JSON) of GNA.
// Not a player. The formats' readers are in machine/vectors.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { AccelError } from '../../base/errors.js';
import { traceNames } from '../../devices/nvdla/index.js';
import { gnaConfigs } from '../../hw/gna/index.js';
import { configs } from '../../hw/nvdla/index.js';
import {
  parseCmod,
  parseGna,
  parseTrace,
  parseTxn,
  type GnaCase,
  type Vector,
} from '../../machine/vectors/index.js';
import type { LoadableCase } from './loadable-player.js';

interface Located {
  readonly path: string;
  readonly name: string;
  /** Configuration by the file or the folder it lies in. */
  readonly config: string;
  /** Name of the board that plays it. */
  readonly board: string;
}

/** A vector at the registers, not yet read. */
export interface RegisterFile extends Located {
  readonly kind: 'layer' | 'trace' | 'transactions';
  /** @throws AccelError EINVAL naming the file */
  load(): Vector;
}

/** Submissions at the driver, not yet read. */
export interface RequestFile extends Located {
  readonly kind: 'request';
  /** @throws AccelError EINVAL naming the file */
  load(): GnaCase[];
}

/** A loadable of the vendor's regression with its result, not yet read. */
export interface LoadableFile extends Located {
  readonly kind: 'loadable';
  /** @throws AccelError ENOENT without a result */
  load(): LoadableCase;
}

export type VectorFile = RegisterFile | RequestFile | LoadableFile;

/** All vectors under `path`, itself a file or a folder, in order of their paths. */
export function findVectors(path: string): VectorFile[] {
  const found: VectorFile[] = [];
  visit(path, found);
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function visit(path: string, found: VectorFile[]): void {
  if (statSync(path).isDirectory()) {
    for (const name of readdirSync(path)) visit(join(path, name), found);
    return;
  }
  if (path.endsWith('_fbuf')) {
    found.push(loadable(path));
    return;
  }
  const config = configOf(path);
  if (/\.cfg(\.gz)?$/.test(path) && config !== undefined) found.push(trace(path, config));
  else if (/\binput\.txn(\.gz)?$/.test(path)) found.push(transactions(path));
  else if (path.endsWith('.json')) {
    const head = readFileSync(path, 'utf8').slice(0, 400);
    if (config !== undefined && head.includes('nvdla-layer-trace/')) found.push(layer(path, config));
    const type = /"gna-vectors-1".*"device_type":\s*(\d+)/.exec(head)?.[1];
    if (type !== undefined) found.push(requests(path, Number(type)));
  }
}

/** The nearest folder that is named after a configuration. */
function configOf(path: string): string | undefined {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (Object.hasOwn(configs, basename(folder))) return basename(folder);
    if (dirname(folder) === folder) return undefined;
  }
}

function contents(path: string): Buffer {
  const bytes = readFileSync(path);
  return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

function named<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AccelError('EINVAL', { field: path, reason, cause });
  }
}

function layer(path: string, config: string): RegisterFile {
  return {
    path,
    config,
    board: `nvdla:${config}`,
    kind: 'layer',
    name: basename(path, '.json'),
    load: () =>
      named(path, () =>
        parseCmod(JSON.parse(readFileSync(path, 'utf8')), (file) => contents(join(dirname(path), file))),
      ),
  };
}

function trace(path: string, config: string): RegisterFile {
  const name = basename(path).replace(/\.cfg(\.gz)?$/, '');
  return {
    path,
    config,
    board: `nvdla:${config}`,
    kind: 'trace',
    name,
    load: () =>
      named(path, () =>
        parseTrace({
          name,
          config,
          text: contents(path).toString('latin1'),
          names: traceNames(config),
          readData: (file) => contents(dataFile(dirname(path), file)).toString('latin1'),
        }),
      ),
  };
}

/** A trace-player test is a folder; all were recorded on nv_full. */
function transactions(path: string): RegisterFile {
  const folder = dirname(path);
  const name = basename(folder);
  const config = 'nv_full';
  return {
    path,
    config,
    board: `nvdla:${config}`,
    kind: 'transactions',
    name,
    load: () =>
      named(path, () =>
        parseTxn({
          name,
          config,
          text: contents(path).toString('latin1'),
          readData: (file) => contents(dataFile(folder, file)).toString('latin1'),
        }),
      ),
  };
}

/** @throws AccelError EINVAL for a device type that is none of GNA's */
function requests(path: string, deviceType: number): RequestFile {
  const config = Object.values(gnaConfigs).find((known) => known.deviceType === deviceType)?.generation;
  if (config === undefined)
    throw new AccelError('EINVAL', { field: path, reason: `no GNA has device type ${deviceType}` });
  return {
    path,
    config,
    board: `gna:${config}`,
    kind: 'request',
    name: basename(path, '.json'),
    load: () =>
      named(path, () => {
        const json = JSON.parse(readFileSync(path, 'utf8')) as { blob: { file: string } };
        return parseGna(json, contents(join(dirname(path), json.blob.file)));
      }),
  };
}

/**
 * `flatbufs/SDP/SDP_X1_L0_0_small_fbuf` ran on nv_small; its result is in `golden/SDP_X1_L0_0_small_c9894d/dla`, gold.md5 before
 * lead.md5, as the vendor's script looks.
 */
function loadable(path: string): LoadableFile {
  const name = basename(path).replace(/_fbuf$/, '');
  const config = /_(small|large)(_|$)/.exec(name)?.[1] ?? 'full';
  return {
    path,
    config: `nv_${config}`,
    board: `nvdla:nv_${config}`,
    kind: 'loadable',
    name,
    load: () => {
      const goldens = join(dirname(path), '../../golden');
      const own = (existsSync(goldens) ? readdirSync(goldens) : []).find(
        (folder) => folder.replace(/_[0-9a-f]{6}$/, '') === name,
      );
      const results = ['gold.md5', 'lead.md5'].map((file) => join(goldens, own ?? name, 'dla', file));
      const result = results.find((file) => existsSync(file));
      const md5 = result && /^[0-9a-f]{32}/.exec(readFileSync(result, 'latin1'))?.[0];
      if (md5 === undefined)
        throw new AccelError('ENOENT', { field: path, reason: `there is no result for it in ${goldens}` });
      return { bytes: new Uint8Array(readFileSync(path)), md5 };
    },
  };
}

/** Memory images lie beside the trace, among the shared ones, or (one picture of all image tests) with nv_small. */
function dataFile(folder: string, file: string): string {
  const places = [
    join(folder, file),
    join(folder, '../../memory_surface_warehouse', file),
    ...(/^img_.*_dt\.dat$/.test(file) ? [join(folder, '../../nv_small/img_51x96x4_common_dt.dat')] : []),
  ];
  const found = places.flatMap((place) => [place, `${place}.gz`]).find((place) => existsSync(place));
  if (found === undefined) throw new AccelError('ENOENT', { field: file, reason: 'is not beside the trace' });
  return found;
}
