// accel run with a loadable: the vendor's runtime's work on a device, inputs from files, outputs as tables, DIMG files, JSON.
// Not compiling: the file says what runs. Not a comparison: verify makes that.
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { AccelError } from '../../base/errors.js';
import { halfToFloat } from '../../compiler/ir/evaluate/half.js';
import {
  configsFor,
  Contents,
  dlaTask,
  EmuOpDesc,
  EmuOpType,
  emuTask,
  inTodaysLayout,
  Interface,
  type Loadable,
  misfit,
  readLoadable,
  TensorDataType,
  type TensorDescListEntry,
} from '../../compiler/loadable/index.js';
import { type ConfigName, configs, OpType } from '../../hw/nvdla/index.js';
import {
  dimgOf,
  LoadedLoadable,
  type LoadableTensor,
  putPixels,
  takePixels,
  writeDimg,
} from '../../runtime/loadable/index.js';
import type { DispatchTimes } from '../../runtime/index.js';
import { readFile } from '../input/load.js';
import { loadPixels } from '../input/pixels.js';
import { columns } from './columns.js';
import { Costs, type CostReport } from './costs.js';
import { time } from './format.js';
import { inferences } from './input-files.js';
import { UsageError, type CommandIo } from './io.js';
import { greatest } from './results.js';
import type { RunOptions } from './run.js';
import { openTarget, type Target, type TargetOptions, type TargetUsage } from './target.js';

/** A loadable by the vendor's identifier in the file, or by how such files are named. */
export function isLoadable(path: string): boolean {
  return /(\.nvdla|_fbuf)$/.test(path);
}

const typeNames: Readonly<Record<number, string>> = {
  [TensorDataType.HALF]: 'float16',
  [TensorDataType.INT16]: 'int16',
  [TensorDataType.INT8]: 'int8',
};

interface Output {
  readonly type: string;
  readonly shape: readonly number[];
  readonly top: readonly { readonly index: number; readonly value: number }[];
}

interface Result {
  readonly input: string;
  readonly outputs: Readonly<Record<string, Output>>;
  readonly times: DispatchTimes;
}

/** `hooks.onSystem` lets trace listen to everything. */
export async function runLoadable(
  path: string,
  options: RunOptions,
  io: CommandIo,
  hooks: Pick<TargetOptions, 'onSystem'>,
): Promise<void> {
  for (const name of ['calibrate', 'compare', 'dim', 'constant'] as const)
    if (options[name] !== undefined)
      throw new UsageError(`--${name} is for models; ${path} is compiled already`);
  const loadable = read(path);
  const costs = options.cycles === true ? new Costs() : undefined;
  using target = await openFor(loadable, path, options.device, {
    ...options,
    ...(costs?.hooks(hooks) ?? hooks),
  });
  try {
    await inferAll(path, loadable, target, options, io, costs);
  } finally {
    await target.file.close();
  }
}

async function inferAll(
  path: string,
  loadable: Loadable,
  target: Target,
  options: RunOptions,
  io: CommandIo,
  costs: Costs | undefined,
): Promise<void> {
  await using loaded = await LoadedLoadable.load(target.file, loadable, target.clock);
  const jobs =
    options.input === undefined ? [{}] : inferences(options.input, loaded.inputs.map(descriptorOf));
  const old = inTodaysLayout(loadable) !== loadable;
  const results: Result[] = [];
  for (const [index, files] of jobs.entries()) {
    const named = files as Readonly<Record<string, string>>;
    for (const { desc, bytes } of loaded.inputs) {
      const given = named[desc.name];
      if (given === undefined) bytes.fill(0);
      else putPixels(desc, bytes, loadPixels(given, desc, normalizationOf(options)));
    }
    const times = await loaded.run();
    const outputs = loaded.outputs.map((tensor) => ({
      tensor,
      pixels: takePixels(tensor.desc, tensor.bytes),
    }));
    save(outputs, old, options, jobs.length > 1 ? index : undefined);
    results.push({
      input: Object.values(named).join(', ') || 'zeros',
      times,
      outputs: Object.fromEntries(
        outputs.map(({ tensor: { desc }, pixels }) => [desc.name, outputOf(desc, pixels, options.top)]),
      ),
    });
  }
  const report = { path, target, loadable, results, busy: await target.usage() };
  if (options.json === true) printJson({ ...report, silicon: costs?.report(options.clock, jobs.length) }, io);
  else {
    print(report, io);
    if (costs !== undefined) io.out(`\n${costs.text(options.clock, jobs.length, io)}`);
  }
}

