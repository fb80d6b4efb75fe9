// From a model to a graph on the device: import, quantise, compile for the context's target, load.
// Not a compiler: it calls the compiler's steps in order and says how long they took.
import { AccelError } from '../base/errors.js';
import {
  calibrate,
  compile,
  type CompiledProgram,
  type DataType,
  evaluate,
  type Graph,
  importOnnx,
  type ImportOptions,
  optimize,
  type QuantizeOptions,
  refuseOpaque,
  type Shape,
  shapeOf,
  type TargetCalibration,
  targetPrecisions,
  type TypedArray,
  type Value,
} from '../compiler/index.js';
import type { MLContext } from './context.js';
import { MLGraph } from './graph.js';

/** Input arrays by name: one sample of real data. */
export type CalibrationSample = Readonly<Record<string, TypedArray>>;

/** An input that calibration data is asked for. */
export interface CalibrationInput {
  readonly name: string;
  readonly dataType: DataType;
  readonly shape: Shape;
}

export interface BuildOptions {
  /** For messages and reports. */
  readonly name?: string;
  /**
   * `forbid`: every operator that computes must be on the device, or the build fails and says which are not.
   * Default `host`.
   */
  readonly fallback?: 'host' | 'forbid';
  /** Real inputs of the model; asked for only when a float model has to be quantised. */
  readonly calibration?: (inputs: readonly CalibrationInput[]) => readonly CalibrationSample[];
  /**
   * Outputs that are the next inference's inputs, zero at first: output name to input name. Calibration samples are then
   * one sequence, and need not hold those inputs.
   */
  readonly state?: Readonly<Record<string, string>>;
  /**
   * What a float model is computed in. Default fp16 where the target has it: no calibration is needed then. Else int8. What the target
   * or the model does not allow is refused.
   */
  readonly precision?: 'int8' | 'fp16';
  /** How ranges and scales are chosen when a float model is quantised. */
  readonly quantize?: QuantizeOptions;
  /** Told what is being done, for progress. */
  readonly onProgress?: (stage: string) => void;
}

export interface LoadOptions extends BuildOptions {
  /** Sizes of symbolic dimensions, and inputs that are known now. */
  readonly import?: ImportOptions;
}

/**
 * An ONNX file as a graph of the context.
 * @throws AccelError EINVAL for a damaged file; EOPNOTSUPP naming operator, shapes and the rule
 */
export async function loadOnnx(
  context: MLContext,
  bytes: Uint8Array,
  options: LoadOptions = {},
): Promise<MLGraph> {
  const start = context.ticks.now();
  return buildGraph(context, imported(bytes, options), options, start);
}

function imported(bytes: Uint8Array, options: LoadOptions): Graph {
  options.onProgress?.('importing');
  const graph = importOnnx(bytes, options.import);
  if (options.name !== undefined) graph.name = options.name;
  return graph;
}

/**
 * An ONNX file as a program for a target, without a device: `nvdla:nv_large`.
 * @throws AccelError as loadOnnx
 */
export function compileOnnx(bytes: Uint8Array, target: string, options: LoadOptions = {}): CompiledProgram {
  return compileGraph(imported(bytes, options), target, options);
}

/** Compiles and loads a graph. The graph is the compiler's from now on. */
export async function buildGraph(
  context: MLContext,
  graph: Graph,
  options: BuildOptions,
  start = context.ticks.now(),
): Promise<MLGraph> {
  const program = compileGraph(graph, context.target, options);
  options.onProgress?.('loading');
  return MLGraph.load(context, program, context.ticks.now() - start);
}

