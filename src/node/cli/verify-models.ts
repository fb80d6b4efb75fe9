// The cases of a models.json through the whole path: compiler, ioctl, driver, registers, model.
// Not a measure of accuracy on data: each case has its reference output, and that is what is compared with.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { AccelError } from '../../base/errors.js';
import type { ImportOptions } from '../../compiler/index.js';
import { loadInput, type InputArray, type InputDescriptor } from '../input/load.js';
import { compare, distances, within, type Comparison } from './accuracy.js';
import { columns } from './columns.js';
import { percent } from './format.js';
import { errorLine, UsageError, type CommandIo } from './io.js';
import { greatest } from './results.js';
import { Session } from './session.js';
import type { VerifyOptions } from './verify.js';

interface CaseTensor {
  readonly file: string;
  readonly type: string;
  readonly shape: readonly number[];
}

interface ModelCase {
  readonly name: string;
  readonly inputs: Readonly<Record<string, CaseTensor>>;
  readonly outputs: Readonly<Record<string, CaseTensor>>;
  readonly tolerance: { readonly abs?: number; readonly lsb?: number };
  readonly top1?: number;
  readonly top1_label?: string;
}

interface Model {
  readonly name: string;
  readonly file: string;
  /** Dimensions may be names. */
  readonly inputs: readonly { readonly name: string; readonly shape: readonly (number | string)[] }[];
  readonly cases?: readonly ModelCase[];
}

interface CaseResult {
  readonly model: string;
  readonly case: string;
  /** Greatest output element: expected and got; absent when the case has none. */
  readonly top1?: { readonly expected: number; readonly actual: number };
  readonly comparisons: readonly Comparison[];
  /** Within the case's own tolerance. */
  readonly withinTolerance: boolean;
  /** Hardware layers of the compiled model. */
  readonly layers: number;
  /** Share of multiply-accumulates on the device. */
  readonly share: number;
  readonly calibrationInputs: number;
  readonly error?: string;
}

/**
 * Resolves to whether every case held: greatest element right, integer outputs within the case's tolerance, float ones within
 * `--snr`.
 */
export async function verifyModels(path: string, options: VerifyOptions, io: CommandIo): Promise<boolean> {
  const models = select(readModels(path), options.models);
  const results: CaseResult[] = [];
  for (const model of models) results.push(...(await verifyModel(dirname(path), model, options, io)));
  if (options.json === true) io.out(`${JSON.stringify({ path, results }, undefined, 2)}\n`);
  else print(results, options, io);
  return results.every((result) => held(result, options.snr));
}

function readModels(path: string): readonly Model[] {
  let json: { models?: unknown };
  try {
    json = JSON.parse(readFileSync(path, 'utf8')) as typeof json;
  } catch (error) {
    throw new AccelError('EINVAL', { field: path, reason: errorLine(error) });
  }
  if (!Array.isArray(json.models))
    throw new AccelError('EINVAL', { field: path, reason: 'has no list of models' });
  return json.models as Model[];
}

function select(models: readonly Model[], names: readonly string[] | undefined): readonly Model[] {
  if (names === undefined) return models.filter(({ cases }) => (cases?.length ?? 0) > 0);
  return names.map((name) => {
    const model = models.find((candidate) => candidate.name === name);
    if (model === undefined)
      throw new UsageError(
        `no model ${name}; there are ${models.map((candidate) => candidate.name).join(', ')}`,
      );
    return model;
  });
}

