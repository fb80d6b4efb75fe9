// accel verify of ONNX's backend node tests: each case on a device, or on the host with the reason, or refused, or wrong.
// Not the reference evaluator's test: this goes the whole way, through the driver.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { AccelError } from '../../base/errors.js';
import {
  arrayType,
  CompileError,
  importOnnx,
  type Graph,
  type Shape,
  type TypedArray,
} from '../../compiler/index.js';
import { halfToFloat } from '../../compiler/ir/evaluate/half.js';
import { readModel, readTensor } from '../../compiler/onnx/proto.js';
import { importTensor } from '../../compiler/onnx/tensor.js';
import { buildGraph, createContext, type MLContext, type MLGraph } from '../../runtime/index.js';
import { createHost } from '../host/index.js';
import { readTarGz } from '../input/tar.js';
import { columns } from './columns.js';
import { errorLine, type CommandIo } from './io.js';
import { Progress } from './progress.js';
import { systemFor } from './target.js';
import type { VerifyOptions } from './verify.js';

const LIST = 'relevant-cases.txt';

/** Cases whose recorded results are not what ONNX says, or hold no tensor. */
const disputed: Readonly<Record<string, string>> = {
  test_qlinearmatmul_2D_int8_float16: 'the recorded output wraps where ONNX says saturate',
  test_qlinearmatmul_2D_int8_float32: 'the recorded output wraps where ONNX says saturate',
  test_qlinearmatmul_3D_int8_float16: 'the recorded output wraps where ONNX says saturate',
  test_qlinearmatmul_3D_int8_float32: 'the recorded output wraps where ONNX says saturate',
  test_identity_opt: 'takes no tensor',
  test_identity_sequence: 'takes no tensor',
};

/** Of the range of the results, where fp16 computed them; of the value, where the host did. */
const DEVICE_TOLERANCE = 0.01;
const HOST_TOLERANCE = 1e-3;

type Verdict = 'device' | 'host' | 'refused' | 'wrong' | 'disputed';

interface Outcome {
  readonly name: string;
  readonly verdict: Verdict;
  /** Why it is not on the device, or what differs. */
  readonly reason: string;
}

interface Recorded {
  readonly type: string;
  readonly shape: Shape;
  readonly data: TypedArray;
}

/** Whether the folder holds the node tests: an archive of them and the list of the cases that matter. */
export function isNodeCases(path: string): boolean {
  return statSync(path).isDirectory() && existsSync(join(path, LIST));
}

/** Resolves to whether no case is wrong. @throws AccelError EINVAL when there is no archive beside the list */
export async function verifyNodeCases(path: string, options: VerifyOptions, io: CommandIo): Promise<boolean> {
  const archive = readdirSync(path).find((name) => name.endsWith('.tar.gz'));
  if (archive === undefined)
    throw new AccelError('EINVAL', { field: path, reason: `holds ${LIST} and no .tar.gz of the cases` });
  const names = readFileSync(join(path, LIST), 'utf8').trim().split('\n');
  const files = readTarGz(join(path, archive));
  using system = systemFor(options.device, { engines: options.engines });
  const target = system.device().board.name;
  const host = await createHost();
  const outcomes: Outcome[] = [];
  {
    using progress = new Progress(io, `node tests on ${target}`);
    for (const [index, name] of names.entries()) {
      progress.step(`${index + 1} of ${names.length}: ${name}`);
      const why = disputed[name];
      if (why !== undefined) {
        outcomes.push({ name, verdict: 'disputed', reason: why });
        continue;
      }
      const context = await createContext({
        file: system.open(),
        target,
        owns: true,
        clock: system.clock,
        ...(host === undefined ? {} : { host }),
      });
      try {
        outcomes.push({ name, ...(await runCase(context, files, name)) });
      } finally {
        await context.destroy();
      }
    }
  }
  if (options.json === true)
    io.out(`${JSON.stringify({ path, device: target, results: outcomes }, undefined, 2)}\n`);
  else print(outcomes, target, io);
  return outcomes.every(({ verdict }) => verdict !== 'wrong');
}

function recorded(
  files: ReadonlyMap<string, Uint8Array>,
  name: string,
  kind: 'input' | 'output',
): Recorded[] {
  const list: Recorded[] = [];
  for (;;) {
    const bytes = files.get(`${name}/test_data_set_0/${kind}_${list.length}.pb`);
    if (bytes === undefined) return list;
    const { type, shape, data } = importTensor(readTensor(bytes));
    if (data === undefined) throw new CompileError('EOPNOTSUPP', { rule: `a tensor of ${type}` });
    list.push({ type, shape, data: data.array() });
  }
}

/**
 * These files have weights, shapes and scales as inputs. What a device needs to know at compile time is tried in turn: nothing, integers,
 * all but the first input, everything. The first way that is on the device counts, else the first that runs at all.
 */
async function runCase(
  context: MLContext,
  files: ReadonlyMap<string, Uint8Array>,
  name: string,
): Promise<Omit<Outcome, 'name'>> {
  let fallback: Omit<Outcome, 'name'> | undefined;
  let refusal = '';
  try {
    const model = files.get(`${name}/model.onnx`)!;
    const inputs = recorded(files, name, 'input');
    const expected = recorded(files, name, 'output');
    const infos = readModel(model).graph!.input;
    const all = Object.fromEntries(infos.map((info, i) => [info.name, inputs[i]!.data]));
    const dimensions: Record<string, number> = {};
    infos.forEach((info, i) =>
      info.shape?.forEach((dim, axis) => (dimensions[dim.dim_param ?? ''] = inputs[i]!.shape[axis]!)),
    );
    const pick = (known: (name: string, index: number) => boolean): Record<string, TypedArray> =>
      Object.fromEntries(Object.entries(all).filter(([input], i) => known(input, i)));
    for (const constants of [
      {},
      pick((input) => all[input] instanceof BigInt64Array),
      pick((_, i) => i > 0),
      all,
    ]) {
      try {
        const graph = importOnnx(model, { constants, dimensions });
        const outcome = await runGraph(context, graph, all, expected);
        if (outcome.verdict === 'device' || outcome.verdict === 'wrong') return outcome;
        fallback ??= outcome;
      } catch (error) {
        if (!(error instanceof AccelError)) throw error;
        if (refusal === '') refusal = errorLine(error);
      }
    }
  } catch (error) {
    if (!(error instanceof AccelError)) throw error;
    refusal = errorLine(error);
  }
  return fallback ?? { verdict: 'refused', reason: refusal };
}

