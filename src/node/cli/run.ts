// accel run: a model on a device, inputs from files, the results as a table or JSON.
// Not a benchmark: times are of this run, with everything that happened in it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { DispatchTimes, MLPlacement } from '../../runtime/index.js';
import { loadInput, type InputArray, type InputDescriptor } from '../input/load.js';
import type { EngineKind } from '../system.js';
import { columns } from './columns.js';
import { Costs, type CostReport } from './costs.js';
import { bar, count, percent, time } from './format.js';
import { importOptions, type ImportArguments, inferences } from './input-files.js';
import { UsageError, type CommandIo } from './io.js';
import { isLoadable, runLoadable } from './run-loadable.js';
import { interpret, type OutputResult } from './results.js';
import { inferFiles, sequenceText, wantedInputs, type SequenceResult } from './sequence.js';
import { Session, type SessionOptions } from './session.js';
import type { TargetUsage } from './target.js';

export interface RunOptions extends ImportArguments {
  readonly connect?: string | true;
  readonly input?: readonly string[];
  readonly device?: string;
  readonly calibrate?: readonly string[];
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
              inferences(options.input ?? [], inputs).map((files) => arraysOf(files, inputs)),
          }
        : {}),
      ...(costs?.hooks(hooks) ?? hooks),
    },
    io,
  );
  const given = options.input ?? [];
  const jobs = inferences(given, wantedInputs(session, given));
  const results: RunResult[] = [];
  for (const [index, files] of jobs.entries()) {
    const { outputs, times, sequence } = await inferFiles(session, files, io);
    if (options.out !== undefined) save(options.out, outputs, jobs.length > 1 ? `${index}.` : '');
    results.push({
      input: Object.values(files).join(', '),
      times,
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
    if (costs !== undefined) io.out(`\n${costs.text(options.clock, jobs.length, io)}`);
  }
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
    }
  }
  io.out(`\n${placementText(graph.placement(), io)}`);
  if (session.calibrated === 0)
    io.out(
      'a float model without calibration inputs stays on the host: name some with --calibrate FILE...\n',
    );
  io.out(`\n${timesText(session, results, busy, io)}`);
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