function compileGraph(graph: Graph, target: string, options: BuildOptions): CompiledProgram {
  refuseOpaque(graph.nodes);
  optimize(graph);
  let calibration: TargetCalibration | undefined;
  if (options.precision !== undefined) checkPrecision(graph, target, options.precision);
  if (isFloat(graph) && (options.precision ?? (hasHalf(target) ? 'fp16' : 'int8')) === 'int8') {
    const samples = carried(
      graph,
      options.calibration?.(graph.inputs.map(inputOf)) ?? [],
      options.state ?? {},
    );
    options.onProgress?.('quantising');
    if (samples.length > 0) calibration = calibrate(graph, target, samples, options.quantize);
    else if (options.precision === 'int8')
      throw precisionError('int8', 'a float model is quantised with real inputs, and there are none');
  }
  options.onProgress?.('compiling');
  const program = compile(graph, target, calibration);
  if (options.fallback === 'forbid') forbidHost(program);
  return program;
}

/** @throws AccelError EOPNOTSUPP for what the target does not compute in, EINVAL for what the model is not in */
function checkPrecision(graph: Graph, target: string, precision: 'int8' | 'fp16'): void {
  const precisions = targetPrecisions(target);
  if (precisions.length === 0)
    throw precisionError(precision, `${target} computes in 16-bit integers`, 'EOPNOTSUPP');
  if (!precisions.includes(precision))
    throw precisionError(precision, `${target} computes in ${precisions.join(', ')}`, 'EOPNOTSUPP');
  if (precision === 'fp16' && isQuantised(graph))
    throw precisionError(precision, 'the model is quantised: it is computed in int8');
}

function precisionError(
  precision: string,
  reason: string,
  code: 'EINVAL' | 'EOPNOTSUPP' = 'EINVAL',
): AccelError {
  return new AccelError(code, { call: 'build', field: `precision ${precision}`, reason });
}

/** The samples of a sequence with the state that each finds, by running the float graph. */
function carried(
  graph: Graph,
  samples: readonly CalibrationSample[],
  state: Readonly<Record<string, string>>,
): readonly CalibrationSample[] {
  const pairs = Object.entries(state);
  if (pairs.length === 0) return samples;
  for (const [output, input] of pairs) {
    if (!graph.outputs.some(({ name }) => name === output))
      throw new AccelError('EINVAL', { field: `state.${output}`, reason: 'the model has no such output' });
    if (!graph.inputs.some(({ name }) => name === input))
      throw new AccelError('EINVAL', { field: `state.${output}`, reason: `the model has no input ${input}` });
  }
  let before: ReturnType<typeof evaluate> | undefined;
  return samples.map((sample) => {
    const found: Record<string, TypedArray> = {};
    for (const [output, input] of pairs) {
      const { shape } = inputOf(graph.inputs.find(({ name }) => name === input)!);
      found[input] =
        before?.[output]?.data ?? new Float32Array(shape.reduce((product, size) => product * size, 1));
    }
    const whole = { ...found, ...sample };
    before = evaluate(graph, whole);
    return whole;
  });
}

/** Whether there is arithmetic in floats that integers could do: a device of integers then has nothing to run. */
function isFloat(graph: Graph): boolean {
  const products = new Set<string>(['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'RNN']);
  return (
    !isQuantised(graph) &&
    graph.nodes.some((node) => products.has(node.op) && node.inputs[1]?.data !== undefined)
  );
}

function isQuantised(graph: Graph): boolean {
  return [...graph.values()].some((value) => value.quantization !== undefined);
}

function hasHalf(target: string): boolean {
  return targetPrecisions(target).includes('fp16');
}

function inputOf(value: Value): CalibrationInput {
  return { name: value.name, dataType: value.type, shape: shapeOf(value) };
}

function forbidHost({ placement, target }: CompiledProgram): void {
  const [first, ...others] = placement.filter(({ device }) => device === 'host');
  if (first === undefined) return;
  const more =
    others.length === 0
      ? ''
      : `; and ${others.length} more: ${[...new Set(others.map(({ operator }) => operator))].join(', ')}`;
  throw new AccelError('EOPNOTSUPP', {
    call: 'build',
    field: `${first.operator} "${first.node}"`,
    reason: `not on ${target}: ${first.reason}${more}; allow fallback "host" to compute them there`,
  });
}