/** @throws AccelError with the file's name */
function read(path: string): Loadable {
  const bytes = new Uint8Array(readFile(path));
  try {
    return readLoadable(bytes);
  } catch (error) {
    if (!(error instanceof AccelError)) throw error;
    throw new AccelError(error.code, {
      field: path,
      reason: [error.field, error.reason].filter((part) => part !== undefined).join(': '),
      cause: error,
    });
  }
}

/** The device that was asked for, or the likeliest one. @throws AccelError EINVAL for a wrong board */
async function openFor(
  loadable: Loadable,
  path: string,
  device: string | undefined,
  options: TargetOptions,
): Promise<Target> {
  const fitting = configsFor(loadable).map((name) => `nvdla:${name}`);
  if (device === undefined && fitting.length === 0) {
    const reasons = (['nv_full', 'nv_large', 'nv_small'] as const).map(
      (name) => `${name}: ${misfit(loadable, name)!}`,
    );
    throw new AccelError('EINVAL', { field: path, reason: `fits no device: ${reasons.join('; ')}` });
  }
  const target = await openTarget(device ?? fitting[0], options);
  const [kind, config] = target.name.split(':');
  const known = kind === 'nvdla' && Object.hasOwn(configs, config!);
  const reason = known ? misfit(loadable, config as ConfigName) : 'it is a loadable of NVDLA';
  if (reason === undefined) return target;
  await target.file.close();
  target[Symbol.dispose]();
  const choice = fitting.length === 0 ? '' : `; it fits ${fitting.join(', ')}`;
  throw new AccelError('EINVAL', { field: path, reason: `not for ${target.name}: ${reason}${choice}` });
}

function normalizationOf({ mean, normalize }: RunOptions): { mean?: readonly number[]; normalize?: number } {
  return {
    ...(mean === undefined ? {} : { mean }),
    ...(normalize === undefined ? {} : { normalize }),
  };
}

function descriptorOf({ desc }: LoadableTensor): { name: string; dataType: string; shape: number[] } {
  return { name: desc.name, dataType: typeNames[desc.data_type] ?? '', shape: shapeOf(desc) };
}

function shapeOf({ n, c, h, w }: TensorDescListEntry): number[] {
  return [n, c, h, w];
}

function outputOf(desc: TensorDescListEntry, pixels: Uint8Array, k: number): Output {
  const view = new DataView(pixels.buffer);
  const values =
    desc.data_type === TensorDataType.INT8
      ? Float32Array.from(new Int8Array(pixels.buffer))
      : Float32Array.from({ length: pixels.length / 2 }, (_, i) =>
          desc.data_type === TensorDataType.HALF
            ? halfToFloat(view.getUint16(2 * i, true))
            : view.getInt16(2 * i, true),
        );
  return {
    type: typeNames[desc.data_type]!,
    shape: shapeOf(desc),
    top: greatest(values, k).map((index) => ({ index, value: values[index]! })),
  };
}

/** `--output FILE`: the first output as a DIMG file, further ones beside it. `--out FOLDER`: all as raw files. */
function save(
  outputs: readonly { readonly tensor: LoadableTensor; readonly pixels: Uint8Array }[],
  old: boolean,
  { output: path, out }: RunOptions,
  index: number | undefined,
): void {
  const prefix = index === undefined ? '' : `${index}.`;
  outputs.forEach(({ tensor: { desc }, pixels }, i) => {
    if (path !== undefined) {
      const stem = path.slice(0, path.length - extname(path).length);
      const own = [stem, ...(index === undefined ? [] : [index]), ...(i === 0 ? [] : [desc.name])].join('.');
      writeFileSync(`${own}${extname(path)}`, writeDimg(dimgOf(desc, pixels, old ? 'old' : 'today')));
    }
    if (out !== undefined) {
      mkdirSync(out, { recursive: true });
      writeFileSync(join(out, `${prefix}${desc.name.replace(/[^\w.-]/g, '_')}.bin`), pixels);
    }
  });
}

