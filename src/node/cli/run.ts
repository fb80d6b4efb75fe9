// accel run: a model on a device, inputs from files, the results as a table or JSON.
// Not a benchmark: times are of this run, with everything that happened in it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { AccelError } from '../../base/errors.js';
import type { DispatchTimes, MLPlacement, Saturation } from '../../runtime/index.js';
import { loadInput, type InputArray, type InputDescriptor } from '../input/load.js';
import type { EngineKind } from '../system.js';
import { distances, type Comparison } from './accuracy.js';
import { columns } from './columns.js';
import { Costs, type CostReport } from './costs.js';
import { bar, count, percent, time } from './format.js';
import { importOptions, type ImportArguments, inferences } from './input-files.js';
import { errorLine, UsageError, type CommandIo } from './io.js';
import { Reference } from './reference.js';
import { isLoadable, runLoadable } from './run-loadable.js';
import { interpret, type OutputResult } from './results.js';
import { inferFiles, sequenceText, wantedInputs, type SequenceResult } from './sequence.js';
import { sidecarFor, type Sidecar } from '../input/sidecar.js';
import { Session, type SessionOptions } from './session.js';
import type { TargetUsage } from './target.js';

export interface RunOptions extends ImportArguments {
  readonly connect?: string | true;
  readonly input?: readonly string[];
  readonly device?: string;
  readonly calibrate?: readonly string[];
  /** With the model on the host. Undefined: where an output is a float and it takes no long time. */
  readonly compare?: boolean;
  readonly top: number;
  readonly out?: string;
  /** File of a loadable's first output. */
  readonly output?: string;
  /** Of pictures for a loadable's half inputs. */
  readonly mean?: readonly number[];
  readonly normalize?: number;
  readonly engines?: EngineKind;
  readonly precision?: 'int8' | 'fp16';
  readonly fallback?: 'host' | 'forbid';
  readonly staging?: boolean;
  readonly json?: boolean;
  readonly cycles?: boolean;
  /** MHz. */
  readonly clock: number;
}

/** One inference of a run. */
interface RunResult {
  readonly input: string;
  /** Of the last window when the input is a recording. */
  readonly outputs: Readonly<Record<string, OutputResult>>;
  readonly times: DispatchTimes;
  /** Where the device tells. */
  readonly saturation?: Saturation;
  /** The outputs against the model on the host. */
  readonly accuracy?: readonly Comparison[];
  readonly sequence?: SequenceResult;
}

/** `hooks.onSystem` lets trace listen to everything. */
export async function run(
  model: string,
  options: RunOptions,
  io: CommandIo,
  hooks: Pick<SessionOptions, 'onSystem'> = {},
): Promise<void> {
  if (isLoadable(model)) {
    await runLoadable(model, options, io, hooks);
    return;
  }
  for (const name of ['output', 'mean', 'normalize'] as const)
    if (options[name] !== undefined) throw new UsageError(`--${name} is for loadables; ${model} is a model`);
  const given = options.input ?? sampleOf(sidecarFor(model));
  const costs = options.cycles === true ? new Costs() : undefined;
  await using session = await Session.open(
    {
      ...options,
      model,
      import: importOptions(options),
      calibrationFiles: options.calibrate,
      // A model without calibration inputs of its own is calibrated with what it is run on, where the device has 16 bits for it.
      ...(isGna(options.device)
        ? {
            calibration: (inputs: readonly InputDescriptor[]) =>
              inferences(given, inputs).map((files) => arraysOf(files, inputs)),
          }
        : {}),
      ...(costs?.hooks(hooks) ?? hooks),
    },
    io,
  );
  const jobs = inferences(given, wantedInputs(session, given));
  const { reference, without } = await referenceFor(model, session, options);
  await using _reference = reference;
  const results: RunResult[] = [];
  for (const [index, files] of jobs.entries()) {
    reference?.begin();
    const { outputs, times, saturation, sequence } = await inferFiles(session, files, io, reference);
    if (options.out !== undefined) save(options.out, outputs, jobs.length > 1 ? `${index}.` : '');
    results.push({
      input: Object.values(files).join(', '),
      times,
      ...(saturation === undefined ? {} : { saturation }),
      ...(reference === undefined ? {} : { accuracy: reference.comparisons }),
      ...(sequence === undefined ? {} : { sequence }),
      outputs: Object.fromEntries(
        Object.entries(outputs).map(([name, elements]) => [
          name,
          interpret(name, elements, session.graph.outputs[name]!, session.sidecar, options.top),
        ]),
      ),
    });
  }
  const busy = await session.target.usage();
  if (options.json === true)
    printJson(model, session, results, busy, io, costs?.report(options.clock, jobs.length));
  else {
    print(model, session, results, busy, io);
    if (without !== undefined) io.out(io.colours.dim(`\n${without}\n`));
    if (costs !== undefined) io.out(`\n${costs.text(options.clock, jobs.length, io)}`);
  }
}

