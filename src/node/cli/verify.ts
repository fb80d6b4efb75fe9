// accel verify: golden vectors on the models' registers or at the drivers' calls, loadables, ONNX's node tests, or the cases of a models.json.
// Not a test runner: it prints what held and what did not, by kind.
import { existsSync, statSync } from 'node:fs';
import { AccelError } from '../../base/errors.js';
import type { EngineKind } from '../system.js';
import { columns } from './columns.js';
import { LoadablePlayer } from './loadable-player.js';
import { UsageError, type CommandIo } from './io.js';
import { Progress } from './progress.js';
import { isNodeCases, verifyNodeCases } from './verify-node-cases.js';
import { verifyModels } from './verify-models.js';
import {
  findVectors,
  type LoadableFile,
  type RequestFile,
  type RegisterFile,
  type VectorFile,
} from './vector-files.js';
import { RequestPlayer } from './request-player.js';
import { VectorPlayer, type VectorOutcome } from './vector-player.js';

export interface VerifyOptions {
  readonly device?: string;
  readonly engines?: EngineKind;
  /** Names of models, for a models.json. */
  readonly models?: readonly string[];
  readonly fallback?: 'host' | 'forbid';
  /** For a models.json: dB that float outputs must at least have. */
  readonly snr?: number;
  /** For a models.json: what float models are computed in. */
  readonly precision?: 'int8' | 'fp16';
  /** For a models.json: lets a driver in staging load. */
  readonly staging?: boolean;
  readonly json?: boolean;
}

/** Resolves to whether everything held. */
export async function verify(path: string, options: VerifyOptions, io: CommandIo): Promise<boolean> {
  if (!existsSync(path))
    throw new AccelError('ENOENT', { field: path, reason: 'there is no such file or folder' });
  if (statSync(path).isFile() && path.endsWith('models.json')) return verifyModels(path, options, io);
  for (const name of ['models', 'snr', 'precision'] as const)
    if (options[name] !== undefined) throw new UsageError(`--${name} is for a models.json, ${path} is none`);
  if (isNodeCases(path)) return verifyNodeCases(path, options, io);
  const files = findVectors(path).filter(
    ({ board }) => options.device === undefined || board === options.device,
  );
  if (files.length === 0) {
    const of = options.device === undefined ? '' : ` for ${options.device}`;
    throw new AccelError('EINVAL', {
      field: path,
      reason: `holds no vectors${of}: layer JSON or .cfg traces in a folder named after a configuration, loadables NAME_fbuf with their results, or JSON of GNA submissions`,
    });
  }
  const results = await playAll(files, options, io);
  const failed = results.filter(({ outcome }) => outcome.verdict === 'failed');
  if (options.json === true)
    io.out(`${JSON.stringify({ path, results: results.map(record) }, undefined, 2)}\n`);
  else print(results, io);
  return failed.length === 0;
}

interface Result {
  readonly file: VectorFile;
  readonly name: string;
  readonly unit: string;
  readonly outcome: VectorOutcome;
}

async function playAll(
  files: readonly VectorFile[],
  options: VerifyOptions,
  io: CommandIo,
): Promise<Result[]> {
  const atRegisters = new Players((board) => new VectorPlayer(board, options.engines));
  const atCalls = new Players((board) => new RequestPlayer(board, options.engines));
  const loadables = new Players((board) => new LoadablePlayer(board, options.engines));
  using progress = new Progress(io, 'vectors');
  const results: Result[] = [];
  try {
    for (const [index, file] of files.entries()) {
      progress.step(`${index + 1} of ${files.length}: ${file.config} ${file.name}`);
      if (file.kind === 'request') results.push(...(await playRequests(file, atCalls.of(file.board))));
      else if (file.kind === 'loadable') results.push(await playLoadable(file, loadables.of(file.board)));
      else results.push(await playRegisters(file, atRegisters.of(file.board)));
    }
  } finally {
    atRegisters[Symbol.dispose]();
    atCalls[Symbol.dispose]();
    loadables[Symbol.dispose]();
  }
  return results;
}

/** One player per board, made when the first vector wants it. */
class Players<P extends Disposable> implements Disposable {
  readonly #make: (board: string) => P;
  readonly #made = new Map<string, P>();

  constructor(make: (board: string) => P) {
    this.#make = make;
  }

  of(board: string): P {
    let player = this.#made.get(board);
    if (player === undefined) this.#made.set(board, (player = this.#make(board)));
    return player;
  }

  [Symbol.dispose](): void {
    for (const player of this.#made.values()) player[Symbol.dispose]();
  }
}

async function playRegisters(file: RegisterFile, player: VectorPlayer): Promise<Result> {
  const vector = file.load();
  return { file, name: file.name, unit: vector.unit, outcome: await player.play(vector) };
}

async function playRequests(file: RequestFile, player: RequestPlayer): Promise<Result[]> {
  const results: Result[] = [];
  for (const request of file.load())
    results.push({ file, name: request.name, unit: request.kind, outcome: await player.play(request) });
  return results;
}

async function playLoadable(file: LoadableFile, player: LoadablePlayer): Promise<Result> {
  const { name } = file;
  return { file, name, unit: name.split('_')[0]!, outcome: await player.play(file.load()) };
}

function record({ file, name, unit, outcome }: Result): Record<string, unknown> {
  return { name, path: file.path, kind: file.kind, config: file.config, unit, ...outcome };
}

function print(results: readonly Result[], io: CommandIo): void {
  const { colours } = io;
  const groups = new Map<string, Result[]>();
  for (const result of results) {
    const key = `${result.file.config}\t${result.file.kind}\t${result.unit}`;
    groups.set(key, [...(groups.get(key) ?? []), result]);
  }
  const number = (list: readonly Result[], verdict: VectorOutcome['verdict']): number =>
    list.filter(({ outcome }) => outcome.verdict === verdict).length;
  const row = (list: readonly Result[]): string[] => {
    const failed = number(list, 'failed');
    return [
      String(number(list, 'passed')),
      failed === 0 ? '0' : colours.red(String(failed)),
      String(number(list, 'not modelled')),
    ];
  };
  const rows = [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, list]) => [...key.split('\t'), ...row(list)]);
  rows.push([colours.bold('all'), '', '', ...row(results)]);
  const head = ['configuration', 'kind', 'unit', 'passed', 'failed', 'not modelled'];
  io.out(columns(head, rows, { right: [3, 4, 5], colours }));
  for (const { file, name, outcome } of results)
    if (outcome.verdict === 'failed')
      io.out(`${colours.red('failed')} ${file.config} ${name}: ${outcome.reason}\n`);
  const lacking = new Map<string, number>();
  for (const { outcome } of results)
    if (outcome.verdict === 'not modelled')
      lacking.set(outcome.reason, (lacking.get(outcome.reason) ?? 0) + 1);
  for (const [reason, times] of lacking) io.out(colours.dim(`not modelled ${times}: ${reason}\n`));
}