const unitNames = Object.keys(OpType);
const emuNames: Readonly<Record<number, string>> = {
  [EmuOpType.POWER]: 'power',
  [EmuOpType.SOFTMAX]: 'softmax',
};

interface TaskSummary {
  readonly task: number;
  readonly interface: string;
  /** `CONV 4, SDP 5`. */
  readonly layers: string;
}

function tasksOf(original: Loadable): TaskSummary[] {
  const loadable = inTodaysLayout(original);
  const contents = new Contents(loadable);
  return loadable.submit_list
    .flatMap(({ task_id }) => task_id)
    .map((id) => {
      const task = loadable.task_list[id]!;
      const isDla = task.interface === Interface.DLA1;
      const kinds = isDla
        ? dlaTask(contents, task).types.map((type) => unitNames[type]!)
        : emuKinds(emuTask(contents, task, EmuOpDesc.size));
      const counts = new Map<string, number>();
      for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
      const layers = [...counts].map(([kind, count]) => `${kind} ${count}`).join(', ');
      return { task: id, interface: isDla ? 'DLA1' : 'EMU1', layers };
    });
}

function emuKinds({ count, operations }: ReturnType<typeof emuTask>): string[] {
  return Array.from({ length: count }, (_, i) => {
    const { op_type } = EmuOpDesc.from(operations.bytes, i * EmuOpDesc.size);
    return emuNames[op_type] ?? String(op_type);
  });
}

interface Report {
  readonly path: string;
  readonly target: Target;
  readonly loadable: Loadable;
  readonly results: readonly Result[];
  readonly busy: readonly TargetUsage[];
  readonly silicon?: CostReport | undefined;
}

function printJson({ path, target, loadable, results, busy, silicon }: Report, io: CommandIo): void {
  const report = {
    loadable: path,
    device: { board: target.name, node: target.node, driver: target.driver },
    engines: target.engines ?? null,
    results,
    tasks: tasksOf(loadable),
    busy,
    // Undefined is not printed.
    silicon,
  };
  io.out(`${JSON.stringify(report, undefined, 2)}\n`);
}

function print({ path, target, loadable, results, busy }: Report, io: CommandIo): void {
  const { colours } = io;
  io.out(`${colours.bold(basename(path))} on ${target.name} (${target.node})\n`);
  for (const { input, outputs } of results)
    for (const [name, { type, shape, top }] of Object.entries(outputs)) {
      io.out(`\n${colours.bold(input)} -> ${name}, ${type} [${shape.join(',')}]\n`);
      const rows = top.map(({ index, value }) => [
        String(index),
        Number.isInteger(value) ? String(value) : value.toPrecision(4),
      ]);
      io.out(columns(['', ''], rows, { right: [0, 1], colours }));
    }
  const tasks = tasksOf(loadable).map((task) => [String(task.task), task.interface, task.layers]);
  io.out(`\n${columns(['task', 'runs on', 'layers'], tasks, { right: [0], colours })}`);
  const mean = (stage: 'device' | 'host'): string =>
    time(results.reduce((sum, { times }) => sum + times[stage], 0) / results.length);
  const note = results.length > 1 ? ` (mean of ${results.length} inferences)` : '';
  const stages = [
    ['DLA1 tasks', mean('device')],
    ['EMU1 tasks', mean('host')],
  ];
  io.out(`\n${columns([`time${note}`, ''], stages, { right: [1], colours })}`);
  const used = busy.filter(({ busyNs, jobs }) => (jobs ?? busyNs) > 0);
  if (used.length === 0) return;
  const rows = used.map(({ engine, busyNs, jobs }) => [engine, time(busyNs), String(jobs ?? '')]);
  io.out(`\n${columns(['unit', 'busy', 'jobs'], rows, { right: [1, 2], colours })}`);
}