/** Multiply-accumulates up to which the host is quick without ONNX Runtime too, about a second. */
const QUICK_MACS = 100_000_000;

/** What results are compared with, or why with nothing. @throws AccelError when it was asked for and nobody can compute it */
async function referenceFor(
  model: string,
  { graph, host, sidecar }: Session,
  options: RunOptions,
): Promise<{ reference?: Reference; without?: string }> {
  const { compare } = options;
  if (compare === false) return {};
  if (compare === undefined) {
    const floats = Object.values(graph.outputs).some(({ dataType }) => dataType === 'float32');
    if (!floats || graph.layers().length === 0) return {};
    const { macs } = graph.placement();
    if (host === undefined && macs > QUICK_MACS)
      return {
        without: `not compared with the host: ${count(macs)} MACs take long without onnxruntime-node (--compare does it)`,
      };
  }
  try {
    return { reference: await Reference.open(model, { import: importOptions(options), sidecar, host }) };
  } catch (error) {
    if (compare === true || !(error instanceof AccelError)) throw error;
    return { without: `not compared with the host: ${errorLine(error)}` };
  }
}

/** The input that a sidecar has for trying its model, as --input names it. */
function sampleOf(sidecar: Sidecar | undefined): string[] {
  return Object.entries(sidecar?.sample ?? {}).map(
    ([name, file]) => `${name}=${join(sidecar!.folder, file)}`,
  );
}

function isGna(device: string | undefined): boolean {
  return device !== undefined && /^gna/.test(device);
}

/** Without a sidecar's preparations: a model with those has calibration inputs too. */
function arraysOf(
  files: Readonly<Record<string, string>>,
  inputs: readonly InputDescriptor[],
): Record<string, InputArray> {
  return Object.fromEntries(
    inputs.map((input) => [input.name, loadInput(files[input.name]!, input, undefined)]),
  );
}

function save(folder: string, outputs: Readonly<Record<string, InputArray>>, prefix: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, { buffer, byteOffset, byteLength }] of Object.entries(outputs))
    writeFileSync(
      join(folder, `${prefix}${name.replace(/[^\w.-]/g, '_')}.bin`),
      new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength),
    );
}

function printJson(
  model: string,
  session: Session,
  results: readonly RunResult[],
  busy: readonly TargetUsage[],
  io: CommandIo,
  silicon?: CostReport,
): void {
  const { target, graph } = session;
  io.out(
    `${JSON.stringify(
      {
        model,
        device: { board: target.name, node: target.node, driver: target.driver },
        engines: target.engines ?? null,
        calibrationInputs: session.calibrated ?? 0,
        results,
        placement: graph.placement(),
        layers: graph.layers(),
        buildNs: graph.buildTimes,
        busy,
        // Undefined is not printed.
        silicon,
      },
      undefined,
      2,
    )}\n`,
  );
}

/** Width of probability bars, cells. */
const BAR = 24;

function print(
  model: string,
  session: Session,
  results: readonly RunResult[],
  busy: readonly TargetUsage[],
  io: CommandIo,
): void {
  const { colours } = io;
  const { target, graph } = session;
  const calibrated = !session.calibrated
    ? ''
    : `, calibrated with ${session.calibrated} input${session.calibrated === 1 ? '' : 's'}`;
  io.out(`${colours.bold(basename(model))} on ${target.name} (${target.node})${calibrated}\n`);
  for (const result of results) {
    if (result.sequence !== undefined) {
      io.out(`\n${colours.bold(result.input)}\n${sequenceText(result.sequence, session, io)}`);
      for (const comparison of result.accuracy ?? [])
        io.out(`${comparison.output} ${comparisonText(comparison)}`);
      continue;
    }
    for (const [name, output] of Object.entries(result.outputs)) {
      io.out(`\n${colours.bold(result.input)} -> ${name}, ${output.type} [${output.shape.join(',')}]\n`);
      const rows = output.top.map(({ index, label, value, probability }, place) => {
        const shown = label ?? String(index);
        return [
          place === 0 ? colours.bold(shown) : shown,
          probability === undefined ? '' : colours.cyan(bar(probability, BAR)),
          probability === undefined ? '' : percent(probability),
          Number.isInteger(value) ? String(value) : value.toPrecision(6),
        ];
      });
      io.out(columns(['', '', '', ''], rows, { right: [2, 3], colours }));
      const comparison = result.accuracy?.find((one) => one.output === name);
      if (comparison !== undefined) io.out(comparisonText(comparison));
    }
  }
  io.out(`\n${placementText(graph.placement(), io)}`);
  if (session.calibrated === 0)
    io.out(
      'a float model without calibration inputs stays on the host: name some with --calibrate FILE...\n',
    );
  io.out(saturationText(results, io));
  io.out(`\n${timesText(session, results, busy, io)}`);
}