async function runGraph(
  context: MLContext,
  graph: Graph,
  all: Readonly<Record<string, TypedArray>>,
  expected: readonly Recorded[],
): Promise<Omit<Outcome, 'name'>> {
  const outputs = graph.outputs.map(({ name }) => name);
  const built = await buildGraph(context, graph, { fallback: 'host' });
  try {
    const { operators } = built.placement();
    const onHost = operators.find(({ device }) => device === 'host');
    const onDevice = operators.some(({ device }) => device !== 'host' && device !== 'none');
    const results = await infer(context, built, all);
    const device = onDevice && onHost === undefined;
    for (const [i, name] of outputs.entries()) {
      const difference = compare(results[name], expected[i]!, onDevice);
      if (difference !== undefined) return { verdict: 'wrong', reason: `${name}: ${difference}` };
    }
    return device
      ? { verdict: 'device', reason: '' }
      : { verdict: 'host', reason: onHost?.reason ?? 'nothing is left to compute' };
  } finally {
    await built.destroy();
  }
}

async function infer(
  context: MLContext,
  graph: MLGraph,
  all: Readonly<Record<string, TypedArray>>,
): Promise<Record<string, TypedArray>> {
  const given: Record<string, Awaited<ReturnType<MLContext['createTensor']>>> = {};
  const made: typeof given = {};
  try {
    for (const [name, { dataType, shape }] of Object.entries(graph.inputs)) {
      given[name] = await context.createTensor({ dataType, shape, writable: true });
      context.writeTensor(given[name], all[name] as Float32Array<ArrayBuffer>);
    }
    for (const [name, { dataType, shape }] of Object.entries(graph.outputs))
      made[name] = await context.createTensor({ dataType, shape, readable: true });
    await context.dispatch(graph, given, made);
    const results: Record<string, TypedArray> = {};
    for (const [name, tensor] of Object.entries(made))
      results[name] = arrayIn(tensor.dataType, await context.readTensor(tensor));
    return results;
  } finally {
    for (const tensor of [...Object.values(given), ...Object.values(made)]) tensor.destroy();
  }
}

function arrayIn(type: Parameters<typeof arrayType>[0], buffer: ArrayBuffer): TypedArray {
  const Type = arrayType(type);
  if (Type === undefined) throw new AccelError('EOPNOTSUPP', { reason: `tensors of ${type}` });
  return new (Type as unknown as new (from: ArrayBuffer) => TypedArray)(buffer);
}

/** What differs; undefined when nothing does. Integers are equal, on a device within a step. */
function compare(actual: TypedArray | undefined, expected: Recorded, device: boolean): string | undefined {
  const { type, data } = expected;
  if (actual?.length !== data.length) return `${actual?.length} elements, not ${data.length}`;
  const half = type === 'float16' || type === 'bfloat16';
  const float = half || type.startsWith('float');
  const number = (value: number | bigint): number =>
    type === 'float16' ? halfToFloat(Number(value)) : Number(value);
  const values = Array.from(data as ArrayLike<number | bigint>, number);
  const finite = values.filter(Number.isFinite);
  const range = finite.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const [i, want] of values.entries()) {
    const got = number(actual[i]!);
    if (Object.is(got, want) || got === want) continue;
    const allowed = !float
      ? device
        ? 1
        : 0
      : device
        ? DEVICE_TOLERANCE * range
        : (half ? 1e-2 : 1e-6) + HOST_TOLERANCE * Math.abs(want);
    if (!(Math.abs(got - want) <= allowed)) return `element ${i} is ${got}, not ${want}`;
  }
  return undefined;
}

function print(outcomes: readonly Outcome[], target: string, io: CommandIo): void {
  const { colours } = io;
  const verdicts: readonly Verdict[] = ['device', 'host', 'refused', 'wrong', 'disputed'];
  const of = (verdict: Verdict): Outcome[] => outcomes.filter((outcome) => outcome.verdict === verdict);
  io.out(`${outcomes.length} node tests on ${target}\n`);
  io.out(
    columns(
      ['', 'cases'],
      verdicts.map((verdict) => [verdict, String(of(verdict).length)]),
      { right: [1], colours },
    ),
  );
  for (const verdict of ['host', 'refused'] as const) {
    const reasons = new Map<string, number>();
    for (const { reason } of of(verdict)) {
      // Reasons that differ only in names and numbers are one.
      const key = reason.replace(/"[^"]*"/g, '"..."').replace(/\d+/g, 'n');
      reasons.set(key, (reasons.get(key) ?? 0) + 1);
    }
    const rows = [...reasons]
      .sort((a, b) => b[1] - a[1])
      .slice(0, 20)
      .map(([reason, n]) => [String(n), reason]);
    if (rows.length > 0) io.out(`\n${columns([verdict, 'reason'], rows, { right: [0], colours })}`);
  }
  for (const { name, reason } of of('wrong')) io.out(colours.red(`${name}: ${reason}\n`));
}