async function verifyModel(
  folder: string,
  model: Model,
  options: VerifyOptions,
  io: CommandIo,
): Promise<CaseResult[]> {
  const cases = model.cases ?? [];
  const descriptor = (name: string, { type, shape }: CaseTensor): InputDescriptor => ({
    name,
    dataType: type,
    shape,
  });
  const inputsOf = (one: ModelCase): Record<string, InputArray> =>
    Object.fromEntries(
      Object.entries(one.inputs).map(([name, tensor]) => [
        name,
        loadInput(join(folder, tensor.file), descriptor(name, tensor), undefined),
      ]),
    );
  let session: Session;
  try {
    session = await Session.open(
      {
        model: join(folder, model.file),
        device: options.device,
        engines: options.engines,
        staging: options.staging,
        fallback: options.fallback,
        precision: options.precision,
        import: importOptions(model, cases, inputsOf),
        // A float model without calibration pictures is calibrated with the inputs of its own cases.
        calibration: () => cases.map(inputsOf),
      },
      io,
    );
  } catch (error) {
    if (error instanceof UsageError) throw error;
    return cases.map((one) => failure(model, one, error));
  }
  await using open = session;
  const { share } = open.graph.placement();
  const layers = open.graph.layers().length;
  const results: CaseResult[] = [];
  for (const one of cases) {
    try {
      const { outputs } = await open.infer(inputsOf(one));
      const comparisons = Object.entries(one.outputs).map(([name, tensor]) =>
        compare(
          name,
          outputs[name]!,
          loadInput(join(folder, tensor.file), descriptor(name, tensor), undefined),
        ),
      );
      const [first] = Object.keys(one.outputs);
      const actual = greatest(outputs[first!] as ArrayLike<number>, 1)[0]!;
      results.push({
        model: model.name,
        case: one.name,
        ...(typeof one.top1 === 'number' ? { top1: { expected: one.top1, actual } } : {}),
        comparisons,
        withinTolerance: comparisons.every(
          ({ largest }) => largest <= (one.tolerance.lsb ?? one.tolerance.abs ?? 0),
        ),
        layers,
        share,
        calibrationInputs: open.calibrated ?? 0,
      });
    } catch (error) {
      results.push(failure(model, one, error));
    }
  }
  return results;
}

/** Symbolic dimensions by the first case; integer scalars that are the same in all cases are known when building. */
function importOptions(
  model: Model,
  cases: readonly ModelCase[],
  inputsOf: (one: ModelCase) => Record<string, InputArray>,
): ImportOptions {
  const dimensions: Record<string, number> = {};
  const constants: Record<string, InputArray> = {};
  const [first] = cases;
  if (first === undefined) return {};
  const arrays = cases.map(inputsOf);
  for (const { name, shape } of model.inputs) {
    const given = first.inputs[name];
    if (given === undefined) continue;
    shape.forEach((dimension, axis) => {
      if (typeof dimension === 'string') dimensions[dimension] = given.shape[axis]!;
    });
    const values = arrays.map((inputs) => String(inputs[name]![0]));
    if (given.shape.length === 0 && given.type === 'int64' && new Set(values).size === 1)
      constants[name] = arrays[0]![name]!;
  }
  return { dimensions, constants };
}

function failure(model: Model, one: ModelCase, error: unknown): CaseResult {
  return {
    model: model.name,
    case: one.name,
    comparisons: [],
    withinTolerance: false,
    layers: 0,
    share: 0,
    calibrationInputs: 0,
    error: errorLine(error),
  };
}

/** Root mean square distance, as a share of the range, up to which an output without a greatest element holds. */
const MOST_RMS = 0.05;

/**
 * A quantised model must be within tolerance. A float model quantised here must have the right greatest element and, when
 * asked for, so many dB; where the case names no greatest element and nothing is asked for, it must be near.
 */
function held({ error, top1, comparisons, withinTolerance }: CaseResult, snr: number | undefined): boolean {
  if (error !== undefined || (top1 !== undefined && top1.actual !== top1.expected)) return false;
  if (comparisons.some(({ lsb }) => lsb !== undefined)) return withinTolerance;
  if (snr !== undefined) return comparisons.every((comparison) => within(snr, comparison));
  return withinTolerance || top1 !== undefined || comparisons.every(({ rms }) => rms <= MOST_RMS);
}

function print(results: readonly CaseResult[], options: VerifyOptions, io: CommandIo): void {
  const { colours } = io;
  const rows = results.map((result) => {
    const { top1, comparisons, calibrationInputs, share } = result;
    const verdict = held(result, options.snr) ? colours.green('held') : colours.red('failed');
    if (result.error !== undefined) return [result.model, result.case, verdict, '', '', '', ''];
    return [
      result.model,
      result.case,
      verdict,
      top1 === undefined ? '' : `${top1.expected} / ${top1.actual}`,
      comparisons.map(distances).join('; '),
      percent(share),
      calibrationInputs === 0 ? '' : String(calibrationInputs),
    ];
  });
  const head = [
    'model',
    'case',
    '',
    'top-1 expected / got',
    'distance to reference',
    'MACs on device',
    'calibrated with',
  ];
  io.out(columns(head, rows, { right: [5, 6], colours }));
  const passed = results.filter((result) => held(result, options.snr)).length;
  io.out(`${passed} of ${results.length} cases held on ${options.device ?? 'the default device'}\n`);
  for (const { model, case: name, error } of results)
    if (error !== undefined) io.out(`${colours.red('failed')} ${model} ${name}: ${error}\n`);
}
