// A recording through a model, window after window, with what the model carries from one to the next.
// Not a player: windows come as fast as they are computed.
import { extname } from 'node:path';
import { AccelError } from '../../base/errors.js';
import type { DispatchTimes, Saturation } from '../../runtime/index.js';
import { audioWindows } from '../input/audio.js';
import { loadInput, zeros, type InputArray, type InputDescriptor } from '../input/load.js';
import { isAudio, labelsOf, type AudioPreparation } from '../input/sidecar.js';
import type { CommandIo } from './io.js';
import { Progress } from './progress.js';
import type { Reference } from './reference.js';
import type { Inference, Session } from './session.js';

/** Outputs of one number per window, over all windows of a recording. */
export interface SequenceResult {
  readonly windows: number;
  /** Seconds from a window to the next. */
  readonly step: number;
  readonly series: Readonly<Record<string, readonly number[]>>;
  /** Where the series of an output is above its threshold, in seconds. */
  readonly above: Readonly<Record<string, readonly { readonly from: number; readonly to: number }[]>>;
}

export interface SequenceRun extends Inference {
  /** Undefined for a single inference. */
  readonly sequence?: SequenceResult;
}

/** The inputs that files are needed for: those that are carried may be given, and are zero otherwise. */
export function wantedInputs(session: Session, files: readonly string[]): InputDescriptor[] {
  const carried = new Set(Object.values(session.sidecar?.state ?? {}));
  return session.inputs.filter(
    ({ name }) => !carried.has(name) || files.some((file) => file.startsWith(`${name}=`)),
  );
}

/**
 * One inference, or one per window when a file is a recording. Outputs are the last window's, times and saturation the sum.
 * `reference` compares every inference.
 * @throws AccelError EINVAL for two recordings at once, and what reading the files throws
 */
export async function inferFiles(
  session: Session,
  files: Readonly<Record<string, string>>,
  io: CommandIo,
  reference?: Reference,
): Promise<SequenceRun> {
  const { sidecar } = session;
  const infer = async (given: Readonly<Record<string, InputArray>>): Promise<Inference> => {
    const inference = await session.infer(given);
    await reference?.compare(given, inference.outputs);
    return inference;
  };
  const state = Object.entries(sidecar?.state ?? {});
  const inputs: Record<string, InputArray> = {};
  let recording: { input: InputDescriptor; path: string; preparation: AudioPreparation } | undefined;
  for (const input of session.inputs) {
    const path = files[input.name];
    const preparation = sidecar?.inputs[input.name];
    if (path === undefined) inputs[input.name] = zeros(input);
    else if (isAudio(preparation) && extname(path).toLowerCase() === '.wav') {
      if (recording !== undefined)
        throw new AccelError('EINVAL', { field: path, reason: 'a second recording; a model is given one' });
      recording = { input, path, preparation };
    } else inputs[input.name] = loadInput(path, input, sidecar);
  }
  if (recording === undefined) return infer(inputs);

  const { input, path, preparation } = recording;
  const windows = audioWindows(path, preparation, input);
  if (windows.length === 0)
    throw new AccelError('EINVAL', { field: path, reason: 'is shorter than a window' });
  using progress = new Progress(io, 'running');
  const series: Record<string, number[]> = {};
  let last: Inference | undefined;
  const times: Record<string, number> = {};
  let saturation: Saturation | undefined;
  for (const [index, window] of windows.entries()) {
    progress.step(`window ${index + 1} of ${windows.length}`);
    last = await infer({ ...inputs, [input.name]: window });
    for (const [output, next] of state) inputs[next] = last.outputs[output]!;
    for (const [name, values] of Object.entries(last.outputs))
      if (values.length === 1) (series[name] ??= []).push(Number(values[0]));
    for (const [stage, ns] of Object.entries(last.times)) times[stage] = (times[stage] ?? 0) + ns;
    if (last.saturation !== undefined) {
      saturation ??= { requests: 0, saturated: 0 };
      saturation.requests += last.saturation.requests;
      saturation.saturated += last.saturation.saturated;
    }
  }
  const step = preparation.hop / preparation.rate;
  const above = Object.fromEntries(
    Object.entries(series).flatMap(([name, values]) => {
      const threshold = sidecar?.outputs[name]?.threshold;
      return threshold === undefined ? [] : [[name, runsAbove(values, threshold, step)]];
    }),
  );
  return {
    outputs: last!.outputs,
    times: times as unknown as DispatchTimes,
    ...(saturation === undefined ? {} : { saturation }),
    sequence: { windows: windows.length, step, series, above },
  };
}

function runsAbove(
  values: readonly number[],
  threshold: number,
  step: number,
): { from: number; to: number }[] {
  const runs: { from: number; to: number }[] = [];
  values.forEach((value, index) => {
    if (value <= threshold) return;
    const last = runs.at(-1);
    if (last !== undefined && last.to === index) last.to++;
    else runs.push({ from: index, to: index + 1 });
  });
  return runs.map(({ from, to }) => ({ from: from * step, to: to * step }));
}

/** Cells of a line of the picture. */
const CELLS = 64;
const LEVELS = '▁▂▃▄▅▆▇█';

/** The series as lines of bars over time, and where they are above their thresholds. */
export function sequenceText(result: SequenceResult, session: Session, io: CommandIo): string {
  const { colours } = io;
  const windows = `${result.windows} windows of ${(result.step * 1000).toFixed(0)} ms`;
  let text = Object.keys(result.series).length === 0 ? `${windows}\n` : '';
  for (const [name, values] of Object.entries(result.series)) {
    const most = Math.max(1, ...values);
    text += `\n${colours.bold(name)}, ${windows}\n`;
    for (let from = 0; from < values.length; from += CELLS) {
      const cells = values
        .slice(from, from + CELLS)
        .map((value) => LEVELS[Math.max(0, Math.min(7, Math.floor((value / most) * 8)))]!);
      text += `${seconds(from * result.step).padStart(8)}  ${colours.cyan(cells.join(''))}\n`;
    }
    const runs = result.above[name];
    if (runs === undefined) continue;
    const meaning = session.sidecar!.outputs[name]!;
    const label = labelsOf(session.sidecar!, meaning)?.[1] ?? `above ${meaning.threshold}`;
    text +=
      runs.length === 0
        ? `no ${label}\n`
        : `${label}: ${runs.map(({ from, to }) => `${seconds(from)} to ${seconds(to)}`).join(', ')}\n`;
  }
  return text;
}

function seconds(value: number): string {
  return `${value.toFixed(2)} s`;
}