function comparisonText(comparison: Comparison): string {
  const reference = comparison.lsb === undefined ? 'fp32 on the host' : 'the host';
  return `against ${reference}: ${distances(comparison)}\n`;
}

/** A warning when numbers did not fit: no error for the device, but not what the model says. */
function saturationText(results: readonly RunResult[], { colours }: CommandIo): string {
  let [requests, saturated] = [0, 0];
  for (const { saturation } of results) {
    requests += saturation?.requests ?? 0;
    saturated += saturation?.saturated ?? 0;
  }
  if (saturated === 0) return '';
  const warning = `${saturated} of ${requests} requests saturated: sums were larger than 32 bits hold and were clamped, results may be wrong; `;
  return `\n${colours.yellow(`${warning}calibrate with inputs like these (--calibrate FILE...)`)}\n`;
}

/** Operators by place, their work, and why the host's are there. */
export function placementText(placement: MLPlacement, io: CommandIo): string {
  const { colours } = io;
  const places = [...new Set(placement.operators.map(({ device }) => device))].filter(
    (name) => name !== 'none',
  );
  const rows = places.map((place) => {
    const here = placement.operators.filter(({ device }) => device === place);
    const macs = here.reduce((sum, { macs: own }) => sum + own, 0);
    return [
      place,
      String(here.length),
      count(macs),
      placement.macs === 0 ? '' : percent(macs / placement.macs),
      kinds(here.map(({ operator }) => operator)),
    ];
  });
  let text = columns(['placed on', 'operators', 'MACs', 'share', ''], rows, { right: [1, 2, 3], colours });
  // Reasons that differ only in the names of tensors are one.
  const reasons = new Map<string, { reason: string; names: string[] }>();
  for (const { device, operator, node, reason } of placement.operators) {
    if (device !== 'host') continue;
    const key = reason.replace(/"[^"]*"/g, '');
    const entry = reasons.get(key) ?? { reason, names: [] };
    entry.names.push(`${operator} "${node}"`);
    reasons.set(key, entry);
  }
  for (const { reason, names } of reasons.values()) {
    const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
    text += colours.dim(`host: ${names.slice(0, 3).join(', ')}${more}: ${reason}\n`);
  }
  return text;
}

/** `Conv 9, Add 3`. */
function kinds(operators: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const operator of operators) counts.set(operator, (counts.get(operator) ?? 0) + 1);
  return [...counts]
    .sort((a, b) => b[1] - a[1])
    .map(([operator, number]) => `${operator} ${number}`)
    .join(', ');
}

function timesText(
  session: Session,
  results: readonly RunResult[],
  busy: readonly TargetUsage[],
  io: CommandIo,
): string {
  const { compile, upload } = session.graph.buildTimes;
  const runs = results.reduce((sum, { sequence }) => sum + (sequence?.windows ?? 1), 0);
  const mean = (stage: keyof DispatchTimes): number =>
    results.reduce((sum, { times }) => sum + times[stage], 0) / runs;
  const stages = [
    ['compile', compile],
    ['upload', upload],
    ['pack inputs', mean('pack')],
    ['device', mean('device')],
    ['unpack outputs', mean('unpack')],
    ['host operators', mean('host')],
  ] as const;
  const { colours } = io;
  const shown = stages.map(([name, ns]) => [name, time(ns)]);
  const note = runs > 1 ? ` (mean of ${runs} inferences)` : '';
  let text = columns([`time${note}`, ''], shown, { right: [1], colours });
  const used = busy.filter(({ busyNs, jobs }) => (jobs ?? busyNs) > 0);
  if (used.length > 0) {
    const rows = used.map(({ engine, busyNs, jobs }) => [engine, time(busyNs), String(jobs ?? '')]);
    text += `\n${columns(['unit', 'busy', 'jobs'], rows, { right: [1, 2], colours })}`;
  }
  return text;
}
