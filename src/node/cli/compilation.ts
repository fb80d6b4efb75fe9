// How a command compiles a model: its options, and real inputs where a float model has to be quantised.
// Not compiling: the runtime does. Not a device: session.ts opens one.
import { basename, extname } from 'node:path';
import type { ImportOptions } from '../../compiler/index.js';
import type { LoadOptions } from '../../runtime/index.js';
import { audioWindows } from '../input/audio.js';
import { calibrationInputs, loadInput, type InputArray, type InputDescriptor } from '../input/load.js';
import { isAudio, type Sidecar } from '../input/sidecar.js';
import { UsageError } from './io.js';
import type { Progress } from './progress.js';

/** Most pictures that calibration uses; more add little and cost time. */
const CALIBRATION_INPUTS = 32;

export interface CompilationOptions {
  readonly model: string;
  readonly fallback?: 'host' | 'forbid' | undefined;
  /** What a float model is computed in. */
  readonly precision?: 'int8' | 'fp16' | undefined;
  /** Files to calibrate a float model with, instead of those its sidecar names. */
  readonly calibrationFiles?: readonly string[] | undefined;
  /** Calibration inputs for a float model whose sidecar names none. */
  readonly calibration?: ((inputs: readonly InputDescriptor[]) => Record<string, InputArray>[]) | undefined;
  /** Sizes of symbolic dimensions, and inputs that are known now. */
  readonly import?: ImportOptions | undefined;
}

/** For the runtime. `calibrated` is told the number of inputs when a float model is quantised. */
export function compilation(
  options: CompilationOptions,
  sidecar: Sidecar | undefined,
  progress: Progress,
  calibrated: (count: number) => void,
): LoadOptions {
  return {
    name: basename(options.model),
    fallback: options.fallback ?? 'host',
    ...(options.precision === undefined ? {} : { precision: options.precision }),
    import: importFor(options.import, sidecar),
    ...(sidecar === undefined ? {} : { state: sidecar.state }),
    calibration: (inputs) => {
      progress.step('calibrating');
      let samples = samplesOf(options.calibrationFiles ?? [], inputs, sidecar);
      if (samples.length === 0 && sidecar !== undefined)
        samples = calibrationInputs(sidecar, inputs, CALIBRATION_INPUTS);
      if (samples.length === 0) samples = options.calibration?.(inputs) ?? [];
      calibrated(samples.length);
      return samples;
    },
    onProgress: (stage) => progress.step(stage, stage === 'quantising'),
  };
}

/** What the command line says goes before what the sidecar says. */
export function importFor(given: ImportOptions = {}, sidecar: Sidecar | undefined): ImportOptions {
  if (sidecar === undefined) return given;
  const constants = Object.entries(sidecar.constants).map(
    ([name, value]) => [name, BigInt64Array.of(BigInt(value))] as const,
  );
  return {
    ...given,
    dimensions: { ...sidecar.dimensions, ...given.dimensions },
    constants: { ...Object.fromEntries(constants), ...given.constants },
  };
}

/** One sample per file, or per window of a recording; only for models of one input. */
function samplesOf(
  files: readonly string[],
  inputs: readonly InputDescriptor[],
  sidecar: Sidecar | undefined,
): Record<string, InputArray>[] {
  const [input] = inputs;
  if (files.length > 0 && (input === undefined || inputs.length > 1))
    throw new UsageError(`calibration files are for models of one input, this has ${inputs.length}`);
  const preparation = sidecar?.inputs[input?.name ?? ''];
  return files.flatMap((file) => {
    const isRecording = isAudio(preparation) && extname(file).toLowerCase() === '.wav';
    const arrays = isRecording ? audioWindows(file, preparation, input!) : [loadInput(file, input!, sidecar)];
    return arrays.map((array) => ({ [input!.name]: array }));
  });
}
